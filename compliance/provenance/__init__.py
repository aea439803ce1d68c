"""Where a list may come from: facts of an upload in, a score with reasons out (rules SRC-PATTERN, SRC-TRAP).

`collect` gathers the facts in the worker, `score` judges them and knows no database, `marks` keeps the memory of
earlier uploads behind a wall in the database, `proof` asks the middle for 25 rows. Nothing here mails or blocks.
"""

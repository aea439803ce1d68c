"""Uploads: a file in, people on a list out, every other row named with its reason.

files (receive, sniff) -> reading (bytes to rows) -> columns (which column is what) -> rows (one row judged, pure)
-> run (worker: stage, merge) -> fixes (rows mended in place); lifecycle moves the job; staff decides held ones.
"""

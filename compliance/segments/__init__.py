"""Segments: people picked by conditions. Conditions become SQL of our own words with values as parameters; no SQL, no
pattern and no name of a column comes from outside. A segment picks among the people of lists and permits nothing:
whether somebody may be mailed stays compliance.consent's, per membership, and nobody of the do-not-mail list is in one.
"""

"""Proof, for one message to one person, of why it was lawful: gathered, written as a page, packed with its records."""

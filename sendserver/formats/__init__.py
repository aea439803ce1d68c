"""Formats of our own, found by `FORMAT_MODULE_PATH`."""

"""Formats of encrypted values: one module each, with one table of where things lie."""

"""Frozen types that everything hangs on. No I/O, no clock, no network."""

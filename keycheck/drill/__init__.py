"""Changing the world safely: journal, watchdog, recovery. Knows no cloud."""

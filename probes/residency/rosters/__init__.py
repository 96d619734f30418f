"""Rosters of subprocessors: read from whatever a vendor publishes, compared with the one before."""

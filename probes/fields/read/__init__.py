"""Exports as Arrow batches: files, buckets, tables. Nothing is left out in silence."""

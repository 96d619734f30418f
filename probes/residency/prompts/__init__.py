"""Captured prompts: what was sent to a model, read and looked through."""

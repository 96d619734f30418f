"""The picture of a run: where things are, what shows it, which edges leave. Standalone HTML, without scripts."""

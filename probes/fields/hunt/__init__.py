"""Looking for what should not lie in the clear."""

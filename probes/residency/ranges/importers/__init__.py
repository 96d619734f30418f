"""One module for each format in which ranges are published, and one registry of them."""

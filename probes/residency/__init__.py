"""The area of residency: where endpoints, keys, stores, copies and AI inference really are."""

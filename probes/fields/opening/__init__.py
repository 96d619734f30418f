"""Checks with the customer's key service, on a sample that nobody could foresee."""

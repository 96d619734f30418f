"""What travels inside each bundle: a one-file verifier and its manual. Shares no code with keycheck."""

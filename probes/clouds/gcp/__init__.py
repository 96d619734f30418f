"""Google Cloud through its own clients: credentials, channels, quotas, bounded answers, errors as reason codes."""

"""AWS through its own SDK: sessions, clients, paces, bounded answers, errors as reason codes."""

"""keycheck proves, with evidence that the other side can check for itself, whether a vendor's deployment
keeps the encryption and sovereignty promises in its contract."""

__version__ = "0.1.0"

"""The area of encrypted fields: whether what the contract classes as sensitive is envelope-encrypted in an export."""

"""The lab's KMS: real cryptography, the states, rules and answers that AWS documents.

Held against recorded answers of the real service where there are any; the rest follows the API reference.
"""

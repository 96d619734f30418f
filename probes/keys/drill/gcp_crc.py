"""CRC32C (RFC 4960, appendix B; Castagnoli's polynomial), with which Cloud KMS guards what it is sent and answers."""

from __future__ import annotations

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = (octet >> 1) ^ (_POLYNOMIAL if octet & 1 else 0)
    return octet


_TABLE: Final = tuple(_entry(octet) for octet in range(256))


def crc32c(data: bytes) -> int:
    """The checksum; of nothing: 0."""
    value = 0xFFFFFFFF
    for octet in data:
        value = _TABLE[(value ^ octet) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF

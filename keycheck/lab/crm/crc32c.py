"""CRC-32C (Castagnoli; RFC 3720 appendix B.4), which Cloud KMS wants beside what it is sent."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # reflected


def crc32c(data: bytes) -> int:
    """The checksum of ``data``. Slow (some MB/s), and data keys are short."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(_entry(byte) for byte in range(256))

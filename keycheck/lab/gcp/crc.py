"""CRC32C, as every answer and request of Cloud KMS may carry it (RFC 4960, appendix B; Castagnoli polynomial)."""

from __future__ import annotations

from typing import Final

from google.protobuf import wrappers_pb2

from keycheck.lab.gcp.errors import invalid

_POLYNOMIAL: Final = 0x82F63B78


def _entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE: Final = tuple(_entry(index) for index in range(256))


def crc32c(data: bytes) -> int:
    """Checksum of `data`; of nothing: 0."""
    value = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def wrapped(data: bytes) -> wrappers_pb2.Int64Value:
    """The checksum as answers carry it."""
    return wrappers_pb2.Int64Value(value=crc32c(data))


def verified(data: bytes, checksum: int | None, field: str) -> bool:
    """Whether a checksum was sent and right. Raises INVALID_ARGUMENT for a wrong one."""
    if checksum is None:
        return False
    if checksum != crc32c(data):
        raise invalid(f"The checksum in field {field}_crc32c did not match the data in field {field}.")
    return True

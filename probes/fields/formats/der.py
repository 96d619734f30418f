"""The DER that formats carry beside their own fields."""

from __future__ import annotations


def ecdsa_signature(data: bytes, size: int) -> bool:
    """Whether these bytes have the shape of one ECDSA signature (RFC 3279, 2.2.3) over a curve of `size` bytes.

    A SEQUENCE of two positive INTEGERs, each in its shortest form. Verifies nothing.
    """
    if len(data) < 8 or data[0] != 0x30 or data[1] != len(data) - 2 or data[1] >= 0x80:
        return False
    at = 2
    for _ in range(2):
        if at + 3 > len(data) or data[at] != 2:
            return False
        first = at + 2
        end = first + data[at + 1]
        if not first < end <= min(len(data), first + size + 1) or data[first] >= 0x80:
            return False
        if end - first > 1 and data[first] == 0 and data[first + 1] < 0x80:
            return False
        at = end
    return at == len(data)

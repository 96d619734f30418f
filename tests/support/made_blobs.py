"""Ciphertexts in the layouts of AWS KMS and Google Cloud KMS, as observed, with filler for what is random."""

from __future__ import annotations

FINGERPRINT = b"\xab" * 32
GCP_VERSION = bytes.fromhex("5bc042d8")


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + content


def aws_blob(generation: int, plaintext: int, fingerprint: bytes = FINGERPRINT) -> bytes:
    """A blob of AWS KMS around so many bytes."""
    algorithm = _der(0x30, _der(4, b"\xcd" * 12) + _der(2, b"\x10"))
    algorithm = _der(0x30, _der(6, bytes.fromhex("60864801650304012e")) + algorithm)
    inner = _der(6, bytes.fromhex("2a864886f70d010701")) + algorithm + _der(0x80, b"\xef" * (plaintext + 27))
    outer = _der(0x30, _der(2, b"\0") + _der(0x30, inner))
    der = _der(0x30, _der(6, bytes.fromhex("2a864886f70d010706")) + _der(0xA0, outer))
    salt = b"\1" + b"\x77" * 16 if generation == 2 else b""
    return bytes([1, generation, 1 + generation]) + b"\0\x78" + fingerprint + salt + len(der).to_bytes(4, "big") + der


def gcp_blob(plaintext: int, version: bytes = GCP_VERSION) -> bytes:
    """A ciphertext of Google Cloud KMS around so many bytes."""
    size = plaintext + 41
    length = bytes([size]) if size < 0x80 else bytes([0x80 | size & 0x7F, size >> 7])
    return b"\x0a\x24\0" + version + b"\x11" * 31 + b"\x12" + length + b"\0" + b"\x22" * (size - 1)

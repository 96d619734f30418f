"""What several cases of Cloud KMS are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gcp_session import GcpSession
from live_session import CaseError, Seen

PLAINTEXT: Final = b"keycheck-live plaintext of 32 by"


AAD: Final = b"tenant=acme"


def ok(seen: Seen) -> bool:
    return seen.ok


def refused(code: str) -> Callable[[Seen], bool]:
    """The condition of a poll: that error."""
    return lambda seen: seen.code == code


def crc(data: bytes) -> dict[str, int]:
    """CRC-32C (RFC 3720, appendix B.4), as the API wraps it."""
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return {"value": value ^ 0xFFFFFFFF}


def sealed(s: GcpSession, step: str, key: str) -> bytes:
    """A ciphertext of `PLAINTEXT` with `AAD`, checksums sent."""
    answer = s.must(
        step,
        "Encrypt",
        name=key,
        plaintext=PLAINTEXT,
        additional_authenticated_data=AAD,
        plaintext_crc32c=crc(PLAINTEXT),
        additional_authenticated_data_crc32c=crc(AAD),
    )
    value = answer.get("ciphertext")
    if not isinstance(value, bytes):
        raise CaseError(f"{step} gave no ciphertext")
    return value


def opening(key: str, ciphertext: bytes, **more: object) -> dict[str, object]:
    return {"name": key, "ciphertext": ciphertext, "additional_authenticated_data": AAD, **more}


def state(s: GcpSession, step: str, version: str, wanted: str) -> Seen:
    return s.call(
        step,
        "UpdateCryptoKeyVersion",
        crypto_key_version={"name": version, "state": wanted},
        update_mask={"paths": ["state"]},
    )

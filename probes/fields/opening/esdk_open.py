"""AWS Encryption SDK messages under their data key: key derivation, commitment, header tag, frames, signature.

Sources: AWS Encryption SDK specification, "data-format/message-header.md", "message-body.md", "message-footer.md" and
"framework/algorithm-suites.md"; RFC 5869.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from probes.fields.formats import esdk
from probes.fields.opening.associated import esdk_context
from probes.fields.opening.sealed import Message, MisfitError, Mode, Unit, hkdf
from probes.fields.opening.tag import tag_holds

SIGNER: Final = "aws-crypto-public-key"
"""Entry of the context that holds the signer's public point, in base64."""
_FRAME: Final = b"AWSKMSEncryptionClient Frame"
_FINAL: Final = b"AWSKMSEncryptionClient Final Frame"
_SINGLE: Final = b"AWSKMSEncryptionClient Single Block"


@dataclass(frozen=True, slots=True)
class _Suite:
    """What of an algorithm suite only the holder of the data key needs."""

    length: int
    """Bytes of the data key, and of the key of the content."""
    digest: str = ""
    """Hash of the key derivation; empty where there is none."""


_SUITES: Final = {
    0x0014: _Suite(16),
    0x0046: _Suite(24),
    0x0078: _Suite(32),
    0x0114: _Suite(16, "sha256"),
    0x0146: _Suite(24, "sha256"),
    0x0178: _Suite(32, "sha256"),
    0x0214: _Suite(16, "sha256"),
    0x0346: _Suite(24, "sha384"),
    0x0378: _Suite(32, "sha384"),
    0x0478: _Suite(32, "sha512"),
    0x0578: _Suite(32, "sha512"),
}
_CURVES: Final[Mapping[int, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm]]]] = {
    32: (ec.SECP256R1, hashes.SHA256),
    48: (ec.SECP384R1, hashes.SHA384),
}


def open_message(value: bytes, key: bytes, associated: bytes, context: Mapping[str, str] | None = None) -> Message:
    """The message under its data key. `associated`: the entries of a required encryption context that the message does
    not show, as `esdk_context` writes them; nothing where there are none.

    `header` tells whether key commitment, header tag and signature hold, as far as the suite has them. With entries in
    `context` that contradict the message's own, it tells whether the message would pass as one of those entries.
    Raises MisfitError.
    """
    header = esdk.parse_header(value)
    if header is None:
        raise MisfitError("it is no message of the AWS Encryption SDK any more")
    suite = _SUITES[header.suite]
    if len(key) != suite.length:
        raise MisfitError("the data key has another length than the message's algorithm suite says")
    derived, commitment = _derived(header, suite, key)
    covered = value[: header.authenticated] if context is None else _rewritten(value, header, context)
    nonce = value[slice(*header.iv_at)] or bytes(esdk.IV)
    units, body_end = _body(value, header)
    holds = (
        hmac.compare_digest(commitment, value[slice(*header.commitment_at)])
        and tag_holds(derived, nonce, covered + associated, b"", value[slice(*header.tag_at)])
        and _signed(value, header, body_end)
    )
    middle = 4 if header.version == 1 else 3  # the first byte of the message id: after it everything is derived
    return Message(Mode.GCM, derived, units, header=holds, header_at=middle)


def _derived(header: esdk.Header, suite: _Suite, key: bytes) -> tuple[bytes, bytes]:
    """Key of the content; key commitment, empty where the suite has none."""
    number = header.suite.to_bytes(2, "big")
    if header.version == 2:
        content = hkdf(key, header.message_id, number + b"DERIVEKEY", suite.length, suite.digest)
        return content, hkdf(key, header.message_id, b"COMMITKEY", esdk.COMMITMENT, suite.digest)
    if not suite.digest:
        return bytes(key), b""
    return hkdf(key, b"", number + header.message_id, suite.length, suite.digest), b""


def _body(value: bytes, header: esdk.Header) -> tuple[tuple[Unit, ...], int]:
    """The sealed pieces of the body, in their order, and where it ends. Raises MisfitError."""
    units: list[Unit] = []
    at, final = header.end, not header.framed
    if final:
        start = at + esdk.IV + 8
        unit, at = _unit(value, header, _SINGLE, 1, at, (start, int.from_bytes(value[start - 8 : start], "big")))
        return (unit,), at
    while not final:
        final = value.startswith(esdk.FINAL, at)
        at += len(esdk.FINAL) if final else 0
        number, start = int.from_bytes(value[at : at + 4], "big"), at + 4 + esdk.IV
        if number != len(units) + 1:
            raise MisfitError("its frames are out of order")
        length = int.from_bytes(value[start : start + 4], "big") if final else header.frame_length
        span = (start + 4 if final else start, length)
        unit, at = _unit(value, header, _FINAL if final else _FRAME, number, at + 4, span)
        units.append(unit)
    return tuple(units), at


def _unit(
    value: bytes, header: esdk.Header, content: bytes, number: int, iv: int, span: tuple[int, int]
) -> tuple[Unit, int]:
    start, length = span
    end = start + length
    if end + esdk.TAG > len(value):
        raise MisfitError("it ends too early")
    associated = header.message_id + content + number.to_bytes(4, "big") + length.to_bytes(8, "big")
    unit = Unit(value[iv : iv + esdk.IV], associated, value[start:end], value[end : end + esdk.TAG])
    return unit, end + esdk.TAG


def _signed(value: bytes, header: esdk.Header, body_end: int) -> bool:
    """Whether the footer's signature is of the key in the context; True where the suite has no signature."""
    size = esdk.SUITES[header.suite].curve
    if not size:
        return body_end == len(value)
    if int.from_bytes(value[body_end : body_end + 2], "big") != len(value) - body_end - 2:
        return False
    curve, digest = _CURVES[size]
    try:
        point = base64.b64decode(dict(header.context).get(SIGNER, ""), validate=True)
        signer = ec.EllipticCurvePublicKey.from_encoded_point(curve(), point)
        signer.verify(value[body_end + 2 :], value[:body_end], ec.ECDSA(digest()))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def _rewritten(value: bytes, header: esdk.Header, context: Mapping[str, str]) -> bytes:
    """What the header's tag would have to cover if the context's entries were those."""
    packed = esdk_context({**dict(header.context), **context})
    start, end = header.context_at
    return value[: start - 2] + len(packed).to_bytes(2, "big") + packed + value[end : header.authenticated]

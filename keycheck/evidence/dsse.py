"""DSSE v1 envelopes, read strictly (https://github.com/secure-systems-lab/dsse).

An envelope signs bytes together with their type: ``PAE(type, payload)``, lengths counted in bytes. It has one
spelling only: canonical JSON without unknown members, base64 that equals its own re-encoding, signatures in
the order of their key ids, each key once, each signature in its only form. Otherwise a changed byte could go
unseen, or one signature be shown as two.

Proves that the named keys signed these bytes as this type. Proves neither when, nor who holds the keys.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from keycheck.canonical import CanonicalError, Json, dumps, loads
from keycheck.errors import IntegrityError
from keycheck.evidence.keys import PublicKey, SigningKey

MAX_ENVELOPE = 32 * 1024 * 1024
MAX_SIGNATURES = 64
MAX_PAYLOAD_TYPE = 255


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope."""

    key_id: str
    """A hint, not itself signed: it says which key to try."""
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed envelope whose signatures nobody has looked at yet."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """The only spelling of this envelope."""
        return dumps(
            {
                "payload": b64encode(self.payload).decode("ascii"),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": signature.key_id, "sig": b64encode(signature.value).decode("ascii")}
                    for signature in sorted(self.signatures, key=lambda signature: signature.key_id)
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """What an envelope says, and who was seen to have signed it."""

    payload: bytes
    payload_type: str
    keys: tuple[str, ...]
    """Ids of the trusted keys that signed, sorted."""
    unknown: tuple[str, ...] = ()
    """Ids that the envelope names and that could not be checked without the key. They count for nothing."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is really signed."""
    name = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def sign(payload: bytes, payload_type: str, keys: Sequence[SigningKey]) -> bytes:
    """An envelope over ``payload``, signed by each of ``keys``, as bytes."""
    if not keys or len({key.key_id for key in keys}) != len(keys):
        raise ValueError("an envelope is signed by one or more distinct keys")
    message = pae(payload_type, payload)
    return Envelope(payload, payload_type, tuple(Signature(key.key_id, key.sign(message)) for key in keys)).to_bytes()


def parse(data: bytes) -> Envelope:
    """Read an envelope in its only spelling. Raises IntegrityError; says nothing about its signatures."""
    try:
        document = loads(data, max_bytes=MAX_ENVELOPE, max_depth=3)
    except CanonicalError as error:
        raise _malformed(str(error)) from error
    members = _members(document, {"payload", "payloadType", "signatures"}, "the envelope")
    payload_type = members["payloadType"]
    if not isinstance(payload_type, str) or not 0 < len(payload_type) <= MAX_PAYLOAD_TYPE:
        raise _malformed("payloadType is not a short text")
    listed = members["signatures"]
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_SIGNATURES:
        raise _malformed(f"it has no signatures, or more than {MAX_SIGNATURES}")
    signatures = tuple(_signature(entry) for entry in listed)
    ids = [signature.key_id for signature in signatures]
    if any(first >= second for first, second in pairwise(ids)):
        raise _malformed("its signatures are not in the order of their key ids, each key once")
    return Envelope(_base64(members["payload"], "payload"), payload_type, signatures)


def verify(
    data: bytes,
    trusted: Sequence[PublicKey],
    *,
    payload_type: str,
    threshold: int = 1,
    allow_unknown: bool = False,
) -> VerifiedEnvelope:
    """Check an envelope: of this type, signed by at least ``threshold`` distinct keys out of ``trusted``.

    Every signature that can be checked must hold. One by a key outside ``trusted`` is refused, because a
    change in it could not be seen; with ``allow_unknown`` it is listed and counts for nothing.
    Raises IntegrityError.
    """
    if threshold < 1:
        raise ValueError("a threshold below one would accept anything")
    envelope = parse(data)
    if envelope.payload_type != payload_type:
        raise IntegrityError(
            f"the envelope signs {envelope.payload_type[:80]!r}, not {payload_type!r}",
            advice="Check that this is the signature of this file and not of another kind of document.",
        )
    known = {key.key_id: key for key in trusted}
    message = pae(envelope.payload_type, envelope.payload)
    verified: list[str] = []
    unknown: list[str] = []
    for signature in envelope.signatures:
        if key := known.get(signature.key_id):
            key.verify(signature.value, message)
            verified.append(signature.key_id)
        else:
            unknown.append(signature.key_id)
    if len(verified) < threshold:
        raise IntegrityError(
            f"signed by {', '.join(unknown) or 'nobody else'}; {len(verified)} trusted keys of {threshold} needed "
            f"(trusted: {', '.join(key.key_id for key in trusted) or 'none'}); nothing else was checked",
            advice="Get the signer's .pub file over a channel you trust, compare its id, and name it with `--key`.",
        )
    if unknown and not allow_unknown:
        raise IntegrityError(
            f"also carries signatures by keys that were not given: {', '.join(unknown)}",
            advice="Pass the .pub files of all signers: a signature that cannot be checked is not evidence.",
        )
    return VerifiedEnvelope(envelope.payload, envelope.payload_type, tuple(verified), tuple(unknown))


def _signature(entry: Json) -> Signature:
    members = _members(entry, {"keyid", "sig"}, "a signature")
    key_id = members["keyid"]
    if not isinstance(key_id, str) or len(key_id) != 64 or not set(key_id) <= set("0123456789abcdef"):
        raise _malformed("a keyid is not a lower-case hex SHA-256")
    return Signature(key_id, _base64(members["sig"], "sig"))


def _members(value: Json, names: set[str], what: str) -> dict[str, Json]:
    if not isinstance(value, dict) or value.keys() != names:
        raise _malformed(f"{what} does not have exactly the members {', '.join(sorted(names))}")
    return value


def _base64(value: Json, what: str) -> bytes:
    if not isinstance(value, str):
        raise _malformed(f"{what} is not text")
    try:
        decoded = b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"{what} is not base64") from error
    # "QQ==" and "QR==" decode alike, even under strict rules: only the encoder's own spelling counts.
    if b64encode(decoded).decode("ascii") != value:
        raise _malformed(f"{what} is a second spelling of its base64")
    return decoded


def _malformed(why: str) -> IntegrityError:
    return IntegrityError(
        f"not a signature envelope (DSSE v1) in its only spelling: {why}",
        advice="Fetch the file again from its signer; it must not be reformatted on the way.",
    )

"""AWS Encryption SDK messages, versions 1 and 2, walked to the last byte.

What the header says is authenticated by its tag, but only for whoever holds the data key, and the tag does not cover
the body: everything here is a declaration. Nonces are frame numbers under a key derived from data key and message id,
so that the message id is what must not repeat; the suites without key derivation (0014, 0046, 0078) encrypt with the
data key itself, and there every second message under one data key repeats the nonce: their `unit` is the IV of the
first frame, which is 1 in every message and not random: sound under a data key of its own, fatal under a shared one.

Bits, counted from below over the simplest message that passes: version 1: version, type, suite (9 of 65,536) 28;
length of the context 16; number of wrapped keys (1 to 64) 10; content type 7; reserved bytes and IV length 40; frame
length 0, or sequence number of the final frame 32; marker of the final frame, or half of the body's length 32; length
to the last byte 32: 197. Version 2: version and suite (2 of 65,536) 23, no reserved bytes and IV length, but an IV
that is the number of its frame 96: 248.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct, error
from typing import Final, TypeAlias

from probes.fields.formats import aws_kms, ciphers
from probes.fields.formats.der import ecdsa_signature
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told, Wrapped

ID: Final = "aws-esdk"


@dataclass(frozen=True, slots=True)
class Suite:
    """One algorithm suite."""

    version: int
    cipher: Cipher
    derives: bool
    """Whether the data key is only the input of a key derivation."""
    curve: int
    """Bytes of the signing curve; 0 without a footer."""


SUITES: Final = {
    0x0014: Suite(1, ciphers.AES_128_GCM, False, 0),
    0x0046: Suite(1, ciphers.AES_192_GCM, False, 0),
    0x0078: Suite(1, ciphers.AES_256_GCM, False, 0),
    0x0114: Suite(1, ciphers.AES_128_GCM, True, 0),
    0x0146: Suite(1, ciphers.AES_192_GCM, True, 0),
    0x0178: Suite(1, ciphers.AES_256_GCM, True, 0),
    0x0214: Suite(1, ciphers.AES_128_GCM, True, 32),
    0x0346: Suite(1, ciphers.AES_192_GCM, True, 48),
    0x0378: Suite(1, ciphers.AES_256_GCM, True, 48),
    0x0478: Suite(2, ciphers.AES_256_GCM, True, 0),
    0x0578: Suite(2, ciphers.AES_256_GCM, True, 48),
}

# Where things lie. Version 1: 01 | 80 | suite u16 | message id 16; version 2: 02 | suite u16 | message id 32. Then:
# context u16 n, n bytes: [u16 pairs, (u16 name, u16 value)*] | wrapped keys u16, each (u16 provider, u16 info, u16
# blob) | content type u8 | version 1: 00000000 0c | frame length u32 | version 2: commitment 32 | version 1: IV 12 |
# tag 16
ID_V1: Final = (4, 16)  # offset, length
ID_V2: Final = (3, 32)
RESERVED_V1: Final = b"\0\0\0\0\x0c"
COMMITMENT: Final = 32
IV: Final = 12
TAG: Final = 16
UNFRAMED: Final = 1
FRAMED: Final = 2
# Body, unframed: IV 12 | length u64 | ciphertext | tag 16. Framed: (sequence u32 | IV 12 | ciphertext | tag 16)*, and
# at the end ffffffff | sequence u32 | IV 12 | length u32 | ciphertext | tag 16. Footer: u16 n, signature of n bytes.
FINAL: Final = b"\xff\xff\xff\xff"

MOST_KEYS: Final = 64
"""Wrapped keys that are walked; the SDKs' own default has no bound."""
MOST_PAIRS: Final = 1024

# What the wrapped keys of one provider look like.
HIERARCHY: Final = (28, 16, 60)
"""Branch key's version: offset and length (behind salt 16 and IV 12); bytes beyond the data key."""
RAW_AES_INFO: Final = b"\0\0\0\x80\0\0\0\x0c"
"""Behind the key's name: bits of the tag, bytes of the IV; then the IV."""
RSA_SIZES: Final = (128, 256, 384, 512)

_BITS: Final = {1: 197, 2: 248}
_MAGIC_BITS: Final = {1: 28, 2: 23}
_TOLD: Final = 24
"""Bits from which a value that breaks off is told to have begun as a message."""
_HEADER_BITS: Final = {1: 101, 2: 56}
_HEADER_ENDS: Final = "Its header ends too early."
_BODY_ENDS: Final = "Its body ends too early."
_IV: Final = "The IV of a frame is not the frame's number."
_SPAN_V1: Final = (ID_V1[0], sum(ID_V1))
_SPAN_V2: Final = (ID_V2[0], sum(ID_V2))
_U16: Final = Struct(">H").unpack_from
_V1_TAIL: Final = Struct(">B5sI").unpack_from
_V2_TAIL: Final = Struct(">BI").unpack_from

Span: TypeAlias = tuple[int, int]
Key: TypeAlias = tuple[bytes, bytes, int, int]
"""Provider, its information, start and end of the wrapped key."""
Fields: TypeAlias = tuple[int, Span, Span, tuple[Key, ...], int, int, int]
"""Suite; message id; context (behind its length); wrapped keys; content type; frame length; end of the header."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header, walked to its tag. Offsets are into the message."""

    version: int
    suite: int
    message_id: bytes
    context_at: Span
    """The serialised context as it lies there; empty where there is none."""
    context: tuple[tuple[str, str], ...]
    keys: tuple[Key, ...]
    framed: bool
    frame_length: int
    commitment_at: Span
    """Key commitment; empty in version 1."""
    authenticated: int
    """End of what the header's tag covers."""
    iv_at: Span
    """IV of the header's tag; empty in version 2, where it is zero."""
    tag_at: Span
    end: int
    """Where the body begins."""


def header_fields(data: bytes) -> Fields | str | None:
    """Offsets of the header only, as fast as can be: a sentence where it breaks off, None where it is no message."""
    if len(data) < 40:
        return None
    version = data[0]
    if version == 1:
        suite = _U16(data, 2)[0]
        if data[1] != 0x80 or suite not in SUITES or suite >= 0x0400:
            return None
        message_id = _SPAN_V1
    elif version == 2:
        suite = _U16(data, 1)[0]
        if suite != 0x0478 and suite != 0x0578:
            return None
        message_id = _SPAN_V2
    else:
        return None
    try:
        at = message_id[1]
        length = _U16(data, at)[0]
        start = at + 2
        at = start + length
        context = (start, at)
        count = _U16(data, at)[0]
        at += 2
        if not 0 < count <= MOST_KEYS:
            return "Its number of wrapped keys is none or more than can be walked."
        keys: list[Key] = []
        for _ in range(count):
            p = at + 2 + _U16(data, at)[0]
            i = p + 2 + _U16(data, p)[0]
            b = i + 2
            e = b + _U16(data, i)[0]
            keys.append((data[at + 2 : p], data[p + 2 : i], b, e))
            at = e
        if version == 1:
            content, reserved, frame = _V1_TAIL(data, at)
            if reserved != RESERVED_V1:
                return "Its reserved bytes or the length of its IV are not those of a message."
            at += 38
        else:
            content, frame = _V2_TAIL(data, at)
            at += 53
    except error:
        return _HEADER_ENDS
    if at > len(data):
        return _HEADER_ENDS
    return suite, message_id, context, tuple(keys), content, frame, at


Literal: TypeAlias = tuple[bytes, int]
Shape: TypeAlias = tuple[bytes, bytes, int, int, bytes, int, int, tuple[Literal, ...], Fields]
"""What is fixed in headers of one layout behind one length of the context, and what they say."""


class HeaderReader:
    """Reads the headers of one column, with the answers of `header_fields`.

    A header that is laid out as an earlier one (same suite, wrapping keys, and lengths) is not walked: what must be the
    same in it is compared.
    """

    MOST_SHAPES: Final = 256

    def __init__(self) -> None:
        self._shapes: dict[bytes, Shape] = {}

    def fields(self, data: bytes) -> Fields | str | None:
        """As `header_fields`."""
        shape = self._shapes.get(data[20:22] if data[:1] == b"\1" else data[35:37])
        if shape is not None:
            head, keys, keys_at, keys_end, tail, tail_at, tail_end, more, fields = shape
            if (
                data[keys_at:keys_end] == keys
                and data[tail_at:tail_end] == tail
                and data.startswith(head)
                and len(data) >= fields[6]
                and (not more or all(data.startswith(literal, at) for literal, at in more))
            ):
                return fields
        found = header_fields(data)
        if isinstance(found, tuple) and len(self._shapes) < self.MOST_SHAPES:
            self._learn(data, found)
        return found

    def _learn(self, data: bytes, fields: Fields) -> None:
        _, (id_at, _), (start, stop), keys, _, _, _ = fields
        tail_at = keys[-1][3]
        tail_end = tail_at + (1 + len(RESERVED_V1) + 4 if data[0] == 1 else 1 + 4)
        self._shapes[data[start - 2 : start]] = (
            data[:id_at],
            data[stop : keys[0][2]],
            stop,
            keys[0][2],
            data[tail_at:tail_end],
            tail_at,
            tail_end,
            tuple((data[one[3] : other[2]], one[3]) for one, other in pairwise(keys)),
            fields,
        )


def parse_header(data: bytes) -> Header | None:
    """The header, walked to its tag; None for what is no message or breaks off. What follows is not looked at."""
    found = _header(data)
    return found if isinstance(found, Header) else None


def _header(data: bytes) -> Header | Refused | None:
    fields = header_fields(data)
    if fields is None:
        return None
    version = data[0]
    if isinstance(fields, str):
        begun = _begun(data, version)
        return Refused(ID, fields, begun) if begun >= _TOLD else None
    suite, message_id, (start, stop), keys, content, frame, end = fields
    context = _pairs(data[start:stop])
    if context is None:
        return _refused(version, "Its encryption context is not a list of pairs of text.")
    if content not in (UNFRAMED, FRAMED) or (frame == 0) != (content == UNFRAMED):
        return _refused(version, "Its content type and its frame length contradict each other.")
    if not all(_utf8(provider) is not None and provider for provider, *_ in keys):
        return _refused(version, "The provider of a wrapped key is not text.")
    tag = end - TAG
    iv = tag - IV if version == 1 else tag
    commitment = (iv, iv) if version == 1 else (iv - COMMITMENT, iv)
    return Header(
        version=version,
        suite=suite,
        message_id=data[message_id[0] : message_id[1]],
        context_at=(start, stop),
        context=context,
        keys=keys,
        framed=content == FRAMED,
        frame_length=frame,
        commitment_at=commitment,
        authenticated=iv,
        iv_at=(iv, tag),
        tag_at=(tag, end),
        end=end,
    )


def _refused(version: int, why: str, *, header: bool = False) -> Refused:
    return Refused(ID, why, _HEADER_BITS[version] if header else _MAGIC_BITS[version])


def _begun(data: bytes, version: int) -> int:
    """Bits of evidence in a header that breaks off: of its magic, and of a context that is whole or begins as one."""
    _, at = _SPAN_V1 if version == 1 else _SPAN_V2
    length, count = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
    raw = data[at + 2 : at + 2 + length]
    if len(raw) == length and _pairs(raw) is not None:
        return _MAGIC_BITS[version] + 16
    return _MAGIC_BITS[version] + (0 < 4 * count <= length - 2)


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _pairs(raw: bytes) -> tuple[tuple[str, str], ...] | None:
    """The encryption context, every name once. Sorted names are not asked for: older SDKs sorted otherwise."""
    if not raw:
        return ()
    if len(raw) < 2:
        return None
    return pairs(raw, 2, _U16(raw, 0)[0])


def pairs(raw: bytes, at: int, count: int) -> tuple[tuple[str, str], ...] | None:
    """`count` pairs of (u16 name, u16 value) that reach from `at` to the last byte, in UTF-8, every name once."""
    if not 0 < count <= MOST_PAIRS:
        return None
    texts: list[str] = []
    for _ in range(2 * count):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        text = _utf8(raw[at + 2 : end])
        if text is None or end > len(raw):
            return None
        texts.append(text)
        at = end
    found = dict(zip(texts[::2], texts[1::2], strict=True))
    return tuple(found.items()) if at == len(raw) and len(found) == count else None


@dataclass(frozen=True, slots=True)
class Body:
    """A body, walked to the end of its last tag."""

    first: Span
    """Ciphertext of the first frame."""
    iv: bytes
    """IV of the first frame."""
    plain_length: int
    end: int


def _body(data: bytes, header: Header) -> Body | str:
    """The body; a sentence where it breaks off."""
    if not header.framed:
        start = header.end + IV + 8
        end = start + int.from_bytes(data[start - 8 : start], "big")
        iv = data[header.end : header.end + IV]
        if end + TAG > len(data) or start > len(data):
            return _BODY_ENDS
        if header.version == 2 and int.from_bytes(iv, "big") != 1:
            return _IV
        return Body((start, end), iv, end - start, end + TAG)
    at, total, sequence, first_iv = header.end, 0, 0, b""
    first = (at, at)
    odd: set[bytes] = set()
    final = False
    while not final:
        sequence += 1
        final = data.startswith(FINAL, at)
        at += 4 if final else 0
        start = at + 4 + IV
        length = header.frame_length
        if final:
            length = int.from_bytes(data[start : start + 4], "big")
            start += 4
        end = start + length
        if end + TAG > len(data):
            return _BODY_ENDS
        if length > header.frame_length:
            return "Its final frame is longer than its frames may be."
        if int.from_bytes(data[at : at + 4], "big") != sequence:
            return "Its frames are out of order."
        iv = data[at + 4 : at + 4 + IV]
        if int.from_bytes(iv, "big") != sequence:
            # The first SDKs drew IVs at random; the format asks of them only that none is repeated.
            if header.version == 2:
                return _IV
            if iv in odd:
                return "It repeats an IV within its body."
            odd.add(iv)
        if sequence == 1:
            first, first_iv = (start, end), iv
        total += length
        at = end + TAG
    return Body(first, first_iv, total, at)


def wrapped(provider: bytes, info: bytes, blob: bytes) -> Wrapped:
    """One wrapped data key by its provider. The names are claims: KMS itself finds its key by the blob."""
    name = provider.decode("utf-8", "replace")
    key = info.decode("utf-8", "replace")
    if name == "aws-kms":
        return aws_kms.wrapped(blob, key)
    if name == "aws-kms-hierarchy":
        at, size, over = HIERARCHY
        if len(blob) <= over:
            return Wrapped(name, key, blob, None, 32)
        return Wrapped(name, key, blob, len(blob) - over, 32, blob[at : at + size].hex())
    if name.startswith("aws-kms"):
        return Wrapped(name, key, blob, None, 32)
    tail = len(info) - len(RAW_AES_INFO) - IV
    if tail >= 0 and info.startswith(RAW_AES_INFO, tail) and len(blob) > TAG:
        label = info[:tail].decode("utf-8", "replace")
        return Wrapped("raw-aes", f"{name}/{label}", blob, len(blob) - TAG, 32)
    return Wrapped("raw-rsa" if len(blob) in RSA_SIZES else "unknown", f"{name}/{key}", blob, None, 32)


def parse(data: bytes) -> Told:
    """One message, header, body and footer."""
    header = _header(data)
    if not isinstance(header, Header):
        return header
    body = _body(data, header)
    if isinstance(body, str):
        return _refused(header.version, body, header=True)
    suite = SUITES[header.suite]
    at = body.end
    if suite.curve:
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        if at > len(data):
            return _refused(header.version, "Its footer ends too early.", header=True)
        if not ecdsa_signature(data[body.end + 2 : at], suite.curve):
            return _refused(header.version, "Its footer is no signature.", header=True)
    if at != len(data):
        return _refused(header.version, "Bytes follow its end.", header=True)
    return Parsed(
        format=ID,
        variant=f"v{header.version}",
        bits=_BITS[header.version],
        cipher=suite.cipher,
        wrapped=tuple(wrapped(provider, info, data[start:end]) for provider, info, start, end in header.keys),
        unit=header.message_id if suite.derives else body.iv,
        unit_bits=8 * (len(header.message_id) if suite.derives else IV),
        context=header.context,
        commitment=Commitment.YES if header.version == 2 else Commitment.NO,
        deterministic=False,
        payload=body.first,
        plain_length=body.plain_length,
    )


FORMAT: Final = Format(
    id=ID,
    title="AWS Encryption SDK message",
    parse=parse,
    envelope=True,
    sources=(
        "https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html",
        "https://github.com/awslabs/aws-encryption-sdk-specification (data-format, framework/aws-kms)",
    ),
)

"""Laravel's Encrypter: base64 of `{"iv", "value", "mac", "tag"}`. One key of the application, of unknown size."""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, b64_member, evidence, plain
from probes.fields.formats.strict import b64, json_object
from probes.fields.readable import READABLE

ID: Final = "laravel"
# Where things lie: CBC: iv 16, value = blocks of 16, mac = HMAC-SHA-256 in hex, tag empty or missing.
# GCM: iv 12, value, mac empty, tag 16.
PREFIX: Final = b"eyJpdiI6I"
"""base64 of `{"iv":"`."""
BLOCK: Final = 16
TAG: Final = 16
_MAC: Final = re.compile(r"[0-9a-f]{64}\Z")
_MEMBERS: Final = ({"iv", "value", "mac"}, {"iv", "value", "mac", "tag"})


def parse(value: bytes) -> Told:
    """Walk one value."""
    if not value.startswith(PREFIX):
        return None
    bits = evidence(8 * len(PREFIX) + BASE64_BITS * (len(value) - len(PREFIX)))
    content = b64(value)
    members = json_object(content) if content is not None else None
    if members is None:
        return Refused(ID, "not the base64 of a JSON object to its end", 8 * len(PREFIX))
    if set(members) not in _MEMBERS:
        return Refused(ID, "it has a member that Laravel does not write, or lacks one", bits)
    iv, body, mac, tag = b64_member(members, "iv"), b64_member(members, "value"), members["mac"], members.get("tag", "")
    if iv is None or body is None or not isinstance(mac, str) or not isinstance(tag, str):
        return Refused(ID, "a member is not text in its one spelling", bits)
    sealed = b64_member(members, "tag") if tag else b""
    cipher: Cipher
    if len(iv) == 16 and _MAC.match(mac) is not None and not tag and body and len(body) % BLOCK == 0:
        variant, cipher, length = "cbc", ciphers.AES_CBC_HMAC, None
    elif len(iv) == 12 and not mac and sealed is not None and len(sealed) == TAG:
        variant, cipher, length = "gcm", ciphers.AES_GCM, len(body)
    else:
        return Refused(ID, "neither CBC with a MAC nor GCM with a tag", bits)
    if plain(body + iv + (sealed or b""), str(members["value"]).encode()):
        return Refused(ID, READABLE, bits)
    return Parsed(
        ID,
        variant,
        bits,
        cipher,
        unit=iv,
        unit_bits=8 * len(iv),
        commitment=Commitment.NO if variant == "gcm" else Commitment.UNKNOWN,
        body=body,
        plain_length=length,
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="Laravel Encrypter",
    parse=parse,
    envelope=False,
    sources=("https://github.com/laravel/framework src/Illuminate/Encryption/Encrypter.php",),
    text=True,
)

"""HashiCorp Vault transit: `vault:v<version>:<base64>`.

The name and the type of the key are not in the value: AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 look the same, so
that nothing here can show AES-256. Vault answers that at `transit/keys/<name>`. Convergent keys of their first version
store no nonce; every later one stores it. A field encrypted by `transit/encrypt` has no data key of its own.
"""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told
from probes.fields.formats.spelling import BASE64_BITS, evidence, plain
from probes.fields.formats.strict import b64
from probes.fields.readable import READABLE

ID: Final = "vault-transit"
# Where things lie: `vault:v`, version without leading zeros, `:`, base64 of nonce 12 | ciphertext | tag 16.
_VALUE: Final = re.compile(rb"vault:v([1-9][0-9]{0,9}):([A-Za-z0-9+/]*={0,2})\Z")
PREFIX: Final = b"vault:v"
NONCE: Final = 12
TAG: Final = 16
DATA_KEY: Final = NONCE + 32 + TAG
"""A wrapped 256-bit data key, or any other 32 bytes."""
RSA: Final = frozenset({256, 384, 512})
"""Sizes of RSA ciphertexts: symmetric ones may have them as well, but then the nonce cannot be told apart."""
_SEALED: Final = Cipher(ciphers.UNSTATED.name, ciphers.UNSTATED.family, None, True)


def parse(value: bytes) -> Told:
    """Walk one value."""
    if not value.startswith(PREFIX):
        return None
    found = _VALUE.match(value)
    if found is None:
        return Refused(ID, "no key version and base64 behind `vault:v`", 8 * len(PREFIX))
    bits = evidence(8 * (len(PREFIX) + 1) + BASE64_BITS * len(found[2]))
    blob = b64(found[2])
    if blob is None:
        return Refused(ID, "its base64 is not in its one spelling", bits)
    if len(blob) < NONCE + TAG:
        return Refused(ID, "too short for a nonce and a tag", bits)
    if plain(blob, found[2]):
        return Refused(ID, READABLE, bits)
    version = f"v{found[1].decode('ascii')}"
    if len(blob) in RSA:
        return Parsed(
            ID, "symmetric-or-rsa", bits, ciphers.UNSTATED, static_key=version, body=blob, remarks=("no-envelope",)
        )
    return Parsed(
        ID,
        "data-key-size" if len(blob) == DATA_KEY else "symmetric",
        bits,
        _SEALED,
        static_key=version,
        unit=blob[:NONCE],
        unit_bits=8 * NONCE,
        commitment=Commitment.NO,
        body=blob[NONCE:-TAG],
        plain_length=len(blob) - NONCE - TAG,
        remarks=("no-envelope",),
    )


FORMAT: Final = Format(
    id=ID,
    title="HashiCorp Vault transit",
    parse=parse,
    envelope=False,
    sources=(
        "https://developer.hashicorp.com/vault/api-docs/secret/transit",
        "https://github.com/hashicorp/vault sdk/helper/keysutil/policy.go",
    ),
    text=True,
)

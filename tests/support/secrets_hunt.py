"""Secrets of the practice world, in every spelling in which they could leak, and everything that was written."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

from keycheck.lab.aws_estate import CONFIG_FILE, EXTERNAL_ID_FILE
from keycheck.lab.world import Lab

MAX_DEPTH = 5
TOKENS = (b"ya29.", b"X-Amz-Security-Token:", b"Bearer ")
"""How secrets begin that are made while a run goes on."""


def spellings(secret: bytes) -> set[bytes]:
    """Raw, hexadecimal, percent-encoded, as JSON text, and in Base64 wherever in a longer text it begins."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), quote_from_bytes(secret).encode()}
    found.add("".join(f"%{octet:02X}" for octet in secret).encode())
    found.add(json.dumps(secret.decode("latin-1"))[1:-1].encode())
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret)
        # the first and the last group hold octets of the neighbours, too
        core = whole[4 if shift else 0 : -4]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return {each for each in found if len(each) >= 8}


def materials(lab: Lab) -> set[bytes]:
    """The key material of both clouds: what an escrow holds."""
    assert lab.clouds is not None
    aws, gcp = lab.clouds.aws.cloud, lab.clouds.gcp.cloud
    raw = {
        material.secret
        for shelf in aws.kms.holdings.keys.values()
        for key in shelf.values()
        for material in key.ring.materials
        if isinstance(material.secret, bytes)
    }
    raw |= {
        version.material
        for key in gcp.kms.store.keys.values()
        for version in key.versions.values()
        if isinstance(version.material, bytes)
    }
    assert len(raw) >= 6
    return raw


def credentials(lab: Lab) -> set[bytes]:
    """Secret keys, the external id, private keys of Google's service accounts, and what opens the vendor's door."""
    texts = {
        line.partition("=")[2].strip()
        for line in (lab.home / CONFIG_FILE).read_text().splitlines()
        if line.startswith(("aws_secret_access_key", "aws_session_token"))
    }
    texts.add((lab.home / EXTERNAL_ID_FILE).read_text())
    accounts = sorted(lab.home.glob("*acme-audit*.json"))
    assert accounts
    for path in accounts:
        private = json.loads(path.read_text())["private_key"]
        texts |= {private[100:160], private.splitlines()[3]}
    for path in lab.home.rglob("vendor-authorization*"):
        value = path.read_text().strip()
        texts |= {value, value.rpartition(" ")[2]}
    assert len(texts) >= 5
    return {text.encode() for text in texts}


def unpacked(data: bytes, depth: int = MAX_DEPTH) -> Iterator[bytes]:
    """The octets, and what is inside of them."""
    yield data
    if depth and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as inside:
            for name in inside.namelist():
                yield name.encode()
                yield from unpacked(inside.read(name), depth - 1)


def written_under(*places: Path) -> bytes:
    """Every file, unpacked, and every name."""
    found = [
        piece
        for place in places
        for path in sorted([place, *place.rglob("*")])
        if path.is_file()
        for piece in (str(path).encode(), *unpacked(path.read_bytes()))
    ]
    return b"\n".join(found)


def leaked(secrets: Iterable[bytes], written: bytes) -> list[bytes]:
    """Beginnings of the secrets that occur in any spelling, or of what is made while a run goes on."""
    lost = {secret[:8] for secret in secrets for spelt in spellings(secret) if spelt in written}
    return sorted(lost | {token for token in TOKENS if token in written})

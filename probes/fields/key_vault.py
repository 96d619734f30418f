"""MongoDB's key vault, where the wrapped data keys of its values lie: a second hand-over beside the export.

A value under MongoDB's encryption names its data key by a UUID and carries no wrapped key. Which key wraps it stands in
a document of the collection `__keyVault`. Like everything that a vendor hands over, the documents are claims: they can
show another key, and that a value's data key is in the vault; that the customer's key opens it shows only a sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from keycheck.errors import ProbeError
from keycheck.evidence.files import TooLargeError, read_bounded
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.formats.mongo import VaultKey, vault_key
from probes.fields.formats.seam import Wrapped

MAX_BYTES: Final = 16 << 20
MAX_KEYS: Final = 10_000
_BETWEEN: Final = " \t\r\n,"


def read_key_vault(path: Path) -> Mapping[str, Wrapped]:
    """Wrapped data keys by the hex of their UUIDs, from Extended JSON: one document after another, or one array, as
    `mongoexport` and its `--jsonArray` write them. Raises ProbeError, also for a single entry that is none."""
    name = vendor_text(path.name, 100)
    try:
        data = read_bounded(path, MAX_BYTES)
    except TooLargeError:
        raise ProbeError(Reason.MALFORMED, f"the key vault {name} has more than {MAX_BYTES} bytes") from None
    except OSError as error:
        why = error.strerror or "it is no regular file"
        raise ProbeError(Reason.PERMISSION_DENIED, f"the key vault {name} cannot be read: {why}") from None
    found: dict[str, Wrapped] = {}
    try:
        for number, document in enumerate(_documents(data.decode("utf-8-sig")), 1):
            key = _key(document, name, number)
            if number > MAX_KEYS:
                raise ProbeError(Reason.MALFORMED, f"the key vault {name} has more than {MAX_KEYS} keys")
            if found.setdefault(key.id, key.wrapped) != key.wrapped:
                raise ProbeError(Reason.CONFLICTING, f"the key vault {name} has two keys of one id (entry {number})")
    except (ValueError, RecursionError):
        raise ProbeError(Reason.MALFORMED, f"the key vault {name} is not JSON: export it with `mongoexport`") from None
    return found


def _key(document: bytes, name: str, number: int) -> VaultKey:
    key = vault_key(document)
    if key is None:
        raise ProbeError(Reason.MALFORMED, f"entry {number} of the key vault {name} is no key of MongoDB's encryption")
    return key


def _documents(text: str) -> Iterator[bytes]:
    """Each document's own text. Raises ValueError, RecursionError."""
    decoder = json.JSONDecoder()
    at, end = _skipped(text, 0), len(text)
    inside = text.startswith("[", at)
    at += inside
    while (at := _skipped(text, at)) < end:
        if inside and text.startswith("]", at):
            if _skipped(text, at + 1) < end:
                raise ValueError("something behind the array")
            return
        _, after = decoder.raw_decode(text, at)
        yield text[at:after].encode()
        at = after
    if inside:
        raise ValueError("the array does not end")


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at

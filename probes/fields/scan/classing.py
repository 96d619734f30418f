"""One value at a time: what it is, and where its parts lie. The measure that every faster path is held against."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from probes.fields import recognise
from probes.fields.formats import dbesdk, esdk, s3ec
from probes.fields.formats.seam import Format, Parsed
from probes.fields.scan.hashing import Longs, Regions
from probes.fields.scan.result import OPAQUE, Shape

_UNKEYED: Final = b"\0unkeyed\0"


@dataclass(slots=True)
class Walked:
    """Values of one batch of a column, each classified: parallel arrays, in the order of the rows."""

    shapes: list[Shape]
    shape: Longs
    """Index in `shapes`."""
    row: Longs
    """Within the batch."""
    content: Regions
    """The value after peeling."""
    payload: Regions
    unit: Regions
    key: Regions
    """What tells its data key apart; see `key_identity`."""
    context: Regions
    """The encryption context as it is shown, in one spelling; empty where none is."""
    entries: dict[str, Regions] = field(default_factory=dict)
    """By the name of an entry that a rule asks for: its value in the context."""
    has: dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]] = field(default_factory=dict)
    """By the name: whether the context holds it."""

    def __len__(self) -> int:
        return len(self.row)


_OWN: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        esdk.ID: re.compile("aws-crypto-public-key"),
        dbesdk.ID: re.compile("aws-crypto-.*", re.DOTALL),
        s3ec.ID: re.compile("aws:x-amz-cek-alg|kms_cmk_id"),
    }
)
"""By the format: entries of the context that it writes itself, whatever its caller asked for."""


def shape_of(parsed: Parsed, encoding: str) -> Shape:
    """What is counted of a parsed value."""
    start, end = parsed.payload
    names = {name for name, _ in parsed.context or ()}
    own = _OWN.get(parsed.format)
    asked = tuple(sorted(names if own is None else {name for name in names if not own.fullmatch(name)}))
    return Shape(
        parsed.format,
        parsed.variant,
        encoding,
        parsed.bits,
        parsed.cipher,
        tuple((one.provider, one.key, one.length, one.expected, one.fingerprint) for one in parsed.wrapped),
        parsed.static_key,
        bool(parsed.unit),
        parsed.unit_bits,
        parsed.context is not None,
        parsed.commitment,
        parsed.deterministic,
        (len(parsed.body) or end - start) if parsed.plain_length is None else parsed.plain_length,
        parsed.remarks,
        asked,
        len(asked) < len(names),
    )


def key_identity(parsed: Parsed) -> bytes:
    """What tells data keys apart: the first wrapped key, else the name of the key and the format.

    One data key that is wrapped anew for each value looks like many: what is reused cannot be seen then.
    """
    for one in parsed.wrapped:
        if one.blob:
            return one.blob
    return _UNKEYED + f"{parsed.format}\0{parsed.static_key}".encode("utf-8", "backslashreplace")


def context_bytes(context: Sequence[tuple[str, str]]) -> bytes:
    """Entries in one spelling, each part with its length: as the AWS Encryption SDK writes them."""
    parts = [part.encode("utf-8", "surrogatepass") for entry in context for part in entry]
    return b"".join(min(len(part), 0xFFFF).to_bytes(2, "big") + part for part in parts)


def walk(
    values: Sequence[bytes],
    rows: Longs,
    *,
    expected: Format | None,
    encodings: tuple[str, ...] | None,
    names: Sequence[str],
) -> Walked:
    """Classify values one by one.

    `rows` are their rows in the batch, `expected` and `encodings` what the column usually is, `names` the entries of
    the context that rules ask for.
    """
    shapes: dict[Shape, int] = {}
    index = np.empty(len(values), np.int64)
    contents: list[bytes] = []
    payloads: list[bytes] = []
    units: list[bytes] = []
    keys: list[bytes] = []
    contexts: list[bytes] = []
    entries: dict[str, list[bytes]] = {name: [] for name in names}
    has = {name: np.zeros(len(values), np.bool_) for name in names}
    for at, value in enumerate(values):
        found = recognise.classify(value, expected, encodings)
        parsed, content = found.parsed, found.content
        encoding = "/".join(found.encodings)
        unit = key = context = b""
        held: dict[str, str] = {}
        if parsed is not None:
            shape = shape_of(parsed, encoding)
            payload = recognise.ciphertext(content, parsed)
            unit, key = parsed.unit, key_identity(parsed)
            if parsed.context is not None:
                context = context_bytes(parsed.context)
                held = dict(reversed(parsed.context))
        else:
            opaque = found.kind == OPAQUE
            shape = Shape(found.kind, found.variant, encoding, length=len(content) if opaque else None)
            payload = content if opaque else b""
        index[at] = shapes.setdefault(shape, len(shapes))
        contents.append(content)
        payloads.append(payload)
        units.append(unit)
        keys.append(key)
        contexts.append(context)
        for name in names:
            entry = held.get(name)
            has[name][at] = entry is not None
            entries[name].append(b"" if entry is None else entry.encode("utf-8", "surrogatepass"))
    return Walked(
        list(shapes),
        index,
        rows,
        Regions.of(contents),
        Regions.of(payloads),
        Regions.of(units),
        Regions.of(keys),
        Regions.of(contexts),
        {name: Regions.of(found) for name, found in entries.items()},
        has,
    )

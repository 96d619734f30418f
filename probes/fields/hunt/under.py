"""What lies under the encodings of a column that is encoded as a whole."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from probes.fields.hunt.dress import LONGEST
from probes.fields.peel import layers, peel
from probes.fields.unpack import unpack

LOOK: Final = 16
"""Values that decide how a batch is encoded."""
_LEAST: Final = 8


def under(array: pa.Array) -> tuple[str, pa.Array] | None:
    """What the first values have in common, and the values without it (null where one is not so); None for a column
    that is not encoded. Goes as deep as all of the first sixteen values do, decompression included; of a compressed
    value the first 64 KiB are told. Values of more than 64 KiB are left as null: they are searched as they stand."""
    if pa.types.is_null(array.type):
        return None
    first = _first(array)
    if not first or min(map(len, first)) < _LEAST:
        return None
    taken, packed = _common(first)
    if not taken and not packed:
        return None
    values = [_undressed(each, taken, packed) for each in array.cast(pa.large_binary()).to_pylist()]
    return "/".join((*taken, *(("packed",) if packed else ()))), pa.array(values, pa.large_binary())


def _first(array: pa.Array) -> list[bytes]:
    head = array.slice(0, 64 * LOOK).drop_null()
    return [bytes(each) for each in head.slice(0, LOOK).cast(pa.large_binary()).to_pylist()]


def _common(first: list[bytes]) -> tuple[tuple[str, ...], bool]:
    """The longest chain of encodings that all have, and whether all are compressed under it."""
    if max(map(len, first)) > LONGEST:
        return (), False
    best: tuple[str, ...] = ()
    packed = all(unpack(each) is not None for each in first)
    for layer in () if packed else layers(first[0]):
        if not layer.encodings:
            continue
        below = [peel(each, layer.encodings) for each in first]
        if any(each is None or len(each) < _LEAST for each in below):
            continue
        if len(layer.encodings) > len(best):
            best = layer.encodings
        if all(each is not None and unpack(each) is not None for each in below):
            return layer.encodings, True
    return best, packed


def _undressed(value: bytes | None, taken: tuple[str, ...], packed: bool) -> bytes | None:
    if value is None or len(value) > LONGEST:
        return None
    content = peel(value, taken) if taken else value
    if content is None or not packed:
        return content
    inner = unpack(content)
    return None if inner is None else inner.content

"""An export of so many records, made by the batch: three encrypted columns of three formats, two plain ones, in one of
which every hundredth row holds an e-mail address."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

GROUP: Final = 122_880
ARN: Final = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENCRYPTED: Final = {"email": "aws-esdk", "phone": "vault-transit", "iban": "jwe"}
_NOTES: Final = (
    "Called back on Monday, asks for an invoice.",
    "Nothing to report; next visit in spring.",
    "Wants the offer by e-mail, see ticket #4711.",
    "Moved to a new address (see the other file).",
)
_FIRST: Final = ("anna", "bert", "carla", "dirk", "emma", "frank", "gina", "hugo")
_LETTERS: Final = str.maketrans("0123456789", "abcdefghij")
_LENGTHS: Final = (18, 21, 22, 24, 25, 27, 28, 31)


def _text(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def _blob(size: int) -> tuple[bytes, list[tuple[int, int]]]:
    """What AWS KMS makes of `size` bytes, and where it is random."""
    seal = size + 27
    algorithm = bytes.fromhex("06092a864886f70d010701301e060960864801650304012e3011040c")
    inner = algorithm + bytes(12) + bytes.fromhex("02011080") + bytes([seal]) + bytes(seal)
    version = b"\x02\x01\x00\x30" + bytes([len(inner)]) + inner
    outer = b"\x30" + _long(version)
    der = b"\x30" + _long(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06\xa0" + _long(outer))
    head = bytes([1, 2, 3, 0, 0x78]) + b"\x5a" * 32 + b"\x01" + bytes(16) + len(der).to_bytes(4, "big")
    blob = head + der
    iv = len(blob) - seal - 1 - 4 - 12
    return blob, [(38, 54), (iv, iv + 12), (len(blob) - seal, len(blob))]


def _long(content: bytes) -> bytes:
    size = len(content)
    return (bytes([size]) if size < 0x80 else bytes([0x81, size])) + content


def esdk(rng: np.random.Generator, ids: NDArray[np.int64], plain: int) -> NDArray[np.uint8]:
    """Messages of version 2 whose context names the row, one a line."""
    blob, free = _blob(32)
    digits = b"0" * 9
    pairs = _text(b"field") + _text(b"email") + _text(b"id") + _text(b"c" + digits)
    aad = _text((2).to_bytes(2, "big") + pairs)
    keys = b"\0\x01" + _text(b"aws-kms") + _text(ARN.encode()) + len(blob).to_bytes(2, "big")
    head = b"\x02\x04\x78" + bytes(32) + aad + keys
    tail = b"\x02" + (4096).to_bytes(4, "big") + bytes(48)
    body = b"\xff" * 4 + (1).to_bytes(4, "big") + (1).to_bytes(12, "big") + plain.to_bytes(4, "big")
    whole = head + blob + tail + body + bytes(plain + 16)
    lines = np.tile(np.frombuffer(whole, np.uint8), (len(ids), 1))
    behind = len(head) + len(blob)
    spans = [(3, 35), *((len(head) + a, len(head) + b) for a, b in free), (behind + 5, behind + 53)]
    for start, end in [*spans, (len(whole) - plain - 16, len(whole))]:
        lines[:, start:end] = rng.integers(0, 256, (len(ids), end - start), np.uint8)
    at = len(b"\x02\x04\x78") + 32 + len(aad) - len(digits)
    for place in range(9):
        lines[:, at + place] = 97 + ids // 10 ** (8 - place) % 10
    return lines


def _series(lines: NDArray[np.uint8]) -> pl.Series:
    count, width = lines.shape
    offsets = pa.py_buffer(np.arange(0, (count + 1) * width, width, dtype=np.int64))
    held = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, [None, offsets, pa.py_buffer(lines)])
    return pl.Series(pl.from_arrow(held))


def _random(rng: np.random.Generator, count: int, width: int) -> pl.Series:
    return _series(rng.integers(0, 256, (count, width), np.uint8)).bin.encode("base64")


def _url(series: pl.Series) -> pl.Series:
    return (
        series.str.replace_all("+", "-", literal=True).str.replace_all("/", "_", literal=True).str.strip_chars_end("=")
    )


def _rows(rng: np.random.Generator, first: int, count: int) -> pa.Table:
    ids = np.arange(first, first + count)
    sizes = rng.choice(_LENGTHS, count)
    mail, phone, iban, where = [], [], [], []
    header = json.dumps({"alg": "A256KW", "enc": "A256GCM", "kid": "customer-2026"}, separators=(",", ":")).encode()
    named = urlsafe_b64encode(header).rstrip(b"=").decode()
    for size in _LENGTHS:
        here = np.flatnonzero(sizes == size)
        where.append(here)
        mail.append(_series(esdk(rng, ids[here], size)).bin.encode("base64"))
        phone.append("vault:v1:" + _random(rng, len(here), 12 + size + 16))
        parts = [_url(_random(rng, len(here), width)) for width in (40, 12, size, 16)]
        joined = pl.DataFrame({str(number): part for number, part in enumerate(parts)}).select(
            pl.concat_str(pl.lit(named), pl.all(), separator=".")
        )
        iban.append(joined.to_series())
    order = np.argsort(np.concatenate(where))
    people = np.array(_FIRST)[rng.integers(0, len(_FIRST), count)]
    return pa.table(
        {
            "id": pa.array([f"c{number:09}".translate(_LETTERS) for number in ids.tolist()]),
            **{
                name: pl.concat(parts).gather(order).to_arrow()
                for name, parts in (("email", mail), ("phone", phone), ("iban", iban))
            },
            "note": pa.array(np.array(_NOTES)[rng.integers(0, len(_NOTES), count)].tolist()),
            "contact": pa.array(
                [
                    f"{who}{number % 997}@example.org" if number % 100 == 0 else f"{who}, by the portal ({number % 7})."
                    for number, who in zip(ids.tolist(), people.tolist(), strict=True)
                ]
            ),
        }
    )


def tables(rows: int) -> Iterator[pa.Table]:
    """The records, a row group at a time."""
    rng = np.random.default_rng(2026)
    for first in range(0, rows, GROUP):
        yield _rows(rng, first, min(GROUP, rows - first))


def write(path: Path, rows: int) -> int:
    """Write the export as Parquet; its bytes."""
    writer: pq.ParquetWriter | None = None
    for table in tables(rows):
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=["note"])
        writer.write_table(table, row_group_size=GROUP)
    if writer is not None:
        writer.close()
    return path.stat().st_size

"""Which layout a file has: by its first bytes, and by its name only where these say nothing."""

from __future__ import annotations

from typing import Final

from probes.fields.read.rows import BadRowError, parse
from probes.fields.read.seam import Layout
from probes.fields.read.streams import File, decompressed

HEAD: Final = 1 << 16
_ENDINGS: Final[tuple[tuple[str, Layout], ...]] = (
    (".csv", "csv"),
    (".tsv", "tsv"),
    (".tab", "tsv"),
    (".copy", "tsv"),
    (".ndjson", "ndjson"),
    (".jsonl", "ndjson"),
    (".json", "ndjson"),
    (".txt", "text"),
    (".log", "text"),
)
_PACKED: Final = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".gzip")


def layout(path: str, file: File) -> Layout | None:
    """None where nothing tells. Raises OSError, and BrokenStreamError where not even the start can be had."""
    file.seek(0)
    head = file.read(4)
    if head in (b"PAR1", b"PARE"):
        return "parquet"
    if head == b"Obj\x01":
        return "avro"
    head = _head(file)
    if head.startswith(b"Obj\x01"):
        return "avro"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1]
    named = _named(path)
    if start == b"[":
        # logs begin like that, too
        return named if named in ("csv", "tsv", "text") else "json"
    if start == b"{":
        return _objects(head)
    return named or (None if b"\0" in head else "text")


def _named(path: str) -> Layout | None:
    name = path.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return next((found for ending, found in _ENDINGS if name.endswith(ending)), None)


def _head(file: File) -> bytes:
    stream = decompressed(file)
    head = b""
    while len(head) < HEAD and (data := stream.read(HEAD - len(head))):
        head += data
    return head


def _objects(head: bytes) -> Layout:
    """One object on the first line, or objects over many lines."""
    line, newline, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").partition(b"\n")
    if not newline:
        return "ndjson"
    try:
        parse(line)
    except BadRowError as error:
        return "json" if str(error) == "bad JSON" and line.strip() == b"{" else "ndjson"
    return "ndjson"

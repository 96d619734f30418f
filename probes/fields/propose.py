"""A field map proposed from a sample of an export, for a person to correct. Shows no value."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keycheck.errors import UsageError
from keycheck.model.types import vendor_text
from probes.fields.facts import LeftOut
from probes.fields.peel import peel
from probes.fields.read.seam import Export, Listing
from probes.fields.recognise import Proposal, propose
from probes.fields.subjects import Dataset

_MOST_RULES: Final = 2_000
"""Lines of a field map."""
_MOST_BYTES: Final = 16 << 20
"""Of one column, when no more of it is held."""
_HEAD: Final = """\
# Proposed by `keycheck fields map` from the first rows of each file. A guess about a sample: go through every line.
#   class: none            nothing sensitive, as you have decided; every other class must be encrypted
#   key, context           which key of `keys:` wraps the data keys, and what binds a value to its row
#   opening                an identity that may decrypt; without it nothing that needs the key can pass
# See docs/fields.md.
"""


def proposal(locations: tuple[str, ...], layout: str, rows: int, base: Path, beside: Path) -> str:
    """A deployment with one data set, as YAML with remarks. `base` is what the locations are relative to, `beside`
    where the deployment will stand. Raises UsageError, ProbeError."""
    from probes.fields.read.export import open_export

    stub = Dataset.model_validate(
        {
            "id": "export",
            "source": {"kind": "files", "files": list(locations), "format": layout},
            "origin": {"made_by": "vendor", "method": "unknown"},
        }
    )
    export = open_export(stub, base, (), {})
    listing = export.listing()
    if not listing.columns:
        lost = listing.left_out[0] if listing.left_out else LeftOut(why="no rows", rows=0)
        raise UsageError(
            f"nothing can be proposed: {lost.why} ({', '.join(lost.places) or ', '.join(locations)})",
            advice="name files that are there and hold rows; --format says how to read what has no usual name",
        )
    written = locations if base == beside else tuple(_relative(each, base, beside) for each in locations)
    return _HEAD + "".join(_lines(written, listing, _sampled(export, listing, rows)))


def _relative(location: str, base: Path, beside: Path) -> str:
    return location if "://" in location else os.path.relpath(base / location, beside)


@dataclass(slots=True)
class _Sampled:
    """The first values of one column, and the personal data that shows in them."""

    values: list[bytes] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    """Values by what they hold, where the form is certain."""
    alike: Counter[str] = field(default_factory=Counter)
    """The same, where it is not."""

    held: int = 0
    """Bytes of `values`."""

    def hold(self, values: Iterable[str | bytes | None]) -> None:
        """Some more, without those that say nothing."""
        for value in values:
            if value:
                self.values.append(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
                self.held += len(self.values[-1])

    def look(self, encodings: tuple[str, ...]) -> None:
        """Personal data under the column's own encodings."""
        import pyarrow as pa

        from probes.fields.hunt.detectors import detect

        peeled = [peel(value, encodings) or b"" for value in self.values] if encodings else self.values
        for found in detect(pa.array(peeled, pa.large_binary())):
            (self.seen if found.certain else self.alike)[found.kind] += found.count

    def usual(self) -> str | None:
        """What more than half of the values hold."""
        for counter in (self.seen, self.alike):
            for kind, count in counter.most_common(1):
                if count * 2 > len(self.values):
                    return kind
        return None


def _sampled(export: Export, listing: Listing, rows: int) -> Mapping[str, _Sampled]:
    """The first rows of each file, by column."""
    import pyarrow as pa

    columns: dict[str, _Sampled] = {column: _Sampled() for column in listing.columns}
    files: set[str] = set()
    for shard in listing.shards:
        if shard.file.path in files:
            continue
        files.add(shard.file.path)
        left = rows
        for batch in export.read(shard).batches:
            for name, array in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                if pa.types.is_null(array.type):
                    continue
                part, column = array.slice(0, left), columns.setdefault(name, _Sampled())
                if column.held < _MOST_BYTES:
                    column.hold(part.to_pylist())
            left -= batch.rows.num_rows
            if left <= 0:
                break
    return columns


def _lines(locations: tuple[str, ...], listing: Listing, sampled: Mapping[str, _Sampled]) -> Iterator[str]:
    yield "deployment: fields\ndatasets:\n  - id: export\n"
    yield f"    source: {{kind: files, files: [{', '.join(map(_quoted, locations))}]}}\n"
    yield '    origin: {made_by: vendor, method: "say how it was extracted, by whom and when"}\n'
    yield "    row: []            # columns that identify a row\n    fields:\n"
    names = sorted(sampled)
    for name in names[:_MOST_RULES]:
        column = sampled[name]
        found = propose(column.values)
        column.look(found.encodings)
        entry = f"column: {_quoted(name)}, class: {column.usual() or _class(found)}{_format(found)}"
        yield f"      - {{{entry}}}{_remark(found, column)}\n"
    if len(names) > _MOST_RULES:
        yield f"    # a field map names {_MOST_RULES} columns: {len(names) - _MOST_RULES} are left away\n"
    for lost in listing.left_out:
        yield f"    # not read: {vendor_text(lost.why)}\n"


def _class(found: Proposal) -> str:
    """Of a column in which no class shows."""
    return "sensitive" if found.format is not None or found.kind in ("opaque", "mixed", "malformed") else "none"


def _format(found: Proposal) -> str:
    return f", format: {found.format.id}" if found.format is not None else ""


def _remark(found: Proposal, column: _Sampled) -> str:
    if not found.values:
        return "  # no value in the sample"
    seen = "/".join(found.encodings)
    words = [f"{found.fits} of {found.values} values are {found.kind}" + (f" in {seen}" if seen else "")]
    if len(found.counts) > 1:
        words = [", ".join(f"{count} {kind}" for kind, count in found.counts[:4]) + f" of {found.values} values"]
    if column.seen and found.format is None:  # in ciphertext such forms turn up by chance
        words.append(f"in the clear: {', '.join(f'{count} {kind}' for kind, count in column.seen.most_common(4))}")
    if found.alternatives:
        words.append(f"or {', '.join(found.alternatives)}")
    return f"  # {'; '.join(words)}"


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=True)

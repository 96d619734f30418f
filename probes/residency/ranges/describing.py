"""The part of an index file that is JSON: sources and labels. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final, overload

from pydantic import StringConstraints, ValidationError

from keycheck.model.types import Count, Digest, Instant, Model, VendorText
from probes.residency.ranges.claims import Label, name
from probes.residency.ranges.seam import SOURCE_NAME, Dated, RangesError, Source

MEND: Final = "delete the index and import the lists again: `keycheck ranges update` or `keycheck ranges import`"


def broken(how: str) -> RangesError:
    """What an index that cannot be believed raises."""
    return RangesError(f"the index of ranges is damaged: {how}", advice=MEND)


class _SourceRow(Model):
    name: Annotated[str, StringConstraints(pattern=SOURCE_NAME)]
    published: Instant | None
    digest: Digest
    origin: VendorText
    prefixes: Count
    imported_at: Instant
    rows: Count
    left_out: Count
    ambiguous: Count
    shrunk_from: Count | None
    private_allowed: bool
    dated: Dated


class Labels(Sequence[tuple[int, Label]]):
    """Labels as they stand in the file; each is checked when it is asked for, as most never are."""

    def __init__(self, raw: list[object], sources: int) -> None:
        self._raw = raw
        self._sources = sources

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, index: int) -> tuple[int, Label]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[int, Label]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, Label] | Sequence[tuple[int, Label]]:
        """Raises RangesError, IndexError."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        match self._raw[index]:
            case [
                int(source),
                str(provider),
                None | str() as region,
                None | str() as border_group,
                list(services),
                bool(anycast),
                bool(ambiguous),
            ] if 0 <= source < self._sources:
                try:
                    return source, Label(
                        name(provider, "provider"),
                        None if region is None else name(region, "region"),
                        None if border_group is None else name(border_group, "border group"),
                        tuple(name(each, "service") for each in services),
                        anycast=anycast,
                        ambiguous=ambiguous,
                    )
                except RangesError as error:
                    raise broken(str(error)) from None
        raise broken(f"label {index} is none")


def description(sources: Sequence[Source], labels: Sequence[tuple[int, Label]]) -> bytes:
    """The JSON."""
    rows = [_SourceRow(**asdict(source)).model_dump(mode="json") for source in sources]
    told = {"sources": rows, "labels": [[source, *label] for source, label in labels]}
    return json.dumps(told, separators=(",", ":")).encode("ascii")


def described(text: bytes) -> tuple[tuple[Source, ...], Labels]:
    """Sources and labels out of the JSON. Raises RangesError."""
    try:
        told: object = json.loads(text)
    except (ValueError, RecursionError):
        raise broken("its description is no JSON") from None
    match told:
        case {"sources": list(rows), "labels": list(labels), **rest} if not rest:
            pass
        case _:
            raise broken("its description is of another shape")
    try:
        sources = tuple(Source(**dict(_SourceRow.model_validate(row))) for row in rows)
    except ValidationError as error:
        raise broken(f"a source has a wrong {error.errors()[0]['loc']}") from None
    names = [source.name for source in sources]
    if names != sorted(set(names)):
        raise broken("its sources are not in order")
    return sources, Labels(labels, len(sources))

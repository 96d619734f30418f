"""Answers and sources for people and programs: text, JSON, CSV. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, assert_never

from keycheck.model.types import format_instant
from probes.residency.ranges.seam import Attribution, Source

Style: TypeAlias = Literal["text", "json", "csv"]
CSV_HEADER: Final = "address,status,source,provider,region,border_group,place,anycast,services,prefix"
"""Where several sources hold an address, each column has their values in one order, with `|` between them."""
ATTRIBUTED: Final = "attributed"
NO_SOURCE: Final = "no-source"
MALFORMED: Final = "malformed"
WARN: Final = timedelta(days=30)
STALE: Final = timedelta(days=90)
"""The ages that `show` points out; what they do to a verdict, the parameters of controls say."""


def frame(answer: Sequence[Attribution], style: Style) -> tuple[str, str]:
    """What stands before and after the address in the line of an answer."""
    status = ATTRIBUTED if answer else NO_SOURCE
    match style:
        case "text":
            return "", "\t" + (" | ".join(map(_words, answer)) or "in no source")
        case "json":
            rest = {"status": status, "attributions": [attribution_json(each) for each in answer]}
            return '{"address":"', '",' + json.dumps(rest, separators=(",", ":"))[1:]
        case "csv":
            columns = zip(*map(_cells, answer), strict=True)
            return "", "," + ",".join([status, *map("|".join, columns)] if answer else [status, *[""] * 8])
        case _:
            assert_never(style)


def malformed(style: Style) -> str:
    """The line for a line without an address; what stood there is not repeated."""
    match style:
        case "text":
            return "-\tno address"
        case "json":
            return '{"address":null,"status":"malformed","attributions":[]}'
        case "csv":
            return "," + MALFORMED + "," * 8
        case _:
            assert_never(style)


def attribution_json(one: Attribution) -> dict[str, object]:
    """As it is written into JSON; `place` is spelt out."""
    return {
        "source": one.source,
        "provider": one.provider,
        "region": one.region,
        "border_group": one.border_group,
        "place": one.place,
        "anycast": one.anycast,
        "ambiguous": one.ambiguous,
        "services": list(one.services),
        "prefix": one.prefix,
    }


def _cells(one: Attribution) -> tuple[str, ...]:
    place = (one.region or "", one.border_group or "", one.place or "")
    return one.source, one.provider, *place, "yes" if one.anycast else "no", "+".join(one.services), one.prefix


def _words(one: Attribution) -> str:
    who = one.source if one.source == one.provider else f"{one.source} {one.provider}"
    if one.anycast:
        where = "no place: anycast"
    elif one.ambiguous:
        where = "no place: claimed for several"
    elif one.border_group:
        where = f"{one.border_group} (border group of {one.region})"
    else:
        where = one.region or "no place: no region"
    return ", ".join([f"{who} {where}", *filter(None, ["+".join(one.services)]), one.prefix])


def sources_json(sources: Sequence[Source], now: datetime) -> str:
    """The sources of an index, with their ages in whole seconds."""
    rows = []
    for one in sources:
        age = one.age(now)
        rows.append(
            {
                "name": one.name,
                "published": format_instant(one.published) if one.published else None,
                "dated": one.dated,
                "age_seconds": None if age is None else age // timedelta(seconds=1),
                "standing": standing(age),
                "imported_at": format_instant(one.imported_at),
                "sha256": one.digest,
                "origin": one.origin,
                "prefixes": one.prefixes,
                "rows": one.rows,
                "left_out": one.left_out,
                "ambiguous": one.ambiguous,
                "shrunk_from": one.shrunk_from,
                "private_allowed": one.private_allowed,
            }
        )
    return json.dumps({"sources": rows}, indent=2) + "\n"


def sources_text(sources: Sequence[Source], now: datetime) -> str:
    """A paragraph for each source."""
    return "\n".join(_source_text(one, now) for one in sources)


def standing(age: timedelta | None) -> Literal["fresh", "old", "stale", "undated"]:
    """What an age is worth by the usual limits. A date in the future is none."""
    if age is None or age < timedelta(0):
        return "undated"
    if age > STALE:
        return "stale"
    return "old" if age > WARN else "fresh"


def _source_text(one: Source, now: datetime) -> str:
    age = one.age(now)
    days = "age unknown" if age is None else f"{age // timedelta(days=1)} days old"
    dated = f"{one.published:%Y-%m-%d} by the {_BY.get(one.dated, one.dated)}" if one.published else _BY[one.dated]
    counts = f"{one.prefixes:,} prefixes from {one.rows:,} rows"
    if one.left_out:
        counts += f", {one.left_out:,} rows covered by others"
    if one.ambiguous:
        counts += f", {one.ambiguous:,} prefixes claimed for several regions"
    lines = [
        f"{one.name}: {standing(age)}, {days}",
        f"  dated     {dated}",
        f"  holds     {counts}",
        f"  imported  {one.imported_at:%Y-%m-%d %H:%M} UTC from {one.origin}",
        f"  sha256    {one.digest}",
    ]
    if one.shrunk_from is not None:
        lines.append(f"  accepted  a shrink from {one.shrunk_from:,} prefixes")
    if one.private_allowed:
        lines.append("  accepted  private and reserved ranges")
    return "\n".join(lines) + "\n"


_BY: Final = {
    "list": "list itself",
    "file-name": "file's name",
    "stated": "word of who imported it",
    "fetched": "when it was fetched; the list has no date",
    "own": "when it was imported; the file has no date",
    "undated": "by nobody: state its date with --dated",
}

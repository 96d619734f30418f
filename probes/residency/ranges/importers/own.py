"""The user's own ranges: CSV or JSON, or a geofeed (RFC 8805), which is no more than a claim of its author.

CSV has the header `prefix,provider,region` and, if wanted, `service`, `border_group`, `anycast` (`yes`, `no`). JSON is
`{"published": "2026-11-22T10:00:00Z", "prefixes": [{"prefix": …, "provider": …, "region": …}, …]}` with the same names,
and `published` at will. What is anycast in the providers' own lists is so here too, whatever the file says. A geofeed
has no header: prefix, country, region, city, postal code. Its provider is `geofeed` and its region the country that it
names, so that nothing takes it for a cloud's own word.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from keycheck.model.types import parse_instant, vendor_text
from probes.residency.ranges.claims import Claim, Listing, name
from probes.residency.ranges.documents import items, json_of, members, text_of
from probes.residency.ranges.importers import aws, azure, edges
from probes.residency.ranges.prefixes import Prefix, parse_published
from probes.residency.ranges.seam import RangesError

NEEDED: Final = ("prefix", "provider", "region")
MORE: Final = ("service", "border_group", "anycast")
GEOFEED: Final = "geofeed"
_HOW: Final = "write the header prefix,provider,region[,service][,border_group][,anycast] and a line for each prefix"
_YES: Final = {"": False, "no": False, "yes": True}


def read(files: tuple[bytes, ...], *, allow_private: bool) -> Listing:
    """Raises RangesError, naming the line or row; also where two rows put one prefix into two places, as their author
    can say which one is right."""
    text = text_of(files[0])
    published: datetime | None = None
    if text.lstrip()[:1] in ("{", "["):
        published, rows = _json(files[0])
    else:
        rows = _lines(text)
    claims: list[Claim] = []
    places: dict[Prefix, tuple[object, ...]] = {}
    for where, row in rows:
        try:
            claim = _claim(row, allow_private)
        except RangesError as error:
            raise RangesError(f"{where}: {error}", advice=error.advice) from None
        place = (claim.provider, claim.region, claim.border_group, claim.anycast)
        if places.setdefault(claim.prefix, place) != place:
            raise RangesError(
                f"{where}: {claim.prefix} was put elsewhere by an earlier line", advice="keep one of them, or split it"
            )
        claims.append(claim)
    return Listing(tuple(claims), published)


def _claim(row: Mapping[str, str], allow_private: bool) -> Claim:
    if missing := [key for key in NEEDED if key not in row]:
        raise RangesError(f"there is no {missing[0]}", advice=_HOW)
    if strays := sorted(row.keys() - {*NEEDED, *MORE}):
        raise RangesError(f"{vendor_text(strays[0], 40)!r} is no column", advice=_HOW)
    if (anycast := _YES.get(row.get("anycast", ""))) is None:
        raise RangesError("anycast is neither yes nor no", advice=_HOW)
    provider, service = name(row["provider"], "provider"), _named(row, "service")
    region, border = _named(row, "region"), _named(row, "border_group")
    return Claim(
        parse_published(row["prefix"], allow_private=allow_private),
        provider,
        region=region,
        border_group=None if border == region else border,
        service=service,
        anycast=anycast or _is_edge(provider, service),
    )


def _is_edge(provider: str, service: str | None) -> bool:
    """What no file can make a place: the same names are none in the providers' own lists."""
    if provider == "aws":
        return (service or "").upper() in aws.ANYCAST
    return provider in edges.EDGES or (provider == "azure" and service == azure.EDGE)


def _named(row: Mapping[str, str], key: str) -> str | None:
    return name(row[key], key) if row.get(key) else None


def _json(data: bytes) -> tuple[datetime | None, Iterator[tuple[str, Mapping[str, str]]]]:
    whole = json_of(data)
    if isinstance(whole, list):
        return None, _texts(whole)
    file = members(whole, "the file")
    if strays := sorted(file.keys() - {"published", "prefixes"}):
        raise RangesError(f"unknown member {vendor_text(strays[0], 40)!r}", advice="there are published and prefixes")
    try:
        published = parse_instant(file["published"]) if "published" in file else None
    except ValueError as error:
        raise RangesError(f"published: {error}", advice="write UTC as 2026-11-22T10:00:00Z") from None
    return published, _texts(items(file, "prefixes", "the file"))


def _texts(rows: list[object]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for number, row in enumerate(rows, 1):
        found: dict[str, str] = {}
        for key, value in members(row, f"row {number}").items():
            if value is None or isinstance(value, str):
                found[key] = value or ""
            elif isinstance(value, bool) and key == "anycast":
                found[key] = "yes" if value else "no"
            else:
                raise RangesError(f"row {number}: {vendor_text(key, 40)!r} is no text", advice=_HOW)
        yield f"row {number}", found


def _lines(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    rows = csv.reader(text.splitlines(), strict=True)
    header: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            where = f"line {rows.line_num}"
            if not any(cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = _header(cells, where)
                if header is not _GEOFEED_HEADER:
                    continue
            if len(cells) > len(header) or (len(cells) < len(header) and header is not _GEOFEED_HEADER):
                raise RangesError(f"{where}: {len(cells)} columns, not {len(header)}", advice=_HOW)
            found = dict(zip(header, cells, strict=False))
            yield where, _geofeed(found) if header is _GEOFEED_HEADER else found
    except csv.Error as error:
        raise RangesError(f"line {rows.line_num}: {error}", advice=_HOW) from None


_GEOFEED_HEADER: Final = ["prefix", "country", "subdivision", "city", "postal"]


def _header(cells: list[str], where: str) -> list[str]:
    """The names of the columns; a first line that begins with an address is a geofeed's."""
    if "prefix" in cells and len(set(cells)) == len(cells):
        return cells
    if cells[0][:1].isalnum() and ("." in cells[0] or ":" in cells[0]):
        return _GEOFEED_HEADER
    raise RangesError(f"{where}: no header", advice=_HOW)


def _geofeed(row: Mapping[str, str]) -> Mapping[str, str]:
    prefix, country = row["prefix"], row.get("country", "")
    if "/" not in prefix:  # RFC 8805, section 2.1.1.1: an address alone is a whole prefix
        prefix += "/128" if ":" in prefix else "/32"
    return {"prefix": prefix, "provider": GEOFEED, "region": country.upper()}

"""Makes the planned exports: files in the lab's home, sealed under the customer's keys by the vendor's own envelope
code, with what a deployment file says of them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from keycheck.lab.data_keks import Keks, aws_keks, gcp_keks
from keycheck.lab.data_rows import Row, rows
from keycheck.lab.data_sites import DEPLOYMENT, EXPORTS, ROTATED_DAYS, Column, DataSite, Envelope, Harm, Layout, Leak
from keycheck.lab.data_ways import Value, Ways
from keycheck.model.types import Entropy

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

_PLAIN: Final = ("tenant", "id", "country", "written", "reference", "label")
"""Columns that hold nothing sensitive, by the field map."""
_FORMATS: Final = {Envelope.ENCRYPTION_SDK: "aws-esdk", Envelope.TINK: "tink"}
_SUFFIXES: Final = {Layout.PARQUET: "parquet", Layout.NDJSON: "ndjson.gz"}
_ROW_GROUP: Final = 64
_SAMPLES: Final = 300
"""More than there are data keys in a column, so that nothing is left to chance."""
_CALLS: Final = 5_000


@dataclass(frozen=True, slots=True)
class LabData:
    """What a deployment file needs to know of one export. ``entry`` is its place in the section ``datasets``."""

    id: str
    entry: Mapping[str, object]


def make_data_sets(
    home: Path, clouds: Clouds, sites: Sequence[DataSite], honest: Sequence[DataSite], entropy: Entropy
) -> tuple[LabData, ...]:
    """Every export whose key can wrap data keys. ``honest``: the same sites as the contract has them, for the field
    map. Raise OSError when a file cannot be written."""
    made = (_made(home, clouds, site, agreed, entropy) for site, agreed in zip(sites, honest, strict=True))
    return tuple(data for data in made if data is not None)


def _made(home: Path, clouds: Clouds, site: DataSite, agreed: DataSite, entropy: Entropy) -> LabData | None:
    keks = _keks(clouds, site, entropy)
    if keks is None:
        return None
    now = clouds.clock()
    door = (
        clouds.aws.door(site.key)
        if site.envelope is Envelope.ENCRYPTION_SDK
        else clouds.gcp.door(keks.customer.current.name)
    )
    people = rows(site, now, entropy)
    ways = Ways(site, people, keks, door.envelope(0.0), entropy)
    table = _table(site, people, ways)
    where = home / EXPORTS / site.id
    (where / "beside").mkdir(parents=True, exist_ok=True)
    digests = _write(where, site, table, len(people))
    _beside(where / "beside", site, people)
    canaries = where / "canaries.json"
    canaries.touch(mode=0o600)
    canaries.write_text(json.dumps(_canaries(site, people, now, clouds.clock())), encoding="utf-8")
    return LabData(site.id, _entry(site, agreed, now, digests, len(people)))


def _keks(clouds: Clouds, site: DataSite, entropy: Entropy) -> Keks | None:
    match site.envelope:
        case Envelope.ENCRYPTION_SDK:
            return aws_keks(clouds, site.key, entropy)
        case Envelope.TINK:
            return gcp_keks(clouds, site.key, entropy)
        case _:
            assert_never(site.envelope)


def _table(site: DataSite, people: Sequence[Row], ways: Ways) -> dict[str, list[Value]]:
    table: dict[str, list[Value]] = {
        name: [_plain(site, row, name, n) for n, row in enumerate(people)] for name in _PLAIN
    }
    for column in site.columns:
        table[column.name] = ways.values(column)
    if site.undeclared:
        table["address"] = [f"Rue de la Loi {n}, 1040 Brussels" for n, _ in enumerate(people)]
    return table


def _plain(site: DataSite, row: Row, name: str, number: int) -> str:
    match name:
        case "written":
            return _instant(row.written)
        case "reference" if Leak.HASH in site.leaks:
            return hashlib.sha256(row.values["email"].encode()).hexdigest()
        case "reference":
            return f"ref-{number:05d}"
        case "label" if Leak.SEARCH_COLUMN in site.leaks:
            return row.values["email"]
        case "label":
            return f"contact {row.id}"
        case _:
            return str(getattr(row, name))


def _write(where: Path, site: DataSite, table: Mapping[str, list[Value]], count: int) -> list[str]:
    """Writes the files; gives the SHA-256 of each as it was handed over."""
    left = count - count // 10 if site.harm is Harm.SHORT else count
    size, digests = -(-left // site.files), []
    for number in range(site.files):
        part = {name: values[number * size : min(left, (number + 1) * size)] for name, values in table.items()}
        written = _parquet(site, part) if site.layout is Layout.PARQUET else _ndjson(part)
        digests.append(hashlib.sha256(b"changed" if site.harm is Harm.CHANGED else written).hexdigest())
        if site.harm is Harm.DAMAGED and number == site.files - 1:
            written = written[: len(written) * 2 // 3]
        (where / f"contacts-{number}.{_SUFFIXES[site.layout]}").write_bytes(written)
    return digests


def _parquet(site: DataSite, part: Mapping[str, list[Value]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    binary = {column.name for column in site.columns if column.binary}
    arrays = {
        name: pa.array([_octets(v) for v in values], pa.binary())
        if name in binary
        else pa.array([_text(v) for v in values], pa.string())
        for name, values in part.items()
    }
    out = io.BytesIO()
    pq.write_table(pa.table(arrays), out, row_group_size=_ROW_GROUP, compression="zstd")
    return out.getvalue()


def _ndjson(part: Mapping[str, list[Value]]) -> bytes:
    lines = (
        json.dumps({name: _text(value) for name, value in zip(part, line, strict=True)}, ensure_ascii=False) + "\n"
        for line in zip(*part.values(), strict=True)
    )
    return gzip.compress("".join(lines).encode(), mtime=0)


def _text(value: Value) -> str | None:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _octets(value: Value) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _beside(where: Path, site: DataSite, people: Sequence[Row]) -> None:
    """The application's log and a dump of the search index."""
    log, index = [], []
    for number, row in enumerate(people):
        asked = f"?q={row.values['email']}" if Leak.LOG in site.leaks and number % 10 == 0 else f"/{row.id}"
        log.append(
            f'{_instant(row.written)} INFO api tenant={row.tenant} "GET /v1/contacts{asked}" 200 {number % 40} ms'
        )
        entry: dict[str, object] = {"tenant": row.tenant, "id": row.id, "country": row.country, "shard": number % 4}
        if Leak.SEARCH_DUMP in site.leaks:
            entry |= {"title": row.values["name"], "text": row.values["iban"]}
        index.append(json.dumps(entry))
    (where / "application.log").write_text("\n".join((*log, "")), encoding="utf-8")
    (where / "search-index.ndjson").write_text("\n".join((*index, "")), encoding="utf-8")


def _canaries(site: DataSite, people: Sequence[Row], began: datetime, planted: datetime) -> Mapping[str, object]:
    """What was planted, as `keycheck canary plant` writes it down. A field of few values has no room for one."""
    return {
        "canaries": "keycheck.dev/canaries/1",
        "deployment": DEPLOYMENT,
        "dataset": site.id,
        "plan": "practice",
        "plan_sha256": hashlib.sha256(b"").hexdigest(),
        "records": [
            {
                "id": row.id,
                "sealed": True,
                "state": "planted",
                "row": [["tenant", row.tenant], ["id", row.id]],
                "named": [["id", row.id]],
                "values": [
                    {"id": f"{row.id}-{c.name}", "class": c.class_, "column": c.name, "value": row.values[c.name]}
                    for c in site.columns
                    if c.values is None
                ],
                "began": _instant(began),
                "planted": _instant(planted + timedelta(seconds=1)),
            }
            for row in people
            if row.canary
        ],
    }


def _entry(site: DataSite, agreed: DataSite, now: datetime, digests: list[str], count: int) -> Mapping[str, object]:
    place = f"{EXPORTS}/{site.id}"
    aws = agreed.envelope is Envelope.ENCRYPTION_SDK
    return {
        "id": agreed.id,
        "source": {"kind": "files", "files": [f"{place}/contacts-*.{_SUFFIXES[agreed.layout]}"]},
        "beside": [f"{place}/beside/*"],
        "fields": [
            *({"column": name, "class": "none"} for name in _PLAIN),
            *(_rule(agreed, column) for column in agreed.columns),
        ],
        "row": ["tenant", "id"],
        "tenant": "tenant",
        "written": "written",
        "origin": {
            "made_by": "vendor" if site.made_by_vendor else "customer",
            "method": "the vendor's own export job"
            if site.made_by_vendor
            else "read from the live store, table contacts",
            "by": "the vendor" if site.made_by_vendor else "the customer's auditor",
            "at": _instant(now),
            "digests": digests,
            "rows": count,
        },
        "canaries": f"{place}/canaries.json",
        "opening": {"identity": "opener" if aws else "opener-g", "samples": _SAMPLES, "calls": _CALLS},
        "limits": {"uses_per_data_key": agreed.uses, "rotated": _instant(now - timedelta(days=ROTATED_DAYS))},
    }


def _rule(agreed: DataSite, column: Column) -> Mapping[str, object]:
    """The field map's line for a sealed column."""
    aws = agreed.envelope is Envelope.ENCRYPTION_SDK
    rule: dict[str, object] = {
        "column": column.name,
        "class": column.class_,
        "format": _FORMATS[agreed.envelope],
        "key": agreed.key,
        "context": [
            {"name": "tenant", "column": "tenant"},
            {"name": "record", "column": "id"},
            {"name": "field", "value": column.name},
        ],
    }
    if not aws:
        rule["associated"] = "context-json"
    if column.values is not None:
        rule["values"] = column.values
    if column.optional:
        rule["optional"] = True
    return rule


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

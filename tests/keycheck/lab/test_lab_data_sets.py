"""The practice vendor's exports are what they claim: its own libraries open them, and nothing personal shows."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from keycheck.lab.clouds import Clouds
from keycheck.lab.crm.contacts import record_context
from keycheck.lab.crm.envelope import Envelope, IntegrityFailure
from keycheck.lab.data_defects import DATA_DEFECTS, ESDK, TINK
from keycheck.lab.data_sets import LabData, make_data_sets
from keycheck.lab.data_sites import DataSite, Leak, Way, clean_data_sets
from keycheck.lab.key_sites import clean_keys

NEVER = float("inf")


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def clouds(home: Path) -> Iterator[Clouds]:
    needed = {site.key for site in clean_data_sets()}
    keys = [dataclasses.replace(key, canary=None) for key in clean_keys() if key.id in needed]
    up = Clouds(home, keys, (), now)
    yield up
    up.close()


@pytest.fixture(scope="module")
def clean(home: Path, clouds: Clouds) -> dict[str, LabData]:
    sites = clean_data_sets()
    return {data.id: data for data in make_data_sets(home, clouds, sites, sites, os.urandom)}


def site(id: str) -> DataSite:
    (found,) = (each for each in clean_data_sets() if each.id == id)
    return found


def rows(home: Path, id: str) -> list[dict[str, object]]:
    """Every row, sealed values as bytes."""
    where = home / "exports" / id
    found: list[dict[str, object]] = []
    for file in sorted(where.glob("contacts-*")):
        if file.suffix == ".parquet":
            found += pq.read_table(file).to_pylist()
        else:
            found += [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    sealed = {column.name for column in site(id).columns}
    return [{k: base64.b64decode(v) if k in sealed and isinstance(v, str) else v for k, v in r.items()} for r in found]


def opener(clouds: Clouds, id: str) -> Envelope:
    if id == ESDK:
        return clouds.aws.door("contacts").envelope(NEVER, 1)
    (key,) = (key.resource for key in clouds.keys if key.id == "contacts-g")
    return clouds.gcp.door(key).envelope(NEVER)


def made(home: Path, clouds: Clouds, changed: DataSite) -> list[dict[str, object]]:
    make_data_sets(home, clouds, (changed,), (site(changed.id),), os.urandom)
    return rows(home, changed.id)


@pytest.mark.parametrize("id", [ESDK, TINK])
def test_the_vendors_own_library_opens_every_value_in_its_own_row(id: str, home: Path, clouds: Clouds, clean) -> None:
    envelope, opened = opener(clouds, id), 0
    for row in rows(home, id)[:40] + rows(home, id)[-2:]:
        for column in site(id).columns:
            value = row[column.name]
            if value is None:
                assert column.optional
                continue
            assert isinstance(value, bytes)
            context = record_context(str(row["tenant"]), str(row["id"]), column.name)
            plain = envelope.open(value, context).decode()
            opened += 1
            assert plain
            assert plain.encode() not in json.dumps(row, default=str).encode()
            with pytest.raises(IntegrityFailure):
                envelope.open(value, {**context, "record": "c-x"})
    assert opened > 200


@pytest.mark.parametrize("id", [ESDK, TINK])
def test_the_paperwork_says_what_lies_there(id: str, home: Path, clean) -> None:
    entry = clean[id].entry
    where = home / "exports" / id
    files = sorted(where.glob("contacts-*"))
    assert sorted(entry["origin"]["digests"]) == sorted(hashlib.sha256(f.read_bytes()).hexdigest() for f in files)
    assert entry["origin"]["rows"] == len(rows(home, id)) == site(id).rows + 2
    assert {field["column"] for field in entry["fields"]} == set(rows(home, id)[0])
    assert not [field for field in entry["fields"] if field["class"] != "none" and "key" not in field]


def test_tenants_share_no_data_key_and_none_is_used_more_often_than_agreed(home: Path, clean) -> None:
    uses: dict[bytes, list[str]] = {}
    for row in rows(home, TINK):
        for column in site(TINK).columns:
            value = row[column.name]
            if isinstance(value, bytes):
                uses.setdefault(value[: 4 + int.from_bytes(value[:4], "big")], []).append(str(row["tenant"]))
    assert max(map(len, uses.values())) == site(TINK).uses
    assert all(len(set(tenants)) == 1 for tenants in uses.values())


@pytest.mark.parametrize("id", [ESDK, TINK])
def test_rows_written_since_the_rotation_are_under_the_current_material(id: str, home: Path, clouds, clean) -> None:
    rotated = clean[id].entry["limits"]["rotated"]
    groups: dict[bytes, set[bool]] = {}
    for row in rows(home, id):
        value = row["email"]
        assert isinstance(value, bytes)
        at = value.find(b"\x01\x02\x03\x00\x78") + 5 if id == ESDK else 4 + 3
        groups.setdefault(value[at : at + (32 if id == ESDK else 4)], set()).add(str(row["written"]) >= rotated)
    assert sorted(groups.values(), key=sorted) == [{False}, {True}]


def test_nothing_of_anybody_lies_beside_the_honest_export(home: Path, clean) -> None:
    for id in (ESDK, TINK):
        beside = b"".join(file.read_bytes() for file in (home / "exports" / id / "beside").iterdir())
        assert beside.count(b"\n") > site(id).rows
        assert not [word for word in (b"@", b"BE", b"+32", b"Claes") if word in beside.replace(b'"BE"', b"")]


def test_canaries_are_sealed_over_the_wire_so_that_the_log_shows_when(home: Path, clouds: Clouds, clean) -> None:
    (tenant,) = {str(row["tenant"]) for row in rows(home, ESDK) if str(row["tenant"]).startswith("keycheck-")}
    logged = [
        event
        for event in clouds.aws.cloud.ledger.events("111122223333", "eu-central-1", now())
        if event.name == "GenerateDataKey" and tenant in json.dumps(dict(event.parameters), default=str)
    ]
    assert len(logged) == 2 * len(site(ESDK).columns)


@pytest.mark.parametrize("leak", list(Leak))
def test_a_leak_is_in_the_clear_where_it_says(leak: Leak, home: Path, clouds: Clouds) -> None:
    small = dataclasses.replace(site(TINK), rows=30, leaks=frozenset({leak}))
    found = made(home, clouds, small)
    beside = {file.name: file.read_text() for file in (home / "exports" / TINK / "beside").iterdir()}
    match leak:
        case Leak.LOG:
            assert beside["application.log"].count("@customer.example") == 3
        case Leak.SEARCH_DUMP:
            assert "Ada Adriaens" in beside["search-index.ndjson"]
        case Leak.SEARCH_COLUMN:
            assert sum("@" in str(row["label"]) for row in found) == 32
        case Leak.HASH:
            assert found[0]["reference"] == hashlib.sha256(b"contact.0@customer.example").hexdigest()


def test_ids_are_distinct_and_promises_are_well_formed() -> None:
    assert len({defect.id for defect in DATA_DEFECTS}) == len(DATA_DEFECTS)
    promised = {promise for defect in DATA_DEFECTS for promise in defect.promises}
    assert all(control.startswith("fields.") for control, _ in promised)
    assert {verdict for _, verdict in promised} <= {"fail", "inconclusive", "not-applicable"}
    assert set(Way) - {Way.HONEST} == {
        column.way for defect in DATA_DEFECTS for column in defect.change(site(defect.at)).columns
    } - {Way.HONEST}

"""References: found in the deployment, read once, and unseen with a reason where they are absent or damaged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_networks import database
from residency_stage import an_io

from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.residency.endpoint.owners import Owners, owner_of, read_owners
from probes.residency.endpoint.reach import Outlines
from probes.residency.endpoint.said import range_answer
from probes.residency.endpoint_facts import NetworkOwner, NotAsked, Ranged
from probes.residency.ranges.importing import Accept, Lists, imported
from probes.residency.ranges.store import default_path, put
from probes.residency.references import borders_of, owners_of, ranges_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWN = b"prefix,provider,region\n9.9.9.0/24,vendor,DE\n"
AWS = json.dumps(
    {
        "syncToken": "1", "createDate": "2026-08-22-01-02-03", "ipv6_prefixes": [],
        "prefixes": [
            {"ip_prefix": "3.5.136.0/22", "region": "eu-central-1", "service": "AMAZON",
             "network_border_group": "eu-central-1-ist-1"},
        ],
    }
).encode()  # fmt: skip


def referring(io: Io, **named: dict[str, object]) -> Io:
    subjects = tuple(
        SubjectEntry(id=f"references/{name}", vantages=(), body=CanonicalJson.of({"id": name, "what": what}))
        for name, what in named.items()
    )
    return an_io(base=io.base, subjects=subjects, clock=lambda: NOW)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Io:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return an_io(base=tmp_path, clock=lambda: NOW)


def unseen(found: object) -> Unseen:
    assert isinstance(found, Unseen), found
    return found


def test_without_an_index_the_command_that_makes_one_is_named(here: Io) -> None:
    found = unseen(ranges_of(here))
    assert found.reason is Reason.NOT_COVERED
    assert "keycheck ranges update" in found.detail


def test_the_users_own_index_is_the_default(here: Io) -> None:
    path = default_path({"XDG_DATA_HOME": str(here.base / "home")})
    put(path, lambda before: imported(Lists("own:lab", (OWN,), "own.csv"), NOW, None, Accept()))
    found = range_answer(ranges_of(here), "9.9.9.7", NOW)
    assert isinstance(found, Ranged)
    assert [(one.source, one.region) for one in found.says] == [("own:lab", "DE")]
    assert found.looked_up == NOW


def test_a_damaged_index_is_malformed(here: Io) -> None:
    (here.base / "bad.index").write_bytes(b"not an index at all")
    (here.base / "bad.index").chmod(0o600)
    found = unseen(ranges_of(referring(here, mine={"kind": "ranges", "file": "bad.index"})))
    assert found.reason is Reason.MALFORMED
    assert "references/mine" in found.detail


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1,2", b'{"prefixes": 3}', AWS.replace(b"3.5.136.0/22", b"0.0.0.0/0")]
)
def test_a_damaged_list_is_malformed(here: Io, content: bytes) -> None:
    (here.base / "aws.json").write_bytes(content)
    named: dict[str, object] = {"kind": "ranges", "file": "aws.json", "source": "aws"}
    assert unseen(ranges_of(referring(here, mine=named))).reason is Reason.MALFORMED


def test_a_named_file_that_is_not_there_is_no_reason_to_use_another(here: Io) -> None:
    found = unseen(ranges_of(referring(here, mine={"kind": "ranges", "file": "gone.index"})))
    assert "gone.index" in found.detail


def test_a_providers_own_list_is_read_on_the_fly_and_several_count_together(here: Io) -> None:
    (here.base / "aws.json").write_bytes(AWS)
    (here.base / "own.csv").write_bytes(OWN)
    io = referring(
        here,
        a={"kind": "ranges", "file": "aws.json", "source": "aws"},
        b={"kind": "ranges", "file": "own.csv", "source": "own:lab"},
    )
    found = range_answer(ranges_of(io), "3.5.136.1", NOW)
    assert isinstance(found, Ranged)
    assert [(one.region, one.border_group) for one in found.says] == [("eu-central-1", "eu-central-1-ist-1")]
    assert [one.name for one in found.sources] == ["aws", "own:lab"]
    assert ranges_of(io) is ranges_of(io)


def test_one_damaged_list_spoils_all(here: Io) -> None:
    (here.base / "aws.json").write_bytes(AWS)
    (here.base / "own.csv").write_bytes(b"\x00")
    io = referring(
        here,
        a={"kind": "ranges", "file": "aws.json", "source": "aws"},
        b={"kind": "ranges", "file": "own.csv", "source": "own:lab"},
    )
    assert unseen(ranges_of(io)).reason is Reason.MALFORMED


def test_two_lists_of_one_source_contradict_each_other(here: Io) -> None:
    (here.base / "aws.json").write_bytes(AWS)
    named: dict[str, object] = {"kind": "ranges", "file": "aws.json", "source": "aws"}
    assert "several references" in unseen(ranges_of(referring(here, a=named, b=named))).detail


def test_borders(here: Io) -> None:
    assert borders_of(here) == NotAsked()
    assert unseen(borders_of(referring(here, b={"kind": "borders", "file": "gone.json"}))).reason is Reason.TOOL_MISSING
    (here.base / "bad.json").write_bytes(b'{"features": []}')
    assert unseen(borders_of(referring(here, b={"kind": "borders", "file": "bad.json"}))).reason is Reason.MALFORMED
    ring = [[8, 50], [9, 50], [9, 51], [8, 51], [8, 50]]
    feature = {
        "type": "Feature",
        "properties": {"ISO_A2": "DE", "iso1A2": "DE"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    (here.base / "good.json").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert isinstance(borders_of(referring(here, b={"kind": "borders", "file": "good.json"})), Outlines)


ASN = {
    "198.51.100.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example \x07Net"},
    "203.0.113.0/24": {"country": {"iso_code": "us"}, "traits": {"isp": "Example ISP", "autonomous_system_number": 1}},
    "192.0.2.0/25": {"country": "DE", "asn": "AS64501", "as_name": "IPinfo style"},
    "192.0.2.128/25": {"country": {"iso_code": ["x"]}, "asn": "ASnone"},
}


def owners(path: Path, content: bytes) -> Owners:
    (path / "db.mmdb").write_bytes(content)
    return read_owners(path / "db.mmdb")


def test_owners_of_networks(here: Io) -> None:
    (here.base / "db.mmdb").write_bytes(database(ASN))
    read = owners_of(referring(here, db={"kind": "networks", "file": "db.mmdb"}))
    said = {ip: owner_of(read, ip) for ip in ("198.51.100.7", "203.0.113.1", "192.0.2.1", "192.0.2.200", "8.8.8.8")}
    found = {ip: one for ip, one in said.items() if isinstance(one, NetworkOwner)}
    assert found.keys() == said.keys()
    assert [(one.system, one.country) for one in found.values()] == [
        (64500, None), (1, "US"), (64501, "DE"), (None, None), (None, None),
    ]  # fmt: skip
    assert [one.organization for one in found.values()][1:3] == ["Example ISP", "IPinfo style"]
    assert (found["198.51.100.7"].organization or "").isprintable()
    assert found["8.8.8.8"].database == "Stage-ASN"
    assert found["8.8.8.8"].built == datetime.fromtimestamp(1_760_000_000, UTC)


def test_an_address_of_the_other_family_is_not_in_a_database_of_ipv4(tmp_path: Path) -> None:
    assert isinstance(owners(tmp_path, database(ASN)).owner("2001:db8::1"), Unseen)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", database(ASN)[:-40], b"\xab\xcd\xefMaxMind.com\xe1"])
def test_a_damaged_database_is_malformed(here: Io, content: bytes) -> None:
    (here.base / "db.mmdb").write_bytes(content)
    read = owners_of(referring(here, db={"kind": "networks", "file": "db.mmdb"}))
    assert unseen(owner_of(read, "198.51.100.7")).reason is Reason.MALFORMED


def test_without_a_database_nobody_is_asked(here: Io) -> None:
    assert owner_of(owners_of(here), "198.51.100.7") == NotAsked()


WHOLE = database(ASN)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_damage_breaks_the_reading(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    try:
        read = owners(tmp_path_factory.getbasetemp(), bytes(data))
    except ValueError:
        return
    for ip in ("198.51.100.7", "203.0.113.1", "192.0.2.1"):
        assert isinstance(read.owner(ip), NetworkOwner | Unseen)

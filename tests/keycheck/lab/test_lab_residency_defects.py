"""Every defect of places is really there, and what is agreed never changes with it."""

from __future__ import annotations

import csv
import hashlib
import ipaddress
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dns.edns
import dns.message
import dns.query
import pytest
import yaml

from keycheck.lab.defects import DEFECTS
from keycheck.lab.errors import LabError
from keycheck.lab.paperwork import write_papers
from keycheck.lab.residency_borders import borders_file
from keycheck.lab.residency_defects import PLACE_DEFECTS
from keycheck.lab.residency_places import EVERYWHERE
from keycheck.lab.residency_plan import residency_subjects
from keycheck.lab.residency_word_defects import WORD_DEFECTS
from keycheck.lab.world import Lab

ABROAD = ("eu-west-2", "eu-central-2", "europe-west2", "eu-jovanovac-1", "us-east-1", "eu-central-1-ist-1")


def opened(home: Path, defects: list[str]) -> Iterator[SimpleNamespace]:
    with Lab(home, defects) as lab:
        written = yaml.safe_load(write_papers(lab, datetime.now(UTC)).deployment.read_text())
        rows = json.loads((home / "ranges.json").read_text())
        yield SimpleNamespace(home=home, written=written, rows=rows["prefixes"], published=rows["published"])
    assert [log.read_text() for log in home.glob("*.log") if log.read_text()] == []


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """One lab with a defect on as many endpoints as there are."""
    yield from opened(
        tmp_path_factory.mktemp("abroad"),
        [
            "one-address-abroad",
            "steered-abroad",
            "eu-region-in-zurich",
            "border-group-istanbul",
            "europe-west2-is-london",
            "eu-region-in-serbia",
            "commercial-realm",
            "origin-abroad",
            "origin-hidden-abroad",
        ],
    )


def entry(lab: SimpleNamespace, section: str, id_: str) -> dict:
    return next(each for each in lab.written[section] if each["id"] == id_)


def told(lab: SimpleNamespace, id_: str, kind: str = "A", subnet: str | None = None) -> list[str]:
    """What the authoritative server tells of an endpoint's name."""
    endpoint = entry(lab, "endpoints", id_)
    host, _, port = endpoint["whereabouts"]["nameservers"][0]["address"].partition("#")
    name = endpoint["url"].partition("//")[2].partition(":")[0]
    options = [] if subnet is None else [dns.edns.ECSOption(subnet, 24)]
    answer = dns.query.udp(dns.message.make_query(name, kind, options=options), host, timeout=2, port=int(port))
    return [item.to_text() for rrset in answer.answer for item in rrset]


def place(lab: SimpleNamespace, address: str) -> str:
    """By the longest prefix of the lab's own ranges."""
    ip = ipaddress.ip_address(address)
    holding = [
        (network.prefixlen, row.get("border_group") or row["region"])
        for row in lab.rows
        if ip in (network := ipaddress.ip_network(row["prefix"]))
    ]
    return max(holding)[1] if holding else "nowhere"


def places(lab: SimpleNamespace, id_: str, **more: str) -> list[str]:
    return sorted(place(lab, each) for each in told(lab, id_, **more) if each[:1].isdigit() or ":" in each)


def test_ids_are_distinct_and_promises_are_of_their_section() -> None:
    assert len({defect.id for defect in DEFECTS}) == len(DEFECTS)
    subjects = residency_subjects()
    of_words = {
        "subprocessors": {"residency.subprocessors"},
        "operators": {"residency.operator"},
        "prompts": {"prompts.identifiers"},
    }
    for defect in (*PLACE_DEFECTS, *WORD_DEFECTS):
        assert defect.at in subjects[defect.among]
        controls = {control for control, _ in defect.promises}
        if defect.section in of_words:
            assert controls == of_words[defect.section]
        assert controls
        assert {verdict for _, verdict in defect.promises} <= {"fail", "inconclusive"}


def test_a_defect_of_places_belongs_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be put on"):
        Lab(tmp_path, ["one-address-abroad@eu-desk"])
    with pytest.raises(LabError, match="no endpoint 'portal'"):
        Lab(tmp_path, ["one-address-abroad@portal"])


def test_what_is_agreed_stays(abroad: SimpleNamespace) -> None:
    agreed = {each["id"]: each["whereabouts"]["region"] for each in abroad.written["endpoints"]}
    assert agreed["eu-desk"] == "eu-west-1"
    assert agreed["eu-oracle"] == "eu-frankfurt-1"
    assert not set(agreed.values()) & set(ABROAD)


def test_addresses_are_where_the_defect_says(abroad: SimpleNamespace) -> None:
    assert places(abroad, "eu-api") == ["eu-central-1"] * 3 + ["us-east-1"]
    assert places(abroad, "eu-desk") == ["eu-central-2"]
    assert places(abroad, "eu-warsaw") == ["eu-central-1-ist-1"]
    assert places(abroad, "eu-paris") == ["europe-west2"]
    assert places(abroad, "eu-oracle") == ["eu-jovanovac-1"]
    assert places(abroad, "eu-sovereign") == ["eu-central-1"]
    assert told(abroad, "eu-sovereign")[0].endswith(".elb.amazonaws.com.")


def test_germans_alone_are_sent_abroad(abroad: SimpleNamespace) -> None:
    assert places(abroad, "eu-portal") == ["eu-central-1"] * 2
    assert places(abroad, "eu-portal", subnet="198.51.100.0") == ["eu-central-1"] * 2
    assert places(abroad, "eu-portal", subnet="192.0.2.0") == ["us-east-1"]
    assert places(abroad, "eu-portal", subnet="203.0.113.0") == ["us-east-1"]


def test_an_origin_is_disclosed_or_hidden(abroad: SimpleNamespace) -> None:
    disclosed = entry(abroad, "endpoints", "edge-fastly")["whereabouts"]["origin"]
    hidden = entry(abroad, "endpoints", "edge-cloudfront")["whereabouts"]["origin"]
    assert (disclosed["region"], place(abroad, disclosed["address"])) == ("us-east-1", "us-east-1")
    assert (hidden["region"], place(abroad, hidden["address"])) == ("eu-north-1", "eu-north-1")


def test_more_defects_of_addresses(tmp_path: Path) -> None:
    for lab in opened(tmp_path, ["ipv6-abroad", "private-address", "eu-region-in-london", "edge-abroad"]):
        assert places(lab, "eu-api") == ["eu-central-1"] * 4
        assert places(lab, "eu-api", kind="AAAA") == ["us-east-1"]
        assert places(lab, "eu-paris") == ["nowhere"]
        assert places(lab, "eu-desk") == ["eu-west-2"]
        assert places(lab, "edge-cloudfront") == [""]


def test_aliases(tmp_path: Path) -> None:
    for lab in opened(tmp_path, ["cname-abroad", "cname-contradicts"]):
        for id_, where in (("eu-api", ["us-east-1"] * 4), ("eu-desk", ["eu-west-1"])):
            assert told(lab, id_)[0].endswith(".us-east-1.elb.amazonaws.com.")
            assert places(lab, id_) == where


def test_ranges_that_are_no_use(tmp_path: Path) -> None:
    for lab in opened(tmp_path / "stale", ["stale-ranges"]):
        assert datetime.now(UTC) - datetime.fromisoformat(lab.published) > timedelta(days=90)
    for lab in opened(tmp_path / "route", ["default-route-in-ranges"]):
        assert "0.0.0.0/0" in {row["prefix"] for row in lab.rows}
    for lab in opened(tmp_path / "anycast", ["announced-from-everywhere"]):
        assert [row["anycast"] for row in lab.rows if row["prefix"].startswith("127.12.3.")] == ["yes"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    yield from opened(
        tmp_path_factory.mktemp("words"),
        [
            "roster-announced-late",
            "roster-moved-unannounced",
            "roster-entry-abroad",
            "foreign-parent",
            "statement-expired",
            "prompts-with-persons",
            "prompts-swapped",
        ],
    )


def roster(lab: SimpleNamespace, id_: str, when: str = "current") -> list[tuple[str, str]]:
    path = lab.home / entry(lab, "subprocessors", id_)[when]
    if path.suffix == ".csv":
        return [(row["Name"], row["Location"]) for row in csv.DictReader(path.read_text().splitlines())]
    if path.suffix == ".json":
        return [(row["name"], row["location"]) for row in json.loads(path.read_text())["subprocessors"]]
    cells = path.read_text().split("<td>")[1:]
    texts = [cell.partition("</td>")[0] for cell in cells]
    return list(zip(texts[0::3], texts[1::3], strict=True))


def test_rosters(words: SimpleNamespace) -> None:
    late = entry(words, "subprocessors", "crm-subprocessors")
    fetched, received = (datetime.fromisoformat(each) for each in (late["fetched"], late["notices"][0]["received"]))
    assert fetched - received == timedelta(days=7)
    assert dict(roster(words, "search-subprocessors"))["Suchwerk AG"] == "Vienna, Austria"
    assert dict(roster(words, "search-subprocessors", "previous"))["Suchwerk AG"] == "Berlin, Germany"
    assert entry(words, "subprocessors", "search-subprocessors")["notices"] == []
    for when in ("current", "previous"):
        assert ("Night Desk Pvt. Ltd.", "Pune, India") in roster(words, "mail-subprocessors", when)


def test_operators(words: SimpleNamespace) -> None:
    assert entry(words, "operators", "crm-operator")["parent_seat"] == "US"
    (document,) = entry(words, "operators", "hosting-operator")["evidence"]
    assert datetime.fromisoformat(document["expires"]) < datetime.now(UTC)
    assert hashlib.sha256((words.home / document["file"]).read_bytes()).hexdigest() == document["sha256"]


def test_prompts(words: SimpleNamespace) -> None:
    persons = entry(words, "prompts", "assistant-prompts")
    lines = (words.home / persons["files"][0]).read_text().splitlines()
    assert len(lines) == persons["requests"]
    assert "Ada Example" in {json.loads(line)["messages"][1]["content"] for line in lines}
    swapped = entry(words, "prompts", "support-prompts")
    content = (words.home / swapped["files"][0]).read_bytes()
    assert hashlib.sha256(content).hexdigest() not in swapped["digests"]
    assert len(json.loads(content)["log"]["entries"]) == swapped["requests"]


def test_borders_hold_every_place_in_its_own_country() -> None:
    features = json.loads(borders_file())["features"]
    assert len({feature["properties"]["ISO_A2"] for feature in features}) == len(features)
    held = {
        place.city: {
            feature["properties"]["ISO_A2"]
            for feature in features
            if (ring := feature["geometry"]["coordinates"][0])[0][0] <= place.longitude <= ring[1][0]
            and ring[0][1] <= place.latitude <= ring[2][1]
        }
        for place in EVERYWHERE
    }
    for city, code in {"Frankfurt": "DE", "Ashburn": "US", "Istanbul": "TR", "Jovanovac": "RS", "Dublin": "IE"}.items():
        assert code in held[city]
    assert held["Ashburn"] == {"US"}
    assert all(held.values())

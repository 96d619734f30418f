"""Names and values from outside are taken apart strictly, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import MalformedError
from probes.residency.alike import few
from probes.residency.gcp.names import (
    everywhere,
    full_name,
    is_bucket,
    is_dataset,
    is_name,
    is_project,
    located,
    path_of,
)
from probes.residency.gcp.reading import left_out, number, when
from probes.residency.store_facts import NodePlace


@pytest.mark.parametrize(
    "name",
    [
        "//storage.googleapis.com/projects/_/buckets/crm",
        "//storage.s3nsapis.fr/projects/_/buckets/crm",
        "//compute.googleapis.com/projects/acme/zones/europe-west3-a/disks/data",
        "//compute.googleapis.com/projects/acme/global/snapshots/s",
        "//firestore.googleapis.com/projects/s3ns:acme/databases/(default)",
    ],
)
def test_full_names_come_back_as_they_were(name: str) -> None:
    assert str(full_name(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "crm",
        "//storage.googleapis.com/",
        "//storage.googleapis.com/projects/_/buckets",
        "//storage.googleapis.com/folders/1/buckets/x",
        "//storage.googleapis.com/projects/_/buckets/..",
        "//storage.googleapis.com/projects/../buckets/x",
        "//storage.googleapis.com/projects/_/buckets/a//b/c",
        "//storage.googleapis.com/projects/_/buckets/x?y=1",
        "//storage.googleapis.com/projects/_/buckets/x%2e%2e",
        "https://storage.googleapis.com/projects/_/buckets/x",
        "//storage.googleapis.com/projects/_/buckets/x\n",
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="full resource name"):
        full_name(name)


@given(st.text(max_size=80))
def test_nothing_leaves_its_path(text: str) -> None:
    for check in (is_bucket, is_dataset, is_name, is_project):
        if check(text):
            assert not set(text) & set("/?#% \n")
            assert ".." not in text
    path = path_of(text)
    assert path is None or (path.startswith("projects/") and ".." not in path.split("/") and "?" not in path)
    place = located(text)
    assert isinstance(place, Unseen) or place.regions[0].isascii()


def test_locations() -> None:
    assert located("EUROPE-WEST3") == NodePlace(regions=("europe-west3",), type="region")
    assert located("europe-west3-a") == NodePlace(regions=("europe-west3",), type="zone")
    assert located("u-france-east1-b") == NodePlace(regions=("u-france-east1",), type="zone")
    assert located("EU") == NodePlace(regions=("eu",), type="multi-region")
    assert located("global") == NodePlace(regions=("global",), type="global")
    assert everywhere(("eu",)) == located("eu")
    assert everywhere(("us", "europe-west3")) == NodePlace(regions=("europe-west3", "us"), type="multi-region")
    assert isinstance(everywhere(()), Unseen)
    assert isinstance(everywhere(("eu", "no such")), Unseen)


def test_times_and_numbers() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert when({"a": "2026-01-02T12:00:00Z"}, "a") == noon
    assert when({"a": "2026-01-02T04:00:00.000-08:00"}, "a") == noon
    assert when({"a": str(int(noon.timestamp() * 1000))}, "a") == noon
    assert when({}, "a") is None
    assert number({"a": "12"}, "a") == number({"a": 12}, "a") == 12
    for value in ("2026-01-02", "2026-01-02T12:00:00", "9" * 15, "soon", 7):
        with pytest.raises(MalformedError):
            when({"a": value}, "a")
    for value in (-1, True, 1.5, "1e3", "-2", [], "9" * 30):
        with pytest.raises(MalformedError):
            number({"a": value}, "a")


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_time_of_rfc_3339(moment: datetime) -> None:
    assert when({"a": moment.isoformat()}, "a") == moment


def test_what_a_service_left_out() -> None:
    assert list(left_out({})) == []
    assert list(left_out({"warning": {"code": "NO_RESULTS_ON_PAGE"}, "items": {"zones/a": {}}})) == []
    told = {
        "unreachable": ["projects/p/locations/x"],
        "warnings": [{"code": "REGION_UNREACHABLE", "region": "us-east4"}],
        "warning": {"code": "UNREACHABLE"},
        "items": {"zones/a": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}, "zones/b": {"warning": {"code": "X"}}},
    }
    assert list(left_out(told)) == [
        "projects/p/locations/x",
        "REGION_UNREACHABLE us-east4",
        "UNREACHABLE",
        "zones/b: X",
    ]


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 4))
def test_few_of_each_kind_account_for_all(items: list[int], most: int) -> None:
    shown = few(items, lambda each: each, most)
    assert sum(1 + each.more for each in shown) == len(items)
    for kind in set(items):
        assert sum(each.one == kind for each in shown) == min(most, items.count(kind))

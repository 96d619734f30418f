"""The table of regions: whole, of real countries, and in agreement with somebody else's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from probes.places.jurisdictions import COUNTRIES, EU, Jurisdiction, expanded, worded
from probes.places.regions import (
    AWS_REGIONS,
    GCP_MULTI_REGIONS,
    GCP_REGIONS,
    Countries,
    Everywhere,
    UnknownPlace,
    place,
)

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data")


def test_every_country_is_one() -> None:
    codes = {code for table in (AWS_REGIONS, GCP_REGIONS, GCP_MULTI_REGIONS) for row in table.values() for code in row}
    assert codes <= COUNTRIES
    assert len(EU) == 27
    assert EU <= COUNTRIES
    assert len(COUNTRIES) == 249


def test_no_table_is_ambiguous() -> None:
    assert not set(GCP_REGIONS) & set(GCP_MULTI_REGIONS)
    assert all(len(row) == 1 for table in (AWS_REGIONS, GCP_REGIONS) for row in table.values())


@pytest.mark.parametrize(
    ("provider", "region", "codes"),
    [
        ("aws", "eu-central-1", "DE"),
        ("aws", "eusc-de-east-1", "DE"),
        ("aws", "eu-central-2", "CH"),
        ("aws", "cn-north-1", "CN"),
        ("aws", "us-gov-west-1", "US"),
        ("gcp", "europe-west2", "GB"),
        ("gcp", "eur4", "FI NL"),
        ("gcp", "eur6", "CH DE NL"),
        ("gcp", "nam10", "US"),
        ("gcp", "us", "US"),
    ],
)
def test_where_regions_are(provider: str, region: str, codes: str) -> None:
    assert place("aws" if provider == "aws" else "gcp", region) == Countries(frozenset(codes.split()))


def test_the_european_multi_region_leaves_out_london_and_zurich() -> None:
    assert GCP_MULTI_REGIONS["europe"] <= EU
    european = {code for name, row in GCP_REGIONS.items() if name.startswith("europe-") for code in row}
    assert european - GCP_MULTI_REGIONS["europe"] == {"GB", "CH"}


def test_global_is_everywhere_and_the_rest_unknown() -> None:
    assert place("gcp", "global") == Everywhere()
    assert place("aws", "global") == UnknownPlace()
    assert place("gcp", "eu-central-1") == UnknownPlace()
    assert place("aws", "mars-1") == UnknownPlace()


@pytest.mark.skipif(not (DATA / "ranges" / "regions.json").exists(), reason="no shared data: set KEYCHECK_DATA")
def test_another_table_agrees() -> None:
    listed = json.loads((DATA / "ranges" / "regions.json").read_text())["regions"]
    checked = 0
    for region in listed:
        table = {"aws": AWS_REGIONS, "gcp": GCP_REGIONS}.get(region["provider"])
        if table is not None:
            assert table[region["regionCode"]] == {region["location"]["countryCode"]}, region["regionCode"]
            checked += 1
    assert checked == 80


def test_a_jurisdiction_is_spelt_out_and_read_back() -> None:
    read = TypeAdapter(Jurisdiction).validate_python
    assert read(["EU", "CH"]) == EU | {"CH"}
    assert worded(read(["EU", "CH"])) == "EU, CH"
    assert worded({"NL", "DE"}) == "DE, NL"
    assert read(["DE"]) < read(["EU"])
    assert expanded(["DE"]) == {"DE"}


@pytest.mark.parametrize("bad", [["UK"], ["Europe"], ["de"], ["ZZ"], []])
def test_what_is_no_country_is_refused(bad: list[str]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Jurisdiction).validate_python(bad)

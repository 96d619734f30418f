"""The tables of regions: whole, of real countries, and in agreement with somebody else's."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.places.aws_regions import AWS_CODES
from probes.places.buckets import Placement, gcs_placement, s3_region
from probes.places.cities import CITIES, City, Point, degrees
from probes.places.countries import COUNTRIES
from probes.places.gcp_regions import DUAL_REGIONS
from probes.places.jurisdictions import EU
from probes.places.pops import AIRPORTS, cloudflare_pop, cloudfront_pop, fastly_pops, pop
from probes.places.regions import (
    AWS_REGIONS,
    AZURE_REGIONS,
    GCP_MULTI_REGIONS,
    GCP_REGIONS,
    OCI_REGIONS,
    TABLES,
    Countries,
    Everywhere,
    Provider,
    Region,
    UnknownPlace,
    place,
    place_of_border_group,
)
from probes.residency.physics.sphere import distance_m

RANGES = (
    Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data") / "ranges"
)
needs_data = pytest.mark.skipif(not RANGES.exists(), reason="no shared data: set KEYCHECK_DATA")
ALL = (AWS_REGIONS, AZURE_REGIONS, GCP_REGIONS, OCI_REGIONS)


def in_(codes: str) -> Countries:
    return Countries(frozenset(codes.split()))


def test_every_country_is_one() -> None:
    assert {code for table in (*ALL, GCP_MULTI_REGIONS) for row in table.values() for code in row} <= COUNTRIES
    assert {city.country for city in [*CITIES.values(), *AIRPORTS.values()]} <= COUNTRIES


def test_no_table_is_ambiguous_and_cities_are_where_their_regions_are() -> None:
    assert not set(GCP_REGIONS) & set(GCP_MULTI_REGIONS)
    for table in (*TABLES.regions.values(), AWS_CODES):
        for row in table.values():
            assert len(row.countries) <= 1
            assert row.city is None or not row.countries or row.countries == {row.city.country}, row.name
    used = {row.city.name for table in (*TABLES.regions.values(), AWS_CODES) for row in table.values() if row.city}
    assert set(CITIES) == used


@pytest.mark.parametrize(
    ("provider", "region", "codes"),
    [
        ("aws", "eu-central-1", "DE"),
        ("aws", "eusc-de-east-1", "DE"),
        ("aws", "eu-central-2", "CH"),
        ("aws", "eu-west-2", "GB"),
        ("aws", "me-west-1", "SA"),
        ("aws", "sa-west-1", "CL"),
        ("aws", "cn-north-1", "CN"),
        ("aws", "us-gov-west-1", "US"),
        ("gcp", "europe-west2", "GB"),
        ("gcp", "europe-west6", "CH"),
        ("gcp", "asia-southeast3", "TH"),
        ("gcp", "us-east7", "US"),
        ("gcp", "us-west8", "US"),
        ("gcp", "eur4", "FI NL"),
        ("gcp", "eur6", "CH DE NL"),
        ("gcp", "nam10", "US"),
        ("gcp", "us", "US"),
        ("azure", "germanywestcentral", "DE"),
        ("azure", "germanywc", "DE"),
        ("azure", "Germany West Central", "DE"),
        ("azure", "centralfrance", "FR"),
        ("azure", "switzerlandn", "CH"),
        ("azure", "uksouth", "GB"),
        ("azure", "norwaye", "NO"),
        ("oci", "eu-frankfurt-1", "DE"),
        ("oci", "eu-zurich-1", "CH"),
        ("oci", "eu-jovanovac-1", "RS"),
        ("oci", "eu-dcc-zurich-1", "CH"),
        ("oci", "eu-crissier-1", "CH"),
    ],
)
def test_where_regions_are(provider: Provider, region: str, codes: str) -> None:
    assert place(provider, region) == in_(codes)


def test_regions_named_after_europe_that_are_not_in_the_union() -> None:
    outside = {
        name
        for table in ALL
        for name, countries in table.items()
        if name.startswith(("eu", "europe")) and not countries <= EU
    }
    assert outside == {
        "eu-central-2", "eu-crissier-1", "eu-dcc-zurich-1", "eu-jovanovac-1", "eu-west-2", "eu-zurich-1",
        "europe-west2", "europe-west6",
    }  # fmt: skip


def test_the_european_multi_region_leaves_out_london_and_zurich() -> None:
    assert GCP_MULTI_REGIONS["europe"] == GCP_MULTI_REGIONS["eu"] <= EU
    european = {code for name, row in GCP_REGIONS.items() if name.startswith("europe-") for code in row}
    assert european - GCP_MULTI_REGIONS["europe"] == {"GB", "CH"}


@pytest.mark.parametrize(
    ("provider", "region"),
    [
        ("aws", "global"),
        ("aws", "GLOBAL"),
        ("aws", "mars-1"),
        ("aws", "us-south-1"),
        ("aws", "eu-isoe-west-1"),
        ("gcp", "eu-central-1"),
        ("gcp", "europe-west15"),
        ("gcp", "europe-west3 "),
        ("azure", "northeurope2"),
        ("azure", "europe"),
        ("oci", "fra"),
        ("oci", ""),
    ],
)
def test_what_no_source_names_is_not_known(provider: Provider, region: str) -> None:
    assert place(provider, region) == UnknownPlace()


def test_global_is_everywhere() -> None:
    assert place("gcp", "global") == place("azure", "global") == Everywhere()


@pytest.mark.parametrize(
    ("region", "group", "codes"),
    [
        ("eu-central-1", "eu-central-1", "DE"),
        ("eu-central-1", "eu-central-1-ist-1", "TR"),
        ("eu-central-1", "eu-central-1-waw-1", "PL"),
        ("eu-central-1", "eu-central-1-ath-1", "GR"),
        ("eu-central-1", "eu-central-1-ham-1", "DE"),
        ("eu-central-1", "eu-central-1-wl1-dtm-wlz-1", "DE"),
        ("eu-north-1", "eu-north-1-cph-1", "DK"),
        ("eu-north-1", "eu-north-1-hel-1", "FI"),
        ("eu-west-2", "eu-west-2-wl2-man-wlz-1", "GB"),
        ("eu-west-3", "eu-west-3-wl1-cmn-wlz-1", "MA"),
        ("eu-west-3", "eu-west-3-wl1-cmn1", "MA"),
        ("eu-west-3", "eu-west-3-wl1-dss1", "SN"),
        ("us-east-1", "us-east-1-qro-1", "MX"),
        ("us-east-1", "us-east-1-bue-1", "AR"),
        ("us-east-1", "us-east-1-foe-wlz-1", "US"),
        ("us-west-2", "us-west-2-las-1b", "US"),
        ("ap-southeast-1", "ap-southeast-1-sggov-sin-1a", "SG"),
        ("ap-southeast-1", "ap-southeast-1-han-1", "VN"),
        ("ap-northeast-1", "ap-northeast-1-tpe-1", "TW"),
        ("me-south-1", "me-south-1-mct-1", "OM"),
        ("af-south-1", "af-south-1-los-1", "NG"),
    ],
)
def test_a_border_group_is_where_its_own_code_says(region: str, group: str, codes: str) -> None:
    assert place_of_border_group(region, group) == in_(codes)


@pytest.mark.parametrize(
    "group",
    ["eu-central-1-zzz-1", "eu-central-1-", "eu-central-1-ham", "eu-central-1-ham-1-x", "eu-central-11", "GLOBAL", "",
     "us-east-1", "us-east-1-chi-1", "eu-central-1-HAM-1"],
)  # fmt: skip
def test_an_unknown_border_group_is_never_its_parent(group: str) -> None:
    assert place_of_border_group("eu-central-1", group) == UnknownPlace()


def test_buckets_are_where_their_location_means() -> None:
    assert s3_region(None) == s3_region("") == "us-east-1"
    assert s3_region("EU") == "eu-west-1"
    assert s3_region("eu-central-1") == "eu-central-1"
    assert gcs_placement("EUR4") == Placement(frozenset({"europe-north1", "europe-west4"}), in_("FI NL"))
    assert gcs_placement("eur5").place == in_("BE GB")
    assert gcs_placement("EUR7").place == in_("DE GB")
    assert gcs_placement("EUR8").place == in_("CH DE")
    assert gcs_placement("ASIA1").place == in_("JP")
    assert gcs_placement("EUROPE-WEST3") == Placement(frozenset({"europe-west3"}), in_("DE"))
    assert gcs_placement("EU").regions == frozenset()
    assert gcs_placement("US").place == in_("US")
    assert gcs_placement("MOON").place == UnknownPlace()


def test_a_configurable_dual_region_is_its_members() -> None:
    two = gcs_placement("EU", ["EUROPE-WEST3", "EUROPE-WEST6"])
    assert two == Placement(frozenset({"europe-west3", "europe-west6"}), in_("CH DE"))
    assert gcs_placement("EU", ["EUROPE-WEST3", "EUROPE-WEST15"]).place == UnknownPlace()
    assert {region for pair in DUAL_REGIONS.values() for region in pair} <= set(GCP_REGIONS)


def test_ones_own_regions_stand_beside_the_shipped_ones() -> None:
    home = Region("home-1", frozenset({"DE"}), City("lab", "DE", degrees("50.1", "8.7"), 1000))
    tables = TABLES.with_own("labcloud", {"home-1": home})
    assert tables.place("labcloud", "home-1") == in_("DE")
    assert tables.place("aws", "eu-west-2") == in_("GB")
    assert TABLES.place("labcloud", "home-1") == UnknownPlace()
    assert [site.name for site in tables.listing("labcloud").sites] == ["home-1"]
    own = TABLES.with_own("gcp", {"europe-west15": Region("europe-west15", frozenset({"DE"}))})
    assert own.place("gcp", "europe-west15") == in_("DE")
    with pytest.raises(ValueError, match="is in GB: leave it out"):
        TABLES.with_own("aws", {"eu-west-2": home})


def test_a_listing_names_what_it_cannot_place() -> None:
    assert TABLES.listing("gcp").unplaced == ("europe-west15",)
    aws = TABLES.listing("aws")
    assert aws.unplaced == ()
    assert {"zone ist", "eu-central-1"} <= {site.name for site in aws.sites}
    assert [site.countries for site in aws.sites if site.name == "us-south-1"] == [frozenset()]


def test_points_of_presence_are_read_from_headers() -> None:
    jfk = cloudfront_pop("JFK52-P2")
    assert jfk is not None
    assert jfk.city == AIRPORTS["JFK"]
    assert [one.code for one in fastly_pops("cache-fra-eddf8230055-FRA, cache-lcy1128-LCY")] == ["FRA", "LCY"]
    ray = cloudflare_pop("8f3c2a1b4d5e6f70-ZRH")
    assert ray is not None
    assert ray.city is not None
    assert ray.city.country == "CH"
    assert pop("xxx").city is None


@pytest.mark.parametrize("bad", ["", "FRA", "fra52", "JFK52-P2\r\nx: y", "JFK52-P2, FRA", "JFK" + "5" * 4096])
def test_hostile_headers_name_no_place(bad: str) -> None:
    assert cloudfront_pop(bad) is None
    assert cloudflare_pop(bad) is None
    assert fastly_pops(bad) == ()
    assert fastly_pops(", ".join(["cache-lcy1128-LCY"] * 17)) == ()
    assert fastly_pops("cache-lcy1128-LCY, forged") == ()


@pytest.mark.parametrize(("lat", "lon"), [("91", "0"), ("0", "181"), ("nan", "0"), ("x", "0"), ("1e999999999", "0")])
def test_what_is_no_point_is_refused(lat: str, lon: str) -> None:
    with pytest.raises(ValueError, match="latitude"):
        degrees(lat, lon)


def test_a_point_is_worded_exactly() -> None:
    assert Point(50_110_000, -8_680_001).worded() == "50.110000, -8.680001"


def listed() -> Iterator[tuple[str, str, str, Point]]:
    for row in json.loads((RANGES / "regions.json").read_text())["regions"]:
        if row["provider"] in TABLES.regions:
            at = row["location"]
            point = degrees(str(at["latitude"]), str(at["longitude"]))
            yield row["provider"], row["regionCode"], at["countryCode"], point


@needs_data
def test_another_table_agrees_on_countries_and_coordinates() -> None:
    checked = 0
    for provider, name, country, point in listed():
        row = TABLES.region(provider, name)
        assert row is not None, name
        assert row.countries == {country}, name
        if (provider, name) != ("azure", "francecentral"):  # theirs is the middle of France, and Microsoft says Paris
            assert row.city is not None
            assert distance_m(row.city.point, point) <= row.city.radius_m, name
        checked += 1
    assert checked == 205


@needs_data
def test_every_border_group_and_region_that_is_published_is_known() -> None:
    unknown = set()
    document = json.loads((RANGES / "aws-2026-08-22.json").read_text())
    for row in [*document["prefixes"], *document["ipv6_prefixes"]]:
        if place_of_border_group(row["region"], row["network_border_group"]) == UnknownPlace():
            unknown.add(row["network_border_group"])
    assert unknown == {"GLOBAL", "us-south-1"}
    tags = json.loads((RANGES / "azure-2026-05.json").read_text())["values"]
    codes = {tag["properties"]["region"] for tag in tags if tag["name"].startswith("AzureCloud.")}
    assert {code for code in codes if place("azure", code) == UnknownPlace()} == {"northeurope2"}
    scopes = {row["scope"] for row in json.loads((RANGES / "gcp-2026-05-05.json").read_text())["prefixes"]}
    assert {scope for scope in scopes if place("gcp", scope) == UnknownPlace()} == {"europe-west15"}
    regions = {row["region"] for row in json.loads((RANGES / "oci-2025-07-21.json").read_text())["regions"]}
    assert all(place("oci", region) != UnknownPlace() for region in regions)


@needs_data
def test_another_table_agrees_on_airports() -> None:
    checked = set()
    with (RANGES / "airports.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if (ours := AIRPORTS.get(row["iata"])) is not None:
                assert ours.country == row["country_code"], row["iata"]
                assert distance_m(ours.point, degrees(row["lat"], row["lon"])) < 30_000, row["iata"]
                checked.add(row["iata"])
    assert len(checked) >= 240

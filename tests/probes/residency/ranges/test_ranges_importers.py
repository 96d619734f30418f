"""Importers: what each provider's list says, and that a damaged or hostile list says nothing at all."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lists import AWS, CLOUDFLARE, CLOUDFLARE6, GCP, LISTS, OCI, written
from made_ranges import NOW

from probes.places.azure_regions import AZURE as AZURE_REGIONS
from probes.residency.ranges.codec import encoded
from probes.residency.ranges.importing import Accept, Lists, imported
from probes.residency.ranges.index import Index
from probes.residency.ranges.seam import Attribution, RangesError, Source
from probes.residency.ranges.table import Imported, table_of

DATA = (
    Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data") / "ranges"
)
needs_data = pytest.mark.skipif(not DATA.exists(), reason="no shared data: set KEYCHECK_DATA")


def taken(source: str, *files: bytes, before: Source | None = None, accept: Accept | None = None) -> Imported:
    return imported(Lists(source, files, "made here"), NOW, before, accept or Accept())


def index_of(source: str, *files: bytes, accept: Accept | None = None) -> Index:
    return Index(table_of([taken(source, *files, accept=accept)]))


def only(index: Index, address: str) -> Attribution:
    (found,) = index.lookup(address)
    return found


def test_aws_border_groups_are_the_place_and_edges_are_none() -> None:
    index = index_of("aws", *LISTS["aws"])
    frankfurt, istanbul = only(index, "3.120.1.1"), only(index, "3.121.64.1")
    assert (frankfurt.place, frankfurt.border_group, frankfurt.services) == ("eu-central-1", None, ("AMAZON", "EC2"))
    assert (istanbul.place, istanbul.region) == ("eu-central-1-ist-1", "eu-central-1")
    assert only(index, "52.94.1.1").place is None
    assert only(index, "52.94.5.1").place == "eu-west-1"
    for edge in ("13.32.1.1", "99.83.109.9"):
        assert only(index, edge).anycast
        assert only(index, edge).place is None
    assert only(index, "2a05:d014::5").place == "eu-central-1"
    assert index.sources()[0].published == datetime(2026, 8, 22, 15, 17, 5, tzinfo=UTC)
    assert index.sources()[0].dated == "list"


def test_a_border_group_of_nowhere_leaves_no_region_to_believe() -> None:
    row = {"ip_prefix": "3.0.0.0/9", "region": "eu-west-1", "service": "S3", "network_border_group": "GLOBAL"}
    assert only(index_of("aws", written({**AWS, "prefixes": [row]})), "3.1.1.1").place is None


def test_google_global_is_no_place_and_goog_json_only_adds() -> None:
    alone, both = index_of("gcp", LISTS["gcp"][0]), index_of("gcp", *LISTS["gcp"])
    assert only(alone, "34.89.130.1").place == only(both, "34.89.130.1").place == "europe-west3"
    assert only(both, "34.96.64.1").place is None
    assert alone.lookup("8.8.8.8") == ()
    assert (only(both, "8.8.8.8").provider, only(both, "8.8.8.8").place) == ("google", None)
    assert both.sources()[0].published == datetime(2026, 4, 1, tzinfo=UTC)  # the older of two
    assert both.sources()[0].left_out == 1


def test_azure_short_codes_are_regions_and_front_door_is_none() -> None:
    index = index_of("azure", *LISTS["azure"])
    assert only(index, "20.52.1.1").place == only(index, "2603:1020:c00::1").place == "germanywestcentral"
    assert only(index, "13.69.40.1").place == "westeurope"  # a tag without a region says nothing against it
    assert only(index, "104.47.217.151").place == "northeurope"
    assert only(index, "104.47.1.1").place is None
    assert only(index, "104.47.1.1").services == ("Storage",)
    for edge in ("20.52.2.1", "13.107.213.1"):
        assert only(index, edge).anycast
    (source,) = index.sources()
    assert (source.rows, source.left_out, source.dated) == (14, 6, "undated")
    assert source.age(NOW) is None


def test_the_date_in_the_name_of_azures_file_is_taken() -> None:
    lists = Lists("azure", LISTS["azure"], "x", names=("ServiceTags_Public_20260511.json",))
    source = imported(lists, NOW, None, Accept()).source
    assert (source.published, source.dated) == (datetime(2026, 5, 11, tzinfo=UTC), "file-name")
    older = imported(replace(lists, stated=datetime(2026, 5, 1, tzinfo=UTC)), NOW, None, Accept()).source
    younger = imported(replace(lists, stated=NOW), NOW, None, Accept()).source
    assert (older.dated, younger.dated) == ("stated", "file-name"), "no word makes a list younger than its name"
    with pytest.raises(RangesError, match="date of its own"):
        imported(Lists("aws", LISTS["aws"], "x", stated=NOW), NOW, None, Accept())


def test_oracle_and_the_edges() -> None:
    oracle = index_of("oci", *LISTS["oci"])
    assert only(oracle, "130.61.1.1").place == "eu-frankfurt-1"
    assert only(oracle, "134.70.24.1").services == ("OBJECT_STORAGE", "OSN")
    for name, address in (("cloudflare", "104.16.1.1"), ("cloudflare", "2606:4700::1"), ("fastly", "2a04:4e40::1")):
        found = only(index_of(name, *LISTS[name]), address)
        assert (found.provider, found.anycast, found.place) == (name, True, None)


@pytest.mark.parametrize("kind", ["csv", "json", "list"])
def test_own_ranges_in_csv_and_json(kind: str) -> None:
    rows = [
        {"prefix": "8.1.0.0/16", "provider": "acme", "region": "north", "anycast": "no"},
        {"prefix": "8.1.2.0/24", "provider": "acme", "region": "", "anycast": "yes"},
        {"prefix": "8.2.0.0/16", "provider": "aws", "region": "eu-west-1", "service": "CLOUDFRONT"},
        {"prefix": "8.3.0.0/16", "provider": "aws", "region": "eu-west-1", "border_group": "eu-west-1"},
    ]
    head = ["prefix", "provider", "region", "service", "anycast", "border_group"]
    lines = [",".join(head), *(",".join(row.get(key, "") for key in head) for row in rows)]
    data = {
        "csv": "\ufeff# ours\r\n" + "\r\n".join(lines) + "\r\n",
        "json": json.dumps({"published": "2026-11-01T00:00:00Z", "prefixes": rows}),
        "list": json.dumps(rows),
    }[kind]
    index = index_of("own:acme", data.encode())
    assert only(index, "8.1.1.1").place == "north"
    assert (only(index, "8.1.2.1").place, only(index, "8.1.2.1").anycast) == (None, True)
    assert only(index, "8.2.1.1").anycast, "no file makes a place of CloudFront"
    assert (only(index, "8.3.1.1").border_group, only(index, "8.3.1.1").place) == (None, "eu-west-1")
    (source,) = index.sources()
    age = source.age(NOW + timedelta(days=3))
    assert age == (timedelta(days=24, hours=10) if kind == "json" else timedelta(days=3))


def test_a_geofeed_is_a_claim_of_its_own_kind() -> None:
    feed = b"# RFC 8805\n8.1.0.0/16,de,DE-HE,Frankfurt,\n2a01:4f8::,FI,,,\n8.3.0.0/24,,,,\n"
    index = index_of("own:feed", feed)
    assert (only(index, "8.1.1.1").provider, only(index, "8.1.1.1").place) == ("geofeed", "DE")
    assert only(index, "2a01:4f8::").prefix == "2a01:4f8::/128"
    assert only(index, "8.3.0.1").place is None


@pytest.mark.parametrize(
    "prefix",
    [
        *("0.0.0.0/0", "0.0.0.0/7", "128.0.0.0/1", "::/0", "2000::/3", "2000::/15", "10.0.0.0/8", "100.64.0.0/10"),
        *("127.0.0.0/8", "169.254.169.254/32", "172.16.0.0/12", "192.168.1.0/24", "192.0.2.0/24", "224.0.0.0/8"),
        *("255.255.255.255/32", "fd00::/16", "fe80::/64", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "2001:db8::/32"),
        *("192.0.0.0/8", "4000::/16", "8.8.8.8", "8.8.8.8/33", "8.8.8.8/24", "8.8.8.8/032", "8.8.8.0/+24", "8.8.8/24"),
    ],
)
def test_default_routes_private_ranges_and_what_is_no_prefix_are_refused_in_every_format(prefix: str) -> None:
    aws = copy.deepcopy(dict(AWS))
    aws["prefixes"] = [{"ip_prefix": prefix, "region": "a", "service": "S3", "network_border_group": "a"}]
    azure = {"values": [{"name": "X", "properties": {"region": "", "addressPrefixes": [prefix]}}]}
    oci = {**OCI, "regions": [{"region": "a", "cidrs": [{"cidr": prefix, "tags": []}]}]}
    own = f"prefix,provider,region\n{prefix},acme,a\n".encode()
    cases = (("aws", written(aws)), ("gcp", written({**GCP, "prefixes": [{"ipv4Prefix": prefix}]})),
             ("azure", written(azure)), ("oci", written(oci)), ("cloudflare", CLOUDFLARE + prefix.encode()),
             ("fastly", written({"addresses": [prefix], "ipv6_addresses": []})), ("own:a", own))  # fmt: skip
    for name, data in cases:
        with pytest.raises(RangesError) as caught:
            taken(name, data)
        assert caught.value.advice


def test_private_ranges_are_taken_in_own_files_by_hand_and_default_routes_never() -> None:
    accept = Accept(private=True)
    index = index_of("own:lab", b"prefix,provider,region\n127.0.0.0/8,lab,here\nfd00::/16,lab,there\n", accept=accept)
    assert only(index, "127.1.2.3").place == "here"
    assert index.sources()[0].private_allowed
    with pytest.raises(RangesError, match="default route"):
        taken("own:lab", b"prefix,provider,region\n0.0.0.0/1,lab,here\n", accept=accept)
    with pytest.raises(RangesError, match="no private"):
        taken("aws", *LISTS["aws"], accept=accept)


def test_one_prefix_in_two_regions_is_nowhere_or_refused() -> None:
    aws = copy.deepcopy(dict(AWS))
    aws["prefixes"] = [
        {"ip_prefix": "3.0.0.0/9", "region": region, "service": "S3", "network_border_group": region}
        for region in ("eu-west-1", "us-east-1", "GLOBAL")
    ]
    index = index_of("aws", written(aws))
    found = only(index, "3.1.1.1")
    assert (found.ambiguous, found.place, found.region) == (True, None, None)
    assert index.sources()[0].ambiguous == 1
    with pytest.raises(RangesError, match=r"line 3: 3\.0\.0\.0/9"):
        taken("own:a", b"prefix,provider,region\n3.0.0.0/9,acme,a\n3.0.0.0/9,acme,b\n")
    assert taken("own:a", b"prefix,provider,region,service\n3.0.0.0/9,acme,a,x\n3.0.0.0/9,acme,a,y\n").source.rows == 2


def test_a_sudden_shrink_is_refused_and_recorded_where_it_is_accepted() -> None:
    lines = [f"8.{n}.0.0/16,acme,a" for n in range(100)]
    head = "prefix,provider,region\n"
    before = taken("own:a", (head + "\n".join(lines)).encode()).source
    assert taken("own:a", (head + "\n".join(lines[:70])).encode(), before=before).source.shrunk_from is None
    less = (head + "\n".join(lines[:69])).encode()
    with pytest.raises(RangesError, match="from 100 prefixes to 69"):
        taken("own:a", less, before=before)
    assert taken("own:a", less, before=before, accept=Accept(shrink=True)).source.shrunk_from == 100


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("aws", b"", "no JSON"),
        ("aws", b"\xff\xfe", "UTF-8"),
        ("aws", b"[" * 100_000, "nested"),
        ("aws", b'{"prefixes": [], "prefixes": []}', "twice"),
        ("aws", written({**AWS, "prefixes": [], "ipv6_prefixes": []}), "no prefix"),
        ("aws", written({**AWS, "createDate": "yesterday"}), "no date"),
        ("aws", b'{"createDate": NaN}', "NaN"),
        ("aws", written(GCP), "ipv6_prefixes"),
        ("gcp", written(AWS), "creationTime"),
        ("gcp", written({**GCP, "creationTime": "0001-01-01T00:00:00+23:00"}), "no date"),
        ("gcp", written({**GCP, "prefixes": [{"ipv4Prefix": "8.8.8.0/24", "scope": "a,b", "service": "x"}]}), "scope"),
        ("azure", b'{"values":[{"name":"AzureCloud.a","properties":{"region":"b","addressPrefixes":[]}}]}', "'b'"),
        ("cloudflare", b"\n\n", "no prefix"),
        ("cloudflare", b"<html>\n", "no address"),
        ("own:a", b"8.8.8.0/24,acme\n8.9.0.0/16,acme,x,y,z,a\n", "columns"),
        ("own:a", b"prefix,region\n8.8.8.0/24,a\n", "no provider"),
        ("own:a", b"prefix,provider,region\n8.8.8.0/24,acme\n", "columns"),
        ("own:a", b"prefix,provider,region\n8.8.8.0/24,,a\n", "provider"),
        ("own:a", b'prefix,provider,region\n8.8.8.0/24,"a', "line 2"),
        ("own:a", b"prefix,provider,region,colour\n8.8.8.0/24,acme,a,red\n", "colour"),
        ("own:a", b"hello\n", "no header"),
        ("own:a", b"8.8.8.0/24\0", "NUL"),
        ("own:a", b'{"prefixes": [{"prefix": 1}]}', "no text"),
        ("own:a", b'{"published": "now", "prefixes": []}', "published"),
        ("own:a", b'{"prefix": []}', "prefix"),
        ("own:A", b"", "no name"),
        ("amazon", b"", "no source"),
        ("own:a", b"prefix,provider,region\n8.8.8.0/24,acme,a\nbad/8,acme,a", "line 3"),
    ],
)  # fmt: skip
def test_a_list_that_is_not_one_says_what_is_wrong(name: str, data: bytes, says: str) -> None:
    with pytest.raises(RangesError) as caught:
        taken(name, data)
    assert says in str(caught.value)
    assert caught.value.advice
    assert len(str(caught.value)) < 300


def test_no_more_files_than_a_source_has() -> None:
    for name in LISTS:
        with pytest.raises(RangesError, match="file"):
            taken(name, b"", b"", b"")
    assert len(taken("cloudflare", CLOUDFLARE, CLOUDFLARE6).labels) == 3


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_garbled_list_is_refused_or_read_and_raises_nothing_else(name: str, data: st.DataObject) -> None:
    files = [bytearray(each) for each in LISTS[name]]
    for file in files:
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, max(0, len(file) - 1)))
            match data.draw(st.sampled_from(["cut", "put", "swap"])):
                case "cut":
                    del file[at:]
                case "put":
                    file[at:at] = data.draw(
                        st.sampled_from([b'"', b"{", b"]", b"0", b",", b"\\ud800", b"/0", b"\n", b"\xff"])
                    )
                case _:
                    file[at : at + 1] = data.draw(st.binary(min_size=1, max_size=3))
    try:
        made = taken(name, *map(bytes, files))
    except RangesError:
        return
    encoded(table_of([made]))
    assert all(prefix.length >= (8 if prefix.family == 4 else 16) for prefix in made.labels)


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["8.8.8.0/24", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["region", "cidr", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", [name for name in LISTS if name != "cloudflare"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_value_of_another_type_anywhere_raises_nothing_but_ours(name: str, data: st.DataObject) -> None:
    whole: object = json.loads(LISTS[name][0]) if name != "own:acme" else {"prefixes": [{"prefix": "8.8.8.0/24"}]}
    inner, depth = whole, data.draw(st.integers(1, 5))
    for level in range(depth):
        keys = list(range(len(inner))) if isinstance(inner, list) else sorted(inner) if isinstance(inner, dict) else []
        if not keys or not isinstance(inner, list | dict):
            break
        key = data.draw(st.sampled_from(keys))
        if level == depth - 1:
            inner[key] = data.draw(JSONS)  # type: ignore[index]
            break
        inner = inner[key]  # type: ignore[index]
    with suppress(RangesError):
        taken(name, json.dumps(whole).encode(), *LISTS[name][1:])


@needs_data
def test_the_real_lists() -> None:
    files = {"aws": "aws-2026-08-22.json", "gcp": "gcp-2026-05-05.json", "oci": "oci-2025-07-21.json",
             "azure": "azure-2026-05.json", "fastly": "fastly-ip-ranges.json"}  # fmt: skip
    made = {name: taken(name, (DATA / file).read_bytes()) for name, file in files.items()}
    made["cloudflare"] = taken("cloudflare", *(each.read_bytes() for each in sorted(DATA.glob("cloudflare-*"))))
    assert {name: each.source.prefixes for name, each in made.items()} == {
        "aws": 11_013, "gcp": 937, "oci": 896, "azure": 16_398, "cloudflare": 22, "fastly": 21,
    }  # fmt: skip
    assert all(each.source.ambiguous == 0 for each in made.values())
    assert made["azure"].source.left_out == 85_046
    unnamed = {label.region for label in made["azure"].labels.values()} - {None, *AZURE_REGIONS}
    assert unnamed == set()
    data = encoded(table_of(made.values()))
    assert len(data) < 200_000
    istanbul = [label for label in made["aws"].labels.values() if label.border_group == "eu-central-1-ist-1"]
    assert {label.region for label in istanbul} == {"eu-central-1"}
    assert only(Index.of(data), "51.224.0.1").place == "eusc-de-east-1"

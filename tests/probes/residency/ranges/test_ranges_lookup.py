"""Lookups: the longest prefix wins, for every address, in every nesting, from every source at once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_ranges import brute, edges_of, imports, label, nestings, source

from probes.residency.ranges.codec import decoded, encoded
from probes.residency.ranges.index import Index
from probes.residency.ranges.prefixes import Prefix
from probes.residency.ranges.seam import RangesError
from probes.residency.ranges.table import Imported, imports_of, table_of


def address_text(family: int, address: int) -> str:
    return str(IPv4Address(address) if family == 4 else IPv6Address(address))


@pytest.mark.parametrize("family", [4, 6])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_every_answer_is_that_of_brute_force(family: int, data: st.DataObject) -> None:
    layers = data.draw(st.lists(nestings(family), min_size=1, max_size=3))
    made = [
        Imported(source(f"own:{number}"), {prefix: label(region) for prefix, region in layer.items()})
        for number, layer in enumerate(layers)
    ]
    index = Index.of(encoded(table_of(made)))
    more = data.draw(st.lists(st.integers(0, (1 << (32 if family == 4 else 128)) - 1), max_size=5))
    for address in [*edges_of((prefix for layer in layers for prefix in layer), family), *more]:
        if family == 6 and address >> 32 == 0xFFFF:
            continue  # an IPv4-mapped address is looked up as IPv4
        found = {each.source: (each.prefix, each.region) for each in index.lookup(address_text(family, address))}
        wanted = {f"own:{number}": brute(layer, family, address) for number, layer in enumerate(layers)}
        assert found == {name: answer for name, answer in wanted.items() if answer is not None}


@settings(max_examples=40, deadline=None)
@given(nestings(4), nestings(6), nestings(4))
def test_an_index_taken_apart_and_made_again_answers_the_same(
    four: dict[Prefix, str], six: dict[Prefix, str], other: dict[Prefix, str]
) -> None:
    rows = {prefix: label(region) for prefix, region in {**four, **six}.items()}
    table = table_of(
        [
            Imported(source("aws"), rows),
            Imported(source("gcp"), {prefix: label(region) for prefix, region in other.items()}),
        ]
    )
    before, after = Index(table), Index.of(encoded(table_of(imports_of(decoded(encoded(table))))))
    for family, layer in ((4, {**four, **other}), (6, six)):
        for address in edges_of(layer, family):
            text = address_text(family, address)
            assert before.lookup(text) == after.lookup(text)


def test_the_order_of_imports_changes_no_byte() -> None:
    one, two = (
        imports("aws", {"3.0.0.0/9": "eu-west-1", "3.1.0.0/16": "us-east-1"}),
        imports("gcp", {"3.1.2.0/24": "europe-west3"}),
    )
    assert encoded(table_of([one, two])) == encoded(table_of([two, one]))


def test_every_source_answers_for_itself_by_its_own_longest_prefix() -> None:
    index = Index(
        table_of([imports("own:b", {"3.0.0.0/9": "b1"}), imports("aws", {"3.0.0.0/8": "a1", "3.1.0.0/16": "a2"})])
    )
    assert [(each.source, each.region, each.prefix) for each in index.lookup("3.1.2.3")] == [
        ("aws", "a2", "3.1.0.0/16"),
        ("own:b", "b1", "3.0.0.0/9"),
    ]
    assert [each.region for each in index.lookup("3.200.0.1")] == ["a1"]
    assert index.lookup("4.0.0.0") == ()
    assert [each.name for each in index.sources()] == ["aws", "own:b"]


def test_addresses_come_as_text_or_objects_and_mapped_ones_are_ipv4() -> None:
    index = Index(table_of([imports("aws", {"3.0.0.0/8": "v4", "2a05:d000::/25": "v6"})]))
    for address in ("3.4.5.6", ip_address("3.4.5.6"), "::ffff:3.4.5.6", ip_address("::ffff:3.4.5.6"), "::FFFF:304:506"):
        assert [each.region for each in index.lookup(address)] == ["v4"]
    for same in ("2a05:d000::1", "2A05:D000:0:0::1", ip_address("2a05:d000::1")):
        assert [each.region for each in index.lookup(same)] == ["v6"]


@pytest.mark.parametrize(
    "text",
    [*("", "3.4.5", "3.4.5.6 ", " 3.4.5.6", "3.4.5.06", "0x3.4.5.6", "3.4.5.6/32", "3.4.5.6:443", "[2a05::1]", "3405"),
     *("fe80::1%eth0", "3.4.5.256", "example.com", "３.4.5.6", "3.4.5.6\0", "1" * 5000, "::ffff:3.4.5", "2a05:d000")],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_never_guessed(text: str) -> None:
    index = Index(table_of([imports("aws", {"3.0.0.0/8": "v4"})]))
    with pytest.raises(RangesError) as caught:
        index.lookup(text)
    assert len(str(caught.value)) < 200
    assert caught.value.advice


def test_an_address_with_a_zone_is_refused_as_an_object_too() -> None:
    with pytest.raises(RangesError):
        Index(table_of([])).lookup(IPv6Address("fe80::1%eth0"))


def test_an_empty_index_holds_nothing() -> None:
    index = Index.of(encoded(table_of([])))
    assert index.sources() == ()
    assert index.lookup("3.4.5.6") == index.lookup("2a05::1") == ()

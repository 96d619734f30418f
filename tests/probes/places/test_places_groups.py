"""Groups of countries: what is in, what is not, and since when."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from probes.places.countries import COUNTRIES, KNOWN, PARTS, codes, with_parts
from probes.places.groups import DECISIONS, EU_MEMBERS, KNOWN_TO, OUTERMOST, OVERSEAS, group
from probes.places.jurisdictions import EU, Jurisdiction, expanded, worded


def read(places: list[str]) -> frozenset[str]:
    return TypeAdapter(Jurisdiction).validate_python(places)


def test_every_country_is_one() -> None:
    assert len(COUNTRIES) == 249
    assert len(EU_MEMBERS) == 27
    for each in (EU, OUTERMOST, OVERSEAS, {decision.country for decision in DECISIONS}):
        assert each <= COUNTRIES
    assert PARTS.keys() <= COUNTRIES


def test_the_union_has_its_outermost_regions_and_no_overseas_territory() -> None:
    union = group("EU")
    assert union.version == "EU@2020-02-01"
    assert union.members == EU_MEMBERS | OUTERMOST | {"AX"} == EU
    assert not union.members & OVERSEAS
    assert not union.members & {"FO", "GI", "IM", "GG", "JE", "GB", "CY-BASES", "SJ", "CH", "NO"}
    assert {"PT-20", "PT-30", "ES-CN"} <= with_parts(union.members)
    assert not {"CY-BASES", "CY-NORTH"} & with_parts(union.members)


def test_a_group_is_what_it_was_at_its_date() -> None:
    assert group("EU@2020-01-31").version == "EU@2014-01-01"
    assert "GB" in group("EU@2020-01-31").members
    assert "GB" not in group("EU@2020-02-01").members
    assert group("EU@2021-06-01") == group("EU")
    assert group("EEA").members - EU == {"IS", "LI", "NO"}
    assert group("EFTA").members == {"CH", "IS", "LI", "NO"}
    assert group("UK").members == {"GB"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Europe", "knows EEA"),
        ("EU@2013-01-01", "from 2014-01-01 on"),
        ("EU@soon", "write the date"),
        ("EU@20200201", "write the date"),
        ("EU@", "write the date"),
        ("EU@2030-01-01", "tables end at"),
        ("adequacy", "write the date"),
        ("adequacy@2027-01-01", "tables end at"),
    ],
)
def test_what_is_no_group_is_refused_with_a_way_out(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        group(name)


def test_adequacy_is_asked_at_a_date() -> None:
    adequate = group("adequacy@2026-01-01")
    assert adequate.members == codes("AD AR CH FO GB GG IL IM JE JP KR NZ UY")
    assert dict(adequate.conditional) == {"CA": "pipeda", "US": "eu-us-dpf"}
    assert "BR" in group("adequacy@2026-01-26").members
    assert "BR" not in group("adequacy@2026-01-25").members
    assert "(EU) 2023/1795" in adequate.source
    assert date(2026, 1, 26) <= KNOWN_TO


@pytest.mark.parametrize(
    ("day", "predicate"),
    [
        ("2015-10-05", "us-safe-harbour"),
        ("2015-10-06", None),
        ("2016-07-12", "eu-us-privacy-shield"),
        ("2020-07-16", None),
        ("2023-07-09", None),
        ("2023-07-10", "eu-us-dpf"),
    ],
)
def test_what_the_court_annulled_counts_no_more(day: str, predicate: str | None) -> None:
    assert group(f"adequacy@{day}").conditional.get("US") == predicate


def test_a_jurisdiction_is_spelt_out_and_read_back() -> None:
    assert read(["EU", "CH"]) == EU | {"CH"}
    assert read(["UK"]) == {"GB"}
    assert read(["EU@2020-01-31"]) > EU
    assert worded(read(["EU", "CH"])) == "EU, CH"
    assert worded({"NL", "DE"}) == "DE, NL"
    assert worded(EU_MEMBERS | {"CH"}) == "the 27 member states of the EU, CH"
    assert read(["DE"]) < read([*EU_MEMBERS]) < read(["EU"]) < read(["EEA"])
    assert expanded(["DE"]) == {"DE"}


@pytest.mark.parametrize("bad", [["Europe"], ["de"], ["ZZ"], [], ["adequacy@2026-01-01"], ["PT-20"], ["EU@x"]])
def test_what_is_no_country_is_refused(bad: list[str]) -> None:
    with pytest.raises(ValidationError):
        read(bad)


def test_codes_of_parts_are_no_countries() -> None:
    assert not COUNTRIES & {part for parts in PARTS.values() for part in parts}
    assert KNOWN > COUNTRIES

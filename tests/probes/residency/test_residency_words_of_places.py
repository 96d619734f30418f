"""Words that a roster may hide a place behind."""

from __future__ import annotations

import pytest

from probes.places.country_names import countries_in


@pytest.mark.parametrize("words", ["Germany, US", "Ireland / US", "Frankfurt and the US", "US (Ohio), Ireland"])
def test_the_code_of_the_united_states_counts_among_words(words: str) -> None:
    assert "US" in countries_in(words) or not countries_in(words)


@pytest.mark.parametrize(
    "words",
    [
        "Germany, Estados Unidos",
        "Ireland IN and out",
        "EU, Trivandrum",
        "Germany (support from Cebu)",
        "EU and Kosovo",
        "Germany, us-nowhere-9",
    ],
)
def test_a_word_that_nobody_knows_beside_a_country_leaves_it_open(words: str) -> None:
    assert countries_in(words) == set()


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("AWS eu-west-2", {"GB"}),
        ("AWS eu-central-2 (Zurich)", {"CH"}),
        ("Germany, us-east-1", {"DE", "US"}),
        ("AWS eu-central-1 (Frankfurt, Germany)", {"DE"}),
        ("Data centres in Dublin (Ireland) and Stockholm, Sweden", {"IE", "SE"}),
        ("Registered seat: Vienna, Austria", {"AT"}),
        ("DE (Frankfurt)", {"DE"}),
        ("DE, DE, United States", {"DE", "US"}),
        ("Ireland, IN", {"IE", "IN"}),
        ("DE and Ireland", {"DE", "IE"}),
        ("Las Palmas, Canary Islands, Spain", {"ES"}),
        ("Saint-Denis, La Réunion", {"RE"}),
        ("Germany U\u00adSA", {"DE", "US"}),
        ("Nowhere special", set()),
    ],
)
def test_regions_of_clouds_and_plain_words_are_understood(words: str, codes: set[str]) -> None:
    assert countries_in(words) == codes

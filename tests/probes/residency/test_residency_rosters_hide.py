"""Ways in which a roster may say one thing to people and another to a reader of tables."""

from __future__ import annotations

import json

import pytest

from probes.residency.rosters.parties import changes, listed
from probes.residency.rosters.tables import RosterError, read


def _places(text: str) -> set[str]:
    entries, unread = listed(read(text.encode()))
    return {code for entry in entries for code in entry.countries} | ({"?"} if unread else set())


@pytest.mark.parametrize(
    "text",
    [
        "name,country,country\nAcme,United States,Germany\n",
        "name,location,support location\nAcme,Germany,United States\n",
        "name,location,Country of storage\nAcme,Germany,United States\n",
        json.dumps([{"name": "Acme", "countries": ["DE"] * 120 + ["United States"]}]),
        json.dumps([{"name": "Acme", "Country": "United States", "country ": "Germany"}]),
    ],
)
def test_no_column_hides_another(text: str) -> None:
    assert "US" in _places(text)


def test_parties_beside_the_list_are_counted() -> None:
    page = "<table><tr><th>Name<th>Country<tr><td>A<td>Germany</table>"
    assert _places(page) == {"DE"}
    assert "?" in _places(page + "<table><tr><td>Acme Inc.<td>United States</table>")
    assert "?" in _places('{"list": [{"name": "A", "country": "DE"}], "more": {"list": [{"name": "B"}]}}')


def test_a_name_twice_and_endless_nesting_are_refused() -> None:
    deep = "[" * 600 + "]" * 600
    for text in ('[{"name": "A", "country": "US", "country": "DE"}]', f'[{{"name": "A", "country": {deep}}}]'):
        with pytest.raises(RosterError):
            read(text.encode())


def test_parties_without_a_latin_letter_are_not_one_and_the_same() -> None:
    before, _ = listed(read("name,country\n\u0391\u03bb\u03c6\u03b1,Germany\n".encode()))
    after, _ = listed(read("name,country\n\u042f\u043d\u0434\u0435\u043a\u0441,Germany\n".encode()))
    assert {change.kind for change in changes(before, after, ())} == {"added", "removed"}

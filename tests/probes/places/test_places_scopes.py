"""Scopes: their algebra held against a naive reading, and the traps of places."""

from __future__ import annotations

import itertools
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keycheck.model.control import Control
from probes.places.countries import with_parts
from probes.places.extents import Activity, Extent, Standing
from probes.places.groups import EU_MEMBERS, group
from probes.places.scopes import NARROWER, Exempt, Scope

CODES = ("DE", "FR", "PT", "PT-20", "CH", "US", "CA", "GB")
PLACES = (*CODES, "EU", "EEA", "UK", "adequacy@2026-01-01")
CLASSES = ("customer", "telemetry")
PREDICATES = ("pipeda", "eu-us-dpf")
SHOWN = [frozenset(each) for n in range(3) for each in itertools.combinations(PREDICATES, n)]
ADEQUACY = group("adequacy@2026-01-01")

places = st.frozensets(st.sampled_from(PLACES), max_size=4)
exempts = st.builds(
    Exempt,
    data=st.none() | st.frozensets(st.sampled_from(CLASSES), min_size=1),
    activities=st.none() | st.frozensets(st.sampled_from(Activity), min_size=1, max_size=3),
    allow=places.map(lambda named: named | {"DE"}),
    deny=places,
)
scopes = st.builds(
    lambda allow, deny, exceptions: Scope.model_validate({"allow": allow, "deny": deny, "except": exceptions}),
    places,
    places,
    st.lists(exempts, max_size=3),
)


def names(place: str, code: str, shown: frozenset[str]) -> bool:
    """Whether a place as written covers a code."""
    if "@" in place or place in ("EU", "EEA", "UK"):
        named = group(place)
        return code in with_parts(named.members) or named.conditional.get(code) in shown
    return code in with_parts({place})


def permits(scope: Scope, activity: Activity, data: str, code: str, shown: frozenset[str]) -> bool:
    """A naive reading of a scope."""
    rules = [(scope.allow, scope.deny)]
    rules += [(one.allow, one.deny) for one in scope.exceptions if one.concerns(activity, data)]
    everything = frozenset(PREDICATES)
    denied = any(names(place, code, everything) for _, deny in rules for place in deny)
    return not denied and any(names(place, code, shown) for allow, _ in rules for place in allow)


def inside(extent: Extent, activity: Activity, data: str, code: str, shown: frozenset[str]) -> bool:
    permitted = extent.at(activity, data)
    return any(term <= shown for term in permitted.condition(code))


@settings(max_examples=60, deadline=None)
@given(scopes, scopes)
def test_the_algebra_agrees_with_a_naive_reading(a: Scope, b: Scope) -> None:
    one, two = a.extent(), b.extent()
    meet, join = one & two, one | two
    only_in_one = False
    for activity in Activity:
        for data in (*CLASSES, "unnamed"):
            for code in CODES:
                for shown in SHOWN:
                    x = permits(a, activity, data, code, shown)
                    y = permits(b, activity, data, code, shown)
                    assert inside(one, activity, data, code, shown) == x
                    assert inside(meet, activity, data, code, shown) == (x and y)
                    assert inside(join, activity, data, code, shown) == (x or y)
                    only_in_one |= x and not y
    if only_in_one:
        assert not one <= two
    assert meet <= one <= join
    assert (one <= two) == ((one & two) == one) == ((one | two) == two)


@settings(max_examples=60, deadline=None)
@given(scopes, scopes, scopes)
def test_the_lattice_keeps_its_laws(a: Scope, b: Scope, c: Scope) -> None:
    x, y, z = a.extent(), b.extent(), c.extent()
    assert x & y == y & x
    assert (x & y) & z == x & (y & z)
    assert (x | y) | z == x | (y | z)
    assert x & (y | z) == (x & y) | (x & z)
    assert x & x == x == x | x
    assert hash(x & y) == hash(y & x)


@settings(max_examples=60, deadline=None)
@given(scopes, st.frozensets(st.sampled_from(CODES), min_size=1), st.sampled_from(SHOWN))
def test_only_what_is_permitted_whole_is_inside(scope: Scope, at: frozenset[str], shown: frozenset[str]) -> None:
    for activity, data in ((Activity.STORE, "telemetry"), (Activity.INFER, "customer")):
        every = [permits(scope, activity, data, code, shown) for code in with_parts(at)]
        ever = [permits(scope, activity, data, code, frozenset(PREDICATES)) for code in with_parts(at)]
        found = scope.contains(at, activity, data, shown)
        assert (found.standing is Standing.INSIDE) == all(every)
        assert (found.standing is Standing.OUTSIDE) == (not any(ever))
        assert (found.standing is Standing.CONDITIONAL) == (all(ever) and not all(every))
        assert (found.standing is Standing.PARTLY) == (any(ever) and not all(ever))
        # What is not known can only be judged harder.
        blind = scope.contains(at, shown=shown).standing
        assert blind is not Standing.INSIDE or found.standing is Standing.INSIDE


@settings(max_examples=60, deadline=None)
@given(scopes)
def test_a_scope_is_written_and_read_back(scope: Scope) -> None:
    again = Scope.model_validate(scope.model_dump(mode="json", by_alias=True))
    assert again == scope
    assert scope.at_most(again)


def test_a_scope_says_which_version_of_a_group_it_means() -> None:
    scope = Scope.model_validate(["EU", "UK"])
    assert scope.model_dump(mode="json", by_alias=True) == {
        "allow": ["EU@2020-02-01", "UK@1974-12-15"],
        "deny": [],
        "except": [],
    }
    assert scope.worded() == "EU@2020-02-01, UK@1974-12-15"


def test_conditional_members_never_satisfy_by_place_alone() -> None:
    scope = Scope.model_validate(["EEA", "adequacy@2026-01-01"])
    assert scope.contains(["CH", "DE"]).standing is Standing.INSIDE
    found = scope.contains(["US"])
    assert found.standing is Standing.CONDITIONAL
    assert found.demanded == {"eu-us-dpf"}
    assert scope.contains(["US"], shown=["pipeda"]).standing is Standing.CONDITIONAL
    assert scope.contains(["US"], shown=["eu-us-dpf"]).standing is Standing.INSIDE
    assert scope.contains(["US", "CN"], shown=["eu-us-dpf"]).standing is Standing.PARTLY
    assert "US" not in scope.countries()


def test_traps_that_are_none_and_traps_that_are() -> None:
    scope = Scope.model_validate(["EU"])
    for code in ("RE", "GP", "MF", "AX", "ES-CN", "PT-20", "PT"):
        assert scope.contains([code]).standing is Standing.INSIDE
    for code in ("NC", "PF", "BL", "GI", "IM", "JE", "FO", "GL", "CY-BASES", "CY-NORTH", "GB", "CH", "TR", "RS"):
        assert scope.contains([code]).standing is Standing.OUTSIDE
    assert scope.contains([]).standing is Standing.UNKNOWN


def test_data_in_a_country_may_be_in_its_parts() -> None:
    scope = Scope.model_validate({"allow": ["EU"], "deny": ["PT-20"]})
    found = scope.contains(["PT"])
    assert found.standing is Standing.PARTLY
    assert found.outside == {"PT-20"}
    assert scope.contains(["PT-30"]).standing is Standing.INSIDE
    assert Scope.model_validate(["PT-20"]).contains(["PT"]).standing is Standing.PARTLY


def test_exceptions_hold_for_their_class_and_activity_only() -> None:
    scope = Scope.model_validate(
        {"allow": ["EU"], "except": [{"data": ["telemetry"], "activities": ["store"], "allow": ["CH"]}]}
    )
    assert scope.contains(["CH"], Activity.STORE, "telemetry").standing is Standing.INSIDE
    assert scope.contains(["CH"], Activity.STORE, "customer").standing is Standing.OUTSIDE
    assert scope.contains(["CH"], Activity.INFER, "telemetry").standing is Standing.OUTSIDE
    assert scope.contains(["CH"], Activity.STORE).standing is Standing.OUTSIDE
    assert scope.contains(["CH"], data="telemetry").standing is Standing.OUTSIDE


@pytest.mark.parametrize(
    "bad",
    [
        ["Europe"],
        ["adequacy"],
        {"allow": ["DE"], "except": [{"data": ["x"]}]},
        {"allow": ["DE"], "except": [{"data": [], "allow": ["CH"]}]},
        {"allow": ["DE"], "except": [{"activities": ["mine"], "allow": ["CH"]}]},
        {"allow": ["DE"], "except": [{"allow": ["CH"]}] * 65},
        {"deny": ["DE"]},
        {"allow": ["DE"], "also": ["CH"]},
    ],
)
def test_what_is_no_scope_is_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        Scope.model_validate(bad)


def test_an_heir_may_narrow_a_scope_however_it_is_written() -> None:
    class Somewhere(Control):
        jurisdiction: Annotated[Scope, NARROWER]

    mark = Somewhere.tighteners()["jurisdiction"]
    eu = Scope.model_validate(["EU"])
    assert mark.allows(eu, Scope.model_validate(["DE", "RE"]))
    assert mark.allows(eu, Scope.model_validate([*EU_MEMBERS]))
    assert mark.allows(eu, Scope.model_validate({"allow": ["EEA"], "deny": ["IS", "LI", "NO"]}))
    assert mark.allows(None, eu)
    assert not mark.allows(eu, Scope.model_validate(["EEA"]))
    assert not mark.allows(eu, Scope.model_validate({"allow": ["DE"], "except": [{"data": ["x"], "allow": ["CH"]}]}))
    assert not mark.allows(eu, None)

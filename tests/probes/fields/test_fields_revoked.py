"""What opened, and did not while the key was away: only by the record of a drill in the same evidence."""

from __future__ import annotations

import pytest
from made_columns import CLEAN, DENIED, PLAIN, but, opened, rule
from made_drills import HONEST, changed, drill, honest, without

from keycheck.model.control import Neighbour, Sighting, Sightings
from keycheck.model.facts import Facts, Unseen
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.fields.facts import ColumnFacts
from probes.fields.revoked_control import Revoked
from probes.keys.timeline import Path, Saw

UNDRILLED = Unseen(reason=Reason.NOT_AUTHORIZED, detail="a drill changes the world: ask for it with --drills")


def judged(
    *records: Facts | Unseen, columns: tuple[ColumnFacts, ...] = (CLEAN, PLAIN), key: str = "contacts"
) -> Verdict:
    sightings = tuple(Sighting(facts.column, "here", ColumnFacts.assurance, facts) for facts in columns)
    return Revoked().judge(Sightings(sightings, tuple(Neighbour(f"keys/{key}", record) for record in records)))


def test_the_keys_of_sensitive_columns_are_what_it_wants_to_be_told_of() -> None:
    sightings = Sightings(tuple(Sighting(each.column, "here", ColumnFacts.assurance, each) for each in (CLEAN, PLAIN)))
    assert set(Revoked().neighbours(sightings)) == {"keys/contacts"}
    assert set(Revoked(classes=frozenset({"iban"})).neighbours(sightings)) == set()


def test_a_drill_that_took_the_key_away_from_everybody_passes_and_says_which_it_was() -> None:
    verdict = judged(drill())
    assert verdict.kind is Kind.PASS
    for words in ("300 values", "drill-1", "2026-11-22", "only with the context keycheck-canary", "266 s"):
        assert words in verdict.message


def test_of_two_drills_both_must_say_so() -> None:
    later = drill(occasion="drill-2")
    assert "drill-2" in judged(drill(), later).message
    assert judged(drill(without(honest(), Path.SENTINEL)), later).kind is Kind.INCONCLUSIVE
    assert judged(UNDRILLED, later).kind is Kind.PASS  # from another vantage none was to be done


def test_a_class_that_is_misspelt_is_no_way_out() -> None:
    sighting = Sighting("email", "here", ColumnFacts.assurance, CLEAN)
    iban = Sighting("iban", "here", ColumnFacts.assurance, but(CLEAN, rule=rule(**{"class": "iban"})))
    seen = Sightings((sighting, iban), (Neighbour("keys/contacts", drill()),))
    assert Revoked(classes=frozenset({"iban"})).judge(seen).kind is Kind.PASS
    assert Revoked(classes=frozenset({"iban", "e-mail"})).judge(seen).kind is Kind.INCONCLUSIVE


@pytest.mark.parametrize(
    ("records", "kind", "reason", "words"),
    [
        ((), Kind.INCONCLUSIVE, Reason.NOT_RECORDED, "holds no record of a revoke drill on keys/contacts"),
        ((UNDRILLED,), Kind.NOT_TESTED, Reason.NOT_AUTHORIZED, "no drill on keys/contacts"),
        ((drill(provider="gcp"),), Kind.INCONCLUSIVE, Reason.UNSUPPORTED, "a key that only its canary uses"),
        ((drill(acted=DENIED),), Kind.INCONCLUSIVE, Reason.PERMISSION_DENIED, "not known"),
        ((drill(without(honest(), Path.SENTINEL)),), Kind.INCONCLUSIVE, Reason.NO_POSITIVE, "in 0 of 1 Regions"),
        ((drill(without(honest(), *set(HONEST) - {Path.SENTINEL})),), Kind.INCONCLUSIVE, Reason.NOT_COVERED, "no path"),
        (
            (drill(changed(honest(), Path.SEARCH, Saw.READABLE, 0, 1000)),),
            Kind.INCONCLUSIVE,
            Reason.NOT_COVERED,
            "search was not seen",
        ),
    ],
    ids=["none", "not-asked", "google", "not-acted", "no-sentinel", "no-path", "still-read"],
)
def test_where_the_record_does_not_say_so_nothing_is_claimed(
    records: tuple[Facts | Unseen, ...], kind: Kind, reason: Reason, words: str
) -> None:
    verdict = judged(*records)
    assert verdict.kind is kind
    assert reason in verdict.reasons
    assert words in verdict.message


def test_a_drill_on_another_key_says_nothing() -> None:
    assert Reason.NOT_RECORDED in judged(drill(), key="notes").reasons


@pytest.mark.parametrize(
    "column",
    [
        opened(opened=0, fitting=0, canaries=0),
        but(CLEAN, opened=DENIED),
        but(CLEAN, rule=rule(key=None), key_resource=""),
        but(CLEAN, role="unmapped", rule=None, key_resource=""),
    ],
    ids=["nothing-opens", "not-opened", "no-key", "no-line"],
)
def test_refusals_prove_nothing_of_a_column_that_never_opened(column: ColumnFacts) -> None:
    assert judged(drill(), columns=(CLEAN, column)).kind is Kind.INCONCLUSIVE


def test_a_data_set_without_anything_sensitive_is_not_concerned() -> None:
    assert judged(drill(), columns=(PLAIN,)).kind is Kind.NOT_APPLICABLE

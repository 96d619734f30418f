"""What the judge expects of the evidence: every part, every vantage, the demands; nothing missing passes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from keycheck.judge import Evidence, Judged, judge_subject
from keycheck.model.control import Control, Group, Sightings
from keycheck.model.facts import Census, Facts, Seen, Unseen, seen
from keycheck.model.observation import Observation
from keycheck.model.profile import EvidenceDemands
from keycheck.model.verdict import Assurance, Kind, Reason, Verdict, because, failed, passed

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SUBJECT = "things/one"


class DoorFacts(Facts, schema="door.lock/1"):
    locked: bool
    tries: int = 1
    looked_at: tuple[int, int] = (1, 1)

    def samples(self) -> int:
        return self.tries

    def coverage(self) -> tuple[int, int]:
        return self.looked_at


class OtherFacts(Facts, schema="door.log/1"):
    quiet: bool


class Locked(Control, id="door.locked", version=1):
    """The door is locked."""

    needs = (DoorFacts,)

    def judge(self, facts: DoorFacts) -> Verdict:
        return passed("locked") if facts.locked else failed("open")


class Crashing(Control, id="door.crashing", version=1):
    """A broken plugin."""

    needs = (DoorFacts,)

    def judge(self, facts: DoorFacts) -> Verdict:
        raise RuntimeError("secret=hunter2")


class Together(Control, id="door.together", version=1):
    """Locked, and the log is quiet."""

    needs = (DoorFacts, OtherFacts)
    group_by = Group.SUBJECT

    def judge(self, seen: Sightings) -> Verdict:
        good = all(f.locked for f in seen.of(DoorFacts)) and all(f.quiet for f in seen.of(OtherFacts))
        return passed() if good else failed("not together")


class Book:
    """Builds observations with sequence numbers, as the engine would."""

    def __init__(self) -> None:
        self.lines: list[Observation] = []

    def add(
        self,
        outcome: Seen | Unseen,
        schema: str,
        part: str | None,
        vantage: str = "here",
        probe: str = "door.lock/1",
    ) -> Book:
        self.lines.append(
            Observation(
                seq=len(self.lines) + 1,
                run="0" * 64,
                salt="0" * 32,
                subject=SUBJECT,
                part=part,
                vantage=vantage,
                probe=probe,
                schema=schema,
                started=NOW - timedelta(hours=1),
                duration_us=5,
                outcome=outcome,
            )
        )
        return self

    def census(self, *parts: str, open_because: Reason | None = None, vantage: str = "here") -> Book:
        gaps = (Unseen(reason=open_because, detail="cut short"),) if open_because else ()
        return self.add(seen(Census(parts=parts, open=gaps)), Census.schema_id, None, vantage)

    def door(self, part: str, facts: DoorFacts | Unseen, vantage: str = "here", how: Assurance | None = None) -> Book:
        return self.add(facts if isinstance(facts, Unseen) else seen(facts, how), "door.lock/1", part, vantage)

    def judge(
        self,
        control: Control | None = None,
        demands: EvidenceDemands | None = None,
        vantages: Iterable[str] = ("here",),
        as_of: datetime = NOW,
    ) -> Judged:
        return judge_subject(
            control or Locked(),
            demands or EvidenceDemands(),
            SUBJECT,
            tuple(vantages),
            Evidence(self.lines),
            as_of,
        )


GOOD = DoorFacts(locked=True)
BAD = DoorFacts(locked=False)


def test_all_parts_of_the_census_seen_and_good_is_a_pass() -> None:
    judged = Book().census("a", "b").door("a", GOOD).door("b", GOOD).judge()
    assert judged.verdict.kind is Kind.PASS
    assert set(judged.by_part()) == {"a", "b"}


def test_no_observation_at_all_is_inconclusive() -> None:
    assert Book().judge().verdict == judged_as(Reason.OPEN_CENSUS, Book().judge().verdict.message)


def judged_as(reason: Reason, message: str) -> Verdict:
    return Verdict(reason.kind, (reason,), message)


def test_a_part_of_the_census_that_was_not_recorded_takes_the_pass_away() -> None:
    judged = Book().census("a", "b").door("a", GOOD).judge()
    assert (judged.verdict.kind, judged.verdict.reasons) == (Kind.INCONCLUSIVE, (Reason.NOT_RECORDED,))


def test_an_open_census_takes_the_pass_away() -> None:
    judged = Book().census("a", open_because=Reason.PERMISSION_DENIED).door("a", GOOD).judge()
    assert judged.verdict.reasons == (Reason.OPEN_CENSUS,)


def test_an_empty_census_is_inconclusive_not_untested() -> None:
    assert Book().census().judge().verdict.kind is Kind.INCONCLUSIVE


def test_sightings_without_a_census_do_not_pass() -> None:
    assert Book().door("a", GOOD).judge().verdict.kind is Kind.INCONCLUSIVE


def test_a_breach_counts_even_where_the_census_is_open_and_another_part_is_unseen() -> None:
    lost = Unseen(reason=Reason.TIMEOUT, detail="slow")
    judged = Book().census("a", "b", open_because=Reason.THROTTLED).door("a", BAD).door("b", lost).judge()
    assert judged.verdict.kind is Kind.FAIL


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_not_seeing_becomes_its_own_verdict(reason: Reason) -> None:
    judged = Book().census("a").door("a", Unseen(reason=reason, detail="x")).judge()
    assert (judged.verdict.kind, judged.verdict.reasons) == (reason.kind, (reason,))


def test_a_demanded_vantage_that_saw_nothing_takes_the_pass_away() -> None:
    book = Book().census("a").door("a", GOOD)
    assert book.judge(vantages=["here", "there"]).verdict.kind is Kind.INCONCLUSIVE


def test_vantages_that_disagree_are_a_contested_fail() -> None:
    book = Book().census("a").door("a", GOOD).census("a", vantage="there").door("a", BAD, vantage="there")
    judged = book.judge(vantages=["here", "there"])
    assert judged.verdict.kind is Kind.FAIL
    assert judged.contested


@pytest.mark.parametrize(
    ("demands", "reason"),
    [
        (EvidenceDemands(assurance=Assurance.CAUSED), Reason.ASSURANCE_TOO_LOW),
        (EvidenceDemands(max_age=timedelta(hours=1)), Reason.STALE),
        (EvidenceDemands(samples=2), Reason.NOT_COVERED),
        (EvidenceDemands(vantages=2), Reason.VANTAGES_TOO_FEW),
    ],
)
def test_demands_on_the_evidence_take_passes_away_and_leave_fails_alone(
    demands: EvidenceDemands, reason: Reason
) -> None:
    assert Book().census("a").door("a", GOOD).judge(demands=demands).verdict.reasons == (reason,)
    assert Book().census("a").door("a", BAD).judge(demands=demands).verdict.kind is Kind.FAIL


def test_coverage_is_a_ratio_of_integers_and_nothing_existing_is_no_coverage() -> None:
    demands = EvidenceDemands(coverage=(1, 2))
    for looked_at, expected in (
        ((1, 2), Kind.PASS),
        ((49, 99), Kind.INCONCLUSIVE),
        ((0, 0), Kind.INCONCLUSIVE),
    ):
        facts = DoorFacts(locked=True, looked_at=looked_at)
        assert Book().census("a").door("a", facts).judge(demands=demands).verdict.kind is expected, looked_at


def test_statements_never_pass_where_observation_is_demanded() -> None:
    demands = EvidenceDemands(assurance=Assurance.OBSERVED)
    for how in (Assurance.STATED, Assurance.DOCUMENTED, Assurance.CONFIGURED):
        judged = Book().census("a").door("a", GOOD, how=how).judge(demands=demands)
        assert judged.verdict.reasons == (Reason.ASSURANCE_TOO_LOW,)


def test_an_observation_from_after_the_date_judged_for_does_not_pass() -> None:
    assert Book().census("a").door("a", GOOD).judge(as_of=NOW - timedelta(days=1)).verdict.kind is Kind.INCONCLUSIVE


def test_a_control_that_crashes_is_an_error_and_says_nothing_of_what_it_held() -> None:
    judged = Book().census("a").door("a", GOOD).judge(control=Crashing())
    assert judged.verdict.reasons == (Reason.CANNOT_JUDGE,)
    assert "hunter2" not in judged.verdict.message


def test_facts_that_do_not_fit_their_schema_cannot_be_judged() -> None:
    strange = Seen.model_validate({"assurance": "observed", "facts": {"locked": True, "extra": 1}})
    judged = Book().census("a").add(strange, "door.lock/1", "a").judge()
    assert judged.verdict.reasons == (Reason.CANNOT_JUDGE,)


def test_a_control_over_a_subject_is_asked_only_when_every_needed_kind_was_seen() -> None:
    book = Book().census("a").door("a", GOOD)
    assert book.judge(control=Together()).verdict.kind is Kind.INCONCLUSIVE
    book.add(seen(Census(parts=("log",))), Census.schema_id, None, probe="door.log/1")
    book.add(seen(OtherFacts(quiet=True)), "door.log/1", "log", probe="door.log/1")
    assert book.judge(control=Together()).verdict.kind is Kind.PASS
    book.add(Unseen(reason=Reason.THROTTLED, detail="later"), "door.log/1", "log2", probe="door.log/1")
    assert book.judge(control=Together()).verdict.reasons == (Reason.THROTTLED,)


class Beside(Control, id="door.beside", version=1):
    """Locked, and so is what the evidence says of the house's other door."""

    needs = (DoorFacts,)
    beside = (OtherFacts,)
    group_by = Group.SUBJECT

    def neighbours(self, seen: Sightings) -> Iterable[str]:
        return ("things/two",)

    def judge(self, seen: Sightings) -> Verdict:
        told = [each.facts for each in seen.beside]
        if any(isinstance(each, Unseen) for each in told) or not told:
            return because(Reason.NOT_RECORDED, f"{len(told)} told")
        return passed()


class Lost(Beside, id="door.lost", version=1):
    """Does not know where it stands."""

    def neighbours(self, seen: Sightings) -> Iterable[str]:
        raise KeyError("secret=hunter2")


def other(book: Book, outcome: Seen | Unseen, schema: str, part: str | None, vantage: str = "there") -> Book:
    """A line about another subject."""
    book.add(outcome, schema, part, vantage, "door.log/1")
    book.lines[-1] = book.lines[-1].model_copy(update={"subject": "things/two"})
    return book


def test_a_control_is_told_of_other_subjects_where_the_evidence_holds_any() -> None:
    book = Book().census("a").door("a", DoorFacts(locked=True))
    assert book.judge(Beside()).verdict.kind is Kind.INCONCLUSIVE
    seen_ = other(book, seen(OtherFacts(quiet=True)), "door.log/1", "x").judge(Beside())
    assert seen_.verdict.kind is Kind.PASS
    assert seen_.members[-1].observations == (2, 3)


def test_what_could_not_be_seen_of_another_subject_is_told_as_such() -> None:
    book = Book().census("a").door("a", DoorFacts(locked=True))
    other(book, seen(OtherFacts(quiet=True)), "door.log/1", "x")
    assert other(book, seen(Census(parts=("x",))), Census.schema_id, None).judge(Beside()).verdict.kind is Kind.PASS
    lost = Unseen(reason=Reason.TIMEOUT, detail="gone")
    assert "2 told" in other(book, lost, Census.schema_id, None).judge(Beside()).verdict.message
    misfit = other(
        Book().census("a").door("a", DoorFacts(locked=True)), seen(DoorFacts(locked=True)), "door.log/1", "x"
    )
    assert misfit.judge(Beside()).verdict.kind is Kind.INCONCLUSIVE


def test_what_another_subject_showed_can_be_too_old() -> None:
    book = Book().census("a").door("a", DoorFacts(locked=True))
    other(book, seen(OtherFacts(quiet=True)), "door.log/1", "x")
    book.lines[-1] = book.lines[-1].model_copy(update={"started": NOW - timedelta(days=3)})
    assert book.judge(Beside(), EvidenceDemands(max_age=timedelta(days=4))).verdict.kind is Kind.PASS
    assert Reason.STALE in book.judge(Beside(), EvidenceDemands(max_age=timedelta(days=2))).verdict.reasons


def test_a_control_that_crashes_over_its_neighbours_cannot_judge() -> None:
    judged = Book().census("a").door("a", DoorFacts(locked=True)).judge(Lost())
    assert Reason.CANNOT_JUDGE in judged.verdict.reasons
    assert "hunter2" not in judged.verdict.message

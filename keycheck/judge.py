"""The verdict algebra. Pure: no clock, no network, no environment.

E = subjects x parts of the census x needed facts x demanded vantages. Over E, by `roll_up`:

1. proved `not-applicable` members leave E; if that empties it, `not-applicable`
2. no member at all: `not-tested` (never vacuous truth)
3. any `fail`: `fail`
4. else any `error`: `error`
5. else all `not-tested`: `not-tested`
6. else any `inconclusive`, `not-tested` or missing member: `inconclusive`, naming which
7. `pass`: every member passed, and the demands on the evidence hold

The same rules roll parts up to a finding, findings to a clause, and clauses to the contract.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from keycheck.boundary import Crash, guarded
from keycheck.model.control import Control, Group, Neighbour, Sighting, Sightings
from keycheck.model.facts import Census, Facts, Seen, Unseen
from keycheck.model.observation import Observation
from keycheck.model.profile import EvidenceDemands
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import (
    Kind,
    Reason,
    Verdict,
    because,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    passed,
)

MESSAGE_PARTS: Final = 3
F = TypeVar("F", bound=Facts)


def roll_up(members: Iterable[Verdict]) -> Verdict:
    """The seven rules. Order never matters; duplicates never matter."""
    different = set(members)
    if len(different) == 1 and isinstance((only := next(iter(different))).kind, Kind):
        return only  # each rule gives back a member that is alone
    everyone = sorted(different, key=lambda v: (v.kind, v.reasons, v.message))
    if not everyone:
        return not_tested(Reason.NO_SUBJECT, "nothing to judge")
    rest = [member for member in everyone if member.kind is not Kind.NOT_APPLICABLE]
    if not rest:
        return not_applicable(_words(everyone))
    if broken := [member for member in rest if member.kind is Kind.FAIL]:
        return failed(_words(broken))
    if wrong := [member for member in rest if member.kind is Kind.ERROR]:
        return Verdict(Kind.ERROR, _reasons(wrong), _words(wrong))
    untested = [member for member in rest if member.kind is Kind.NOT_TESTED]
    if len(untested) == len(rest):
        return Verdict(Kind.NOT_TESTED, _reasons(untested), _words(untested))
    undecided = [member for member in rest if member.kind is Kind.INCONCLUSIVE]
    if undecided or untested:
        gaps = {Reason.NOT_COVERED} if untested else set()
        reasons = tuple(sorted({*_reasons(undecided), *gaps}))
        return Verdict(Kind.INCONCLUSIVE, reasons, _words([*undecided, *untested]))
    return passed(_words(rest))


def _reasons(members: Iterable[Verdict]) -> tuple[Reason, ...]:
    return tuple(sorted({reason for member in members for reason in member.reasons}))


def _words(members: Sequence[Verdict]) -> str:
    said = list(dict.fromkeys(member.message for member in members if member.message))
    more = f" (and {len(said) - MESSAGE_PARTS} more)" if len(said) > MESSAGE_PARTS else ""
    return "; ".join(said[:MESSAGE_PARTS]) + more


@dataclass(frozen=True, slots=True)
class Member:
    """One member of E: a part seen (or not) from a vantage, judged."""

    part: PartName | None
    vantage: str
    verdict: Verdict
    observations: tuple[int, ...] = ()
    seen: bool = False
    """Whether facts stand behind it: what counts as observed in the population."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One control on one subject."""

    verdict: Verdict
    members: tuple[Member, ...]
    contested: bool
    """Vantages or repetitions disagreed: some saw it pass where another saw it fail."""

    def by_part(self) -> Mapping[PartName | None, Verdict]:
        """Members rolled up by part, the subject as a whole (None) first, parts sorted."""
        grouped: dict[PartName | None, list[Verdict]] = defaultdict(list)
        for member in self.members:
            grouped[member.part].append(member.verdict)
        order = sorted(grouped, key=lambda part: (part is not None, part or ""))
        return {part: roll_up(grouped[part]) for part in order}


class Evidence:
    """Observations indexed for judging, with facts typed once however many controls ask for them.

    Typed facts are many times larger than their text: only those of the subject last asked about are kept.
    Ask subject by subject."""

    def __init__(self, observations: Iterable[Observation]) -> None:
        self._by_subject: dict[tuple[str, str, str], list[Observation]] = defaultdict(list)
        self._typed: dict[int, Facts | Verdict] = {}
        self._parts: dict[tuple[str, type[Facts]], tuple[frozenset[PartName], tuple[Member, ...]]] = {}
        self._about = ""
        self.started: datetime | None = None
        self.ended: datetime | None = None
        for observation in observations:
            kind = _census_key(observation) if observation.schema_id == Census.schema_id else observation.schema_id
            self._by_subject[(observation.subject, observation.vantage, kind)].append(observation)
            self.started = min(observation.started, self.started or observation.started)
            self.ended = max(observation.ended, self.ended or observation.ended)

    def of(self, subject: str, vantage: str, facts: type[Facts]) -> Sequence[Observation]:
        """What was seen, or could not be seen, of a subject's parts."""
        return self._by_subject.get((subject, vantage, facts.schema_id), ())

    def censuses(self, subject: str, vantage: str, facts: type[Facts]) -> Sequence[Observation]:
        """The censuses by the probe that yields these facts."""
        return self._by_subject.get((subject, vantage, f"census of {facts.schema_id.partition('/')[0]}"), ())

    def parts(self, subject: str, vantage: str, kind: type[Facts]) -> tuple[frozenset[PartName], tuple[Member, ...]]:
        """The parts of the census, and a member for everything that leaves the census in doubt."""
        self._turn_to(subject)
        if (vantage, kind) not in self._parts:
            self._parts[(vantage, kind)] = _parts(subject, vantage, kind, self)
        return self._parts[(vantage, kind)]

    def anywhere(self, subject: str, facts: type[Facts]) -> Sequence[Observation]:
        """What was seen of a subject's parts from any vantage, or why nothing was."""
        kinds = (facts.schema_id, f"census of {facts.schema_id.partition('/')[0]}")
        found = [
            observation
            for (of, _, kind), observations in self._by_subject.items()
            if of == subject and kind in kinds
            for observation in observations
            if kind == facts.schema_id or isinstance(observation.outcome, Unseen)
        ]
        return sorted(found, key=lambda observation: observation.seq)

    def _turn_to(self, subject: str) -> None:
        if subject != self._about:
            self._typed.clear()
            self._parts.clear()
            self._about = subject

    def typed(self, observation: Observation, kind: type[F]) -> F | Verdict:
        """The facts of an observation, or why there are none, as a verdict."""
        self._turn_to(observation.subject)
        if observation.seq not in self._typed:
            self._typed[observation.seq] = _typed(observation, kind)
        facts = self._typed[observation.seq]
        if isinstance(facts, Verdict | kind):
            return facts
        return because(Reason.CANNOT_JUDGE, f"facts are {type(facts).__name__}, not {kind.__name__}")


def _census_key(observation: Observation) -> str:
    return f"census of {observation.probe.partition('/')[0]}"


def _typed(observation: Observation, kind: type[Facts]) -> Facts | Verdict:
    outcome = observation.outcome
    if isinstance(outcome, Unseen):
        return because(outcome.reason, outcome.detail)
    try:
        return kind.model_validate_json(outcome.facts)
    except ValidationError as error:
        problems = f"{error.error_count()} problems"
        words = f"facts of observation {observation.seq} do not fit {kind.schema_id}: {problems}"
        return because(Reason.CANNOT_JUDGE, words)


def judge_subject(
    control: Control,
    demands: EvidenceDemands,
    subject: str,
    vantages: Sequence[str],
    evidence: Evidence,
    as_of: datetime,
) -> Judged:
    """One control on one subject over all its parts, needed facts and vantages."""
    if type(control).group_by is Group.PART:
        members = tuple(
            member
            for vantage in vantages
            for kind in type(control).needs
            for member in _part_members(control, kind, demands, subject, vantage, evidence, as_of)
        )
        members += _vantage_member(members, demands)
    else:
        members = tuple(_subject_members(control, demands, subject, vantages, evidence, as_of))
    verdict = roll_up(member.verdict for member in members)
    told = Verdict(verdict.kind, verdict.reasons, _account(verdict, members))
    return Judged(told, members, _contested(members))


def _part_members(
    control: Control,
    kind: type[Facts],
    demands: EvidenceDemands,
    subject: str,
    vantage: str,
    evidence: Evidence,
    as_of: datetime,
) -> Iterable[Member]:
    parts, gaps = evidence.parts(subject, vantage, kind)
    yield from gaps
    seen: dict[PartName | None, list[Observation]] = defaultdict(list)
    for observation in evidence.of(subject, vantage, kind):
        seen[observation.part].append(observation)
    for part in sorted(parts | {part for part in seen if part is not None}):
        if not seen.get(part):
            missing = inconclusive(Reason.NOT_RECORDED, "in the census, but nothing was recorded about it")
            yield Member(part, vantage, missing)
        for observation in seen.get(part, ()):
            facts = evidence.typed(observation, kind)
            if isinstance(facts, Verdict):
                yield Member(part, vantage, facts, (observation.seq,))
                continue
            verdict = _demanding(_ask(control, facts), demands, [(facts, observation)], as_of)
            yield Member(part, vantage, verdict, (observation.seq,), seen=True)


def _parts(
    subject: str, vantage: str, kind: type[Facts], evidence: Evidence
) -> tuple[frozenset[PartName], tuple[Member, ...]]:
    censuses = evidence.censuses(subject, vantage, kind)
    if not censuses:
        missing = inconclusive(Reason.OPEN_CENSUS, f"{subject}: no census from {vantage}")
        return frozenset(), (Member(None, vantage, missing),)
    parts: set[PartName] = set()
    gaps: list[Member] = []
    for observation in censuses:
        census = evidence.typed(observation, Census)
        if isinstance(census, Verdict):
            gaps.append(Member(None, vantage, census, (observation.seq,)))
            continue
        parts |= set(census.parts)
        if census.open:
            words = f"{subject}: parts may be missing: {census.open[0].detail}"
            gaps.append(Member(None, vantage, inconclusive(Reason.OPEN_CENSUS, words), (observation.seq,)))
        elif not census.parts:
            words = f"{subject}: the census found no part"
            gaps.append(Member(None, vantage, inconclusive(Reason.OPEN_CENSUS, words), (observation.seq,)))
    return frozenset(parts), tuple(gaps)


def _subject_members(
    control: Control,
    demands: EvidenceDemands,
    subject: str,
    vantages: Sequence[str],
    evidence: Evidence,
    as_of: datetime,
) -> Iterable[Member]:
    """A control that sees everything at once: asked only when each needed kind of facts was seen; what
    could not be seen stays a member of its own, so that it can never be overlooked."""
    found: list[tuple[Sighting, Observation]] = []
    for vantage in vantages:
        for kind in type(control).needs:
            parts, gaps = evidence.parts(subject, vantage, kind)
            yield from gaps
            recorded = evidence.of(subject, vantage, kind)
            for part in sorted(parts - {observation.part for observation in recorded}):
                yield Member(
                    part, vantage, inconclusive(Reason.NOT_RECORDED, "in the census, but nothing was recorded about it")
                )
            for observation in recorded:
                facts = evidence.typed(observation, kind)
                if isinstance(facts, Verdict):
                    yield Member(observation.part, vantage, facts, (observation.seq,))
                elif isinstance(observation.outcome, Seen):
                    assurance = observation.outcome.assurance
                    found.append((Sighting(observation.part, vantage, assurance, facts), observation))
    if any(not any(isinstance(sighting.facts, kind) for sighting, _ in found) for kind in type(control).needs):
        yield Member(None, "", inconclusive(Reason.NOT_RECORDED, f"{subject}: not all needed facts were recorded"))
        return
    found.sort(key=lambda item: item[1].seq)
    seen = Sightings(tuple(sighting for sighting, _ in found))
    beside = _beside(control, seen, evidence)
    if isinstance(beside, Crash):
        yield Member(None, "", because(Reason.CANNOT_JUDGE, f"{control.reference()} crashed: {beside}"))
        return
    verdict = _ask(control, Sightings(seen.all, tuple(neighbour for neighbour, _ in beside)))
    basis = [(sighting.facts, observation) for sighting, observation in found]
    basis += [(each.facts, observation) for each, observation in beside if isinstance(each.facts, Facts)]
    verdict = _demanding(verdict, demands, basis, as_of)
    distinct = len({sighting.vantage for sighting, _ in found})
    if verdict.kind is Kind.PASS and distinct < demands.vantages:
        verdict = _too_few_vantages(distinct, demands)
    told = sorted({observation.seq for _, observation in (*found, *beside)})
    yield Member(None, "", verdict, tuple(told), seen=True)


def _beside(control: Control, seen: Sightings, evidence: Evidence) -> Sequence[tuple[Neighbour, Observation]] | Crash:
    """What the evidence says of the other subjects that a control asks for. None of it is a member of E: it has no
    census here, and what it lacks is the control's own doubt."""
    named = guarded(lambda: sorted(set(control.neighbours(seen))))
    if isinstance(named, Crash):
        return named
    told = [
        (Neighbour(subject, _untyped(_typed(observation, kind))), observation)
        for subject in named
        for kind in type(control).beside
        for observation in evidence.anywhere(subject, kind)
    ]
    return sorted(told, key=lambda pair: pair[1].seq)


def _untyped(found: Facts | Verdict) -> Facts | Unseen:
    """Why there are no facts, as what could not be seen."""
    if isinstance(found, Verdict):
        return Unseen(reason=next(iter(found.reasons), Reason.CANNOT_JUDGE), detail=vendor_text(found.message))
    return found


def _ask(control: Control, facts: Facts | Sightings) -> Verdict:
    verdict = guarded(lambda: control.judge(facts))
    if isinstance(verdict, Crash):
        return because(Reason.CANNOT_JUDGE, f"{control.reference()} crashed: {verdict}")
    if not isinstance(verdict, Verdict):
        return because(Reason.CANNOT_JUDGE, f"{control.reference()} returned no verdict")
    return verdict


def _demanding(
    verdict: Verdict, demands: EvidenceDemands, basis: Sequence[tuple[Facts, Observation]], as_of: datetime
) -> Verdict:
    """A pass that does not meet the demands on its evidence is no pass; neither is a proof that something does
    not apply, once it is too old or too weakly known. Nothing else changes."""
    if verdict.kind not in (Kind.PASS, Kind.NOT_APPLICABLE):
        return verdict
    short = guarded(
        lambda: [
            shortfall
            for facts, observation in basis
            for shortfall in (
                *_shortfalls(demands, observation, as_of),
                *(_thinness(demands, facts) if verdict.kind is Kind.PASS else ()),
            )
        ]
    )
    if isinstance(short, Crash):
        return because(Reason.CANNOT_JUDGE, f"the facts do not state their coverage: {short}")
    return roll_up(short) if short else verdict


def _shortfalls(demands: EvidenceDemands, observation: Observation, as_of: datetime) -> Iterable[Verdict]:
    outcome = observation.outcome
    if isinstance(outcome, Seen) and outcome.assurance.rung < demands.assurance.rung:
        words = f"known as {outcome.assurance}, the profile demands {demands.assurance}"
        yield inconclusive(Reason.ASSURANCE_TOO_LOW, words)
    if demands.max_age is not None and as_of >= observation.started + demands.max_age:
        yield inconclusive(Reason.STALE, f"observed {observation.started:%Y-%m-%d}, older than the profile allows")
    if observation.started > as_of:
        yield inconclusive(Reason.STALE, f"observed {observation.started:%Y-%m-%d}, after the date judged for")


def _thinness(demands: EvidenceDemands, facts: Facts) -> Iterable[Verdict]:
    examined, existing = facts.coverage()
    least, of = demands.coverage
    if existing <= 0 or examined * of < least * existing:
        yield inconclusive(Reason.NOT_COVERED, f"examined {examined} of {existing}, the profile demands {least}/{of}")
    if facts.samples() < demands.samples:
        yield inconclusive(Reason.NOT_COVERED, f"{_tries(facts.samples())}, the profile demands {demands.samples}")


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"


def _vantage_member(members: Sequence[Member], demands: EvidenceDemands) -> tuple[Member, ...]:
    """Each part that passed must have been seen to pass from enough vantages."""
    passes: dict[PartName | None, set[str]] = defaultdict(set)
    for member in members:
        if member.verdict.kind is Kind.PASS:
            passes[member.part].add(member.vantage)
    short = sorted({len(vantages) for vantages in passes.values() if len(vantages) < demands.vantages})
    if not short:
        return ()
    return (Member(None, "", _too_few_vantages(short[0], demands)),)


def _too_few_vantages(distinct: int, demands: EvidenceDemands) -> Verdict:
    words = f"seen from {distinct} of {demands.vantages} demanded vantages"
    return inconclusive(Reason.VANTAGES_TOO_FEW, words)


def _account(verdict: Verdict, members: Sequence[Member]) -> str:
    """The words of the members that decided, each once, with the parts that they are about."""
    deciding = {verdict.kind, Kind.NOT_TESTED} if verdict.kind is Kind.INCONCLUSIVE else {verdict.kind}
    said: dict[str, list[str]] = defaultdict(list)
    for member in members:
        if member.verdict.kind in deciding and member.verdict.message:
            said[member.verdict.message].append(member.part or "")
    sentences = [_about(sorted({part for part in parts if part}), words) for words, parts in sorted(said.items())]
    more = f" (and {len(sentences) - MESSAGE_PARTS} more)" if len(sentences) > MESSAGE_PARTS else ""
    return "; ".join(sentences[:MESSAGE_PARTS]) + more


def _about(parts: Sequence[str], words: str) -> str:
    if not parts:
        return words
    places: dict[str, list[str]] = defaultdict(list)
    for part in parts:
        place, _, aspect = part.partition(" ")
        places[place].append(aspect)
    named = [
        place + (f" ({', '.join(filter(None, aspects))})" if any(aspects) else "") for place, aspects in places.items()
    ]
    more = f" and {len(named) - MESSAGE_PARTS} more" if len(named) > MESSAGE_PARTS else ""
    return f"{', '.join(named[:MESSAGE_PARTS])}{more}: {words}"


def _contested(members: Sequence[Member]) -> bool:
    kinds: dict[PartName | None, set[Kind]] = defaultdict(set)
    for member in members:
        kinds[member.part].add(member.verdict.kind)
    return any({Kind.PASS, Kind.FAIL} <= seen for seen in kinds.values())

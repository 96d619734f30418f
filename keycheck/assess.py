"""From bindings and evidence to the assessment: findings, clauses, the contract, the exit code. Pure.

    assess(profile, deployment, registry, observations, waivers, as_of) -> Assessment

The same inputs give the same bytes (`assessment_bytes`), years later, also under an amended profile.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from keycheck import canonical
from keycheck.canonical import CanonicalBytes
from keycheck.judge import Evidence, Judged, Member, judge_subject, roll_up
from keycheck.model.assessment import Assessment, ClauseVerdict, Finding, PartVerdict, Population
from keycheck.model.authorization import AcceptedWaiver
from keycheck.model.deployment import Deployment, SubjectEntry
from keycheck.model.observation import Observation
from keycheck.model.profile import Clause, Profile, covers
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import ExitCode, Kind, Reason, Tier, Verdict, because, not_tested
from keycheck.plan import Binding, Unusable, bind
from keycheck.registry import Registry

_FIELDS: Final = set(Finding.model_fields)
"""Findings are made of values that are typed already, in their tens of thousands: they are not validated again,
and share the account of which fields are set."""
CHUNK: Final = 16
"""Findings that are written at a time: pieces small enough to lie where observations lay."""
GOOD = frozenset({Kind.PASS, Kind.NOT_APPLICABLE})


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that an assessment is a function of."""

    profile: Profile
    deployment: Deployment
    observations: Sequence[Observation]
    waivers: Sequence[AcceptedWaiver]
    as_of: datetime
    fail_on: Tier = Tier.STRONGLY_PREFERRED
    """The lowest tier whose failures gate; may only be lower than strongly-preferred."""


def assess(inputs: Inputs, registry: Registry) -> Assessment:
    """Judge every requirement on every subject and roll the findings up."""
    evidence = Evidence(inputs.observations)
    told = evidence.ended or inputs.as_of
    population: set[tuple[str, str, str, str]] = set()
    observed: set[tuple[str, str, str, str]] = set()
    ranked: list[tuple[int, int, Finding]] = []
    for rank, place, binding, entry in _by_subject(bind(inputs.profile, inputs.deployment, registry)):
        finding, members = _judged(binding, entry, inputs, evidence, told)
        ranked.append((rank, place, finding))
        for key, member in _population(binding, finding, members):
            population.add(key)
            if member.seen:
                observed.add(key)
    ranked.sort(key=lambda row: row[:2])
    findings = tuple(finding for _, _, finding in ranked)
    by_clause: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_clause[finding.clause].append(finding)
    clauses = tuple(_clause(clause, by_clause[clause.id]) for clause in inputs.profile.clauses)
    contract = _contract(clauses)
    return Assessment(
        profile=f"{inputs.profile.profile}@{inputs.profile.version}",
        deployment=inputs.deployment.deployment,
        verdict=contract.kind,
        exit_code=_exit_code(inputs.profile.clauses, findings, contract, inputs.fail_on),
        as_of=inputs.as_of,
        population=Population(expected=len(population), observed=len(observed)),
        clauses=clauses,
        findings=findings,
    )


def assessment_bytes(assessment: Assessment) -> CanonicalBytes:
    """The canonical bytes, as stored in the bundle and, with a newline, printed by `-o json`. Findings are written
    one by one: there may be tens of thousands, and all of them as plain values take more room than as text."""
    frame = assessment.model_dump(mode="json", by_alias=True, exclude={"findings"}) | {"findings": None}
    return canonical.spliced(canonical.dumps(frame), "findings", (b"[", *_written(assessment.findings), b"]"))


def _written(findings: Sequence[Finding]) -> Iterable[bytes]:
    """The members of the list of findings, some at a time, with commas between."""
    for start in range(0, len(findings), CHUNK):
        some = [finding.model_dump(mode="json", by_alias=True) for finding in findings[start : start + CHUNK]]
        yield (b"," if start else b"") + canonical.dumps(some, max_depth=canonical.MAX_DEPTH - 1)[1:-1]


def finding_id(profile: str, clause: str, control_id: str, subject: str) -> str:
    """Digest of (profile, clause, control without version, subject): survives new addresses and versions."""
    text = _opening(profile, clause, control_id) + b"," + canonical.dumps(subject) + b"]"
    return f"kc-{hashlib.sha256(text).hexdigest()[:20]}"


@lru_cache(maxsize=256)
def _opening(profile: str, clause: str, control_id: str) -> bytes:
    """`["PROFILE","CLAUSE","CONTROL"`: where the ids of one requirement's findings begin."""
    return canonical.dumps([profile, clause, control_id])[:-1]


def _by_subject(bindings: Iterable[Binding]) -> Iterable[tuple[int, int, Binding, SubjectEntry | None]]:
    """Every requirement on every subject with its place in the assessment: first those without a subject, then
    subject by subject, so that one subject's facts are in memory at a time."""
    asked: dict[str, list[tuple[int, int, Binding, SubjectEntry]]] = {}
    for rank, binding in enumerate(bindings):
        if not binding.subjects:
            yield rank, 0, binding, None
        for place, entry in enumerate(binding.subjects):
            asked.setdefault(entry.id, []).append((rank, place, binding, entry))
    for requirements in asked.values():
        yield from requirements


def _judged(
    binding: Binding, entry: SubjectEntry | None, inputs: Inputs, evidence: Evidence, told: datetime
) -> tuple[Finding, Sequence[Member]]:
    control = binding.control
    if isinstance(control, Unusable):
        judged = Judged(because(control.reason, control.message), (), contested=False)
    elif entry is None:
        words = f"the deployment names nothing that {binding.reference} is about"
        judged = Judged(not_tested(Reason.NO_SUBJECT, words), (), contested=False)
    else:
        judged = judge_subject(control, binding.evidence, entry.id, entry.vantages, evidence, inputs.as_of)
    return _finding(binding, entry, judged, inputs, told), judged.members


def _finding(binding: Binding, entry: SubjectEntry | None, judged: Judged, inputs: Inputs, told: datetime) -> Finding:
    subject = entry.id if entry else None
    identity = binding.control_id if binding.control_id != "planned" else f"planned: {_planned_words(binding)}"
    waiver = _waiver(binding, subject, judged.verdict.kind, inputs, told)
    cure = binding.clause.remedy.cure_within
    return Finding.model_construct(
        _FIELDS,
        id=finding_id(inputs.profile.profile, binding.clause.id, identity, subject or ""),
        clause=binding.clause.id,
        control=binding.reference,
        subject=subject,
        verdict=judged.verdict.kind,
        reasons=judged.verdict.reasons,
        parts=tuple(_part(part, verdict.kind, verdict.reasons) for part, verdict in judged.by_part().items()),
        message=vendor_text(judged.verdict.message, 1000),
        observations=tuple(sorted({seq for member in judged.members for seq in member.observations})),
        waived=waiver is not None,
        waiver=waiver.waiver.waiver if waiver else None,
        contested=judged.contested,
        deadline=_deadline(judged.verdict, cure, told),
    )


@lru_cache(maxsize=256)
def _part(part: PartName | None, verdict: Kind, reasons: tuple[Reason, ...]) -> PartVerdict:
    """Most controls say the same of a part: one value serves them all."""
    return PartVerdict(part=part, verdict=verdict, reasons=reasons)


def _planned_words(binding: Binding) -> str:
    return getattr(binding.demand, "planned", "")


def _deadline(verdict: Verdict, cure: timedelta | None, told: datetime) -> datetime | None:
    """Counted from the end of the run that saw the failure: the first moment the vendor could be told."""
    return told + cure if verdict.kind is Kind.FAIL and cure is not None else None


def _waiver(binding: Binding, subject: str | None, kind: Kind, inputs: Inputs, told: datetime) -> AcceptedWaiver | None:
    """The waiver that accepts this finding. It must be in force both when it was seen and at the moment judged
    for: judging for an earlier date revives none."""
    if subject is None or kind in GOOD:
        return None
    for accepted in inputs.waivers:
        waiver = accepted.waiver
        if (
            waiver.profile == inputs.profile.profile
            and waiver.clause == binding.clause.id
            and waiver.control == binding.control_id
            and kind in waiver.verdicts
            and accepted.counts_at(max(inputs.as_of, told))
            and any(covers(pattern, subject) for pattern in waiver.subjects)
        ):
            return accepted
    return None


def _population(
    binding: Binding, finding: Finding, members: Sequence[Member]
) -> Iterable[tuple[tuple[str, str, str, str], Member]]:
    needs = (
        "+".join(kind.schema_id for kind in binding.control.needs) if not isinstance(binding.control, Unusable) else ""
    )
    for member in members:
        if member.vantage:
            yield (finding.subject or "", needs, member.vantage, member.part or ""), member


def _clause(clause: Clause, own: Sequence[Finding]) -> ClauseVerdict:
    verdict = roll_up(Verdict(finding.verdict, finding.reasons, finding.message) for finding in own)
    failing = [finding for finding in own if finding.verdict is verdict.kind and finding.verdict not in GOOD]
    deadlines = [finding.deadline for finding in own if finding.deadline is not None]
    return ClauseVerdict(
        id=clause.id,
        tier=clause.tier,
        verdict=verdict.kind,
        reasons=verdict.reasons,
        waived=bool(failing) and all(finding.waived for finding in failing),
        deadline=min(deadlines, default=None),
    )


def _contract(clauses: Iterable[ClauseVerdict]) -> Verdict:
    """The same rules over the clauses that gate: every must-have; of the strongly-preferred what is
    definite (a fail counts, an unknown is shown and does not gate); never a nice-to-have."""
    unknown = (Kind.INCONCLUSIVE, Kind.NOT_TESTED)
    return roll_up(
        Verdict(clause.verdict, clause.reasons)
        for clause in clauses
        if clause.tier is Tier.MUST_HAVE or (clause.tier is Tier.STRONGLY_PREFERRED and clause.verdict not in unknown)
    )


def _exit_code(clauses: Iterable[Clause], findings: Sequence[Finding], contract: Verdict, fail_on: Tier) -> ExitCode:
    """The first that applies of 1, 4, 3, 10, 0, over what is not waived. A contract of which nothing
    was seen to hold is incomplete, whatever its tiers: met means that something passed."""
    open_codes: set[ExitCode] = set()
    waived_codes: set[ExitCode] = set()
    tiers = {clause.id: clause.tier for clause in clauses}
    for finding in findings:
        code = _gate(tiers[finding.clause], finding, fail_on)
        if code is not ExitCode.MET:
            (waived_codes if finding.waived else open_codes).add(code)
    for code in (ExitCode.CLAUSE_FAILS, ExitCode.TOOL_FAILED, ExitCode.INCOMPLETE):
        if code in open_codes:
            return code
    if waived_codes:
        return ExitCode.MET_WITH_WAIVERS
    return ExitCode.MET if contract.kind is Kind.PASS else ExitCode.INCOMPLETE


UNRUN = frozenset({Reason.NOT_SELECTED, Reason.INTERRUPTED})
"""What makes a run incomplete whatever the tier: somebody left it out, so nobody can call the contract met."""


def _gate(tier: Tier, finding: Finding, fail_on: Tier) -> ExitCode:
    """What one unwaived finding of a clause of this tier does to the exit code."""
    verdict = finding.verdict
    unrun = UNRUN & {*finding.reasons, *(reason for part in finding.parts for reason in part.reasons)}
    fails_gate = tier.weight >= min(fail_on.weight, Tier.STRONGLY_PREFERRED.weight)
    if verdict is Kind.FAIL and fails_gate:
        return ExitCode.CLAUSE_FAILS
    if verdict is Kind.ERROR and tier is not Tier.NICE_TO_HAVE:
        return ExitCode.TOOL_FAILED
    if verdict in (Kind.INCONCLUSIVE, Kind.NOT_TESTED) and (tier is Tier.MUST_HAVE or unrun):
        return ExitCode.INCOMPLETE
    return ExitCode.MET

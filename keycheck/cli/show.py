"""Assessments for people's eyes: a table on a terminal, one unfolded line a finding in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from keycheck.model.assessment import Assessment, ClauseVerdict, Finding
from keycheck.model.profile import Profile
from keycheck.model.types import format_instant
from keycheck.model.verdict import ExitCode, Kind, Reason

GLYPH: Final[Mapping[Kind, str]] = {
    Kind.PASS: "✓",
    Kind.FAIL: "✗",
    Kind.INCONCLUSIVE: "?",
    Kind.NOT_TESTED: "·",
    Kind.ERROR: "!",
    Kind.NOT_APPLICABLE: "-",
}
COLOUR: Final[Mapping[Kind, str]] = {
    Kind.PASS: "32",
    Kind.FAIL: "1;31",
    Kind.INCONCLUSIVE: "33",
    Kind.NOT_TESTED: "36",
    Kind.ERROR: "1;35",
    Kind.NOT_APPLICABLE: "2",
}
ORDER: Final = (Kind.FAIL, Kind.ERROR, Kind.INCONCLUSIVE, Kind.NOT_TESTED, Kind.PASS, Kind.NOT_APPLICABLE)

MEANING: Final[Mapping[ExitCode, str]] = {
    ExitCode.MET: "contract met",
    ExitCode.MET_WITH_WAIVERS: "contract met only through waivers",
    ExitCode.CLAUSE_FAILS: "a gating clause fails",
    ExitCode.INCOMPLETE: "a must-have clause is not decided",
    ExitCode.TOOL_FAILED: "keycheck or its infrastructure failed",
    ExitCode.EVIDENCE_BROKEN: "evidence does not verify",
    ExitCode.USAGE: "usage, profile, deployment or authorization error; nothing was run",
    ExitCode.NOT_RESTORED: "a drill could not prove that it restored what it changed",
    ExitCode.LOCKED: "another run holds the lock; try later",
    ExitCode.INTERRUPTED: "interrupted; what was seen so far is in the bundle",
}


def is_terminal(stream: TextIO) -> bool:
    """Whether people watch: a terminal that is no CI log."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def coloured(stream: TextIO) -> bool:
    """NO_COLOR wins, then FORCE_COLOR, then what the stream is."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def assessment_text(assessment: Assessment, profile: Profile | None, stream: TextIO = sys.stdout) -> str:
    """The whole assessment as text for this stream."""
    paint = _Paint(coloured(stream))
    if is_terminal(stream):
        width = max(72, min(shutil.get_terminal_size().columns, 140))
        return "\n".join(_table(assessment, profile, width, paint)) + "\n"
    return "\n".join(_lines(assessment)) + "\n"


@dataclass(frozen=True, slots=True)
class _Paint:
    """Colours by verdict, or not; glyph and word say the same without them."""

    on: bool

    def __call__(self, kind: Kind, text: str) -> str:
        return f"\x1b[{COLOUR[kind]}m{text}\x1b[0m" if self.on else text


def _lines(assessment: Assessment) -> Iterator[str]:
    clause = max((len(clause.id) for clause in assessment.clauses), default=0)
    subject = max((len(finding.subject or "-") for finding in assessment.findings), default=0)
    for finding in assessment.findings:
        waived = " waived" if finding.waived else ""
        reasons = f" [{', '.join(finding.reasons)}]" if finding.reasons else ""
        yield (
            f"{finding.verdict:<14} {finding.clause:<{clause}} {finding.control:<20} "
            f"{finding.subject or '-':<{subject}} {finding.id}{waived}{reasons} {finding.message}"
        ).rstrip()
    yield summary(assessment)


def summary(assessment: Assessment) -> str:
    """The last line: the verdict, what was seen, the exit code and its meaning."""
    seen = assessment.population
    counts = ", ".join(
        f"{sum(clause.verdict is kind for clause in assessment.clauses)} {kind}"
        for kind in ORDER
        if any(clause.verdict is kind for clause in assessment.clauses)
    )
    return (
        f"{assessment.verdict.upper()}: {_count(len(assessment.clauses), 'clause')}: {counts}; "
        f"observed {seen.observed} of {seen.expected} expected; "
        f"exit {int(assessment.exit_code)}: {MEANING[assessment.exit_code]}"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _table(assessment: Assessment, profile: Profile | None, width: int, paint: _Paint) -> Iterator[str]:
    words = {clause.id: clause.text for clause in profile.clauses} if profile else {}
    planned = [clause for clause in assessment.clauses if clause.reasons == (Reason.PLANNED,)]
    for kind in ORDER:
        for clause in assessment.clauses:
            if clause.verdict is not kind or clause in planned:
                continue
            yield paint(kind, f"{GLYPH[kind]} {kind.upper():<14}") + f" {clause.id}  ({clause.tier}){_marks(clause)}"
            text = words.get(clause.id)
            if text and kind not in (Kind.PASS, Kind.NOT_APPLICABLE):
                yield from _wrapped(f"“{' '.join(text.split())}”", 4, width)
            yield from _findings((f for f in assessment.findings if f.clause == clause.id), kind, width, paint)
    if planned:
        yield paint(
            Kind.NOT_TESTED,
            f"· {_count(len(planned), 'clause')} without a control yet: planned, so not tested, so not met",
        )
        yield from (_planned(clause, assessment, width) for clause in planned)
    yield ""
    yield paint(assessment.verdict, summary(assessment))


def _planned(clause: ClauseVerdict, assessment: Assessment, width: int) -> str:
    messages = [finding.message for finding in assessment.findings if finding.clause == clause.id]
    line = f"    {clause.id:<22} {'; '.join(messages)}"
    return line if len(line) <= width else line[: width - 1] + "…"


def _marks(clause: ClauseVerdict) -> str:
    waived = "  WAIVED" if clause.waived else ""
    deadline = f"  cure by {format_instant(clause.deadline)[:10]}" if clause.deadline else ""
    return waived + deadline


def _findings(findings: Iterable[Finding], clause: Kind, width: int, paint: _Paint) -> Iterator[str]:
    """Passing findings in one line; everything else with its words."""
    by_kind: dict[Kind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.verdict, []).append(finding)
    for kind in ORDER:
        for finding in by_kind.get(kind, []):
            if kind in (Kind.PASS, Kind.NOT_APPLICABLE):
                continue
            head = f"    {paint(kind, GLYPH[kind])} {finding.control}  {finding.subject or ''}"
            yield head + (f"  [{', '.join(finding.reasons)}]" if finding.reasons else "")
            yield from _wrapped(finding.message, 8, width)
        if good := [f for f in by_kind.get(kind, []) if kind in (Kind.PASS, Kind.NOT_APPLICABLE)]:
            shown = ", ".join(sorted({f.control.partition("@")[0] for f in good}))
            label = f"{GLYPH[kind]} {kind}: {shown}  ({_count(len({f.subject for f in good}), 'subject')})"
            yield from _wrapped(label, 4, width, paint if clause is not kind else None, kind)


def _wrapped(text: str, indent: int, width: int, paint: _Paint | None = None, kind: Kind = Kind.PASS) -> list[str]:
    pad = " " * indent
    lines = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or []
    return [pad + (paint(kind, line) if paint else line) for line in lines]

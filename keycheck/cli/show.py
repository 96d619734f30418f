"""Assessments for people's eyes: a table on a terminal, one unfolded line a finding in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from keycheck.model.assessment import Assessment, ClauseVerdict, Finding
from keycheck.model.profile import Profile
from keycheck.model.types import format_instant
from keycheck.model.verdict import ExitCode, Kind, Reason
from keycheck.registry import Registry

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
MOST_NAMED: Final = 4
"""Findings with the same words that are named one by one."""
GOOD: Final = (Kind.PASS, Kind.NOT_APPLICABLE)
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


def assessment_text(
    assessment: Assessment, profile: Profile | None, stream: TextIO = sys.stdout, caveats: Sequence[str] = ()
) -> str:
    """The whole assessment as text for this stream, with what must be known first right before the last line."""
    paint = _Paint(coloured(stream))
    last = summary(assessment)
    if not is_terminal(stream):
        return "\n".join((*_lines(assessment), *(f"caveat: {caveat}" for caveat in caveats), last)) + "\n"
    width = max(72, min(shutil.get_terminal_size().columns, 140))
    lines = [*_table(assessment, profile, width, paint), ""]
    for caveat in caveats:
        lines += _wrapped(f"caveat: {caveat}", 0, width, paint, Kind.INCONCLUSIVE)
    return "\n".join((*lines, *_wrapped(last, 0, width, paint, _colour(assessment)))) + "\n"


def caveats_of(assessment: Assessment, registry: Registry) -> tuple[str, ...]:
    """What the controls behind these findings want to be known first; each once."""
    kinds = (registry.control(ref) for ref in sorted({finding.control for finding in assessment.findings}))
    return tuple(sorted({kind.caveat for kind in kinds if isinstance(kind, type) and kind.caveat}))


@dataclass(frozen=True, slots=True)
class _Paint:
    """Colours by verdict, or not; glyph and word say the same without them."""

    on: bool

    def __call__(self, kind: Kind, text: str) -> str:
        return f"\x1b[{COLOUR[kind]}m{text}\x1b[0m" if self.on else text


def _lines(assessment: Assessment) -> Iterator[str]:
    clause = max((len(clause.id) for clause in assessment.clauses), default=0)
    control = max((len(finding.control) for finding in assessment.findings), default=0)
    subject = max((len(finding.subject or "-") for finding in assessment.findings), default=0)
    for finding in assessment.findings:
        waived = " waived" if finding.waived else ""
        reasons = f" [{', '.join(finding.reasons)}]" if finding.reasons else ""
        yield (
            f"{finding.verdict:<14} {finding.clause:<{clause}} {finding.control:<{control}} "
            f"{finding.subject or '-':<{subject}} {finding.id}{waived}{reasons} {finding.message}"
        ).rstrip()


def summary(assessment: Assessment) -> str:
    """The last line: the verdict, what was seen, the exit code and its meaning."""
    seen = assessment.population
    counts = ", ".join(
        f"{sum(clause.verdict is kind for clause in assessment.clauses)} {kind}"
        for kind in ORDER
        if any(clause.verdict is kind for clause in assessment.clauses)
    )
    moment = format_instant(assessment.as_of)[:16]
    return (
        f"{assessment.verdict.upper()} as of {moment}: {_count(len(assessment.clauses), 'clause')}: {counts}; "
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
            if text and kind not in GOOD:
                yield from _wrapped(f"“{' '.join(text.split())}”", 4, width)
            yield from _findings((f for f in assessment.findings if f.clause == clause.id), kind, width, paint)
    if planned:
        yield paint(
            Kind.NOT_TESTED,
            f"· {_count(len(planned), 'clause')} without a control yet: planned, so not tested, so not met",
        )
        yield from (_planned(clause, assessment, width) for clause in planned)


def _planned(clause: ClauseVerdict, assessment: Assessment, width: int) -> str:
    messages = [finding.message for finding in assessment.findings if finding.clause == clause.id]
    line = f"    {clause.id:<22} {'; '.join(messages)}"
    return line if len(line) <= width else line[: width - 1] + "…"


def _colour(assessment: Assessment) -> Kind:
    """The colour of the last line: what the exit code means."""
    return Kind.INCONCLUSIVE if assessment.exit_code is ExitCode.MET_WITH_WAIVERS else assessment.verdict


def _marks(clause: ClauseVerdict) -> str:
    waived = "  WAIVED" if clause.waived else ""
    deadline = f"  cure by {format_instant(clause.deadline)[:10]}" if clause.deadline else ""
    return waived + deadline


def _findings(findings: Iterable[Finding], clause: Kind, width: int, paint: _Paint) -> Iterator[str]:
    """What neither passes nor is exempt with its words, once for all that say the same; the rest in one line."""
    told: dict[tuple[int, tuple[str, ...], str, bool], list[Finding]] = {}
    good: dict[Kind, list[Finding]] = {}
    totals: Counter[str] = Counter()
    for finding in findings:
        totals[_name(finding)] += 1
        if finding.verdict in GOOD:
            good.setdefault(finding.verdict, []).append(finding)
        else:
            key = (ORDER.index(finding.verdict), tuple(finding.reasons), finding.message, finding.waived)
            told.setdefault(key, []).append(finding)
    for _, same in sorted(told.items(), key=lambda item: item[0][0]):
        yield from _told(same, width, paint)
    for kind, same in good.items():
        counts = Counter(map(_name, same))
        shown = ", ".join(f"{name} {_count_of(counts[name], totals[name])}" for name in sorted(counts))
        yield from _wrapped(f"{GLYPH[kind]} {kind}: {shown}", 4, width, paint if clause is not kind else None, kind)


def _told(same: Sequence[Finding], width: int, paint: _Paint) -> Iterator[str]:
    """Findings that say the same: control, subject and id of each as far as they are few, then the words once."""
    first = same[0]
    mark = paint(first.verdict, GLYPH[first.verdict])
    waived = f"  WAIVED by {first.waiver}" if first.waived else ""
    reasons = f"  [{', '.join(first.reasons)}]" if first.reasons else ""
    if len(same) <= MOST_NAMED:
        for finding in same:
            yield f"    {mark} {finding.control}  {finding.subject or ''}  {finding.id}{reasons}{waived}"
    else:
        controls, subjects = {f.control for f in same}, {f.subject for f in same}
        yield f"    {mark} {_count(len(controls), 'control')}, {_count(len(subjects), 'subject')}{reasons}{waived}"
        yield from _wrapped(", ".join(sorted(subject or "-" for subject in subjects)), 8, width)
    yield from _wrapped(first.message, 8, width)


def _name(finding: Finding) -> str:
    return finding.control.partition("@")[0]


def _count_of(some: int, all_of_them: int) -> str:
    return str(some) if some == all_of_them else f"{some} of {all_of_them}"


def _wrapped(text: str, indent: int, width: int, paint: _Paint | None = None, kind: Kind = Kind.PASS) -> list[str]:
    pad = " " * indent
    lines = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or []
    return [pad + (paint(kind, line) if paint else line) for line in lines]

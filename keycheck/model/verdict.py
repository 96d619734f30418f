"""Verdicts, reason codes, assurance rungs, tiers and exit codes: the closed vocabularies of keycheck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """The six verdicts. `waived` and `contested` stand beside a verdict and never replace it."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not-tested"
    ERROR = "error"
    NOT_APPLICABLE = "not-applicable"


class Reason(StrEnum):
    """Why a verdict is not definite. Each reason belongs to exactly one verdict (see `kind`)."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    PERMISSION_DENIED = "permission-denied"
    NOT_COVERED = "not-covered"
    NO_POSITIVE = "no-positive"
    OPEN_CENSUS = "open-census"
    ASSURANCE_TOO_LOW = "assurance-too-low"
    STALE = "stale"
    CONFLICTING = "conflicting"
    VANTAGES_TOO_FEW = "vantages-too-few"
    PROPAGATION_PENDING = "propagation-pending"
    CLOCK_UNTRUSTED = "clock-untrusted"
    INTERCEPTED = "intercepted"
    MALFORMED = "malformed"
    WITHHELD = "withheld"
    NOT_RECORDED = "not-recorded"
    UNSUPPORTED = "unsupported"
    TOOL_MISSING = "tool-missing"

    PLANNED = "planned"
    NOT_SELECTED = "not-selected"
    NOT_AUTHORIZED = "not-authorized"
    NO_VANTAGE = "no-vantage"
    NO_SUBJECT = "no-subject"
    INTERRUPTED = "interrupted"

    PROBE_CRASHED = "probe-crashed"
    WORKER_LOST = "worker-lost"
    PLUGIN_BROKEN = "plugin-broken"
    CANNOT_JUDGE = "cannot-judge"

    @property
    def kind(self) -> Kind:
        """The one verdict that this reason belongs to."""
        return _KIND_OF.get(self, Kind.INCONCLUSIVE)


_KIND_OF = {
    **dict.fromkeys(
        (
            Reason.PLANNED,
            Reason.NOT_SELECTED,
            Reason.NOT_AUTHORIZED,
            Reason.NO_VANTAGE,
            Reason.NO_SUBJECT,
            Reason.INTERRUPTED,
        ),
        Kind.NOT_TESTED,
    ),
    **dict.fromkeys((Reason.PROBE_CRASHED, Reason.WORKER_LOST, Reason.PLUGIN_BROKEN, Reason.CANNOT_JUDGE), Kind.ERROR),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict with its reason codes (sorted, unique) and a sentence for people.

    The message is prose: it is outside the byte identity of an assessment.
    """

    kind: Kind
    reasons: tuple[Reason, ...] = ()
    message: str = ""

    def __post_init__(self) -> None:
        if len(self.reasons) > 1 or type(self.reasons) is not tuple:
            object.__setattr__(self, "reasons", tuple(sorted(set(self.reasons))))
        if not self.reasons:
            if self.kind in _UNKNOWN:
                raise ValueError(f"a verdict {self.kind} needs a reason")
            return
        if strays := [reason for reason in self.reasons if reason.kind is not self.kind]:
            raise ValueError(f"a verdict {self.kind} cannot carry the reasons {strays}")


_UNKNOWN = frozenset({Kind.INCONCLUSIVE, Kind.NOT_TESTED, Kind.ERROR})


def passed(message: str = "") -> Verdict:
    """The requirement was seen to hold."""
    return Verdict(Kind.PASS, (), message)


def failed(message: str) -> Verdict:
    """The requirement was seen to be broken; the message names the breach."""
    return Verdict(Kind.FAIL, (), message)


def not_applicable(message: str) -> Verdict:
    """The requirement is proved not to concern this part; the message says by what."""
    return Verdict(Kind.NOT_APPLICABLE, (), message)


def because(reason: Reason, message: str) -> Verdict:
    """The verdict that `reason` belongs to: inconclusive, not-tested or error."""
    return Verdict(reason.kind, (reason,), message)


def inconclusive(reason: Reason, message: str) -> Verdict:
    """It was looked at and cannot be decided."""
    return Verdict(Kind.INCONCLUSIVE, (reason,), message)


def not_tested(reason: Reason, message: str) -> Verdict:
    """It was not looked at."""
    return Verdict(Kind.NOT_TESTED, (reason,), message)


class Assurance(StrEnum):
    """How a fact is known, from weakest to strongest. Compare with `rung`."""

    STATED = "stated"
    DOCUMENTED = "documented"
    CONFIGURED = "configured"
    OBSERVED = "observed"
    CAUSED = "caused"

    @property
    def rung(self) -> int:
        """Height on the ladder; a requirement demands at least a rung."""
        return _LADDER.index(self)


_LADDER = tuple(Assurance)


class Tier(StrEnum):
    """What a clause's verdict does to the exit code."""

    MUST_HAVE = "must-have"
    STRONGLY_PREFERRED = "strongly-preferred"
    NICE_TO_HAVE = "nice-to-have"

    @property
    def weight(self) -> int:
        """Larger is stricter: an heir may raise a tier and never lower it."""
        return {Tier.MUST_HAVE: 2, Tier.STRONGLY_PREFERRED: 1, Tier.NICE_TO_HAVE: 0}[self]


class ExitCode(IntEnum):
    """The same for every verb; see docs/exit-codes.md. When several apply, the first of
    2, 6, 5, 1, 4, 3, 10, 0 wins."""

    MET = 0
    CLAUSE_FAILS = 1
    USAGE = 2
    INCOMPLETE = 3
    TOOL_FAILED = 4
    EVIDENCE_BROKEN = 5
    NOT_RESTORED = 6
    MET_WITH_WAIVERS = 10
    LOCKED = 75
    INTERRUPTED = 130

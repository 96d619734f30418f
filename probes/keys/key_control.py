"""What the controls over keys share: their base, and how breaches and doubts become one verdict. Pure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, TypeAlias, TypeVar, assert_never

from keycheck.model.control import Control
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import format_duration
from keycheck.model.verdict import Kind, Reason, Verdict, because, failed, inconclusive
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsKey
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey, GcpVersion
from probes.weighing import shown as shown

SKEW: Final = timedelta(minutes=10)
"""Two honest clocks differ by less."""

CAVEAT: Final = (
    "everything about keys rests on documentation and on emulators: keycheck was never exercised against a real AWS or "
    "Google Cloud account (docs/fidelity.md, `make live-aws`, `make live-gcp`)"
)
"""True until a recording of a real cloud says otherwise; a test holds it to tests/live/recordings."""

HOLLOW: Final = frozenset({"DESTROYED", "IMPORT_FAILED", "GENERATION_FAILED"})
"""States of a version that holds no material."""

T = TypeVar("T")


class KeyControl(Control):
    """Base of the controls over a key. `reads` names the aspects that it judges: the probe asks no others."""

    needs: ClassVar[tuple[type[Facts], ...]] = (KeyFacts,)
    section: ClassVar[str] = "keys"
    caveat: ClassVar[str] = CAVEAT
    reads: ClassVar[frozenset[Aspect]] = frozenset()


class EachCloudControl(KeyControl):
    """Base of those that ask each cloud another question."""

    @abstractmethod
    def aws(self, key: AwsKey) -> Verdict:
        """The verdict on a key of AWS."""

    @abstractmethod
    def gcp(self, key: GcpKey) -> Verdict:
        """The verdict on a key of Google Cloud."""

    def judge(self, facts: KeyFacts) -> Verdict:
        """By the cloud that the key is in."""
        match facts.key:
            case AwsKey() as key:
                return self.aws(key)
            case GcpKey() as key:
                return self.gcp(key)
            case _:
                assert_never(facts.key)


Cloud: TypeAlias = AwsKey | GcpKey

_SEVERITY: Final = (Kind.ERROR, Kind.INCONCLUSIVE, Kind.NOT_TESTED)


def settle(breaches: Iterable[str], doubts: Iterable[Verdict], holds: Verdict) -> Verdict:
    """A proved breach stands whatever could not be read; without one, any doubt is the verdict; else `holds`."""
    if proved := shown(breaches, "; "):
        return failed(proved)
    open_ = tuple(doubts)
    for kind in _SEVERITY:
        worst = [doubt for doubt in open_ if doubt.kind is kind]
        if worst:
            reasons = tuple(reason for doubt in worst for reason in doubt.reasons)
            return Verdict(kind, reasons, shown((doubt.message for doubt in worst), "; "))
    return holds


def unread(what: str, unseen: Unseen) -> Verdict:
    """The verdict of the reason for which something was not seen."""
    return because(unseen.reason, f"{what} could not be read: {unseen.detail or unseen.reason}")


def undeclared(what: str, field: str) -> Verdict:
    """What is not declared is not known."""
    return inconclusive(Reason.NOT_COVERED, f"{what}: declare it as agreed.{field} of the key")


def day(moment: datetime) -> str:
    """A date for people."""
    return f"{moment:%Y-%m-%d}"


def days(span: timedelta) -> str:
    """A length of time for people, in whole days from a day on."""
    return f"{span.days} days" if span >= timedelta(days=2) else format_duration(span)


def solid(versions: Sequence[GcpVersion]) -> tuple[GcpVersion, ...]:
    """The versions that hold material, or may."""
    return tuple(version for version in versions if version.state not in HOLLOW)


def in_use(key: GcpKey, versions: Sequence[GcpVersion]) -> tuple[GcpVersion, ...] | Verdict:
    """The versions that new data is encrypted with: the primary, or every enabled one where callers choose."""
    if key.purpose == "ENCRYPT_DECRYPT":
        if key.primary is None:
            return failed("the key has no primary version: nothing can be encrypted with it")
        found = tuple(version for version in versions if version.id == key.primary)
        if not found:
            return inconclusive(Reason.NOT_COVERED, f"version {key.primary}, the primary, is not among those listed")
        return found
    return tuple(version for version in versions if version.state == "ENABLED")

"""What a revoke drill needs of a cloud, whichever it is: the change, our principal's looks, our marks in the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from probes.keys.drill.polling import Way
from probes.keys.drill_facts import Markers, Scope, WindowUses
from probes.keys.subjects import Key, KeyDrill


class Revoking(Protocol):
    """One drill's hands and eyes in a cloud. Whoever makes one has looked at everything, and changed nothing."""

    @property
    def change(self) -> Change:
        """What is to be changed."""

    @property
    def mechanism(self) -> Mechanism:
        """What changes it, and puts it back."""

    @property
    def claims(self) -> frozenset[str]:
        """Names in the world (ARNs, resource names) that no two drills may touch at once."""

    @property
    def ours(self) -> tuple[str, ...]:
        """Our own principals, as the log names them."""

    @property
    def scope(self) -> Scope:
        """What the change is limited to."""

    @property
    def clock_us(self) -> int:
        """Most that our clock and the cloud's log can differ: the measured offset, its error, and what the log's own
        times leave open."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked beforehand, and is no reason not to start. For people."""

    def sentinel_ways(self) -> tuple[Way, ...]:
        """Our own principal, in every place in which the key is."""

    def mark(self) -> None:
        """A call of our own for the log, which shows whether the log is whole. Raises ProbeError."""

    def marks(self) -> tuple[str, ...]:
        """How our marking calls so far are found in the log again (request ids); kept for whoever reads it later."""

    def log(self, at: Mapping[str, datetime]) -> tuple[WindowUses | Unseen, Markers | Unseen]:
        """What the log says by now of the time between act and undo, and which of our marks have arrived. `at`: when
        the journal's records of each type were first written, `found-restored` among them."""


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[WindowUses | Unseen, Markers | Unseen]:
    """What the log says by now of a drill that is over: `marks` as `Revoking.marks` gave them, `started` when the drill
    began, `at` as for `Revoking.log`. Raises ProbeError."""
    if subject.provider == "aws":
        from probes.keys.drill import aws_revoke

        return aws_revoke.log_of(subject, change, marks, started, at, io)
    from probes.keys.drill import gcp_revoke

    return gcp_revoke.log_of(subject, change, marks, started, at, io)


def prepared(drill: str, subject: Key, plan: KeyDrill, deadline: datetime, technique: Technique, io: Io) -> Revoking:
    """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
    if subject.provider == "aws":
        from probes.keys.drill.aws_revoke import AwsRevocation

        return AwsRevocation.prepared(drill, subject, plan, deadline, technique, io)
    from probes.keys.drill.gcp_revoke import GcpRevocation

    return GcpRevocation.prepared(drill, subject, plan, deadline, technique, io)

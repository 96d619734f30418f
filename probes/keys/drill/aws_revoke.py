"""What a revoke drill needs of AWS: the checks before, the change, our own principal's looks, our marks in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.clients import api
from probes.keys import aws
from probes.keys.aws_facts import AwsKey
from probes.keys.drill import Refusal, Sight
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_common import read as parsed
from probes.keys.drill.aws_deny import Deny
from probes.keys.drill.aws_levels import level_of
from probes.keys.drill.aws_log import RawLog, recent, with_files
from probes.keys.drill.aws_needs import LOOKS
from probes.keys.drill.aws_people import clock
from probes.keys.drill.aws_preflight import Restricted, refusals
from probes.keys.drill.aws_sentinel import Sentinel, sentinels
from probes.keys.drill.aws_window import markers, marking, window_uses
from probes.keys.drill.canary import Canary, plant
from probes.keys.drill.muted import aws_muted
from probes.keys.drill.polling import Ask, Look, Way
from probes.keys.drill.window import SECOND, Window
from probes.keys.drill_facts import Markers, Match, Scope, WindowUses
from probes.keys.facts import KeyFacts
from probes.keys.subjects import Key, KeyDrill
from probes.keys.timeline import Path, Saw

ASPECTS: Final = frozenset(LOOKS)
BEFORE: Final = timedelta(days=1)
"""How far before the canary was planted the log is searched for its context."""
KEPT: Final = timedelta(days=90)
_SAW: Final = {Sight.READABLE: Saw.READABLE, Sight.DENIED: Saw.DENIED, Sight.UNAVAILABLE: Saw.UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class AwsRevocation:
    """One drill's hands and eyes in AWS. `prepared` raises before anything is changed."""

    drill: str
    subject: Key
    io: Io
    arns: tuple[str, ...]
    canary: Canary
    change: Change
    mechanism: Mechanism
    ours: tuple[str, ...]
    looks: tuple[Sentinel, ...]
    started: datetime
    scope: Scope
    clock_us: int
    notes: tuple[str, ...] = ()
    _marks: list[str] = field(default_factory=list)

    @classmethod
    def prepared(
        cls, drill: str, subject: Key, plan: KeyDrill, deadline: datetime, technique: Technique, io: Io
    ) -> AwsRevocation:
        """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
        started = io.clock()
        census = aws.survey(subject, io)
        if census.open:
            raise ProbeError(census.open[0].reason, f"where the key is is not known: {census.open[0].detail}")
        facts = [_facts(subject, part, io) for part in census.parts]
        arns = tuple(fact.key.arn for fact in facts if isinstance(fact.key, AwsKey))
        first = kms_arn(arns[0])
        canary = plant(
            hand(io, subject.identities.control, first),
            first,
            plan.context,
            rest=plan.rest,
            varies=plan.varies,
            planted=plan.planted,
            entropy=io.entropy,
        )
        level = level_of(drill, subject, plan, facts, canary, deadline, technique)
        logs = [recent(subject, kms_arn(arn), _span(plan, io), io) for arn in arns]
        against = refusals(subject, facts, logs, level.change, io, plan.settle)
        if against:
            raise ProbeError(_gravest(against), "not started: " + "; ".join(each.words for each in against))
        withholding = level.withholding
        offset = clock(subject, [kms_arn(arn) for arn in arns], io)
        if offset is None:
            raise ProbeError(Reason.CLOCK_UNTRUSTED, "AWS's answers carry no Date: our clock cannot be compared")
        return cls(
            drill=drill,
            subject=subject,
            io=io,
            arns=arns,
            canary=canary,
            change=level.change,
            mechanism=level.mechanism,
            ours=_ours(subject, first, io),
            looks=sentinels(io, subject, canary, arns, withholding) if withholding else (),
            started=started,
            scope=Scope(
                context_names=tuple(vendor_text(name) for name, _ in plan.context) if level.scoped else (),
                regions=len(arns),
            ),
            clock_us=(offset.most + SECOND) // timedelta(microseconds=1),
            notes=level.notes,
        )

    @property
    def claims(self) -> frozenset[str]:
        """The key in every Region."""
        return frozenset(self.arns)

    def sentinel_ways(self) -> tuple[Way, ...]:
        """Our own principal, in every Region."""
        return tuple(Way(Path.SENTINEL, look.arn.region, _asking(look)) for look in self.looks)

    def mark(self) -> None:
        """A call of our own that succeeds in every Region, for the log, to show whether that is whole: under a context
        that a limited restriction does not concern; where the whole key goes, a look at the key. Raises ProbeError."""
        for arn in map(kms_arn, self.arns):
            who = hand(self.io, self.subject.identities.control, arn)
            if self.scope.context_names:
                answer = who.ask(
                    "kms:Encrypt",
                    arn.region,
                    KeyId=str(arn),
                    Plaintext=b"keycheck",
                    EncryptionContext=marking(self.canary, self.drill),
                )
            else:
                answer = who.ask("kms:DescribeKey", arn.region, KeyId=str(arn))
            self._marks.append(request_id(answer))

    def marks(self) -> tuple[str, ...]:
        """The request ids of our marking calls."""
        return tuple(self._marks)

    def log(self, at: Mapping[str, datetime]) -> tuple[WindowUses | Unseen, Markers | Unseen]:
        """What the log says by now of the time between act and undo, and which of our marks have arrived."""
        return log_of(self.subject, self.change, self.marks(), self.started, at, self.io)


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[WindowUses | Unseen, Markers | Unseen]:
    """The same of a drill that is over, from what its journal says of it."""
    if not {"intended", "acted", "undo-intended", "found-restored"} <= at.keys():
        unseen = Unseen(reason=Reason.NOT_RECORDED, detail="the drill has no whole window")
        return unseen, unseen
    window = Window(at["intended"], at["acted"], at["undo-intended"], at["found-restored"])
    span = io.clock() - started + timedelta(seconds=2)
    if span > KEPT:
        unseen = Unseen(reason=Reason.NOT_COVERED, detail="the drill is longer ago than CloudTrail's history reaches")
        return unseen, unseen
    about = parsed(Restricted, change.parameters)
    try:
        arns = [kms_arn(arn) for arn in about.keys]
        logs: Sequence[RawLog] = [with_files(recent(subject, arn, span, io), subject, io) for arn in arns]
        muted = aws_muted(subject, arns, io)
    except ProbeError as error:
        unseen = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        return unseen, unseen
    uses = window_uses(logs, window, about.canary, muted)
    if change.kind != Deny.kind:  # the whole key was away, so that every use is one of what was taken away
        uses = uses.model_copy(
            update={"uses": tuple(use.model_copy(update={"match": Match.CANARY}) for use in uses.uses)}
        )
    return uses, markers(logs, window, about.canary, change.drill, ids=marks)


def request_id(answer: Mapping[str, object]) -> str:
    """What AWS calls the request, as CloudTrail names it, too; empty where the answer does not say."""
    metadata = answer.get("ResponseMetadata")
    found = metadata.get("RequestId") if isinstance(metadata, dict) else None
    return vendor_text(found, 100) if isinstance(found, str) else ""


def _facts(subject: Key, part: str, io: Io) -> KeyFacts:
    key, _ = aws.key(subject, part, ASPECTS, io)
    return KeyFacts(
        agreed=subject.agreed,
        model=subject.model,
        named=vendor_text(subject.resource),
        looked=io.clock(),
        asked=tuple(sorted(ASPECTS)),
        key=key,
    )


def _span(plan: KeyDrill, io: Io) -> timedelta:
    return min(KEPT, max(BEFORE, io.clock() - plan.planted + BEFORE))


def _gravest(against: Sequence[Refusal]) -> Reason:
    """Unsupported before all others: no permission or patience would help."""
    reasons = [each.reason for each in against]
    return Reason.UNSUPPORTED if Reason.UNSUPPORTED in reasons else reasons[0]


def _ours(subject: Key, arn: KmsArn, io: Io) -> tuple[str, ...]:
    """Our own principals as the log names them, sessions under their roles."""
    names = set()
    for ref in (subject.identities.drill, subject.identities.control, subject.identities.restore):
        caller, _ = api(io, ref, arn.partition, arn.region).caller(arn.region)
        names.add(caller)
    return tuple(sorted(names))


def _asking(look: Sentinel) -> Ask:
    def ask() -> Look:
        sample = look.ask()
        return Look(_SAW[sample.sight], sample.words)

    return ask

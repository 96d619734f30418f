"""What a revoke drill needs of Google Cloud: a canary's CryptoKey, the checks before, the change, and the log.

IAM conditions cannot see what is encrypted, so a drill there takes a key of its own from the canary. What it finds
holds for the vendor's handling of that key; that the others are handled alike is the vendor's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.names import KeyName, key_name, same_key, version_number
from probes.keys.drill import Refusal, Sight
from probes.keys.drill.aws_common import read as parsed
from probes.keys.drill.dead_man import missing
from probes.keys.drill.gcp_binding import Binding, binding
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_canary import CanaryKey, GcpCanary, plant
from probes.keys.drill.gcp_disable import DisableVersion, disable
from probes.keys.drill.gcp_log import keys_of, recent, with_files
from probes.keys.drill.gcp_marks import Marks, mark, marks_of, measured
from probes.keys.drill.gcp_preflight import logged, preflight
from probes.keys.drill.gcp_sentinel import Sentinel, Withholding
from probes.keys.drill.gcp_window import markers, window_uses
from probes.keys.drill.muted import gcp_muted
from probes.keys.drill.offset import MAX_SKEW, Offset, together
from probes.keys.drill.polling import Ask, Look, Way
from probes.keys.drill.window import Window
from probes.keys.drill_facts import Markers, Scope, WindowUses
from probes.keys.gcp.describe import versions_of
from probes.keys.subjects import Key, KeyDrill
from probes.keys.timeline import Path, Saw

BEFORE: Final = timedelta(days=1)
"""How far before the canary was planted the log is read."""
KEPT: Final = timedelta(days=30)
"""How far back it is read at most: Data Access logs are kept so long unless somebody set another time."""
_SAW: Final = {Sight.READABLE: Saw.READABLE, Sight.DENIED: Saw.DENIED, Sight.UNAVAILABLE: Saw.UNAVAILABLE}
_OFFERED: Final = (Technique.DRILL, Technique.DISABLE_KEY)
_ADVICE: Final = {
    Technique.REVOKE_GRANT: "Google Cloud has no grants beside its policies: use the time-conditioned binding",
    Technique.DELETE_MATERIAL: (
        "in Google Cloud destroyed material is gone for good after its waiting time, and keycheck never destroys any: "
        "disable the canary's key instead"
    ),
}


class _About(CanaryKey, extra="ignore"):
    """What the parameters of every mechanism have."""


@dataclass(frozen=True, slots=True)
class GcpRevocation:
    """One drill's hands and eyes in Google Cloud. `prepared` raises before anything is changed."""

    subject: Key
    io: Io
    key: KeyName
    change: Change
    mechanism: Mechanism
    ours: tuple[str, ...]
    look: Sentinel
    started: datetime
    dated: Offset | None
    notes: tuple[str, ...]
    _calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    _logged: list[Offset] = field(default_factory=list)

    @classmethod
    def prepared(
        cls, drill: str, subject: Key, plan: KeyDrill, deadline: datetime, technique: Technique, io: Io
    ) -> GcpRevocation:
        """Everything looked at, nothing changed. Raises ProbeError with every reason not to start."""
        started = io.clock()
        if technique not in _OFFERED:
            advice = _ADVICE.get(technique, "take the canary's key from it, or disable that")
            raise ProbeError(Reason.UNSUPPORTED, f"{technique} is not offered in Google Cloud: {advice}")
        if plan.canary_key is None:
            raise ProbeError(
                Reason.UNSUPPORTED,
                "`drill:` names no `canary_key`: IAM conditions cannot see what is encrypted, so the canary needs a "
                "key of its own, under which the vendor puts it and nothing else",
            )
        key = key_name(plan.canary_key)
        control = hand(io, subject.identities.control)
        canary = plant(control, plan.canary_key, planted=plan.planted, entropy=io.entropy)
        change, mechanism, withholding = _way(drill, subject, plan, key, canary, deadline, technique, io)
        found = preflight(subject, change, io, plan.settle)
        ours = _ours(subject, io)
        against = [*found.refusals, *_logged(subject, plan, key, ours, io)]
        if against:
            raise ProbeError(_gravest(against), "not started: " + "; ".join(each.words for each in against))
        return cls(
            subject=subject,
            io=io,
            key=key,
            change=change,
            mechanism=mechanism,
            ours=ours,
            look=Sentinel(io, subject.identities.control, key, canary, withholding),
            started=started,
            dated=found.clock,
            notes=found.notes,
        )

    @property
    def claims(self) -> frozenset[str]:
        """The canary's key. The subject's own is not touched."""
        return frozenset({self.key.full})

    @property
    def scope(self) -> Scope:
        """Everything under the canary's key."""
        return Scope(context_names=(), regions=1)

    @property
    def clock_us(self) -> int:
        """By the answers' Date and by our marks in the log; what a drill may start with where there is neither, for
        then the log does not count."""
        offset = together([*(() if self.dated is None else (self.dated,)), *self._logged])
        return (MAX_SKEW if offset is None else offset.most) // timedelta(microseconds=1)

    def sentinel_ways(self) -> tuple[Way, ...]:
        """Our own principal, at the canary's key."""
        return (Way(Path.SENTINEL, self.key.location, _asking(self.look)),)

    def mark(self) -> None:
        """An Encrypt with the canary's key, logged also while it is denied. Raises ProbeError."""
        self._calls.append(mark(self.key, hand(self.io, self.subject.identities.control)))

    def marks(self) -> tuple[str, ...]:
        """When our marks were made: the log names their caller, and has no id of theirs."""
        return Marks(tuple(self._calls), self.dated).texts()

    def log(self, at: Mapping[str, datetime]) -> tuple[WindowUses | Unseen, Markers | Unseen]:
        """What the log says by now of the time between act and undo, and which of our marks have arrived."""
        marks = Marks(tuple(self._calls), self.dated)
        uses, arrived, offset = _log(self.subject, marks, self.started, at, self.io)
        self._logged[:] = () if offset is None else (offset,)
        return uses, arrived


def log_of(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[WindowUses | Unseen, Markers | Unseen]:
    """The same of a drill that is over, from what its journal says of it. Raises ProbeError: the journal is malformed,
    or the deployment names another canary's key by now."""
    then = parsed(_About, change.parameters).name
    now = None if subject.drill is None else subject.drill.canary_key
    if now is None or not same_key(now, then):
        raise ProbeError(
            Reason.CONFLICTING,
            f"the drill was on {then.key}, and `drill:` names another `canary_key` now; settle with "
            f"the deployment file of then",
        )
    uses, arrived, _ = _log(subject, marks_of(marks), started, at, io)
    return uses, arrived


def _log(
    subject: Key, marks: Marks, started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[WindowUses | Unseen, Markers | Unseen, Offset | None]:
    if not {"intended", "acted", "undo-intended", "found-restored"} <= at.keys():
        unseen = Unseen(reason=Reason.NOT_RECORDED, detail="the drill has no whole window")
        return unseen, unseen, None
    window = Window(at["intended"], at["acted"], at["undo-intended"], at["found-restored"])
    try:
        found = recent(subject, keys_of(subject), io.clock() - started + timedelta(seconds=2), io)
        logs = with_files(found, subject, io)
        control = _account(subject.identities.control, io)
    except ProbeError as error:
        unseen = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        return unseen, unseen, None
    offset = measured(logs, marks, control)
    arrived = markers(logs, window, (control,))
    surely = together([each for each in (marks.dated, offset) if each is not None])
    if surely is None or surely.most > MAX_SKEW:
        why = "our marks in the log are not enough to compare its clock with ours" if surely is None else "it is off"
        return Unseen(reason=Reason.CLOCK_UNTRUSTED, detail=f"the log's clock: {why}"), arrived, offset
    return window_uses(logs, window, gcp_muted(subject, io)), arrived, offset


def _way(
    drill: str,
    subject: Key,
    plan: KeyDrill,
    key: KeyName,
    canary: GcpCanary,
    deadline: datetime,
    technique: Technique,
    io: Io,
) -> tuple[Change, Mechanism, Withholding]:
    try:
        if technique is Technique.DISABLE_KEY:
            if plan.dead_man is None:
                raise missing("disabling a version")
            declared, versions = plan.canary_declared, _enabled(subject, key, io)
            change = disable(
                drill,
                subject,
                key.full,
                versions,
                canary,
                deadline,
                declared=declared,
                dead_man=plan.dead_man,
                labelled=True,
            )
            return change, DisableVersion(), Withholding.DISABLED
        change = binding(drill, subject, key.full, canary, deadline, declared=plan.canary_declared)
        return change, Binding(), Withholding.NOT_GRANTED
    except ValidationError as error:
        said = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ProbeError(Reason.UNSUPPORTED, vendor_text(f"the canary's key: {said}")) from error


def _enabled(subject: Key, key: KeyName, io: Io) -> tuple[str, ...]:
    from google.cloud.kms_v1.types import CryptoKeyVersion

    enabled = CryptoKeyVersion.CryptoKeyVersionState.ENABLED
    found = versions_of(key, hand(io, subject.identities.drill).session)
    return tuple(version_number(each.name, key) for each in found if each.state == enabled)


def _logged(subject: Key, plan: KeyDrill, key: KeyName, ours: Sequence[str], io: Io) -> tuple[Refusal, ...]:
    span = min(KEPT, io.clock() - plan.planted + BEFORE)
    try:
        (log,) = recent(subject, (key,), span, io)
    except ProbeError as error:
        return (Refusal(error.reason, vendor_text(f"the log of the canary's key: {error}")),)
    return tuple(logged(log, subject.agreed, plan.planted, ours))


def _gravest(against: Sequence[Refusal]) -> Reason:
    """Unsupported before all others: no permission or patience would help."""
    reasons = [each.reason for each in against]
    return Reason.UNSUPPORTED if Reason.UNSUPPORTED in reasons else reasons[0]


def _ours(subject: Key, io: Io) -> tuple[str, ...]:
    """Our own principals as the log names them."""
    refs = (subject.identities.drill, subject.identities.control, subject.identities.restore)
    return tuple(sorted({_account(ref, io) for ref in refs}))


def _account(ref: str | None, io: Io) -> str:
    account = clients.account(clients.identity_of(ref, io), io)
    if account is None:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"the credential of {ref or 'the default identity'} names no account, so it is not known again in the log; "
            f"use a service account, or `impersonate` one",
        )
    return account if ":" in account else f"serviceAccount:{account}"


def _asking(look: Sentinel) -> Ask:
    def ask() -> Look:
        sample = look.ask()
        return Look(_SAW[sample.sight], sample.words)

    return ask

"""What drills left behind in Google Cloud: conditions on the canary's CryptoKey by their title, labels, and versions.

The identity that restores reads the policy that it may have to write, and removes; the one that drills looks at the key
and its versions. Only the canary's CryptoKey is looked at: no drill touches another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Standing, Where
from keycheck.model.probe import Io
from keycheck.model.scan import Blind, Consent, Leftover, Scanner, Sighting
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, key_name
from probes.keys.drill.aws_tags import Breadcrumb
from probes.keys.drill.dead_man import WAITS
from probes.keys.drill.gcp_binding import Binding
from probes.keys.drill.gcp_calls import Sleep, hand, waiting_sleep
from probes.keys.drill.gcp_dead_man import GcpDeadMan
from probes.keys.drill.gcp_disable import DisableVersion
from probes.keys.drill.gcp_labels import breadcrumb, clear_labels, unlabel_command, value_of
from probes.keys.drill.gcp_policy import ALWAYS, PREFIX, Grant, Marks, grants, lifted, unchanged
from probes.keys.drill.gcp_writing import PolicyWriter
from probes.keys.gcp.describe import crypto_key, version_fact, versions_of
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

_TITLE: Final = re.compile(rf"{PREFIX}([a-z0-9][a-z0-9._-]{{0,62}})( \(rehearsal\))?")
_UNTIL: Final = re.compile(r'request\.time >= timestamp\("(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"\)')
_LONG_AGO: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""Deadline of what a rehearsal adds: it takes nothing away."""
_LABEL: Final = "label:"
_JOB: Final = "job:"
"""What the marks of labels and of jobs begin with; no title of a condition can."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MOST_DRILLS: Final = 20
"""Newest ones whose jobs are asked for."""


class GcpScanner(Scanner[Key]):
    """Looks at the canary's CryptoKey."""

    section: ClassVar[str] = "keys"

    def __init__(self, sleep: Sleep | None = None) -> None:
        self._sleep = sleep or waiting_sleep

    def sees(self, subject: Key) -> bool:
        """Keys of Google Cloud."""
        return subject.provider == "gcp"

    def scan(self, subject: Key, io: Io, drills: Collection[str]) -> Iterator[Sighting]:
        """The policy, then the key's labels and versions."""
        if subject.drill is None or subject.drill.canary_key is None:
            words = "the deployment declares no canary's CryptoKey, so none was looked at; drills touch no other key"
            yield Leftover(Binding.kind, "", subject.resource, "", words, None, Consent.NEVER, owed=False)
            return
        name = key_name(subject.drill.canary_key)
        try:
            policy = self._writer(subject, name, io).read()
        except ProbeError as error:
            yield Blind(name.full, error.reason, vendor_text(f"its IAM policy: {error}"))
        else:
            yield from _conditions(name, policy)
        try:
            yield from self._key(subject, name, io, drills)
        except ProbeError as error:
            yield Blind(name.full, error.reason, vendor_text(f"its labels and versions: {error}"))

    def clear(self, subject: Key, leftover: Leftover, io: Io) -> Standing:
        """Take our condition off in the policy as it is now, or enable what a label tells of and take it off."""
        name = key_name(leftover.where)
        if leftover.mark.startswith(_LABEL):
            return self._finished(subject, name, leftover, io)
        if leftover.mark.startswith(_JOB):
            return self._disarmed(subject, name, leftover, io)
        return self._lifted(subject, name, leftover, io)

    def _writer(self, subject: Key, name: KeyName, io: Io) -> PolicyWriter:
        return PolicyWriter(hand(io, subject.identities.restore, sleep=self._sleep), name.full, self._sleep)

    def _key(self, subject: Key, name: KeyName, io: Io, drills: Collection[str]) -> Iterator[Sighting]:
        session = hand(io, subject.identities.drill, sleep=self._sleep).session
        crumb = breadcrumb(crypto_key(name, session).labels)
        states = {each.id: each.state for each in (version_fact(v, name, None) for v in versions_of(name, session))}
        off = sorted(number for number, state in states.items() if state == "DISABLED")
        if crumb is not None:
            full = next((drill for drill in drills if value_of(drill) == crumb.drill), crumb.drill)
            yield _labelled(name, crumb, full, off)
        elif off:
            words = f"version {', '.join(off)} is DISABLED; nothing on the key says that a drill did it"
            yield Leftover(DisableVersion.kind, "", name.full, "", vendor_text(words), None, Consent.NEVER, owed=False)
        asked = sorted(drills)[-MOST_DRILLS:] + ([crumb.drill] if crumb and crumb.drill not in drills else [])
        yield from self._jobs(subject, name, asked, sorted(states), bool(off), io)

    def _jobs(
        self, subject: Key, name: KeyName, drills: Sequence[str], versions: Sequence[str], away: bool, io: Io
    ) -> Iterator[Leftover]:
        """Jobs are asked for by name: of the drills that are known here, and the one that labels tell of."""
        for drill, version in product(drills, versions):
            dead_man = self._dead_man(subject, name, drill, io)
            if dead_man and (words := dead_man.left(version, io)):
                yield Leftover(
                    mechanism="dead-man",
                    drill=drill,
                    where=name.full,
                    mark=f"{_JOB}{version}",
                    words=vendor_text(words),
                    deadline=None,
                    consent=Consent.NAMED,
                    by_hand=(dead_man.delete_command(version),) if _ID.fullmatch(drill) else (),
                )

    def _dead_man(self, subject: Key, name: KeyName, drill: str, io: Io) -> GcpDeadMan | None:
        man = subject.drill.dead_man if subject.drill else None
        return GcpDeadMan(drill, subject, man, name, io.clock(), WAITS, self._sleep) if man else None

    def _disarmed(self, subject: Key, name: KeyName, leftover: Leftover, io: Io) -> Standing:
        """A dead-man goes only when its version is back: until then it may be all that puts it back."""
        version, dead_man = leftover.mark.removeprefix(_JOB), self._dead_man(subject, name, leftover.drill, io)
        state = hand(io, subject.identities.restore, sleep=self._sleep).state(name, version)
        if dead_man is None or state != "ENABLED":
            return Standing(Where.CHANGED, vendor_text(f"version {version} is {state}; its dead-man stays"))
        dead_man.disarm(version, io)
        return Standing(Where.RESTORED, "the version is ENABLED, and the dead-man is deleted")

    def _lifted(self, subject: Key, name: KeyName, leftover: Leftover, io: Io) -> Standing:
        def edit(policy: Policy) -> Policy:
            found = next((each for each in _conditions(name, policy) if each.mark == leftover.mark), None)
            if found is None:
                return unchanged(policy)
            if found.consent is Consent.NEVER or found.deadline != leftover.deadline:
                raise ProbeError(Reason.CONFLICTING, f"somebody changed `{leftover.mark}` since it was looked at")
            return lifted(policy, Marks(leftover.mark, ""))

        policy = self._writer(subject, name, io).insist(edit)
        if any(each.mark == leftover.mark for each in _conditions(name, policy)):
            return Standing(Where.CHANGED, "setIamPolicy answered a policy that still holds the condition")
        return Standing(Where.RESTORED, "taken off; the grants under it are without condition")

    def _finished(self, subject: Key, name: KeyName, leftover: Leftover, io: Io) -> Standing:
        who = hand(io, subject.identities.restore, sleep=self._sleep)
        numbers = leftover.mark.removeprefix(_LABEL).split(",") if leftover.mark != _LABEL else []
        for number in numbers:
            if leftover.consent is not Consent.NAMED or leftover.mechanism != DisableVersion.kind:
                break
            if (state := who.state(name, number)) == "DISABLED":
                state = who.switch(name, number, enabled=True)
            if state != "ENABLED":
                return Standing(Where.CHANGED, vendor_text(f"version {number} is {state}; the labels stay"))
        clear_labels(who, name, leftover.drill)
        return Standing(Where.RESTORED, "the versions are ENABLED, and the drill's labels are off")


def _conditions(name: KeyName, policy: Policy) -> Iterator[Leftover]:
    """One leftover a drill, whatever roles and members its condition is on."""
    titled: dict[str, list[Grant]] = {}
    for grant in grants(policy):
        if grant.expression is not None and grant.title.startswith(PREFIX):
            fits = _TITLE.fullmatch(grant.title)
            titled.setdefault(PREFIX + fits[1] if fits else grant.title, []).append(grant)
    for title, found in sorted(titled.items()):
        ends = {_deadline(grant) for grant in found}
        ours = None not in ends and len(ends - {_LONG_AGO}) <= 1
        roles = sorted({grant.role for grant in found})
        words = f"condition `{title}` on {', '.join(roles)}" + ("" if ours else ": not as keycheck writes it")
        yield Leftover(
            mechanism=Binding.kind,
            drill=title.removeprefix(PREFIX) if ours else "",
            where=name.full,
            mark=title if ours else vendor_text(title),
            words=vendor_text(words),
            deadline=max((end for end in ends if end is not None), default=None) if ours else None,
            consent=Consent.DEADLINE if ours else Consent.NEVER,
            by_hand=_take_off(name, title) if ours else (),
        )


def _deadline(grant: Grant) -> datetime | None:
    """When a condition comes true that is, word for word, one of a drill's; None for any other."""
    fits = _TITLE.fullmatch(grant.title)
    if fits is None:
        return None
    if fits[2]:
        return _LONG_AGO if grant.expression == ALWAYS else None
    found = _UNTIL.fullmatch(grant.expression or "")
    try:
        return datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def _labelled(name: KeyName, crumb: Breadcrumb, drill: str, off: list[str]) -> Leftover:
    at = f"--location {name.location} --keyring {name.ring} --project {name.project}"
    enable = tuple(f"gcloud kms keys versions enable {number} {at} --key {name.key}" for number in off)
    state = f"version {', '.join(off)} is DISABLED" if off else "no version is DISABLED"
    return Leftover(
        mechanism=crumb.undo,
        drill=drill,
        where=name.full,
        mark=_LABEL + ",".join(off),
        words=vendor_text(f"labels tell of drill {crumb.drill} ({crumb.undo}); {state}"),
        deadline=crumb.deadline,
        consent=Consent.NEVER if not drill else Consent.NAMED if off else Consent.DEADLINE,
        by_hand=(*enable, unlabel_command(name)),
    )


def _take_off(name: KeyName, title: str) -> tuple[str, ...]:
    return (
        f"gcloud kms keys get-iam-policy {name.full} --format=json | jq '.version=3|.bindings|=map(if "
        f'(.condition.title//"")|IN("{title}","{title} (rehearsal)") then del(.condition) else . end)\' >p.json',
        f"gcloud kms keys set-iam-policy {name.full} p.json",
    )

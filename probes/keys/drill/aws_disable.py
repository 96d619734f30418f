"""Revoke by disabling the whole key: everything under it stops until it is enabled again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar, Final

from pydantic import Field

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.reading import child, parsing, text
from probes.keys.drill.aws_calls import Hand, Sleep, hand, pause
from probes.keys.drill.aws_common import KeyArns, commands, everywhere, felt, read, subject_of, together
from probes.keys.drill.aws_common import written as kept
from probes.keys.drill.aws_dead_man import AwsDeadMan, Deed, delete_command
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.aws_tags import Breadcrumbs, untag_command
from probes.keys.drill.canary import Canary
from probes.keys.drill.dead_man import WAITS, Waits, dismissed, missing
from probes.keys.subjects import DeadMan, Key

_PAUSES: Final = (0.0, 0.2, 0.4, 0.8, 1.6)
"""Seconds between looks at the state after EnableKey, before it is sent again."""
_TRIES: Final = 3
_OURS: Final = ("Enabled", "Disabled", "Updating")
"""States between which enabling and disabling move a key. Any other is somebody else's doing."""


class DisableParameters(Model):
    """Which key, and what feels it."""

    keys: KeyArns
    canary: Canary
    dead_man: DeadMan | None = None
    """Without one nothing is taken away."""
    tagged: bool = False
    """Whether tags on the key tell of the drill."""

    def arns(self) -> tuple[KmsArn, ...]:
        """The key in every Region: a replica is disabled by itself."""
        return tuple(kms_arn(key) for key in self.keys)


class StateBefore(Model):
    """The state in one Region."""

    arn: VendorText
    state: VendorText


class DisableBefore(Model):
    """The states as they were."""

    states: Annotated[tuple[StateBefore, ...], Field(max_length=100)]


def disable(
    drill: str,
    subject: Key,
    keys: Iterable[str],
    canary: Canary,
    deadline: datetime,
    *,
    dead_man: DeadMan | None = None,
    tagged: bool = False,
) -> Change:
    """The change that a drill makes. Ends only when somebody enables the key: we, or the dead-man in the cloud."""
    parameters = DisableParameters(keys=tuple(keys), canary=canary, dead_man=dead_man, tagged=tagged)
    enabling = commands(parameters.arns(), lambda arn: f"aws kms enable-key --region {arn.region} --key-id {arn}")
    return Change(
        kind=Disable.kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=kept(subject),
        parameters=kept(parameters),
        deadline=deadline,
        by_hand=(
            *enabling,
            *(() if dead_man is None else (delete_command(dead_man, drill, parameters.arns()),)),
            *((untag_command(parameters.arns()),) if tagged else ()),
        ),
    )


def state_of(who: Hand, arn: KmsArn) -> str:
    """KeyState by DescribeKey. Raises ProbeError."""
    operation = "kms:DescribeKey"
    answer = who.ask(operation, arn.region, KeyId=str(arn))
    with parsing(operation):
        return text(child(answer, "KeyMetadata"), "KeyState")


class Disable(Mechanism):
    """DisableKey and EnableKey. Hits all data under the key, and never ends by itself: it is refused without a dead-man
    in the cloud that was seen to enable the key.

    EnableKey is sent once without asking for the state first, because a stale answer must not skip it. That somebody
    else disabled the key meanwhile cannot be told from our own change. Source: KMS developer guide, "Enable and disable
    keys" and "Key states".
    """

    kind: ClassVar[str] = "aws-disable"
    lossless: ClassVar[bool] = True
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None, waits: Waits = WAITS) -> None:
        self._sleep = sleep or pause()
        self._waits = waits

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The state in every Region."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        states = tuple(
            StateBefore(arn=str(arn), state=state_of(hand(io, subject.identities.drill, arn), arn))
            for arn in parameters.arns()
        )
        return kept(DisableBefore(states=states))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """EnableKey on the enabled key, as the identity that restores, and by the dead-man, which is armed then."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        self._enabled_before(before)
        dead_man = self._needed(change, subject, parameters)
        for arn in parameters.arns():
            who = hand(io, subject.identities.restore, arn)
            if (state := state_of(who, arn)) != "Enabled":
                raise ProbeError(Reason.CONFLICTING, vendor_text(f"{arn.region}: the key is now {state}; start anew"))
            who.ask("kms:EnableKey", arn.region, KeyId=str(arn))
            standing = felt(io, subject, arn, parameters.canary, Withholding.DISABLED)
            if standing.where is not Where.RESTORED:
                raise ProbeError(Reason.NO_POSITIVE, vendor_text(f"{arn.region}: {standing.words}"))
            Breadcrumbs(change, subject, parameters.tagged).rehearse(arn, io)
        dead_man.arm(_deeds(parameters), io)
        for arn in parameters.arns():
            if (state := state_of(hand(io, subject.identities.restore, arn), arn)) != "Enabled":
                raise ProbeError(Reason.CONFLICTING, vendor_text(f"{arn.region}: the key is now {state}; start anew"))

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """DisableKey in every Region, if the dead-man stands in each."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        self._enabled_before(before)
        if io.clock() >= change.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
        self._needed(change, subject, parameters).armed(_deeds(parameters), io)
        for arn in parameters.arns():
            Breadcrumbs(change, subject, parameters.tagged).set(arn, io)
        for arn in parameters.arns():
            hand(io, subject.identities.drill, arn).ask("kms:DisableKey", arn.region, KeyId=str(arn))

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """EnableKey where the key was enabled, until DescribeKey says so; then the dead-man may go."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        self._enabled_before(before)
        dead_man = self._dead_man(change, subject, parameters)

        def enable(arn: KmsArn) -> None:
            self._enable(hand(io, subject.identities.restore, arn), arn)
            if dead_man is not None:
                dead_man.dismiss(arn, io)
            Breadcrumbs(change, subject, parameters.tagged).dismiss(arn, io)

        everywhere(parameters.arns(), enable)

    def tidy(self, change: Change, before: CanonicalJson, io: Io) -> str:
        """The dead-man and the tags go; a key that is disabled before we did it was disabled by somebody else."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        dead_man, crumbs = self._dead_man(change, subject, parameters), Breadcrumbs(change, subject, parameters.tagged)
        words = swept(parameters.arns(), dead_man, crumbs, io)
        for arn in parameters.arns():
            if (state := state_of(hand(io, subject.identities.restore, arn), arn)) != "Enabled":
                words.append(f"{arn.region}: the key is {state}, not by this drill, and is left so")
        return "; ".join(filter(None, words))

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The states, and the canary decrypted by the control identity, in every Region."""
        subject, parameters = subject_of(change), read(DisableParameters, change.parameters)
        dead_man = self._dead_man(change, subject, parameters)
        found = [(arn, self._stands(arn, subject, parameters, io)) for arn in parameters.arns()]
        if dead_man is not None and all(each.where is Where.RESTORED for _, each in found):
            found = [(arn, dismissed(each, partial(dead_man.left, arn, io))) for arn, each in found]
        crumbs = Breadcrumbs(change, subject, parameters.tagged)
        return together([(arn, dismissed(each, partial(crumbs.left, arn, io))) for arn, each in found])

    def _needed(self, change: Change, subject: Key, parameters: DisableParameters) -> AwsDeadMan:
        dead_man = self._dead_man(change, subject, parameters)
        if dead_man is None:
            raise missing("disabling a key")
        return dead_man

    def _dead_man(self, change: Change, subject: Key, parameters: DisableParameters) -> AwsDeadMan | None:
        if parameters.dead_man is None:
            return None
        return AwsDeadMan(change.drill, subject, parameters.dead_man, change.deadline, self._waits, self._sleep)

    def _stands(self, arn: KmsArn, subject: Key, parameters: DisableParameters, io: Io) -> Standing:
        try:
            state = state_of(hand(io, subject.identities.restore, arn), arn)
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the key's state is not known: {error}"))
        if state not in _OURS:
            return Standing(Where.FOREIGN, vendor_text(f"the key is {state}, which is not this drill's doing"))
        if state != "Enabled":
            return Standing(Where.CHANGED, f"the key is {state}")
        standing = felt(io, subject, arn, parameters.canary, Withholding.DISABLED)
        return Standing(standing.where, f"the key is enabled and {standing.words}")

    def _enabled_before(self, before: CanonicalJson) -> None:
        states = read(DisableBefore, before).states
        if any(item.state != "Enabled" for item in states):
            raise ProbeError(Reason.UNSUPPORTED, "the key was not Enabled before: there is nothing to disable or undo")

    def _enable(self, who: Hand, arn: KmsArn) -> None:
        held: ProbeError | None = None
        for _ in range(_TRIES):
            try:
                who.ask("kms:EnableKey", arn.region, KeyId=str(arn))
            except ProbeError as error:
                if error.reason not in (Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE):
                    raise
                held = error
            for wait in _PAUSES:
                self._sleep(wait)
                try:
                    if state_of(who, arn) == "Enabled":
                        return
                except ProbeError as error:
                    held = error
        raise held or ProbeError(
            Reason.PROPAGATION_PENDING, f"{arn.region}: EnableKey was taken, and does not show yet"
        )


def swept(arns: Iterable[KmsArn], dead_man: AwsDeadMan | None, crumbs: Breadcrumbs, io: Io) -> list[str]:
    """Dead-man and tags are taken away in every Region; what is left of them all the same."""
    words: list[str] = []
    for arn in arns:
        for each in (crumbs,) if dead_man is None else (dead_man, crumbs):
            each.dismiss(arn, io)
            words.append(each.left(arn, io))
    return words


def _deeds(parameters: DisableParameters) -> tuple[Deed, ...]:
    return tuple(Deed(arn, "EnableKey", {"KeyId": str(arn)}) for arn in parameters.arns())

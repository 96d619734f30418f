"""Revoke by disabling the versions of a canary's CryptoKey: everything under it stops until they are enabled again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints, model_validator

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import enum_name, version_number
from probes.keys.drill.aws_common import read, subject_of, written
from probes.keys.drill.dead_man import WAITS, Waits, dismissed, missing
from probes.keys.drill.gcp_calls import GcpError, Hand, Sleep, hand, waiting_sleep
from probes.keys.drill.gcp_canary import CanaryKey, GcpCanary
from probes.keys.drill.gcp_common import change_of, in_time
from probes.keys.drill.gcp_dead_man import GcpDeadMan
from probes.keys.drill.gcp_labels import Labels, unlabel_command
from probes.keys.drill.gcp_sentinel import Withholding, felt
from probes.keys.gcp.describe import versions_of
from probes.keys.subjects import DeadMan, Key

_BACK_OFF: Final = (0.2, 0.4, 0.8, 1.6)
_OURS: Final = ("ENABLED", "DISABLED")
"""States between which enabling and disabling move a version. Any other is somebody else's doing."""

Number = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,11}$")]


class DisableVersionParameters(CanaryKey):
    """Which versions, and what feels it."""

    versions: Annotated[tuple[Number, ...], Field(min_length=1, max_length=10)]
    """All that are enabled."""
    canary: GcpCanary
    dead_man: DeadMan | None = None
    """Without one nothing is taken away."""
    labelled: bool = False
    """Whether labels on the key tell of the drill."""

    @model_validator(mode="after")
    def _felt(self) -> DisableVersionParameters:
        if self.canary.version not in self.versions or len(set(self.versions)) != len(self.versions):
            raise ValueError("the version that sealed the canary must be among the versions, each named once")
        return self


class VersionBefore(Model):
    """One version as it was."""

    version: Number
    state: VendorText


class DisableVersionBefore(Model):
    """The versions as they were."""

    versions: Annotated[tuple[VersionBefore, ...], Field(min_length=1, max_length=10)]


def disable(
    drill: str,
    subject: Key,
    key: str,
    versions: Iterable[str],
    canary: GcpCanary,
    deadline: datetime,
    *,
    declared: bool = False,
    dead_man: DeadMan | None = None,
    labelled: bool = False,
) -> Change:
    """The change that a drill makes on `key`, the canary's CryptoKey. Ends only when somebody enables the versions: we,
    or the dead-man in the cloud.

    Raises ValueError for a key that is not marked as a canary's, unless the customer has declared it.
    """
    parameters = DisableVersionParameters(
        key=key,
        declared=declared,
        versions=tuple(versions),
        canary=canary,
        dead_man=dead_man,
        labelled=labelled,
    )
    name = parameters.name
    at = f"--project {name.project} --location {name.location} --keyring {name.ring} --key {name.key}"
    commands = tuple(f"gcloud kms keys versions enable {number} {at}" for number in parameters.versions)
    if dead_man is not None:
        jobs = GcpDeadMan(drill, subject, dead_man, name, deadline, WAITS, waiting_sleep)
        commands += tuple(jobs.delete_command(number) for number in parameters.versions)
    commands += (unlabel_command(name),) if labelled else ()
    return change_of(DisableVersion.kind, drill, subject, parameters, deadline, commands)


class DisableVersion(Mechanism):
    """UpdateCryptoKeyVersion to DISABLED, and to ENABLED. Hits all data under the canary's CryptoKey, and never another
    key; nothing is ever destroyed. Never ends by itself: it is refused without a dead-man in the cloud that was seen to
    enable the versions.

    ENABLED is sent once without asking for the state first, because a stale answer must not skip it. That somebody else
    disabled a version meanwhile cannot be told from our own change. Source: "Cloud KMS resource consistency":
    enabling is strongly consistent, disabling typically takes up to one minute and in exceptional cases several hours,
    so that a version may go on working after it.
    """

    kind: ClassVar[str] = "gcp-disable"
    lossless: ClassVar[bool] = True
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None, waits: Waits = WAITS) -> None:
        self._sleep = sleep or waiting_sleep
        self._waits = waits

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The states. Raises ProbeError unless the versions that are enabled are those that are named."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        parameters.apart_from(subject)
        states = self._states(parameters, hand(io, subject.identities.drill, sleep=self._sleep))
        enabled = {number for number, state in states.items() if state == "ENABLED"}
        if idle := sorted(set(parameters.versions) - enabled):
            raise ProbeError(
                Reason.UNSUPPORTED, f"version {idle[0]} of {parameters.name.key} is not ENABLED; mend that first"
            )
        if forgotten := sorted(enabled - set(parameters.versions)):
            raise ProbeError(
                Reason.NOT_COVERED,
                f"version {forgotten[0]} of {parameters.name.key} is enabled too, and would go on working; name it",
            )
        before = DisableVersionBefore(
            versions=tuple(VersionBefore(version=number, state="ENABLED") for number in parameters.versions)
        )
        return written(before)

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """ENABLED on the enabled versions, as the identity that restores, as the one that acts, and by the dead-man,
        which is armed then; before that the canary must decrypt."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        self._enabled_before(before)
        dead_man = self._needed(change, subject, parameters)
        for ref in (subject.identities.restore, subject.identities.drill):
            who = hand(io, ref, sleep=self._sleep)
            for number in parameters.versions:
                self._still(who, parameters, number)
                _enabled(who, parameters, number)
        standing = felt(io, subject, parameters.name, parameters.canary, Withholding.DISABLED)
        if standing.where is not Where.RESTORED:
            raise ProbeError(Reason.NO_POSITIVE, standing.words)
        self._labels(change, subject, parameters).rehearse(io)
        dead_man.arm(parameters.versions, io)
        for number in parameters.versions:
            self._still(hand(io, subject.identities.restore, sleep=self._sleep), parameters, number)

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """DISABLED, once each, if the dead-man stands for all."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        self._enabled_before(before)
        in_time(change.deadline, io)
        parameters.apart_from(subject)
        who = hand(io, subject.identities.drill, sleep=self._sleep)
        for number in parameters.versions:
            self._still(who, parameters, number)
        self._needed(change, subject, parameters).armed(parameters.versions, io)
        self._labels(change, subject, parameters).set(io)
        for number in parameters.versions:
            who.switch(parameters.name, number, enabled=False)

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """ENABLED, whatever the state is said to be. A version that cannot be enabled, because somebody scheduled its
        destruction, is ProbeError(conflicting), after the others were enabled. Where it is, the dead-man may go."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        self._enabled_before(before)
        who = hand(io, subject.identities.restore, sleep=self._sleep)
        dead_man = self._dead_man(change, subject, parameters)
        failed: list[ProbeError] = []
        for number in parameters.versions:
            try:
                self._enable(who, parameters, number)
            except ProbeError as error:
                failed.append(error)
            else:
                if dead_man is not None:
                    dead_man.dismiss(number, io)
        if failed:
            raise failed[0]
        self._labels(change, subject, parameters).dismiss(io)

    def tidy(self, change: Change, before: CanonicalJson, io: Io) -> str:
        """The dead-man and the labels go; a version that is disabled before we did it was disabled by somebody else."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        who = hand(io, subject.identities.restore, sleep=self._sleep)
        dead_man, labels = self._dead_man(change, subject, parameters), self._labels(change, subject, parameters)
        words: list[str] = []
        for number in parameters.versions:
            if dead_man is not None:
                dead_man.dismiss(number, io)
                words.append(dead_man.left(number, io))
            if (state := who.state(parameters.name, number)) != "ENABLED":
                words.append(f"version {number} is {state}, not by this drill, and is left so")
        labels.dismiss(io)
        words.append(labels.left(io))
        return "; ".join(filter(None, words))

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The states, and the canary decrypted by the control identity."""
        subject, parameters = subject_of(change), read(DisableVersionParameters, change.parameters)
        try:
            who = hand(io, subject.identities.restore, sleep=self._sleep)
            states = {number: who.state(parameters.name, number) for number in parameters.versions}
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the versions' states are not known: {error}"))
        for wrong, where in ((_not_ours, Where.FOREIGN), (_not_enabled, Where.CHANGED)):
            for number, state in states.items():
                if wrong(state):
                    whose = ", which is not this drill's doing" if where is Where.FOREIGN else ""
                    return Standing(where, vendor_text(f"version {number} is {state}{whose}"))
        standing = felt(io, subject, parameters.name, parameters.canary, Withholding.DISABLED)
        found = Standing(standing.where, vendor_text(f"the versions are enabled and {standing.words}"))
        if (dead_man := self._dead_man(change, subject, parameters)) is not None:
            for number in parameters.versions:
                found = dismissed(found, partial(dead_man.left, number, io))
        return dismissed(found, partial(self._labels(change, subject, parameters).left, io))

    def _labels(self, change: Change, subject: Key, parameters: DisableVersionParameters) -> Labels:
        return Labels(change, subject, parameters.name, parameters.labelled)

    def _needed(self, change: Change, subject: Key, parameters: DisableVersionParameters) -> GcpDeadMan:
        dead_man = self._dead_man(change, subject, parameters)
        if dead_man is None:
            raise missing("disabling a version")
        return dead_man

    def _dead_man(self, change: Change, subject: Key, parameters: DisableVersionParameters) -> GcpDeadMan | None:
        if parameters.dead_man is None:
            return None
        return GcpDeadMan(
            change.drill, subject, parameters.dead_man, parameters.name, change.deadline, self._waits, self._sleep
        )

    def _states(self, parameters: DisableVersionParameters, who: Hand) -> dict[str, str]:
        from google.cloud.kms_v1.types import CryptoKeyVersion

        name = parameters.name
        return {
            version_number(each.name, name): enum_name(CryptoKeyVersion.CryptoKeyVersionState, each.state)
            for each in versions_of(name, who.session)
        }

    def _still(self, who: Hand, parameters: DisableVersionParameters, number: str) -> None:
        if (state := who.state(parameters.name, number)) != "ENABLED":
            raise ProbeError(Reason.CONFLICTING, vendor_text(f"version {number} is now {state}; start anew"))

    def _enabled_before(self, before: CanonicalJson) -> None:
        if any(each.state != "ENABLED" for each in read(DisableVersionBefore, before).versions):
            raise ProbeError(Reason.UNSUPPORTED, "a version was not enabled before: there is nothing to take away")

    def _enable(self, who: Hand, parameters: DisableVersionParameters, number: str) -> None:
        held: ProbeError | None = None
        for wait in _BACK_OFF:
            try:
                return _enabled(who, parameters, number)
            except ProbeError as error:
                passing = (Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE, Reason.PROPAGATION_PENDING)
                if error.reason not in passing:
                    raise
                held = error
            self._sleep(wait)
        raise held or ProbeError(Reason.UNREACHABLE, f"version {number} could not be enabled")


def _enabled(who: Hand, parameters: DisableVersionParameters, number: str) -> None:
    """Enable the version, whatever its state is said to be. Raises ProbeError(conflicting) where that cannot be."""
    try:
        state = who.switch(parameters.name, number, enabled=True)
    except GcpError as error:
        if error.status != "FAILED_PRECONDITION":
            raise
        # Permissions are checked first, and the API's pages do not say that one that is enabled may be enabled again.
        if (state := who.state(parameters.name, number)) not in _OURS:
            raise ProbeError(
                Reason.CONFLICTING, vendor_text(f"version {number} is {state} and cannot be enabled: {error}")
            ) from error
    if state != "ENABLED":
        raise ProbeError(Reason.PROPAGATION_PENDING, vendor_text(f"version {number} is still {state}"))


def _not_ours(state: str) -> bool:
    return state not in _OURS


def _not_enabled(state: str) -> bool:
    return state != "ENABLED"

"""Rotate a CryptoKey: a new version becomes primary, and afterwards the one before is primary again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final

from pydantic import model_validator

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, key_name
from probes.keys.drill import Refusal
from probes.keys.drill.aws_common import read, subject_of, written
from probes.keys.drill.gcp_calls import GcpError, Hand, Sleep, hand, waiting_sleep
from probes.keys.drill.gcp_canary import CanaryKey, GcpCanary, KeyResource
from probes.keys.drill.gcp_common import change_of, in_time
from probes.keys.drill.gcp_import_job import Job, named, ready
from probes.keys.drill.gcp_rotate_state import (
    KeyNow,
    against,
    import_version,
    key_now,
    make_primary,
    new_version,
    primary_of,
)
from probes.keys.drill.gcp_sentinel import Withholding, felt
from probes.keys.drill.rotating import EscrowProof, Told, refuse
from probes.keys.drill.wrapping import keep, made, owner_key, read_file, sealed, wrapped
from probes.keys.subjects import Incoming, Key

NO_PROOF: Final = (
    "Google Cloud takes imported material again only after its version was destroyed, and keycheck never destroys one: "
    "that it lies in escrow cannot be proved"
)
_BACK_OFF: Final = (0.2, 0.4, 0.8, 1.6)
_PASSING: Final = (Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE, Reason.PROPAGATION_PENDING)
_MAKING: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds between looks whether a new version is ready; in an HSM that takes some."""


class RotateVersionParameters(Model):
    """Which key, and what comes in."""

    key: KeyResource
    production: bool
    """It is the subject's own key, and not a canary's."""
    declared: bool = False
    """The customer says that the canary's key seals nothing but canaries, though its id does not say so."""
    imported: bool
    incoming: Incoming
    canary: GcpCanary

    @model_validator(mode="after")
    def _marked(self) -> RotateVersionParameters:
        if not self.production:
            CanaryKey(key=self.key, declared=self.declared)
        return self

    @property
    def name(self) -> KeyName:
        """Its parts."""
        return key_name(self.key)


class RotateVersionBefore(Model):
    """The key as it was, and the version that was made for the drill before anything used it."""

    now: KeyNow
    made: VendorText
    """Number of the new version."""

    @property
    def primary(self) -> str:
        """Number of the version that was primary. Raises ProbeError(malformed)."""
        if self.now.primary is None:
            raise ProbeError(Reason.MALFORMED, "the drill's own record names no primary version")
        return self.now.primary


def rotate(
    drill: str,
    subject: Key,
    key: str,
    canary: GcpCanary,
    deadline: datetime,
    *,
    primary: str,
    imported: bool,
    production: bool,
    declared: bool = False,
    incoming: Incoming | None = None,
) -> Change:
    """The change that a drill makes on `key`, whose `primary` version is primary now. Ends only when somebody makes it
    primary again.

    Raises ValueError for a canary's key that is not marked as one, unless the customer has declared it.
    """
    parameters = RotateVersionParameters(
        key=key,
        production=production,
        declared=declared,
        imported=imported,
        incoming=incoming or Incoming(),
        canary=canary,
    )
    name = parameters.name
    at = f"--project {name.project} --location {name.location} --keyring {name.ring}"
    command = f"gcloud kms keys set-primary-version {name.key} --version {primary} {at}"
    return change_of(RotateVersion.kind, drill, subject, parameters, deadline, (command,))


class RotateVersion(Mechanism):
    """CreateCryptoKeyVersion or ImportCryptoKeyVersion, then UpdateCryptoKeyPrimaryVersion; and that again, back.

    The version is made when the key is looked at: nobody uses a version that is not primary, and so the journal names
    it before it can be. It stays for ever, enabled: what was written meanwhile needs it, and no version is ever
    destroyed. Whatever else is primary meanwhile is somebody else's, and left alone. Source: "Re-encrypting and
    rotating keys"; "Cloud KMS resource consistency": Encrypt may use the old version for a while, in exceptional
    cases for hours, so that records are written under either for some time after both changes.
    """

    kind: ClassVar[str] = "gcp-rotate"
    lossless: ClassVar[bool] = False
    expires: ClassVar[bool] = False

    def __init__(self, sleep: Sleep | None = None, workdir: Path | None = None, told: Told | None = None) -> None:
        """`workdir`: where material that is made here is kept, sealed, and `told`: who hears of escrow. Recovery has
        neither, and needs neither."""
        self._sleep = sleep or waiting_sleep
        self._workdir = workdir
        self._told = told

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The key and its versions; then the new version is made, once. Raises ProbeError for a key that may not be
        rotated now, before that."""
        subject, parameters = subject_of(change), read(RotateVersionParameters, change.parameters)
        apart(parameters, subject)
        in_time(change.deadline, io)
        who = hand(io, subject.identities.drill, sleep=self._sleep)
        now = key_now(who, parameters.name)
        refuse((*against(now, change.deadline), *unproved(now, production=parameters.production)))
        number = self._make(who, parameters, now)
        self._enabled(who, parameters.name, number)
        return written(RotateVersionBefore(now=now, made=number))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Make the primary version primary, as the identity that restores and as the one that acts; then the canary
        must decrypt."""
        subject, parameters = subject_of(change), read(RotateVersionParameters, change.parameters)
        known = read(RotateVersionBefore, before)
        try:
            for ref in (subject.identities.restore, subject.identities.drill):
                who = hand(io, ref, sleep=self._sleep)
                self._still(who, parameters.name, known)
                make_primary(who, parameters.name, known.primary)
            standing = felt(io, subject, parameters.name, parameters.canary, Withholding.DISABLED)
            if standing.where is not Where.RESTORED:
                raise ProbeError(Reason.NO_POSITIVE, standing.words)
        except ProbeError as error:
            stays = f"version {known.made}, which was made for the drill, stays, and nothing uses it"
            raise ProbeError(error.reason, vendor_text(f"{error}; {stays}")) from error
        told = self._told or (lambda proof: None)
        for line in known.now.versions:
            if line.imported and line.state == "ENABLED":
                name = f"{parameters.name.full}/cryptoKeyVersions/{line.id}"
                unproved = Unseen(reason=Reason.UNSUPPORTED, detail=NO_PROOF)
                told(EscrowProof(name, parameters.name.location, unproved, NO_PROOF))

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Make the new version primary, once."""
        subject, parameters = subject_of(change), read(RotateVersionParameters, change.parameters)
        known = read(RotateVersionBefore, before)
        in_time(change.deadline, io)
        apart(parameters, subject)
        who = hand(io, subject.identities.drill, sleep=self._sleep)
        self._still(who, parameters.name, known)
        make_primary(who, parameters.name, known.made)

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Make the version before primary again, also where it is said to be: a stale answer must not skip it. Raises
        ProbeError(conflicting) where a third one is primary."""
        subject, parameters = subject_of(change), read(RotateVersionParameters, change.parameters)
        known, name = read(RotateVersionBefore, before), parameters.name
        who = hand(io, subject.identities.restore, sleep=self._sleep)
        held: ProbeError | None = None
        for wait in _BACK_OFF:
            try:
                now = primary_of(who, name)
                if now not in (known.primary, known.made):
                    raise ProbeError(
                        Reason.CONFLICTING,
                        vendor_text(f"version {now} of {name.key} is primary, which is not this drill's doing"),
                    )
                return make_primary(who, name, known.primary)
            except ProbeError as error:
                if error.reason not in _PASSING:
                    raise self._why(error, who, name, known) from error
                held = error
            self._sleep(wait)
        raise held or ProbeError(Reason.UNREACHABLE, f"the primary version of {name.key} could not be changed")

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """The primary version, the versions that were enabled, and the canary decrypted by the control identity."""
        subject, parameters = subject_of(change), read(RotateVersionParameters, change.parameters)
        known, name = read(RotateVersionBefore, before), parameters.name
        try:
            now = key_now(hand(io, subject.identities.restore, sleep=self._sleep), name)
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the key's versions are not known: {error}"))
        if now.primary == known.made:
            return Standing(Where.CHANGED, f"version {known.made}, which the drill made, is primary")
        if now.primary != known.primary:
            return Standing(
                Where.FOREIGN, vendor_text(f"version {now.primary} is primary, which is not this drill's doing")
            )
        for line in known.now.versions:
            there = now.of(line.id)
            if line.state == "ENABLED" and (there is None or there.state != "ENABLED"):
                state = "gone" if there is None else there.state
                return Standing(Where.FOREIGN, vendor_text(f"version {line.id} is {state}, which is not our doing"))
        standing = felt(io, subject, name, parameters.canary, Withholding.DISABLED)
        words = f"version {known.primary} is primary, version {known.made} stays, and {standing.words}"
        return Standing(standing.where, vendor_text(words))

    def _still(self, who: Hand, name: KeyName, known: RotateVersionBefore) -> None:
        if (now := primary_of(who, name)) != known.primary:
            raise ProbeError(Reason.CONFLICTING, vendor_text(f"version {now} is primary by now; start anew"))

    def _make(self, who: Hand, parameters: RotateVersionParameters, now: KeyNow) -> str:
        """The new version, by the customer's material where the key has such. Raises ProbeError."""
        name, incoming, io = parameters.name, parameters.incoming, who.io
        check_incoming(incoming, io.base, imported=parameters.imported)
        if not parameters.imported:
            return new_version(who, name)
        if incoming.wrapped is not None and incoming.import_job is not None:
            octets = read_file(io.base / incoming.wrapped)
            return import_version(who, name, named(who, name, incoming.import_job).name, octets)
        job: Job = ready(who, name, now.protection, self._sleep)
        with made(io.entropy) as material:
            if incoming.keep is not None:
                if self._workdir is None:
                    raise ProbeError(Reason.TOOL_MISSING, "there is no directory in which new material could be kept")
                keep(self._workdir, sealed(material, owner_key(io.base / incoming.keep), io.entropy))
            return import_version(who, name, job.name, wrapped(material, job.pem))

    def _enabled(self, who: Hand, name: KeyName, number: str) -> None:
        """Wait until the new version can be used. Raises ProbeError."""
        state = ""
        for wait in _MAKING:
            self._sleep(wait)
            state = who.state(name, number)
            if state == "ENABLED":
                return
            if not state.startswith("PENDING_"):
                break
        what = "is not ready yet" if state.startswith("PENDING_") else "cannot be used: was it wrapped as it must be?"
        raise ProbeError(
            Reason.PROPAGATION_PENDING if state.startswith("PENDING_") else Reason.UNSUPPORTED,
            vendor_text(f"the new version {number} is {state} and {what} It stays, and nothing uses it"),
        )

    def _why(self, error: ProbeError, who: Hand, name: KeyName, known: RotateVersionBefore) -> ProbeError:
        """A version that somebody disabled or destroyed cannot be primary: that is no fault of the call."""
        if not isinstance(error, GcpError) or error.status != "FAILED_PRECONDITION":
            return error
        state = who.state(name, known.primary)
        return ProbeError(
            Reason.CONFLICTING, vendor_text(f"version {known.primary} is {state} and cannot be primary: {error}")
        )


def apart(parameters: RotateVersionParameters, subject: Key) -> None:
    """Raises ProbeError for a canary's key that is one of the deployment's own."""
    if not parameters.production:
        CanaryKey(key=parameters.key, declared=parameters.declared).apart_from(subject)


def unproved(now: KeyNow, *, production: bool) -> Iterator[Refusal]:
    """A production key whose material the customer brings: its escrow would have to be proved, and cannot be."""
    if production and any(line.imported for line in now.versions if line.state == "ENABLED"):
        yield Refusal(Reason.UNSUPPORTED, f"{NO_PROOF}; rotate a canary key")


def check_incoming(incoming: Incoming, base: Path, *, imported: bool) -> None:
    """What is to come in can be had. Raises ProbeError."""
    if not imported:
        if incoming.wrapped is not None:
            raise ProbeError(
                Reason.UNSUPPORTED,
                "Google makes this key's material: an imported version would mix them; drop `incoming`",
            )
    elif incoming.wrapped is not None:
        if incoming.import_job is None:
            raise ProbeError(Reason.UNSUPPORTED, "`incoming` needs the `import_job` under whose key it was wrapped")
        read_file(base / incoming.wrapped)
    elif incoming.keep is not None:
        owner_key(base / incoming.keep)

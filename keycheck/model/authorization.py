"""Authorization and waiver: what may be done, and what was accepted. Both are signed files."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from keycheck.model.profile import SubjectPattern
from keycheck.model.types import ClauseId, Instant, Model, Name, Prose
from keycheck.model.verdict import Kind


class Technique(StrEnum):
    """What a probe does beyond reading with our own credentials and an ordinary TLS handshake."""

    PASSIVE = "passive"
    ACTIVE_TLS = "active-tls"
    """Hand-built ClientHellos that offer what the contract forbids, and repetitions of them."""
    VULNERABILITY = "vulnerability"
    CANARY_WRITE = "canary-write"
    DRILL = "drill"
    """Take a key from a canary alone, for a moment."""
    REVOKE_GRANT = "revoke-grant"
    """Revoke a grant, and make another like it."""
    DISABLE_KEY = "disable-key"
    """Disable a whole key for a moment: everything under it stops."""
    DELETE_MATERIAL = "delete-material"
    """Delete imported material for a moment, and import it again."""
    ROTATE_CANARY = "rotate-canary"
    """Rotate a key that only canaries are under. Cannot be undone."""
    ROTATE_KEY = "rotate-key"
    """Rotate a production key. Cannot be undone."""


WIDE: Final = frozenset(
    {Technique.REVOKE_GRANT, Technique.DISABLE_KEY, Technique.DELETE_MATERIAL, Technique.ROTATE_KEY}
)
"""What reaches beyond a canary: authorized only by two approvers, and started only with the key's id typed."""


class Window(Model):
    """When it may be done. Local times with an IANA zone, so that daylight saving cannot shift them."""

    start: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$")]
    end: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$")]
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")]


class StopContact(Model):
    """Who is called when something must stop."""

    name: Prose
    reach: Prose


class Authorization(Model):
    """What the customer, and where wanted the vendor, allows. Counts only with an approver's signature."""

    authorization: Name
    deployment: Name
    subjects: Annotated[tuple[SubjectPattern, ...], Field(min_length=1)]
    techniques: Annotated[tuple[Technique, ...], Field(min_length=1)]
    sources: Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(min_length=1)]
    """Source addresses or networks in CIDR notation."""
    windows: Annotated[tuple[Window, ...], Field(min_length=1)]
    stop_contacts: Annotated[tuple[StopContact, ...], Field(min_length=1)]


class Waiver(Model):
    """A scoped, expiring acceptance of a finding. Never turns a verdict into a pass.

    `expires` is an instant, or a date that ends with that UTC day; what does not parse counts as expired.
    """

    waiver: Name
    profile: Name
    clause: ClauseId
    control: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$")]
    """A control id without its version."""
    subjects: Annotated[tuple[SubjectPattern, ...], Field(min_length=1)]
    verdicts: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.FAIL,)
    """Which verdicts are accepted: `fail`, and the unknown ones only where named."""
    reason: Prose
    ticket: Annotated[str, StringConstraints(max_length=200)] = ""
    requested_by: Prose
    approved_by: Prose
    """The name of an approver of the profile, whose key signed this file; never the requester."""
    granted: Annotated[str, StringConstraints(max_length=40)]
    expires: Annotated[str, StringConstraints(max_length=40)]


class AcceptedWaiver(Model):
    """A waiver whose signature and approver were checked, as the judge takes it."""

    waiver: Waiver
    signed_by: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")], ...]
    starts: Instant
    ends: Instant
    """First instant at which it no longer counts."""

    def counts_at(self, moment: datetime) -> bool:
        """Whether the waiver is in force."""
        return self.starts <= moment < self.ends

"""What the services of the lab's AWS hand each other: who calls, what is asked for, what is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Document: TypeAlias = Mapping[str, Json]
"""A policy document or a request body, parsed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the access key of a request belongs to, and how its connection looks in the log."""

    account: str
    arn: str
    """Of the user or session: `arn:aws:iam::1…:user/x`, `arn:aws:sts::1…:assumed-role/r/s`, or the root."""
    principal: str
    """What policies name: the user or role ARN, without the session."""
    access_key_id: str
    policies: tuple[Document, ...] = ()
    """Identity policies in force."""
    source: str = "203.0.113.10"
    tls_version: str = "TLSv1.3"
    key_exchange: str = "X25519MLKEM768"
    via: str | None = None
    """Service on whose behalf the call comes (`s3.eu-central-1.amazonaws.com`)."""


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant as the evaluation sees it."""

    grantee: str
    operations: frozenset[str]
    context_equals: Mapping[str, str] | None = None
    context_subset: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """One question to the policies: may this caller do that to this resource now?"""

    caller: Caller
    action: str
    """`kms:Decrypt`."""
    resource: str
    """ARN."""
    account: str
    """The account that owns the resource."""
    region: str
    now: datetime
    encryption_context: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further condition keys of the request, such as `kms:GrantIsForAWSResource`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether, and by what: the sentence goes into AccessDeniedException."""

    allowed: bool
    why: str


@dataclass(frozen=True, slots=True)
class ApiEvent:
    """One API call as CloudTrail will show it."""

    at: datetime
    caller: Caller
    region: str
    source: str
    """Event source: `kms.amazonaws.com`."""
    name: str
    """Operation: `Decrypt`."""
    read_only: bool
    account: str
    """Account in whose log it stands; a call across accounts is logged in both, a denied one only in the caller's."""
    resources: tuple[str, ...] = ()
    """ARNs."""
    parameters: Document = field(default_factory=dict)
    response: Document | None = None
    additional: Document = field(default_factory=dict)
    """`additionalEventData`, with `keyMaterialId`."""
    error: str | None = None
    message: str | None = None
    request_id: str = ""
    event_id: str = ""

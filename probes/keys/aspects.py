"""What can be asked about a key, and the permission that each question needs: the one source for the probes,
the plan and `keycheck permissions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import ClassVar, Final, Protocol, runtime_checkable


class Aspect(StrEnum):
    """A question. A probe asks what the demanded controls read, and nothing else."""

    DESCRIPTION = "description"
    """Manager, state, origin, algorithm, deletion; GCP: key and versions."""
    CALLER = "caller"
    MATERIALS = "materials"
    ROTATION = "rotation"
    POLICIES = "policies"
    """AWS: `default` and `AWS_RAM`; GCP: IAM bindings of key, ring, project, folders, organization."""
    GRANTS = "grants"
    ALIASES = "aliases"
    TAGS = "tags"
    LAST_USAGE = "last-usage"
    STORE = "store"
    ATTESTATION = "attestation"
    JUSTIFICATIONS = "justifications"
    LOGGING = "logging"
    """What is logged: trails; audit configuration."""
    EVENTS = "events"
    """Log entries about the key."""


AWS_ACTIONS: Final[Mapping[Aspect, tuple[str, ...]]] = {
    Aspect.DESCRIPTION: ("kms:DescribeKey",),
    Aspect.CALLER: (),  # sts:GetCallerIdentity needs no permission
    Aspect.MATERIALS: ("kms:ListKeyRotations",),
    Aspect.ROTATION: ("kms:GetKeyRotationStatus",),
    Aspect.POLICIES: ("kms:ListKeyPolicies", "kms:GetKeyPolicy"),
    Aspect.GRANTS: ("kms:ListGrants",),
    Aspect.ALIASES: ("kms:ListAliases",),
    Aspect.TAGS: ("kms:ListResourceTags",),
    Aspect.LAST_USAGE: ("kms:GetKeyLastUsage",),
    Aspect.STORE: ("kms:DescribeCustomKeyStores",),
    Aspect.LOGGING: ("cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"),
    Aspect.EVENTS: ("cloudtrail:LookupEvents",),
}

GCP_PERMISSIONS: Final[Mapping[Aspect, tuple[str, ...]]] = {
    Aspect.DESCRIPTION: ("cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.list"),
    Aspect.POLICIES: (
        "cloudkms.cryptoKeys.getIamPolicy",
        "cloudkms.keyRings.getIamPolicy",
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.folders.get",
        "resourcemanager.folders.getIamPolicy",
        "resourcemanager.organizations.getIamPolicy",
    ),
    Aspect.ATTESTATION: (),  # comes with the listing of versions
    Aspect.JUSTIFICATIONS: (),  # a field of the key itself
    Aspect.LOGGING: (
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.folders.get",
        "resourcemanager.folders.getIamPolicy",
        "resourcemanager.organizations.getIamPolicy",
    ),
    Aspect.EVENTS: ("logging.privateLogEntries.list", "logging.logEntries.list"),
}
"""Data Access entries need `privateLogEntries`: `roles/logging.viewer` does not see them."""


@runtime_checkable
class Reads(Protocol):
    """A control that says which aspects it judges."""

    reads: ClassVar[frozenset[Aspect]]


ALWAYS: Final = frozenset({Aspect.DESCRIPTION, Aspect.CALLER})
"""Asked of every key: without them nothing else can be read rightly."""


def asked_for(demands: Iterable[object]) -> frozenset[Aspect]:
    """Every aspect that the demanded controls read."""
    return ALWAYS.union(*(demand.reads for demand in demands if isinstance(demand, Reads)))

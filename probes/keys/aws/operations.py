"""The calls that are made, all of them read-only, and how often AWS lets an account make each in a Region."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.clouds.aws.operations import Operation, Operations
from probes.keys.aspects import Aspect

OPERATIONS: Final[Operations] = MappingProxyType(
    {
        "kms:DescribeKey": Operation("kms", "describe_key", 2000),
        "kms:ListKeyRotations": Operation("kms", "list_key_rotations", 100),
        "kms:GetKeyRotationStatus": Operation("kms", "get_key_rotation_status", 1000),
        "kms:ListKeyPolicies": Operation("kms", "list_key_policies", 100),
        "kms:GetKeyPolicy": Operation("kms", "get_key_policy", 1000),
        "kms:ListGrants": Operation("kms", "list_grants", 100),
        "kms:ListAliases": Operation("kms", "list_aliases", 500),
        "kms:ListResourceTags": Operation("kms", "list_resource_tags", 2000),
        "kms:GetKeyLastUsage": Operation("kms", "get_key_last_usage", 5),
        "kms:DescribeCustomKeyStores": Operation("kms", "describe_custom_key_stores", 5),
        # Three calls share ten a second.
        "cloudtrail:DescribeTrails": Operation("cloudtrail", "describe_trails", 3),
        "cloudtrail:GetTrailStatus": Operation("cloudtrail", "get_trail_status", 3),
        "cloudtrail:GetEventSelectors": Operation("cloudtrail", "get_event_selectors", 3),
        "cloudtrail:LookupEvents": Operation("cloudtrail", "lookup_events", 2),
    }
)

"""KMS: developer guide, "Request quotas" (defaults, adjustable). CloudTrail: user guide, "Quotas" (get, describe and
list APIs together; not adjustable)."""

_CALLS: Final[Mapping[Aspect, int]] = MappingProxyType(
    {
        Aspect.DESCRIPTION: 2,  # once for the survey, once with everything else
        Aspect.CALLER: 1,
        Aspect.MATERIALS: 1,
        Aspect.ROTATION: 1,
        Aspect.POLICIES: 3,  # the names, `default`, `AWS_RAM`
        Aspect.GRANTS: 1,
        Aspect.ALIASES: 1,
        Aspect.TAGS: 1,
        Aspect.LAST_USAGE: 1,
        Aspect.STORE: 1,
        Aspect.LOGGING: 5,  # one for the list, two for each of two trails
        Aspect.EVENTS: 10,  # pages of 50
    }
)


def calls(asked: frozenset[Aspect]) -> int:
    """About how many calls the aspects take for a key in one Region."""
    return sum(_CALLS.get(aspect, 0) for aspect in asked)

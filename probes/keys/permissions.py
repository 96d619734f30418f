"""The least privilege that a plan needs: an IAM policy for each AWS identity, a role for each Google identity. Pure.

Derived from the same table that the probes ask from, so that what is printed is what is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from keycheck.canonical import Jsonable
from probes.keys.aspects import AWS_ACTIONS, GCP_PERMISSIONS, Aspect
from probes.keys.subjects import Key

Need: TypeAlias = tuple[Key, str, frozenset[Aspect]]
"""A key, the identity that asks (empty: the SDK's own chain), and what it asks."""

UNSCOPED: Final = frozenset(
    {
        "kms:ListAliases",
        "kms:DescribeCustomKeyStores",
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:GetEventSelectors",
        "cloudtrail:LookupEvents",
    }
)
"""Actions that AWS does not scope to a key (Service Authorization Reference). Trails are not known before they are
listed."""
_ABOVE: Final = ("resourcemanager.folders.", "resourcemanager.organizations.")


@dataclass(frozen=True, slots=True)
class Paper:
    """What one identity needs: the document, and where it belongs."""

    provider: str
    identity: str
    attach: str
    """What to do with the document, in words."""
    document: Mapping[str, Jsonable]
    resource: str = ""
    """What it is a policy of, or where its role is bound; empty: the identity's own, or said in words."""
    whose: str = ""
    """Who or what it is for, where that is no identity of the deployment."""


def papers(needs: Iterable[Need]) -> Iterator[Paper]:
    """One paper an identity (Google: two, where something above the project is read), sorted by identity."""
    by_identity: dict[tuple[str, str], list[tuple[Key, frozenset[Aspect]]]] = {}
    for key, identity, asked in needs:
        by_identity.setdefault((key.provider, identity), []).append((key, asked))
    for (provider, identity), asks in sorted(by_identity.items()):
        yield from _aws(identity, asks) if provider == "aws" else _gcp(identity, asks)


def _aws(identity: str, asks: list[tuple[Key, frozenset[Aspect]]]) -> Iterator[Paper]:
    scoped: dict[str, set[str]] = {}
    aliased: dict[str, set[str]] = {}
    unscoped: set[str] = set()
    for key, asked in asks:
        for action in (action for aspect in asked for action in AWS_ACTIONS.get(aspect, ())):
            if action in UNSCOPED:
                unscoped.add(action)
            elif ":alias/" in key.resource:
                aliased.setdefault(key.resource, set()).add(action)
            else:
                scoped.setdefault(everywhere(key.resource), set()).add(action)
    statements: list[Jsonable] = []
    for actions, resources in sorted(_grouped(scoped).items()):
        statements.append(
            {"Sid": f"Keys{len(statements)}", "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
        )
    for actions, resources in sorted(_grouped(aliased).items()):
        statements.append(
            {
                "Sid": f"Aliases{len(statements)}",
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": sorted({f"{arn.rpartition(':')[0]}:key/*" for arn in resources}),
                "Condition": {
                    "ForAnyValue:StringEquals": {
                        "kms:ResourceAliases": sorted(arn.rpartition(":")[2] for arn in resources)
                    }
                },
            }
        )
    if unscoped:
        statements.append({"Sid": "Account", "Effect": "Allow", "Action": sorted(unscoped), "Resource": "*"})
    if statements:
        yield Paper(
            "aws",
            identity,
            "attach to the identity; in another account than the key's, the key policy must allow the same actions",
            {"Version": "2012-10-17", "Statement": statements},
        )


def everywhere(arn: str) -> str:
    """Replicas of a multi-Region key have the same id in other Regions."""
    if ":key/mrk-" not in arn:
        return arn
    parts = arn.split(":")
    parts[3] = "*"
    return ":".join(parts)


def _grouped(actions_of: Mapping[str, set[str]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    grouped: dict[tuple[str, ...], list[str]] = {}
    for resource, actions in sorted(actions_of.items()):
        grouped.setdefault(tuple(sorted(actions)), []).append(resource)
    return {actions: tuple(resources) for actions, resources in grouped.items()}


def _gcp(identity: str, asks: list[tuple[Key, frozenset[Aspect]]]) -> Iterator[Paper]:
    projects: dict[str, set[str]] = {}
    above: set[str] = set()
    for key, asked in asks:
        needed = {permission for aspect in asked for permission in GCP_PERMISSIONS.get(aspect, ())}
        above |= {permission for permission in needed if permission.startswith(_ABOVE)}
        project = key.resource.split("/")[1]
        projects.setdefault(project, set()).update(p for p in needed if not p.startswith(_ABOVE))
    for permissions, names in sorted(_grouped(projects).items()):
        if permissions:
            yield Paper(
                "gcp",
                identity,
                f"bind as a custom role on {', '.join(f'projects/{name}' for name in names)}",
                {"title": "keycheck, project", "stage": "GA", "includedPermissions": list(permissions)},
            )
    if above:
        yield Paper(
            "gcp",
            identity,
            "bind as a custom role on the organization above; without it what keys inherit from there stays unknown",
            {"title": "keycheck, organization", "stage": "GA", "includedPermissions": sorted(above)},
        )

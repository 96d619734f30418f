"""Least privilege for drills in Google Cloud: a custom role a place for each identity. Pure.

The canary's CryptoKey alone may be used and changed; above it everything is only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from keycheck.canonical import Jsonable
from probes.keys.drill.gcp_binding import Binding
from probes.keys.drill.parts import DEAD_MAN, Part
from probes.keys.permissions import Paper

USE: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
ORGANIZATION: Final = "the organization above"
_ABOVE: Final = ("resourcemanager.folders.", "resourcemanager.organizations.")
_ON_KEY: Final = ("cloudkms.cryptoKeys.", "cloudkms.cryptoKeyVersions.")
_NOBODY: Final = "the dead-man's service account"


def gcp_papers(parts: Sequence[Part]) -> Iterator[Paper]:
    """Sorted by identity and place; the dead-man's last."""
    for name in sorted({part.identity for part in parts if part.role != DEAD_MAN}):
        yield from _of([part for part in parts if part.identity == name and part.role != DEAD_MAN], name, "")
    men = [part for part in parts if part.role == DEAD_MAN]
    for actor in sorted({_actor(part) for part in men}):
        yield from _of([part for part in men if _actor(part) == actor], "", f" to {actor}")


def _of(parts: Sequence[Part], name: str, whom: str) -> Iterator[Paper]:
    places: dict[tuple[str, str], set[str]] = {}
    for part in parts:
        if part.role == "control" and part.kind == Binding.kind:
            yield _like_the_vendor(part)
            continue
        for permission in part.actions:
            places.setdefault(_place(part, permission), set()).add(permission)
    for (kind, place), permissions in sorted(places.items()):
        document: dict[str, Jsonable] = {
            "title": f"keycheck drill, {kind}",
            "stage": "GA",
            "includedPermissions": sorted(permissions),
        }
        attach = f"bind as a custom role{whom} on {place}" + (" and nowhere above" if kind == "key" else "")
        resource = "" if place == ORGANIZATION else place
        yield Paper("gcp", name, attach, document, resource, "the dead-man's service account" if whom else "")


def _like_the_vendor(part: Part) -> Paper:
    """A binding restricts roles: only who holds the vendor's own role feels it."""
    return Paper(
        "gcp",
        part.identity,
        f"bind this role on {part.target} and nowhere above; where the vendor uses the key by another role, that one",
        {"role": USE, "permissionsUsed": sorted(part.actions)},
        part.target,
    )


def _place(part: Part, permission: str) -> tuple[str, str]:
    """What kind of resource, and which."""
    if permission.startswith(_ABOVE):
        return "organization", ORGANIZATION
    if permission.startswith(_ON_KEY):
        return "key", part.target
    if permission.startswith("cloudkms.importJobs."):
        return "key ring", part.target.partition("/cryptoKeys/")[0]
    if permission.startswith("iam.serviceAccounts."):
        return "dead-man", _actor(part).removeprefix("serviceAccount:")
    if permission.startswith("cloudscheduler."):
        return "schedules", f"projects/{_project(_actor(part)) or part.target.split('/')[1]}"
    return "project", f"projects/{part.target.split('/')[1]}"


def _actor(part: Part) -> str:
    return part.drill.dead_man.actor if part.drill.dead_man else _NOBODY


def _project(actor: str) -> str:
    """Of a service account, by its address."""
    host = actor.partition("@")[2]
    return host.removesuffix(".iam.gserviceaccount.com") if host.endswith(".iam.gserviceaccount.com") else ""

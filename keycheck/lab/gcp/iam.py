"""Who may do what in the lab's Google Cloud: policies of a resource and of all above it, roles, groups, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from keycheck.lab.gcp.conditions import Context, holds
from keycheck.lab.gcp.directory import Directory
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.policies import AuditConfig, Condition, Grant, LogSetting, Policies, Policy
from keycheck.lab.gcp.roles import permissions_of
from keycheck.model.types import Clock

KMS_SERVICE = "cloudkms.googleapis.com"


class Iam:
    """The decision, and the record of what was asked. A principal is written as a policy writes it:
    `serviceAccount:app@acme.iam.gserviceaccount.com`."""

    def __init__(self, directory: Directory, clock: Clock, faults: Faults) -> None:
        self._directory = directory
        self._clock = clock
        self._faults = faults
        self._policies = Policies()
        self._custom: dict[str, frozenset[str]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._lock = Lock()

    def role(self, name: str, permissions: Iterable[str]) -> None:
        """Seed a custom role, `projects/p/roles/x` or `organizations/1/roles/x`."""
        self._custom[name] = frozenset(permissions)

    def bind(self, resource: str, role: str, *members: str, condition: str | None = None) -> None:
        """Add a binding; obeyed at once."""
        policy = self._policies.newest(resource)
        wanted = None if condition is None else Condition(condition, "lab")
        grant = Grant(role, members, wanted)
        self._policies.put(resource, replace(policy, grants=(*policy.grants, grant)), self._clock())

    def unbind(self, resource: str, role: str, *members: str) -> None:
        """Take members out of every binding of the role; obeyed at once."""
        policy = self._policies.newest(resource)
        grants = (
            replace(grant, members=tuple(each for each in grant.members if each not in members))
            if grant.role == role
            else grant
            for grant in policy.grants
        )
        kept = tuple(grant for grant in grants if grant.members)
        self._policies.put(resource, replace(policy, grants=kept), self._clock())

    def audit(self, resource: str, *kinds: str, service: str = KMS_SERVICE, exempted: Sequence[str] = ()) -> None:
        """Switch Data Access logs on: kinds `ADMIN_READ`, `DATA_READ`, `DATA_WRITE`; no kinds: off again."""
        policy = self._policies.newest(resource)
        others = tuple(each for each in policy.audits if each.service != service)
        settings = tuple(LogSetting(kind, tuple(exempted)) for kind in kinds)
        audits = (*others, AuditConfig(service, settings)) if settings else others
        self._policies.put(resource, replace(policy, audits=audits), self._clock())

    def policy(self, resource: str) -> Policy:
        return self._policies.newest(self._own(resource))

    def put(self, resource: str, policy: Policy) -> Policy:
        """As a caller's setIamPolicy does: obeyed after the lag."""
        return self._policies.put(self._own(resource), policy, self._clock(), self._faults.iam_lag)

    def allows(self, principal: str, permission: str, resource: str) -> bool:
        """Whether any policy from the resource upwards grants it. Does not count as asked."""
        now = self._clock()
        kind = _type(resource)
        context = Context(now, resource, kind, kind.partition("/")[0])
        for level in self._directory.lineage(resource):
            policy = self._policies.obeyed(level, now)
            if policy is not None and any(
                self._grants(grant, principal, permission, context) for grant in policy.grants
            ):
                return True
        return False

    def used(self, principal: str, permission: str) -> None:
        """Write down that a permission was needed and used."""
        pair = (principal, permission)
        if pair not in self._asked:
            with self._lock:
                self._asked.add(pair)

    def asked(self) -> frozenset[tuple[str, str]]:
        """Every (principal, permission) that a call needed and had."""
        with self._lock:
            return frozenset(self._asked)

    def forget(self) -> None:
        """Start the record of what was asked anew."""
        with self._lock:
            self._asked.clear()

    def audits(self, resource: str) -> tuple[AuditConfig, ...]:
        """Audit configurations in force for a resource: those of its project and of everything above it, united."""
        now = self._clock()
        found: list[AuditConfig] = []
        for level in self._directory.lineage(resource):
            policy = self._policies.obeyed(level, now)
            if policy is not None:
                found.extend(policy.audits)
        return tuple(found)

    def known_role(self, role: str) -> bool:
        return role in self._custom or bool(permissions_of(role))

    def custom_roles(self) -> Mapping[str, frozenset[str]]:
        return dict(self._custom)

    def _own(self, resource: str) -> str:
        node = self._directory.node(resource)
        return resource if node is None else node.name

    def _grants(self, grant: Grant, principal: str, permission: str, context: Context) -> bool:
        if not any(self.is_member(member, principal) for member in grant.members):
            return False
        permissions = self._custom.get(grant.role) or permissions_of(grant.role)
        if permission not in permissions:
            return False
        return grant.condition is None or holds(grant.condition.expression, context)

    def is_member(self, member: str, principal: str) -> bool:
        """Whether a member of a policy means the principal: itself, a group, a domain, everybody."""
        if member in (principal, "allUsers", "allAuthenticatedUsers"):
            # the lab serves no call without a principal, so that both words mean everybody
            return True
        if member.startswith("group:"):
            return self._directory.in_group(member, principal)
        if member.startswith("domain:") and principal.startswith("user:"):
            return principal.endswith("@" + member.removeprefix("domain:"))
        return False


def _type(resource: str) -> str:
    """`resource.type` as conditions see it; KMS has it for key rings and below."""
    parts = resource.split("/")
    if len(parts) == 2:
        return f"cloudresourcemanager.googleapis.com/{parts[0].removesuffix('s').capitalize()}"
    kind = {
        "keyRings": "KeyRing",
        "cryptoKeys": "CryptoKey",
        "cryptoKeyVersions": "CryptoKeyVersion",
        "importJobs": "ImportJob",
    }.get(parts[-2], "")
    return f"{KMS_SERVICE}/{kind}" if kind else ""

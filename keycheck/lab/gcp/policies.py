"""IAM policies of the lab's resources: what is bound, with what etag, and from when on it is obeyed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from google.iam.v1 import policy_pb2  # type: ignore[import-untyped]
from google.type import expr_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.errors import aborted, invalid

NO_CONDITIONS: Final = 1
WITH_CONDITIONS: Final = 3
_NEVER_SET: Final = base64.b64decode("ACAB")


@dataclass(frozen=True, slots=True)
class Condition:
    """When a binding holds."""

    expression: str
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """One binding: a role for members, perhaps on a condition."""

    role: str
    members: tuple[str, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class LogSetting:
    """One line of an audit configuration."""

    kind: str
    """`ADMIN_READ`, `DATA_READ`, `DATA_WRITE`."""
    exempted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What of a service (or `allServices`) is logged beyond Admin Activity."""

    service: str
    settings: tuple[LogSetting, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is attached to one resource."""

    grants: tuple[Grant, ...] = ()
    audits: tuple[AuditConfig, ...] = ()
    revision: int = 0

    @property
    def etag(self) -> bytes:
        if not self.revision:
            return _NEVER_SET
        return hashlib.sha256(f"{self.revision}:{self!r}".encode()).digest()[:8]

    @property
    def conditional(self) -> bool:
        return any(grant.condition is not None for grant in self.grants)


@dataclass(slots=True)
class _Entry:
    newest: Policy
    pending: list[tuple[datetime, Policy]]


class Policies:
    """All policies. A change is answered at once and obeyed when its lag has passed."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def newest(self, resource: str) -> Policy:
        entry = self._entries.get(resource)
        return Policy() if entry is None else entry.newest

    def obeyed(self, resource: str, now: datetime) -> Policy | None:
        entry = self._entries.get(resource)
        if entry is None:
            return None
        if len(entry.pending) == 1:
            return entry.pending[0][1]
        while len(entry.pending) > 1 and entry.pending[1][0] <= now:
            entry.pending.pop(0)
        return entry.pending[0][1]

    def put(self, resource: str, policy: Policy, now: datetime, lag: timedelta = timedelta(0)) -> Policy:
        """Replace; gives the policy with its new revision."""
        entry = self._entries.setdefault(resource, _Entry(Policy(), [(now, Policy())]))
        fresh = replace(policy, revision=entry.newest.revision + 1)
        entry.newest = fresh
        if lag:
            entry.pending.append((now + lag, fresh))
        else:
            entry.pending = [(now, fresh)]
        return fresh


def answered(policy: Policy, requested_version: int) -> policy_pb2.Policy:
    """As `getIamPolicy` shows it to a caller that asked for `requested_version`.

    Below version 3 a conditional policy is answered as version 1, without conditions, its conditional roles renamed
    to `<role>_withcond_<hash>`. Source: https://cloud.google.com/iam/docs/troubleshoot-withcond
    """
    if requested_version not in (0, 1, WITH_CONDITIONS):
        raise invalid(f"Invalid requested policy version: {requested_version}.")
    shown = policy_pb2.Policy(etag=policy.etag)
    conditional = policy.conditional
    full = conditional and requested_version == WITH_CONDITIONS
    if policy.revision:
        shown.version = WITH_CONDITIONS if full else NO_CONDITIONS
    for grant in policy.grants:
        binding = shown.bindings.add(role=grant.role, members=grant.members)
        if grant.condition is None:
            continue
        if full:
            binding.condition.CopyFrom(
                expr_pb2.Expr(
                    expression=grant.condition.expression,
                    title=grant.condition.title,
                    description=grant.condition.description,
                )
            )
        else:
            binding.role = f"{grant.role}_withcond_{_mark(grant.condition)}"
    for audit in policy.audits:
        config = shown.audit_configs.add(service=audit.service)
        for setting in audit.settings:
            kind = policy_pb2.AuditLogConfig.LogType.Value(setting.kind)
            config.audit_log_configs.add(log_type=kind, exempted_members=setting.exempted)
    return shown


def accepted(wanted: policy_pb2.Policy, current: Policy, mask: Sequence[str] = ()) -> Policy:
    """What `setIamPolicy` makes of a request: etag checked, version checked, other fields kept as the mask says.

    Raises ABORTED for a stale etag, INVALID_ARGUMENT for conditions below version 3. Without an etag the policy is
    overwritten blindly, conditions included. Source: https://cloud.google.com/iam/docs/policies#etag
    """
    if wanted.etag and wanted.etag != current.etag:
        raise aborted(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
        )
    if wanted.version not in (0, 1, WITH_CONDITIONS):
        raise invalid(f"Invalid policy version: {wanted.version}.")
    conditions = any(binding.HasField("condition") for binding in wanted.bindings)
    if conditions and wanted.version != WITH_CONDITIONS:
        raise invalid("The specified policy version must be 3 to set a policy with conditions.")
    if wanted.etag and current.conditional and wanted.version != WITH_CONDITIONS:
        raise invalid("The policy has conditions: its version must be 3 to change it.")
    if any("_withcond_" in binding.role for binding in wanted.bindings):
        raise invalid("Role names with _withcond_ cannot be set.")
    grants = tuple(_grant(binding) for binding in wanted.bindings if binding.members)
    audits = _audits(wanted.audit_configs) if not mask or "audit_configs" in mask or "auditConfigs" in mask else None
    if not mask and not wanted.audit_configs:
        # the default mask is "bindings, etag": audit configurations stay
        audits = None
    return Policy(grants, current.audits if audits is None else audits)


def _grant(binding: policy_pb2.Binding) -> Grant:
    condition = None
    if binding.HasField("condition"):
        condition = Condition(binding.condition.expression, binding.condition.title, binding.condition.description)
    return Grant(binding.role, tuple(sorted(set(binding.members))), condition)


def _audits(configs: Iterable[policy_pb2.AuditConfig]) -> tuple[AuditConfig, ...]:
    return tuple(
        AuditConfig(
            config.service,
            tuple(
                LogSetting(policy_pb2.AuditLogConfig.LogType.Name(each.log_type), tuple(each.exempted_members))
                for each in config.audit_log_configs
            ),
        )
        for config in configs
    )


def _mark(condition: Condition) -> str:
    return hashlib.sha256(condition.expression.encode()).hexdigest()[:20]

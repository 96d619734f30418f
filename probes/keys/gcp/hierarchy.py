"""IAM policies of a project and of everything above it: read once in a run, shared by all its keys.

What a key inherits, and where Data Access logs are switched on, stand in the same policies. Not read: deny policies and
principal access boundaries (other APIs), and who is in a group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import TRANSIENT, unseen
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.patience import Patient
from probes.clouds.gcp.session import Session
from probes.keys.gcp_facts import Binding

if TYPE_CHECKING:
    from google.iam.v1.iam_policy_pb2 import GetIamPolicyRequest  # type: ignore[import-untyped]
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

MAX_BINDINGS: Final = 1_500
MAX_MEMBERS: Final = 5_000
"""In one policy; IAM allows 1,500 principals in all."""
_PROJECT: Final = re.compile(r"projects/([0-9]{1,30})")
_PARENT: Final = re.compile(r"(folders|organizations)/[0-9]{1,30}")
_SHARE: Final = 0.4
"""Of the time left for a key, for what is above it: a Resource Manager that is silent must not cost the key itself."""
MAX_LEVELS: Final = 13
"""Folders nest at most ten deep, under one organization."""


@dataclass(frozen=True, slots=True)
class AuditSetting:
    """One audit log setting: a service, a kind of access, and who is left out of the log."""

    service: str
    kind: str
    exempted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """What one policy says."""

    bindings: tuple[Binding, ...]
    audit: tuple[AuditSetting, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One container, and its policy or why it could not be read."""

    resource: str
    policy: ReadPolicy | Unseen


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The project and what is above it, nearest first."""

    levels: tuple[Level, ...]
    number: str | None
    """Of the project, where it could be read."""
    project_id: str | None
    gap: Unseen | None
    """Why there may be more above; None when an organization, or a project without a parent, was reached."""

    @property
    def passing(self) -> bool:
        """Whether something in it failed for a reason that may be gone in a moment."""
        failures = [level.policy for level in self.levels if isinstance(level.policy, Unseen)]
        return any(failure.reason in TRANSIENT for failure in (*failures, self.gap) if failure is not None)

    @property
    def why_not(self) -> str:
        """Why not all that is above was read; empty when it was."""
        reasons = [
            f"{level.resource}: {level.policy.detail}" for level in self.levels if isinstance(level.policy, Unseen)
        ]
        if self.gap is not None:
            reasons.append(self.gap.detail)
        return vendor_text("; ".join(reasons))


def ancestry(project: str, session: Session) -> Ancestry:
    """The project's own, read once in a run and identity. Never raises for a level: it says what it could not read."""

    share = session.sharing(_SHARE)
    key = ("gcp", "ancestry", session.io.vantage, session.identity, project)
    try:
        return memo(key, session).get(lambda: _climb(project, share), lambda found: not found.passing, share.left)
    except ProbeError as error:
        name = f"projects/{project}"
        return Ancestry((Level(name, unseen(error)),), None, None, _above(name, error))


def memo(key: tuple[Hashable, ...], session: Session) -> Patient:
    """What several keys ask, kept in the run."""
    return session.io.once.get((*key, "memo"), lambda: Patient(session.io.monotonic))


def policy_of(
    resource: str, api: Api, ask: Callable[[GetIamPolicyRequest, float], Policy], session: Session
) -> ReadPolicy:
    """Policy of one resource, conditions included. Raises ProbeError."""
    from google.iam.v1 import iam_policy_pb2, options_pb2  # type: ignore[import-untyped]

    # without asking for version 3, conditional bindings are answered as if they were not there
    request = iam_policy_pb2.GetIamPolicyRequest(
        resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=3)
    )
    return read_policy(session.ask(api, f"IAM policy of {resource}", lambda seconds: ask(request, seconds)))


def read_policy(policy: Policy) -> ReadPolicy:
    """The answer, bounded. Raises ProbeError(malformed)."""
    if len(policy.bindings) > MAX_BINDINGS or sum(len(each.members) for each in policy.bindings) > MAX_MEMBERS:
        raise ProbeError(Reason.MALFORMED, "the policy is larger than IAM allows")
    bindings = tuple(
        Binding(
            role=vendor_text(each.role),
            members=tuple(vendor_text(member) for member in each.members),
            condition=vendor_text(each.condition.expression) if each.HasField("condition") else None,
        )
        for each in policy.bindings
    )
    return ReadPolicy(bindings, tuple(_audit(policy)))


def _audit(policy: Policy) -> list[AuditSetting]:
    from google.iam.v1.policy_pb2 import AuditLogConfig

    if len(policy.audit_configs) > MAX_BINDINGS:
        raise ProbeError(Reason.MALFORMED, "the policy is larger than IAM allows")
    found: list[AuditSetting] = []
    for config in policy.audit_configs:
        for log in config.audit_log_configs:
            if len(log.exempted_members) > MAX_MEMBERS or len(found) > MAX_BINDINGS:
                raise ProbeError(Reason.MALFORMED, "the policy is larger than IAM allows")
            # an unknown kind is no DATA_READ, and so switches nothing on
            kind = AuditLogConfig.LogType.Name(log.log_type) if log.log_type in (0, 1, 2, 3) else str(log.log_type)
            found.append(AuditSetting(config.service, kind, tuple(vendor_text(each) for each in log.exempted_members)))
    return found


def _climb(project: str, session: Session) -> Ancestry:
    name = f"projects/{project}"
    levels = [_level(name, session)]
    if (silent := _silence(levels[-1])) is not None:
        return Ancestry(tuple(levels), None, None, _above(name, silent))
    try:
        found = _project(name, session)
    except ProbeError as error:
        return Ancestry(tuple(levels), None, None, _above(name, error))
    named = _PROJECT.fullmatch(found.name)
    if named is None or project not in (named[1], found.project_id):
        # an empty answer would look like a project without a parent, and somebody else's like ours
        gap = Unseen(reason=Reason.MALFORMED, detail=f"what is above {name} is not known: the answer is not about it")
        return Ancestry(tuple(levels), None, None, gap)
    ids = (named[1], vendor_text(found.project_id, 100) or None)
    parent = found.parent
    seen = {name}
    while parent:
        if parent in seen or len(levels) >= MAX_LEVELS or not _PARENT.fullmatch(parent):
            gap = Unseen(reason=Reason.MALFORMED, detail="the parents that the cloud names are no hierarchy")
            return Ancestry(tuple(levels), *ids, gap)
        seen.add(parent)
        levels.append(_level(parent, session))
        if (silent := _silence(levels[-1])) is not None:
            return Ancestry(tuple(levels), *ids, _above(parent, silent))
        if parent.startswith("organizations/"):
            break
        try:
            above = _parent(parent, session)
        except ProbeError as error:
            return Ancestry(tuple(levels), *ids, _above(parent, error))
        if not above:
            gap = Unseen(reason=Reason.MALFORMED, detail=f"{vendor_text(parent, 80)} has no parent")
            return Ancestry(tuple(levels), *ids, gap)
        parent = above
    return Ancestry(tuple(levels), *ids, None)


@dataclass(frozen=True, slots=True)
class _Project:
    name: str
    project_id: str
    parent: str


def _project(name: str, session: Session) -> _Project:
    client = clients.projects(session.identity, session.io)
    found = session.ask(
        Api.RESOURCES, f"get {name}", lambda seconds: client.get_project(name=name, retry=None, timeout=seconds)
    )
    return _Project(found.name, found.project_id, found.parent)


def _parent(name: str, session: Session) -> str:
    client = clients.folders(session.identity, session.io)
    found = session.ask(
        Api.RESOURCES, f"get {name}", lambda seconds: client.get_folder(name=name, retry=None, timeout=seconds)
    )
    if found.name != name:
        raise ProbeError(Reason.MALFORMED, "the answer is about another folder")
    return str(found.parent)


def _silence(level: Level) -> Unseen | None:
    """Of a service that does not answer nothing more is asked: each further question would wait as long."""
    policy = level.policy
    return policy if isinstance(policy, Unseen) and policy.reason is Reason.TIMEOUT else None


def _above(resource: str, error: ProbeError | Unseen) -> Unseen:
    why = error.detail if isinstance(error, Unseen) else str(error)
    return Unseen(reason=error.reason, detail=vendor_text(f"what is above {resource} is not known: {why}"))


def _level(resource: str, session: Session) -> Level:
    """The policy of a project, folder or organization, shared by all projects below it."""

    def ask(request: GetIamPolicyRequest, seconds: float) -> Policy:
        identity, io = session.identity, session.io
        match resource.partition("/")[0]:
            case "projects":
                return clients.projects(identity, io).get_iam_policy(request=request, retry=None, timeout=seconds)
            case "folders":
                return clients.folders(identity, io).get_iam_policy(request=request, retry=None, timeout=seconds)
            case _:
                return clients.organizations(identity, io).get_iam_policy(request=request, retry=None, timeout=seconds)

    return shared_level(resource, Api.RESOURCES, ask, session)


def shared_level(
    resource: str, api: Api, ask: Callable[[GetIamPolicyRequest, float], Policy], session: Session
) -> Level:
    """The policy of a resource that several keys are under: asked once, denials too; passing failures again."""

    def make() -> Level:
        try:
            return Level(resource, policy_of(resource, api, ask, session))
        except ProbeError as error:
            return Level(resource, unseen(error))

    def lasting(level: Level) -> bool:
        return not isinstance(level.policy, Unseen) or level.policy.reason not in TRANSIENT

    key = ("gcp", "policy", session.io.vantage, session.identity, resource)
    try:
        return memo(key, session).get(make, lasting, session.left)
    except ProbeError as error:
        return Level(resource, unseen(error))

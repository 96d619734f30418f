"""Cloud SQL: instances, their replicas, and where their backups are and will be.

Sources: https://cloud.google.com/sql/docs/mysql/admin-api/rest/v1beta4/instances,
https://cloud.google.com/sql/docs/mysql/backup-recovery/backups#where-backups-are-stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, flag, parsing, text, text_or_none, texts
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import is_name, is_project, located
from probes.residency.gcp.reading import number, when
from probes.residency.graph import PENDING, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, NodePlace

_GET: Final = "cloudsql.instances.get"
_LIST: Final = "cloudsql.instances.list"
_RUNS: Final = "cloudsql.backupRuns.list"
_BACKUPS: Final = "cloudsql.backups.list"
_FIELDS: Final = (
    "name,region,gceZone,secondaryGceZone,instanceType,createTime,replicaNames,failoverReplica,replicationCluster,"
    "settings/backupConfiguration,diskEncryptionConfiguration,diskEncryptionStatus"
)
_SHOWN: Final = 3
_VOID: Final = ("FAILED", "SKIPPED", "DELETED")
"""Runs that left nothing behind."""
_NEAREST: Final = (
    "no location is set for its backups: Google keeps them in the multi-region that is nearest, and none exists yet "
    "that would tell which; set the location of its backups"
)


@dataclass(frozen=True, slots=True)
class _Backup:
    path: str
    instance: str
    location: str | None
    key: str | None
    at: datetime | None

    @property
    def kind(self) -> tuple[str, str | None, str | None]:
        return (self.instance, self.location, self.key)


@dataclass(slots=True)
class Databases:
    """The instances of one walk, each looked at once."""

    asking: Asking
    keys: Keys
    _met: set[tuple[str, str]] = field(default_factory=set)
    _waiting: list[tuple[str, str]] = field(default_factory=list)
    _retained: dict[str, tuple[_Backup, ...]] = field(default_factory=dict)

    def id(self, project: str, instance: str) -> str:
        """The full resource name of an instance."""
        return f"//sqladmin.{self.asking.universe}/projects/{project}/instances/{instance}"

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every instance of a project, and backups that outlived theirs. Ids of what is a root."""
        found = self.asking.listed(
            "sqladmin",
            _LIST,
            f"projects/{project}/instances",
            "items",
            lambda item: (text(item, "name"), item),
            {"fields": f"nextPageToken,warnings,items({_FIELDS})"},
            at=f"{_LIST} in {project}",
            matters=("everything",),
            size="maxResults",
            page=50,
        )
        for name, told in found:
            self._seen(project, name, told)
        self._follow()
        roots = [self.id(project, name) for name, _ in found]
        left = [each for each in self._kept(project) if self.asking.graph.node(self.id(project, each.instance)) is None]
        return (*roots, *(id for id, _ in self._shown(project, left)))

    def look(self, project: str, instance: str) -> str:
        """One instance, with its replicas and theirs. Its id."""
        self._waiting.append((project, instance))
        self._follow()
        return self.id(project, instance)

    def _follow(self) -> None:
        while self._waiting and not self.asking.over():
            project, name = self._waiting.pop()
            if (project, name) in self._met:
                continue
            try:
                answer = self.asking.ask("sqladmin", _GET, f"projects/{project}/instances/{name}", {"fields": _FIELDS})
            except ProbeError as error:
                self._lost(project, name, error)
                continue
            self._seen(project, name, answer)

    def _lost(self, project: str, name: str, error: ProbeError) -> None:
        id = self.id(project, name)
        self._met.add((project, name))
        self.asking.graph.put(id, NodeKind.DATABASE, project, seen_not(error), seen_not(error))
        self.asking.opens(id, error, "everything")

    def _seen(self, project: str, name: str, told: Answer) -> None:
        self._met.add((project, name))
        id = self.id(project, name)
        try:
            with parsing(_GET):
                if text(told, "name") != name or not is_name(name):
                    raise MalformedError("the answer is about another instance")
                place = _place(told)
                key = text_or_none(child_or_none(told, "diskEncryptionConfiguration") or {}, "kmsKeyName")
                key = key or text_or_none(child_or_none(told, "diskEncryptionStatus") or {}, "kmsKeyVersionName")
                created = when(told, "createTime")
                copies = _copies(told, project)
                plan = child_or_none(child_or_none(told, "settings") or {}, "backupConfiguration") or {}
                kind = text_or_none(told, "instanceType")
                enabled, where = flag(plan, "enabled", default=False), text_or_none(plan, "location")
        except ProbeError as error:
            self._lost(project, name, error)
            return
        encryption = self.keys.under(key or None, id)
        note = "a replica" if kind == "READ_REPLICA_INSTANCE" else None
        self.keys.put(id, NodeKind.DATABASE, project, place, encryption, created=created, note=note)
        if isinstance(place, Unseen):
            self.asking.opens(id, place, "stores")
        for owner, copy, detail in copies:
            target = self.id(owner, copy)
            self.asking.graph.put(target, NodeKind.DATABASE, owner, PENDING, PENDING)
            self.asking.graph.edge(id, target, EdgeKind.REPLICATES, Basis.CONFIGURED, detail)
            self._waiting.append((owner, copy))
        self._backups(project, name, encryption, where if enabled else None, enabled=enabled)

    def _backups(
        self, project: str, name: str, encryption: Encryption | Unseen, location: str | None, *, enabled: bool
    ) -> None:
        """Backups that exist, and where the next ones go."""
        id, graph = self.id(project, name), self.asking.graph
        runs = self.asking.listed(
            "sqladmin",
            _RUNS,
            f"projects/{project}/instances/{name}/backupRuns",
            "items",
            lambda item: _run(item, project, name),
            at=id,
            matters=("backups",),
            size="maxResults",
            page=100,
        )
        retained = [each for each in self._kept(project) if each.instance == name]
        there = [each for each in runs if each is not None]
        for backup, made in self._shown(project, [*there, *retained]):
            graph.edge(id, backup, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup", made)
        if not enabled:
            return
        plan = f"{id}#backups"
        if location is None and there:
            return  # the next ones go where the last ones went
        place = unknown(_NEAREST) if location is None else located(location)
        graph.put(plan, NodeKind.BACKUP, project, place, encryption, note="where backups are ordered to be kept")
        graph.edge(id, plan, EdgeKind.BACKS_UP, Basis.CONFIGURED, "backup configuration")
        self.keys.tie(plan, encryption)

    def _kept(self, project: str) -> tuple[_Backup, ...]:
        """Backups that are kept apart from their instances, also of instances that are gone."""
        known = self._retained.get(project)
        if known is None:
            found = self.asking.listed(
                "sqladmin",
                _BACKUPS,
                f"projects/{project}/backups",
                "backups",
                lambda item: _kept(item, project),
                at=f"{_BACKUPS} in {project}",
                matters=("backups",),
                page=100,
            )
            known = self._retained[project] = tuple(each for each in found if each is not None)
        return known

    def _shown(self, project: str, found: list[_Backup]) -> tuple[tuple[str, datetime | None], ...]:
        """Ids of those that are shown, and when they were made."""
        ids = []
        for alike in few(found, lambda each: each.kind, _SHOWN):
            each, id = alike.one, f"//sqladmin.{self.asking.universe}/{alike.one.path}"
            place = unknown("Google does not tell where it is") if each.location is None else located(each.location)
            encryption = self.keys.under(each.key, id)
            self.keys.put(id, NodeKind.BACKUP, project, place, encryption, created=each.at, note=alike.note)
            ids.append((id, each.at))
        return tuple(ids)


def _place(told: Answer) -> NodePlace | Unseen:
    if text_or_none(told, "instanceType") == "ON_PREMISES_INSTANCE":
        return unknown("it stands for a database outside of Google, which is wherever its owner put it")
    region = text(told, "region")
    for name in ("gceZone", "secondaryGceZone"):
        zone = text_or_none(told, name)
        if zone and not zone.startswith(f"{region}-"):
            return unknown(f"in {region} and in the zone {vendor_text(zone, 60)}", Reason.CONFLICTING)
    return located(region)


def _copies(told: Answer, project: str) -> tuple[tuple[str, str, str], ...]:
    """Project and name of what it is replicated to, and how. A name may carry its project (`project:name`)."""
    named = [(each, "read replica") for each in texts(told, "replicaNames")]
    for member, name, detail in (
        ("failoverReplica", "name", "failover replica"),
        ("replicationCluster", "failoverDrReplicaName", "replica for disaster recovery"),
    ):
        one = text_or_none(child_or_none(told, member) or {}, name)
        if one:
            named.append((one, detail))
    found: dict[tuple[str, str], str] = {}
    for each, detail in named:
        head, _, tail = each.rpartition(":")
        owner = head or project
        if not is_project(owner) or not is_name(tail):
            raise MalformedError("the name of a replica is none")
        found.setdefault((owner, tail), detail)
    return tuple((owner, name, detail) for (owner, name), detail in found.items())


def _run(item: Answer, project: str, instance: str) -> _Backup | None:
    """None for a run that left nothing behind."""
    told = text_or_none(item, "instance")
    if told is not None and told.rpartition(":")[2] != instance:
        raise MalformedError("the answer is about another instance")
    id = number(item, "id")
    if id is None:
        raise MalformedError("id is missing")
    if text(item, "status") in _VOID:
        return None
    key = text_or_none(child_or_none(item, "diskEncryptionConfiguration") or {}, "kmsKeyName")
    key = key or text_or_none(child_or_none(item, "diskEncryptionStatus") or {}, "kmsKeyVersionName")
    at = when(item, "endTime") or when(item, "startTime")
    path = f"projects/{project}/instances/{instance}/backupRuns/{id}"
    return _Backup(path, instance, text_or_none(item, "location") or None, key or None, at)


def _kept(item: Answer, project: str) -> _Backup | None:
    name = text(item, "name")
    head, _, own = name.rpartition("/")
    if head != f"projects/{project}/backups" or not is_name(own):
        raise MalformedError("name is no name of a backup in the project that was asked about")
    if text_or_none(item, "state") in _VOID:
        return None
    instance = text(item, "instance").rpartition("/")[2].rpartition(":")[2]
    key = text_or_none(item, "kmsKey") or text_or_none(item, "kmsKeyVersion")
    span = child_or_none(item, "backupInterval") or {}
    return _Backup(name, instance, text_or_none(item, "location") or None, key or None, when(span, "endTime"))

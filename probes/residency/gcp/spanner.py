"""Spanner: databases in all regions of their instance's configuration, witnesses, and backups with their copies.

Sources: https://cloud.google.com/spanner/docs/instance-configurations,
https://cloud.google.com/spanner/docs/reference/rest/v1/projects.instances.backups.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import GOOGLE, Keys
from probes.residency.gcp.names import everywhere, path_of
from probes.residency.gcp.reading import when
from probes.residency.gcp.shelf import Shelf, named
from probes.residency.graph import PENDING, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, NodePlace, Unneeded

_SHOWN: Final = 5
_MANAGED: Final = "CUSTOMER_MANAGED_ENCRYPTION"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the replicas of an instance's configuration are."""

    data: NodePlace | Unseen
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """A database or a backup."""

    path: str
    keys: tuple[str, ...]
    created: datetime | None
    database: str | None = None
    copies: tuple[str, ...] = ()


class Spanner:
    """The instances of one walk."""

    def __init__(self, asking: Asking, keys: Keys) -> None:
        self._shelf = Shelf(asking, keys, "spanner")
        self._layouts: dict[str, _Layout] = {}
        self._met: set[str] = set()

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every database and backup of a project. Their ids."""
        found = self._shelf.listed(
            "spanner.instances.list",
            f"projects/{project}/instances",
            "instances",
            lambda item: (named(item, project, "instances")[0], text(item, "config")),
            "everything",
        )
        return tuple(id for path, config in found for id in self._instance(path, config))

    def look(self, path: str) -> tuple[str, ...]:
        """One instance with all its databases, or one database. Ids of what was asked for."""
        instance = "/".join(path.split("/")[:4])
        held = self._instance(instance, None, None if path == instance else path)
        if path == instance:
            return held
        if self._shelf.asking.graph.node(self._shelf.id(path)) is None:
            why = unknown("its instance does not list it", Reason.NO_POSITIVE)
            self._shelf.asking.opens(self._shelf.id(path), why, "everything")
        return (self._shelf.id(path),)

    def _instance(self, path: str, config: str | None, only: str | None = None) -> tuple[str, ...]:
        """What an instance holds; `only` one of its databases, and the backups of that."""
        if path in self._met:
            return ()
        self._met.add(path)
        layout = self._layout(path, config)
        project, ids = path.split("/")[1], []
        databases = self._shelf.listed(
            "spanner.databases.list",
            f"{path}/databases",
            "databases",
            lambda item: _database(item, project),
            "everything",
        )
        ids += [self._put(each, NodeKind.DATABASE, layout) for each in databases if only in (None, each.path)]
        self._partitions(path, tuple(ids))
        backups = self._shelf.listed(
            "spanner.backups.list", f"{path}/backups", "backups", lambda item: _backup(item, project), "backups"
        )
        ours = [each for each in backups if only in (None, each.database)]
        for alike in few(ours, lambda each: (each.keys, each.database, each.copies), _SHOWN):
            told, graph = alike.one, self._shelf.asking.graph
            ids.append(id := self._put(told, NodeKind.BACKUP, layout, alike.note))
            source = None if told.database is None else self._shelf.id(told.database)
            if source is not None and graph.node(source) is not None:
                graph.edge(source, id, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup", told.created)
            self._copied(id, told)
        return tuple(ids)

    def _partitions(self, path: str, databases: tuple[str, ...]) -> None:
        """Partitions of an instance, in which rows of its databases may be placed: each has a configuration of its
        own, in other regions than the instance's."""
        project, graph = path.split("/")[1], self._shelf.asking.graph
        found = self._shelf.listed(
            "spanner.instancePartitions.list",
            f"{path}/instancePartitions",
            "instancePartitions",
            lambda item: (named(item, project, "instances", "instancePartitions")[0], text(item, "config")),
            "stores",
        )
        for name, config in found if databases else ():
            id = self._shelf.id(name)
            graph.put(id, NodeKind.DATABASE, project, self._layout(name, config).data, Unneeded(), note="a partition")
            for database in databases:
                graph.edge(database, id, EdgeKind.REPLICATES, Basis.CONFIGURED, "rows may be placed there")

    def _copied(self, id: str, told: _Held) -> None:
        """Copies of a backup, which may be in an instance in another region."""
        graph = self._shelf.asking.graph
        for copy in told.copies:
            target, instance = self._shelf.id(copy), "/".join(copy.split("/")[:4])
            graph.put(target, NodeKind.BACKUP, copy.split("/")[1], PENDING, PENDING)
            graph.edge(id, target, EdgeKind.COPIES, Basis.HAPPENED, "copied backup")
            known = graph.node(target)
            if known is not None and known.place == PENDING and not self._shelf.asking.over():
                operation = "spanner.backups.get"
                try:
                    layout = self._layout(instance, None)
                    answer = self._shelf.asking.ask("spanner", operation, copy)
                    with parsing(operation):
                        self._put(_backup(answer, copy.split("/")[1]), NodeKind.BACKUP, layout)
                except ProbeError as error:
                    self._shelf.asking.opens(target, error, "backups")

    def _put(self, told: _Held, kind: NodeKind, layout: _Layout, note: str | None = None) -> str:
        shelf, id, project = self._shelf, self._shelf.id(told.path), told.path.split("/")[1]
        under = [shelf.keys.under(key, id) for key in told.keys]
        encryption: Encryption | Unseen = GOOGLE if not under else under[0]
        if len(under) > 1:
            encryption = unknown(f"under {len(under)} keys, one in each of its regions: {', '.join(told.keys)}")
        shelf.keys.put(id, kind, project, layout.data, encryption, created=told.created, note=note)
        for each in under if len(under) > 1 else ():
            shelf.keys.tie(id, each, "one of several keys")
        for location in layout.witnesses if kind is NodeKind.DATABASE else ():
            witness = f"{id}#witness-{location}"
            shelf.asking.graph.put(witness, NodeKind.WITNESS, project, everywhere((location,)), Unneeded())
            shelf.asking.graph.edge(id, witness, EdgeKind.WITNESSES, Basis.CONFIGURED, "witness replica")
        return id

    def _layout(self, instance: str, config: str | None) -> _Layout:
        """Where an instance's data is. Not being told is an open end at the instance."""
        asking = self._shelf.asking
        try:
            if config is None:
                operation = "spanner.instances.get"
                answer = asking.ask("spanner", operation, instance)
                with parsing(operation):
                    if text(answer, "name") != instance:
                        raise MalformedError("the answer is about another instance")
                    config = text(answer, "config")
            return self._known(config)
        except ProbeError as error:
            asking.opens(self._shelf.id(instance), error, "stores")
            return _Layout(seen_not(error), ())

    def _known(self, config: str) -> _Layout:
        found = self._layouts.get(config)
        if found is None:
            operation = "spanner.instanceConfigs.get"
            if path_of(config) != config or len(config.split("/")) != 4:
                raise ProbeError(Reason.MALFORMED, f"{operation}: config is no name of a configuration")
            answer = self._shelf.asking.ask("spanner", operation, config)
            with parsing(operation):
                if text(answer, "name") != config:
                    raise MalformedError("the answer is about another configuration")
                replicas = [(text(each, "location"), text(each, "type")) for each in children(answer, "replicas")]
            data = {location for location, kind in replicas if kind != "WITNESS"}
            watching = {location for location, kind in replicas if kind == "WITNESS"} - data
            found = _Layout(everywhere(tuple(sorted(data))), tuple(sorted(watching)))
            self._layouts[config] = found
        return found


def _database(item: Answer, project: str) -> _Held:
    path, _ = named(item, project, "instances", "databases")
    encryption = child_or_none(item, "encryptionConfig") or {}
    single = text_or_none(encryption, "kmsKeyName")
    keys = {*texts(encryption, "kmsKeyNames"), *([single] if single else ())}
    return _Held(path, tuple(sorted(keys | _informed(children(item, "encryptionInfo")))), when(item, "createTime"))


def _backup(item: Answer, project: str) -> _Held:
    path, _ = named(item, project, "instances", "backups")
    one = child_or_none(item, "encryptionInfo")
    keys = _informed((*children(item, "encryptionInformation"), *([one] if one else ())))
    copies = [path_of(each) for each in texts(item, "referencingBackups")]
    if any(each is None or len(each.split("/")) != 6 for each in copies):
        raise MalformedError("referencingBackups holds what is no backup")
    database = text_or_none(item, "database")
    return _Held(
        path,
        tuple(sorted(keys)),
        when(item, "createTime"),
        path_of(database) if database else None,
        tuple(sorted(each for each in copies if each is not None)),
    )


def _informed(found: tuple[Answer, ...]) -> set[str]:
    """Keys of the versions that are in use."""
    keys: set[str] = set()
    for each in found:
        version = text_or_none(each, "kmsKeyVersion")
        if text_or_none(each, "encryptionType") == _MANAGED and not version:
            raise MalformedError("under a customer's key that is not told")
        if version:
            keys.add(version.partition("/cryptoKeyVersions/")[0])
    return keys

"""Filestore: instances, their replicas in other regions, and backups, which may be in any region.

Source: https://cloud.google.com/filestore/docs/reference/rest/v1/projects.locations.instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, children, parsing, text, text_or_none
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import located, path_of
from probes.residency.gcp.reading import when
from probes.residency.gcp.shelf import Shelf, named
from probes.residency.graph import PENDING, seen_not
from probes.residency.store_facts import Basis, EdgeKind, NodeKind

_SHOWN: Final = 5
_STANDBY: Final = "STANDBY"


@dataclass(frozen=True, slots=True)
class _Instance:
    path: str
    location: str
    key: str | None
    created: datetime | None
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Backup:
    path: str
    location: str
    key: str | None
    created: datetime | None
    source: str | None


class Files:
    """The file systems of one walk."""

    def __init__(self, asking: Asking, keys: Keys) -> None:
        self._shelf = Shelf(asking, keys, "file")
        self._met: set[str] = set()

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every instance and backup of a project. Their ids."""
        found = self._shelf.listed(
            "file.instances.list",
            f"projects/{project}/locations/-/instances",
            "instances",
            lambda item: _instance(item, project),
            "everything",
        )
        for each in found:
            self._put(each)
        return (*(self._shelf.id(each.path) for each in found), *self._backups(project, None))

    def look(self, path: str) -> tuple[str, ...]:
        """One instance, with its replicas and backups. Its id."""
        self._one(path)
        self._backups(path.split("/")[1], path)
        return (self._shelf.id(path),)

    def _one(self, path: str) -> None:
        if path in self._met:
            return
        self._met.add(path)
        operation, graph, id = "file.instances.get", self._shelf.asking.graph, self._shelf.id(path)
        try:
            answer = self._shelf.asking.ask("file", operation, path)
            with parsing(operation):
                told = _instance(answer, path.split("/")[1])
                if told.path != path:
                    raise MalformedError("the answer is about another instance")
        except ProbeError as error:
            graph.put(id, NodeKind.FILE_SYSTEM, path.split("/")[1], seen_not(error), seen_not(error))
            self._shelf.asking.opens(id, error, "everything")
            return
        self._put(told)

    def _put(self, told: _Instance) -> None:
        self._met.add(told.path)
        shelf, id, project = self._shelf, self._shelf.id(told.path), told.path.split("/")[1]
        encryption = shelf.keys.under(told.key, id)
        shelf.keys.put(id, NodeKind.FILE_SYSTEM, project, located(told.location), encryption, created=told.created)
        for peer in told.peers:
            target = shelf.id(peer)
            shelf.asking.graph.put(target, NodeKind.FILE_SYSTEM, peer.split("/")[1], PENDING, PENDING)
            shelf.asking.graph.edge(id, target, EdgeKind.REPLICATES, Basis.CONFIGURED, "instance replication")
            if not shelf.asking.over():
                self._one(peer)

    def _backups(self, project: str, source: str | None) -> tuple[str, ...]:
        shelf, ids = self._shelf, []
        found = shelf.listed(
            "file.backups.list",
            f"projects/{project}/locations/-/backups",
            "backups",
            lambda item: _backup(item, project),
            "backups",
        )
        ours = [each for each in found if source is None or each.source == source]
        for alike in few(ours, lambda each: (each.location, each.key, each.source), _SHOWN):
            told, id = alike.one, shelf.id(alike.one.path)
            encryption = shelf.keys.under(told.key, id)
            shelf.keys.put(
                id, NodeKind.BACKUP, project, located(told.location), encryption, created=told.created, note=alike.note
            )
            ids.append(id)
            if told.source is not None and shelf.asking.graph.node(shelf.id(told.source)) is not None:
                shelf.asking.graph.edge(
                    shelf.id(told.source), id, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup", told.created
                )
        return tuple(ids)


def _instance(item: Answer, project: str) -> _Instance:
    path, (location, _) = named(item, project, "locations", "instances")
    replication = child_or_none(item, "replication") or {}
    peers: list[str] = []
    if text_or_none(replication, "role") != _STANDBY:
        for each in children(replication, "replicas"):
            peer = path_of(text(each, "peerInstance"))
            if peer is None or len(peer.split("/")) != 6:
                raise MalformedError("peerInstance is no instance")
            peers.append(peer)
    key = text_or_none(item, "kmsKeyName") or None
    return _Instance(path, location, key, when(item, "createTime"), tuple(sorted(peers)))


def _backup(item: Answer, project: str) -> _Backup:
    path, (location, _) = named(item, project, "locations", "backups")
    source = text_or_none(item, "sourceInstance")
    key = text_or_none(item, "kmsKey") or None
    return _Backup(path, location, key, when(item, "createTime"), path_of(source) if source else None)

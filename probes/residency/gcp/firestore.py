"""Firestore: databases and their backups, which lie where the database does.

Source: https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, parsing, text, text_or_none
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import located, path_of
from probes.residency.gcp.reading import when
from probes.residency.gcp.shelf import Shelf, named
from probes.residency.graph import seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, NodeKind

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Database:
    path: str
    location: str
    key: str | None
    created: datetime | None


@dataclass(frozen=True, slots=True)
class _Backup:
    path: str
    location: str
    database: str | None
    at: datetime | None


class Documents:
    """The databases of one walk."""

    def __init__(self, asking: Asking, keys: Keys) -> None:
        self._shelf = Shelf(asking, keys, "firestore")

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every database and backup of a project. Their ids."""
        found = self._shelf.listed(
            "datastore.databases.list",
            f"projects/{project}/databases",
            "databases",
            lambda item: _database(item, project),
            "everything",
            paged=False,
        )
        for each in found:
            self._put(each)
        return (*(self._shelf.id(each.path) for each in found), *self._backups(project, None))

    def look(self, path: str) -> tuple[str, ...]:
        """One database, with its backups. Its id."""
        operation, id, project = "datastore.databases.get", self._shelf.id(path), path.split("/")[1]
        try:
            answer = self._shelf.asking.ask("firestore", operation, path)
            with parsing(operation):
                told = _database(answer, project)
                if told.path != path:
                    raise MalformedError("the answer is about another database")
        except ProbeError as error:
            self._shelf.asking.graph.put(id, NodeKind.DATABASE, project, seen_not(error), seen_not(error))
            self._shelf.asking.opens(id, error, "everything")
            return (id,)
        self._put(told)
        self._backups(project, path)
        return (id,)

    def _put(self, told: _Database) -> None:
        id, project = self._shelf.id(told.path), told.path.split("/")[1]
        encryption = self._shelf.keys.under(told.key, id)
        place = located(told.location)
        self._shelf.keys.put(id, NodeKind.DATABASE, project, place, encryption, created=told.created)

    def _backups(self, project: str, source: str | None) -> tuple[str, ...]:
        shelf, ids = self._shelf, []
        found = shelf.listed(
            "datastore.backups.list",
            f"projects/{project}/locations/-/backups",
            "backups",
            lambda item: _backup(item, project),
            "backups",
            paged=False,
        )
        ours = [each for each in found if source is None or each.database == source]
        for alike in few(ours, lambda each: (each.location, each.database), _SHOWN):
            told, id = alike.one, shelf.id(alike.one.path)
            held = None if told.database is None else shelf.asking.graph.node(shelf.id(told.database))
            # Backups use the encryption mechanism of their database (Firestore, "Customer-managed encryption keys").
            encryption = held.encryption if held is not None else unknown("as its database was, which is gone")
            shelf.keys.put(
                id, NodeKind.BACKUP, project, located(told.location), encryption, created=told.at, note=alike.note
            )
            ids.append(id)
            if held is not None:
                shelf.asking.graph.edge(held.id, id, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup", told.at)
        return tuple(ids)


def _database(item: Answer, project: str) -> _Database:
    path, _ = named(item, project, "databases")
    key = text_or_none(child_or_none(item, "cmekConfig") or {}, "kmsKeyName") or None
    return _Database(path, text(item, "locationId"), key, when(item, "createTime"))


def _backup(item: Answer, project: str) -> _Backup:
    path, (location, _) = named(item, project, "locations", "backups")
    database = text_or_none(item, "database")
    return _Backup(path, location, path_of(database) if database else None, when(item, "snapshotTime"))

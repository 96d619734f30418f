"""Backup and DR: vaults, what lies in them, and the plans that fill them.

Sources: https://cloud.google.com/backup-disaster-recovery/docs/reference/rest/v1/projects.locations.backupVaults,
https://cloud.google.com/backup-disaster-recovery/docs/concepts/backup-vault (backups in a vault are encrypted under
Google's own keys where no other is named).
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
from probes.residency.gcp.reading import number, when
from probes.residency.gcp.shelf import Shelf, named
from probes.residency.graph import PENDING, seen_not
from probes.residency.store_facts import Basis, EdgeKind, NodeKind, Unneeded

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Vault:
    path: str
    location: str
    key: str | None
    count: int | None
    created: datetime | None


@dataclass(frozen=True, slots=True)
class _Source:
    """What a vault holds backups of."""

    vault: str
    resource: str | None
    count: int


class Vaults:
    """The vaults of one walk."""

    def __init__(self, asking: Asking, keys: Keys) -> None:
        self._shelf = Shelf(asking, keys, "backupdr")
        self._met: set[str] = set()

    def holding(self, at: str, paths: tuple[str, ...]) -> None:
        """The vaults of the same project that hold backups of any of several resources (a disk, the machines that it
        is attached to), for the node `at`. Vaults of other projects are not seen."""
        project = paths[0].split("/")[1]
        found = self._shelf.listed(
            "backupdr.dataSources.list",
            f"projects/{project}/locations/-/backupVaults/-/dataSources",
            "dataSources",
            lambda item: _source(item, project),
            "backups",
        )
        graph = self._shelf.asking.graph
        for each in found:
            if each.resource is None or not any(_same(each.resource, path) for path in paths):
                continue
            target = self._shelf.id(each.vault)
            if each.vault not in self._met:
                graph.put(target, NodeKind.VAULT, each.vault.split("/")[1], PENDING, PENDING)
                self._one(each.vault)
            basis = Basis.HAPPENED if each.count else Basis.CONFIGURED
            graph.edge(at, target, EdgeKind.BACKS_UP, basis, f"data source with {each.count} backups")

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every vault of a project, and every plan's. Their ids."""
        found = self._shelf.listed(
            "backupdr.backupVaults.list",
            f"projects/{project}/locations/-/backupVaults",
            "backupVaults",
            lambda item: _vault(item, project),
            "everything",
        )
        ids = [self._put(each) for each in found]
        plans = self._shelf.listed(
            "backupdr.backupPlans.list",
            f"projects/{project}/locations/-/backupPlans",
            "backupPlans",
            lambda item: _plan(item, project),
            "backups",
        )
        for alike in few(plans, lambda each: (each[1], each[2]), _SHOWN):
            path, location, vault = alike.one
            ids.append(self._planned(path, location, vault, alike.note))
        return tuple(ids)

    def look(self, path: str) -> tuple[str, ...]:
        """One vault. Its id."""
        self._one(path)
        return (self._shelf.id(path),)

    def _planned(self, path: str, location: str, vault: str, note: str | None) -> str:
        """A plan holds nothing; the vault that it fills may be in another region."""
        graph, id, project = self._shelf.asking.graph, self._shelf.id(path), path.split("/")[1]
        graph.put(id, NodeKind.VAULT, project, located(location), Unneeded(), note=note or "a plan of backups")
        target = self._shelf.id(vault)
        if vault not in self._met:
            graph.put(target, NodeKind.VAULT, vault.split("/")[1], PENDING, PENDING)
            self._one(vault)
        graph.edge(id, target, EdgeKind.BACKS_UP, Basis.CONFIGURED, "backup plan")
        return id

    def _one(self, path: str) -> None:
        self._met.add(path)
        operation, id, project = "backupdr.backupVaults.get", self._shelf.id(path), path.split("/")[1]
        try:
            answer = self._shelf.asking.ask("backupdr", operation, path)
            with parsing(operation):
                told = _vault(answer, project)
                if told.path != path:
                    raise MalformedError("the answer is about another vault")
        except ProbeError as error:
            self._shelf.asking.graph.put(id, NodeKind.VAULT, project, seen_not(error), seen_not(error))
            self._shelf.asking.opens(id, error, "backups", "encryption")
            return
        self._put(told)

    def _put(self, told: _Vault) -> str:
        """A vault with what lies in it."""
        self._met.add(told.path)
        id, project = self._shelf.id(told.path), told.path.split("/")[1]
        encryption = self._shelf.keys.under(told.key, id)
        note = "how many backups it holds is not told" if told.count is None else f"holds {told.count} backups"
        self._shelf.keys.put(
            id, NodeKind.VAULT, project, located(told.location), encryption, created=told.created, note=note
        )
        return id


def _vault(item: Answer, project: str) -> _Vault:
    path, (location, _) = named(item, project, "locations", "backupVaults")
    key = text_or_none(child_or_none(item, "encryptionConfig") or {}, "kmsKeyName") or None
    return _Vault(path, location, key, number(item, "backupCount"), when(item, "createTime"))


def _source(item: Answer, project: str) -> _Source:
    path, _ = named(item, project, "locations", "backupVaults", "dataSources")
    told = text_or_none(child_or_none(item, "dataSourceGcpResource") or {}, "gcpResourcename")
    return _Source("/".join(path.split("/")[:6]), path_of(told) if told else None, number(item, "backupCount") or 0)


def _same(told: str, path: str) -> bool:
    """Whether two paths are of the same resource: a project may be written by its number."""
    a, b = told.split("/"), path.split("/")
    return a[2:] == b[2:] and (a[1] == b[1] or a[1].isdecimal())


def _plan(item: Answer, project: str) -> tuple[str, str, str]:
    path, (location, _) = named(item, project, "locations", "backupPlans")
    vault = path_of(text(item, "backupVault"))
    if vault is None or vault.split("/")[2::2] != ["locations", "backupVaults"]:
        raise MalformedError("backupVault is no vault")
    return path, location, vault

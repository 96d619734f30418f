"""Compute Engine: disks, what they are replicated to, and where their snapshots and images are and will be.

With whom images and snapshots are shared is not looked at: whoever may use one can copy it by their own means.
Sources: https://cloud.google.com/compute/docs/reference/rest/v1/disks,
https://cloud.google.com/compute/docs/disks/snapshots#selecting_a_storage_location.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import MalformedError, child_or_none, parsing, text, texts
from probes.residency.alike import few
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.compute_answers import Thing, disk, kept
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import everywhere, path_of
from probes.residency.graph import PENDING, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, Unneeded

_SHOWN: Final = 5
_LISTS: Final[Mapping[str, tuple[str, str, NodeKind]]] = MappingProxyType(
    {
        "snapshots": ("global/snapshots", "items", NodeKind.SNAPSHOT),
        "images": ("global/images", "items", NodeKind.IMAGE),
        "machineImages": ("global/machineImages", "items", NodeKind.IMAGE),
        "instantSnapshots": ("aggregated/instantSnapshots", "instantSnapshots", NodeKind.SNAPSHOT),
    }
)
"""What is made from disks: where it is listed, under which name, and what it is."""
_DEFAULT: Final = (
    "the schedule names no location for its snapshots: Google keeps them where the project's settings say, by default "
    "in the multi-region that is nearest; name one"
)


@dataclass(slots=True)
class Disks:
    """The disks of one walk, with what is made from them."""

    asking: Asking
    keys: Keys
    _met: set[str] = field(default_factory=set)
    _waiting: list[str] = field(default_factory=list)
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths of the machines that disks are attached to, by the paths of these."""
    _policies: dict[str, tuple[str, ...] | ProbeError | None] = field(default_factory=dict)

    def id(self, path: str) -> str:
        """The full resource name of `projects/P/zones/Z/disks/D`."""
        return f"//compute.{self.asking.universe}/{path}"

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every disk, snapshot and image of a project. Ids of those that are shown."""
        found = self.asking.listed(
            "compute",
            "compute.disks.list",
            f"projects/{project}/aggregated/disks",
            "disks",
            lambda item: disk(item, project),
            {"returnPartialSuccess": "true"},
            at=f"compute.disks.list in {project}",
            matters=("everything",),
            size="maxResults",
            scoped=True,
        )
        roots = []
        for alike in few(found, lambda each: each.kind, _SHOWN):
            self._seen(alike.one, alike.note)
            roots.append(self.id(alike.one.path))
        # Those that are alike in all else may still be replicated or backed up elsewhere: `kind` tells them apart.
        self._follow()
        for kind in _LISTS:
            roots += self._kept(project, kind, self._listed(project, kind))
        return tuple(roots)

    def look(self, path: str) -> tuple[str, ...]:
        """One disk with what is made from it, or one snapshot or image. Its id."""
        _, project, *_, kind, _ = path.split("/")
        if kind == "disks":
            self._waiting.append(path)
            self._follow()
            self._made_from(project, path)
        else:
            self._one(project, path, kind)
        return (self.id(path),)

    def _made_from(self, project: str, path: str) -> None:
        """Snapshots and images of a disk, and what was made from those in turn."""
        listed = {kind: self._listed(project, kind) for kind in _LISTS}
        ours = set(self._met)
        while more := {
            one.path for found in listed.values() for one in found if one.path not in ours and ours & {*one.sources}
        }:
            ours |= more
        for kind, found in listed.items():
            for id in self._kept(project, kind, [one for one in found if one.path in ours]):
                if all(edge.target != id for edge in self.asking.graph.edges):
                    # What it was made from is one of those that are alike and not shown.
                    self.asking.graph.edge(self.id(path), id, EdgeKind.BACKS_UP, Basis.HAPPENED, f"{kind}, in steps")

    def _one(self, project: str, path: str, kind: str) -> None:
        id = self.id(path)
        operation = f"compute.{kind}.get"
        try:
            if kind not in _LISTS:
                raise ProbeError(Reason.NOT_COVERED, f"{kind} of Compute Engine are not covered")
            answer = self.asking.ask("compute", operation, path)
            with parsing(operation):
                told = kept(answer, project)
                if told.path != path:
                    raise MalformedError("the answer is about something else than was asked about")
        except ProbeError as error:
            self.asking.graph.put(id, NodeKind.SNAPSHOT, project, seen_not(error), seen_not(error))
            self.asking.opens(id, error, "everything")
            return
        self._kept(project, kind, [told])

    def _follow(self) -> None:
        while self._waiting and not self.asking.over():
            path = self._waiting.pop()
            if path in self._met:
                continue
            operation, owner = "compute.disks.get", path.split("/")[1]
            try:
                answer = self.asking.ask("compute", operation, path)
                with parsing(operation):
                    told = disk(answer, owner)
                    if told.path != path:
                        raise MalformedError("the answer is about another disk")
            except ProbeError as error:
                self._met.add(path)
                self.asking.graph.put(self.id(path), NodeKind.DISK, owner, seen_not(error), seen_not(error))
                self.asking.opens(self.id(path), error, "everything")
                continue
            self._seen(told, None)

    def _seen(self, told: Thing, note: str | None) -> None:
        self._met.add(told.path)
        self.users[told.path] = told.users
        id, graph = self.id(told.path), self.asking.graph
        self.keys.put(id, NodeKind.DISK, told.project, told.place, told.under(self.keys, id), created=told.created,
                      note=note)  # fmt: skip
        for copy in told.copies:
            target, owner = self.id(copy), copy.split("/")[1]
            graph.put(target, NodeKind.DISK, owner, PENDING, PENDING)
            graph.edge(id, target, EdgeKind.REPLICATES, Basis.CONFIGURED, "asynchronous replication")
            self._waiting.append(copy)
        for policy in told.policies:
            self._scheduled(id, policy, told.project)

    def _scheduled(self, disk_id: str, policy: str, project: str) -> None:
        """Where a schedule has snapshots kept."""
        graph, id = self.asking.graph, self.id(policy)
        if policy not in self._policies:
            self._policies[policy] = self._policy(policy)
        locations = self._policies[policy]
        if locations is None:
            return  # a policy of another kind
        if isinstance(locations, ProbeError):
            self.asking.opens(id, locations, "backups")
            return
        place = everywhere(locations) if locations else unknown(_DEFAULT)
        graph.put(id, NodeKind.BACKUP, project, place, Unneeded(), note="a schedule of snapshots")
        graph.edge(disk_id, id, EdgeKind.BACKS_UP, Basis.CONFIGURED, "snapshot schedule")

    def _policy(self, path: str) -> tuple[str, ...] | ProbeError | None:
        operation = "compute.resourcePolicies.get"
        try:
            answer = self.asking.ask("compute", operation, path)
            with parsing(operation):
                if path_of(text(answer, "selfLink")) != path:
                    raise MalformedError("the answer is about another policy")
                schedule = child_or_none(answer, "snapshotSchedulePolicy")
                if schedule is None:
                    return None
                return texts(child_or_none(schedule, "snapshotProperties") or {}, "storageLocations")
        except ProbeError as error:
            return error

    def _listed(self, project: str, kind: str) -> tuple[Thing, ...]:
        path, member, _ = _LISTS[kind]
        scoped = path.startswith("aggregated/")
        return self.asking.listed(
            "compute",
            f"compute.{kind}.list",
            f"projects/{project}/{path}",
            member,
            lambda item: kept(item, project),
            {"returnPartialSuccess": "true"},
            at=f"compute.{kind}.list in {project}",
            matters=("backups",),
            size="maxResults",
            scoped=scoped,
        )

    def _kept(self, project: str, kind: str, found: tuple[Thing, ...] | list[Thing]) -> tuple[str, ...]:
        graph, node_kind = self.asking.graph, _LISTS[kind][2]
        ids = []
        for alike in few(found, lambda each: each.kind, _SHOWN):
            told, id = alike.one, self.id(alike.one.path)
            encryption: Encryption | Unneeded | Unseen = told.under(self.keys, id)
            if kind == "instantSnapshots":
                held = next((graph.node(self.id(each)) for each in told.sources), None)
                encryption = held.encryption if held is not None else unknown("as its disk is, which was not looked at")
            if isinstance(told.place, Unseen):
                self.asking.opens(id, told.place, "backups")
            self.keys.put(id, node_kind, project, told.place, encryption, created=told.created, note=alike.note)
            ids.append(id)
            for source in told.sources:
                if graph.node(self.id(source)) is not None:
                    graph.edge(self.id(source), id, EdgeKind.BACKS_UP, Basis.HAPPENED, kind, told.created)
        return tuple(ids)

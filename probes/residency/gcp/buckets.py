"""Cloud Storage: where a bucket is with all its members, how it is encrypted, and every bucket that it is copied to.

Sources: https://cloud.google.com/storage/docs/locations, https://cloud.google.com/storage/docs/json_api/v1/buckets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, flag, parsing, text, text_or_none, texts
from probes.places.buckets import gcs_placement
from probes.places.tables import TABLES
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import is_bucket, is_project
from probes.residency.gcp.objects import sampled
from probes.residency.gcp.reading import number, when
from probes.residency.gcp.transfers import Transfers
from probes.residency.graph import PENDING, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, NodeKind, NodePlace

_GET: Final = "storage.buckets.get"
_LIST: Final = "storage.buckets.list"
_RETENTION: Final = "softDeletePolicy(retentionDurationSeconds),retentionPolicy(retentionPeriod,isLocked)"
_FIELDS: Final = (
    "name,projectNumber,location,locationType,customPlacementConfig,encryption(defaultKmsKeyName),"
    f"logging,versioning,timeCreated,storageClass,{_RETENTION}"
)
_DAY: Final = 86_400


@dataclass(slots=True)
class Buckets:
    """The buckets of one walk, each looked at once."""

    asking: Asking
    keys: Keys
    transfers: Transfers
    _met: set[str] = field(default_factory=set)
    waiting: list[tuple[str, Answer | None, str | None]] = field(default_factory=list)
    """Names, what a listing already told, and the project's id where it is known."""

    def id(self, name: str) -> str:
        """The full resource name of a bucket, which names no project."""
        return f"//storage.{self.asking.universe}/projects/_/buckets/{name}"

    def look_all(self, project: str) -> tuple[str, ...]:
        """Every bucket of a project. Their ids."""
        found = self.asking.listed(
            "storage",
            _LIST,
            "b",
            "items",
            lambda item: (_name(item), item),
            {"project": project, "projection": "noAcl", "fields": f"nextPageToken,items({_FIELDS})"},
            at=f"{_LIST} in {project}",
            matters=("everything",),
            size="maxResults",
            page=200,
        )
        for name, told in found:
            self.asking.graph.put(self.id(name), NodeKind.BUCKET, None, PENDING, PENDING)
            self.waiting.append((name, told, project))
        self.follow()
        return (*(self.id(name) for name, _ in found), *self._deleted(project))

    def _deleted(self, project: str) -> tuple[str, ...]:
        """Buckets that were deleted and are still kept, with all that is in them, which nobody can list. Their ids."""
        kept = self.asking.listed(
            "storage",
            _LIST,
            "b",
            "items",
            lambda item: (_name(item), item),
            {
                "project": project,
                "softDeleted": "true",
                "projection": "noAcl",
                "fields": f"nextPageToken,items({_FIELDS},generation,softDeleteTime)",
            },
            at=f"{_LIST} of deleted buckets in {project}",
            matters=("stores", "encryption"),
            size="maxResults",
            page=200,
        )
        ids = []
        for name, told in kept:
            with self.asking.graph.opening(self.id(name), "stores", "encryption"), parsing(_LIST):
                if when(told, "softDeleteTime") is None:
                    continue
                id = f"{self.id(name)}#deleted-{number(told, 'generation') or 0}"
                default = text_or_none(child_or_none(told, "encryption") or {}, "defaultKmsKeyName")
                encryption = self.keys.under(default, id)
                self.keys.put(
                    id, NodeKind.BUCKET, project, _place(told), encryption, note="deleted, and kept for a while"
                )
                ids.append(id)
        return tuple(ids)

    def look(self, name: str) -> None:
        """One bucket, and those that it leads to, until there are no more."""
        self.waiting.append((name, None, None))
        self.follow()

    def to(self, source: str, name: str, kind: EdgeKind, basis: Basis, detail: str) -> None:
        """An edge to a bucket, which is looked at in its turn; until then it is there without a place."""
        graph, target = self.asking.graph, self.id(name)
        if name not in self._met:
            graph.put(target, NodeKind.BUCKET, None, PENDING, PENDING)
        if graph.node(source) is not None and graph.node(target) is not None:
            graph.edge(source, target, kind, basis, detail)
        self.waiting.append((name, None, None))

    def follow(self) -> None:
        """Look at what was met on the way, and at what that leads to."""
        while self.waiting and not self.asking.over():
            name, told, project = self.waiting.pop()
            if name not in self._met:
                self._met.add(name)
                self._look(name, told, project)
        for name, _, _ in self.waiting:
            if name not in self._met:
                self.asking.graph.put(self.id(name), NodeKind.BUCKET, None, PENDING, PENDING)

    def _look(self, name: str, told: Answer | None, project: str | None) -> None:
        graph, id = self.asking.graph, self.id(name)
        try:
            answer = told or self.asking.ask("storage", _GET, f"b/{name}", {"projection": "noAcl", "fields": _FIELDS})
            with parsing(_GET):
                if _name(answer) != name:
                    raise MalformedError("the answer is about another bucket")
                place = _place(answer)
                owner = number(answer, "projectNumber")
                default = text_or_none(child_or_none(answer, "encryption") or {}, "defaultKmsKeyName")
                deleted = number(child_or_none(answer, "softDeletePolicy") or {}, "retentionDurationSeconds") or 0
                log = text_or_none(child_or_none(answer, "logging") or {}, "logBucket")
                created = when(answer, "timeCreated")
                note = _note(answer, deleted)
        except ProbeError as error:
            # Wherever it is: it was named as somewhere that data lies.
            graph.put(id, NodeKind.BUCKET, project, seen_not(error), seen_not(error))
            self.asking.opens(id, error, "everything")
            return
        account = project or (None if owner is None else str(owner))
        encryption = self.keys.under(default, id)
        objects = sampled(self.asking, self.keys, name, id, deleted=deleted > 0)
        graph.put(id, NodeKind.BUCKET, account, place, encryption, objects=objects, created=created, note=note)
        self.keys.tie(id, encryption, "default")
        for under in objects.encrypted_under:
            self.keys.tie(id, under.encryption, "objects")
        if log and is_bucket(log):
            self.to(id, log, EdgeKind.LOGS, Basis.CONFIGURED, "usage and storage logs")
        elif log:
            self.asking.opens(id, unknown("logs go to what is no bucket", Reason.MALFORMED), "copies")
        self._transferred(id, name, account)

    def _transferred(self, id: str, name: str, account: str | None) -> None:
        if account is None or not is_project(account):
            self.asking.opens(id, unknown("whose project the bucket is in is not told, so its transfers are not known"),
                              "copies")  # fmt: skip
            return
        for copy in self.transfers.of(account, name, id):
            self.to(id, copy.sink, EdgeKind.REPLICATES, copy.basis, copy.detail)


def _name(answer: Answer) -> str:
    name = text(answer, "name")
    if not is_bucket(name):
        raise MalformedError("name is no name of a bucket")
    return name


def _place(answer: Answer) -> NodePlace | Unseen:
    """All regions that hold the data; the wider area's name where Google tells no regions. The location of a
    configurable dual-region is only a continent: without its two members it is not known."""
    location, kind = text(answer, "location"), text(answer, "locationType")
    members = texts(child_or_none(answer, "customPlacementConfig") or {}, "dataLocations")
    regions = gcs_placement(location, members).regions
    match kind:
        case "region":
            fits = not members and len(regions) == 1
        case "dual-region":
            fits = len(regions) == 2
        case "multi-region":
            fits = not members and len(regions) < 2
        case _:
            fits = False
    # A location that the tables do not know must not be taken for a region because of its form.
    if not fits or (kind == "multi-region" and TABLES.region("gcp", location.lower()) is not None):
        told = f"location {location[:40]}, locationType {kind[:40]}, {len(members)} data locations"
        return unknown(f"where the bucket is contradicts itself: {told}", Reason.CONFLICTING)
    return NodePlace(regions=tuple(sorted(map(vendor_text, regions))) or (vendor_text(location.lower()),), type=kind)


def _note(answer: Answer, deleted: int) -> str | None:
    said = []
    if flag(child_or_none(answer, "versioning") or {}, "enabled", default=False):
        said.append("older versions are kept")
    if deleted:
        said.append(f"deleted objects are kept for {deleted // _DAY} days")
    if (held := number(child_or_none(answer, "retentionPolicy") or {}, "retentionPeriod")) is not None:
        said.append(f"objects cannot be deleted for {held // _DAY} days")
    return "; ".join(said) or None

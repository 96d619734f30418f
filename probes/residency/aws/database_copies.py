"""Copies of databases: automated backups, snapshots and who may restore them, exports to S3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child,
    children,
    instant_or_none,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.residency.alike import few
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.buckets import Buckets
from probes.residency.aws.database_answers import (
    CLUSTER,
    INSTANCE,
    SSE_RDS,
    Kind,
    Protection,
    Snapshot,
    outside,
    protection,
    rds_arn,
    snapshot,
)
from probes.residency.aws.graph import GONE, PENDING, in_region, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, arn, is_bucket
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, NodePlace, Unneeded

T = TypeVar("T")

_PAGE: Final = 40
"""An entry with all its tags takes 15 KB, and no answer is read beyond 1 MiB."""
_SHOWN: Final = 10
_SHARED: Final = 50
"""Snapshots of one listing whose sharing is asked about."""
_EXPORTED: Final = ("COMPLETE", "IN_PROGRESS", "STARTING")


@dataclass(frozen=True, slots=True)
class _Automated:
    id: str
    of: Arn
    outside: str | None
    protection: Protection
    created: datetime | None


@dataclass(slots=True)
class DatabaseCopies:
    """The copies of databases in one walk."""

    asking: Asking
    keys: Keys
    buckets: Buckets
    _sought: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    """ARNs of snapshots that were listed, those too of which others that are alike are shown."""

    def automated(
        self, kind: Kind, region: str, door: Door, name: str | None, *, of: Arn | None = None, backup: str | None = None
    ) -> tuple[str, ...]:
        """Automated backups in a Region: of one database, of all (no name), or one by its ARN. Their ids."""

        def automated(item: Answer) -> _Automated:
            whose = rds_arn(text(item, kind.arn), None)
            return _Automated(
                text_or_none(item, kind.automated_arn) or f"{whose}/automated-backups/{region}",
                whose,
                outside(item),
                protection(item, kind.encrypted),
                instant_or_none(item, kind.created),
            )

        which = (kind.id, name) if backup is None else (kind.automated_arn, backup)
        found = self.listing(kind.automated, region, kind.automated_listed, automated, door, which, kind.absent)
        graph = self.asking.graph
        for each in found:
            if of is not None and each.of != of:
                # Of a database in this Region that has the same name.
                continue
            encryption = self.encryption(each.protection, region, each.of.owner)
            place = kept_in(region, each.outside)
            note = f"of {each.of}"
            graph.put(each.id, NodeKind.BACKUP, each.of.owner, place, encryption, created=each.created, note=note)
            self.keys.tie(each.id, encryption)
            if graph.node(str(each.of)) is not None:
                graph.edge(str(each.of), each.id, EdgeKind.BACKS_UP, Basis.HAPPENED, "automated backups")
        return tuple(each.id for each in found)

    def snapshots(
        self, kind: Kind, region: str, door: Door, name: str | None, only: str | None = None, *, away: bool = False
    ) -> tuple[str, ...]:
        """Snapshots in a Region: of one database, of all (no name), or `only` one. Ids of those that are shown.

        `away`: the database is in another Region, and only what was copied from elsewhere is of it.
        """
        which = (kind.id, name) if only is None else (kind.snapshot_id, only)
        found = self.listing(
            kind.snapshots,
            region,
            kind.snapshots_listed,
            lambda item: snapshot(item, kind),
            door,
            which,
            kind.absent,
        )
        if away:
            # Without a source they are of a database there that has the same name.
            found = tuple(each for each in found if each.source is not None and f":{region}:" not in each.source)
        self._known.update(each.arn for each in found)
        graph = self.asking.graph
        shown = few(found, lambda each: each.kind, _SHOWN)
        for alike in shown:
            each = alike.one
            encryption = self.encryption(each.protection, region, door.account)
            graph.put(
                each.arn,
                NodeKind.SNAPSHOT,
                door.account,
                kept_in(region, each.outside),
                encryption,
                created=each.created,
                note=f"of {each.of}" + (f", and {alike.more} alike" if alike.more else ""),
            )
            self.keys.tie(each.arn, encryption)
            self._made_from(kind, each, region, door)
        manual = [each for each in found if each.manual]
        for each in manual[:_SHARED]:
            with graph.opening(each.arn, "copies"):
                self._sharing(kind, each, region, door)
        if len(manual) > _SHARED:
            why = unknown(f"whether {len(manual) - _SHARED} more snapshots are shared was not asked")
            self.asking.opens(f"{kind.snapshots} in {region}", why, "copies")
        return tuple(alike.one.arn for alike in shown)

    def _made_from(self, kind: Kind, made: Snapshot, region: str, door: Door) -> None:
        graph = self.asking.graph
        partition = self.asking.partition
        database = f"arn:{partition}:rds:{region}:{door.account}:{kind.resource}:{made.of}"
        if graph.node(database) is not None:
            graph.edge(database, made.arn, EdgeKind.BACKS_UP, Basis.HAPPENED, "snapshot", made.created)
        if made.source is None:
            return
        try:
            source = arn(made.source)
        except ValueError:
            # A copy within the Region names its source without an ARN.
            return
        id = str(source)
        if graph.node(id) is None and id not in self._sought and (other := self.asking.of(source.owner)) is not None:
            self._sought.add(id)
            name = source.resource.partition(":")[2]
            which = {kind.snapshot_id: name}
            if self.asking.gone(kind.snapshots, source.region, kind.snapshots_listed, other, kind.absent, **which):
                graph.put(id, NodeKind.SNAPSHOT, source.owner, in_region(source.region), Unneeded(), note=GONE)
            else:
                self.snapshots(kind, source.region, other, None, name)
        graph.put(id, NodeKind.SNAPSHOT, source.owner, in_region(source.region), PENDING)
        graph.edge(id, made.arn, EdgeKind.COPIES, Basis.HAPPENED, "copied snapshot", made.created)
        database = f"arn:{source.partition}:rds:{source.region}:{source.account}:{kind.resource}:{made.of}"
        if graph.node(database) is not None:
            graph.edge(database, id, EdgeKind.BACKS_UP, Basis.HAPPENED, "snapshot")

    def _sharing(self, kind: Kind, shared: Snapshot, region: str, door: Door) -> None:
        """Another account that may restore a snapshot may copy it anywhere."""
        answer = self.asking.ask(kind.attributes, region, door, **{kind.snapshot_id: shared.name})
        with parsing(kind.attributes):
            told = child(answer, kind.result)
            who = {
                value
                for item in children(told, kind.listed_attributes, required=True)
                if text(item, "AttributeName") == "restore"
                for value in texts(item, "AttributeValues")
            }
        others = sorted(who - {each.account for each in (self.asking.door, *self.asking.others)})
        if others:
            why = unknown(f"shared with {', '.join(others)}, who may copy it anywhere")
            self.asking.opens(shared.arn, why, "copies")

    def exports(self, region: str, door: Door, name: str | None) -> None:
        """Exports to S3: of one database and its snapshots that were met, or of all (no name)."""

        def export(item: Answer) -> tuple[str, str, str, str, datetime | None]:
            bucket = text(item, "S3Bucket")
            if not is_bucket(bucket):
                raise MalformedError("an S3Bucket that is none")
            started = instant_or_none(item, "TaskStartTime")
            return text(item, "SourceArn"), bucket, text(item, "ExportTaskIdentifier"), text(item, "Status"), started

        graph = self.asking.graph
        for source, bucket, task, status, started in self.listing(
            "rds:DescribeExportTasks", region, "ExportTasks", export, door
        ):
            if status not in _EXPORTED or (name is not None and not self._own(source, region, door)):
                continue
            self.buckets.look(bucket)
            if graph.node(source) is None:
                alike = "was exported; like others that are shown" if source in self._known else f"was exported; {GONE}"
                graph.put(source, NodeKind.SNAPSHOT, door.account, in_region(region), Unneeded(), note=alike)
                for kind in (INSTANCE, CLUSTER):
                    database = f"arn:{self.asking.partition}:rds:{region}:{door.account}:{kind.resource}:{name}"
                    if graph.node(database) is not None:
                        graph.edge(database, source, EdgeKind.BACKS_UP, Basis.HAPPENED, "snapshot")
            graph.edge(source, self.buckets.id(bucket), EdgeKind.COPIES, Basis.HAPPENED, f"export {task}", started)

    def _own(self, source: str, region: str, door: Door) -> bool:
        """Whether an export is of a database that was met. An export names a snapshot, and that alone tells whose it
        is, where it still exists."""
        if source in self._known or self.asking.graph.node(source) is not None:
            return True
        kind = CLUSTER if ":cluster-snapshot:" in source else INSTANCE
        if ":snapshot:" in source or kind is CLUSTER:
            which = {kind.snapshot_id: source.rpartition("snapshot:")[2]}
            if self.asking.gone(kind.snapshots, region, kind.snapshots_listed, door, kind.absent, **which):
                why = unknown("an export of a snapshot that does not exist any more: whose it was is not known")
                self.asking.opens(source, why, "copies")
        return False

    def encryption(self, told: Protection, region: str, account: str | None) -> Encryption | Unseen:
        """How something of RDS is encrypted."""
        if told.type == SSE_RDS:
            return Encryption(method="provider-key", algorithm=SSE_RDS, key=None, key_manager="aws")
        if not told.flag:
            return Encryption(method="none", algorithm=None, key=None)
        if told.key is None:
            return unknown("RDS says that it is encrypted and not under which key")
        return self.keys.under(told.key, region, account, None)

    def listing(
        self,
        operation: str,
        region: str,
        member: str,
        item: Callable[[Answer], T],
        door: Door,
        which: tuple[str, str | None] = ("", None),
        absent: tuple[str, ...] = (),
    ) -> tuple[T, ...]:
        """Every entry of a listing of RDS; `which` narrows it, `absent` are errors that say that there is nothing."""
        name, value = which
        return self.asking.listed(
            operation,
            region,
            member,
            item,
            at=f"{operation} in {region} as {door.account}",
            matters=("everything",),
            door=door,
            token=("Marker", "Marker"),
            absent=absent,
            parameters={"MaxRecords": _PAGE, **({} if value is None else {name: value})},
        )


def kept_in(region: str, outside: str | None, zone: str | None = None) -> NodePlace | Unseen:
    """Where something of RDS is: in its Region, unless it is kept elsewhere."""
    if outside is not None:
        return unknown(f"kept on {outside}, which is wherever its owner put it")
    return in_region(region, zone)

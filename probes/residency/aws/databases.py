"""RDS and Aurora: instances and clusters, their replicas and global databases, in other Regions and accounts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from probes.clouds.aws.reading import Answer, children, flag, text
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.database_answers import CLUSTER, INSTANCE, Database, Kind, database, rds_arn
from probes.residency.aws.database_copies import DatabaseCopies, kept_in
from probes.residency.aws.graph import PENDING, in_region, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, arn
from probes.residency.aws.regions import elsewhere
from probes.residency.store_facts import Basis, EdgeKind, NodeKind

_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,254}", re.ASCII)


_World: TypeAlias = tuple[str, tuple[tuple[Arn, bool], ...]]
"""A global database's name, and its clusters with whether they write."""


@dataclass(slots=True)
class Databases:
    """The databases of one walk."""

    asking: Asking
    keys: Keys
    copies: DatabaseCopies
    everywhere: bool
    """Look for snapshots in every Region: where the account is asked for, each Region has its own part."""
    _met: set[str] = field(default_factory=set)
    _worlds: dict[tuple[str, str], tuple[_World, ...]] = field(default_factory=dict)

    def look_all(self, region: str) -> tuple[str, ...]:
        """Everything in one Region. Ids of what was found."""
        found: list[str] = []
        for kind in (CLUSTER, INSTANCE):
            for each in self._databases(kind, region, self.asking.door, None):
                found.append(str(each.arn))
                self._one(kind, each, self.asking.door)
        for kind in (CLUSTER, INSTANCE):
            found += self.copies.automated(kind, region, self.asking.door, None)
            found += self.copies.snapshots(kind, region, self.asking.door, None)
        self.copies.exports(region, self.asking.door, None)
        return tuple(found)

    def look(self, wanted: Arn) -> None:
        """One instance, cluster or snapshot, and everything of it."""
        if str(wanted) in self._met:
            return
        self._met.add(str(wanted))
        resource, _, name = wanted.resource.partition(":")
        kind = next((each for each in (INSTANCE, CLUSTER) if each.resource == resource), None)
        door = self.asking.of(wanted.owner)
        if kind is None:
            self._unseen(wanted, "of RDS, databases and clusters are covered, by their ARN")
            return
        if door is None:
            self._unseen(wanted, f"in account {wanted.account}, where no identity of `others` reads")
            return
        found = [each for each in self._databases(kind, wanted.region, door, name) if each.arn == wanted]
        if not found:
            self._unseen(wanted, "RDS does not describe it")
            return
        self._one(kind, found[0], door)
        for region in (wanted.region, *(elsewhere(self.asking, wanted.region, str(wanted)) if self.everywhere else ())):
            self.copies.snapshots(kind, region, door, name, away=region != wanted.region)
            self.copies.automated(kind, region, door, name, of=wanted)
        self.copies.exports(wanted.region, door, name)

    def _unseen(self, wanted: Arn, why: str) -> None:
        self.asking.graph.put(str(wanted), NodeKind.DATABASE, wanted.owner, in_region(wanted.region), unknown(why))
        self.asking.opens(str(wanted), unknown(why), "everything")

    def _databases(self, kind: Kind, region: str, door: Door, name: str | None) -> tuple[Database, ...]:
        return self.copies.listing(
            kind.describe, region, kind.listed, lambda item: database(item, kind, region), door, (kind.id, name)
        )

    def _one(self, kind: Kind, found: Database, door: Door) -> None:
        id, region = str(found.arn), found.arn.region
        self._met.add(id)
        encryption = self.copies.encryption(found.protection, region, found.arn.owner)
        self.asking.graph.put(
            id,
            NodeKind.DATABASE,
            found.arn.owner,
            kept_in(region, found.outside, found.zone),
            encryption,
            created=found.created,
            note=None if found.source is None else f"replica of {found.source}",
        )
        self.keys.tie(id, encryption)
        if found.cluster is not None:
            self._replica(id, found.arn, CLUSTER, found.cluster, "the cluster that holds its data")
        for replica in found.replicas:
            self._replica(id, found.arn, kind, replica)
        for backup in found.automated:
            self._replicated_backup(id, backup)
        if kind is CLUSTER:
            self._world(found, door)

    def _replica(self, id: str, source: Arn, kind: Kind, replica: str, detail: str = "read replica") -> None:
        """Of another Region it is named by its ARN."""
        try:
            other = arn(replica)
        except ValueError:
            if _ID.fullmatch(replica) is None:
                self.asking.opens(id, unknown("a replica whose name is none"), "copies")
                return
            other = Arn(source.partition, "rds", source.region, source.account, f"{kind.resource}:{replica}")
        self.asking.graph.put(str(other), NodeKind.DATABASE, other.owner, in_region(other.region), PENDING)
        self.asking.graph.edge(id, str(other), EdgeKind.REPLICATES, Basis.HAPPENED, detail)
        with self.asking.deeper(str(other)) as followed:
            if followed:
                self.look(other)

    def _replicated_backup(self, id: str, backup: str) -> None:
        try:
            other = arn(backup)
        except ValueError:
            self.asking.opens(id, unknown("automated backups elsewhere whose ARN is none"), "backups")
            return
        self.asking.graph.put(backup, NodeKind.BACKUP, other.owner, in_region(other.region), PENDING)
        self.asking.graph.edge(id, backup, EdgeKind.COPIES, Basis.CONFIGURED, "automated backups replicated")
        door = self.asking.of(other.owner)
        if door is None or backup not in self.copies.automated(INSTANCE, other.region, door, None, backup=backup):
            why = unknown("automated backups elsewhere were not described")
            self.asking.opens(backup, why, "encryption")

    def _world(self, found: Database, door: Door) -> None:
        """The other clusters of a global database."""
        region = found.arn.region

        def members(item: Answer) -> _World:
            listed = children(item, "GlobalClusterMembers", required=True)
            clusters = tuple((rds_arn(text(each, "DBClusterArn"), None), flag(each, "IsWriter")) for each in listed)
            return text(item, "GlobalClusterIdentifier"), clusters

        key = (door.account, region)
        if key not in self._worlds:
            self._worlds[key] = self.copies.listing(
                "rds:DescribeGlobalClusters", region, "GlobalClusters", members, door
            )
        for name, clusters in self._worlds[key]:
            if found.arn in [each for each, _ in clusters]:
                self._members(name, clusters)

    def _members(self, name: str, clusters: tuple[tuple[Arn, bool], ...]) -> None:
        graph = self.asking.graph
        for cluster, _ in clusters:
            graph.put(str(cluster), NodeKind.DATABASE, cluster.owner, in_region(cluster.region), PENDING)
        writers = [cluster for cluster, writes in clusters if writes] or [cluster for cluster, _ in clusters[:1]]
        for cluster, _ in clusters:
            for writer in writers:
                if cluster != writer:
                    graph.edge(str(writer), str(cluster), EdgeKind.REPLICATES, Basis.HAPPENED, f"global cluster {name}")
        for cluster, _ in clusters:
            with self.asking.deeper(str(cluster)) as followed:
                if followed:
                    self.look(cluster)

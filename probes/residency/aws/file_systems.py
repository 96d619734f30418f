"""EFS: file systems and what they replicate to."""

from __future__ import annotations

from dataclasses import dataclass, field

from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import Answer, MalformedError, children, flag, instant_or_none, text, text_or_none
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.graph import PENDING, in_region, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, is_region
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind


@dataclass(slots=True)
class FileSystems:
    """The file systems of one walk."""

    asking: Asking
    keys: Keys
    _met: set[str] = field(default_factory=set)

    def look_all(self, region: str) -> tuple[str, ...]:
        """Every file system in one Region. Their ids."""
        return self._look(region, self.asking.door, None)

    def look(self, wanted: Arn) -> None:
        """One file system."""
        if str(wanted) in self._met:
            return
        self._met.add(str(wanted))
        door = self.asking.of(wanted.owner)
        if door is not None:
            self._look(wanted.region, door, wanted.resource.rpartition("/")[2])
        node = self.asking.graph.node(str(wanted))
        if node is None or isinstance(node.encryption, Unseen):
            why = unknown("EFS does not describe it to us")
            self.asking.graph.put(str(wanted), NodeKind.FILE_SYSTEM, wanted.owner, in_region(wanted.region), why)
            self.asking.opens(str(wanted), why, "everything")

    def _look(self, region: str, door: Door, only: str | None) -> tuple[str, ...]:
        def system(item: Answer) -> tuple[str, bool, str | None, str | None, object]:
            id = text(item, "FileSystemId")
            if only is not None and id != only:
                raise MalformedError("the answer is about another file system")
            zone = text_or_none(item, "AvailabilityZoneName")
            created = instant_or_none(item, "CreationTime")
            return id, flag(item, "Encrypted"), text_or_none(item, "KmsKeyId"), zone, created

        found = self.asking.listed(
            "elasticfilesystem:DescribeFileSystems",
            region,
            "FileSystems",
            system,
            at=f"elasticfilesystem:DescribeFileSystems in {region} as {door.account}",
            matters=("everything",),
            door=door,
            token=("Marker", "NextMarker"),
            parameters={"MaxItems": 100} if only is None else {"FileSystemId": only},
        )
        ids = []
        for name, encrypted, key, zone, _ in found:
            id = self._id(region, door.account, name)
            self._met.add(id)
            encryption: Encryption | Unseen = Encryption(method="none", algorithm=None, key=None)
            if encrypted:
                # EFS names the key of every encrypted file system.
                missing = unknown("EFS says that it is encrypted and not under which key")
                encryption = missing if key is None else self.keys.under(key, region, door.account, None)
            self.asking.graph.put(id, NodeKind.FILE_SYSTEM, door.account, in_region(region, zone), encryption)
            self.keys.tie(id, encryption)
            ids.append(id)
            self._replicas(id, name, region, door)
        return tuple(ids)

    def _id(self, region: str, account: str, name: str) -> str:
        return f"arn:{self.asking.partition}:elasticfilesystem:{region}:{account}:file-system/{name}"

    def _replicas(self, id: str, name: str, region: str, door: Door) -> None:
        def replication(item: Answer) -> tuple[str, tuple[tuple[str, str, str, str], ...]]:
            targets = []
            for each in children(item, "Destinations", required=True):
                place = text(each, "Region")
                if not is_region(place):
                    raise MalformedError("a Region that is none")
                owner = text_or_none(each, "OwnerId") or door.account
                targets.append((place, owner, text(each, "FileSystemId"), text(each, "Status")))
            return text(item, "SourceFileSystemId"), tuple(targets)

        for source, targets in self.asking.listed(
            "elasticfilesystem:DescribeReplicationConfigurations",
            region,
            "Replications",
            replication,
            at=id,
            matters=("copies",),
            door=door,
            absent=("ReplicationNotFound",),
            parameters={"FileSystemId": name},
        ):
            if source != name:
                continue
            for place, owner, target, status in targets:
                replica = Arn(self.asking.partition, "elasticfilesystem", place, owner, f"file-system/{target}")
                other = str(replica)
                self.asking.graph.put(other, NodeKind.FILE_SYSTEM, owner, in_region(place), PENDING)
                self.asking.graph.edge(id, other, EdgeKind.REPLICATES, Basis.HAPPENED, f"replication, {status.lower()}")
                with self.asking.deeper(other) as followed:
                    if followed:
                        self.look(replica)

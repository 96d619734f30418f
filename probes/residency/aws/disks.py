"""EC2: volumes, snapshots and images of our own accounts, and with whom snapshots and images are shared.

A snapshot that was copied from another Region names its source in its description alone, which whoever copies can
change: it adds an edge where it is there, and its absence says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    flag,
    instant_or_none,
    parsing,
    text,
    text_or_none,
)
from probes.residency.alike import few
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.graph import NOT_OURS, PENDING, in_region, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, is_region
from probes.residency.aws.regions import elsewhere
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, NodePlace, Unneeded

T = TypeVar("T")

_PAGE: Final = 100
_SHOWN: Final = 10
_SHARED: Final = 200
"""Snapshots, and images, of a Region whose sharing is asked about."""
_COPIED: Final = re.compile(r"\[Copied (?P<id>snap-[0-9a-f]{8,17}) from (?P<region>[a-z0-9-]{5,30})\]", re.ASCII)
_LAUNCHERS: Final = ("UserId", "Group", "OrganizationArn", "OrganizationalUnitArn")
_OWN: Final = "sse-ebs"
_ABSENT: Final = ("InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidAMIID.NotFound")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A volume or a snapshot, as it is told."""

    id: str
    volume: str
    encrypted: bool
    own: bool
    """Under a key that AWS owns."""
    key: str | None
    more: tuple[str, ...]
    """Other keys that it is under, too."""
    created: datetime | None
    outpost: str | None
    zone: str | None
    source: tuple[str, str] | None
    """Id and Region of what it is a copy of, as its description says."""

    @property
    def kind(self) -> tuple[object, ...]:
        return (self.encrypted, self.own, self.key, self.more, self.outpost, self.zone, self.source and self.source[1])


@dataclass(slots=True)
class Disks:
    """Volumes, snapshots and images of one walk."""

    asking: Asking
    keys: Keys
    _sought: set[str] = field(default_factory=set)

    def look_all(self, region: str) -> tuple[str, ...]:
        """Everything in one Region. Ids of what is shown."""
        door = self.asking.door
        found = [*self._volumes(region, door, None), *self._snapshots(region, door, {"Filters": _own(door)})]
        return (*found, *self._images(region, door, None))

    def look(self, wanted: Arn) -> None:
        """One volume, snapshot or image."""
        kind, _, name = wanted.resource.partition("/")
        door = self.asking.of(wanted.owner)
        why = unknown("EC2 does not describe it to us")
        if door is not None and kind == "volume":
            self._volumes(wanted.region, door, name)
            only = [*_own(door), {"Name": "volume-id", "Values": [name]}]
            self._snapshots(wanted.region, door, {"Filters": only})
        elif door is not None and kind == "snapshot":
            self._snapshots(wanted.region, door, {"SnapshotIds": [name]})
        elif door is not None and kind == "image":
            self._images(wanted.region, door, name)
        else:
            why = unknown("of EC2, volumes, snapshots and images of accounts that an identity is in are covered")
        if self.asking.graph.node(str(wanted)) is None:
            self.asking.graph.put(str(wanted), NodeKind.DISK, wanted.owner, in_region(wanted.region), why)
            self.asking.opens(str(wanted), why, "everything")
            return
        for region in elsewhere(self.asking, wanted.region, str(wanted)) if door is not None else ():
            self._copies(wanted, region, door)
        self.asking.opens(
            str(wanted),
            unknown("copies of snapshots need not name their source: declare the account, to see all that it has"),
            "copies",
        )

    def _copies(self, wanted: Arn, region: str, door: Door | None) -> None:
        """Snapshots in another Region whose description names one of ours."""
        graph = self.asking.graph
        ours = {node.id.rpartition("/")[2] for node in graph.nodes if node.kind is NodeKind.SNAPSHOT}
        if door is None or not ours:
            return
        values = [f"*{id} from {wanted.region}*" for id in sorted(ours)[:100]]
        self._snapshots(region, door, {"Filters": [*_own(door), {"Name": "description", "Values": values}]})

    def _id(self, region: str, account: str | None, kind: str, name: str) -> str:
        return f"arn:{self.asking.partition}:ec2:{region}:{account or ''}:{kind}/{name}"

    def _volumes(self, region: str, door: Door, name: str | None) -> tuple[str, ...]:
        def volume(item: Answer) -> _Stored:
            return _Stored(
                text(item, "VolumeId"),
                "",
                flag(item, "Encrypted"),
                text_or_none(item, "SseType") == _OWN,
                text_or_none(item, "KmsKeyId"),
                (),
                instant_or_none(item, "CreateTime"),
                text_or_none(item, "OutpostArn"),
                text_or_none(item, "AvailabilityZone"),
                None,
            )

        which: dict[str, object] = {"MaxResults": _PAGE} if name is None else {"VolumeIds": [name]}
        found = self._listed("ec2:DescribeVolumes", region, "Volumes", volume, door, which)
        return self._shown(found, NodeKind.DISK, "volume", region, door)

    def _snapshots(self, region: str, door: Door, which: dict[str, object]) -> tuple[str, ...]:
        def snapshot(item: Answer) -> _Stored:
            copied = _COPIED.search(text_or_none(item, "Description") or "")
            return _Stored(
                text(item, "SnapshotId"),
                text(item, "VolumeId"),
                flag(item, "Encrypted"),
                text_or_none(item, "SseType") == _OWN,
                text_or_none(item, "KmsKeyId"),
                tuple(text(each, "KmsKeyId") for each in children(item, "AssociatedKmsKeys")),
                instant_or_none(item, "StartTime"),
                text_or_none(item, "OutpostArn"),
                text_or_none(item, "AvailabilityZone"),
                (copied["id"], copied["region"]) if copied else None,
            )

        more: dict[str, object] = {} if "SnapshotIds" in which else {"MaxResults": _PAGE}
        found = self._listed("ec2:DescribeSnapshots", region, "Snapshots", snapshot, door, {**which, **more})
        shown = self._shown(found, NodeKind.SNAPSHOT, "snapshot", region, door)
        graph = self.asking.graph
        for each in found:
            id = self._id(region, door.account, "snapshot", each.id)
            if graph.node(id) is None:
                continue
            volume = self._id(region, door.account, "volume", each.volume)
            if graph.node(volume) is not None:
                graph.edge(volume, id, EdgeKind.BACKS_UP, Basis.HAPPENED, "snapshot", each.created)
            if each.source is not None:
                self._source(each.source, id, each.created, door)
        for each in found[:_SHARED]:
            with graph.opening(self._id(region, door.account, "snapshot", each.id), "copies"):
                self._sharing(each.id, region, door)
        if len(found) > _SHARED:
            why = unknown(f"whether {len(found) - _SHARED} more snapshots are shared was not asked")
            self.asking.opens(f"ec2:DescribeSnapshotAttribute in {region}", why, "copies")
        return shown

    def _source(self, source: tuple[str, str], copy: str, at: datetime | None, door: Door) -> None:
        name, region = source
        graph, id = self.asking.graph, self._id(region, door.account, "snapshot", name)
        if not is_region(region):
            return
        if graph.node(id) is None and id not in self._sought:
            self._sought.add(id)
            which: dict[str, object] = {"SnapshotIds": [name]}
            if self.asking.gone("ec2:DescribeSnapshots", region, "Snapshots", door, _ABSENT, **which):
                graph.put(id, NodeKind.SNAPSHOT, door.account, in_region(region), Unneeded(), note=NOT_OURS)
            else:
                self._snapshots(region, door, which)
        graph.put(id, NodeKind.SNAPSHOT, door.account, in_region(region), PENDING)
        graph.edge(id, copy, EdgeKind.COPIES, Basis.HAPPENED, "copied snapshot", at)

    def _shown(self, found: tuple[_Stored, ...], kind: NodeKind, word: str, region: str, door: Door) -> tuple[str, ...]:
        ids = []
        for alike in few(found, lambda each: each.kind, _SHOWN):
            each, id = alike.one, self._id(region, door.account, word, alike.one.id)
            encryption = self._encryption(each, region, door.account)
            note = f"and {alike.more} alike" if alike.more else None
            self.asking.graph.put(
                id, kind, door.account, _place(each, region), encryption, created=each.created, note=note
            )
            self.keys.tie(id, encryption)
            for key in each.more:
                self.keys.tie(id, self.keys.under(key, region, door.account, None), "additional key")
            ids.append(id)
        return tuple(ids)

    def _encryption(self, told: _Stored, region: str, account: str | None) -> Encryption | Unseen:
        if told.own:
            return Encryption(method="provider-key", algorithm=_OWN, key=None, key_manager="aws")
        if not told.encrypted:
            return Encryption(method="none", algorithm=None, key=None)
        if told.key is None:
            return unknown("EC2 says that it is encrypted and not under which key")
        return self.keys.under(told.key, region, account, None)

    def _sharing(self, id: str, region: str, door: Door) -> None:
        """Whoever may make volumes of a snapshot may copy it anywhere."""
        operation = "ec2:DescribeSnapshotAttribute"
        answer = self.asking.ask(operation, region, door, SnapshotId=id, Attribute="createVolumePermission")
        with parsing(operation):
            text(answer, "SnapshotId")
            who = {
                text_or_none(item, "UserId") or text(item, "Group")
                for item in children(answer, "CreateVolumePermissions")
            }
        others = sorted(who - {each.account for each in (self.asking.door, *self.asking.others)})
        if others:
            why = unknown(f"shared with {', '.join(others)}, who may copy it anywhere")
            self.asking.opens(self._id(region, door.account, "snapshot", id), why, "copies")

    def _launched(self, id: str, region: str, door: Door) -> None:
        """Whoever may launch an image has its disks, and may make snapshots of them."""
        operation = "ec2:DescribeImageAttribute"
        answer = self.asking.ask(operation, region, door, ImageId=id, Attribute="launchPermission")
        with parsing(operation):
            if text(answer, "ImageId") != id:
                raise MalformedError("the answer is about another image")
            who = {
                told
                for item in children(answer, "LaunchPermissions")
                for told in (text_or_none(item, name) for name in _LAUNCHERS)
                if told is not None
            }
        others = sorted(who - {each.account for each in (self.asking.door, *self.asking.others)})
        if others:
            why = unknown(f"shared with {', '.join(others[:20])}, who may copy what is in it anywhere")
            self.asking.opens(self._id(region, door.account, "image", id), why, "copies")

    def _images(self, region: str, door: Door, name: str | None) -> tuple[str, ...]:
        """Images hold their data in snapshots, which are looked at by themselves."""

        def image(item: Answer) -> tuple[str, tuple[str, ...], str | None, str | None]:
            disks = [child_or_none(each, "Ebs") or {} for each in children(item, "BlockDeviceMappings")]
            snapshots = tuple(filter(None, (text_or_none(disk, "SnapshotId") for disk in disks)))
            source, where = text_or_none(item, "SourceImageId"), text_or_none(item, "SourceImageRegion")
            return text(item, "ImageId"), snapshots, source, where

        which: dict[str, object] = {"ImageIds": [name]}
        if name is None:
            which = {"Owners": ["self"], "IncludeDisabled": True, "MaxResults": _PAGE}
        found = self._listed("ec2:DescribeImages", region, "Images", image, door, which)
        graph, shown = self.asking.graph, []
        for id, snapshots, source, where in found[: _SHOWN * 10]:
            own = self._id(region, door.account, "image", id)
            shown.append(own)
            note = None if snapshots else "no snapshot of EBS behind it"
            graph.put(own, NodeKind.IMAGE, door.account, in_region(region), Unneeded(), note=note)
            if not snapshots:
                self.asking.opens(own, unknown("an image that is in no snapshot of EBS"), "encryption")
            for snapshot in snapshots:
                held = self._id(region, door.account, "snapshot", snapshot)
                if graph.node(held) is None:
                    self._snapshots(region, door, {"SnapshotIds": [snapshot]})
                if graph.node(held) is not None:
                    graph.edge(own, held, EdgeKind.BACKS_UP, Basis.HAPPENED, "the image's data")
                else:
                    why = unknown(f"its data is in {snapshot}, which EC2 does not describe to us")
                    self.asking.opens(own, why, "encryption", "backups")
            if source is not None and where is not None and where != region:
                which = {"ImageIds": [source], "Owners": ["self"]}
                if not is_region(where) or self.asking.gone(
                    "ec2:DescribeImages", where, "Images", door, _ABSENT, **which
                ):
                    continue  # Another account's, the cloud's own among them, or gone: nothing of ours is there.
                copied = self._id(where, door.account, "image", source)
                graph.put(
                    copied, NodeKind.IMAGE, door.account, in_region(where), Unneeded(), note="need not exist any more"
                )
                graph.edge(copied, own, EdgeKind.COPIES, Basis.HAPPENED, "copied image")
        for id, *_ in found[:_SHARED]:
            with graph.opening(self._id(region, door.account, "image", id), "copies"):
                self._launched(id, region, door)
        if len(found) > _SHARED:
            why = unknown(f"whether {len(found) - _SHARED} more images are shared was not asked")
            self.asking.opens(f"ec2:DescribeImageAttribute in {region}", why, "copies")
        if len(found) > _SHOWN * 10:
            why = unknown(f"{len(found) - _SHOWN * 10} more images are not shown; their snapshots are looked at")
            self.asking.opens(f"ec2:DescribeImages in {region}", why, "copies")
        return tuple(shown)

    def _listed(
        self,
        operation: str,
        region: str,
        member: str,
        item: Callable[[Answer], T],
        door: Door,
        parameters: dict[str, object],
    ) -> tuple[T, ...]:
        return self.asking.listed(
            operation,
            region,
            member,
            item,
            at=f"{operation} in {region} as {door.account}",
            matters=("everything",),
            door=door,
            absent=_ABSENT,
            parameters=parameters,
        )


def _own(door: Door) -> list[dict[str, object]]:
    return [{"Name": "owner-id", "Values": [door.account]}]


def _place(told: _Stored, region: str) -> NodePlace | Unseen:
    if told.outpost is not None:
        return unknown(f"on the Outpost {told.outpost}, which is wherever its owner put it")
    return in_region(region, told.zone)

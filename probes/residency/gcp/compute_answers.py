"""What Compute Engine answers of disks and of what is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    structure,
    text,
    text_or_none,
    texts,
)
from probes.residency.gcp.keys import SUPPLIED, Keys
from probes.residency.gcp.names import everywhere, last, located, path_of
from probes.residency.gcp.reading import when
from probes.residency.graph import unknown
from probes.residency.store_facts import Encryption, NodePlace

_KEYS = ("diskEncryptionKey", "snapshotEncryptionKey", "imageEncryptionKey", "machineImageEncryptionKey")
_SOURCES = ("sourceDisk", "sourceSnapshot", "sourceImage", "sourceInstantSnapshot")


@dataclass(frozen=True, slots=True)
class Thing:
    """A disk, snapshot or image."""

    path: str
    """`projects/P/zones/Z/disks/D`."""
    project: str
    place: NodePlace | Unseen
    key: str | None
    """Resource name of a version of a key; empty: under a key that clients send along."""
    created: datetime | None
    copies: tuple[str, ...] = ()
    """Paths of disks that it is replicated to."""
    policies: tuple[str, ...] = ()
    """Paths of policies, snapshot schedules among them."""
    sources: tuple[str, ...] = ()
    """Paths of what it was made from."""
    users: tuple[str, ...] = ()
    """Paths of the machines that a disk is attached to."""

    @property
    def kind(self) -> tuple[object, ...]:
        """What is judged of it: those of one kind are shown by a few of them."""
        place = self.place if isinstance(self.place, Unseen) else self.place.regions
        return (place, self.key and self.key.partition("/cryptoKeyVersions/")[0], self.copies, self.policies)

    def under(self, keys: Keys, at: str) -> Encryption | Unseen:
        """How it is encrypted."""
        return SUPPLIED if self.key is not None and not self.key else keys.under(self.key, at)


def disk(item: Answer, project: str) -> Thing:
    """A disk. Raises MalformedError."""
    where = text_or_none(item, "zone") or text_or_none(item, "region")
    if where is None:
        raise MalformedError("a disk in no zone and no region")
    path = _own(item, project)
    if path.split("/")[3] != last(where):
        raise MalformedError("a disk whose link is in another place than the disk")
    place = located(last(where))
    zones = [located(last(each)) for each in texts(item, "replicaZones")]
    if isinstance(place, NodePlace) and any(zone_of(each) != place.regions for each in zones):
        place = unknown("its replica zones are not in its region", Reason.CONFLICTING)
    secondaries = child_or_none(item, "asyncSecondaryDisks") or {}
    copies = []
    for each in secondaries.values():
        listed = child_or_none(structure("asyncSecondaryDisks", each), "asyncReplicationDisk") or {}
        copies.append(_path(text(listed, "disk")))
    return Thing(
        path,
        project,
        place,
        _key(item),
        when(item, "creationTimestamp"),
        tuple(sorted(copies)),
        tuple(sorted(_path(each) for each in texts(item, "resourcePolicies"))),
        users=tuple(sorted(_path(each) for each in texts(item, "users"))),
    )


def kept(item: Answer, project: str) -> Thing:
    """A snapshot or image: where it is stored; an instant snapshot is where its disk is. Raises MalformedError."""
    where = text_or_none(item, "zone") or text_or_none(item, "region")
    locations = texts(item, "storageLocations")
    place = everywhere(locations) if locations or where is None else located(last(where))
    links = [text_or_none(item, name) for name in _SOURCES]
    links += [text_or_none(saved, "sourceDisk") for saved in children(item, "savedDisks")]
    sources = [path_of(link) for link in links if link]
    return Thing(
        _own(item, project),
        project,
        place,
        _key(item),
        when(item, "creationTimestamp"),
        sources=tuple(each for each in sources if each is not None),
    )


def zone_of(place: NodePlace | Unseen) -> tuple[str, ...] | None:
    """The region of a zone."""
    return place.regions if isinstance(place, NodePlace) else None


def _own(item: Answer, project: str) -> str:
    path = _path(text(item, "selfLink"))
    if path.split("/")[1] != project:
        raise MalformedError("the answer is about another project")
    return path


def _path(link: str) -> str:
    found = path_of(link)
    if found is None or len(found.split("/")) < 5:
        raise MalformedError(f"{vendor_text(link, 60)} is no link to a resource")
    return found


def _key(item: Answer) -> str | None:
    found = next((each for each in (child_or_none(item, name) for name in _KEYS) if each), None)
    if found is None:
        return None
    return text_or_none(found, "kmsKeyName") or ""

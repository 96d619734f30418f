"""Compute Engine, as far as it holds data: disks, snapshots, images.

Sources: https://cloud.google.com/compute/docs/reference/rest/v1/disks, …/snapshots, …/images
(`storageLocations`: a region or a multi-region; `kmsKeyName` with the version that it was written under).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, sparse
from keycheck.lab.gcp_stores.plan import Disk, DiskImage, DiskSnapshot

_NOTHING: Final = {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results for this scope on this page."}
_BASE: Final = "https://www.googleapis.com/compute/v1/projects"


def _encryption(ask: Ask, ref: str | None) -> Mapping[str, object] | None:
    version = ask.version(ref)
    return None if version is None else {"kmsKeyName": version}


def _scope(disk: Disk) -> str:
    return f"zones/{disk.zone}" if disk.zone[-2] == "-" else f"regions/{disk.zone}"


def _disk(ask: Ask, disk: Disk) -> dict[str, object]:
    scope = _scope(disk)
    where = {"zone" if scope.startswith("zones/") else "region": f"{_BASE}/{disk.project}/{scope}"}
    return sparse(
        kind="compute#disk",
        name=disk.name,
        selfLink=f"{_BASE}/{disk.project}/{scope}/disks/{disk.name}",
        status="READY",
        sizeGb="100",
        type=f"{_BASE}/{disk.project}/{scope}/diskTypes/pd-balanced",
        creationTimestamp=ask.at(disk.days),
        diskEncryptionKey=_encryption(ask, disk.key),
        replicaZones=[f"{_BASE}/{disk.project}/zones/{zone}" for zone in disk.replicas] or None,
        **where,
    )


def _disks_everywhere(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.disks.list", project, f"projects/{project}")
    scopes: dict[str, list[dict[str, object]]] = {"zones/us-central1-a": [], "zones/europe-west3-b": []}
    for each in ask.plan.disks:
        if each.project == project:
            scopes.setdefault(_scope(each), []).append(_disk(ask, each))
    page, more = ask.page(sorted(scopes), most=500)
    items = {scope: {"disks": scopes[scope]} if scopes[scope] else {"warning": _NOTHING} for scope in page}
    return sparse(kind="compute#diskAggregatedList", items=items, nextPageToken=more)


def _disks(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.disks.list", project, f"projects/{project}")
    scope = ask.named.get("zone") or ask.named["region"]
    page, more = ask.page([each for each in ask.plan.disks if (each.project, each.zone) == (project, scope)], most=500)
    return sparse(kind="compute#diskList", items=[_disk(ask, each) for each in page] or None, nextPageToken=more)


def _get_disk(ask: Ask) -> Mapping[str, object]:
    project, name = ask.named["project"], ask.named["disk"]
    ask.require("compute.disks.get", project, f"projects/{project}/disks/{name}")
    scope = ask.named.get("zone") or ask.named["region"]
    for each in ask.plan.disks:
        if (each.project, each.zone, each.name) == (project, scope, name):
            return _disk(ask, each)
    raise _missing(project, f"{scope}/disks/{name}")


def _snapshot(ask: Ask, snapshot: DiskSnapshot) -> dict[str, object]:
    source = next((each for each in ask.plan.disks if each.name == snapshot.disk), None)
    disk = None if source is None else f"{_BASE}/{source.project}/{_scope(source)}/disks/{source.name}"
    return sparse(
        kind="compute#snapshot",
        name=snapshot.name,
        selfLink=f"{_BASE}/{snapshot.project}/global/snapshots/{snapshot.name}",
        status="READY",
        sourceDisk=disk,
        diskSizeGb="100",
        creationTimestamp=ask.at(snapshot.days),
        storageLocations=list(snapshot.locations),
        snapshotEncryptionKey=_encryption(ask, snapshot.key),
        snapshotType="STANDARD",
    )


def _image(ask: Ask, image: DiskImage) -> dict[str, object]:
    return sparse(
        kind="compute#image",
        name=image.name,
        selfLink=f"{_BASE}/{image.project}/global/images/{image.name}",
        status="READY",
        diskSizeGb="20",
        creationTimestamp=ask.at(image.days),
        storageLocations=list(image.locations),
        imageEncryptionKey=_encryption(ask, image.key),
    )


def _none_everywhere(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.instantSnapshots.list", project, f"projects/{project}")
    return {"kind": "compute#instantSnapshotAggregatedList", "items": {"zones/europe-west3-a": {"warning": _NOTHING}}}


def _machine_images(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.machineImages.list", project, f"projects/{project}")
    return {"kind": "compute#machineImageList"}


def _snapshots(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.snapshots.list", project, f"projects/{project}")
    return _global(ask, "compute#snapshotList", [_snapshot(ask, e) for e in ask.plan.snapshots if e.project == project])


def _images(ask: Ask) -> Mapping[str, object]:
    project = ask.named["project"]
    ask.require("compute.images.list", project, f"projects/{project}")
    return _global(ask, "compute#imageList", [_image(ask, e) for e in ask.plan.images if e.project == project])


def _global(ask: Ask, kind: str, items: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    page, more = ask.page(items, most=500)
    return sparse(kind=kind, items=list(page) or None, nextPageToken=more)


def _get_snapshot(ask: Ask) -> Mapping[str, object]:
    project, name = ask.named["project"], ask.named["name"]
    ask.require("compute.snapshots.get", project, f"projects/{project}/global/snapshots/{name}")
    for each in ask.plan.snapshots:
        if (each.project, each.name) == (project, name):
            return _snapshot(ask, each)
    raise _missing(project, f"global/snapshots/{name}")


def _get_image(ask: Ask) -> Mapping[str, object]:
    project, name = ask.named["project"], ask.named["name"]
    ask.require("compute.images.get", project, f"projects/{project}/global/images/{name}")
    for each in ask.plan.images:
        if (each.project, each.name) == (project, name):
            return _image(ask, each)
    raise _missing(project, f"global/images/{name}")


def _missing(project: str, rest: str) -> RefusedError:
    return RefusedError(404, f"The resource 'projects/{project}/{rest}' was not found")


_PROJECT: Final = "/compute/v1/projects/{project}"
ROUTES: Final[Mapping[str, Handler]] = {
    f"{_PROJECT}/aggregated/disks": _disks_everywhere,
    f"{_PROJECT}/aggregated/instantSnapshots": _none_everywhere,
    f"{_PROJECT}/global/machineImages": _machine_images,
    f"{_PROJECT}/zones/{{zone}}/disks": _disks,
    f"{_PROJECT}/zones/{{zone}}/disks/{{disk}}": _get_disk,
    f"{_PROJECT}/regions/{{region}}/disks": _disks,
    f"{_PROJECT}/regions/{{region}}/disks/{{disk}}": _get_disk,
    f"{_PROJECT}/global/snapshots": _snapshots,
    f"{_PROJECT}/global/snapshots/{{name}}": _get_snapshot,
    f"{_PROJECT}/global/images": _images,
    f"{_PROJECT}/global/images/{{name}}": _get_image,
}

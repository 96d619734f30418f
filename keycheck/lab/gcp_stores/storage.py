"""Cloud Storage: where buckets are, and under which key their objects lie.

Sources: https://cloud.google.com/storage/docs/json_api/v1/buckets, …/objects; https://cloud.google.com/storage/docs/locations
(a dual-region that Google put together tells its name alone; one that the customer did, `customPlacementConfig`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.gcp_stores.asked import Ask, Handler, RefusedError, sparse
from keycheck.lab.gcp_stores.plan import GcsBucket, GcsObject

_BASE: Final = "https://www.googleapis.com/storage/v1/b"


def _bucket(ask: Ask, permission: str) -> GcsBucket:
    name = ask.named["bucket"]
    for each in ask.plan.buckets:
        if each.name == name:
            ask.require(permission, each.project, f"projects/_/buckets/{name}")
            return each
    raise RefusedError(404, "The specified bucket does not exist.")


def _told(ask: Ask, bucket: GcsBucket) -> dict[str, object]:
    key = ask.key(bucket.key)
    return sparse(
        kind="storage#bucket",
        id=bucket.name,
        name=bucket.name,
        selfLink=f"{_BASE}/{bucket.name}",
        projectNumber=ask.number_of(bucket.project),
        location=bucket.location,
        locationType=bucket.type,
        customPlacementConfig={"dataLocations": list(bucket.members)} if bucket.members else None,
        encryption=None if key is None else {"defaultKmsKeyName": key},
        logging=None if bucket.logs_to is None else {"logBucket": bucket.logs_to, "logObjectPrefix": bucket.name},
        softDeletePolicy={"retentionDurationSeconds": str(bucket.soft_delete_days * 86_400)},
        rpo="DEFAULT" if bucket.type == "dual-region" else None,
        storageClass="STANDARD",
        timeCreated=ask.at(bucket.days),
        updated=ask.at(bucket.days),
        metageneration="1",
    )


def _get(ask: Ask) -> Mapping[str, object]:
    return _told(ask, _bucket(ask, "storage.buckets.get"))


def _list(ask: Ask) -> Mapping[str, object]:
    project, prefix = ask.query.get("project", ""), ask.query.get("prefix", "")
    ask.require("storage.buckets.list", project, f"projects/{project}")
    found = [each for each in ask.plan.buckets if each.project == project and each.name.startswith(prefix)]
    page, more = ask.page(found)
    return sparse(kind="storage#buckets", items=[_told(ask, each) for each in page] or None, nextPageToken=more)


def _layout(ask: Ask) -> Mapping[str, object]:
    bucket = _bucket(ask, "storage.objects.list")
    return sparse(
        kind="storage#storageLayout",
        bucket=bucket.name,
        location=bucket.location,
        locationType=bucket.type,
        customPlacementConfig={"dataLocations": list(bucket.members)} if bucket.members else None,
    )


def _object(ask: Ask, bucket: GcsBucket, item: GcsObject) -> dict[str, object]:
    csek = {"encryptionAlgorithm": "AES256", "keySha256": "A" * 43 + "="} if item.by_client else None
    return sparse(
        kind="storage#object",
        name=item.name,
        bucket=bucket.name,
        generation=str(int(ask.ago(item.days).timestamp() * 1_000_000)),
        metageneration="1",
        size="64",
        storageClass="STANDARD",
        timeCreated=ask.at(item.days),
        updated=ask.at(item.days),
        timeDeleted=None if item.live else ask.at(item.days - 1),
        kmsKeyName=ask.version(item.key),
        customerEncryption=csek,
    )


def _objects(ask: Ask) -> Mapping[str, object]:
    bucket = _bucket(ask, "storage.objects.list")
    prefix, after = ask.query.get("prefix", ""), ask.query.get("startOffset", "")
    versions, deleted = (ask.query.get(name) == "true" for name in ("versions", "softDeleted"))
    found = sorted(
        (
            each
            for each in bucket.objects
            if each.deleted == deleted
            and (each.live or versions or deleted)
            and each.name.startswith(prefix)
            and each.name >= after
        ),
        key=lambda each: (each.name, -each.days),
    )
    page, more = ask.page(found)
    items = [_object(ask, bucket, each) for each in page]
    return sparse(kind="storage#objects", items=items or None, nextPageToken=more)


def _get_object(ask: Ask) -> Mapping[str, object]:
    bucket = _bucket(ask, "storage.objects.get")
    wanted = ask.query.get("generation")
    for each in bucket.objects:
        told = _object(ask, bucket, each)
        if each.name == ask.named["object"] and not each.deleted and wanted in (None, told["generation"]):
            return told
    raise RefusedError(404, f"No such object: {bucket.name}/{ask.named['object']}")


ROUTES: Final[Mapping[str, Handler]] = {
    "/storage/v1/b": _list,
    "/storage/v1/b/{bucket}": _get,
    "/storage/v1/b/{bucket}/storageLayout": _layout,
    "/storage/v1/b/{bucket}/o": _objects,
    "/storage/v1/b/{bucket}/o/{object}": _get_object,
}
"""Path template -> handler."""

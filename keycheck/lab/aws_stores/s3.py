"""S3: buckets, where they replicate to, and how their objects are encrypted.

Sources: the s3 2006-03-01 service model of botocore; Amazon S3 API Reference (HeadBucket, GetBucketReplication, Error
responses); Amazon S3 User Guide, "Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse
from keycheck.lab.aws_stores.plan import Bucket, Item, Rule, Sse
from keycheck.lab.aws_stores.refusals import RefusedError, denied
from keycheck.lab.aws_stores.serialised import Output

_MOST: Final = 1000
_ANSWERS_EVERYWHERE: Final = frozenset({"GetBucketLocation"})
"""Works from any Region's endpoint, by its page."""


def _bucket(ask: Ask, action: str, of: str = "") -> Bucket:
    """The bucket that is asked about, where the caller may do that. Raises RefusedError, which names the bucket's
    Region whatever the caller may: `x-amz-bucket-region` comes with every refusal but of a bucket that is not there."""
    name = ask.text("Bucket")
    found = next((each for each in ask.plan.buckets if each.name == name), None)
    if found is None:
        raise RefusedError("NoSuchBucket", "The specified bucket does not exist", 404, members={"BucketName": name})
    told = {"x-amz-bucket-region": found.region}
    if found.region != ask.region and ask.operation not in _ANSWERS_EVERYWHERE:
        raise RefusedError(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
            "future requests to this endpoint.",
            301,
            told,
            {"Endpoint": f"{name}.s3.{found.region}.amazonaws.com", "Bucket": name},
        )
    arn = f"arn:aws:s3:::{name}{of}"
    shared = ask.caller.account == found.account or ask.caller.account in found.shared_with
    if not shared or not ask.permitted(action, arn):
        refusal = denied("rest-xml", ask.caller.arn, action, f'"{arn}"')
        raise RefusedError(refusal.code, refusal.message, refusal.status, told)
    return found


def _list_buckets(ask: Ask) -> Output:
    if not ask.permitted("s3:ListAllMyBuckets", "*"):
        raise denied("rest-xml", ask.caller.arn, "s3:ListAllMyBuckets", "*")
    wanted, prefix = ask.text("BucketRegion"), ask.text("Prefix")
    own = sorted(
        (
            each
            for each in ask.plan.buckets
            if each.account == ask.caller.account and each.name.startswith(prefix) and wanted in ("", each.region)
        ),
        key=lambda each: each.name,
    )
    most = ask.page_size if ask.page_size and "MaxBuckets" in ask.parameters else 10_000
    page, more = ask.page(
        own, size="MaxBuckets", given="ContinuationToken", told="ContinuationToken", most=most, wrong="InvalidArgument"
    )
    if "MaxBuckets" not in ask.parameters and not ask.text("ContinuationToken"):
        page, more = own, {}  # without it, all come at once
    return {
        "Buckets": [
            {
                "Name": each.name,
                "CreationDate": ask.ago(each.days),
                "BucketRegion": each.region,
                "BucketArn": f"arn:aws:s3:::{each.name}",
            }
            for each in page
        ],
        "Owner": {"ID": f"{int(ask.caller.account):064x}"},
        **more,
    }


def _list_directory_buckets(ask: Ask) -> Output:
    """The lab has none."""
    if not ask.permitted("s3express:ListAllMyDirectoryBuckets", "*"):
        raise denied("rest-xml", ask.caller.arn, "s3express:ListAllMyDirectoryBuckets", "*")
    return {"Buckets": []}


def _head_bucket(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:ListBucket")
    return {"BucketRegion": bucket.region, "AccessPointAlias": False, "BucketArn": f"arn:aws:s3:::{bucket.name}"}


def _location(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:GetBucketLocation")
    constraint = bucket.constraint or bucket.region
    return {} if constraint == "us-east-1" else {"LocationConstraint": constraint}


def _replication(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:GetReplicationConfiguration")
    if not bucket.rules:
        raise RefusedError(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
            404,
            members={"BucketName": bucket.name},
        )
    return {
        "ReplicationConfiguration": {
            "Role": f"arn:aws:iam::{bucket.account}:role/replication",
            "Rules": [_rule(ask, rule, number) for number, rule in enumerate(bucket.rules)],
        }
    }


def _rule(ask: Ask, rule: Rule, number: int) -> Output:
    there = next((each.region for each in ask.plan.buckets if each.name == rule.to), ask.region)
    key = ask.key(rule.key, there)
    destination = sparse(
        Bucket=f"arn:aws:s3:::{rule.to}",
        Account=rule.account,
        AccessControlTranslation=None if rule.account is None else {"Owner": "Destination"},
        EncryptionConfiguration=None if key is None else {"ReplicaKmsKeyID": key},
    )
    return sparse(
        ID=rule.id,
        Priority=number,
        Status="Enabled" if rule.enabled else "Disabled",
        Filter={"Prefix": rule.prefix},
        SourceSelectionCriteria=None if key is None else {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        Destination=destination,
        DeleteMarkerReplication={"Status": "Enabled" if rule.deletes else "Disabled"},
    )


def _encryption(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:GetEncryptionConfiguration")
    default = sparse(SSEAlgorithm=bucket.default.algorithm, KMSMasterKeyID=ask.key(bucket.default.key))
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket.default.key is not None}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def _versioning(ask: Ask) -> Output:
    return {"Status": "Enabled"} if _bucket(ask, "s3:GetBucketVersioning").versioned else {}


def _logging(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:GetBucketLogging")
    if bucket.logs_to is None:
        return {}
    return {"LoggingEnabled": {"TargetBucket": bucket.logs_to, "TargetPrefix": f"{bucket.name}/"}}


def _inventory(ask: Ask) -> Output:
    _bucket(ask, "s3:GetInventoryConfiguration")
    return {"IsTruncated": False}


def _none(action: str, code: str, message: str) -> Handler:
    """A configuration that no bucket of the lab has."""

    def handler(ask: Ask) -> Output:
        bucket = _bucket(ask, action)
        raise RefusedError(code, message, 404, members={"BucketName": bucket.name})

    return handler


def _list_objects(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:ListBucket")
    prefix, after = ask.text("Prefix"), ask.text("StartAfter")
    items = sorted(
        (each for each in bucket.items if each.current and each.key.startswith(prefix) and each.key > after),
        key=lambda each: each.key,
    )
    page, more = ask.page(
        items,
        size="MaxKeys",
        given="ContinuationToken",
        told="NextContinuationToken",
        most=_MOST,
        wrong="InvalidArgument",
    )
    return {
        **_listing(ask, bucket, more),
        "KeyCount": len(page),
        "Contents": [
            {
                "Key": _spelt(ask, each.key),
                "LastModified": ask.ago(each.days),
                "ETag": _etag(each),
                "Size": each.size,
                "StorageClass": "STANDARD",
            }
            for each in page
        ],
        **more,
    }


def _list_versions(ask: Ask) -> Output:
    bucket = _bucket(ask, "s3:ListBucketVersions")
    prefix = ask.text("Prefix")
    marker = (ask.text("KeyMarker"), ask.text("VersionIdMarker"))
    # of one key the newest first
    items = sorted((each for each in bucket.items if each.key.startswith(prefix)), key=lambda e: (e.key, e.days))
    start = 0
    if marker[0]:
        passed = [
            number
            for number, each in enumerate(items)
            if each.key < marker[0] or (each.key == marker[0] and marker[1] in ("", _version(bucket, each)))
        ]
        start = passed[-1] + 1 if passed else 0
    length = min(_size(ask), ask.page_size or _MOST)
    page = items[start : start + length]
    more: dict[str, object] = {}
    if start + length < len(items):
        more = {"NextKeyMarker": _spelt(ask, page[-1].key), "NextVersionIdMarker": _version(bucket, page[-1])}
    return {
        **_listing(ask, bucket, more),
        "Versions": [
            {
                "Key": _spelt(ask, each.key),
                "VersionId": _version(bucket, each),
                "IsLatest": each.current,
                "LastModified": ask.ago(each.days),
                "ETag": _etag(each),
                "Size": each.size,
                "StorageClass": "STANDARD",
            }
            for each in page
        ],
        **more,
    }


def _size(ask: Ask) -> int:
    size = ask.parameters.get("MaxKeys")
    return min(_MOST, size if isinstance(size, int) else _MOST)


def _listing(ask: Ask, bucket: Bucket, more: Mapping[str, object]) -> dict[str, object]:
    return sparse(
        Name=bucket.name,
        Prefix=_spelt(ask, ask.text("Prefix")),
        MaxKeys=_size(ask),
        IsTruncated=bool(more),
        EncodingType=ask.text("EncodingType") or None,
    )


def _head_object(ask: Ask) -> Output:
    version = ask.text("VersionId")
    key = ask.text("Key")
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    bucket = _bucket(ask, action, f"/{key}")
    for item in bucket.items:
        if item.key == key and (_version(bucket, item) == version if version else item.current):
            if item.sse.by_client:
                # without its key S3 tells nothing but that it needs one
                raise RefusedError("400", "Bad Request", 400)
            return _headers(ask, bucket, item)
    raise RefusedError("NoSuchKey", "The specified key does not exist.", 404)


def _headers(ask: Ask, bucket: Bucket, item: Item) -> Output:
    return sparse(
        LastModified=ask.ago(item.days),
        ETag=_etag(item),
        ContentType="application/octet-stream",
        VersionId=_version(bucket, item) if bucket.versioned else None,
        ReplicationStatus=item.replicated,
        ServerSideEncryption=item.sse.algorithm,
        SSEKMSKeyId=_sse_key(ask, item.sse),
        BucketKeyEnabled=True if item.sse.key is not None else None,
        ContentLength=item.size,
    )


def _sse_key(ask: Ask, sse: Sse) -> str | None:
    return ask.key(sse.key or "aws/s3") if sse.algorithm.startswith("aws:kms") else None


def _etag(item: Item) -> str:
    return f'"{_hash_of(item.key, item.days)}"'


def _version(bucket: Bucket, item: Item) -> str:
    return f"v{_hash_of(item.key, item.days)[:24]}" if bucket.versioned else "null"


def _hash_of(*parts: object) -> str:
    """Something that looks like an ETag, and is the same each time."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _spelt(ask: Ask, key: str) -> str:
    return quote(key, safe="/") if ask.text("EncodingType") == "url" else key


HANDLERS: Final[Mapping[str, Handler]] = {
    "ListBuckets": _list_buckets,
    "ListDirectoryBuckets": _list_directory_buckets,
    "HeadBucket": _head_bucket,
    "GetBucketLocation": _location,
    "GetBucketReplication": _replication,
    "GetBucketEncryption": _encryption,
    "GetBucketVersioning": _versioning,
    "GetBucketLogging": _logging,
    "ListBucketInventoryConfigurations": _inventory,
    "GetBucketTagging": _none("s3:GetBucketTagging", "NoSuchTagSet", "The TagSet does not exist"),
    "GetBucketLifecycleConfiguration": _none(
        "s3:GetLifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "GetBucketPolicy": _none("s3:GetBucketPolicy", "NoSuchBucketPolicy", "The bucket policy does not exist"),
    "ListObjectsV2": _list_objects,
    "ListObjectVersions": _list_versions,
    "HeadObject": _head_object,
}

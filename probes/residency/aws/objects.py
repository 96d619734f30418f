"""Objects of a bucket: each keeps the encryption that it was written with, whatever the bucket's default is now.

Names of objects may be personal: facts hold salted digests, and the answers about them go into evidence as a digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.pages import Listing, Page, collect
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    children,
    count_or_none,
    flag,
    instant,
    parsing,
    text,
    text_or_none,
)
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.graph import seen_not
from probes.residency.aws.keys import Keys
from probes.residency.store_facts import Encryption, ObjectsSampled, UnderKey

MAX_LISTED: Final = 20_000
_PAGE: Final = 400
_UNVERSIONED: Final = "null"
_MAX_KEY: Final = 1024
_KINDS: Final = 64
_FAILURES: Final = 16
_REPLICATED: Final = ("COMPLETED", "COMPLETE")
"""Of an object that a rule copied elsewhere, whether or not there still is that rule (S3 API reference, HeadObject)."""
_OWN_KEY: Final = "400"
"""What S3 answers to HEAD for an object under a key of the client's own (SSE-C) when none is sent, and where KMS
refuses its key."""


@dataclass(frozen=True, slots=True)
class _Version:
    key: str
    id: str | None
    at: datetime


def sampled(
    asking: Asking, keys: Keys, door: Door, bucket: str, at: str, region: str, account: str | None, most: int
) -> ObjectsSampled:
    """What a sample of the objects and their older versions is encrypted under: the oldest and the newest among them,
    the rest drawn at random. Of a larger bucket the first `MAX_LISTED` by name are drawn from, and `existing` says that
    the rest was not counted. Raises nothing: what failed is in it."""
    door = asking.aside(door)
    listing, versions, failed = _listed(asking, door, bucket, region)
    salt = asking.io.entropy(8)
    chosen = _sample(listing.items, most, salt)
    kinds: dict[Encryption, list[str]] = {}
    failures: dict[tuple[Reason, str], Unseen] = {why_key(each): each for each in failed}
    looked: list[_Version] = []
    for version in chosen:
        try:
            encryption = _head(asking, keys, door, bucket, region, account, version)
        except ProbeError as error:
            why = _why(error)
            failures.setdefault(why_key(why), why)
            if asking.over():
                break
            continue
        looked.append(version)
        kinds.setdefault(encryption, []).append(_digest(salt, version))
    if listing.short is not None and len(listing.items) < MAX_LISTED:
        # That there are more than are ever listed is no failure: the sample says that they were not counted.
        failures.setdefault(why_key(listing.short), listing.short)
    if len(kinds) > _KINDS:
        why = Unseen(reason=Reason.NOT_COVERED, detail=f"objects under {len(kinds)} keys: {_KINDS} of them are shown")
        failures[why_key(why)] = why
    if failures:
        asking.opens(at, next(iter(failures.values())), "encryption")
    times = sorted(version.at for version in looked)
    return ObjectsSampled(
        looked=len(looked),
        existing=len(listing.items) if listing.short is None else None,
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
        encrypted_under=tuple(
            UnderKey(encryption=encryption, objects=len(found), example=found[0])
            for encryption, found in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0].model_dump_json()))
        )[:_KINDS],
        versions=versions,
        complete=listing.short is None and not failures and len(looked) == len(listing.items),
        failed=tuple(failures.values())[:_FAILURES],
    )


def why_key(why: Unseen) -> tuple[Reason, str]:
    """One failure a kind is enough: the next thousand say the same."""
    return (why.reason, why.detail)


def _listed(asking: Asking, door: Door, bucket: str, region: str) -> tuple[Listing[_Version], bool, tuple[Unseen, ...]]:
    """Every version where they are told, the current objects alone otherwise, and why."""
    try:
        return _pages(asking, door, bucket, region, "s3:ListObjectVersions", "Versions", old=True), True, ()
    except ProbeError as error:
        versions = seen_not(error)
    try:
        found = _pages(asking, door, bucket, region, "s3:ListObjectsV2", "Contents", old=False)
    except ProbeError as error:
        return Listing((), seen_not(error)), False, (versions,)
    return found, False, (versions,)


def _pages(
    asking: Asking, door: Door, bucket: str, region: str, operation: str, member: str, *, old: bool
) -> Listing[_Version]:
    def fetch(page: str | None) -> Page[_Version]:
        parameters: dict[str, object] = {"Bucket": bucket, "MaxKeys": _PAGE}
        if page is not None and old:
            key, _, version = page.partition("\0")
            parameters |= {"KeyMarker": key, **({"VersionIdMarker": version} if version else {})}
        elif page is not None:
            parameters |= {"ContinuationToken": page}
        answer = asking.ask(operation, region, door, **parameters)
        with parsing(operation):
            if text(answer, "Name") != bucket:
                raise MalformedError("the answer is about another bucket")
            items = tuple(_version(item, old=old) for item in children(answer, member))
            if not old and count_or_none(answer, "KeyCount") != len(items):
                raise MalformedError("the answer contradicts itself about how many objects it lists")
            if not flag(answer, "IsTruncated"):
                return Page(items, None)
            if old:
                return Page(
                    items, f"{text(answer, 'NextKeyMarker')}\0{text_or_none(answer, 'NextVersionIdMarker') or ''}"
                )
            return Page(items, text(answer, "NextContinuationToken"))

    return collect(operation, fetch, max_items=MAX_LISTED)


def _version(item: Answer, *, old: bool) -> _Version:
    id = text_or_none(item, "VersionId") if old else None
    if id == _UNVERSIONED and flag(item, "IsLatest"):
        id = None
    return _Version(_key(item, "Key"), id, instant(item, "LastModified"))


def _key(item: Answer, name: str) -> str:
    """The name of an object, which may hold anything; S3 allows 1024 bytes."""
    key = item.get(name)
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY:
        raise MalformedError(f"{name} is no name of an object")
    return key


def _sample(found: tuple[_Version, ...], most: int, salt: bytes) -> tuple[_Version, ...]:
    """The oldest, the newest, and others as chance has it: whoever wrote the objects must not know which."""
    if len(found) <= most:
        return found
    by_age = sorted(found, key=lambda version: (version.at, version.key, version.id or ""))
    ends = [by_age[0], by_age[-1]][:most]
    rest = sorted(by_age[1:-1], key=lambda version: _draw(salt, version))
    return (*ends, *rest[: most - len(ends)])


def _draw(salt: bytes, version: _Version) -> bytes:
    name = f"{version.key}\0{version.id or ''}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"drawn" + salt + name).digest()


def _digest(salt: bytes, version: _Version) -> str:
    name = version.key.encode("utf-8", "surrogatepass")
    return f"sha256({salt.hex()} || name) = {hashlib.sha256(salt + name).hexdigest()[:32]}"


def _head(
    asking: Asking, keys: Keys, door: Door, bucket: str, region: str, account: str | None, version: _Version
) -> Encryption:
    operation = "s3:HeadObject"
    which = {} if version.id is None else {"VersionId": version.id}
    answer = asking.ask(operation, region, door, Bucket=bucket, Key=version.key, **which)
    with parsing(operation):
        own, method = text_or_none(answer, "SSECustomerAlgorithm"), text_or_none(answer, "ServerSideEncryption")
        key = text_or_none(answer, "SSEKMSKeyId")
        if text_or_none(answer, "ReplicationStatus") in _REPLICATED:
            asking.replicated.add(bucket)
        if own is not None:
            return Encryption(method="client-supplied-key", algorithm=vendor_text(own), key=None)
        if method is None:
            if key is not None:
                raise MalformedError("a key without an algorithm")
            return Encryption(method="none", algorithm=None, key=None)
        if method.startswith("aws:kms"):
            if key is None:
                raise MalformedError("an object under KMS whose key is not told")
            encryption = keys.under(key, region, account, method)
            if isinstance(encryption, Unseen):
                raise ProbeError(encryption.reason, encryption.detail)
            return encryption
        if key is not None:
            raise MalformedError("a key of KMS with another algorithm")
        if method != "AES256":
            raise ProbeError(Reason.NOT_COVERED, f"{operation}: an algorithm that is not known: {method}")
        return Encryption(method="provider-key", algorithm=method, key=None, key_manager="aws")


def _why(error: ProbeError) -> Unseen:
    if isinstance(error, AwsError) and error.code == _OWN_KEY:
        return Unseen(
            reason=Reason.NOT_COVERED,
            detail="s3:HeadObject: S3 tells nothing (400): it is under a key of the client's own (SSE-C), or KMS "
            "refuses its key",
        )
    return seen_not(error)

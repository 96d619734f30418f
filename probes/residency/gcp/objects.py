"""Objects of a bucket: each keeps the encryption that it was written with, whatever the bucket's default is now.

Cloud Storage tells it of each object in the listing itself, of older versions and of what was deleted and is still kept
too. Names of objects may be personal: facts hold salted digests, and the answers about them are sealed.
Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list.
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
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, text_or_none
from probes.clouds.gcp.pages import Bounds
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.reading import when
from probes.residency.graph import seen_not
from probes.residency.store_facts import Encryption, ObjectsSampled, UnderKey

LISTED: Final = Bounds(pages=10, items=10_000)
_PAGE: Final = 1000
_KINDS: Final = 64
_FAILURES: Final = 16
_MAX_NAME: Final = 1024
_OPERATION: Final = "storage.objects.list"
_FIELDS: Final = (
    "nextPageToken,items(name,bucket,generation,timeCreated,kmsKeyName,customerEncryption(encryptionAlgorithm))"
)


@dataclass(frozen=True, slots=True)
class _Version:
    name: str
    at: datetime
    key: str | None
    supplied: str | None


def sampled(asking: Asking, keys: Keys, bucket: str, at: str, *, deleted: bool) -> ObjectsSampled:
    """What the objects that are listed are encrypted under; all of them, where there are not too many. Raises nothing:
    what failed is in it. `deleted`: deleted objects are still kept."""
    if asking.subject.objects == 0:
        return ObjectsSampled(
            looked=0, existing=None, oldest=None, newest=None, encrypted_under=(), versions=False, complete=False
        )
    found, failed, cut = _listed(asking, bucket, {"versions": "true"})
    if deleted:
        more, failed_too, cut_too = _listed(asking, bucket, {"softDeleted": "true"})
        found, failed, cut = [*found, *more], [*failed, *failed_too], cut or cut_too
    salt = asking.io.entropy(8)
    kinds: dict[Encryption, list[str]] = {}
    looked: list[_Version] = []
    for version in found:
        encryption = _encryption(keys, version, at)
        if isinstance(encryption, Unseen):
            failed.append(encryption)
            continue
        looked.append(version)
        examples = kinds.setdefault(encryption, [])
        examples.append(_digest(salt, version.name) if not examples else "")
    if len(kinds) > _KINDS:
        failed.append(Unseen(reason=Reason.NOT_COVERED, detail=f"objects under {len(kinds)} keys: {_KINDS} are shown"))
    failures = {(each.reason, each.detail): each for each in failed}
    if failures:
        asking.opens(at, next(iter(failures.values())), "encryption")
    times = [version.at for version in looked]
    return ObjectsSampled(
        looked=len(looked),
        existing=None if cut or failures else len(found),
        oldest=min(times, default=None),
        newest=max(times, default=None),
        encrypted_under=tuple(
            UnderKey(encryption=encryption, objects=len(examples), example=examples[0])
            for encryption, examples in sorted(kinds.items(), key=lambda item: (-len(item[1]), str(item[0].key)))
        )[:_KINDS],
        versions=bool(found) or not failures,
        complete=not cut and not failures,
        failed=tuple(failures.values())[:_FAILURES],
    )


def _listed(asking: Asking, bucket: str, which: dict[str, str]) -> tuple[list[_Version], list[Unseen], bool]:
    """What is there, what failed, and whether there is more than is listed."""

    def version(item: Answer) -> _Version:
        name = item.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise MalformedError("name is no name of an object")
        if (told := text_or_none(item, "bucket")) is not None and told != bucket:
            raise MalformedError("the answer is about another bucket")
        at = when(item, "timeCreated")
        if at is None:
            raise MalformedError("timeCreated is missing")
        own = child_or_none(item, "customerEncryption")
        supplied = None if own is None else text_or_none(own, "encryptionAlgorithm") or "not told"
        return _Version(name, at, text_or_none(item, "kmsKeyName"), supplied)

    try:
        found = asking.listing(
            "storage",
            _OPERATION,
            f"b/{bucket}/o",
            "items",
            version,
            {**which, "projection": "noAcl", "fields": _FIELDS},
            size="maxResults",
            page=_PAGE,
            bounds=LISTED,
            apart=True,
        )
    except ProbeError as error:
        return [], [seen_not(error)], True
    short = found.rest
    failed = [short] if short is not None and short.reason is not Reason.NOT_COVERED else []
    return list(found.items), failed, short is not None


def _encryption(keys: Keys, version: _Version, at: str) -> Encryption | Unseen:
    if version.supplied is not None:
        if version.key is not None:
            return Unseen(reason=Reason.MALFORMED, detail="an object under two keys")
        return Encryption(method="client-supplied-key", algorithm=vendor_text(version.supplied, 40), key=None)
    return keys.under(version.key, at)


def _digest(salt: bytes, name: str) -> str:
    found = hashlib.sha256(salt + name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"sha256({salt.hex()} || name) = {found}"

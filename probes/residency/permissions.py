"""The least privilege that observing stores and inference in AWS needs, as IAM policies. Pure.

Derived from the same table that the probes ask from, so that what is printed is what is used. Some of IAM's names
differ from those of the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from keycheck.canonical import Jsonable
from probes.keys.permissions import Paper
from probes.residency.aws.operations import OPERATIONS
from probes.residency.subjects import Inference, Store

_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
        "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
        "s3:HeadBucket": ("s3:ListBucket",),
        # S3 has no permission for an object's head alone: whoever may read it could read the object. Without it,
        # declare `objects: 0`, and what objects are encrypted under stays unknown.
        "s3:HeadObject": ("s3:GetObject", "s3:GetObjectVersion"),
        "s3:ListBucketInventoryConfigurations": ("s3:GetInventoryConfiguration",),
        "s3:ListBuckets": ("s3:ListAllMyBuckets",),
        "s3:ListDirectoryBuckets": ("s3express:ListAllMyDirectoryBuckets",),
        "s3:ListObjectVersions": ("s3:ListBucketVersions",),
        "s3:ListObjectsV2": ("s3:ListBucket",),
    }
)
"""Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"."""
_OBJECTS: Final = frozenset({"s3:HeadObject"})
_INFERENCE: Final = "bedrock:"


def store_actions(objects: bool = True) -> tuple[str, ...]:
    """IAM actions for stores, sorted; without `objects`, nothing that could read what they hold."""
    asked = (each for each in OPERATIONS if not each.startswith(_INFERENCE) and (objects or each not in _OBJECTS))
    return _iam(asked)


def inference_actions() -> tuple[str, ...]:
    """IAM actions for models of Bedrock, sorted."""
    return _iam(each for each in OPERATIONS if each.startswith(_INFERENCE))


def _iam(operations: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({action for each in operations for action in _ACTIONS.get(each, (each,))}))


def reading_papers(stores: Iterable[Store], models: Iterable[Inference] = ()) -> Iterator[Paper]:
    """A policy for each AWS identity that asks, sorted by identity; empty: the SDK's own chain.

    Listings cannot be scoped to a resource, and copies lead to resources that are not known beforehand: so the policy
    names none, and reads alone.
    """
    needs: dict[str, set[str]] = {}
    for store in stores:
        if store.provider == "aws":
            for identity in (store.identity, *store.others):
                needs.setdefault(identity or "", set()).update(store_actions(objects=store.objects > 0))
    for model in models:
        if model.provider == "aws":
            needs.setdefault(model.identity or "", set()).update(inference_actions())
    for identity, actions in sorted(needs.items()):
        statement: Jsonable = {"Sid": "Residency", "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
        document: Mapping[str, Jsonable] = {"Version": "2012-10-17", "Statement": [statement]}
        yield Paper("aws", identity, "attach to the identity that reads stores and models; nothing else", document)

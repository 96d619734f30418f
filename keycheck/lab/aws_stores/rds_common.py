"""What handlers of RDS share: pages, ids, and how encryption is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from keycheck.lab.aws_stores.asked import Ask, sparse
from keycheck.lab.aws_stores.plan import KeyRef
from keycheck.lab.aws_stores.serialised import Output

T = TypeVar("T")


def page(ask: Ask, items: Sequence[T]) -> tuple[Sequence[T], Output]:
    """One page, and the marker of the next."""
    return ask.page(items, size="MaxRecords", given="Marker", told="Marker", most=100, wrong="InvalidParameterValue")


def fits(given: Mapping[str, Sequence[str]], name: str, *values: str) -> bool:
    """Whether a filter of that name, where there is one, names any of the values."""
    return name not in given or any(value in given[name] for value in values)


def short(identifier: str) -> str:
    """Of an ARN or an id."""
    return identifier.rpartition(":")[2]


def encryption(ask: Ask, ref: KeyRef | None, region: str) -> dict[str, object]:
    """As instances and clusters tell it."""
    key = ask.key(ref, region)
    kind = "none" if key is None else "sse-kms"
    return sparse(StorageEncrypted=key is not None, KmsKeyId=key, StorageEncryptionType=kind)

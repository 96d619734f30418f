"""Services that hold data and are looked into no further than one listing: what is there, and where.

How each is encrypted is read where the listing tells it; of what is there, copies, snapshots and backups are not asked
about, so that each of them leaves `copies` and `backups` open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    flag,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.residency.alike import few
from probes.residency.aws.asking import Asking
from probes.residency.aws.graph import in_region, unknown
from probes.residency.aws.keys import Keys
from probes.residency.store_facts import Encryption, NodeKind

_SHOWN: Final = 3
_UNTOLD: Final = Unseen(reason=Reason.UNSUPPORTED, detail="how it is encrypted is not asked")
_MORE: Final = ("nextToken", "NextToken", "Marker")
_OWN: Final = Encryption(method="provider-key", algorithm=None, key=None, key_manager="aws")
_NONE: Final = Encryption(method="none", algorithm=None, key=None)


@dataclass(frozen=True, slots=True)
class _Held:
    """Something that is there."""

    name: str
    encrypted: bool | None = None
    """None: not told, or not under whose key."""
    key: str | None = None


@dataclass(frozen=True, slots=True)
class _Service:
    """One listing."""

    called: str
    operation: str
    member: str
    resource: str
    """Before the name, in the ARN."""
    held: Callable[[Answer], _Held] | None
    """None: names alone are listed."""
    limit: tuple[str, int] | None
    kind: NodeKind = NodeKind.OTHER


def _log_group(item: Answer) -> _Held:
    return _Held(text(item, "logGroupName"), True, text_or_none(item, "kmsKeyId"))


def _repository(item: Answer) -> _Held:
    told = child_or_none(item, "encryptionConfiguration") or {}
    if (kind := text_or_none(told, "encryptionType") or "AES256") not in ("AES256", "KMS", "KMS_DSSE"):
        raise MalformedError("an encryptionType that is not known")
    key = text_or_none(told, "kmsKey")
    return _Held(text(item, "repositoryName"), True if kind == "AES256" or key else None, key)


def _file_system(item: Answer) -> _Held:
    key = text_or_none(item, "KmsKeyId")
    return _Held(text(item, "FileSystemId"), None if key is None else True, key)


def _warehouse(item: Answer) -> _Held:
    return _Held(text(item, "ClusterIdentifier"), flag(item, "Encrypted"), text_or_none(item, "KmsKeyId"))


def _cache(item: Answer) -> _Held:
    # Under which key is told of its replication group alone.
    return _Held(text(item, "CacheClusterId"), None if flag(item, "AtRestEncryptionEnabled", default=False) else False)


def _vault(item: Answer) -> _Held:
    return _Held(text(item, "VaultName"))


def _domain(item: Answer) -> _Held:
    return _Held(text(item, "DomainName"))


SERVICES: Final = (
    _Service(
        "CloudWatch Logs", "logs:DescribeLogGroups", "logGroups", "log-group:", _log_group, ("limit", 50), NodeKind.LOG
    ),
    _Service("ECR", "ecr:DescribeRepositories", "repositories", "repository/", _repository, ("maxResults", 100)),
    _Service(
        "ElastiCache",
        "elasticache:DescribeCacheClusters",
        "CacheClusters",
        "cluster:",
        _cache,
        ("MaxRecords", 100),
    ),
    _Service("FSx", "fsx:DescribeFileSystems", "FileSystems", "file-system/", _file_system, ("MaxResults", 100)),
    _Service("Glacier vaults", "glacier:ListVaults", "VaultList", "vaults/", _vault, None),
    _Service("Kinesis", "kinesis:ListStreams", "StreamNames", "stream/", None, ("Limit", 100)),
    _Service("OpenSearch", "es:ListDomainNames", "DomainNames", "domain/", _domain, None),
    _Service("Redshift", "redshift:DescribeClusters", "Clusters", "cluster:", _warehouse, ("MaxRecords", 100)),
    _Service("SQS", "sqs:ListQueues", "QueueUrls", "", None, ("MaxResults", 1000)),
)


def look_all(asking: Asking, keys: Keys, region: str) -> tuple[str, ...]:
    """What there is of each service in one Region. Ids of what is shown; what is not told is an open end."""
    ids: list[str] = []
    for service in SERVICES:
        at = f"{service.operation} in {region}"
        try:
            found, more = _listed(asking, service, region)
        except ProbeError as error:
            asking.opens(at, error, "stores")
            continue
        if more:
            asking.opens(at, unknown(f"more of {service.called} than one listing tells"), "everything")
        alike = few(found, lambda each: (each.encrypted, each.key), _SHOWN)
        ids += [_shown(asking, keys, service, region, each.one, each.more) for each in alike]
    return tuple(ids)


def _listed(asking: Asking, service: _Service, region: str) -> tuple[tuple[_Held, ...], bool]:
    answer = asking.ask(service.operation, region, None, **(dict([service.limit]) if service.limit else {}))
    with parsing(service.operation):
        if service.held is None:
            found = tuple(_Held(each.rpartition("/")[2]) for each in texts(answer, service.member))
        else:
            found = tuple(service.held(item) for item in children(answer, service.member))
        more = any(text_or_none(answer, name) for name in _MORE) or flag(answer, "HasMoreStreams", default=False)
        return found, more


def _shown(asking: Asking, keys: Keys, service: _Service, region: str, held: _Held, more: int) -> str:
    account = asking.door.account
    name = f"{service.resource}{held.name}"
    id = f"arn:{asking.partition}:{service.operation.partition(':')[0]}:{region}:{account}:{name}"
    encryption: Encryption | Unseen = _UNTOLD
    if held.key is not None:
        encryption = keys.under(held.key, region, account, None)
    elif held.encrypted is not None:
        encryption = _OWN if held.encrypted else _NONE
    note = f"{service.called}, and {more} alike" if more else service.called
    asking.graph.put(id, service.kind, account, in_region(region), encryption, note=note)
    keys.tie(id, encryption)
    if service.kind is not NodeKind.LOG:
        asking.opens(id, unknown(f"copies and backups of {service.called} are not asked about"), "copies", "backups")
    return id

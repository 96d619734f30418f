"""What a call of an API is, and how often AWS lets an account make it in a Region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Service: TypeAlias = Literal[
    "account",
    "backup",
    "bedrock",
    "cloudtrail",
    "dynamodb",
    "ec2",
    "ecr",
    "efs",
    "elasticache",
    "fsx",
    "glacier",
    "kinesis",
    "kms",
    "logs",
    "opensearch",
    "organizations",
    "rds",
    "redshift",
    "s3",
    "s3control",
    "scheduler",
    "sqs",
    "sts",
]
"""By the SDK's names."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an API."""

    service: Service
    method: str
    """Name in the SDK."""
    rate: float
    """Calls a second, by the service's documented quotas."""


Operations: TypeAlias = Mapping[str, Operation]
"""By IAM's names: `kms:DescribeKey`."""

COMMON: Final[Operations] = MappingProxyType({"sts:GetCallerIdentity": Operation("sts", "get_caller_identity", 100)})
"""What every area asks."""

"""ARNs of keys and aliases, and the names of Regions, taken apart strictly: they decide whom we ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,20}):kms:(?P<region>[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}):(?P<account>\d{12})"
    r":(?P<kind>key|alias)/(?P<name>[A-Za-z0-9/_.-]{1,256})",
    re.ASCII,
)
_REGION: Final = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KmsArn:
    """The ARN of a key or of an alias of one."""

    partition: str
    region: str
    account: str
    kind: Literal["key", "alias"]
    name: str
    """Key id (`mrk-…` when multi-Region), or the alias without `alias/`."""

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:{self.kind}/{self.name}"

    @property
    def home(self) -> tuple[str, str, str]:
        """Partition, account, Region: a key and its aliases agree in them."""
        return (self.partition, self.account, self.region)

    @property
    def related(self) -> tuple[str, str, str]:
        """Partition, account, id: the related keys of a multi-Region key agree in them."""
        return (self.partition, self.account, self.name)


def kms_arn(text: str) -> KmsArn:
    """The parts of an ARN. Raises ValueError for what is none of KMS."""
    match = _ARN.fullmatch(text)
    if match is None:
        raise ValueError("not the ARN of a KMS key or alias")
    return KmsArn(
        match["partition"],
        match["region"],
        match["account"],
        "key" if match["kind"] == "key" else "alias",
        match["name"],
    )


def is_region(text: str) -> bool:
    """Whether `text` has the form of a Region's name: it becomes part of a host name."""
    return _REGION.fullmatch(text) is not None

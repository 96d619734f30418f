"""ARNs of what holds data, taken apart strictly: what they name decides whom we ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,20}):(?P<service>[a-z0-9-]{2,30}):(?P<region>[a-z0-9-]{0,40})"
    r":(?P<account>\d{12}|aws)?:(?P<resource>[!-~]{1,1024})",
    re.ASCII,
)
_REGION: Final = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", re.ASCII)
"""Old buckets of us-east-1 may have capitals and underscores."""


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN in its parts; Region and account are empty where its service leaves them out."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def owner(self) -> str | None:
        """The account, where the ARN tells."""
        return self.account or None


def arn(text: str) -> Arn:
    """The parts of an ARN. Raises ValueError for what is none."""
    match = _ARN.fullmatch(text)
    if match is None or (match["region"] and _REGION.fullmatch(match["region"]) is None):
        raise ValueError("not an ARN of AWS")
    return Arn(match["partition"], match["service"], match["region"], match["account"] or "", match["resource"])


def bucket_of(text: str) -> str:
    """The name in a bucket's ARN. Raises ValueError for what is none, access points among them."""
    found = arn(text)
    if found.service != "s3" or found.region or found.account or not is_bucket(found.resource):
        raise ValueError("not the ARN of a bucket")
    return found.resource


def is_bucket(name: str) -> bool:
    """Whether `name` has the form of a bucket's: it becomes part of a host name."""
    return _BUCKET.fullmatch(name) is not None and ".." not in name


def is_region(text: str) -> bool:
    """Whether `text` has the form of a Region's name."""
    return _REGION.fullmatch(text) is not None


def like(pattern: str, text: str) -> bool:
    """Whether a pattern with `*` and `?` covers the text, as AWS Backup's selections are written."""
    parts = ("".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern),)
    return re.fullmatch(parts[0], text) is not None

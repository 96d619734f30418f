"""Names of Google Cloud resources, and the small parts of answers that every reader needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final, Protocol

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason

_KEY: Final = re.compile(
    r"projects/(?P<project>[a-z0-9.:-]+)/locations/(?P<location>[a-z0-9-]+)"
    r"/keyRings/(?P<ring>[A-Za-z0-9_-]{1,63})/cryptoKeys/(?P<key>[A-Za-z0-9_-]{1,63})"
)
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S: Final = 253_402_300_799
"""End of the year 9999."""
_MAX_SPAN_S: Final = 315_576_000_000
"""The longest `google.protobuf.Duration`, 10,000 years."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """The parts of a CryptoKey's resource name."""

    project: str
    """Id or number, as written."""
    location: str
    ring: str
    key: str

    @property
    def full(self) -> str:
        """As the API writes it."""
        return f"{self.ring_name}/cryptoKeys/{self.key}"

    @property
    def ring_name(self) -> str:
        """Resource name of the key ring."""
        return f"projects/{self.project}/locations/{self.location}/keyRings/{self.ring}"

    @property
    def below_project(self) -> str:
        """The name without its project, which may be written by id or by number."""
        return f"/locations/{self.location}/keyRings/{self.ring}/cryptoKeys/{self.key}"


def key_name(resource: str) -> KeyName:
    """Parse a CryptoKey's name. Raises ProbeError(malformed)."""
    match = _KEY.fullmatch(resource)
    if match is None:
        raise ProbeError(Reason.MALFORMED, "not the resource name of a CryptoKey")
    return KeyName(match["project"], match["location"], match["ring"], match["key"])


def version_number(version: str, key: KeyName) -> str:
    """Number of a version of `key`. Raises ProbeError(malformed) for a version of anything else: an answer about
    another key must not be taken for one about this key."""
    head, _, number = version.partition("/cryptoKeyVersions/")
    if not _NUMBER.fullmatch(number) or not same_key(head, key):
        raise ProbeError(Reason.MALFORMED, "the answer names a version that is not one of the key")
    return number


def same_key(resource: str, key: KeyName) -> bool:
    """Whether a resource name is the key's, its project written by id or by number."""
    match = _KEY.fullmatch(resource)
    return match is not None and resource.endswith(key.below_project)


class Stamp(Protocol):
    """`google.protobuf.Timestamp` or `Duration`."""

    @property
    def seconds(self) -> int:
        """Whole seconds."""

    @property
    def nanos(self) -> int:
        """Nanoseconds beside them."""


class Fields(Protocol):
    """A protobuf message, asked whether a field of it is set."""

    def HasField(self, field_name: str, /) -> bool:  # noqa: N802 - protobuf's name
        """Whether it is."""


def moment(stamp: Stamp) -> datetime:
    """A timestamp as UTC, whole microseconds. Raises ProbeError(malformed) outside the years 1 to 9999."""
    if not (0 <= stamp.nanos < 1_000_000_000) or not (-62_135_596_800 <= stamp.seconds <= _LATEST_S):
        raise ProbeError(Reason.MALFORMED, "the answer holds a time that is none")
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def maybe_moment(message: Fields, field: str) -> datetime | None:
    """The timestamp in `field`, where it is set."""
    return moment(getattr(message, field)) if message.HasField(field) else None


def seconds(span: Stamp) -> int:
    """Whole seconds of a duration. Raises ProbeError(malformed) when it is negative or endless."""
    if not 0 <= span.seconds <= _MAX_SPAN_S:
        raise ProbeError(Reason.MALFORMED, "the answer holds a duration that is none")
    return span.seconds


def enum_name(kind: type[IntEnum], value: int) -> str:
    """Name of an enum's value; `UNKNOWN_7` for one that the installed client does not know yet."""
    try:
        return kind(value).name
    except ValueError:
        return f"UNKNOWN_{value}"

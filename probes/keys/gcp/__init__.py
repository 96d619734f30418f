"""Customer-held keys in Google Cloud KMS, read with the customer's own credentials. Nothing is ever changed.

Google's libraries are imported when the first key is asked about, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from keycheck.model.facts import Census, Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import PartName
from probes.keys.aspects import Aspect
from probes.keys.facts import EventFacts, LoggingFacts
from probes.keys.gcp_facts import GcpKey
from probes.keys.subjects import Key

__all__ = ["key", "key_calls", "log", "log_calls", "survey"]

_CALLS: Final[Mapping[Aspect, int]] = {
    Aspect.DESCRIPTION: 2,  # the key, one page of versions
    Aspect.POLICIES: 6,  # key, key ring, project (its policy and its parent), one folder or organization
    Aspect.LOGGING: 4,
    Aspect.EVENTS: 2,  # own permissions, one page of entries
}
"""Where keys share a project, its calls are made once: the sum over keys is the most, not the rule."""


def key_calls(asked: frozenset[Aspect]) -> int:
    """API calls that describing one key takes, about."""
    return _calls(asked)


def log_calls(asked: frozenset[Aspect]) -> int:
    """API calls that reading one key's log takes, about."""
    return _calls(asked)


def survey(subject: Key, io: Io) -> Census:
    """One part: the key's location. It is part of the key's name and never changes, so nothing is asked.

    Whether the key exists is found out when it is looked at. Raises ProbeError(malformed).
    """
    from probes.clouds.gcp.names import key_name

    return Census(parts=(key_name(subject.resource).location,))


def key(subject: Key, part: PartName, asked: frozenset[Aspect], io: Io) -> tuple[GcpKey, tuple[Blob, ...]]:
    """The key as Cloud KMS and IAM describe it, and its attestations as answered. Raises ProbeError."""
    from probes.keys.gcp.inspection import read_key

    return read_key(subject, asked, io)


def log(
    subject: Key, part: PartName, asked: frozenset[Aspect], window: tuple[datetime, datetime], io: Io
) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen, str, tuple[Blob, ...]]:
    """What is logged about the key, what the log says, and who answered.

    Raises ProbeError when there is no usable credential."""
    from probes.keys.gcp.journal import read_log

    return read_log(subject, asked, window, io)


def _calls(asked: frozenset[Aspect]) -> int:
    return sum(_CALLS.get(aspect, 0) for aspect in asked)

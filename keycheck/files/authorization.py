"""Authorizations: reading one, and asking whether it covers what a probe wants to do.

Whether its signature counts is not decided here: see `keycheck.evidence.sign` and the profile's approvers.
"""

from __future__ import annotations

import ipaddress
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from keycheck.errors import DeploymentError
from keycheck.files.located import PROFILE_LIMITS, Items, Map, Node, parse, read_bytes
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.validate import validate
from keycheck.model.authorization import Authorization, Technique, Window
from keycheck.model.profile import covers as covers_subject
from keycheck.model.types import format_instant

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NO_PLACE: Final = frozenset({"localtime", "posixrules", "Factory"})
"""Keys of the zone database that stand for no place, or for whatever this machine is set to."""


@dataclass(frozen=True, slots=True)
class LoadedAuthorization:
    """An authorization with the bytes that are signed."""

    authorization: Authorization
    text: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class Allowed:
    """The authorization covers it."""

    until: datetime
    """First instant at which it no longer does."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The authorization does not cover it, and why."""

    why: str


def load_authorization(path: Path, deployment: str | None = None) -> LoadedAuthorization:
    """Read and check an authorization file; with `deployment`, it must be for that one.

    Raises DeploymentError, naming the place of everything that is wrong.
    """
    data = read_bytes(path, str(path), DeploymentError, PROFILE_LIMITS)
    return LoadedAuthorization(parse_authorization(data, str(path), deployment), data, path)


def parse_authorization(data: bytes, label: str, deployment: str | None = None) -> Authorization:
    """The authorization in these bytes; `label` is shown as the file's name."""
    root = parse(data, label, DeploymentError, PROFILE_LIMITS)
    problems = Problems(DeploymentError)
    found = validate(root, Authorization, problems)
    if found is None:
        problems.check()
        raise RuntimeError("a model was refused without a problem")
    if deployment is not None and found.deployment != deployment:
        problems.add(
            _place(root, "deployment"),
            f"the authorization is for `{found.deployment}`, not for `{deployment}`",
            "name the right file",
        )
    for window, node in zip(found.windows, _items(root, "windows"), strict=True):
        _check_window(window, node, problems)
    for source, node in zip(found.sources, _items(root, "sources"), strict=True):
        if _network(source) is None:
            problems.add(
                node.place,
                f"`{source}` is no address or network",
                "write e.g. 198.51.100.7 or 198.51.100.0/24, without host bits",
            )
    problems.check()
    return found


def _items(root: Map, key: str) -> tuple[Node, ...]:
    node = root.get(key)
    return node.items if isinstance(node, Items) else ()


def _place(node: Node, key: str) -> Place:
    value = node.get(key) if isinstance(node, Map) else None
    return value.place if value else node.place


def _check_window(window: Window, node: Node, problems: Problems) -> None:
    zone = _zone(window.zone)
    if zone is None:
        problems.add(
            _place(node, "zone"),
            f"`{window.zone}` is no IANA time zone",
            suggestion(window.zone, zoneinfo.available_timezones() - _NO_PLACE, "zone"),
        )
    for key, text in (("start", window.start), ("end", window.end)):
        if _local(text) is None:
            problems.add(_place(node, key), f"there is no such time as {text}", "write e.g. 2026-12-01T08:00")
    if problems.found:
        return
    start, end = window_bounds(window)
    if start >= end:
        problems.add(_place(node, "end"), "the window ends before it starts", "put `end` after `start`")


def _local(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if 1970 <= moment.year < 9999 else None


def _zone(key: str) -> zoneinfo.ZoneInfo | None:
    if key in _NO_PLACE:
        return None
    try:
        return zoneinfo.ZoneInfo(key)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the key is a directory
        return None


def window_bounds(window: Window) -> tuple[datetime, datetime]:
    """The window in UTC, `start` inclusive, `end` exclusive. A local time that a change of clocks makes
    ambiguous or skips is read the way that allows less. Raises ValueError for a window never checked."""
    zone = _zone(window.zone)
    start, end = _local(window.start), _local(window.end)
    if zone is None or start is None or end is None:
        raise ValueError(f"not a window: {window}")
    return max(_readings(start, zone)), min(_readings(end, zone))


def _readings(local: datetime, zone: zoneinfo.ZoneInfo) -> tuple[datetime, datetime]:
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return early, late


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=True)
    except ValueError:
        return None


def covers(
    authorization: Authorization, subject_id: str, technique: Technique, source: str, now: datetime
) -> Allowed | Denied:
    """Whether a technique may be used on `section/id` from a source address at an instant.

    Everything has to fit: subject, technique, source address and window. `source` is the address that the
    vendor sees; without one nothing is covered.
    """
    if not any(covers_subject(pattern, subject_id) for pattern in authorization.subjects):
        return Denied(f"{subject_id} is not among the authorized subjects")
    if technique not in authorization.techniques:
        return Denied(f"{technique} is not among the authorized techniques")
    if not _covers_source(authorization, source):
        where = f"from {source}" if source else "without a stated source address (`egress` of the vantage)"
        return Denied(f"nothing is authorized {where}")
    bounds = sorted(window_bounds(window) for window in authorization.windows)
    for start, end in bounds:
        if start <= now < end:
            return Allowed(end)
    coming = next((start for start, _ in bounds if start > now), None)
    more = f"; the next one opens {format_instant(coming)}" if coming else "; the last one is over"
    return Denied(f"outside the authorized windows{more}")


def _covers_source(authorization: Authorization, source: str) -> bool:
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _networks(authorization))


def _networks(authorization: Authorization) -> Iterator[Network]:
    for source in authorization.sources:
        if (network := _network(source)) is not None:
            yield network

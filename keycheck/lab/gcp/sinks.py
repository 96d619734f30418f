"""Log sinks of the lab: `_Required` and `_Default` of every project, and what `_Default` leaves out of the log.

Sources: Cloud Logging, "Routing and storage overview"; `google.logging.v2.ConfigServiceV2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from google.cloud.logging_v2 import types

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.directory import Directory
from keycheck.lab.gcp.entries import ACTIVITY, Entry
from keycheck.lab.gcp.errors import denied, invalid
from keycheck.lab.gcp.logfilter import matches, parsed

_NAMES: Final = ("activity", "system_event", "access_transparency")
_REQUIRED: Final = " OR ".join(f'LOG_ID("cloudaudit.googleapis.com/{name}")' for name in _NAMES)
_DEFAULT: Final = " AND ".join(f'NOT LOG_ID("cloudaudit.googleapis.com/{name}")' for name in _NAMES)


@dataclass(frozen=True, slots=True)
class DefaultSink:
    """How a project's `_Default` sink is set."""

    filter: str = _DEFAULT
    disabled: bool = False
    exclusions: tuple[tuple[str, str, bool], ...] = ()
    """Name, filter, and whether it is switched off."""


class Sinks:
    """Of all projects."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._default: dict[str, DefaultSink] = {}

    def handlers(self) -> Mapping[str, Handler]:
        return {"/google.logging.v2.ConfigServiceV2/ListSinks": self.list_sinks}

    def set(self, project: str, **changed: object) -> None:
        """Change the `_Default` sink of a project (`projects/acme`): fields of `DefaultSink`."""
        self._default[project] = replace(self._default.get(project, DefaultSink()), **changed)  # type: ignore[arg-type]

    def keeps(self, entry: Entry) -> bool:
        """Whether an entry is in the project's own log, by its sinks' exclusions. The filter is not evaluated."""
        sink = self._default.get(entry.container)
        if sink is None or entry.log == ACTIVITY:
            return True
        left_out = any(
            not off and matches(parsed(filter), entry.fields(), entry.at) for _, filter, off in sink.exclusions
        )
        return not sink.disabled and not left_out

    def list_sinks(self, call: Call, request: types.ListSinksRequest) -> types.ListSinksResponse:
        if not request.parent.startswith("projects/"):
            raise invalid("parent must name a project.")
        node = self._directory.node(request.parent)
        parent = request.parent if node is None else node.name
        if not call.may("logging.sinks.list", parent):
            raise denied("logging.sinks.list", parent, "logging.googleapis.com")
        held = self._default.get(parent, DefaultSink())
        bucket = f"logging.googleapis.com/{parent}/locations/global/buckets/"
        exclusions = [
            types.LogExclusion(name=name, filter=filter, disabled=off) for name, filter, off in held.exclusions
        ]
        sinks = [
            types.LogSink(name="_Required", destination=f"{bucket}_Required", filter=_REQUIRED),
            types.LogSink(
                name="_Default",
                destination=f"{bucket}_Default",
                filter=held.filter,
                disabled=held.disabled,
                exclusions=exclusions,
            ),
        ]
        page, after = call.page(len(sinks), request.page_size, request.page_token)
        return types.ListSinksResponse(sinks=[sinks[index] for index in page], next_page_token=after)

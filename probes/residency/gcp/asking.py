"""Whom is asked, of which service; and listings, page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlencode

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.answers import Answers
from probes.clouds.aws.reading import Answer, MalformedError, children, parsing, text_or_none
from probes.clouds.gcp import clients
from probes.clouds.gcp.pace import Pace, Quota
from probes.clouds.gcp.pages import Bounds, Listing, Page, read_all
from probes.clouds.gcp.rest import Rest, RestError
from probes.clouds.gcp.token_http import Room
from probes.residency.gcp.reading import left_out, spread
from probes.residency.graph import Graph, Matters
from probes.residency.subjects import Store

T = TypeVar("T")

PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "storage": "storage/v1",
        "bigquery": "bigquery/v2",
        "sqladmin": "sql/v1beta4",
        "compute": "compute/v1",
        "orgpolicy": "v2",
        "cloudresourcemanager": "v3",
    }
)
"""Where a service's methods lie, other than below `v1`."""
LARGE: Final = Room(bytes=4 * 1024 * 1024, brackets=40_000, url=12_000)
"""Of one page of a listing."""
LISTED: Final = Bounds(pages=100, items=20_000)
_PACE: Final = Quota(40, 3.0)
_PACES: Final[Mapping[str, Quota]] = MappingProxyType(
    {"storage": Quota(100, 50.0), "bigquery": Quota(100, 40.0), "compute": Quota(40, 10.0), "sqladmin": Quota(20, 2.0)}
)
"""Below the quotas that are documented (BigQuery: 100 requests a second for a user and method; Compute Engine: 1,500 a
minute; Cloud SQL: 180 a minute): what is looked into is somebody's production."""
_MAX_TOKEN: Final = 8192
_DISABLED: Final = ("SERVICE_DISABLED", "accessNotConfigured")


class DisabledError(ProbeError):
    """The service's API is disabled in the project. That does not say that nothing is there: Service Usage calls a
    service DISABLED that was never enabled, and one that was disabled with all that it holds.
    See https://cloud.google.com/service-usage/docs/reference/rest/v1/services#State."""


@dataclass(slots=True)
class Door:
    """One identity, and the services that it was shown to."""

    ref: str | None
    identity: GcpIdentity
    who: str
    rests: dict[str, Rest] = field(default_factory=dict)


@dataclass(slots=True)
class Asking:
    """The questions of one walk: the identities, the graph that grows, and what was asked."""

    io: Io
    subject: Store
    door: Door
    others: tuple[Door, ...]
    until: float
    """Of the monotonic clock."""
    sleep: Callable[[float], None] = time.sleep
    graph: Graph = field(default_factory=Graph)
    asked: set[str] = field(default_factory=set)
    answers: Answers = field(default_factory=Answers)
    apart: Answers = field(default_factory=Answers)
    """Answers that may name people: of objects."""

    @property
    def universe(self) -> str:
        """Whose cloud it is."""
        return self.door.identity.universe_domain

    def ask(
        self,
        service: str,
        operation: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        apart: bool = False,
    ) -> Answer:
        """One read-only call, as whichever identity may make it. Raises ProbeError, DisabledError among them."""
        failed: ProbeError | None = None
        for door in (self.door, *self.others):
            try:
                return self._ask(door, service, operation, path, query or {}, body, apart=apart)
            except RestError as error:
                failed = failed or error
                if error.status not in (403, 404):
                    break
            except ProbeError as error:
                failed = failed or error
                break
        if failed is None:
            raise ProbeError(Reason.PERMISSION_DENIED, f"{operation}: nobody may be asked")
        raise _disabled(failed)

    def _ask(
        self,
        door: Door,
        service: str,
        operation: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None,
        *,
        apart: bool,
    ) -> Answer:
        kept = self.apart if apart else self.answers
        self.asked.add(f"{operation} {path}" if len(path) <= 120 else operation)
        said: dict[str, object] = {
            "path": path,
            **{name: value for name, value in query.items() if name != "pageToken"},
        }
        if body is not None:
            said["body"] = body
        rest = self._rest(door, service)
        self._queue(door, service, operation)
        shown = f"{path}?{urlencode(query)}" if query else path
        try:
            answer = rest.ask("GET" if body is None else "POST", shown, body, operation)
        except ProbeError as error:
            kept.add(operation, rest.base, said, f"{error.reason.value}: {vendor_text(str(error), 300)}")
            raise
        kept.add(operation, rest.base, said, {name: item for name, item in answer.items() if name != "nextPageToken"})
        return answer

    def _rest(self, door: Door, service: str) -> Rest:
        found = door.rests.get(service)
        if found is None:
            named = dict(door.identity.endpoints).get(service) or _named(door.identity, service)
            found = Rest.of(
                service, named, door.ref, self.io, self.sleep, prefix=PREFIXES.get(service, "v1"), room=LARGE
            )
            found = door.rests[service] = replace(found, until=self.until)
        return found

    def _queue(self, door: Door, service: str, operation: str) -> None:
        if door.identity.unsafe_plaintext_to_loopback:
            return  # an emulator has no quota
        io = self.io
        pace = io.once.get(
            ("gcp", "stores", "pace", door.identity, service), lambda: Pace(_PACES.get(service, _PACE), io.monotonic)
        )
        delay = pace.wait(max(0.0, self.left()))
        if delay is None:
            raise ProbeError(Reason.THROTTLED, f"{operation}: not asked: our own pace leaves no call in time")
        if delay > 0:
            self.sleep(delay)

    def listing(
        self,
        service: str,
        operation: str,
        path: str,
        member: str,
        item: Callable[[Answer], T],
        query: Mapping[str, str] | None = None,
        *,
        size: str | None = "pageSize",
        page: int = 500,
        bounds: Bounds = LISTED,
        apart: bool = False,
        short: Callable[[str], None] | None = None,
        scoped: bool = False,
    ) -> Listing[T]:
        """All entries of a listing within bounds; `rest` says why there may be more. Raises what the first page raises.

        `short` is told of places that the service could not reach for the answer. `scoped`: `items` by location, as
        Compute Engine's aggregated lists are.
        """

        def fetch(token: str) -> Page[T]:
            asked = {**(query or {}), **({size: str(page)} if size else {}), **({"pageToken": token} if token else {})}
            answer = self.ask(service, operation, path, asked, apart=apart)
            with parsing(operation):
                found = tuple(item(entry) for entry in (spread(answer, member) if scoped else children(answer, member)))
                for each in left_out(answer):
                    if short is not None:
                        short(each)
                follows = text_or_none(answer, "nextPageToken") or ""
                if len(follows) > _MAX_TOKEN:
                    raise MalformedError("a page token that is too long")
                return Page(found, follows)

        return read_all(fetch, bounds)

    def listed(
        self,
        service: str,
        operation: str,
        path: str,
        member: str,
        item: Callable[[Answer], T],
        query: Mapping[str, str] | None = None,
        *,
        at: str,
        matters: tuple[Matters, ...],
        size: str | None = "pageSize",
        page: int = 500,
        scoped: bool = False,
    ) -> tuple[T, ...]:
        """All entries, as far as they come; where the listing is short or is not told at all, an open end at `at`."""

        def short(what: str) -> None:
            why = f"{operation}: the service could not be asked about {vendor_text(what, 200)}; try again later"
            self.opens(at, Unseen(reason=Reason.UNREACHABLE, detail=vendor_text(why)), *matters)

        try:
            found = self.listing(
                service, operation, path, member, item, query, size=size, page=page, short=short, scoped=scoped
            )
        except ProbeError as error:
            self.opens(at, error, *matters)
            return ()
        if found.rest is not None:
            self.opens(at, found.rest, *matters)
        return found.items

    def opens(self, at: str, why: ProbeError | Unseen, *matters: Matters) -> None:
        """An open end for each of the questions."""
        for each in matters:
            self.graph.ends(at, each, why)

    def left(self) -> float:
        """Seconds that may still be spent."""
        return self.until - self.io.monotonic()

    def over(self) -> bool:
        """Whether the time is."""
        return self.left() <= 0


def asking(subject: Store, io: Io, sleep: Callable[[float], None] = time.sleep) -> Asking:
    """The questions of one walk. Raises ProbeError where nobody can be asked."""
    door = _door(subject.identity, io)
    made = Asking(io, subject, door, (), io.monotonic() + io.budget - 2.0, sleep)
    others = []
    for ref in subject.others:
        try:
            others.append(_door(ref, io))
        except ProbeError as error:
            made.opens(f"identity {ref}", error, "copies")
    made.others = tuple(others)
    return made


def _door(ref: str | None, io: Io) -> Door:
    identity = clients.identity_of(ref, io)
    named = clients.account(identity, io)
    return Door(ref, identity, vendor_text(named or f"identity {identity.id}"))


def _named(identity: GcpIdentity, service: str) -> str | None:
    """The endpoint that an identity names for a service by a field of its own. Of Cloud KMS and Resource Manager an
    emulator there speaks gRPC, and not what is spoken here."""
    match service:
        case "storage":
            return identity.storage_endpoint
        case "cloudkms" if not identity.unsafe_plaintext_to_loopback:
            return identity.api_endpoint
        case "cloudresourcemanager" if not identity.unsafe_plaintext_to_loopback:
            return identity.resource_manager_endpoint
        case _:
            return None


def _disabled(error: ProbeError) -> ProbeError:
    if isinstance(error, RestError) and error.told in _DISABLED:
        return DisabledError(
            Reason.PERMISSION_DENIED,
            f"{error}; a service that is disabled may still hold, or have copied, what it was given before: enable it, "
            "to have it asked",
        )
    return error

"""Whom is asked, in which account and Region; listings; and the values of answers that are read in several places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar, assert_never

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.answers import Answers
from probes.clouds.aws.clients import Api, api
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import Answer, MalformedError, children, flag, parsing, text_or_none
from probes.residency.aws.graph import Graph, Matters, unknown
from probes.residency.aws.operations import OPERATIONS
from probes.residency.subjects import Account, Resource, Store

T = TypeVar("T")

MAX_ITEMS: Final = 20_000
MAX_DEPTH: Final = 60
"""Copies of copies; a global table can be in every Region, each of which is met from the one before."""
_HOME: Final = {
    "aws": "eu-central-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}


@dataclass(frozen=True, slots=True)
class Door:
    """One identity, and the account that it turned out to be in."""

    api: Api
    account: str
    who: str


@dataclass(slots=True)
class Asking:
    """The questions of one walk: the identities, the graph that grows, and what was asked."""

    io: Io
    subject: Store
    partition: str
    home: str
    """Region that is asked about what is not in one."""
    door: Door
    others: tuple[Door, ...]
    graph: Graph
    now: datetime
    asked: set[str] = field(default_factory=set)
    apart: Answers = field(default_factory=Answers)
    """Answers that may name people: of objects."""
    regions: tuple[str, ...] = ()
    """Enabled ones, where they are told."""
    replicated: set[str] = field(default_factory=set)
    """Buckets of which an object says that it was replicated elsewhere."""
    _depth: int = 0

    def of(self, account: str | None) -> Door | None:
        """Who may ask in an account. None for an account that no identity is in; unknown accounts are asked as our
        own: AWS answers or does not."""
        if account is None:
            return self.door
        return next((door for door in (self.door, *self.others) if door.account == account), None)

    def ask(self, operation: str, region: str, door: Door | None = None, /, **parameters: object) -> Answer:
        """One call. Raises ProbeError."""
        self.asked.add(f"{operation} {region}")
        return (door or self.door).api.ask(operation, region, **parameters)

    def listed(
        self,
        operation: str,
        region: str,
        member: str,
        item: Callable[[Answer], T],
        *,
        at: str,
        matters: tuple[Matters, ...],
        door: Door | None = None,
        token: tuple[str, str] = ("NextToken", "NextToken"),
        required: bool = True,
        most: int = MAX_ITEMS,
        absent: Collection[str] = (),
        parameters: Mapping[str, object] | None = None,
    ) -> tuple[T, ...]:
        """All entries of a listing, as far as they come; where it is short, an open end at `at`.

        `token` is the name of the page token in the request and in the answer; `absent` are errors that say that there
        is nothing to list. Raises nothing for what AWS does not
        tell: then there are none and the end is open.
        """

        def fetch(page: str | None) -> Page[T]:
            more = {} if page is None else {token[0]: page}
            answer = self.ask(operation, region, door, **(parameters or {}), **more)
            with parsing(operation):
                entries = tuple(item(entry) for entry in children(answer, member, required=required))
                follows = text_or_none(answer, token[1]) or None
                if flag(answer, "IsTruncated", default=False) and follows is None:
                    raise MalformedError("more pages, and no token to ask for them")
                return Page(entries, follows)

        try:
            listing = collect(operation, fetch, max_items=most)
        except ProbeError as error:
            if not (isinstance(error, AwsError) and error.code in absent):
                self.opens(at, error, *matters)
            return ()
        if listing.short is not None:
            self.opens(at, listing.short, *matters)
        return listing.items

    def gone(
        self, operation: str, region: str, member: str, door: Door, absent: Collection[str], **parameters: object
    ) -> bool:
        """Whether AWS says that there is no such thing, by an error among `absent` or an empty list. What it does not
        say is not gone."""
        try:
            answer = self.ask(operation, region, door, **parameters)
            with parsing(operation):
                return not children(answer, member, required=True)
        except AwsError as error:
            return error.code in absent
        except ProbeError:
            return False

    def opens(self, at: str, why: ProbeError | Unseen, *matters: Matters) -> None:
        """An open end for each of the questions."""
        for each in matters:
            self.graph.ends(at, each, why)

    def aside(self, door: Door) -> Door:
        """The same door, whose answers are kept apart."""
        return replace(door, api=replace(door.api, answers=self.apart))

    @contextmanager
    def deeper(self, at: str) -> Iterator[bool]:
        """Around following a copy from within another: false, and an open end, where nobody has that many."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                self.graph.ends(at, "everything", unknown("more copies of copies than are followed"))
            yield self._depth <= MAX_DEPTH
        finally:
            self._depth -= 1

    def over(self) -> bool:
        """Whether the time is."""
        return self.door.api.deadline.left() <= 0


def asking(subject: Store, region: str | None, io: Io) -> Asking:
    """The questions of one walk. Raises ProbeError where nobody can be asked."""
    partition, home = whereto(subject, io)
    region = region or home
    door = _door(api(io, subject.identity, partition, region, OPERATIONS), region)
    made = Asking(io, subject, partition, home, door, (), Graph(), io.clock())
    made.asked.add(f"sts:GetCallerIdentity {region}")
    others = []
    for ref in subject.others:
        try:
            other = replace(api(io, ref, partition, region, OPERATIONS), answers=door.api.answers)
            others.append(_door(other, region))
        except ProbeError as error:
            made.graph.ends(f"identity {ref}", "copies", error)
    made.others = tuple(others)
    return made


def whereto(subject: Store, io: Io) -> tuple[str, str]:
    """Partition, and the Region that is asked about what is not in one."""
    identity = next((each for each in io.identities if each.id == subject.identity), None)
    ambient = identity.region if identity is not None and identity.provider == "aws" else None
    match subject.what:
        case Resource(name=name):
            _, partition, _, own, *_ = [*name.split(":"), "", ""]
        case Account(partition=partition, home=home):
            own = home or ""
        case _:
            assert_never(subject.what)
    told = own or subject.region
    first = told or ambient or _HOME.get(partition)
    if first is None:
        raise ProbeError(
            Reason.NOT_COVERED, f"which Region of {partition} to ask first is not known; declare the store's `region`"
        )
    return partition, first


def _door(door: Api, region: str) -> Door:
    who, account = door.caller(region)
    return Door(door, account, vendor_text(who))

"""The probe of rosters of subprocessors: the vendor's paper, held against its page, against ranges and against keys."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from typing import ClassVar, Final

from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import WHOLE, Io, Observed, SimpleProbe, Touch
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.files import read_regular
from probes.clouds.bounded_http import NoReply, Request, ask, parse_target
from probes.keys.subjects import Key
from probes.residency.address_signals import heard
from probes.residency.endpoint.said import range_answer
from probes.residency.endpoint_facts import NotAsked, Ranged
from probes.residency.flow_facts import Listed, PrincipalsRead, Published, RosterFacts, Shown
from probes.residency.references import ranges_of
from probes.residency.residency_control import STALE_AFTER
from probes.residency.rosters.parties import changes, listed, party
from probes.residency.rosters.tables import MAX_BYTES, RosterError, Table, read
from probes.residency.subjects import Party, Roster

PAGE_SECONDS: Final = 20.0
LOOKUP_SECONDS: Final = 5.0
_MOST: Final = 500
_ADDRESSES: Final = 64


class RosterProbe(SimpleProbe[Roster]):
    """The roster that is at hand, the one before, the page that publishes it, and what the parties' names lead to.

    Proves what the papers say and where they differ. Whether they are complete or true is the vendor's word.
    """

    id = "residency.roster"
    version = 1
    section = "subprocessors"
    facts: ClassVar[type[Facts]] = RosterFacts
    limit: ClassVar[float] = 300.0

    def touches(self, subject: Roster, io: Io) -> Iterable[Touch]:
        """Files of the customer's own, the published page, and the names of the parties' services."""
        hosts = sum(len(one.hosts) for one in subject.parties)
        page = f"; one GET of {subject.published}" if subject.published else ""
        yield Touch(
            what=f"the roster {subject.current}, on this machine; {hosts} names looked up{page}",
            credential="none",
            changes=False,
            technique=Technique.PASSIVE,
            connections=int(subject.published is not None),
            seconds=int(PAGE_SECONDS + LOOKUP_SECONDS * hosts),
        )

    def observe(self, subject: Roster, io: Io) -> Observed:
        """Everything about one roster. Raises ProbeError where it cannot be read at all."""
        content, table = _read(subject.current, io)
        entries, unread = listed(table)
        before: tuple[Listed, ...] = ()
        previous = None
        if subject.previous is not None:
            old, old_table = _read(subject.previous, io)
            before, old_unread = listed(old_table)
            unread = (*unread, *old_unread)[:64]
            previous = hashlib.sha256(old).hexdigest()
        strangers, seen = _strangers(subject, io)
        facts = RosterFacts(
            file=vendor_text(subject.current),
            sha256=hashlib.sha256(content).hexdigest(),
            format=table.format,
            fetched=subject.fetched,
            entries=entries,
            unread=unread,
            previous=previous,
            previous_fetched=subject.previous_fetched,
            changes=changes(before, entries, subject.notices, subject.previous_fetched) if previous is not None else (),
            published=_published(subject, entries, io),
            shown=_all_shown(subject, io),
            missing=_missing(subject, entries),
            principals=strangers,
            principals_seen=seen,
        )
        return Observed(WHOLE, facts)


def _read(name: str, io: Io) -> tuple[bytes, Table]:
    content = read_regular(f"the roster {name}", io.base / name, MAX_BYTES)
    try:
        return content, read(content)
    except RosterError as error:
        raise ProbeError(Reason.MALFORMED, vendor_text(f"the roster {name} {error}")) from None


def _published(subject: Roster, entries: tuple[Listed, ...], io: Io) -> Published | NotAsked | Unseen:
    if subject.published is None:
        return NotAsked()
    try:
        target = parse_target(subject.published, io.vantage.proxy)
    except ValueError as error:
        return Unseen(reason=Reason.UNSUPPORTED, detail=vendor_text(str(error)))
    bundle = None if io.vantage.ca_bundle is None else str(io.base / io.vantage.ca_bundle)
    try:
        context = ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        detail = f"the vantage's ca_bundle cannot be read ({type(error).__name__})"
        return Unseen(reason=Reason.UNREACHABLE, detail=detail)
    request = Request(target, "GET", (("Host", target.host), ("Accept", "text/html, application/json, text/csv")))
    reply = ask(request, PAGE_SECONDS, context=context, resolver=io.resolver, monotonic=io.monotonic)
    if isinstance(reply, NoReply):
        return Unseen(reason=Reason.UNREACHABLE, detail=vendor_text(reply.words))
    if reply.status != 200:
        return Unseen(reason=Reason.UNREACHABLE, detail=f"the page answered {reply.status}")
    try:
        told, unread = listed(read(reply.body))
    except RosterError as error:
        return Unseen(reason=Reason.MALFORMED, detail=vendor_text(f"the page {error}"))
    if unread:
        return unread[0].model_copy(update={"detail": vendor_text(f"of the page, {unread[0].detail}")})
    differs = changes(told, entries, ())
    return Published(
        url=vendor_text(subject.published),
        sha256=hashlib.sha256(reply.body).hexdigest(),
        same=not differs,
        differs=tuple(vendor_text(f"{one.party}: {one.kind}") for one in differs)[:64],
    )


def _all_shown(subject: Roster, io: Io) -> tuple[Shown, ...]:
    """All hosts of all parties, up to a bound; what is beyond it is said."""
    hosts = [(one, host) for one in subject.parties for host in one.hosts]
    if len(hosts) <= _MOST:
        return tuple(_shown(one, host, io) for one, host in hosts)
    found = [_shown(one, host, io) for one, host in hosts[: _MOST - 1]]
    last, name = hosts[_MOST - 1]
    doubt = Unseen(reason=Reason.NOT_COVERED, detail=f"{len(hosts) - len(found)} more names were not looked up")
    return (*found, Shown(party=vendor_text(last.name), host=name, countries=(), sources=(), doubt=doubt))


def _shown(one: Party, host: str, io: Io) -> Shown:
    """Where a party's service is, by ranges of all its addresses: one that none holds leaves it open."""
    ranges = ranges_of(io)
    countries: set[str] = set()
    sources: set[str] = set()
    doubt: Unseen | None = None
    try:
        addresses = tuple(io.resolver(host, min(LOOKUP_SECONDS, io.budget)))
    except ProbeError as error:
        addresses, doubt = (), Unseen(reason=error.reason, detail=vendor_text(str(error)))
    if len(addresses) > _ADDRESSES:
        detail = f"{len(addresses)} addresses; {_ADDRESSES} are looked up"
        doubt = Unseen(reason=Reason.NOT_COVERED, detail=detail)
    for address in addresses[:_ADDRESSES]:
        answer = range_answer(ranges, address, io.clock())
        if not isinstance(answer, Ranged):
            doubt = answer
            continue
        told = heard(answer, STALE_AFTER)
        if told.stale:
            detail = vendor_text(f"{address}: ranges are too old ({'; '.join(told.stale)})")
            doubt = Unseen(reason=Reason.STALE, detail=detail)
        elif told.anycast:
            detail = vendor_text(f"{address} is announced from many places, by {', '.join(told.anycast)}")
            doubt = Unseen(reason=Reason.NOT_COVERED, detail=detail)
        elif not any(signal.strength.carries for signal in told.signals):
            doubt = Unseen(reason=Reason.NOT_COVERED, detail=vendor_text(f"no ranges tell where {address} is"))
        countries |= {code for signal in told.signals for code in signal.countries}
        sources |= {f"{source.name} {(source.published or source.imported):%Y-%m-%d}" for source in answer.sources}
    return Shown(
        party=vendor_text(one.name),
        host=host,
        countries=tuple(sorted(countries))[:64],
        sources=tuple(sorted(sources))[:16],
        doubt=doubt,
    )


def _strangers(subject: Roster, io: Io) -> tuple[tuple[str, ...], PrincipalsRead | NotAsked | Unseen]:
    """Principals that keys admit as the vendor's, by their declaration, and that no party of the roster has.

    That key policies admit nobody else is for `keys.principals`.
    """
    keys: list[Key] = []
    for entry in io.subjects:
        if entry.section == "keys":
            try:
                keys.append(Key.model_validate_json(entry.body))
            except ValidationError:
                return (), Unseen(reason=Reason.MALFORMED, detail=f"{entry.id} cannot be read")
    if not keys:
        return (), NotAsked()
    known = {principal for one in subject.parties for principal in one.principals}
    strange = {principal for key in keys for principal in key.agreed.vendor} - known
    return tuple(sorted(strange))[:_MOST], PrincipalsRead(keys=tuple(sorted(key.resource for key in keys))[:200])


def _missing(subject: Roster, entries: tuple[Listed, ...]) -> tuple[str, ...]:
    """Parties of the contract that the roster does not list."""
    told = {party(entry.name) for entry in entries}
    own = party(subject.vendor) if subject.vendor else None
    return tuple(sorted(one.name for one in subject.parties if party(one.name) not in told | {own}))

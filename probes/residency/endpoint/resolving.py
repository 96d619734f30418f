"""Who is asked for an endpoint's name, and what each said: the system's resolver and every declared server.

Answers are not fused: two resolvers that differ are two answers. What a server leaves open (an alias whose end it does
not tell) is asked of it again; where a zone's own server says no more, the system's resolver finishes the chain.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.places.whereabouts import ClientSubnet, Nameserver, Whereabouts
from probes.residency.endpoint.dns_message import (
    MAX_ADDRESSES,
    MAX_ALIASES,
    Answered,
    Record,
    Unusable,
    question,
    read,
)
from probes.residency.endpoint.dns_transport import Letter, ask
from probes.tls.subjects import Endpoint
from probes.tls.wire.transport import Address

Role: TypeAlias = Literal["system", "recursive", "authoritative"]

RECORDS: Final[tuple[Record, ...]] = ("A", "AAAA")
SYSTEM: Final = "system"
DNS_PORT: Final = 53
WAIT_SECONDS: Final = 3.0
"""For one question over UDP, and again over TCP."""
RESOLVE_SECONDS: Final = 5.0
MAX_ASKED: Final = 500
"""Questions for one name, followed aliases apart."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of the plan."""

    resolver: str
    role: Role
    record: Record
    server: Address | None
    """None: the system's own."""
    subnet: ClientSubnet | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to it."""

    asked: Asked
    answer: Answered
    finished_by: str | None = None
    """Who told the end of the chain, where that was somebody else."""


@dataclass(frozen=True, slots=True)
class Untold:
    """None, and why."""

    asked: Asked
    why: Unusable
    scope: int | None = None
    """Of the client subnet, where a part of the chain was told for it."""


Saying: TypeAlias = Told | Untold


@dataclass(frozen=True, slots=True)
class Sayings:
    """What everybody said of a name."""

    name: str
    all: tuple[Saying, ...]
    left_out: int = 0
    """Questions beyond the bound, which were not asked."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that anybody told, each once, in the order of the answers."""
        return tuple(
            dict.fromkeys(ip for saying in self.all if isinstance(saying, Told) for ip in saying.answer.addresses)
        )


def sayings_of(subject: Endpoint, io: Io) -> Sayings:
    """Asked once in a run from each vantage: the names and the addresses of an endpoint rest on the same answers."""
    key = ("residency.names", io.vantage.id, subject.id, subject.place.host)
    return io.once.get(key, lambda: _sayings(subject, io))


def plan(whereabouts: Whereabouts) -> tuple[Asked, ...]:
    """The questions: the system first, then every server without a subnet, then the subnets."""
    servers = [(nameserver, _server(nameserver)) for nameserver in whereabouts.nameservers]
    asked = [Asked(SYSTEM, "system", record, None) for record in RECORDS]
    for subnet in (None, *whereabouts.subnets):
        for nameserver, server in servers:
            asked += [Asked(nameserver.address, nameserver.role, record, server, subnet) for record in RECORDS]
    return tuple(asked)


def _server(nameserver: Nameserver) -> Address | None:
    ip, _, port = nameserver.address.partition("#")
    try:
        return Address(str(ipaddress.ip_address(ip)), int(port or DNS_PORT))
    except ValueError:
        return None


def _sayings(subject: Endpoint, io: Io) -> Sayings:
    name = subject.place.host
    whereabouts = subject.whereabouts or Whereabouts()
    asked = plan(whereabouts)
    system = _SystemSays(name, io)
    deadline = io.monotonic() + 0.8 * io.budget
    told = _Round(name, [one for one in asked[:MAX_ASKED] if one.role != SYSTEM], io, deadline).all()
    by = {saying.asked: saying for saying in told}
    said = tuple(system.on(one) if one.role == SYSTEM else by[one] for one in asked[:MAX_ASKED])
    finished = tuple(_finished(saying, io) for saying in said)
    return Sayings(name, finished, max(0, len(asked) - MAX_ASKED))


class _SystemSays:
    """The system's resolver tells addresses of both kinds at once, and no aliases."""

    def __init__(self, name: str, io: Io) -> None:
        self._name = name
        self._found: Sequence[str] | Unusable = _system(name, io)

    def on(self, asked: Asked) -> Saying:
        """Its answer to one question."""
        if isinstance(self._found, Unusable):
            return Untold(asked, self._found)
        version = 4 if asked.record == "A" else 6
        mine = tuple(ip for ip in self._found if ipaddress.ip_address(ip).version == version)
        return Told(asked, Answered((self._name,), mine, None, None, False, False, whole=True))


def _system(name: str, io: Io) -> Sequence[str] | Unusable:
    try:
        resolved = io.resolver(name, min(RESOLVE_SECONDS, io.budget))
        found = tuple(dict.fromkeys(str(ipaddress.ip_address(ip.partition("%")[0])) for ip in resolved))
    except ProbeError as error:
        return Unusable(error.reason, str(error))
    except ValueError:
        return Unusable(Reason.MALFORMED, "it tells what is no address")
    if not found:
        return Unusable(Reason.UNREACHABLE, f"{name} has no address")
    if len(found) > MAX_ADDRESSES:
        return Unusable(Reason.NOT_COVERED, f"{len(found)} addresses; {MAX_ADDRESSES} are looked at")
    return found


@dataclass(frozen=True, slots=True)
class _Open:
    """A question under way: the chain so far and the name that is asked for now."""

    asked: Asked
    chain: tuple[str, ...]
    ttl: int | None = None
    scope: int | None = None
    """Of the first answer: it chose where the chain leads."""


class _Round:
    """Questions to declared servers, followed along aliases until each is answered."""

    def __init__(self, name: str, asked: Sequence[Asked], io: Io, deadline: float) -> None:
        self._io = io
        self._deadline = deadline
        self._done: list[Saying] = []
        self._open = [_Open(one, (name,)) for one in asked]

    def all(self) -> list[Saying]:
        """One saying for each question."""
        while self._open:
            opened, self._open = self._open, []
            letters = list(self._letters(opened))
            replies = ask(
                [letter for _, letter in letters],
                WAIT_SECONDS,
                self._deadline,
                self._io.vantage.source,
                self._io.monotonic,
            )
            for (one, letter), reply in zip(letters, replies, strict=True):
                self._take(one, reply if isinstance(reply, Unusable) else read(reply, letter.asked))
        return self._done

    def _letters(self, opened: Sequence[_Open]) -> Iterator[tuple[_Open, Letter]]:
        for one in opened:
            server, subnet = one.asked.server, one.asked.subnet
            if server is None:
                why = Unusable(Reason.UNSUPPORTED, f"{one.asked.resolver} is no address of a name server")
                self._done.append(Untold(one.asked, why))
                continue
            try:
                asked = question(
                    one.chain[-1],
                    one.asked.record,
                    None if subnet is None else subnet.network,
                    one.asked.role == "recursive",
                    self._io.entropy(2),
                )
            except ValueError as error:
                self._done.append(Untold(one.asked, Unusable(Reason.UNSUPPORTED, str(error), one.chain)))
                continue
            yield one, Letter(server, asked)

    def _take(self, one: _Open, answer: Answered | Unusable) -> None:
        chain = (*one.chain, *answer.chain[1:])
        if not isinstance(answer, Unusable):
            answer = _wrong(one, chain, answer) or answer
        if isinstance(answer, Unusable):
            self._done.append(Untold(one.asked, replace(answer, chain=chain), one.scope))
            return
        ttls = [ttl for ttl in (one.ttl, answer.ttl) if ttl is not None]
        ttl = min(ttls) if ttls else None
        scope = one.scope if len(one.chain) > 1 else answer.scope
        if answer.whole:
            self._done.append(Told(one.asked, replace(answer, chain=chain, ttl=ttl, scope=scope)))
        else:
            self._open.append(_Open(one.asked, chain, ttl, scope))


def _wrong(one: _Open, chain: tuple[str, ...], answer: Answered) -> Unusable | None:
    if len(set(chain)) < len(chain):
        return Unusable(Reason.MALFORMED, f"aliases go round in a circle at {chain[-1]}")
    if len(chain) > MAX_ALIASES + 1:
        return Unusable(Reason.MALFORMED, f"more than {MAX_ALIASES} aliases")
    if one.asked.role == "authoritative" and not answer.authoritative:
        if len(one.chain) == 1:
            return Unusable(Reason.CONFLICTING, "declared as authoritative, and does not answer as such")
        if not answer.addresses:
            return Unusable(Reason.NOT_COVERED, f"it does not tell what {one.chain[-1]} is")
    return None


def _finished(saying: Saying, io: Io) -> Saying:
    """A zone's server that leads out of its zone and says no more: the system's resolver tells where that ends."""
    if isinstance(saying, Told) or saying.asked.role != "authoritative" or len(saying.why.chain) < 2:
        return saying
    if saying.why.reason not in (Reason.NOT_COVERED, Reason.PERMISSION_DENIED):
        return saying
    end = saying.why.chain[-1]
    found = io.once.get(("residency.names.end", io.vantage.id, end), lambda: _system(end, io))
    if isinstance(found, Unusable):
        return saying
    version = 4 if saying.asked.record == "A" else 6
    mine = tuple(ip for ip in found if ipaddress.ip_address(ip).version == version)
    answer = Answered(saying.why.chain, mine, None, saying.scope, False, True, whole=True)
    return Told(saying.asked, answer, finished_by=SYSTEM)

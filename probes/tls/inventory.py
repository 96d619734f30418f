"""A full inventory of one address by elimination: every version, suite and group, in the server's order.

It asks with everything, takes what the server chose out, and asks again until it refuses. Proves what is
accepted; that the rest is refused is proved as far as the chains end in an alert and something was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from OpenSSL import SSL

from probes.tls.answer_facts import AcceptedAnswer, Purpose
from probes.tls.asker import Asker, Job, Spoken
from probes.tls.questions import CHUNK, LEGACY_GROUPS, OLD_SUITES, Ask, hello13, legacy_hello
from probes.tls.record import answer_fact
from probes.tls.wire.answers import Accepted, Refused
from probes.tls.wire.codepoints import (
    GROUPS13,
    SSL2,
    SSL2_KINDS,
    SSL3,
    SUITES,
    SUITES13,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
)
from probes.tls.wire.context import ClientContext, Configuration
from probes.tls.wire.handshake import Completed, Handshake
from probes.tls.wire.hello import Hello, Ssl2Hello
from probes.tls.wire.parse import Until
from probes.tls.wire.question import Question
from probes.tls.wire.transport import Address, Conversation, Exchange, Prelude

BUDGET_SECONDS: Final = 120
AT_ONCE: Final = 8
Order = Literal["server", "client", "unknown"]
Resumption = Literal["resumed", "not-resumed", "no-ticket", "unknown"]


@dataclass(frozen=True, slots=True)
class Offered:
    """What one version offers."""

    version: int
    suites: tuple[int, ...]
    """In the order in which the server chose them; SSLv2: as listed."""
    order: Order
    """Whose order decides; `unknown` with fewer than two."""
    groups: tuple[int, ...]
    """Named groups in the order chosen; empty where the version or its suites use none."""
    complete: bool
    """Every chain of questions ended in a refusal."""
    trouble: str
    """How the first incomplete chain ended, or empty."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All versions that were accepted or could not be ruled out, newest first."""

    offered: tuple[Offered, ...]
    connections: int
    resumption: Resumption = "unknown"
    """Whether a second real handshake took up the session of the first; `unknown` when one of them did not complete."""

    @property
    def complete(self) -> bool:
        """Everything was accepted or refused, and something was accepted."""
        return all(each.complete for each in self.offered) and any(each.suites for each in self.offered)


@dataclass(slots=True)
class _Chain:
    """One elimination: what was chosen so far, and how it ended."""

    ask: Ask
    chosen: list[int]
    end: str = "not asked"
    refused: bool = False


class _Taking:
    """One inventory under way."""

    def __init__(
        self,
        address: Address,
        sni: str | None,
        prelude: Callable[[], Prelude | None],
        asker: Asker,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._address = address
        self._sni = sni
        self._prelude = prelude
        self._asker = asker
        self._entropy = entropy
        self._chains: dict[str, _Chain] = {}
        self._current: dict[str, tuple[_Chain, Ask]] = {}

    def run(self, asks: list[Ask]) -> dict[str, _Chain]:
        """Follow each question to its end; the chains by question id."""
        jobs = [self._job(self._chains.setdefault(ask.id, _Chain(ask, [])), ask) for ask in asks]
        self._asker.ask(jobs, self._follow, AT_ONCE)
        for ask in asks:
            self._settle(ask.id)
        return {ask.id: self._chains[ask.id] for ask in asks}

    def first_choice(self, ask: Ask) -> int | None:
        """What the server chooses of one hello."""
        chain = _Chain(ask, [])
        exchanges = self._asker.ask([self._job(chain, ask)])
        for exchange in exchanges:
            fact = answer_fact(ask, exchange.answer)
            if isinstance(fact, AcceptedAnswer):
                return fact.suite
        return None

    def _job(self, chain: _Chain, ask: Ask) -> Job:
        key = f"{chain.ask.id} {len(chain.chosen)} {len(ask.suites)} {len(ask.groups)}"
        hello: Hello | Ssl2Hello
        if isinstance(ask.hello, Hello):
            sni = self._sni if ask.hello.extensions else None
            hello = replace(ask.hello, random=self._entropy(32), sni=sni)
        else:
            hello = replace(ask.hello, challenge=self._entropy(32))
        self._current[key] = (chain, ask)

        def conversation() -> Conversation[Spoken]:
            return Question(hello, ask.until)

        return Job(key, conversation, self._address, self._prelude, close_is_usual=ask.cap == SSL2)

    def _follow(self, exchange: Exchange[Spoken]) -> Iterator[Job]:
        chain, ask = self._current[exchange.label]
        chain.end = exchange.label
        fact = answer_fact(ask, exchange.answer)
        if not isinstance(fact, AcceptedAnswer) or (fact.version < ask.cap and ask.cap != SSL2):
            return
        further = _without(ask, fact, exchange.answer, chain.chosen)
        if further is not None:
            yield self._job(chain, further)

    def _settle(self, ident: str) -> None:
        """How the chain's last question ended, repetitions included."""
        chain = self._chains[ident]
        tried = self._asker.tried.get(chain.end)
        answer = tried.finals[-1].answer if tried is not None and tried.finals else None
        match answer:
            case Refused():
                chain.refused, chain.end = True, ""
            case Accepted():
                chain.refused, chain.end = True, ""  # nothing was left to take out, or an older version answered
            case None:
                chain.end = "not asked"
            case other if chain.ask.cap == SSL2:
                chain.refused, chain.end = str(getattr(other, "kind", "")) in ("closed", "reset"), str(other)
            case other:
                chain.end = str(other)


def _without(ask: Ask, fact: AcceptedAnswer, spoken: Spoken, chosen: list[int]) -> Ask | None:
    """The question without what was chosen, which is noted."""
    if not isinstance(ask.hello, Hello):
        chosen.extend(spoken.ssl2_kinds if isinstance(spoken, Accepted) else ())
        return None
    if ask.tests is Purpose.GROUPS:
        if fact.group is None or fact.group in chosen or fact.group not in ask.hello.groups:
            return None
        chosen.append(fact.group)
        left = tuple(g for g in ask.hello.groups if g != fact.group)
        return replace(ask, hello=replace(ask.hello, groups=left)) if left else None
    chosen.append(fact.suite)
    left = tuple(s for s in ask.hello.suites if s != fact.suite)
    return replace(ask, hello=replace(ask.hello, suites=left)) if left else None


def take_inventory(
    address: Address,
    sni: str | None,
    *,
    clock: Callable[[], int],
    entropy: Callable[[int], bytes],
    wait_us: int = 3_000_000,
    prelude: Callable[[], Prelude | None] = lambda: None,
) -> Inventory:
    """Ask one address everything. `clock` is monotonic microseconds, `prelude` makes what comes before TLS.

    Sends some hundreds of hellos at most `AT_ONCE` at a time: ask for permission first.
    """
    asker = Asker(clock, clock() + BUDGET_SECONDS * 1_000_000, wait_us)
    taking = _Taking(address, sni, prelude, asker, entropy)
    groups = tuple(g for g in LEGACY_GROUPS if g < 0xFF00)
    first: list[Ask] = [
        Ask("suites 1.3", Purpose.SUITES, TLS13, hello13(tuple(SUITES13), tuple(GROUPS13))),
        Ask("groups 1.3", Purpose.GROUPS, TLS13, hello13(tuple(SUITES13), tuple(GROUPS13))),
        Ask("sslv2", Purpose.VERSIONS, SSL2, Ssl2Hello(challenge=bytes(32), kinds=tuple(SSL2_KINDS))),
    ]
    for version in (TLS12, TLS11, TLS10, SSL3):
        age = tuple(SUITES) if version == TLS12 else OLD_SUITES
        for start in range(0, len(age), CHUNK):
            hello = legacy_hello(version, age[start : start + CHUNK], groups, 0x0301)
            if version == SSL3:
                hello = replace(hello, record_version=SSL3, extensions=False)
            first.append(Ask(f"suites {version:#06x} {start}", Purpose.SUITES, version, hello, (), Until.FLIGHT))
    chains = taking.run(first)
    offered = [_tls13(taking, chains)]
    offered += [_old(taking, chains, version, groups) for version in (TLS12, TLS11, TLS10, SSL3)]
    ancient = chains["sslv2"]
    trouble = "" if ancient.refused else ancient.end
    offered.append(Offered(SSL2, tuple(ancient.chosen), "unknown", (), ancient.refused, trouble))
    shown = tuple(each for each in offered if each.suites or not each.complete)
    resumption = _resumption(asker, address, sni, prelude)
    return Inventory(shown, len(asker.log), resumption)


def _resumption(asker: Asker, address: Address, sni: str | None, prelude: Callable[[], Prelude | None]) -> Resumption:
    """Two real handshakes, the second with the session of the first (RFC 8446 section 2.2)."""
    context = ClientContext(Configuration(alpn=()))
    made: list[Handshake] = []

    def shake(session: SSL.Session | None) -> Handshake:
        made.append(Handshake(context, sni=sni, resume=session))
        return made[-1]

    asker.ask([Job("resumption-1", lambda: shake(None), address, prelude)])
    first = made[-1]
    if not isinstance(first.answer, Completed):
        return "unknown"
    if first.session is None or (first.answer.version == TLS13 and not first.answer.flight.tickets):
        return "no-ticket"
    asker.ask([Job("resumption-2", lambda: shake(first.session), address, prelude)])
    answer = made[-1].answer
    if not isinstance(answer, Completed):
        return "unknown"
    return "resumed" if answer.flight.resumed else "not-resumed"


def _tls13(taking: _Taking, chains: dict[str, _Chain]) -> Offered:
    suites, groups = chains["suites 1.3"], chains["groups 1.3"]
    order: Order = "unknown"
    if len(suites.chosen) > 1:
        backwards = hello13(tuple(reversed(suites.chosen)), tuple(GROUPS13))
        order = _whose(suites.chosen, taking.first_choice(Ask("order 1.3", Purpose.SUITES, TLS13, backwards)))
    ends = [chain.end for chain in (suites, groups) if not chain.refused]
    return Offered(TLS13, tuple(suites.chosen), order, tuple(groups.chosen), not ends, ends[0] if ends else "")


def _old(taking: _Taking, chains: dict[str, _Chain], version: int, groups: tuple[int, ...]) -> Offered:
    own = [chain for chain in chains.values() if chain.ask.cap == version]
    found = [suite for chain in own for suite in chain.chosen]
    ends = [chain.end for chain in own if not chain.refused]
    order: Order = "unknown"
    named: tuple[int, ...] = ()
    if found:
        offer = tuple(found[:CHUNK])
        hello = legacy_hello(version, offer, groups, 0x0301)
        if version == SSL3:
            hello = replace(hello, record_version=SSL3, extensions=False)
        asks = [Ask(f"order {version:#06x}", Purpose.SUITES, version, hello, (), Until.FLIGHT)]
        if version != SSL3:
            asks.append(Ask(f"groups {version:#06x}", Purpose.GROUPS, version, hello, (), Until.FLIGHT))
        further = taking.run(asks)
        ordered = further[asks[0].id].chosen
        found = ordered if set(ordered) == set(found) else found
        named = tuple(further[asks[-1].id].chosen) if version != SSL3 else ()
        if len(found) > 1:
            backwards = replace(hello, suites=tuple(reversed(found[:CHUNK])))
            choice = taking.first_choice(
                Ask(f"backwards {version:#06x}", Purpose.SUITES, version, backwards, (), Until.FLIGHT)
            )
            order = _whose(found, choice)
    return Offered(version, tuple(found), order, named, not ends, ends[0] if ends else "")


def _whose(chosen: list[int], backwards: int | None) -> Order:
    """Asked in the opposite order, a server with an order of its own chooses the same first."""
    if backwards is None:
        return "unknown"
    return "server" if backwards == chosen[0] else "client" if backwards == chosen[-1] else "unknown"

"""Questions to name servers as bytes, and what answers say. Pure; everything that arrives is hostile.

RFC 1035, RFC 6891 (EDNS), RFC 7871 (client subnets), RFC 8914 (extended errors). An answer is taken only when it is one
to the question that was asked, tells of no other names, and leads from the name through aliases to addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from keycheck.model.verdict import Reason

if TYPE_CHECKING:
    import dns.message

Record: TypeAlias = Literal["A", "AAAA"]

PAYLOAD: Final = 1232
"""Bytes of a UDP answer that are asked for: what never needs fragments (DNS flag day 2020)."""
MAX_RECORDS: Final = 512
MAX_ALIASES: Final = 16
MAX_ADDRESSES: Final = 64
_HEADER: Final = 12
_RESPONSE, _TRUNCATED = 0x80, 0x02
_WITHOUT_QUESTION: Final = frozenset({1, 2, 4, 5})
"""Codes of errors that some servers send without repeating the question: FORMERR, SERVFAIL, NOTIMP, REFUSED."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is sent."""

    name: str
    record: Record
    subnet: str | None
    wire: bytes

    @property
    def ident(self) -> bytes:
        """The two bytes that an answer must bear."""
        return self.wire[:2]


@dataclass(frozen=True, slots=True)
class Answered:
    """A usable answer: the chain of names from the one that was asked for, and the addresses at its end, if any."""

    chain: tuple[str, ...]
    addresses: tuple[str, ...]
    ttl: int | None
    scope: int | None
    """Of the client subnet; None: not heeded, or none was sent."""
    authentic: bool
    """The AD flag: the server says that it validated."""
    authoritative: bool
    whole: bool
    """False: the answer ends in an alias and does not say what becomes of it."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer that cannot be used, and why. `chain` is what it told before that."""

    reason: Reason
    detail: str
    chain: tuple[str, ...] = ()


def question(name: str, record: Record, subnet: str | None, recursive: bool, ident: bytes) -> Question:
    """A question with EDNS. `ident` are two random bytes. Raises ValueError for a name or network that is none."""
    import dns.edns
    import dns.exception
    import dns.flags
    import dns.message

    options: list[dns.edns.Option] = []
    if subnet is not None:
        network = ip_network(subnet, strict=False)
        options.append(dns.edns.ECSOption(str(network.network_address), network.prefixlen))
    try:
        message = dns.message.make_query(
            name, record, use_edns=0, payload=PAYLOAD, options=options, id=int.from_bytes(ident, "big")
        )
        message.flags = dns.flags.RD | dns.flags.AD if recursive else dns.flags.Flag(0)
        return Question(name, record, subnet, message.to_wire())
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f"{name!r} is no name that can be asked for: {error}") from error


def is_answer(data: bytes, asked: Question) -> str | None:
    """None if the bytes are an answer to this very question, truncated or not; else what is wrong, in words."""
    if len(data) < _HEADER:
        return "shorter than a header"
    if data[:2] != asked.ident:
        return "an answer with another id"
    if not data[2] & _RESPONSE:
        return "a question"
    if data[2] & 0x78:
        return "an answer to another operation"
    count = int.from_bytes(data[4:6], "big")
    if count == 0 and data[3] & 0x0F in _WITHOUT_QUESTION:
        return None
    end = _question_end(asked.wire)
    if count != 1 or data[_HEADER:end].lower() != asked.wire[_HEADER:end].lower():
        return "an answer to another question"
    return None


def is_truncated(data: bytes) -> bool:
    """Whether the server had more to say than fits."""
    return bool(data[2] & _TRUNCATED)


def _question_end(wire: bytes) -> int:
    """Of our own question, whose name is never compressed."""
    at = _HEADER
    while wire[at]:
        at += wire[at] + 1
    return at + 5


def read(data: bytes, asked: Question) -> Answered | Unusable:
    """What an answer says. Give only what `is_answer` let through. Never raises, whatever the bytes."""
    import dns.exception
    import dns.message

    if sum(int.from_bytes(data[at : at + 2], "big") for at in (6, 8, 10)) > MAX_RECORDS:
        return Unusable(Reason.MALFORMED, f"more than {MAX_RECORDS} records")
    try:
        message = dns.message.from_wire(data)
        return _read(message, asked)
    except (dns.exception.DNSException, ValueError, IndexError, KeyError, OverflowError) as error:
        return Unusable(Reason.MALFORMED, f"no DNS message: {type(error).__name__}")


def _read(message: dns.message.Message, asked: Question) -> Answered | Unusable:
    import dns.flags
    import dns.rcode

    code = message.rcode()
    if code != dns.rcode.NOERROR:
        return Unusable(_reason_of(int(code)), f"{dns.rcode.to_text(code)}{_extended(message)}")
    scope = _scope(message, asked)
    if isinstance(scope, Unusable):
        return scope
    links = _links(message, asked.record)
    if isinstance(links, Unusable):
        return links
    walked = _walk(links, _plain(asked.name))
    if isinstance(walked, Unusable):
        return walked
    end = links.addresses.get(walked[-1])
    if end is None and len(walked) == 1 and _is_referral(message):
        return Unusable(Reason.NOT_COVERED, "it refers to other servers", walked)
    addresses = () if end is None else tuple(dict.fromkeys(end[0]))
    if len(addresses) > MAX_ADDRESSES:
        return Unusable(Reason.NOT_COVERED, f"{len(addresses)} addresses; {MAX_ADDRESSES} are looked at", walked)
    ttls = [links.aliases[name][1] for name in walked[:-1]] + ([] if end is None else [end[1]])
    return Answered(
        walked,
        addresses,
        min(ttls) if ttls else None,
        scope,
        bool(message.flags & dns.flags.AD),
        bool(message.flags & dns.flags.AA),
        end is not None or len(walked) == 1 or _says_nothing_more(message),
    )


@dataclass(frozen=True, slots=True)
class _Links:
    aliases: dict[str, tuple[str, int]]
    addresses: dict[str, tuple[list[str], int]]
    owners: tuple[str, ...]


def _links(message: dns.message.Message, record: Record) -> _Links | Unusable:
    import dns.rdataclass
    import dns.rdatatype

    links = _Links({}, {}, tuple(_plain(rrset.name.to_text()) for rrset in message.answer))
    for rrset in message.answer:
        name = _plain(rrset.name.to_text())
        if rrset.rdclass != dns.rdataclass.IN:
            return Unusable(Reason.MALFORMED, "records of another class than IN")
        if rrset.rdtype == dns.rdatatype.CNAME:
            if len(rrset) != 1 or name in links.aliases:
                return Unusable(Reason.MALFORMED, f"{name} has several aliases")
            links.aliases[name] = (_plain(rrset[0].target.to_text()), rrset.ttl)
        elif rrset.rdtype == dns.rdatatype.from_text(record):
            found, ttl = links.addresses.setdefault(name, ([], rrset.ttl))
            found += [str(each.address) for each in rrset]
            links.addresses[name] = (found, min(ttl, rrset.ttl))
    both = sorted(links.aliases.keys() & links.addresses.keys())
    if both:
        return Unusable(Reason.MALFORMED, f"{both[0]} is an alias and has addresses")
    stray = _stray(message, links)
    return links if stray is None else Unusable(Reason.MALFORMED, f"records of another name: {stray}")


def _stray(message: dns.message.Message, links: _Links) -> str | None:
    """A name in the answer that does not belong to the chain. DNAME records stand at a name above (RFC 6672)."""
    import dns.rdatatype

    told = {_plain(message.question[0].name.to_text())} if message.question else set()
    told |= {target for target, _ in links.aliases.values()}
    for rrset in message.answer:
        name = _plain(rrset.name.to_text())
        if name in told:
            continue
        kind = rrset.covers if rrset.rdtype == dns.rdatatype.RRSIG else rrset.rdtype
        if kind == dns.rdatatype.DNAME and any(each.endswith(f".{name}") for each in told):
            continue
        return name
    return None


def _walk(links: _Links, name: str) -> tuple[str, ...] | Unusable:
    """From the name through aliases to the last; every alias must be on the way."""
    chain = [name]
    while (alias := links.aliases.get(chain[-1])) is not None:
        if alias[0] in chain:
            return Unusable(Reason.MALFORMED, f"aliases go round in a circle at {alias[0]}", tuple(chain))
        if len(chain) > MAX_ALIASES:
            return Unusable(Reason.MALFORMED, f"more than {MAX_ALIASES} aliases", tuple(chain))
        chain.append(alias[0])
    unused = sorted((links.aliases.keys() | links.addresses.keys()) - set(chain))
    if unused:
        return Unusable(Reason.MALFORMED, f"records of another name: {unused[0]}", tuple(chain))
    return tuple(chain)


def _scope(message: dns.message.Message, asked: Question) -> int | Unusable | None:
    """Prefix length that the answer is for. One for another network than was sent must be dropped (RFC 7871, 7.3)."""
    import dns.edns

    said = [option for option in message.options if isinstance(option, dns.edns.ECSOption)]
    if asked.subnet is None or not said:
        return None
    network = ip_network(asked.subnet, strict=False)
    one = said[0]
    same = one.address == str(network.network_address) and one.srclen == network.prefixlen
    if len(said) > 1 or not same:
        return Unusable(Reason.MALFORMED, "an answer for another client subnet")
    return int(one.scopelen)


def _is_referral(message: dns.message.Message) -> bool:
    import dns.rdatatype

    kinds = {rrset.rdtype for rrset in message.authority}
    return not message.answer and dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _says_nothing_more(message: dns.message.Message) -> bool:
    """A name without such records: RFC 2308 marks it by the zone's SOA."""
    import dns.rdatatype

    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)


def _reason_of(code: int) -> Reason:
    match code:
        case 5:  # REFUSED
            return Reason.PERMISSION_DENIED
        case 1 | 4 | 16 | 23:  # FORMERR, NOTIMP, BADVERS, BADCOOKIE
            return Reason.UNSUPPORTED
        case _:
            return Reason.UNREACHABLE


def _extended(message: dns.message.Message) -> str:
    """Extended errors, for people."""
    import dns.edns

    said = [option for option in message.options if isinstance(option, dns.edns.EDEOption)][:4]
    return "".join(f", extended error {int(option.code)} {option.text or ''}".rstrip() for option in said)


def _plain(name: str) -> str:
    return name.removesuffix(".").lower()

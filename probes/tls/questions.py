"""The contract's complement as ClientHellos: what to ask a server so that its refusals mean something. Pure.

A server picks the version first, then the suite, then the group. A refusal therefore proves something about
exactly one of them, and each question offers a forbidden value of one beside allowed values of the others.
Its positive twin is the same hello with only the tested value exchanged for an allowed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from keycheck.model.control import Control
from probes.tls.answer_facts import CLOSING, KnownCodes, Purpose
from probes.tls.negotiation_controls import Groups, PostQuantum, Protocols, Suites
from probes.tls.parameters import codes
from probes.tls.session_controls import Compression, Renegotiation
from probes.tls.wire.codepoints import (
    ANY_SUITE,
    GROUPS,
    GROUPS13,
    SIGNATURE_SCHEMES,
    SSL2,
    SSL2_KINDS,
    SSL3,
    SUITES,
    SUITES13,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    VERSIONS,
    is_post_quantum,
)
from probes.tls.wire.hello import Hello, KeyShare, Ssl2Hello
from probes.tls.wire.parse import Until

CHUNK: Final = 120
"""Suites of one legacy hello: with signalling values and a twin's TLS 1.3 suites still under 128."""
ZERO: Final = bytes(32)
RECORDS: Final = (0x0301, 0x0303)

_TLS12_ONLY: Final = re.compile(r"_(GCM|CCM|POLY1305|MGM|OMAC)(_|$)|_(SHA256|SHA384)$|_KUZNYECHIK_|_MAGMA_|_ARIA_")
EPHEMERAL_EC: Final = re.compile(r"^TLS_(OLD_)?ECDHE?_")
EPHEMERAL_FF: Final = re.compile(r"^TLS_(OLD_)?(DHE_|DH_anon_)")
COMMON: Final = re.compile(r"^TLS_(ECDHE_(RSA|ECDSA)|DHE_RSA|RSA)_WITH_(AES_\d+_(GCM|CBC)|CHACHA20|3DES_EDE_CBC)\w*$")
_EXPLICIT_CURVES: Final = frozenset({0xFF01, 0xFF02})

OLD_SUITES: Final = tuple(code for code in SUITES if not _TLS12_ONLY.search(SUITES.name(code)))
"""Suites that can be negotiated before TLS 1.2."""
SSL3_SUITES: Final = tuple(code for code in OLD_SUITES if not 0xC000 <= code < 0xFE00)
"""Suites of SSLv3's age. Elliptic curves need extensions, which SSLv3 has not."""
LEGACY_GROUPS: Final = tuple(code for code in GROUPS if not is_post_quantum(code) and not 0x1F <= code <= 0x29)
"""Groups that can be negotiated before TLS 1.3, explicit curves included."""
KNOWN: Final = KnownCodes(
    tls13=tuple(SUITES13),
    tls12=tuple(SUITES),
    tls10=OLD_SUITES,
    ssl3=SSL3_SUITES,
    ssl2=tuple(SSL2_KINDS),
    groups13=tuple(sorted(GROUPS13)),
    groups12=LEGACY_GROUPS,
)
"""What this version of keycheck asks about."""
_ALL_SIGALGS: Final = tuple(SIGNATURE_SCHEMES)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the demanded controls allow between them; None: nothing is said about it."""

    versions: frozenset[int] | None
    suites: frozenset[int] | None
    groups: frozenset[int] | None
    sessions: bool
    """Renegotiation or compression is demanded, so what speaks TLS 1.2 or older must be known."""
    raw: bool
    """Raw questions are needed at all."""


def contract(demands: Iterable[Control]) -> Contract:
    """The intersection of what the demanded controls allow. Controls of other kinds add nothing."""
    versions: list[frozenset[int]] = []
    suites: list[frozenset[int]] = []
    groups: list[frozenset[int]] = []
    sessions = raw = False
    for demand in demands:
        match demand:
            case Protocols():
                versions.append(codes(VERSIONS, demand.only))
            case Suites():
                suites.append(codes(ANY_SUITE, demand.only))
            case Groups():
                groups.append(codes(GROUPS, demand.only))
            case PostQuantum(mode="required"):
                groups.append(frozenset(code for code in GROUPS if is_post_quantum(code)))
                versions.append(frozenset({TLS13}))
            case PostQuantum(mode="forbidden"):
                groups.append(frozenset(code for code in GROUPS if not is_post_quantum(code)))
            case PostQuantum():
                raw = True
            case Renegotiation() | Compression():
                sessions = True
            case _:
                pass
    return Contract(
        _common(versions),
        _common(suites),
        _common(groups),
        sessions,
        raw or sessions or bool(versions or suites or groups),
    )


def _common(sets: list[frozenset[int]]) -> frozenset[int] | None:
    return frozenset.intersection(*sets) if sets else None


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: a hello without its randomness and server name, and what its answer is about."""

    id: str
    tests: Purpose
    cap: int
    hello: Hello | Ssl2Hello
    twins: tuple[str, ...] = ()
    until: Until = Until.HELLO
    name: Literal["own", "right"] = "own"

    def __hash__(self) -> int:
        # Asks are looked up for every server: a few of the members tell them apart well enough.
        return hash((self.id, self.cap, self.tests))

    @property
    def suites(self) -> tuple[int, ...]:
        """Suites (or SSLv2 kinds) offered, in the hello's order."""
        return self.hello.suites if isinstance(self.hello, Hello) else self.hello.kinds

    @property
    def groups(self) -> tuple[int, ...]:
        """Groups offered, in the hello's order."""
        return self.hello.groups if isinstance(self.hello, Hello) else ()


@lru_cache(maxsize=64)
def first_questions(terms: Contract) -> tuple[Ask, ...]:
    """Everything that is asked side by side, the twins first."""
    return tuple(_first_questions(terms)) if terms.raw else ()


def _first_questions(terms: Contract) -> Iterator[Ask]:
    allowed = terms.versions
    if allowed is None:
        allowed = frozenset({TLS13}) if terms.sessions else frozenset({TLS13, TLS12})
    suites13, groups13 = allowed13(terms)
    # A twin needs something to offer: a contract may allow a version and no suite of it.
    usable = [v for v in (TLS13, TLS12, TLS11, TLS10) if v in allowed and _usable(v, terms)]
    bases = [v for v in usable if v >= TLS12] or usable[:1]
    # Every base twin, by version; a refusal of anything older may also lean on the legacy twins.
    base_ids = tuple(_base_id(version) for version in bases)
    for version in bases:
        others = tuple(ident for ident in base_ids if ident != _base_id(version))
        yield replace(_base(version, terms), twins=others)
    legacy_twins = {}
    if TLS13 in bases:
        legacy_twins = {record: f"twin-legacy-{record:04x}" for record in RECORDS}
        # With TLS 1.2 allowed its base hello is such a twin; where that is refused, these are asked afterwards.
        if TLS12 not in bases:
            yield from (legacy_twin(record, suites13, groups13) for record in RECORDS)

    for version in (TLS13, TLS12, TLS11, TLS10):
        forbidden = version not in allowed
        age = SUITES13 if version == TLS13 else SUITES if version == TLS12 else OLD_SUITES
        suites = [s for s in age if forbidden or (terms.suites is not None and s not in terms.suites)]
        for number, chunk in enumerate(chunks(suites), 1):
            # The common suites go out as clients send them; the rest under the other record version, never above
            # the hello's own.
            record = RECORDS[1] if version == TLS12 and number % 2 == 0 else RECORDS[0]
            tests = Purpose.VERSIONS if forbidden else Purpose.SUITES
            ident = f"{version_label(version)}-{tests.value}-{number}"
            if version == TLS13:
                groups = tuple(GROUPS13) if forbidden else groups13
                yield Ask(ident, tests, version, hello13(tuple(chunk), tuple(groups)), base_ids)
            else:
                twins = (*base_ids, *((legacy_twins[record],) if legacy_twins else ()))
                hello = legacy_hello(version, tuple(chunk), plain_groups(), record)
                yield Ask(ident, tests, version, hello, twins, Until.FLIGHT)
    if terms.groups is not None:
        yield from _group_questions(terms, bases, suites13, tuple(legacy_twins.values()))
    yield from _ancient(allowed, (*base_ids, *legacy_twins.values()))
    if bases:
        # Last of every pass: a limiter that refuses by alert what comes too fast refuses this one too.
        yield _closing(bases, terms)


def _group_questions(
    terms: Contract,
    bases: list[int],
    suites13: tuple[int, ...],
    legacy_twins: tuple[str, ...],
) -> Iterator[Ask]:
    """Forbidden groups alone; before TLS 1.3 also first with the allowed ones behind them, because a server with an
    ECDSA certificate refuses whoever does not offer the certificate's own curve (RFC 8422 section 5.1)."""
    approved = terms.groups or frozenset()
    if TLS13 in bases and (bad := tuple(sorted(GROUPS13 - approved))):
        yield Ask("tls1.3-groups-1", Purpose.GROUPS, TLS13, hello13(suites13, bad), (_base_id(TLS13),))
    newest = max((v for v in bases if v < TLS13), default=None)
    if newest is None:
        return
    twins = (_base_id(newest), *legacy_twins)
    suites, record = base_suites(newest, terms), usual_record(newest)
    elliptic = tuple(s for s in suites if EPHEMERAL_EC.search(SUITES.name(s)))
    finite = tuple(s for s in suites if EPHEMERAL_FF.search(SUITES.name(s)))
    bad = tuple(code for code in LEGACY_GROUPS if code not in approved)
    if elliptic and bad:
        hello = legacy_hello(newest, elliptic, bad, record)
        yield Ask(f"{version_label(newest)}-groups-1", Purpose.GROUPS, newest, hello, twins, Until.FLIGHT)
        hello = legacy_hello(newest, elliptic, (*bad, *(g for g in LEGACY_GROUPS if g in approved)), record)
        yield Ask(f"{version_label(newest)}-groups-first", Purpose.GROUPS, newest, hello, twins, Until.FLIGHT)
    if finite and bad:
        hello = legacy_hello(newest, finite, bad, record)
        yield Ask(f"{version_label(newest)}-groups-2", Purpose.GROUPS, newest, hello, twins, Until.FLIGHT)


def _ancient(allowed: frozenset[int], twins: tuple[str, ...]) -> Iterator[Ask]:
    """SSLv3 and SSLv2, where they are forbidden, as they always are."""
    if SSL3 not in allowed:
        for number, chunk in enumerate(chunks(SSL3_SUITES), 1):
            hello = Hello(
                random=ZERO,
                suites=tuple(chunk),
                record_version=SSL3,
                legacy_version=SSL3,
                renegotiation_scsv=True,
                extensions=False,
            )
            yield Ask(f"sslv3-versions-{number}", Purpose.VERSIONS, SSL3, hello, twins, Until.FLIGHT)
    if SSL2 not in allowed:
        yield Ask(
            "sslv2-versions-1",
            Purpose.VERSIONS,
            SSL2,
            Ssl2Hello(challenge=ZERO, kinds=tuple(SSL2_KINDS)),
            twins,
        )


def _usable(version: int, terms: Contract) -> bool:
    """Whether the contract leaves anything to offer in a version that it allows."""
    if version == TLS13:
        return all(allowed13(terms))
    return bool(base_suites(version, terms))


def chunks(suites: Iterable[int]) -> Iterator[list[int]]:
    rest = list(suites)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


def usual_record(version: int) -> int:
    """The record version of a base hello and of what is compared with it: never above the hello's own."""
    return RECORDS[1] if version == TLS12 else RECORDS[0]


def version_label(version: int) -> str:
    return VERSIONS.name(version).lower().replace("tlsv", "tls")


def _base_id(version: int) -> str:
    return f"{version_label(version)}-base"


def allowed13(terms: Contract) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Allowed suites and groups of TLS 1.3; post-quantum groups last, so that a choice of one is the server's."""
    standard = sorted(SUITES13, key=lambda code: (code >> 8 != 0x13, code))
    suites = tuple(s for s in standard if terms.suites is None or s in terms.suites)
    groups = [g for g in GROUPS13 if terms.groups is None or g in terms.groups]
    return suites, tuple(sorted(groups, key=lambda code: (is_post_quantum(code), code)))


def base_suites(version: int, terms: Contract) -> tuple[int, ...]:
    """Allowed suites of a version before TLS 1.3, at most one hello's worth, common ones first."""
    age = SUITES if version == TLS12 else OLD_SUITES
    fitting = [s for s in age if terms.suites is None or s in terms.suites]
    return tuple(sorted(fitting, key=lambda s: COMMON.search(SUITES.name(s)) is None))[:CHUNK]


def _base(version: int, terms: Contract) -> Ask:
    if version == TLS13:
        hello = hello13(*allowed13(terms))
        return Ask(_base_id(version), Purpose.TWIN, version, hello)
    groups = tuple(g for g in LEGACY_GROUPS if terms.groups is None or g in terms.groups)
    hello = legacy_hello(version, base_suites(version, terms), groups, usual_record(version))
    if terms.sessions:
        hello = replace(hello, compressions=(1, 0))
    return Ask(_base_id(version), Purpose.TWIN, version, hello, (), Until.FLIGHT)


def _closing(bases: list[int], terms: Contract) -> Ask:
    """The base hello again; of two, one that a server which accepts either accepts as well, as browsers send it."""
    newest, *older = (_base(version, terms) for version in bases)
    hello = newest.hello
    for other in older:
        if isinstance(hello, Hello) and isinstance(other.hello, Hello):
            hello = replace(
                hello,
                supported_versions=tuple(bases),
                suites=(*hello.suites[:6], *other.suites),
                groups=tuple(sorted({*hello.groups, *other.groups}, key=lambda code: (is_post_quantum(code), code))),
                extended_master_secret=True,
                renegotiation_scsv=True,
                point_formats=True,
            )
    return replace(newest, id=CLOSING + newest.id, hello=hello, twins=())


def legacy_twin(record: int, suites13: tuple[int, ...], groups13: tuple[int, ...]) -> Ask:
    """The largest legacy hello with the version exchanged: TLS 1.3 and what it needs added, nothing else changed."""
    chunk = tuple(SUITES)[:CHUNK]
    groups = tuple(dict.fromkeys((*plain_groups(), *groups13)))
    hello = replace(
        legacy_hello(TLS12, (*suites13[:6], *chunk), groups, record),
        supported_versions=(TLS13,),
        key_share=KeyShare.EMPTY,
    )
    return Ask(f"twin-legacy-{record:04x}", Purpose.TWIN, TLS13, hello)


def plain_groups() -> tuple[int, ...]:
    return tuple(code for code in LEGACY_GROUPS if code not in _EXPLICIT_CURVES)


def hello13(suites: tuple[int, ...], groups: tuple[int, ...]) -> Hello:
    """A TLS 1.3 hello with an empty key share, so that a HelloRetryRequest names the group."""
    return Hello(
        random=ZERO,
        suites=suites,
        supported_versions=(TLS13,),
        groups=groups,
        key_share=KeyShare.EMPTY,
        sigalgs=_ALL_SIGALGS,
    )


def legacy_hello(version: int, suites: tuple[int, ...], groups: tuple[int, ...], record: int) -> Hello:
    """A hello whose highest version is `version`, TLS 1.2 or older, as clients of that age sent it."""
    return Hello(
        random=ZERO,
        suites=suites,
        record_version=record,
        legacy_version=version,
        renegotiation_scsv=True,
        extended_master_secret=True,
        groups=groups,
        point_formats=True,
        sigalgs=_ALL_SIGALGS if version >= TLS12 else (),
    )

"""Questions that answers raise: eliminations, missing twins, and what an accepted old version leaves open. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, assert_never

from probes.tls.answer_facts import AcceptedAnswer, Purpose
from probes.tls.questions import (
    CHUNK,
    COMMON,
    EPHEMERAL_EC,
    EPHEMERAL_FF,
    LEGACY_GROUPS,
    OLD_SUITES,
    RECORDS,
    Ask,
    Contract,
    allowed13,
    chunks,
    legacy_hello,
    legacy_twin,
    plain_groups,
    usual_record,
    version_label,
)
from probes.tls.wire.codepoints import ANY_SUITE, SSL3, SUITES, TLS10, TLS12
from probes.tls.wire.hello import Hello
from probes.tls.wire.parse import Until

ROUNDS: Final = 3
"""Eliminations after a forbidden value was accepted, so that a report names more than one."""


def eliminate(ask: Ask, chosen: AcceptedAnswer, round_: int) -> Ask | None:
    """The same question without what the server chose; None when nothing is left or there is nothing to take."""
    if round_ > ROUNDS or not isinstance(ask.hello, Hello):
        return None
    match ask.tests:
        case Purpose.VERSIONS | Purpose.SUITES:
            left = tuple(s for s in ask.hello.suites if s != chosen.suite)
            hello = replace(ask.hello, suites=left)
            changed = bool(left) and len(left) < len(ask.hello.suites)
        case Purpose.GROUPS:
            left = tuple(g for g in ask.hello.groups if g != chosen.group)
            hello = replace(ask.hello, groups=left)
            changed = bool(left) and len(left) < len(ask.hello.groups)
        case Purpose.TWIN | Purpose.COMPRESSION:
            return None
        case _:
            assert_never(ask.tests)
    if not changed:
        return None
    root = ask.id.partition(".round-")[0]
    return replace(ask, id=f"{root}.round-{round_}", hello=hello, twins=(*ask.twins, ask.id))


def after_legacy(terms: Contract, ask: Ask, chosen: AcceptedAnswer) -> Iterator[Ask]:
    """What an accepted version before TLS 1.3 raises: compression in it, and its groups."""
    if not isinstance(ask.hello, Hello) or not SSL3 <= chosen.version <= TLS12:
        return
    label = version_label(chosen.version)
    hello = replace(ask.hello, legacy_version=chosen.version)
    if terms.sessions and 1 not in ask.hello.compressions:
        age = SUITES if chosen.version == TLS12 else OLD_SUITES
        common = (s for s in age if COMMON.search(SUITES.name(s)))
        offering = replace(hello, suites=tuple(dict.fromkeys((chosen.suite, *common)))[:CHUNK], compressions=(1, 0))
        yield Ask(f"{label}-compression", Purpose.COMPRESSION, chosen.version, offering, (ask.id,))
    if terms.groups is not None and ask.tests is not Purpose.GROUPS and chosen.version >= TLS10:
        bad = tuple(code for code in LEGACY_GROUPS if code not in terms.groups)
        for number, kind in enumerate((EPHEMERAL_EC, EPHEMERAL_FF), 1):
            suites = tuple(s for s in ask.hello.suites if kind.search(ANY_SUITE.name(s)))
            for label_, groups in ((str(number), bad), ("first", (*bad, *sorted(terms.groups)))):
                if suites and bad and (number == 1 or groups is bad):
                    asking = replace(hello, suites=suites, groups=groups)
                    ident = f"{label}-groups-{label_}"
                    yield Ask(ident, Purpose.GROUPS, chosen.version, asking, (ask.id,), Until.FLIGHT)


def with_right_name(ask: Ask) -> Ask:
    """The same hello under the endpoint's own name, for a part that sends none or a wrong one."""
    return replace(ask, id=f"{ask.id}.right-name", name="right")


def rest_of_version(terms: Contract, base: Ask) -> Iterator[Ask]:
    """An allowed version before TLS 1.3 that refused its base hello: every suite not asked about yet, so that
    the version is ruled out and nobody has to wonder about renegotiation and compression in it."""
    age = SUITES if base.cap == TLS12 else OLD_SUITES
    rest = [s for s in age if s not in base.suites and (terms.suites is None or s in terms.suites)]
    for number, chunk in enumerate(chunks(rest), 1):
        hello = legacy_hello(base.cap, tuple(chunk), plain_groups(), usual_record(base.cap))
        ident = f"{version_label(base.cap)}-suites-rest-{number}"
        yield Ask(ident, Purpose.SUITES, base.cap, hello, (base.id, *base.twins), Until.FLIGHT)


def missing_twins(terms: Contract) -> Iterator[Ask]:
    """The legacy twins, for a server that has TLS 1.3 only where the contract allows TLS 1.2 as well."""
    return (legacy_twin(record, *allowed13(terms)) for record in RECORDS)

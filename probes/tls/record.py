"""Turns what the wire saw into facts and a transcript. Pure; hostile values are bounded on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from keycheck.model.types import vendor_text
from probes.tls.answer_facts import (
    SSL2,
    AcceptedAnswer,
    Answered,
    AnswerFact,
    GarbageAnswer,
    NoAnswerFact,
    QuestionFacts,
    RefusedAnswer,
    StumbledAnswer,
)
from probes.tls.asker import Spoken, Tried
from probes.tls.facts import (
    HandshakeDone,
    HandshakeOutcome,
    HandshakeStopped,
    HandshakeTries,
    HttpAnswered,
    HttpFacts,
    HttpNone,
    TicketFacts,
)
from probes.tls.questions import Ask
from probes.tls.wire.answers import Accepted, Broken, Garbage, NoAnswer, Refused
from probes.tls.wire.codepoints import TLS13
from probes.tls.wire.handshake import Completed, HandshakeAnswer, Renegotiation, Stopped
from probes.tls.wire.hello import Hello
from probes.tls.wire.http_head import HttpHead
from probes.tls.wire.transport import Exchange

TRANSCRIPT_BYTES: Final = 2 << 20
MAX_TICKETS: Final = 8
MAX_HEADERS: Final = 4
NOT_SENT: Final = hashlib.sha256().hexdigest()
_ENCODER: Final = json.JSONEncoder(check_circular=False, sort_keys=True, separators=(",", ":"))


def was_offered(ask: Ask, chosen: Accepted) -> bool:
    """Whether the server chose out of what the hello offered. A finite-field group before TLS 1.3 is the
    server's own choice, and SSLv2 servers list instead of choosing."""
    if not isinstance(ask.hello, Hello):
        return chosen.version == SSL2 and bool(set(chosen.ssl2_kinds) & set(ask.suites))
    if chosen.version not in _versions(ask) or chosen.suite not in ask.hello.suites:
        return False
    if chosen.compression not in ask.hello.compressions:
        return False
    return chosen.group is None or chosen.group in ask.hello.groups or not ask.hello.groups


def _versions(ask: Ask) -> Collection[int]:
    if isinstance(ask.hello, Hello) and ask.hello.supported_versions is not None:
        return ask.hello.supported_versions
    return range(TLS13, TLS13 + 1) if ask.cap == TLS13 else range(0x0300, ask.cap + 1)


def answer_fact(ask: Ask, spoken: Spoken) -> AnswerFact:
    """One answer to a question as a fact."""
    match spoken:
        case Accepted():
            if not was_offered(ask, spoken):
                return GarbageAnswer(what="not-offered")
            return AcceptedAnswer(
                version=spoken.version,
                suite=spoken.suite,
                group=spoken.group,
                dh_bits=spoken.dh_bits,
                retry=spoken.is_retry,
                compression=spoken.compression,
                extensions=tuple(sorted(set(spoken.extensions))),
                sentinel=spoken.sentinel.value,
            )
        case _:
            return other_fact(spoken)


@lru_cache(maxsize=64)
def _refused(alert: int, ssl2: bool) -> RefusedAnswer:
    return RefusedAnswer(alert=alert, ssl2=ssl2)


@lru_cache(maxsize=64)
def _once(refused: RefusedAnswer) -> tuple[Answered, ...]:
    return (Answered(answer=refused, tries=1),)


def other_fact(spoken: Spoken) -> AnswerFact:
    """Everything but an acceptance as a fact."""
    match spoken:
        case Refused(alert=alert, ssl2=ssl2):
            return _refused(alert, ssl2)
        case Broken(alert=alert, ssl2=ssl2):
            return StumbledAnswer(alert=alert, ssl2=ssl2)
        case NoAnswer(kind=kind, phase=phase, detail=detail):
            return NoAnswerFact(how=kind.value, phase=phase.value, detail=vendor_text(detail))
        case Garbage(what=what):
            return GarbageAnswer(what=what.value)
        case _:
            return GarbageAnswer(what="unexpected")


def question_fact(ask: Ask, sent: bytes, tried: Tried) -> QuestionFacts:
    """A question with its tries, equal answers counted together."""
    counted: dict[AnswerFact, int] = {}
    for exchange in tried.finals:
        fact = answer_fact(ask, exchange.answer)
        counted[fact] = counted.get(fact, 0) + 1
    first = next(iter(counted), None)
    if isinstance(first, RefusedAnswer) and len(tried.finals) == 1:
        answers = _once(first)
    else:
        answers = tuple(Answered(answer=fact, tries=tries) for fact, tries in counted.items())
    return _unanswered(ask).model_copy(
        update={"sent": hashlib.sha256(sent).hexdigest(), "answers": answers, "asked_again": tried.asked_again}
    )


@lru_cache(maxsize=256)
def _unanswered(ask: Ask) -> QuestionFacts:
    """What a question's facts say whoever is asked."""
    hello = ask.hello
    return QuestionFacts(
        id=ask.id,
        tests=ask.tests,
        name=ask.name,
        cap=ask.cap,
        suites=tuple(sorted(set(ask.suites))),
        groups=tuple(sorted(set(ask.groups))),
        compressions=hello.compressions if isinstance(hello, Hello) else (),
        twins=ask.twins,
        sent=NOT_SENT,
        answers=(),
        asked_again=0,
    )


def http_fact(head: HttpHead | None, *, asked: bool, http: bool) -> HttpFacts:
    """What a GET was answered with, body and foreign headers left out."""
    if head is None:
        return HttpNone(why="not-http" if not http else "no-response" if asked else "not-asked")
    return HttpAnswered(
        status=head.status,
        hsts=_values(head, "strict-transport-security"),
        location=_values(head, "location"),
        truncated=head.truncated,
    )


def _values(head: HttpHead, name: str) -> tuple[str, ...]:
    return tuple(vendor_text(value) for key, value in head.headers if key == name)[:MAX_HEADERS]


def handshake_outcome(answer: HandshakeAnswer, *, asked: bool) -> HandshakeOutcome:
    """One real handshake as a fact."""
    flight = answer.flight
    match answer:
        case Completed():
            asked_http = asked and flight.alpn in (b"", b"http/1.1")
            return HandshakeDone(
                version=answer.version,
                suite=answer.suite,
                group=answer.group,
                retried=flight.retried,
                resumed=flight.resumed,
                compression=flight.compression,
                extensions=tuple(sorted(set(flight.extensions))),
                alpn=vendor_text(flight.alpn),
                signature=flight.signature,
                tickets=tuple(
                    dict.fromkeys(
                        TicketFacts(lifetime_s=t.lifetime_s, max_early_data=t.max_early_data)
                        for t in flight.tickets[:MAX_TICKETS]
                    )
                ),
                client_certificate_requested=flight.client_certificate_requested,
                end=answer.end.value,
                end_alert=answer.end_alert,
                http=http_fact(answer.http, asked=asked_http, http=asked),
                complete=flight.complete,
                trouble=vendor_text(flight.trouble),
            )
        case Stopped(why=why):
            return HandshakeStopped(
                why=None if why is None else other_fact(why),
                library=tuple(vendor_text(reason) for reason in answer.library[:4]),
                our_alert=answer.our_alert,
                client_certificate_requested=flight.client_certificate_requested,
            )


def as_handshake(spoken: Spoken) -> HandshakeAnswer | NoAnswer:
    """Narrow what a handshake conversation ended in; a link that never stood is no handshake."""
    if isinstance(spoken, Completed | Stopped | NoAnswer):
        return spoken
    raise TypeError(f"a handshake cannot end in {type(spoken).__name__}")


def handshake_tries(exchanges: Iterable[Exchange[Spoken]], *, asked: bool) -> tuple[HandshakeTries, ...]:
    """Distinct outcomes in the order first seen."""
    counted: dict[HandshakeOutcome, int] = {}
    for exchange in exchanges:
        outcome = outcome_of(as_handshake(exchange.answer), asked=asked)
        counted[outcome] = counted.get(outcome, 0) + 1
    return tuple(HandshakeTries(outcome=outcome, tries=tries) for outcome, tries in counted.items())


def outcome_of(answer: HandshakeAnswer | NoAnswer, *, asked: bool) -> HandshakeOutcome:
    """As `handshake_outcome`, also for a connection that never came to TLS."""
    if isinstance(answer, NoAnswer):
        return HandshakeStopped(why=other_fact(answer), library=(), our_alert=None, client_certificate_requested=False)
    return handshake_outcome(answer, asked=asked)


def transcript(log: Sequence[Exchange[Spoken]], plain: frozenset[str]) -> bytes:
    """Every connection as one canonical JSON line, so that the other side can replay it.

    A hello is written out once; later tries sent the same bytes. Of the labels in `plain` (an HTTP answer in
    plain text) only what was sent is kept. Bounded: the last line counts what was left out.
    """
    lines: list[bytes] = []
    size, left_out = 0, 0
    tries: dict[str, int] = {}
    start = log[0].started_us if log else 0
    for exchange in log:
        number = tries[exchange.label] = tries.get(exchange.label, 0) + 1
        line = _dumps(_line(exchange, number, start, exchange.label in plain))
        if size + len(line) > TRANSCRIPT_BYTES:
            left_out += 1
            continue
        size += len(line) + 1
        lines.append(line)
    if left_out:
        lines.append(_dumps({"left_out": left_out}))
    return b"\n".join([*lines, b""])


def _dumps(line: Mapping[str, str | int]) -> bytes:
    """Canonical by construction: ASCII text and integers only."""
    return _ENCODER.encode(line).encode("ascii")


def _line(exchange: Exchange[Spoken], number: int, start: int, plain: bool) -> dict[str, str | int]:
    handshake = isinstance(exchange.answer, Completed | Stopped | Renegotiation)
    line: dict[str, str | int] = {
        "question": exchange.label,
        "try": number,
        "address": f"{exchange.address.ip} {exchange.address.port}",
        "at_us": exchange.started_us - start,
        "duration_us": exchange.duration_us,
        "received": "" if plain else exchange.received.hex(),
        "received_bytes": exchange.received_bytes,
        "answer": _word(exchange.answer),
    }
    if number == 1 or handshake:
        line |= {"sent": exchange.sent.hex(), "sent_bytes": exchange.sent_bytes}
    if exchange.connected_us is not None:
        line["connected_us"] = exchange.connected_us
    if exchange.first_byte_us is not None:
        line["first_byte_us"] = exchange.first_byte_us
    if exchange.tls_sent_at or exchange.tls_received_at:
        line |= {"tls_sent_at": exchange.tls_sent_at, "tls_received_at": exchange.tls_received_at}
    return line


def _word(spoken: Spoken) -> str:
    """The answer in a word or two, for people who read the transcript."""
    match spoken:
        case Accepted(version=version, suite=suite, group=group):
            chosen = f"accepted {version:#06x} {suite:#06x}"
            return chosen if group is None else f"{chosen} {group:#06x}"
        case Refused(alert=alert) | Broken(alert=alert):
            return f"alert {alert}"
        case NoAnswer(kind=kind, phase=phase):
            return f"{kind} at {phase}"
        case Garbage(what=what):
            return f"garbage: {what}"
        case Completed(version=version, suite=suite):
            return f"completed {version:#06x} {suite:#06x}"
        case Stopped(why=why):
            return "stopped" if why is None else f"stopped: {_word(why)}"
        case Renegotiation():
            return f"renegotiation {spoken}"
        case HttpHead(status=status):
            return f"http {status}"

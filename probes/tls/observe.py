"""The probe: asks one address, under one name, what the contract forbids and what it promises."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io, Observed, PartProbe, Touch
from keycheck.model.types import PartName
from keycheck.model.verdict import Reason
from keycheck.turns import turn
from probes.tls.asker import nothing_came
from probes.tls.facts import NameSent, TlsFacts
from probes.tls.interview import Interview, Target
from probes.tls.questions import contract, first_questions
from probes.tls.record import transcript
from probes.tls.subjects import Endpoint, read_address
from probes.tls.wire.answers import Kind, NoAnswer, Phase

WRONG_NAME: Final = "keycheck-wrong-name.invalid"
"""Sent as a wrong name: RFC 6761 keeps `.invalid` from ever being registered."""
MAX_ADDRESSES: Final = 64
RESOLVE_SECONDS: Final = 5.0
_LABELS: Final[dict[str, NameSent]] = {"right-name": "right", "no-name": "none", "wrong-name": "wrong"}


class EndpointProbe(PartProbe[Endpoint]):
    """Every address behind an endpoint's name, under the right name, none and a wrong one.

    Proves what was accepted and refused there and then, by this client. Nothing is proved about other
    addresses, other back ends behind the same address (repetitions bound them), clients that offer other
    signature families (they may be shown another certificate), or other times.
    """

    id = "tls.endpoint"
    version = 1
    section = "endpoints"
    facts: ClassVar[type[Facts]] = TlsFacts

    def touches(self, subject: Endpoint, io: Io) -> Iterable[Touch]:
        """Handshakes, which need no authorization, and raw questions, which do."""
        place = subject.place
        where = f"{place.host} port {place.port}"
        addresses = len(subject.addresses) or 1
        each = " and every other address behind the name" if not subject.addresses and not place.is_address else ""
        parts = addresses * len(_names(subject))
        wait = int(subject.answer_within.total_seconds())
        credential = (
            "none" if subject.client_certificate is None else f"client certificate {subject.client_certificate}"
        )
        tries = max(1, io.samples)
        yield Touch(
            what=f"{where}{each}: TLS handshake{' and one GET' if place.scheme == 'https' else ''}",
            credential=credential,
            changes=False,
            technique=Technique.PASSIVE,
            connections=parts * tries + (subject.client_certificate is not None) + (subject.redirect_url is not None),
            seconds=parts * wait * 3,
        )
        questions = first_questions(contract(io.demands))
        if questions:
            yield Touch(
                what=f"{where}{each}: ClientHellos that offer what the contract forbids, and their twins",
                credential="none",
                changes=False,
                technique=Technique.ACTIVE_TLS,
                connections=parts * len(questions) * tries,
                seconds=int(self.limit) * parts,
            )

    def survey(self, subject: Endpoint, io: Io) -> Census:
        """The addresses: as declared, or as resolved. No address, or too many, leaves the census open."""
        place = subject.place
        open_: list[Unseen] = []
        if subject.addresses:
            found = [read_address(address, place.port) for address in subject.addresses]
        elif place.is_address:
            found = [(str(ipaddress.ip_address(place.host)), place.port)]
        else:
            try:
                resolved = io.resolver(place.host, min(RESOLVE_SECONDS, io.budget))
            except ProbeError as error:
                return Census(parts=(), open=(Unseen(reason=error.reason, detail=str(error)),))
            found = [(str(ipaddress.ip_address(ip)), place.port) for ip in resolved]
        found = list(dict.fromkeys(found))
        if not found:
            nothing = f"{place.host} has no address"
            return Census(parts=(), open=(Unseen(reason=Reason.UNREACHABLE, detail=nothing),))
        if len(found) > MAX_ADDRESSES:
            many = f"{place.host} has {len(found)} addresses; {MAX_ADDRESSES} are looked at"
            open_.append(Unseen(reason=Reason.NOT_COVERED, detail=many))
        names = [label for label, name in _LABELS.items() if name in _names(subject)]
        parts = [f"{_shown(ip, port)} {name}" for ip, port in found[:MAX_ADDRESSES] for name in names]
        return Census(parts=tuple(parts), open=tuple(open_))

    def lane(self, subject: Endpoint, part: PartName) -> str:
        """The address: what limits connections limits them for all names together."""
        return part.partition(" ")[0]

    def work(self, subject: Endpoint, part: PartName, io: Io) -> Observed:
        """One address under one name."""
        interview = Interview(subject, target_of(subject, part), io)
        with turn():
            return self._observed(part, interview)

    def _observed(self, part: PartName, interview: Interview) -> Observed:
        interview.hold()
        log = interview.asker.log
        blob = Blob("transcript", transcript(log, interview.plain_labels), "application/x-ndjson")
        gone = _nobody([nothing_came(e.answer) for e in log if e.label not in interview.plain_labels])
        if gone is not None:
            return Observed(part, gone, blobs=(blob,))
        facts = interview.facts()
        interceptor = next(
            (c.intercepted_by for c in facts.chains if not isinstance(c, Unseen) and c.intercepted_by), None
        )
        if interceptor is not None:
            detail = f"{interceptor} intercepts on our own side: this says nothing about the vendor"
            return Observed(part, Unseen(reason=Reason.INTERCEPTED, detail=detail), blobs=(blob,))
        return Observed(part, facts, blobs=(blob,))


def _names(subject: Endpoint) -> tuple[NameSent, ...]:
    """A literal address cannot stand in server_name: its right name is no name."""
    if subject.place.is_address:
        return tuple(name for name in subject.names if name != "none") or ("right",)
    return subject.names


def _shown(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def target_of(subject: Endpoint, part: PartName) -> Target:
    """The address and name that a part stands for. Raises ProbeError for a part that no survey made."""
    place = subject.place
    address, _, label = part.partition(" ")
    name = _LABELS.get(label)
    if name is None:
        raise ProbeError(Reason.UNSUPPORTED, f"{part!r} is no part of an endpoint")
    try:
        ip, port = read_address(address, place.port)
    except ValueError as error:
        raise ProbeError(Reason.UNSUPPORTED, str(error)) from error
    right = None if place.is_address else place.host
    sni = {"right": right, "none": None, "wrong": WRONG_NAME}[name]
    return Target(place, ip, port, name, sni, right)


def _nobody(ends: list[NoAnswer | None]) -> Unseen | None:
    """When no connection came as far as TLS there are no facts, only the reason."""
    early = [end for end in ends if end is not None and end.phase in (Phase.CONNECT, Phase.PRELUDE)]
    if not ends or len(early) < len(ends):
        return None
    last = early[-1]
    return Unseen(reason=_reason(last), detail=f"{last.kind.value} at {last.phase.value} {last.detail}".strip())


def _reason(end: NoAnswer) -> Reason:
    match end.kind:
        case Kind.TIMEOUT:
            return Reason.TIMEOUT
        case Kind.STARTTLS_REFUSED:
            return Reason.UNSUPPORTED
        case Kind.PRELUDE_GARBAGE | Kind.FLOODED:
            return Reason.MALFORMED
        case _:
            return Reason.UNREACHABLE

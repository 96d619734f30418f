"""Whom a chain leads to: path, name and dates at a given moment, each fault named. Pure and offline.

Proves that verified signatures lead from the leaf to one of the given anchors, and names everything wrong on
the way. Does not prove that a certificate is not revoked, or that an anchor deserves its trust.

The way is walked here rather than taken from the verifier of the `cryptography` library: that one accepts a
1024-bit RSA leaf, says "candidates exhausted" for four different faults, and demands the web PKI profile of
private CAs too. Its opinion is recorded beside ours (`strict_profile`) and overrules nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, VerificationError

from keycheck.model.types import vendor_text
from probes.tls.anchors import Anchors, contracted_anchors, system_anchors
from probes.tls.certificates import PARSE_ERRORS, Parsed, read_chain
from probes.tls.chain_facts import (
    MAX_CERTIFICATE_BYTES,
    AnchorFacts,
    ChainNote,
    MalformedCertificate,
    NameMatch,
    Problem,
    ProblemKind,
    StrictProfile,
    TrustFacts,
)
from probes.tls.interception import known_interceptor
from probes.tls.names import alternative_names, matching_name, reference_name
from probes.tls.path import Node, Path, find_paths
from probes.tls.path_checks import path_problems

__all__ = ["Anchors", "assess_trust", "contracted_anchors", "known_interceptor", "system_anchors", "trust_of"]


def assess_trust(chain_der: Sequence[bytes], anchors: Anchors, host: str | None, at: datetime) -> TrustFacts:
    """Trust of a chain as sent (leaf first), for a host name or address, at a moment with a time zone.

    Never raises on anything in the chain; raises ValueError for a `host` that is no name or address.
    """
    return trust_of(read_chain(chain_der), len(chain_der), anchors, host, at)


def trust_of(
    read: Sequence[Parsed | MalformedCertificate],
    sent: int,
    anchors: Anchors,
    host: str | None,
    at: datetime,
) -> TrustFacts:
    """As `assess_trust`, for certificates already read; `sent` counts also those beyond the bound."""
    reference = None if host is None else reference_name(host)
    leaf = read[0] if read else None
    match = _match_name(leaf, reference)
    path: Path | None = None
    problems: list[Problem] = []
    if isinstance(leaf, Parsed):
        nodes = [Node(i, certificate) for i, certificate in enumerate(read) if isinstance(certificate, Parsed)]
        path, path_faults = _best(find_paths(nodes, anchors), at)
        problems += path_faults
        if match[0] is NameMatch.NOT_MATCHED:
            problems.append(_problem(ProblemKind.WRONG_NAME, 0, f"the certificate does not name {host}"))
    elif leaf is None:
        problems.append(_problem(ProblemKind.NO_CERTIFICATE, None, "no certificate was sent"))
    if path is None or path.anchor is None:
        problems += _unread_problems(read, sent)
    anchor = path.anchor if path is not None else None
    return TrustFacts(
        at=at,
        host=None if host is None else vendor_text(host),
        anchors=anchors.source,
        anchor=None if anchor is None else _anchor_facts(anchor),
        path=tuple(node.position for node in path.nodes) if path is not None else (),
        problems=tuple(sorted(set(problems), key=_order)),
        notes=_notes(read, path),
        name=match[0],
        name_matched=match[1],
        strict_profile=_second_opinion(read, anchors, reference, at),
    )


def _problem(kind: ProblemKind, position: int | None, detail: str) -> Problem:
    return Problem(kind=kind, position=position, detail=vendor_text(detail))


def _order(problem: Problem) -> tuple[int, str, str]:
    return (1 << 30 if problem.position is None else problem.position, problem.kind, problem.detail)


def _best(paths: Sequence[Path], at: datetime) -> tuple[Path, tuple[Problem, ...]]:
    """The path with the fewest faults, then the shortest: one good way up is enough for a client."""
    judged = [(path, path_problems(path, at)) for path in paths]
    return min(judged, key=lambda pair: (len(pair[1]), len(pair[0].nodes)))


def _match_name(
    leaf: Parsed | MalformedCertificate | None, reference: str | IPv4Address | IPv6Address | None
) -> tuple[NameMatch, str]:
    if reference is None:
        return NameMatch.NOT_ASKED, ""
    if not isinstance(leaf, Parsed) or leaf.extensions is None:
        return NameMatch.UNREADABLE, ""
    found = matching_name(reference, alternative_names(leaf))
    return (NameMatch.NOT_MATCHED, "") if found is None else (NameMatch.MATCHED, vendor_text(found))


def _unread_problems(read: Sequence[Parsed | MalformedCertificate], sent: int) -> list[Problem]:
    """What was not read could have led to an anchor, so it matters only when none was reached."""
    problems = [
        _problem(
            ProblemKind.TOO_LARGE if entry.bytes > MAX_CERTIFICATE_BYTES else ProblemKind.MALFORMED,
            position,
            entry.detail,
        )
        for position, entry in enumerate(read)
        if isinstance(entry, MalformedCertificate)
    ]
    if sent > len(read):
        problems.append(_problem(ProblemKind.TOO_MANY, None, f"{sent} certificates were sent, {len(read)} were read"))
    return problems


def _anchor_facts(anchor: Parsed) -> AnchorFacts:
    facts = anchor.facts
    return AnchorFacts(sha256=facts.sha256, spki_sha256=facts.spki_sha256, subject=facts.subject, key=facts.key)


def _notes(read: Sequence[Parsed | MalformedCertificate], path: Path | None) -> frozenset[ChainNote]:
    digests = [entry.facts.sha256 if isinstance(entry, Parsed) else entry.sha256 for entry in read]
    notes = set()
    if len(set(digests)) < len(digests):
        notes.add(ChainNote.DUPLICATE_CERTIFICATE)
    if path is None:
        return frozenset(notes)
    positions = [node.position for node in path.nodes]
    used = {digests[position] for position in positions}
    if positions != sorted(positions):
        notes.add(ChainNote.WRONG_ORDER)
    if path.anchor is not None and path.anchor.facts.sha256 in digests[1:]:
        notes.add(ChainNote.ANCHOR_SENT)
        used.add(path.anchor.facts.sha256)
    if set(digests) - used:
        notes.add(ChainNote.UNNEEDED_CERTIFICATE)
    return frozenset(notes)


def _second_opinion(
    read: Sequence[Parsed | MalformedCertificate],
    anchors: Anchors,
    reference: str | IPv4Address | IPv6Address | None,
    at: datetime,
) -> StrictProfile:
    if anchors.store is None or reference is None or not read or not isinstance(read[0], Parsed):
        return StrictProfile(result="not-run", detail="")
    subject = x509.DNSName(reference) if isinstance(reference, str) else x509.IPAddress(reference)
    others = [entry.certificate for entry in read[1:] if isinstance(entry, Parsed)]
    try:
        verifier = PolicyBuilder().store(anchors.store).time(at).build_server_verifier(subject)
        verifier.verify(read[0].certificate, others)
    except (VerificationError, *PARSE_ERRORS) as error:
        return StrictProfile(result="rejected", detail=vendor_text(str(error)))
    return StrictProfile(result="accepted", detail="")

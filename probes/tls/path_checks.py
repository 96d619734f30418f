"""What is wrong on a way to a trust anchor besides signatures: dates, flags, lengths, constraints. Pure.

Every certificate of the way is checked, not only the leaf. Source: RFC 5280 sections 4.2 and 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cryptography import x509

from keycheck.model.types import vendor_text
from probes.tls.certificates import Parsed, find
from probes.tls.chain_facts import Problem, ProblemKind, ServerAuth
from probes.tls.names import constraint_breaches
from probes.tls.path import Path

_PROCESSED: Final = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.NameConstraints,
    x509.TLSFeature,
    # Policies bind only a relying party that demands one, which TLS clients do not.
    x509.CertificatePolicies,
    x509.InhibitAnyPolicy,
)
_TLS_USAGES: Final = frozenset({"digital_signature", "key_encipherment", "key_agreement"})


def path_problems(path: Path, at: datetime) -> tuple[Problem, ...]:
    """Everything that is wrong with the certificates of a path at a moment, its dead end included."""
    steps: list[tuple[int | None, Parsed]] = [(node.position, node.certificate) for node in path.nodes]
    anchor, leaf = path.anchor, path.nodes[0].certificate
    if anchor is not None and anchor is not leaf and anchor.facts.sha256 != leaf.facts.sha256:
        steps.append((None, anchor))
    problems = [path.dead_end] if path.dead_end is not None else []
    for position, certificate in steps:
        problems += _date_problems(position, certificate, at)
        if position is not None:
            problems += _extension_problems(position, certificate)
    problems += _leaf_problems(path.nodes[0].position, leaf)
    for index, (position, issuer) in enumerate(steps[1:], start=1):
        below = [certificate for _, certificate in steps[:index]]
        problems += _issuer_problems(position, issuer, below)
    return tuple(problems)


def _problem(kind: ProblemKind, position: int | None, detail: str) -> Problem:
    return Problem(kind=kind, position=position, detail=vendor_text(detail))


def _date_problems(position: int | None, node: Parsed, at: datetime) -> Iterator[Problem]:
    facts = node.facts
    if at < facts.not_before:
        yield _problem(
            ProblemKind.NOT_YET_VALID,
            position,
            f"{facts.subject} is valid from {facts.not_before:%Y-%m-%d %H:%M:%S} UTC",
        )
    if at > facts.not_after:
        yield _problem(
            ProblemKind.EXPIRED,
            position,
            f"{facts.subject} expired at {facts.not_after:%Y-%m-%d %H:%M:%S} UTC",
        )


def _extension_problems(position: int, node: Parsed) -> Iterator[Problem]:
    facts = node.facts.extensions
    if node.extensions is None or facts.kind == "malformed":
        detail = facts.detail if facts.kind == "malformed" else ""
        yield _problem(ProblemKind.MALFORMED, position, f"extensions cannot be read: {detail}")
        return
    for extension in node.extensions:
        if extension.critical and not isinstance(extension.value, _PROCESSED):
            yield _problem(
                ProblemKind.UNSUPPORTED,
                position,
                f"critical extension {extension.oid.dotted_string} is not checked",
            )


def _leaf_problems(position: int, leaf: Parsed) -> Iterator[Problem]:
    facts = leaf.facts.extensions
    if facts.kind == "malformed":
        return
    if facts.server_auth is ServerAuth.NOT_STATED:
        yield _problem(ProblemKind.NOT_FOR_SERVER_AUTH, position, "the extended key usage does not hold serverAuth")
    if facts.key_usage is not None and not facts.key_usage & _TLS_USAGES:
        yield _problem(
            ProblemKind.NOT_FOR_SERVER_AUTH,
            position,
            "the key usage allows neither signatures nor key exchange",
        )


def _issuer_problems(position: int | None, issuer: Parsed, below: list[Parsed]) -> Iterator[Problem]:
    facts, subject = issuer.facts.extensions, issuer.facts.subject
    if facts.kind == "malformed" or issuer.extensions is None:
        return
    is_anchor = position is None
    # A root from before version 3 states nothing; being chosen as an anchor is what makes it a CA.
    if not facts.is_ca and (facts.basic_constraints or not is_anchor):
        yield _problem(ProblemKind.CA_FLAG_MISSING, position, f"{subject} issued a certificate and is no CA")
    if facts.key_usage is not None and "key_cert_sign" not in facts.key_usage:
        yield _problem(ProblemKind.CA_FLAG_MISSING, position, f"{subject} issued a certificate without keyCertSign")
    if not is_anchor and facts.server_auth is ServerAuth.NOT_STATED:
        yield _problem(ProblemKind.NOT_FOR_SERVER_AUTH, position, f"{subject} may not issue for TLS servers")
    intermediates = sum(1 for certificate in below[1:] if not certificate.facts.self_issued)
    if facts.path_length is not None and intermediates > facts.path_length:
        yield _problem(
            ProblemKind.PATH_TOO_LONG,
            position,
            f"{subject} allows {facts.path_length} CAs below it, {intermediates} are",
        )
    constraints = find(issuer.extensions, x509.NameConstraints)
    if constraints is not None:
        yield from _constraint_problems(position, subject, constraints, below)


def _constraint_problems(
    position: int | None, subject: str, constraints: x509.NameConstraints, below: list[Parsed]
) -> Iterator[Problem]:
    for certificate in below:
        if certificate.facts.self_issued and certificate is not below[0]:
            continue  # RFC 5280 section 6.1.3 (b)
        breaches, unsupported = constraint_breaches(constraints, certificate)
        for breach in breaches[:4]:
            yield _problem(ProblemKind.NAME_CONSTRAINTS, position, f"{breach} by {subject}")
        if unsupported:
            yield _problem(ProblemKind.UNSUPPORTED, position, f"constraints on {unsupported[0]} are not checked")

"""Controls about the certificate chain: `tls.certificate`, `tls.chain` and `tls.revocation`.

Each defect belongs to one control: what the leaf itself says and how strong keys and signatures are to
`tls.certificate`, whom the chain leads to and everything about its CAs to `tls.chain`, the stapled
revocation status to `tls.revocation`. Pure: all dates were compared when the chain was observed.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts
from keycheck.model.types import Duration, SortedSet, format_duration
from keycheck.model.verdict import Kind, Reason, Verdict, failed, inconclusive, passed
from probes.tls.chain_facts import (
    CertificateFacts,
    ChainFacts,
    ExtensionFacts,
    MalformedCertificate,
    NameMatch,
    Problem,
    ProblemKind,
)
from probes.tls.facts import TlsFacts
from probes.tls.over_chains import intercepted, over_chains
from probes.tls.revocation_control import Revocation, judge_revocation

__all__ = [
    "Certificate",
    "Chain",
    "Curve",
    "Revocation",
    "SignatureHash",
    "judge_certificate",
    "judge_chain",
    "judge_revocation",
]


class Curve(StrEnum):
    """Elliptic curves, and other algorithms whose name fixes the strength."""

    P256 = "secp256r1"
    P384 = "secp384r1"
    P521 = "secp521r1"
    BRAINPOOL_256 = "brainpoolP256r1"
    BRAINPOOL_384 = "brainpoolP384r1"
    BRAINPOOL_512 = "brainpoolP512r1"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


class SignatureHash(StrEnum):
    """Hash functions of certificate signatures."""

    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SHA3_256 = "sha3-256"
    SHA3_384 = "sha3-384"
    SHA3_512 = "sha3-512"


_DEFAULT_CURVES: Final = frozenset({Curve.P256, Curve.P384, Curve.P521, Curve.ED25519, Curve.ED448})
_DEFAULT_HASHES: Final = frozenset({SignatureHash.SHA256, SignatureHash.SHA384, SignatureHash.SHA512})

_OF_LEAF: Final = frozenset(
    {
        ProblemKind.EXPIRED,
        ProblemKind.NOT_YET_VALID,
        ProblemKind.WRONG_NAME,
        ProblemKind.NOT_FOR_SERVER_AUTH,
    }
)
"""At position 0 these are the leaf's own faults and `tls.certificate`'s; elsewhere they are the chain's."""

_UNKNOWN: Final = {
    ProblemKind.MALFORMED: Reason.MALFORMED,
    ProblemKind.UNSUPPORTED: Reason.UNSUPPORTED,
    ProblemKind.TOO_LARGE: Reason.NOT_COVERED,
    ProblemKind.TOO_MANY: Reason.NOT_COVERED,
}
"""Problems that say what keycheck could not read or check; they are no breach."""

_DECIDED: Final = frozenset({ProblemKind.SELF_SIGNED_LEAF, ProblemKind.NO_CERTIFICATE})
"""Faults that stand whatever the unread rest of a chain holds."""


def _where(position: int | None) -> str:
    match position:
        case None:
            return "trust anchor"
        case 0:
            return "leaf"
        case _:
            return f"certificate {position + 1} as sent"


def _listed(problems: list[Problem]) -> str:
    return "; ".join(
        f"{p.kind} ({p.detail})"
        if p.kind is ProblemKind.NO_CERTIFICATE
        else f"{p.kind} at the {_where(p.position)}: {p.detail}"
        for p in problems
    )


class Certificate(Control, id="tls.certificate", version=1):
    """The certificate names the endpoint, is valid, is meant for servers, and the chain uses strong keys
    and signatures."""

    needs: ClassVar[tuple[type[Facts], ...]] = (TlsFacts,)
    section: ClassVar[str] = "endpoints"
    proves: ClassVar[str] = (
        "At the moment of observation the leaf named the host in a subject alternative name, was within its "
        "dates, was not barred from TLS server use, was not issued for longer than max_validity; and the leaf "
        "and every CA certificate between it and the trust anchor have a key and a signature of the kinds "
        "allowed here, read from the certificates themselves."
    )
    does_not_prove: ClassVar[str] = (
        "Whom the chain leads to (tls.chain) and whether it is revoked (tls.revocation). The trust anchor's own "
        "key and self-signature are the relying party's choice: recorded, not judged. A CA certificate that was "
        "not sent is not judged. A client that offers other signature families may be shown another certificate. "
        "Certificates shown under other names, or without one, do not count."
    )
    example: ClassVar[str] = (
        "control: tls.certificate@1\n"
        "for: endpoints\n"
        "with: {min_rsa_bits: 3072, curves: [secp256r1, secp384r1], max_validity: P200D}"
    )
    sources: ClassVar[tuple[str, ...]] = (
        "RFC 5280 section 4",
        "RFC 9525 section 6",
        "CA/Browser Forum Baseline Requirements section 6.3.2",
        "NIST SP 800-131A Rev. 2",
        "NIST SP 800-52 Rev. 2 section 3.2",
    )

    min_rsa_bits: Annotated[int, Tighter("higher"), Field(ge=1024, le=16384)] = 2048
    """Smallest RSA modulus, in bits."""
    curves: Annotated[SortedSet[Curve], Tighter("subset")] = _DEFAULT_CURVES
    """Elliptic curves and other named key kinds that are allowed beside RSA."""
    signature_hashes: Annotated[SortedSet[SignatureHash], Tighter("subset")] = _DEFAULT_HASHES
    """Hashes allowed in RSA and ECDSA signatures; EdDSA and ML-DSA are allowed through `curves`."""
    max_validity: Annotated[Duration, Tighter("lower")] = timedelta(days=398)
    """Longest time from the leaf's notBefore through notAfter. Give a private CA's own limit here."""

    def judge(self, facts: TlsFacts) -> Verdict:
        """The worst over all chains of the address."""
        return over_chains(facts, lambda chain: judge_certificate(chain, self))


def judge_certificate(chain: ChainFacts, rule: Certificate) -> Verdict:
    """`tls.certificate` on one chain."""
    if (verdict := intercepted(chain)) is not None:
        return verdict
    leaf = chain.leaf
    if leaf is None:
        if not chain.sent:
            return failed("no certificate was sent")
        return inconclusive(Reason.MALFORMED, "the leaf certificate cannot be read")
    breaches = [p for p in chain.trust.problems if p.position == 0 and p.kind in _OF_LEAF]
    faults = [_listed(breaches)] if breaches else []
    unknown: dict[Reason, str] = {}
    validity = leaf.not_after - leaf.not_before + timedelta(seconds=1)
    if validity > rule.max_validity:
        limit = format_duration(rule.max_validity)
        faults.append(f"leaf is valid for {format_duration(validity)}, longer than {limit}")
    for position, certificate in _judged(chain):
        if isinstance(certificate, MalformedCertificate):
            unknown[Reason.MALFORMED] = f"{_where(position)} cannot be read"
            continue
        for outcome in (_key_fault(certificate, rule), _signature_fault(certificate, rule)):
            if isinstance(outcome, str):
                faults.append(f"{_where(position)}: {outcome}")
            elif outcome is not None:
                unknown[outcome.reasons[0]] = f"{_where(position)}: {outcome.message}"
    if faults:
        return failed("; ".join(faults))
    if chain.trust.anchor is None and chain.not_read:
        unknown[Reason.NOT_COVERED] = f"{chain.not_read} certificates were not read"
    if not isinstance(leaf.extensions, ExtensionFacts) or chain.trust.name is NameMatch.UNREADABLE:
        unknown[Reason.MALFORMED] = "the leaf's extensions cannot be read"
    elif chain.trust.name is NameMatch.NOT_ASKED:
        unknown[Reason.NOT_COVERED] = "no host name was compared"
    if unknown:
        return Verdict(Kind.INCONCLUSIVE, tuple(unknown), "; ".join(unknown.values()))
    return passed(
        f"names {chain.trust.host} and is valid until {leaf.not_after:%Y-%m-%d}; keys and signatures are allowed"
    )


def _judged(chain: ChainFacts) -> list[tuple[int, CertificateFacts | MalformedCertificate]]:
    """The certificates whose strength counts: those on the way to the anchor, or all when there is none."""
    if chain.trust.anchor is None:
        return list(enumerate(chain.sent))
    return [(position, chain.sent[position]) for position in chain.trust.path]


def _key_fault(certificate: CertificateFacts, rule: Certificate) -> str | Verdict | None:
    key = certificate.key
    match key.algorithm:
        case "rsa":
            return None if key.bits >= rule.min_rsa_bits else f"RSA key of {key.bits} bits"
        case "unsupported":
            return inconclusive(Reason.UNSUPPORTED, f"public key of an unsupported kind ({key.oid})")
        case "ec":
            return None if key.curve in rule.curves else f"key on curve {key.curve}"
        case other:
            return None if other in rule.curves else f"{other} key"


def _signature_fault(certificate: CertificateFacts, rule: Certificate) -> str | Verdict | None:
    signature = certificate.signature
    if certificate.self_signed:
        return None  # nobody relies on the signature of a certificate under its own key
    match signature.hash:
        case "unknown":
            return inconclusive(Reason.UNSUPPORTED, f"signature of an unsupported kind ({signature.oid})")
        case "intrinsic":
            return None if signature.name in rule.curves else f"{signature.name} signature"
        case digest:
            return None if digest in rule.signature_hashes else f"signature with {digest}"


class Chain(Control, id="tls.chain", version=1):
    """The chain as sent leads to the contracted CA, or to a CA that this system trusts if none is declared."""

    needs: ClassVar[tuple[type[Facts], ...]] = (TlsFacts,)
    section: ClassVar[str] = "endpoints"
    proves: ClassVar[str] = (
        "Every signature from the leaf to a trust anchor verifies; every issuer is a CA that may issue for TLS "
        "servers, within its dates at the moment of observation, its path length and its name constraints; and "
        "the server itself sent every certificate that is needed, so that clients which fetch none get there. "
        "The anchor is one of the endpoint's declared CA if there is one, else of the store named in the facts."
    )
    does_not_prove: ClassVar[str] = (
        "Anything about the leaf's own name, dates and strength (tls.certificate) or revocation "
        "(tls.revocation). Trust stores differ: the digest of the one used is recorded, and the limits that "
        "browsers put on single CAs are not applied. Certificate policies are not evaluated. An issuer that was "
        "not sent is called a missing intermediate when it is the leaf's or belongs to an organisation of the "
        "trust store, else an unknown issuer; both fail."
    )
    example: ClassVar[str] = "control: tls.chain@1\nfor: endpoints"
    sources: ClassVar[tuple[str, ...]] = (
        "RFC 5280 section 6",
        "RFC 4158",
        "RFC 8446 section 4.4.2",
        "NIST SP 800-52 Rev. 2 section 3.2",
    )

    def judge(self, facts: TlsFacts) -> Verdict:
        """The worst over all chains of the address."""
        return over_chains(facts, judge_chain)


def judge_chain(chain: ChainFacts) -> Verdict:
    """`tls.chain` on one chain."""
    if (verdict := intercepted(chain)) is not None:
        return verdict
    trust = chain.trust
    if not trust.anchors.count:
        return inconclusive(
            Reason.TOOL_MISSING, f"no trust anchors at {trust.anchors.path}: set SSL_CERT_FILE to a CA bundle"
        )
    problems = [p for p in trust.problems if not (p.position == 0 and p.kind in _OF_LEAF)]
    unknown = [p for p in problems if p.kind in _UNKNOWN]
    breaches = [p for p in problems if p.kind not in _UNKNOWN]
    if unknown and trust.anchor is None:
        # What could not be read might have led to an anchor.
        breaches = [p for p in breaches if p.kind in _DECIDED]
    if breaches:
        return failed(_listed(breaches))
    if unknown:
        return Verdict(Kind.INCONCLUSIVE, tuple(_UNKNOWN[p.kind] for p in unknown), _listed(unknown))
    if trust.anchor is None:
        return inconclusive(Reason.NO_POSITIVE, "no trust anchor was reached")
    return passed(f"leads to {trust.anchor.subject}, a {trust.anchors.kind} trust anchor")

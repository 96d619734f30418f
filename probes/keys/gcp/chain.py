"""Certificate chains of an attestation, verified offline up to a pinned root. Pure.

Not a general path validator, and on purpose: the maker's real certificates of cards are X.509 version 1, without any
extension, and issue the certificates of partitions, which every general validator refuses. So the shape is fixed
instead: a pinned root, certification authorities that say so (none are known), the card, the partition. All known real
ones are RSA 2048 with SHA-256; accepted are RSA from 2048 to 4096 bits and ECDSA on P-256 and P-384, with SHA-256 or
longer, nothing older.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keycheck.model.types import vendor_text
from probes.keys.gcp_facts import Chain, ChainStatus

MAX_CERTIFICATES: Final = 5
"""In one list; real ones have one or two, and perhaps the root."""
MAX_PEM: Final = 65_536
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_RSA_BITS: Final = range(2048, 4097)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Built:
    """A chain, and the certificates of the module in it."""

    chain: Chain
    modules: tuple[x509.Certificate, ...] = ()
    """The lowest ones, as many as were asked for, nearest to the root first; empty when there is no chain."""
    root: x509.Certificate | None = None


def chained(pems: Sequence[str], roots: Sequence[x509.Certificate], modules: int, looked: datetime) -> Built:
    """Chain the supplied certificates, in whatever order, to one of the roots; the lowest `modules` of them are the
    module's own. Every supplied certificate must have its place."""
    if not pems:
        return _none(ChainStatus.MISSING, "no certificates were supplied")
    try:
        certificates = parsed(pems)
    except _UNREADABLE:
        return _none(ChainStatus.MALFORMED, "certificates that cannot be read")
    if len(certificates) > MAX_CERTIFICATES:
        return _none(ChainStatus.MALFORMED, f"more than {MAX_CERTIFICATES} certificates")
    try:
        line = _in_line(certificates)
        if line is None:
            return _none(ChainStatus.NOT_CHAINED, "the supplied certificates are not one chain")
        return _anchored(line, roots, modules, looked)
    except _UNREADABLE:
        return _none(ChainStatus.MALFORMED, "certificates whose contents cannot be read")


def parsed(pems: Sequence[str]) -> list[x509.Certificate]:
    """Distinct certificates of PEM texts, at most one more than `MAX_CERTIFICATES`. Raises ValueError."""
    found: dict[bytes, x509.Certificate] = {}
    for pem in pems:
        if len(pem) > MAX_PEM:
            raise ValueError("too long")
        for certificate in x509.load_pem_x509_certificates(pem.encode()):
            found[certificate.fingerprint(hashes.SHA256())] = certificate
        if len(found) > MAX_CERTIFICATES:
            break
    return list(found.values())


def key_of(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def worst(first: Built, second: Built) -> Chain:
    """One statement about two chains of the same party."""
    if first.root is not None and second.root is not None and key_of(first.root) != key_of(second.root):
        return replaced(first.chain, ChainStatus.NOT_CHAINED, "card and partition end at different roots")
    return max(first.chain, second.chain, key=lambda chain: _BADNESS.index(chain.status))


def replaced(chain: Chain, status: ChainStatus, detail: str) -> Chain:
    """The chain with another status."""
    return chain.model_copy(update={"status": status, "detail": vendor_text(detail)})


_BADNESS: Final = (
    ChainStatus.VERIFIED,
    ChainStatus.EXPIRED_ROOT,
    ChainStatus.EXPIRED_CERTIFICATE,
    ChainStatus.NO_ROOT,
    ChainStatus.NOT_CHAINED,
    ChainStatus.MISSING,
    ChainStatus.MALFORMED,
)


def _none(status: ChainStatus, detail: str) -> Built:
    return Built(Chain(status=status, root="", root_sha256=None, root_until=None, detail=vendor_text(detail)))


def _in_line(certificates: list[x509.Certificate]) -> list[x509.Certificate] | None:
    """All of them, each issued by the one before; None when they are not one line."""
    tops = [
        each for each in certificates if not any(_issued(other, each) for other in certificates if other is not each)
    ]
    if len(tops) != 1:
        return None
    line = tops
    rest = [each for each in certificates if each is not tops[0]]
    while rest:
        below = [each for each in rest if _issued(line[-1], each)]
        if len(below) != 1:
            return None
        line.append(below[0])
        rest = [each for each in rest if each is not below[0]]
    return line


def _anchored(line: list[x509.Certificate], roots: Sequence[x509.Certificate], modules: int, looked: datetime) -> Built:
    root = next((each for each in roots if _same(each, line[0])), None)
    if root is not None:
        line = line[1:]  # it is a copy of the pinned root, or a certificate for its key: the pinned one counts
    else:
        root = next((each for each in roots if _issued(each, line[0])), None)
    own = tuple(line[-modules:]) if len(line) >= modules else ()
    if not own:
        return _none(ChainStatus.NOT_CHAINED, "a certificate of the card or of its partition is missing")
    if not roots:
        return replace(_none(ChainStatus.NO_ROOT, "the deployment pins no root under attestation_roots"), modules=own)
    if root is None:
        return replace(_none(ChainStatus.NOT_CHAINED, "it ends at no pinned root"), modules=own)
    for place, certificate in enumerate(line):
        above = root if place == 0 else line[place - 1]
        why = _weak(certificate, above) or (_no_issuer(above, place <= len(line) - modules) if place else "")
        if why:
            return replace(_none(ChainStatus.NOT_CHAINED, why), modules=own)
    status, detail = _dated(line, root, looked)
    chain = Chain(
        status=status,
        root=vendor_text(root.subject.rfc4514_string()),
        root_sha256=hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest(),
        root_until=root.not_valid_after_utc,
        detail=vendor_text(detail),
    )
    return Built(chain, own, root)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the name and the signature say so."""
    if issuer.subject != certificate.issuer:
        return False
    try:
        key = issuer.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS.stop:
            return False  # made to be slow
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def _same(root: x509.Certificate, certificate: x509.Certificate) -> bool:
    return root.subject == certificate.subject and key_of(root) == key_of(certificate)


def _weak(certificate: x509.Certificate, issuer: x509.Certificate) -> str:
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        return "a certificate is signed with a hash older than SHA-256"
    key = issuer.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    )
    return "" if strong else "a certificate is signed by a key that is too weak, or of a kind that is not accepted"


def _no_issuer(certificate: x509.Certificate, authority: bool) -> str:
    """Why the certificate may not have issued the next; `authority`: it is no card, so that it must say it may."""
    extensions = {each.oid: each.value for each in certificate.extensions}
    basic = extensions.get(x509.BasicConstraints.oid)
    usage = extensions.get(x509.KeyUsage.oid)
    if isinstance(basic, x509.BasicConstraints):
        allowed = basic.ca
    else:
        allowed = not authority
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        allowed = False
    return "" if allowed else "a certificate that may not issue others issued one"


def _dated(line: Sequence[x509.Certificate], root: x509.Certificate, looked: datetime) -> tuple[ChainStatus, str]:
    if any(each.not_valid_after_utc < looked for each in line):
        return ChainStatus.EXPIRED_CERTIFICATE, "a certificate below the root is past its end"
    if any(each.not_valid_before_utc > looked for each in (*line, root)):
        return ChainStatus.EXPIRED_CERTIFICATE, "a certificate is not valid yet"
    if root.not_valid_after_utc < looked:
        return ChainStatus.EXPIRED_ROOT, f"the root ended on {root.not_valid_after_utc:%Y-%m-%d}"
    return ChainStatus.VERIFIED, ""

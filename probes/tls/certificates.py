"""Reads certificates as a server sent them. Pure; hostile bytes become facts, never exceptions.

Proves what a certificate says, and whether its own key signed it. Whom it leads to is `trust`.
Source: RFC 5280.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.ocsp import OCSPResponse
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from keycheck.model.types import vendor_text
from probes.tls.chain_facts import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MAX_NAMES,
    MAX_URIS,
    CertificateFacts,
    ExtensionFacts,
    KeyFacts,
    Malformed,
    MalformedCertificate,
    ServerAuth,
    SignatureFacts,
)
from probes.tls.der import same_signature_algorithm, spki_of

PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    LookupError,  # a TLS feature (RFC 7633) that the library has no name for
    UnsupportedAlgorithm,
    InternalError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""Everything that `cryptography` raises on bytes that it cannot read; parsing is lazy, so at any access."""

E = TypeVar("E", bound=x509.ExtensionType)

CanonicalName: TypeAlias = tuple[frozenset[tuple[str, str | bytes]], ...]

_Read: TypeAlias = Malformed | ExtensionFacts
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_MAX_SERIAL_BITS: Final = 1024
_MLDSA: Final[tuple[tuple[type, str], ...]] = (
    (mldsa.MLDSA44PublicKey, "ml-dsa-44"),
    (mldsa.MLDSA65PublicKey, "ml-dsa-65"),
    (mldsa.MLDSA87PublicKey, "ml-dsa-87"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A readable certificate with what path building needs at hand. All of it follows from the DER, so that two
    are equal when their bytes are."""

    der: bytes
    certificate: x509.Certificate
    facts: CertificateFacts
    subject: CanonicalName
    issuer: CanonicalName
    extensions: x509.Extensions | None
    """None: they cannot be read; `facts.extensions` says why."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parsed) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)


def read_chain(chain: Sequence[bytes]) -> tuple[Parsed | MalformedCertificate, ...]:
    """The first `MAX_CERTIFICATES` certificates of a chain, in the order sent."""
    return tuple(read(der) for der in chain[:MAX_CERTIFICATES])


def read(der: bytes) -> Parsed | MalformedCertificate:
    """One certificate from its DER."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        return _malformed(der, f"longer than {MAX_CERTIFICATE_BYTES} bytes")
    return _read(der)


@lru_cache(maxsize=64)
def _read(der: bytes) -> Parsed | MalformedCertificate:
    """A CA's certificate comes with every chain of its; 64 of at most 64 KiB bound what a stranger can fill."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        if not same_signature_algorithm(der):
            raise ValueError("names one signature algorithm inside and another outside the signature")
        subject, issuer = canonical_name(certificate.subject), canonical_name(certificate.issuer)
        extensions, extension_facts = _read_extensions(certificate)
        facts = _facts(der, certificate, subject == issuer, extension_facts)
    except PARSE_ERRORS as error:
        return _malformed(der, str(error) or type(error).__name__)
    return Parsed(der, certificate, facts, subject, issuer, extensions)


def _malformed(der: bytes, detail: str) -> MalformedCertificate:
    return MalformedCertificate(sha256=hashlib.sha256(der).hexdigest(), bytes=len(der), detail=vendor_text(detail))


def canonical_name(name: x509.Name) -> CanonicalName:
    """A distinguished name for comparison: case and white space folded, string types equal
    (RFC 5280 section 7.1; the `cryptography` library compares bytes instead)."""
    return tuple(
        frozenset(
            (
                part.oid.dotted_string,
                part.value if isinstance(part.value, bytes) else " ".join(part.value.casefold().split()),
            )
            for part in rdn
        )
        for rdn in name.rdns
    )


def _facts(der: bytes, certificate: x509.Certificate, self_issued: bool, extensions: _Read) -> CertificateFacts:
    serial = certificate.serial_number
    if serial.bit_length() > _MAX_SERIAL_BITS:
        raise ValueError(f"serial number of {serial.bit_length()} bits")
    return CertificateFacts(
        sha256=hashlib.sha256(der).hexdigest(),
        bytes=len(der),
        spki_sha256=hashlib.sha256(spki_of(certificate.tbs_certificate_bytes)).hexdigest(),
        subject=vendor_text(certificate.subject.rfc4514_string()),
        issuer=vendor_text(certificate.issuer.rfc4514_string()),
        serial=str(serial),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=key_facts(certificate),
        signature=signature_facts(certificate),
        self_issued=self_issued,
        self_signed=self_issued and _signed_by_itself(certificate),
        extensions=extensions,
    )


def _signed_by_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, *PARSE_ERRORS):
        return False
    return True


def key_facts(certificate: x509.Certificate) -> KeyFacts:
    """The public key of a certificate; `unsupported` when it cannot be read."""
    oid = certificate.public_key_algorithm_oid.dotted_string
    try:
        algorithm, bits, curve = _describe_key(certificate.public_key())
    except PARSE_ERRORS:
        algorithm, bits, curve = "unsupported", 0, ""
    return KeyFacts(algorithm=algorithm, bits=bits, curve=curve, oid=oid)


def _describe_key(key: CertificatePublicKeyTypes) -> tuple[str, int, str]:
    match key:
        case rsa.RSAPublicKey():
            return "rsa", key.key_size, ""
        case ec.EllipticCurvePublicKey():
            return "ec", key.key_size, key.curve.name
        case ed25519.Ed25519PublicKey():
            return "ed25519", 0, ""
        case ed448.Ed448PublicKey():
            return "ed448", 0, ""
        case dsa.DSAPublicKey():
            return "dsa", key.key_size, ""
        case _:
            names = (name for kind, name in _MLDSA if isinstance(key, kind))
            return next(names, "unsupported"), 0, ""


def signature_facts(signed: x509.Certificate | OCSPResponse) -> SignatureFacts:
    """The signature algorithm of a certificate or an OCSP response."""
    oid = signed.signature_algorithm_oid
    try:
        digest = signed.signature_hash_algorithm
        name = digest.name if digest is not None else "intrinsic"
    except PARSE_ERRORS:
        name = "unknown"
    known = _SIGNATURE_NAMES.get(oid.dotted_string, "unknown")
    return SignatureFacts(oid=oid.dotted_string, name=known, hash=name)


_SIGNATURE_NAMES: Final = {
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}


def _read_extensions(certificate: x509.Certificate) -> tuple[x509.Extensions | None, _Read]:
    try:
        extensions = certificate.extensions
        return extensions, _extension_facts(extensions)
    except PARSE_ERRORS as error:
        return None, Malformed(detail=vendor_text(str(error) or type(error).__name__))


def _extension_facts(extensions: x509.Extensions) -> ExtensionFacts:
    constraints = find(extensions, x509.BasicConstraints)
    usage = find(extensions, x509.KeyUsage)
    purposes = find(extensions, x509.ExtendedKeyUsage)
    names = find(extensions, x509.SubjectAlternativeName) or ()
    feature = find(extensions, x509.TLSFeature) or ()
    subject_key = find(extensions, x509.SubjectKeyIdentifier)
    authority_key = find(extensions, x509.AuthorityKeyIdentifier)
    dns = [name.value for name in names if isinstance(name, x509.DNSName)]
    addresses = [str(name.value) for name in names if isinstance(name, x509.IPAddress)]
    ocsp, issuer_uris = _access_uris(extensions)
    crls = _crl_uris(extensions)
    return ExtensionFacts(
        basic_constraints=constraints is not None,
        is_ca=constraints is not None and constraints.ca,
        path_length=constraints.path_length if constraints is not None else None,
        key_usage=(frozenset(bit for bit in _USAGES if getattr(usage, bit)) if usage is not None else None),
        server_auth=_server_auth(purposes),
        extended_key_usage=tuple(p.dotted_string for p in list(purposes or ())[:MAX_URIS]),
        dns_names=_texts(dns, MAX_NAMES),
        ip_addresses=_texts(addresses, MAX_NAMES),
        names_not_listed=(len(list(names)) - len(dns[:MAX_NAMES]) - len(addresses[:MAX_NAMES])),
        must_staple=x509.TLSFeatureType.status_request in feature,
        ocsp_uris=_texts(ocsp, MAX_URIS),
        crl_uris=_texts(crls, MAX_URIS),
        issuer_uris=_texts(issuer_uris, MAX_URIS),
        uris_not_listed=sum(max(0, len(uris) - MAX_URIS) for uris in (ocsp, crls, issuer_uris)),
        subject_key_id=_key_id(subject_key.digest if subject_key is not None else None),
        authority_key_id=_key_id(authority_key.key_identifier if authority_key is not None else None),
    )


def find(extensions: x509.Extensions, kind: type[E]) -> E | None:
    """The value of an extension, or None when it is absent."""
    return next((e.value for e in extensions if isinstance(e.value, kind)), None)


def _texts(raw: Iterable[str], limit: int) -> tuple[str, ...]:
    return tuple(vendor_text(text) for text in list(raw)[:limit])


def _key_id(raw: bytes | None) -> str | None:
    return None if raw is None else raw[:128].hex()


def _server_auth(purposes: x509.ExtendedKeyUsage | None) -> ServerAuth:
    if purposes is None:
        return ServerAuth.ABSENT
    if ExtendedKeyUsageOID.SERVER_AUTH in purposes:
        return ServerAuth.STATED
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes:
        return ServerAuth.ANY
    return ServerAuth.NOT_STATED


def _access_uris(extensions: x509.Extensions) -> tuple[list[str], list[str]]:
    access = find(extensions, x509.AuthorityInformationAccess) or ()
    uris = [
        (entry.access_method, entry.access_location.value)
        for entry in access
        if isinstance(entry.access_location, x509.UniformResourceIdentifier)
    ]
    return (
        [uri for method, uri in uris if method == AuthorityInformationAccessOID.OCSP],
        [uri for method, uri in uris if method == AuthorityInformationAccessOID.CA_ISSUERS],
    )


def _crl_uris(extensions: x509.Extensions) -> list[str]:
    points = find(extensions, x509.CRLDistributionPoints) or ()
    return [
        name.value
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ]

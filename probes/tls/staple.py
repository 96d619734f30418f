"""Reads what a server staples to its handshake: the OCSP response and certificate timestamps. Pure.

Proves what an OCSP response says, about which certificate, whose verified signature it carries and whether it
was current at the moment of observation. Does not ask any responder. Timestamps (SCTs) are listed, their
signatures are not verified: that needs the logs' keys.
Sources: RFC 6960 (OCSP), RFC 6962 section 3.3 (SCT list), RFC 5246 section 4 (vectors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from keycheck.model.types import vendor_text
from probes.tls.certificates import PARSE_ERRORS, Parsed, canonical_name, find, read, signature_facts
from probes.tls.chain_facts import (
    MAX_SCTS,
    Freshness,
    OcspFacts,
    RevocationStatus,
    SctFacts,
    SctListFacts,
    StapleFacts,
    StapleSignature,
    StapleState,
)
from probes.tls.der import issuer_of, octets, public_key_bits, spki_of
from probes.tls.signatures import Signed, signed_by, verify

MAX_STAPLE_BYTES: Final = 65_536
MAX_RESPONSES: Final = 16
MAX_RESPONDERS: Final = 8
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far in the future `thisUpdate` may lie: responders stamp the present, and clocks differ a little."""

_STATUS: Final = {
    ocsp.OCSPCertStatus.GOOD: RevocationStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED: RevocationStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: RevocationStatus.UNKNOWN,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SCT_V1: Final = 0


def read_staple(
    response: bytes | None, leaf: Parsed | None, issuer: Parsed | None, at: datetime, *, asked: bool = True
) -> StapleFacts:
    """The stapled OCSP response about `leaf`. `issuer` is who really signed the leaf, as far as known.

    `asked` says whether our hello carried status_request; without it no staple means nothing.
    """
    if response is None:
        return StapleFacts(state=StapleState.ABSENT if asked else StapleState.NOT_ASKED, sha256=None)
    digest = hashlib.sha256(response).hexdigest()
    try:
        if len(response) > MAX_STAPLE_BYTES:
            raise ValueError(f"longer than {MAX_STAPLE_BYTES} bytes")
        parsed = ocsp.load_der_ocsp_response(response)
        if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            status = parsed.response_status.name.lower().replace("_", "-")
            return StapleFacts(state=StapleState.UNSUCCESSFUL, sha256=digest, detail=status)
        facts = _ocsp_facts(parsed, leaf, issuer, at)
    except PARSE_ERRORS as error:
        detail = vendor_text(str(error) or type(error).__name__)
        return StapleFacts(state=StapleState.MALFORMED, sha256=digest, detail=detail)
    return StapleFacts(state=StapleState.PARSED, sha256=digest, response=facts)


def _ocsp_facts(response: ocsp.OCSPResponse, leaf: Parsed | None, issuer: Parsed | None, at: datetime) -> OcspFacts:
    singles = list(islice(response.responses, MAX_RESPONSES))
    if not singles:
        raise ValueError("the response is about no certificate")
    matching = [single for single in singles if leaf is not None and _is_about(single, leaf, issuer)]
    single = matching[0] if matching else singles[0]
    reason = single.revocation_reason
    return OcspFacts(
        status=_STATUS[single.certificate_status],
        about_leaf=bool(matching),
        signature=_who_signed(response, issuer, at),
        signature_algorithm=signature_facts(response),
        freshness=_freshness(single, at),
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        produced_at=response.produced_at_utc,
        revoked_at=single.revocation_time_utc,
        reason="" if reason is None else vendor_text(reason.value),
    )


def _is_about(single: ocsp.OCSPSingleResponse, leaf: Parsed, issuer: Parsed | None) -> bool:
    if single.serial_number != leaf.certificate.serial_number:
        return False
    name = _digest(single.hash_algorithm, issuer_of(leaf.certificate.tbs_certificate_bytes))
    if name != single.issuer_name_hash:
        return False
    return issuer is None or _digest(single.hash_algorithm, _key_bits(issuer)) == single.issuer_key_hash


def _digest(algorithm: HashAlgorithm, data: bytes) -> bytes:
    return hashlib.new(algorithm.name, data, usedforsecurity=False).digest()


def _key_bits(certificate: Parsed) -> bytes:
    return public_key_bits(spki_of(certificate.certificate.tbs_certificate_bytes))


def _freshness(single: ocsp.OCSPSingleResponse, at: datetime) -> Freshness:
    if at < single.this_update_utc - CLOCK_TOLERANCE:
        return Freshness.NOT_YET_VALID
    if single.next_update_utc is None:
        return Freshness.OPEN_ENDED
    return Freshness.STALE if at > single.next_update_utc else Freshness.FRESH


def _who_signed(response: ocsp.OCSPResponse, issuer: Parsed | None, at: datetime) -> StapleSignature:
    """The issuer itself, or a responder that the issuer certified for it (RFC 6960 section 4.2.2.2)."""
    if issuer is None:
        return StapleSignature.ISSUER_UNKNOWN
    if _is_responder(response, issuer):
        return _outcome(_signs(response, issuer), StapleSignature.ISSUER)
    for certificate in response.certificates[:MAX_RESPONDERS]:
        delegate = read(certificate.public_bytes(Encoding.DER))
        if not isinstance(delegate, Parsed) or not _is_responder(response, delegate):
            continue
        if not _is_authorized(delegate, issuer, at):
            return StapleSignature.UNAUTHORIZED
        return _outcome(_signs(response, delegate), StapleSignature.DELEGATE)
    return StapleSignature.UNAUTHORIZED


def _is_responder(response: ocsp.OCSPResponse, candidate: Parsed) -> bool:
    name, key_hash = response.responder_name, response.responder_key_hash
    if name is not None:
        return canonical_name(name) == candidate.subject
    return key_hash == hashlib.sha1(_key_bits(candidate), usedforsecurity=False).digest()


def _is_authorized(delegate: Parsed, issuer: Parsed, at: datetime) -> bool:
    facts = delegate.facts
    if delegate.extensions is None or delegate.issuer != issuer.subject:
        return False
    purposes = find(delegate.extensions, x509.ExtendedKeyUsage) or ()
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and facts.not_before <= at <= facts.not_after
        and signed_by(delegate, issuer) is Signed.YES
    )


def _signs(response: ocsp.OCSPResponse, signer: Parsed) -> Signed:
    if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return Signed.UNSUPPORTED  # the library does not hand out the PSS parameters of a response
    digest = response.signature_hash_algorithm
    return verify(signer.certificate, response.signature, response.tbs_response_bytes, digest)


def _outcome(signed: Signed, who: StapleSignature) -> StapleSignature:
    match signed:
        case Signed.YES:
            return who
        case Signed.NO:
            return StapleSignature.INVALID
        case Signed.UNSUPPORTED:
            return StapleSignature.UNSUPPORTED


def read_handshake_scts(sct_list: bytes | None, *, asked: bool = True) -> SctListFacts:
    """The SignedCertificateTimestampList of the TLS extension, as its raw bytes."""
    if sct_list is None:
        return SctListFacts(state="absent" if asked else "not-asked", detail="", scts=(), not_listed=0)
    return _sct_list(sct_list, "handshake")


def read_embedded_scts(leaf: Parsed | None) -> SctListFacts:
    """The timestamps that a CA built into the certificate (RFC 6962 section 3.3)."""
    absent = SctListFacts(state="absent", detail="", scts=(), not_listed=0)
    if leaf is None or leaf.extensions is None:
        return absent
    extension = find(leaf.extensions, x509.PrecertificateSignedCertificateTimestamps)
    if extension is None:
        return absent
    try:
        return _sct_list(octets(extension.public_bytes()), "certificate")
    except PARSE_ERRORS as error:
        return _malformed_scts(error)


def _malformed_scts(error: Exception) -> SctListFacts:
    return SctListFacts(state="malformed", detail=vendor_text(str(error)), scts=(), not_listed=0)


def _sct_list(raw: bytes, source: Literal["certificate", "handshake"]) -> SctListFacts:
    try:
        body, rest = _vector(raw)
        if rest:
            raise ValueError("bytes after the list of timestamps")
        entries = list(_entries(body))
        known = [_sct(entry, source) for entry in entries if entry[0] == _SCT_V1][:MAX_SCTS]
    except (ValueError, OverflowError) as error:
        return _malformed_scts(error)
    return SctListFacts(state="parsed", detail="", scts=tuple(known), not_listed=len(entries) - len(known))


def _vector(data: bytes) -> tuple[bytes, bytes]:
    """A vector with a 16-bit length in front, and what follows it."""
    size = int.from_bytes(data[:2], "big")
    if len(data) < 2 + size:
        raise ValueError("timestamps end within a vector")
    return data[2 : 2 + size], data[2 + size :]


def _entries(body: bytes) -> Iterator[bytes]:
    while body:
        entry, body = _vector(body)
        if not entry:
            raise ValueError("an empty timestamp")
        yield entry


def _sct(entry: bytes, source: Literal["certificate", "handshake"]) -> SctFacts:
    """`version(1) log_id(32) timestamp(8) extensions<2> hash(1) signature(1) signature<2>`, <n> a vector."""
    _, rest = _vector(entry[41:])
    _, after = _vector(rest[2:])
    if len(entry) < 43 or len(rest) < 4 or after:
        raise ValueError("a timestamp of the wrong length")
    return SctFacts(
        source=source,
        version=entry[0],
        log_id=entry[1:33].hex(),
        at=_EPOCH + timedelta(milliseconds=int.from_bytes(entry[33:41], "big")),
        signature=f"{rest[0]}.{rest[1]}",
    )

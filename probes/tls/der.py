"""The little DER that `cryptography` does not hand out: raw slices of structures it has already parsed."""

from __future__ import annotations

SEQUENCE = 0x30
OCTET_STRING = 0x04
_VERSION = 0xA0


def element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """`(tag, content, end)` of the element at an offset; ValueError when it does not fit (X.690, 8.1)."""
    if at + 2 > len(data):
        raise ValueError("DER ends within a header")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("DER with a long tag")
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(data):
            raise ValueError("DER with an impossible length")
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    if start + length > len(data):
        raise ValueError("DER ends within an element")
    return tag, data[start : start + length], start + length


def tbs_field(tbs_certificate: bytes, index: int) -> bytes:
    """A field of a TBSCertificate with its header, byte for byte (RFC 5280 section 4.1), counted as
    0 serialNumber, 1 signature, 2 issuer, 3 validity, 4 subject, 5 subjectPublicKeyInfo."""
    tag, fields, _ = element(tbs_certificate)
    if tag != SEQUENCE:
        raise ValueError("TBSCertificate is no SEQUENCE")
    at = element(fields)[2] if fields[:1] == bytes([_VERSION]) else 0
    for _ in range(index):
        at = element(fields, at)[2]
    return fields[at : element(fields, at)[2]]


def spki_of(tbs_certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a TBSCertificate."""
    return tbs_field(tbs_certificate, 5)


def issuer_of(tbs_certificate: bytes) -> bytes:
    """The issuer's name of a TBSCertificate."""
    return tbs_field(tbs_certificate, 2)


def same_signature_algorithm(certificate: bytes) -> bool:
    """Whether a certificate names the same algorithm inside and outside its signature
    (RFC 5280 section 4.1.1.2 demands it)."""
    _, fields, _ = element(certificate)
    at = element(fields)[2]
    return tbs_field(fields[:at], 1) == fields[at : element(fields, at)[2]]


def octets(data: bytes) -> bytes:
    """The content of an OCTET STRING that fills the input."""
    tag, content, end = element(data)
    if tag != OCTET_STRING or end != len(data):
        raise ValueError("not one OCTET STRING")
    return content


def public_key_bits(spki: bytes) -> bytes:
    """The key itself out of a SubjectPublicKeyInfo, as OCSP key hashes cover it (RFC 6960 section 4.1.1)."""
    _, fields, _ = element(spki)
    tag, bits, _ = element(fields, element(fields)[2])
    if tag != 0x03 or not bits:
        raise ValueError("not a BIT STRING")
    return bits[1:]

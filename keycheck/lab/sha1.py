"""A certificate with a SHA-1 signature, which `cryptography` verifies the parts of but refuses to build.

The signed part of a good certificate is copied with only its signature algorithm exchanged, and signed again.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256, RFC 5758 section 3.2
_ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")  # ecdsa-with-SHA1, RFC 3279 section 2.2.3


def resigned_with_sha1(certificate: x509.Certificate, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The same certificate under ecdsa-with-SHA1. Raise ValueError if it was not ecdsa-with-SHA256."""
    body = der_content(certificate.tbs_certificate_bytes)
    # The first occurrence is the signature field: only the version and the serial number stand before it.
    head, found, tail = body.partition(_ECDSA_SHA256)
    if not found:
        raise ValueError("only an ECDSA signature with SHA-256 can be exchanged for SHA-1")
    to_sign = der(0x30, head + _ECDSA_SHA1 + tail)
    signature = signer.sign(to_sign, ec.ECDSA(hashes.SHA1()))
    return x509.load_der_x509_certificate(der(0x30, to_sign + _ECDSA_SHA1 + der(0x03, b"\x00" + signature)))


def der(tag: int, content: bytes) -> bytes:
    """One DER element (X.690 section 8.1)."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def der_content(element: bytes) -> bytes:
    """The content of the one DER element that ``element`` is."""
    if element[1] < 0x80:
        return element[2:]
    return element[2 + (element[1] & 0x7F) :]

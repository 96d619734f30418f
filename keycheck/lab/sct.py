"""Signed certificate timestamps by a certificate transparency log of the lab's own (RFC 6962 section 3.2)."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keycheck.lab.sha1 import der

_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ECDSA_SHA256 = b"\x04\x03"  # TLS 1.2 SignatureAndHashAlgorithm


def with_sct(
    builder: x509.CertificateBuilder,
    signer: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    issuer: x509.Certificate,
    logs: Sequence[ec.EllipticCurvePrivateKey],
    logged: dt.datetime,
) -> x509.CertificateBuilder:
    """Add one SCT per log key. The builder must be complete but for this: what it builds is logged."""
    unlogged = builder.sign(signer, hashes.SHA256()).tbs_certificate_bytes
    issuer_key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    entry = b"\x00\x01" + hashlib.sha256(issuer_key).digest() + len(unlogged).to_bytes(3, "big") + unlogged
    listed = b"".join(
        _vector(_one(log, entry, int(logged.timestamp() * 1000) + place)) for place, log in enumerate(logs)
    )
    return builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, der(0x04, _vector(listed))), critical=False)


def _one(log: ec.EllipticCurvePrivateKey, entry: bytes, milliseconds: int) -> bytes:
    stamp = milliseconds.to_bytes(8, "big")
    log_key = log.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    no_extensions = b"\x00\x00"
    signature = log.sign(b"\x00\x00" + stamp + entry + no_extensions, ec.ECDSA(hashes.SHA256()))
    return b"\x00" + hashlib.sha256(log_key).digest() + stamp + no_extensions + _ECDSA_SHA256 + _vector(signature)


def _vector(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data

"""Whether one certificate, or an OCSP response, is really signed by a given key."""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from probes.tls.certificates import PARSE_ERRORS, Parsed

_PURE: Final = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)


class Signed(Enum):
    """Outcome of checking one signature."""

    YES = auto()
    NO = auto()
    UNSUPPORTED = auto()
    """The algorithm or the key cannot be used here: nothing is known."""


@lru_cache(maxsize=64)
def signed_by(node: Parsed, issuer: Parsed) -> Signed:
    """Whether `issuer`'s key verifies the signature of `node`. Names, dates and CA flags are not looked at.

    MD5 and SHA-1 signatures are verified too: whether they are good enough is a parameter of a control.
    """
    try:
        parameters = node.certificate.signature_algorithm_parameters
        digest = node.certificate.signature_hash_algorithm
    except PARSE_ERRORS:
        return Signed.UNSUPPORTED
    scheme = parameters if isinstance(parameters, padding.PSS) else None
    certificate = node.certificate
    return verify(issuer.certificate, certificate.signature, certificate.tbs_certificate_bytes, digest, scheme)


def verify(
    signer: x509.Certificate,
    signature: bytes,
    message: bytes,
    digest: HashAlgorithm | None,
    pss: padding.PSS | None = None,
) -> Signed:
    """Verify a signature with a certificate's key: RSA PKCS #1 v1.5 or PSS, ECDSA, EdDSA, ML-DSA."""
    try:
        key = signer.public_key()
        if isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, message, pss or padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(key, _PURE) and digest is None:
            key.verify(signature, message)
        elif isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, *_PURE)):
            return Signed.NO  # a key of another kind than the signature's
        else:
            return Signed.UNSUPPORTED
    except InvalidSignature:
        return Signed.NO
    except PARSE_ERRORS:
        return Signed.UNSUPPORTED
    return Signed.YES

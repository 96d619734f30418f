"""Key material by algorithm: sizes, generation, what an import must look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keycheck.lab.gcp.errors import invalid, unimplemented
from keycheck.lab.gcp.store import Material, Purpose

SYMMETRIC: Final = "GOOGLE_SYMMETRIC_ENCRYPTION"
EXTERNAL_SYMMETRIC: Final = "EXTERNAL_SYMMETRIC_ENCRYPTION"
_CURVES: Final[Mapping[str, Callable[[], ec.EllipticCurve]]] = {
    "EC_SIGN_P256_SHA256": ec.SECP256R1,
    "EC_SIGN_P384_SHA384": ec.SECP384R1,
    "EC_SIGN_SECP256K1_SHA256": ec.SECP256K1,
}
_SIZES: Final[Mapping[str, int]] = {
    SYMMETRIC: 32,
    "HMAC_SHA1": 20,
    "HMAC_SHA224": 28,
    "HMAC_SHA256": 32,
    "HMAC_SHA384": 48,
    "HMAC_SHA512": 64,
    **{f"AES_{bits}_{mode}": bits // 8 for bits in (128, 256) for mode in ("GCM", "CBC", "CTR")},
}
_ED25519: Final = "EC_SIGN_ED25519"


def purpose_of(algorithm: str) -> Purpose | None:
    """The purpose that an algorithm serves; None: not served by the lab."""
    if algorithm in (SYMMETRIC, EXTERNAL_SYMMETRIC):
        return Purpose.ENCRYPT_DECRYPT
    if algorithm in _SIZES:
        return Purpose.MAC if algorithm.startswith("HMAC_") else Purpose.RAW_ENCRYPT_DECRYPT
    if algorithm.startswith("RSA_DECRYPT_"):
        return Purpose.ASYMMETRIC_DECRYPT
    if algorithm in _CURVES or algorithm == _ED25519 or algorithm.startswith(("RSA_SIGN_PSS_", "RSA_SIGN_PKCS1_")):
        return Purpose.ASYMMETRIC_SIGN
    return None


def generated(algorithm: str, entropy: Callable[[int], bytes]) -> Material:
    """Fresh material. Key pairs come from the library's own randomness. The lab plays the external key manager too."""
    if algorithm == EXTERNAL_SYMMETRIC:
        return entropy(32)
    if algorithm in _SIZES:
        return entropy(_SIZES[algorithm])
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == _ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    bits = _rsa_bits(algorithm)
    if bits is None:
        raise unimplemented(f"algorithm {algorithm}")
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def parsed(algorithm: str, data: bytes) -> Material | None:
    """Imported bytes as material: raw for symmetric keys, PKCS #8 DER for key pairs; None: not of the algorithm."""
    if algorithm in _SIZES:
        return data if len(data) == _SIZES[algorithm] else None
    try:
        key = load_der_private_key(data, None)
    except (ValueError, TypeError):
        return None
    match key:
        case rsa.RSAPrivateKey():
            return key if key.key_size == _rsa_bits(algorithm) else None
        case ec.EllipticCurvePrivateKey():
            return key if algorithm in _CURVES and isinstance(key.curve, type(_CURVES[algorithm]())) else None
        case ed25519.Ed25519PrivateKey():
            return key if algorithm == _ED25519 else None
        case _:
            return None


def checked_algorithm(algorithm: str, purpose: Purpose) -> str:
    """The algorithm of a template, or its default. Raises INVALID_ARGUMENT, UNIMPLEMENTED."""
    if not algorithm:
        if purpose is not Purpose.ENCRYPT_DECRYPT:
            raise invalid(f"version_template.algorithm must be set for keys with purpose {purpose}.")
        return SYMMETRIC
    served = purpose_of(algorithm)
    if served is None:
        raise unimplemented(f"algorithm {algorithm}")
    if served is not purpose:
        raise invalid(f"The algorithm {algorithm} is not compatible with the purpose {purpose}.")
    return algorithm


def _rsa_bits(algorithm: str) -> int | None:
    if not algorithm.startswith("RSA_"):
        return None
    return next((int(part) for part in algorithm.split("_") if part in ("2048", "3072", "4096")), None)

"""Key material on its way: made here, wrapped for a cloud, sealed for its owner, read from escrow. Nothing here is ever
logged, and nothing but what is sealed is ever written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.evidence.files import create, read_bounded
from keycheck.model.types import Entropy
from keycheck.model.verdict import Reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

OCTETS: Final = 32
"""Of a symmetric key: both clouds take AES-256 and nothing else."""
MAX_FILE: Final = 16 * 1024
KEPT: Final = "material.sealed"
"""Material that was made here, sealed to its owner's key."""
_WRAPPING_BITS: Final = 2048
"""The smallest that a cloud offers to wrap with."""
_KEEPING_BITS: Final = 3072


@contextmanager
def made(entropy: Entropy) -> Iterator[bytearray]:
    """New material, overwritten afterwards. Copies that Python and OpenSSL made on the way may stay in this process's
    memory until it ends: there is no door to them."""
    material = bytearray(entropy(OCTETS))
    if len(material) != OCTETS:
        raise ProbeError(Reason.TOOL_MISSING, "the source of randomness gave too little")
    try:
        yield material
    finally:
        material[:] = bytes(OCTETS)


def wrapped(material: bytes | bytearray, public: bytes) -> bytes:
    """RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, section 7.1) under a cloud's wrapping key (DER or PEM
    SubjectPublicKeyInfo): AWS's RSAES_OAEP_SHA_256, Google's RSA_OAEP_3072_SHA256. Raises ProbeError(malformed)."""
    if len(material) != OCTETS:
        raise ProbeError(Reason.MALFORMED, f"key material is {OCTETS} octets")
    return _oaep(_rsa(public, _WRAPPING_BITS, "the cloud's wrapping key"), bytes(material))


def sealed(material: bytes | bytearray, owner: bytes, entropy: Entropy) -> bytes:
    """For the owner alone: an ephemeral AES-256 key under his RSA key (RSAES-OAEP, SHA-256), then the material under it
    (AES Key Wrap with Padding, RFC 5649). It is the layout of PKCS #11's CKM_RSA_AES_KEY_WRAP, so that an HSM can
    unwrap it. Raises ProbeError for a key that is not RSA of 3072 bits or more."""
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

    key = _rsa(owner, _KEEPING_BITS, "the key under `keep`")
    ephemeral = entropy(OCTETS)
    return _oaep(key, ephemeral) + aes_key_wrap_with_padding(ephemeral, bytes(material))


def owner_key(path: Path) -> bytes:
    """The public key that made material is sealed to. Raises ProbeError where it cannot be used."""
    content = read_file(path)
    _rsa(content, _KEEPING_BITS, "the key under `keep`")
    return content


def spelled(public: bytes) -> tuple[bytes, bytes]:
    """A cloud's wrapping key in DER and in PEM. Raises ProbeError(malformed)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key, form = _rsa(public, _WRAPPING_BITS, "the cloud's wrapping key"), PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(Encoding.DER, form), key.public_bytes(Encoding.PEM, form)


def keep(directory: Path, content: bytes) -> None:
    """Write what was sealed, and have it on disk. Raises ProbeError: then the material must not be used."""
    try:
        create(directory / KEPT, content, mode=0o600)
    except OSError as error:
        raise ProbeError(
            Reason.TOOL_MISSING,
            f"{KEPT} cannot be written ({error.strerror or type(error).__name__}): nothing is rotated",
        ) from error


def read_file(path: Path) -> bytes:
    """A file that a deployment names. Raises ProbeError, which names neither the file nor what is in it."""
    try:
        content = read_bounded(path, MAX_FILE)
    except OSError as error:
        raise ProbeError(
            Reason.UNREACHABLE, f"an escrow file cannot be read ({type(error).__name__}); check its path"
        ) from error
    if not content:
        raise ProbeError(Reason.MALFORMED, "an escrow file is empty")
    return content


def local(path: Path) -> bytes:
    """Plain material from escrow. Raises ProbeError."""
    material = read_file(path)
    if len(material) != OCTETS:
        raise ProbeError(Reason.MALFORMED, f"the escrow file does not hold {OCTETS} octets")
    return material


def _oaep(key: RSAPublicKey, content: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return key.encrypt(content, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def _rsa(content: bytes, bits: int, what: str) -> RSAPublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    try:
        load = load_pem_public_key if content.lstrip().startswith(b"-----BEGIN") else load_der_public_key
        key = load(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProbeError(Reason.MALFORMED, f"{what} is no public key") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < bits:
        raise ProbeError(Reason.MALFORMED, f"{what} is not RSA of {bits} bits or more")
    return key

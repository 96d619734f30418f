"""Key material: made, imported and used for signatures, codes and agreements, with real cryptography."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from keycheck.lab.aws.kms.errors import bad_ciphertext, invalid, unsupported, wrong_material
from keycheck.lab.aws.kms.specs import Kind, Spec

MlDsa: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MlKem: TypeAlias = mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | MlDsa | MlKem
Secret: TypeAlias = bytes | PrivateKey
Entropy: TypeAlias = Callable[[int], bytes]

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "1": hashes.SHA1(),
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_OAEP_OVERHEAD: Final = {"RSAES_OAEP_SHA_1": 42, "RSAES_OAEP_SHA_256": 66}


def generate(spec: Spec, entropy: Entropy) -> Secret:
    """New material. Private keys come from OpenSSL's generator, octets from `entropy`."""
    match spec.kind:
        case Kind.SYMMETRIC:
            return entropy(32)
        case Kind.HMAC:
            return entropy(spec.size)
        case Kind.RSA:
            return rsa.generate_private_key(65537, spec.size)
        case Kind.ECC:
            return ec.generate_private_key(_CURVES[spec.name])
        case Kind.EDWARDS:
            return ed25519.Ed25519PrivateKey.generate()
        case Kind.ML_DSA:
            if spec.size == 44:
                return mldsa.MLDSA44PrivateKey.generate()
            return mldsa.MLDSA65PrivateKey.generate() if spec.size == 65 else mldsa.MLDSA87PrivateKey.generate()
        case Kind.ML_KEM:
            return mlkem.MLKEM768PrivateKey.generate() if spec.size == 768 else mlkem.MLKEM1024PrivateKey.generate()
        case _:
            assert_never(spec.kind)


def octets(secret: Secret) -> bytes:
    """The material as it is imported: raw, or a private key in DER PKCS#8."""
    if isinstance(secret, bytes):
        return secret
    form = serialization.PrivateFormat.PKCS8
    return secret.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


def public_octets(secret: Secret) -> bytes:
    """DER SubjectPublicKeyInfo; raise UnsupportedOperationException for symmetric keys."""
    if isinstance(secret, bytes):
        raise unsupported()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return secret.public_key().public_bytes(serialization.Encoding.DER, form)


def imported(spec: Spec, data: bytes) -> Secret:
    """Material that a customer sent; raise IncorrectKeyMaterialException where it does not fit the key spec."""
    match spec.kind:
        case Kind.SYMMETRIC | Kind.HMAC:
            size = 32 if spec.kind is Kind.SYMMETRIC else spec.size
            if len(data) != size:
                raise wrong_material(f"Key material must be exactly {size * 8} bits for key spec {spec.name}.")
            return data
        case Kind.RSA | Kind.ECC | Kind.EDWARDS:
            return _private_key(spec, data)
        case Kind.ML_DSA | Kind.ML_KEM:
            raise unsupported()
        case _:
            assert_never(spec.kind)


def unwrap(wrapping: rsa.RSAPrivateKey, algorithm: str, data: bytes) -> bytes:
    """Undo RSAES_OAEP_SHA_1/256 or RSA_AES_KEY_WRAP_SHA_1/256; raise InvalidCiphertextException."""
    kind, _, digest = algorithm.rpartition("_SHA_")
    size = wrapping.key_size // 8
    scheme = _oaep(digest)
    try:
        match kind:
            case "RSAES_OAEP":
                return wrapping.decrypt(data, scheme)
            case "RSA_AES_KEY_WRAP":
                return aes_key_unwrap_with_padding(wrapping.decrypt(data[:size], scheme), data[size:])
            case _:
                raise unsupported()
    except (ValueError, InvalidUnwrap):
        raise bad_ciphertext() from None


def rsa_encrypt(secret: Secret, spec: Spec, algorithm: str, plaintext: bytes) -> bytes:
    """RSA-OAEP under the public half."""
    if not isinstance(secret, rsa.RSAPrivateKey):
        raise unsupported()
    room = spec.size // 8 - _OAEP_OVERHEAD[algorithm]
    if len(plaintext) > room:
        raise invalid(f"Algorithm {algorithm} and key spec {spec.name} cannot encrypt data larger than {room} bytes.")
    return secret.public_key().encrypt(plaintext, _oaep(algorithm.rpartition("_")[2]))


def rsa_decrypt(secret: Secret, algorithm: str, ciphertext: bytes) -> bytes:
    """RSA-OAEP; raise InvalidCiphertextException."""
    if not isinstance(secret, rsa.RSAPrivateKey):
        raise unsupported()
    try:
        return secret.decrypt(ciphertext, _oaep(algorithm.rpartition("_")[2]))
    except ValueError:
        raise bad_ciphertext() from None


def mac(secret: Secret, algorithm: str, message: bytes) -> bytes:
    """HMAC."""
    if not isinstance(secret, bytes):
        raise unsupported()
    return hmac.digest(secret, message, f"sha{algorithm.rpartition('_')[2]}")


def sign(secret: Secret, algorithm: str, message: bytes, kind: str) -> bytes:
    """A signature over a message (`RAW`), its digest (`DIGEST`) or its ML-DSA representative (`EXTERNAL_MU`)."""
    if isinstance(secret, mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey):
        return secret.sign_mu(_mu(message)) if kind == "EXTERNAL_MU" else secret.sign(message)
    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return secret.sign(_edwards(algorithm, message, kind))
    chosen, signed = _digest(algorithm, message, kind)
    if isinstance(secret, rsa.RSAPrivateKey):
        return secret.sign(signed, _padding(algorithm, chosen), Prehashed(chosen))
    if isinstance(secret, ec.EllipticCurvePrivateKey):
        return secret.sign(signed, ec.ECDSA(Prehashed(chosen)))
    raise unsupported()


def verifies(secret: Secret, algorithm: str, message: bytes, kind: str, signature: bytes) -> bool:
    """Whether the signature holds."""
    try:
        if isinstance(secret, mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey):
            public = secret.public_key()
            if kind == "EXTERNAL_MU":
                public.verify_mu(signature, _mu(message))
            else:
                public.verify(signature, message)
        elif isinstance(secret, ed25519.Ed25519PrivateKey):
            secret.public_key().verify(signature, _edwards(algorithm, message, kind))
        else:
            chosen, signed = _digest(algorithm, message, kind)
            if isinstance(secret, rsa.RSAPrivateKey):
                secret.public_key().verify(signature, signed, _padding(algorithm, chosen), Prehashed(chosen))
            elif isinstance(secret, ec.EllipticCurvePrivateKey):
                secret.public_key().verify(signature, signed, ec.ECDSA(Prehashed(chosen)))
            else:
                raise unsupported()
    except InvalidSignature:
        return False
    return True


def agree(secret: Secret, public: bytes) -> bytes:
    """ECDH with the other side's DER SubjectPublicKeyInfo; ValidationException for what is no key of the curve."""
    if not isinstance(secret, ec.EllipticCurvePrivateKey):
        raise unsupported()
    try:
        theirs = serialization.load_der_public_key(public)
    except (ValueError, TypeError):
        raise invalid() from None
    if not isinstance(theirs, ec.EllipticCurvePublicKey) or theirs.curve.name != secret.curve.name:
        raise invalid()
    return secret.exchange(ec.ECDH(), theirs)


def encapsulate(secret: Secret) -> tuple[bytes, bytes]:
    """ML-KEM: shared secret and ciphertext."""
    if not isinstance(secret, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey):
        raise unsupported()
    return secret.public_key().encapsulate()


def decapsulate(secret: Secret, ciphertext: bytes) -> bytes:
    """ML-KEM: the shared secret; raise InvalidCiphertextException."""
    if not isinstance(secret, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey):
        raise unsupported()
    try:
        return secret.decapsulate(ciphertext)
    except ValueError:
        raise bad_ciphertext() from None


def fingerprint(key_id: str, secret: Secret) -> str:
    """A KeyMaterialId: 64 hex digits of key id and material. AWS does not say how its own is made."""
    return hashlib.sha256(b"lab-kms-material\x00" + key_id.encode() + b"\x00" + octets(secret)).hexdigest()


def _private_key(spec: Spec, data: bytes) -> Secret:
    try:
        key = serialization.load_der_private_key(data, None)
    except (ValueError, TypeError):
        raise wrong_material("The key material is not a DER-encoded PKCS #8 private key.") from None
    if isinstance(key, rsa.RSAPrivateKey):
        fits = spec.kind is Kind.RSA and key.key_size == spec.size
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        fits = spec.kind is Kind.ECC and key.curve.name == _CURVES[spec.name].name
    else:
        fits = spec.kind is Kind.EDWARDS and isinstance(key, ed25519.Ed25519PrivateKey)
    if not fits or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise wrong_material(f"The key material is not a key of spec {spec.name}.")
    return key


def _oaep(digest: str) -> padding.OAEP:
    chosen = _HASHES[digest]
    return padding.OAEP(mgf=padding.MGF1(chosen), algorithm=chosen, label=None)


def _padding(algorithm: str, chosen: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if "_PSS_" in algorithm:
        return padding.PSS(mgf=padding.MGF1(chosen), salt_length=padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


def _digest(algorithm: str, message: bytes, kind: str) -> tuple[hashes.HashAlgorithm, bytes]:
    chosen = _HASHES[algorithm.rpartition("_")[2]]
    if kind == "DIGEST":
        if len(message) != chosen.digest_size:
            raise invalid(f"Digest is invalid length for algorithm {algorithm}.")
        return chosen, message
    if kind != "RAW":
        raise invalid(f"MessageType {kind} is not compatible with algorithm {algorithm}.")
    return chosen, hashlib.new(chosen.name, message).digest()


def _edwards(algorithm: str, message: bytes, kind: str) -> bytes:
    if algorithm != "ED25519_SHA_512":
        raise unsupported()
    if kind != "RAW":
        raise invalid(f"MessageType {kind} is not compatible with algorithm {algorithm}.")
    return message


def _mu(message: bytes) -> bytes:
    if len(message) != 64:
        raise invalid("Digest is invalid length for algorithm ML_DSA_SHAKE_256.")
    return message

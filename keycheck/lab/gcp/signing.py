"""Key pairs and MACs: AsymmetricSign, AsymmetricDecrypt, GetPublicKey, MacSign, MacVerify."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.crc import verified, wrapped
from keycheck.lab.gcp.crypto import of_purpose, ready, secret
from keycheck.lab.gcp.errors import failed, invalid
from keycheck.lab.gcp.names import above, checked
from keycheck.lab.gcp.store import Purpose, Store, Version
from keycheck.lab.gcp.wire import sent

_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_USE: Final = "cloudkms.cryptoKeyVersions."
_HASHES: Final[Mapping[str, type[hashes.HashAlgorithm]]] = {
    "SHA1": hashes.SHA1,
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}


class Signing:
    """The handlers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _SERVICE + "AsymmetricSign": self.sign,
            _SERVICE + "AsymmetricDecrypt": self.decrypt,
            _SERVICE + "GetPublicKey": self.public_key,
            _SERVICE + "MacSign": self.mac_sign,
            _SERVICE + "MacVerify": self.mac_verify,
        }

    def sign(self, call: Call, request: kms_v1.AsymmetricSignRequest) -> kms_v1.AsymmetricSignResponse:
        version = self._version(call, request.name, "useToSign", Purpose.ASYMMETRIC_SIGN)
        sum_of_data = verified(request.data, sent(request, "data_crc32c"), "data")
        algorithm = version.algorithm
        kind = _HASHES.get(algorithm.rsplit("_", 1)[1].removeprefix("SHA_"))
        digest: bytes = getattr(request.digest, str(kind.name), b"") if kind else b""
        sum_of_digest = verified(digest, sent(request, "digest_crc32c"), "digest")
        signature = _signature(version, algorithm, kind, digest, request.data)
        return kms_v1.AsymmetricSignResponse(
            name=request.name,
            signature=signature,
            signature_crc32c=wrapped(signature),
            verified_digest_crc32c=sum_of_digest,
            verified_data_crc32c=sum_of_data,
            protection_level=str(version.protection),
        )

    def decrypt(self, call: Call, request: kms_v1.AsymmetricDecryptRequest) -> kms_v1.AsymmetricDecryptResponse:
        version = self._version(call, request.name, "useToDecrypt", Purpose.ASYMMETRIC_DECRYPT)
        right = verified(request.ciphertext, sent(request, "ciphertext_crc32c"), "ciphertext")
        kind = _HASHES[version.algorithm.rsplit("_", 1)[1]]
        if not isinstance(version.material, rsa.RSAPrivateKey):
            raise failed(f"{request.name} has no key material.")
        try:
            oaep = padding.OAEP(padding.MGF1(kind()), kind(), None)
            plaintext = version.material.decrypt(request.ciphertext, oaep)
        except ValueError:
            raise invalid("Decryption failed: the ciphertext is invalid.") from None
        return kms_v1.AsymmetricDecryptResponse(
            plaintext=plaintext,
            plaintext_crc32c=wrapped(plaintext),
            verified_ciphertext_crc32c=right,
            protection_level=str(version.protection),
        )

    def public_key(self, call: Call, request: kms_v1.GetPublicKeyRequest) -> kms_v1.PublicKey:
        call.resource = checked(request.name, 5)
        call.require(_USE + "viewPublicKey", above(request.name))
        key, version = self._store.version(request.name, call.now)
        if key.settings.purpose not in (Purpose.ASYMMETRIC_SIGN, Purpose.ASYMMETRIC_DECRYPT):
            raise failed(f"{key.name} has no public key.")
        if version.material is None or isinstance(version.material, bytes):
            raise failed(f"{request.name} has no key material.")
        public = version.material.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return kms_v1.PublicKey(
            name=request.name,
            pem=pem,
            pem_crc32c=wrapped(pem.encode()),
            algorithm=version.algorithm,
            protection_level=str(version.protection),
        )

    def mac_sign(self, call: Call, request: kms_v1.MacSignRequest) -> kms_v1.MacSignResponse:
        version = self._version(call, request.name, "useToSign", Purpose.MAC)
        right = verified(request.data, sent(request, "data_crc32c"), "data")
        mac = _mac(version, request.data)
        return kms_v1.MacSignResponse(
            name=request.name,
            mac=mac,
            mac_crc32c=wrapped(mac),
            verified_data_crc32c=right,
            protection_level=str(version.protection),
        )

    def mac_verify(self, call: Call, request: kms_v1.MacVerifyRequest) -> kms_v1.MacVerifyResponse:
        version = self._version(call, request.name, "useToVerify", Purpose.MAC)
        sum_of_data = verified(request.data, sent(request, "data_crc32c"), "data")
        sum_of_mac = verified(request.mac, sent(request, "mac_crc32c"), "mac")
        success = hmac.compare_digest(_mac(version, request.data), request.mac)
        return kms_v1.MacVerifyResponse(
            name=request.name,
            success=success,
            verified_data_crc32c=sum_of_data,
            verified_mac_crc32c=sum_of_mac,
            verified_success_integrity=success,
            protection_level=str(version.protection),
        )

    def _version(self, call: Call, name: str, verb: str, purpose: Purpose) -> Version:
        call.resource = checked(name, 5)
        call.require(_USE + verb, above(name))
        key, version = self._store.version(name, call.now)
        of_purpose(key, purpose, verb)
        ready(call, key, version)
        return version


def _mac(version: Version, data: bytes) -> bytes:
    kind = version.algorithm.removeprefix("HMAC_").lower()
    return hmac.new(secret(version), data, getattr(hashlib, kind)).digest()


def _signature(
    version: Version, algorithm: str, kind: type[hashes.HashAlgorithm] | None, digest: bytes, data: bytes
) -> bytes:
    key = version.material
    if isinstance(key, ed25519.Ed25519PrivateKey):
        if not data:
            raise invalid("data must be set for Ed25519 and raw keys.")
        return key.sign(data)
    if kind is None:
        raise invalid(f"The lab does not sign with {algorithm}.")
    chosen = kind()
    if not digest and data:
        digest = hashlib.new(chosen.name, data).digest()
    if len(digest) != chosen.digest_size:
        raise invalid(f"The digest must be a {chosen.name} digest.")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(digest, ec.ECDSA(Prehashed(chosen)))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise failed(f"{version.name} has no key material.")
    if "PSS" in algorithm:
        return key.sign(digest, padding.PSS(padding.MGF1(chosen), chosen.digest_size), Prehashed(chosen))
    return key.sign(digest, padding.PKCS1v15(), Prehashed(chosen))

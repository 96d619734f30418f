"""RawEncrypt and RawDecrypt: AES-GCM, CBC and CTR with the caller's own handling of IVs; and random bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.crc import verified, wrapped
from keycheck.lab.gcp.crypto import of_purpose, ready, secret
from keycheck.lab.gcp.errors import invalid
from keycheck.lab.gcp.names import above, checked
from keycheck.lab.gcp.store import Protection, Purpose, Store, Version
from keycheck.lab.gcp.wire import protection_of, sent

_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_TAG: Final = 16
_GCM_IV: Final = 12
_BLOCK: Final = 16


class Raw:
    """The handlers."""

    def __init__(self, store: Store, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._entropy = entropy

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _SERVICE + "RawEncrypt": self.encrypt,
            _SERVICE + "RawDecrypt": self.decrypt,
            _SERVICE + "GenerateRandomBytes": self.random,
        }

    def encrypt(self, call: Call, request: kms_v1.RawEncryptRequest) -> kms_v1.RawEncryptResponse:
        version = self._version(call, request.name, "cloudkms.cryptoKeyVersions.useToEncrypt")
        plaintext, aad, iv = (
            request.plaintext,
            request.additional_authenticated_data,
            request.initialization_vector,
        )
        sums = (
            verified(plaintext, sent(request, "plaintext_crc32c"), "plaintext"),
            verified(aad, sent(request, "additional_authenticated_data_crc32c"), "additional_authenticated_data"),
            verified(iv, sent(request, "initialization_vector_crc32c"), "initialization_vector"),
        )
        mode = _mode(version)
        if mode == "GCM" and iv:
            raise invalid("initialization_vector must not be set for AES-GCM: Cloud KMS chooses it.")
        iv = iv or self._entropy(_GCM_IV if mode == "GCM" else _BLOCK)
        _checked_iv(mode, iv)
        if mode != "GCM" and aad:
            raise invalid("additional_authenticated_data is for AES-GCM only.")
        if mode == "CBC" and len(plaintext) % _BLOCK:
            raise invalid("The plaintext of AES-CBC must be whole blocks.")
        key = secret(version)
        if mode == "GCM":
            ciphertext = AESGCM(key).encrypt(iv, plaintext, aad)
        else:
            encryptor = Cipher(algorithms.AES(key), _unauthenticated(mode, iv)).encryptor()
            ciphertext = encryptor.update(plaintext) + encryptor.finalize()
        return kms_v1.RawEncryptResponse(
            name=request.name,
            ciphertext=ciphertext,
            initialization_vector=iv,
            tag_length=_TAG if mode == "GCM" else 0,
            ciphertext_crc32c=wrapped(ciphertext),
            initialization_vector_crc32c=wrapped(iv),
            verified_plaintext_crc32c=sums[0],
            verified_additional_authenticated_data_crc32c=sums[1],
            verified_initialization_vector_crc32c=sums[2],
            protection_level=str(version.protection),
        )

    def decrypt(self, call: Call, request: kms_v1.RawDecryptRequest) -> kms_v1.RawDecryptResponse:
        version = self._version(call, request.name, "cloudkms.cryptoKeyVersions.useToDecrypt")
        ciphertext, aad, iv = (
            request.ciphertext,
            request.additional_authenticated_data,
            request.initialization_vector,
        )
        sums = (
            verified(ciphertext, sent(request, "ciphertext_crc32c"), "ciphertext"),
            verified(aad, sent(request, "additional_authenticated_data_crc32c"), "additional_authenticated_data"),
            verified(iv, sent(request, "initialization_vector_crc32c"), "initialization_vector"),
        )
        mode = _mode(version)
        _checked_iv(mode, iv)
        if mode == "GCM" and request.tag_length not in (0, _TAG):
            raise invalid("tag_length must be 16.")
        key = secret(version)
        try:
            if mode == "GCM":
                plaintext = AESGCM(key).decrypt(iv, ciphertext, aad)
            else:
                decryptor = Cipher(algorithms.AES(key), _unauthenticated(mode, iv)).decryptor()
                plaintext = decryptor.update(ciphertext) + decryptor.finalize()
        except (InvalidTag, ValueError):
            raise invalid("Decryption failed: the ciphertext is invalid.") from None
        return kms_v1.RawDecryptResponse(
            plaintext=plaintext,
            plaintext_crc32c=wrapped(plaintext),
            verified_ciphertext_crc32c=sums[0],
            verified_additional_authenticated_data_crc32c=sums[1],
            verified_initialization_vector_crc32c=sums[2],
            protection_level=str(version.protection),
        )

    def random(self, call: Call, request: kms_v1.GenerateRandomBytesRequest) -> kms_v1.GenerateRandomBytesResponse:
        call.resource = checked(request.location, 2)
        call.require("cloudkms.locations.generateRandomBytes", request.location)
        if not 8 <= request.length_bytes <= 1024 or protection_of(request) is not Protection.HSM:
            raise invalid("length_bytes must be from 8 to 1024, and protection_level HSM.")
        data = self._entropy(request.length_bytes)
        return kms_v1.GenerateRandomBytesResponse(data=data, data_crc32c=wrapped(data))

    def _version(self, call: Call, name: str, permission: str) -> Version:
        call.resource = checked(name, 5)
        call.require(permission, above(name))
        key, version = self._store.version(name, call.now)
        of_purpose(key, Purpose.RAW_ENCRYPT_DECRYPT, "raw encryption")
        ready(call, key, version)
        return version


def _mode(version: Version) -> str:
    return version.algorithm.rsplit("_", 1)[1]


def _checked_iv(mode: str, iv: bytes) -> None:
    if len(iv) != (_GCM_IV if mode == "GCM" else _BLOCK):
        raise invalid("initialization_vector has the wrong length.")


def _unauthenticated(mode: str, iv: bytes) -> modes.CBC | modes.CTR:
    return modes.CBC(iv) if mode == "CBC" else modes.CTR(iv)

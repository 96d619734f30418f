"""Encrypt and Decrypt, with checksums both ways, purposes, states and Key Access Justifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import grpc
from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.crc import verified, wrapped
from keycheck.lab.gcp.errors import ApiError, failed, invalid
from keycheck.lab.gcp.names import checked
from keycheck.lab.gcp.store import EXTERNALLY, HARDWARE, Key, Purpose, Store, Version, usable
from keycheck.lab.gcp.symmetric import opened, sealed, version_id, version_of
from keycheck.lab.gcp.wire import sent

_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_MOST: Final = 64 * 1024
_MOST_HARDWARE: Final = 8 * 1024
_DEFAULT_REASON: Final = "CUSTOMER_INITIATED_ACCESS"


class Crypto:
    """The handlers of symmetric keys."""

    def __init__(self, store: Store, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._entropy = entropy

    def handlers(self) -> Mapping[str, Handler]:
        return {_SERVICE + "Encrypt": self.encrypt, _SERVICE + "Decrypt": self.decrypt}

    def encrypt(self, call: Call, request: kms_v1.EncryptRequest) -> kms_v1.EncryptResponse:
        named = request.name
        whole = named.count("/") == 9
        name = checked(named, 5 if whole else 4)
        key_name = name.rsplit("/", 2)[0] if whole else name
        call.resource = name
        call.require("cloudkms.cryptoKeyVersions.useToEncrypt", key_name)
        key = self._store.key(key_name, call.now)
        of_purpose(key, Purpose.ENCRYPT_DECRYPT, "encryption")
        version = self._store.version(name, call.now)[1] if whole else _primary(key, call.now)
        call.resource = version.name
        plaintext, aad = request.plaintext, request.additional_authenticated_data
        _sized(plaintext, aad, version)
        checked_text = verified(plaintext, sent(request, "plaintext_crc32c"), "plaintext")
        checked_aad = verified(
            aad, sent(request, "additional_authenticated_data_crc32c"), "additional_authenticated_data"
        )
        ready(call, key, version)
        ciphertext = sealed(secret(version), key_name, version.number, plaintext, aad, self._entropy)
        return kms_v1.EncryptResponse(
            name=version.name,
            ciphertext=ciphertext,
            ciphertext_crc32c=wrapped(ciphertext),
            verified_plaintext_crc32c=checked_text,
            verified_additional_authenticated_data_crc32c=checked_aad,
            protection_level=str(version.protection),
        )

    def decrypt(self, call: Call, request: kms_v1.DecryptRequest) -> kms_v1.DecryptResponse:
        name = checked(request.name, 4)
        call.resource = name
        call.require("cloudkms.cryptoKeyVersions.useToDecrypt", name)
        key = self._store.key(name, call.now)
        of_purpose(key, Purpose.ENCRYPT_DECRYPT, "decryption")
        ciphertext, aad = request.ciphertext, request.additional_authenticated_data
        verified(ciphertext, sent(request, "ciphertext_crc32c"), "ciphertext")
        verified(aad, sent(request, "additional_authenticated_data_crc32c"), "additional_authenticated_data")
        named = version_of(ciphertext)
        version = next((each for each in key.versions.values() if version_id(name, each.number) == named), None)
        if version is None:
            raise invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
        call.resource = version.name
        ready(call, key, version)
        plaintext = opened(secret(version), name, ciphertext, aad)
        if plaintext is None:
            raise invalid("Decryption failed: the ciphertext is invalid.")
        return kms_v1.DecryptResponse(
            plaintext=plaintext,
            plaintext_crc32c=wrapped(plaintext),
            used_primary=version.number == key.primary,
            protection_level=str(version.protection),
        )


def ready(call: Call, key: Key, version: Version) -> None:
    """Raises unless state, justification and external key manager allow the use now."""
    usable(version, call.now)
    justified(call, key)
    if version.protection in EXTERNALLY and not version.ekm_reachable:
        raise failed(f"{version.name}: the external key manager cannot be reached.")


def justified(call: Call, key: Key) -> None:
    """Raises PERMISSION_DENIED for a reason that the key's policy does not allow; an empty policy allows none."""
    allowed = key.settings.allowed_reasons
    if allowed is None:
        return
    reason = call.reason or _DEFAULT_REASON
    if reason not in allowed:
        sentence = f"The access reason {reason} is not allowed by the Key Access Justifications policy of {key.name}."
        raise ApiError(grpc.StatusCode.PERMISSION_DENIED, sentence)


def of_purpose(key: Key, purpose: Purpose, use: str) -> None:
    if key.settings.purpose is not purpose:
        raise failed(f"{key.name} cannot be used for {use}: its purpose is {key.settings.purpose}.")


def secret(version: Version) -> bytes:
    """The bytes of a symmetric key. Raises FAILED_PRECONDITION when they are gone."""
    if not isinstance(version.material, bytes):
        raise failed(f"{version.name} has no key material.")
    return version.material


def _primary(key: Key, now: datetime) -> Version:
    number = key.lagging[0] if key.lagging is not None and now < key.lagging[1] else key.primary
    version = key.versions.get(number)
    if version is None:
        raise failed(f"{key.name} has no primary version.")
    return version


def _sized(plaintext: bytes, aad: bytes, version: Version) -> None:
    hardware = version.protection in HARDWARE
    if len(plaintext) > _MOST or len(aad) > _MOST or (hardware and len(plaintext) + len(aad) > _MOST_HARDWARE):
        raise invalid("The plaintext and the additional authenticated data are too large.")

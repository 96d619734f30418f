"""What is asked of AWS KMS about imported key material. The material is random, made here, and never written down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aws_session import AwsSession, mappings
from aws_steps import CONTEXT, FINGERPRINT, PLAINTEXT, ok, refused
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from live_session import Case, CaseError, Seen

_HASHES: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {"1": hashes.SHA1, "256": hashes.SHA256}
WRAPPINGS: Final = (
    ("RSAES_OAEP_SHA_1", "RSA_2048"),
    ("RSAES_OAEP_SHA_256", "RSA_3072"),
    ("RSA_AES_KEY_WRAP_SHA_1", "RSA_3072"),
    ("RSA_AES_KEY_WRAP_SHA_256", "RSA_4096"),
)
_USUAL: Final = ("RSAES_OAEP_SHA_256", "RSA_3072")


def wrapped(material: bytes, public: bytes, algorithm: str) -> bytes:
    """As the algorithm says: RSA-OAEP, or RSA-OAEP of a fresh AES key before RFC 5649 of the material."""
    key = load_der_public_key(public)
    if not isinstance(key, rsa.RSAPublicKey):
        raise CaseError("the wrapping key is no RSA key")
    digest = _HASHES[algorithm.rsplit("_", 1)[1]]
    oaep = padding.OAEP(padding.MGF1(digest()), digest(), None)
    if algorithm.startswith("RSAES"):
        return key.encrypt(material, oaep)
    ephemeral = os.urandom(32)
    return key.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, material)


class Importer:
    """Imports into one key of this run."""

    def __init__(self, s: AwsSession, key: str) -> None:
        self._s = s
        self._key = key

    def parameters(self, step: str, algorithm: str, spec: str) -> tuple[bytes, bytes]:
        """Public key and token."""
        answer = self._s.must(
            f"{step}: parameters", "GetParametersForImport",
            KeyId=self._key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec,
        )  # fmt: skip
        public, token = answer.get("PublicKey"), answer.get("ImportToken")
        if not isinstance(public, bytes) or not isinstance(token, bytes):
            raise CaseError("there are no import parameters")
        return public, token

    def put(
        self,
        step: str,
        material: bytes,
        *,
        algorithm: str = _USUAL[0],
        spec: str = _USUAL[1],
        as_if: str | None = None,
        token: bytes | None = None,
        **more: object,
    ) -> Seen:
        """Import; `as_if`: wrap by another algorithm than was asked for; `token`: another than was given."""
        self._s.symbols.secret(material)
        public, given = self.parameters(step, algorithm, spec)
        expiry = {} if "ValidTo" in more else {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
        return self._s.call(
            step,
            "ImportKeyMaterial",
            KeyId=self._key,
            ImportToken=given if token is None else token,
            EncryptedKeyMaterial=wrapped(material, public, as_if or algorithm),
            **{**expiry, **more},
        )


_invalid_state: Final = refused("KMSInvalidStateException")


def _blob(s: AwsSession, step: str, key: str) -> bytes:
    seen = s.poll(step, "Encrypt", ok, KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)
    blob = seen.answer.get("CiphertextBlob")
    if not isinstance(blob, bytes):
        raise CaseError(f"{step} gave no ciphertext")
    return blob


def imports(s: AwsSession) -> None:
    key = s.create_key(Origin="EXTERNAL")
    importer, material = Importer(s, key), os.urandom(32)
    s.call("before: describe", "DescribeKey", KeyId=key)
    s.call("before: encrypt", "Encrypt", KeyId=key, Plaintext=PLAINTEXT)
    s.call("before: enable", "EnableKey", KeyId=key)
    importer.put("16 octets", os.urandom(16))
    importer.put("wrapped with another hash", material, as_if="RSAES_OAEP_SHA_1")
    importer.put("no token", material, token=b"keycheck-live is no token")
    _, other = importer.parameters("another token", "RSAES_OAEP_SHA_256", "RSA_4096")
    importer.put("token of another request", material, token=other)
    importer.put("expiry without a date", material, ExpirationModel="KEY_MATERIAL_EXPIRES")
    first, *others = WRAPPINGS
    importer.put(first[0], material, algorithm=first[0], spec=first[1])
    s.call("after: describe", "DescribeKey", KeyId=key)
    blob = _blob(s, "after: encrypt", key)
    for algorithm, spec in others:
        importer.put(f"same again by {algorithm}", material, algorithm=algorithm, spec=spec)
    s.call("materials", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    importer.put("different", os.urandom(32))
    s.call("delete material", "DeleteImportedKeyMaterial", KeyId=key)
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.poll("deleted: decrypt", "Decrypt", _invalid_state, **use)
    s.call("deleted: describe", "DescribeKey", KeyId=key)
    s.call("deleted: materials", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    s.call("delete again", "DeleteImportedKeyMaterial", KeyId=key)
    importer.put("deleted: different", os.urandom(32))
    importer.put("deleted: same", material)
    s.poll("restored: decrypt", "Decrypt", ok, **use)
    s.call("automatic rotation", "EnableKeyRotation", KeyId=key)
    s.call("rotation status", "GetKeyRotationStatus", KeyId=key)
    s.call("rotate with nothing pending", "RotateKeyOnDemand", KeyId=key)


def expiry(s: AwsSession) -> None:
    key = s.create_key(Origin="EXTERNAL")
    importer, material = Importer(s, key), os.urandom(32)
    past = datetime.fromtimestamp(int(time.time()) - 60, UTC)
    importer.put("a past date", material, ValidTo=past, ExpirationModel="KEY_MATERIAL_EXPIRES")
    far = datetime.fromtimestamp(int(time.time()) + 366 * 86_400, UTC)
    importer.put("more than a year", material, ValidTo=far, ExpirationModel="KEY_MATERIAL_EXPIRES")
    deadline = float(int(time.time() + s.limits.window))
    soon = datetime.fromtimestamp(deadline, UTC)
    importer.put("soon", material, ValidTo=soon, ExpirationModel="KEY_MATERIAL_EXPIRES")
    s.call("describe", "DescribeKey", KeyId=key)
    blob = _blob(s, "encrypt", key)
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.call("decrypt", "Decrypt", **use)
    s.wait_until(deadline - s.limits.early)
    s.poll("expired: decrypt", "Decrypt", _invalid_state, **use)
    s.note("the end", waited_for_the_date=time.time() >= deadline - s.limits.early / 2)
    s.call("expired: describe", "DescribeKey", KeyId=key)
    s.call("expired: materials", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    importer.put("same again without a date", material)
    s.poll("restored: decrypt", "Decrypt", ok, **use)
    s.call("restored: describe", "DescribeKey", KeyId=key)


def materials(s: AwsSession) -> None:
    key = s.create_key(Origin="EXTERNAL")
    importer, first, second = Importer(s, key), os.urandom(32), os.urandom(32)
    importer.put("first", first, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="first")
    before = _blob(s, "encrypt", key)
    importer.put("second", second, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="second")
    whole: dict[str, object] = {"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    s.call("pending: materials", "ListKeyRotations", **whole)
    s.call("pending: describe", "DescribeKey", KeyId=key)
    importer.put("a third while one is pending", os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    s.must("rotate", "RotateKeyOnDemand", KeyId=key)
    seen = s.poll("rotated: materials", "ListKeyRotations", lambda each: len(_states(each)) == 2, **whole)
    s.call("rotated: rotations only", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ROTATIONS_ONLY")
    s.call("rotated: status", "GetKeyRotationStatus", KeyId=key)
    old: dict[str, object] = {"KeyId": key, "CiphertextBlob": before, "EncryptionContext": CONTEXT}
    s.call("old ciphertext", "Decrypt", **old)
    after = _blob(s, "encrypt after", key)
    s.note("blobs", fingerprint_changed=before[FINGERPRINT] != after[FINGERPRINT])
    previous = _states(seen).get("NON_CURRENT")
    if previous is None:
        raise CaseError("the first material did not become NON_CURRENT")
    s.call("delete the old material", "DeleteImportedKeyMaterial", KeyId=key, KeyMaterialId=previous)
    new: dict[str, object] = {"KeyId": key, "CiphertextBlob": after, "EncryptionContext": CONTEXT}
    s.poll("one missing: new ciphertext", "Decrypt", _invalid_state, **new)
    s.call("one missing: describe", "DescribeKey", KeyId=key)
    s.call("one missing: materials", "ListKeyRotations", **whole)
    importer.put("old with another's id", second, ImportType="EXISTING_KEY_MATERIAL", KeyMaterialId=previous)
    importer.put("old again", first, ImportType="EXISTING_KEY_MATERIAL", KeyMaterialId=previous)
    s.poll("restored: new ciphertext", "Decrypt", ok, **new)
    s.call("restored: old ciphertext", "Decrypt", **old)
    s.call("rotate with nothing pending", "RotateKeyOnDemand", KeyId=key)


def _states(seen: Seen) -> Mapping[str, str]:
    """State -> material, of those rotated in or out."""
    found = mappings(seen.answer.get("Rotations"))
    return {
        str(each.get("KeyMaterialState")): str(each.get("KeyMaterialId"))
        for each in found
        if each.get("KeyMaterialState") in ("CURRENT", "NON_CURRENT")
    }


IMPORT_CASES: Final[Sequence[Case[AwsSession]]] = (
    Case(
        "import",
        imports,
        (
            "the key starts in PendingImport and cannot be used; each wrapping algorithm is taken",
            "16 octets, another hash, no token, another request's token: which exception each",
            "different material is refused with IncorrectKeyMaterialException, also after a deletion",
            "the same material restores old ciphertexts; EnableKeyRotation: UnsupportedOperationException",
        ),
        creates="1 key",
    ),
    Case(
        "import-expiry",
        expiry,
        (
            "ValidTo in the past or beyond 365 days: ValidationException",
            "at ValidTo the key falls back to PendingImport, and how soon; the same material restores it",
        ),
        creates="1 key",
    ),
    Case(
        "materials",
        materials,
        (
            "new material waits in PENDING_ROTATION until RotateKeyOnDemand; a second pending one",
            "one missing non-current material makes the whole key PendingImport",
            "shapes of ListKeyRotations with several materials; ImportState and KeyMaterialState",
        ),
        creates="1 key",
    ),
)

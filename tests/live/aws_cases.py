"""All that is asked of AWS KMS; here: states, encryption context, dry runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_import_cases import IMPORT_CASES
from aws_policy_cases import POLICY_CASES
from aws_reading_cases import READING_CASES
from aws_session import AwsSession
from aws_steps import CANARY, CONTEXT, DENIED, FINGERPRINT, PLAINTEXT, allow, deny, encrypted, octets, ok, refused
from live_session import Case


def lifecycle(s: AwsSession) -> None:
    key = s.create_key()
    s.call("describe", "DescribeKey", KeyId=key)
    blob = encrypted(s, key, CONTEXT, "encrypt")
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.call("decrypt", "Decrypt", **use)
    s.call("enable when enabled", "EnableKey", KeyId=key)
    s.call("disable", "DisableKey", KeyId=key)
    s.poll("disabled: decrypt", "Decrypt", refused("DisabledException"), **use)
    s.poll("disabled: encrypt", "Encrypt", refused("DisabledException"), KeyId=key, Plaintext=PLAINTEXT)
    s.call("disabled: data key", "GenerateDataKey", KeyId=key, KeySpec="AES_256")
    s.call("disabled: grant", "CreateGrant", KeyId=key, GranteePrincipal=s.caller, Operations=["Decrypt"])
    s.call("disabled: rotate", "RotateKeyOnDemand", KeyId=key)
    s.call("disabled: rotation status", "GetKeyRotationStatus", KeyId=key)
    s.call("disabled: policy", "GetKeyPolicy", KeyId=key, PolicyName="default")
    s.call("disabled: describe", "DescribeKey", KeyId=key)
    s.call("enable", "EnableKey", KeyId=key)
    s.poll("enabled: decrypt", "Decrypt", ok, **use)
    s.call("deletion in 3 days", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=3)
    s.call("deletion in 7 days", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    s.poll("pending deletion: decrypt", "Decrypt", refused("KMSInvalidStateException"), **use)
    s.call("pending deletion: describe", "DescribeKey", KeyId=key)
    s.call("pending deletion: enable", "EnableKey", KeyId=key)
    s.call("pending deletion: disable", "DisableKey", KeyId=key)
    s.call("pending deletion: again", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    s.call("pending deletion: list grants", "ListGrants", KeyId=key)
    s.call("cancel deletion", "CancelKeyDeletion", KeyId=key)
    s.call("cancelled: describe", "DescribeKey", KeyId=key)
    s.call("cancelled: cancel again", "CancelKeyDeletion", KeyId=key)
    s.call("cancelled: enable", "EnableKey", KeyId=key)
    s.poll("cancelled: decrypt", "Decrypt", ok, **use)


def context(s: AwsSession) -> None:
    key = s.create_key()
    other = s.create_key("create another")
    blob = encrypted(s, key, CONTEXT, "encrypt")
    answer = s.must("decrypt", "Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    material = str(answer.get("KeyMaterialId", ""))
    s.note(
        "blob",
        octets=len(blob),
        layout_as_observed=blob[:1] == b"\x01" and blob[3:5] == b"\x00\x78",
        fingerprint_is_key_material_id=blob[FINGERPRINT].hex() == material,
    )
    second = encrypted(s, other, CONTEXT, "encrypt under another")
    s.note("blobs", fingerprints_differ_between_keys=blob[FINGERPRINT] != second[FINGERPRINT])
    for step, changed in (
        ("no context", {}),
        ("another value", {**CONTEXT, "tenant": "other"}),
        ("split elsewhere", {"tenan": "tacme", "purpose": "keycheck-live"}),
        ("name in capitals", {"TENANT": "acme", "purpose": "keycheck-live"}),
    ):
        s.call(step, "Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionContext=changed)
    use: dict[str, object] = {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.call("wrong key", "Decrypt", KeyId=other, **use)
    tampered = blob[:-1] + bytes((blob[-1] ^ 1,))
    s.call("tampered", "Decrypt", KeyId=key, CiphertextBlob=tampered, EncryptionContext=CONTEXT)
    s.call("no ciphertext", "Decrypt", KeyId=key, CiphertextBlob=b"keycheck-live is no ciphertext")
    made = s.must("data key", "GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    wrapped = octets(made, "CiphertextBlob")
    s.symbols.secret(octets(made, "Plaintext"))
    s.note(
        "data key blob",
        octets=len(wrapped),
        made_by=wrapped[2],
        same_fingerprint=wrapped[FINGERPRINT] == blob[FINGERPRINT],
    )
    s.call("data key without plaintext", "GenerateDataKeyWithoutPlaintext", KeyId=key, KeySpec="AES_256")
    s.call(
        "re-encrypt",
        "ReEncrypt",
        CiphertextBlob=blob,
        SourceKeyId=key,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext=CANARY,
    )


def dry_run(s: AwsSession) -> None:
    key = s.create_key()
    blob = encrypted(s, key, CONTEXT, "encrypt")
    unseen: dict[str, object] = {"KeyId": key, "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    s.call("dry encrypt", "Encrypt", KeyId=key, Plaintext=PLAINTEXT, DryRun=True)
    s.call("decrypt", "Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionContext=CONTEXT, DryRun=True)
    s.call("decrypt wrong context", "Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionContext=CANARY, DryRun=True)
    s.call("decrypt without ciphertext", "Decrypt", **unseen)
    s.call("data key", "GenerateDataKey", KeyId=key, KeySpec="AES_256", DryRun=True)
    s.call("grant", "CreateGrant", KeyId=key, GranteePrincipal=s.caller, Operations=["Decrypt"], DryRun=True)
    s.call("no grant was made", "ListGrants", KeyId=key)
    s.put_policy("deny decrypt", key, allow(s, "kms:*"), deny("kms:Decrypt"))
    s.poll("denied without ciphertext", "Decrypt", DENIED, **unseen)
    s.call("denied", "Decrypt", KeyId=key, CiphertextBlob=blob, EncryptionContext=CONTEXT, DryRun=True)
    s.call("disable", "DisableKey", KeyId=key)
    s.poll("disabled", "Encrypt", refused("DisabledException"), KeyId=key, Plaintext=PLAINTEXT, DryRun=True)


CASES: Final[Sequence[Case[AwsSession]]] = (
    Case(
        "key-lifecycle",
        lifecycle,
        (
            "Encrypt, Decrypt, GenerateDataKey, CreateGrant and RotateKeyOnDemand on a disabled key: DisabledException",
            "the same on a key pending deletion: KMSInvalidStateException; its words; whether grants can be listed",
            "a cancelled deletion leaves the key Disabled; a deletion in 3 days: ValidationException",
            "how long DisableKey, EnableKey and ScheduleKeyDeletion take to bite",
        ),
        creates="1 key",
    ),
    Case(
        "encryption-context",
        context,
        (
            "wrong, missing or re-split context and tampering: InvalidCiphertextException without words",
            "another key named: IncorrectKeyException",
            "layout and length of the blob, and whether its octets 5-36 equal KeyMaterialId (open question)",
            "fields of Decrypt, GenerateDataKey and ReEncrypt answers",
        ),
        creates="2 keys",
    ),
    Case(
        "dry-run",
        dry_run,
        (
            "DryRunOperationException and its status where the call would succeed; nothing is done",
            "IGNORE_CIPHERTEXT needs no ciphertext and still answers a Deny with AccessDeniedException",
            "whether DryRun looks at the ciphertext, its context and the key's state",
        ),
        creates="1 key",
    ),
    *POLICY_CASES,
    *IMPORT_CASES,
    *READING_CASES,
)

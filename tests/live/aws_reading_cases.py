"""What is asked of AWS KMS about what it shows: rotations, policies, last usage, replicas, CloudTrail."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aws_session import AwsSession, mappings
from aws_steps import CANARY, CONTEXT, DENIED, FINGERPRINT, PLAINTEXT, allow, deny, encrypted, octets, refused
from live_session import Case, Seen, Within


def rotation(s: AwsSession) -> None:
    key = s.create_key()
    before = encrypted(s, key, CONTEXT, "encrypt")
    s.call("status", "GetKeyRotationStatus", KeyId=key)
    s.call("every 2561 days", "EnableKeyRotation", KeyId=key, RotationPeriodInDays=2561)
    s.call("every 90 days", "EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    s.call("status on", "GetKeyRotationStatus", KeyId=key)
    s.call("rotations before", "ListKeyRotations", KeyId=key)
    s.call("materials before", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    s.must("rotate", "RotateKeyOnDemand", KeyId=key)
    shown = s.poll(
        "materials after",
        "ListKeyRotations",
        lambda seen: len(mappings(seen.answer.get("Rotations"))) >= 2,
        KeyId=key,
        IncludeKeyMaterial="ALL_KEY_MATERIAL",
    )
    s.note("materials", count=len(mappings(shown.answer.get("Rotations"))))
    s.call("rotations after", "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ROTATIONS_ONLY")
    s.call("status after", "GetKeyRotationStatus", KeyId=key)
    s.call("describe after", "DescribeKey", KeyId=key)
    s.call("old ciphertext", "Decrypt", KeyId=key, CiphertextBlob=before, EncryptionContext=CONTEXT)
    after = encrypted(s, key, CONTEXT, "encrypt after")
    s.note("blobs", fingerprint_changed=before[FINGERPRINT] != after[FINGERPRINT])
    s.call("new ciphertext", "Decrypt", KeyId=key, CiphertextBlob=after, EncryptionContext=CONTEXT)
    s.call("off", "DisableKeyRotation", KeyId=key)
    s.call(
        "import into a key of AWS",
        "GetParametersForImport",
        KeyId=key,
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_3072",
    )


def inspection(s: AwsSession) -> None:
    key = s.create_key()
    s.call("policies", "ListKeyPolicies", KeyId=key)
    s.call("default policy", "GetKeyPolicy", KeyId=key, PolicyName="default")
    s.call("AWS_RAM policy", "GetKeyPolicy", KeyId=key, PolicyName="AWS_RAM")
    s.call("another policy", "GetKeyPolicy", KeyId=key, PolicyName="none")
    s.call("tags", "ListResourceTags", KeyId=key)
    s.call("grants", "ListGrants", KeyId=key)
    s.call("rotations", "ListKeyRotations", KeyId=key)
    absent = key.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    s.call("no such key", "DescribeKey", KeyId=absent)
    s.call("no such alias", "DescribeKey", KeyId="alias/keycheck-live-absent")
    s.call("no key id", "DescribeKey", KeyId="keycheck live")
    s.call("another region", "DescribeKey", KeyId=key, InRegion=s.replica_region)
    s.call("another account", "DescribeKey", KeyId=absent.replace(s.account, "000000000000"))


def last_usage(s: AwsSession) -> None:
    key = s.create_key()
    s.call("never used", "GetKeyLastUsage", KeyId=key)
    encrypted(s, key, CONTEXT, "encrypt")
    used: Callable[[Seen], bool] = lambda seen: bool(seen.answer.get("KeyLastUsage"))  # noqa: E731  # a condition
    s.poll("used", "GetKeyLastUsage", used, KeyId=key)


def multi_region(s: AwsSession) -> None:
    key, there = s.create_key(MultiRegion=True), s.replica_region
    blob = encrypted(s, key, CONTEXT, "encrypt")
    made = s.must("replicate", "ReplicateKey", KeyId=key, ReplicaRegion=there)
    about = made["ReplicaKeyMetadata"]
    replica = str(about["Arn"]) if isinstance(about, Mapping) else ""
    enabled: Callable[[Seen], bool] = lambda seen: _state(seen) == "Enabled"  # noqa: E731  # a condition
    s.poll("replica", "DescribeKey", enabled, KeyId=replica, InRegion=there)
    s.call("primary", "DescribeKey", KeyId=key)
    far: dict[str, object] = {"KeyId": replica, "CiphertextBlob": blob, "EncryptionContext": CONTEXT, "InRegion": there}
    s.call("decrypt with the replica", "Decrypt", **far)
    there_too = s.must("encrypt with the replica", "Encrypt", KeyId=replica, Plaintext=PLAINTEXT, InRegion=there)
    other = octets(there_too, "CiphertextBlob")
    s.note("blobs", same_fingerprint=other[FINGERPRINT] == blob[FINGERPRINT])
    s.call("disable the primary", "DisableKey", KeyId=key)
    s.poll("primary disabled", "Encrypt", refused("DisabledException"), KeyId=key, Plaintext=PLAINTEXT)
    s.call("the replica goes on", "Decrypt", **far)
    s.call("policy of the replica", "GetKeyPolicy", KeyId=replica, PolicyName="default", InRegion=there)
    s.call("enable the primary", "EnableKey", KeyId=key)
    s.call("rotate the replica", "RotateKeyOnDemand", KeyId=replica, InRegion=there)


def _state(seen: Seen) -> str:
    about = seen.answer.get("KeyMetadata")
    return str(about.get("KeyState", "")) if isinstance(about, Mapping) else ""


def logs(s: AwsSession) -> None:
    began = datetime.fromtimestamp(int(time.time()) - 60, UTC)
    key = s.create_key()
    blob = encrypted(s, key, CONTEXT, "encrypt")
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob}
    s.call("decrypt", "Decrypt", **use, EncryptionContext=CONTEXT)
    s.call("decrypt wrongly", "Decrypt", **use, EncryptionContext=CANARY)
    s.put_policy("deny", key, allow(s, "kms:*"), deny("kms:Decrypt"))
    s.poll("denied", "Decrypt", DENIED, **use, EncryptionContext=CONTEXT)
    for step, wanted in (
        ("a success", ""),
        ("a wrong context", "InvalidCiphertextException"),
        ("a denial", "AccessDenied"),
    ):
        found = _event(s, key, began, step, wanted)
        s.note(f"event of {step}", event="absent" if found is None else s.shape(found))


def _event(s: AwsSession, key: str, began: datetime, step: str, error: str) -> str | None:
    """The newest Decrypt of the key with that error in the log, waited for.

    Found by its name, as nobody promises that a denied call names its resource.
    """

    def right(seen: Seen) -> Sequence[str]:
        texts = [str(each.get("CloudTrailEvent", "")) for each in mappings(seen.answer.get("Events"))]
        code = f'"errorCode":"{error}'
        return [
            text
            for text in (each.replace('": "', '":"') for each in texts)
            if key in text and (code in text if error else '"errorCode"' not in text)
        ]

    seen = s.poll(
        f"look for {step}",
        "LookupEvents",
        Within(lambda answer: bool(right(answer)), s.limits.logs),
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}],
        StartTime=began,
    )
    return next(iter(right(seen)), None)


READING_CASES: Final[Sequence[Case[AwsSession]]] = (
    Case(
        "rotation",
        rotation,
        (
            "shapes of ListKeyRotations and GetKeyRotationStatus before and after; the first material has no date",
            "how long RotateKeyOnDemand takes; the fingerprint in the blob changes",
            "GetParametersForImport on a key of AWS's own material: UnsupportedOperationException",
        ),
        creates="1 key",
    ),
    Case(
        "inspection",
        inspection,
        (
            "an absent AWS_RAM policy: NotFoundException; ListKeyPolicies names only `default`",
            "words of NotFoundException and AccessDeniedException for keys that are absent, elsewhere or another's",
        ),
        creates="1 key",
    ),
    Case("last-usage", last_usage, ("fields of GetKeyLastUsage before and after a use, and its lag",), creates="1 key"),
    Case(
        "multi-region",
        multi_region,
        (
            "primary and replica have states and policies of their own; ciphertexts cross regions",
            "whether the blobs of both carry the same fingerprint; rotating a replica is refused",
        ),
        needs="--multi-region",
        creates="1 key and 1 replica",
    ),
    Case(
        "logs",
        logs,
        (
            "fields of a CloudTrail Decrypt event: keyMaterialId, tlsDetails, encryption context, resources",
            "errorCode of a denied and of a failed Decrypt; how long events take to arrive",
        ),
        needs="--wait-for-logs",
        creates="1 key",
    ),
)

"""What is asked of AWS KMS: states, policies, grants, inspection, logs. Imported material is in `aws_import_cases`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aws_import_cases import IMPORT_CASES
from aws_session import AwsSession, mappings
from live_session import Case, CaseError, Seen, Within

CONTEXT: Final = {"tenant": "acme", "purpose": "keycheck-live"}
CANARY: Final = {"tenant": "canary", "purpose": "keycheck-live"}
PLAINTEXT: Final = b"keycheck-live plaintext of 32 by"
_BLOB_FINGERPRINT: Final = slice(5, 37)

ok: Callable[[Seen], bool] = lambda seen: seen.ok  # noqa: E731  # reads as a condition of a poll


def refused(code: str) -> Callable[[Seen], bool]:
    """The condition of a poll: that error."""
    return lambda seen: seen.code == code


DENIED: Final = refused("AccessDeniedException")


def octets(answer: Mapping[str, object], name: str) -> bytes:
    """A field of octets. Raise CaseError without it."""
    value = answer.get(name)
    if not isinstance(value, bytes):
        raise CaseError(f"the answer has no {name}")
    return value


def encrypted(s: AwsSession, key: str, context: Mapping[str, str], step: str) -> bytes:
    """A ciphertext of `PLAINTEXT`."""
    answer = s.must(step, "Encrypt", KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=context)
    return octets(answer, "CiphertextBlob")


def allow(s: AwsSession, *actions: str) -> Mapping[str, object]:
    """An Allow for the account, which its IAM policies then give on."""
    return {"Effect": "Allow", "Principal": {"AWS": s.root()}, "Action": list(actions), "Resource": "*"}


def deny(*actions: str, **condition: Mapping[str, str]) -> Mapping[str, object]:
    """A Deny for everybody, under conditions."""
    statement: dict[str, object] = {"Sid": "live", "Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": "*"}
    return {**statement, "Action": list(actions), **({"Condition": condition} if condition else {})}


ADMINISTERS: Final = (
    "kms:Describe*", "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:CreateGrant", "kms:RevokeGrant",
    "kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:TagResource",
)  # fmt: skip


def utc(moment: float) -> str:
    """As policies write it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
        fingerprint_is_key_material_id=blob[_BLOB_FINGERPRINT].hex() == material,
    )
    second = encrypted(s, other, CONTEXT, "encrypt under another")
    s.note("blobs", fingerprints_differ_between_keys=blob[_BLOB_FINGERPRINT] != second[_BLOB_FINGERPRINT])
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
    s.note("data key blob", octets=len(wrapped), made_by=wrapped[2], same_fingerprint=wrapped[5:37] == blob[5:37])
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


def deny_by_time(s: AwsSession) -> None:
    key = s.create_key()
    blob = encrypted(s, key, CONTEXT, "encrypt")
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.call("decrypt before", "Decrypt", **use)
    deadline = float(int(time.time() + s.limits.window))
    until = {"aws:CurrentTime": utc(deadline)}
    s.put_policy("deny until the deadline", key, allow(s, "kms:*"), deny("kms:Decrypt", DateLessThan=until))
    s.poll("denied", "Decrypt", Within(DENIED, s.limits.window), **use)
    s.call("encrypt meanwhile", "Encrypt", KeyId=key, Plaintext=PLAINTEXT)
    s.call("policy meanwhile", "GetKeyPolicy", KeyId=key, PolicyName="default")
    s.wait_until(deadline - s.limits.early)
    s.poll("allowed again with the statement in place", "Decrypt", ok, **use)
    s.note("the end", waited_for_the_deadline=time.time() >= deadline - s.limits.early / 2)
    later = {"aws:CurrentTime": utc(time.time() - 60)}
    s.put_policy("deny until the past", key, allow(s, "kms:*"), deny("kms:Decrypt", DateLessThan=later))
    s.call("a past deadline denies nothing", "Decrypt", **use)


def deny_by_context(s: AwsSession) -> None:
    key = s.create_key()
    canary, record = encrypted(s, key, CANARY, "encrypt canary"), encrypted(s, key, CONTEXT, "encrypt record")
    shouted = encrypted(s, key, {"TENANT": "canary"}, "encrypt with the name in capitals")
    of_canary: dict[str, object] = {"KeyId": key, "CiphertextBlob": canary, "EncryptionContext": CANARY}
    of_record: dict[str, object] = {"KeyId": key, "CiphertextBlob": record, "EncryptionContext": CONTEXT}
    scope = {"kms:EncryptionContext:tenant": "canary"}
    s.put_policy("deny the canary", key, allow(s, "kms:*"), deny("kms:Decrypt", StringEquals=scope))
    s.poll("canary denied", "Decrypt", DENIED, **of_canary)
    s.call("record goes on", "Decrypt", **of_record)
    s.call("name in capitals", "Decrypt", KeyId=key, CiphertextBlob=shouted, EncryptionContext={"TENANT": "canary"})
    s.call("value in capitals", "Decrypt", KeyId=key, CiphertextBlob=canary, EncryptionContext={"tenant": "CANARY"})
    s.call("data key of the canary", "GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=CANARY)
    s.put_policy("withdraw", key, allow(s, "kms:*"))
    s.poll("canary readable again", "Decrypt", ok, **of_canary)
    deadline = float(int(time.time() + s.limits.window))
    until = {"aws:CurrentTime": utc(deadline)}
    s.put_policy("both", key, allow(s, "kms:*"), deny("kms:Decrypt", StringEquals=scope, DateLessThan=until))
    s.poll("both: canary denied", "Decrypt", Within(DENIED, s.limits.window), **of_canary)
    s.call("both: record goes on", "Decrypt", **of_record)
    s.wait_until(deadline)
    s.poll("both: over", "Decrypt", ok, **of_canary)


def deny_or_allow(s: AwsSession) -> None:
    key = s.create_key()
    blob = encrypted(s, key, CONTEXT, "encrypt")
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    s.call("root delegation", "Decrypt", **use)
    s.put_policy("administration only", key, allow(s, *ADMINISTERS))
    s.poll("no statement allows", "Decrypt", DENIED, **use)
    s.put_policy("decrypt allowed", key, allow(s, *ADMINISTERS), allow(s, "kms:Decrypt"))
    s.poll("a statement allows", "Decrypt", ok, **use)
    s.put_policy("allowed and denied", key, allow(s, *ADMINISTERS), allow(s, "kms:Decrypt"), deny("kms:Decrypt"))
    s.poll("a statement denies", "Decrypt", DENIED, **use)
    s.put_policy("lock-out", key, allow(s, *(each for each in ADMINISTERS if each != "kms:PutKeyPolicy")))
    s.call("no JSON", "PutKeyPolicy", KeyId=key, PolicyName="default", Policy="{")
    s.put_policy("unknown effect", key, allow(s, "kms:*"), {**deny("kms:Decrypt"), "Effect": "Perhaps"})
    gone = s.root().replace(":root", ":user/keycheck-live-nobody")
    s.put_policy("vanished principal", key, allow(s, "kms:*"), {**deny("kms:Decrypt"), "Principal": {"AWS": gone}})
    s.call("another name", "PutKeyPolicy", KeyId=key, PolicyName="second", Policy="{}")
    s.call("policies", "ListKeyPolicies", KeyId=key)


def grants(s: AwsSession) -> None:
    key = s.create_key()
    acme, canary = encrypted(s, key, CONTEXT, "encrypt"), encrypted(s, key, CANARY, "encrypt canary")
    use: dict[str, object] = {"KeyId": key, "CiphertextBlob": acme, "EncryptionContext": CONTEXT}
    s.put_policy("administration only", key, allow(s, *ADMINISTERS))
    s.poll("without a grant", "Decrypt", DENIED, **use)
    wanted: dict[str, object] = {"KeyId": key, "GranteePrincipal": s.caller, "Operations": ["Decrypt"], "Name": "first"}
    made = s.must("grant", "CreateGrant", **wanted)
    token, first = str(made["GrantToken"]), str(made["GrantId"])
    s.poll("at once with its token", "Decrypt", ok, **use, GrantTokens=[token])
    s.poll("without the token", "Decrypt", ok, **use)
    again = s.must("same name again", "CreateGrant", **wanted)
    s.note("names", same_name_same_grant=again["GrantId"] == first)
    nameless = {name: value for name, value in wanted.items() if name != "Name"}
    second = s.must("no name", "CreateGrant", **nameless)
    third = s.must("no name again", "CreateGrant", **nameless)
    s.note("no names", two_grants=second["GrantId"] != third["GrantId"])
    s.poll("list", "ListGrants", lambda seen: len(mappings(seen.answer.get("Grants"))) >= 3, KeyId=key)
    s.call("list by grantee", "ListGrants", KeyId=key, GranteePrincipal=s.caller)
    s.call("list by id", "ListGrants", KeyId=key, GrantId=first)
    s.call("list one", "ListGrants", KeyId=key, Limit=1)
    s.call("bad marker", "ListGrants", KeyId=key, Marker="keycheck-live")
    s.call("unknown operation", "CreateGrant", **{**nameless, "Operations": ["ScheduleKeyDeletion"]})
    s.call("dry run of a revocation", "RevokeGrant", KeyId=key, GrantId=first, DryRun=True)
    s.call("revoke", "RevokeGrant", KeyId=key, GrantId=first)
    s.call("revoke again", "RevokeGrant", KeyId=key, GrantId=first)
    s.call("revoke unknown", "RevokeGrant", KeyId=key, GrantId="0" * 64)
    s.call("a duplicate goes on", "Decrypt", **use)
    for step, grant in (("revoke second", second), ("revoke third", third)):
        s.call(step, "RevokeGrant", KeyId=key, GrantId=grant["GrantId"])
    s.poll("revoked", "Decrypt", DENIED, **use)
    s.call("revoked with its token", "Decrypt", **use, GrantTokens=[token])
    for name, constraint, pairs in (
        ("equals", "EncryptionContextEquals", CANARY),
        ("equals fewer", "EncryptionContextEquals", {"tenant": "canary"}),
        ("subset", "EncryptionContextSubset", {"tenant": "canary"}),
        ("subset in capitals", "EncryptionContextSubset", {"TENANT": "canary"}),
    ):
        limited = s.must(name, "CreateGrant", **{**nameless, "Constraints": {constraint: pairs}})
        tokens = {"GrantTokens": [str(limited["GrantToken"])]}
        of_canary: dict[str, object] = {"KeyId": key, "CiphertextBlob": canary, "EncryptionContext": CANARY}
        s.call(f"{name}: canary", "Decrypt", **of_canary, **tokens)
        s.call(f"{name}: another tenant", "Decrypt", **use, **tokens)
        s.call(f"{name}: list", "ListGrants", KeyId=key, GrantId=limited["GrantId"])
        s.call(f"{name}: revoke", "RevokeGrant", KeyId=key, GrantId=limited["GrantId"])
        s.poll(f"{name}: revoked", "Decrypt", DENIED, **of_canary)
    s.put_policy("allow all, deny by policy", key, allow(s, "kms:*"), deny("kms:Decrypt"))
    denied = s.must("grant under a Deny", "CreateGrant", **nameless)
    s.poll("a Deny beats a grant", "Decrypt", DENIED, **use, GrantTokens=[str(denied["GrantToken"])])


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
    s.note("blobs", fingerprint_changed=before[_BLOB_FINGERPRINT] != after[_BLOB_FINGERPRINT])
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
    s.note("blobs", same_fingerprint=other[_BLOB_FINGERPRINT] == blob[_BLOB_FINGERPRINT])
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
    Case(
        "deny-by-time",
        deny_by_time,
        (
            "a Deny until aws:CurrentTime bites, ends by itself at its deadline, and how fast",
            "GetKeyPolicy gives the new text while the old one may still be in force",
        ),
        creates="1 key",
    ),
    Case(
        "deny-by-context",
        deny_by_context,
        (
            "a Deny on kms:EncryptionContext:NAME stops that context alone; names without regard to case, values with",
            "two conditions of one statement must both hold",
        ),
        creates="1 key",
    ),
    Case(
        "deny-or-allow",
        deny_or_allow,
        (
            "explicit Deny beats Allow; without an Allow and without root delegation nobody decrypts",
            "the words of AccessDeniedException in both cases",
            "lock-out, malformed policy and vanished principal: MalformedPolicyDocumentException; its words",
        ),
        creates="1 key",
    ),
    Case(
        "grants",
        grants,
        (
            "a token makes a grant usable at once; without it how long it takes; how long revocation takes",
            "CreateGrant with the same name and parameters gives the same grant; without a name a second one",
            "left-over duplicates go on; EncryptionContextEquals and Subset, and case of names; a Deny beats a grant",
            "shapes and filters of ListGrants; errors of bad markers, unknown grants and operations",
        ),
        creates="1 key",
    ),
    *IMPORT_CASES,
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

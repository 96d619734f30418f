"""What is asked of AWS KMS about policies and grants: what stops a use, how fast, and in which words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from aws_session import AwsSession, mappings
from aws_steps import ADMINISTERS, CANARY, CONTEXT, DENIED, PLAINTEXT, allow, deny, encrypted, ok, utc
from live_session import Case, Within


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


POLICY_CASES: Final[Sequence[Case[AwsSession]]] = (
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
)

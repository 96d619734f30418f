"""Policies, grants and the log around KMS calls: G, P and T of what AWS documents."""

from __future__ import annotations

import json

import pytest

PERMIT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}],
}


@pytest.fixture
def key(kms) -> dict[str, str]:
    return kms.create_key()["KeyMetadata"]


@pytest.fixture
def vendor(aws, tools) -> str:
    return aws.user(f"arn:aws:iam::{tools.OTHER}:user/vendor", PERMIT)


def with_deny(kms, key: str, **deny) -> str:
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"].append({"Sid": "x", "Effect": "Deny", "Resource": "*", **deny})
    return json.dumps(policy)


def test_grants_have_ids_and_are_idempotent_by_name(aws, kms, key, vendor, tools) -> None:  # G1-G3
    given = {"KeyId": key["KeyId"], "GranteePrincipal": vendor, "Operations": ["Decrypt"], "Name": "n"}
    first, again = kms.create_grant(**given), kms.create_grant(**given)
    assert len(first["GrantId"]) == 64
    assert first["GrantId"] == again["GrantId"]
    assert first["GrantToken"] != again["GrantToken"]
    unnamed = {name: value for name, value in given.items() if name != "Name"}
    assert kms.create_grant(**unnamed)["GrantId"] != kms.create_grant(**unnamed)["GrantId"]
    lines = kms.list_grants(KeyId=key["KeyId"])["Grants"]
    assert len(lines) == 3
    assert lines[0]["KeyId"] == key["Arn"]
    assert lines[0]["IssuingAccount"].endswith(f"{tools.ACCOUNT}:root")
    assert lines[0]["CreationDate"] == tools.START
    other = f"arn:aws:iam::{tools.OTHER}:user/admin"
    assert kms.list_grants(KeyId=key["KeyId"], GranteePrincipal=other)["Grants"] == []
    assert tools.code(kms.revoke_grant, KeyId=key["KeyId"], GrantId="zz") == "InvalidGrantIdException"
    assert tools.code(kms.revoke_grant, KeyId=key["KeyId"], GrantId="0" * 64) == "NotFoundException"
    nobody = f"arn:aws:iam::{tools.OTHER}:user/nobody"
    assert tools.code(kms.create_grant, **given | {"GranteePrincipal": nobody}) == "InvalidArnException"


def test_a_grant_lets_another_account_in_until_it_ends(aws, kms, key, vendor, tools) -> None:  # G4, G5
    theirs = aws.client(who=vendor)
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"tenant": "1"})["CiphertextBlob"]
    given = {"CiphertextBlob": sealed, "EncryptionContext": {"tenant": "1"}}
    assert tools.code(theirs.decrypt, **given) == "AccessDeniedException"
    grant = kms.create_grant(
        KeyId=key["KeyId"],
        GranteePrincipal=vendor,
        Operations=["Decrypt"],
        Constraints={"EncryptionContextSubset": {"tenant": "1"}},
    )["GrantId"]
    assert theirs.decrypt(**given)["Plaintext"] == b"x"
    assert tools.code(theirs.encrypt, KeyId=key["Arn"], Plaintext=b"x") == "AccessDeniedException"
    elsewhere = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"tenant": "2"})["CiphertextBlob"]
    refusal = tools.code(theirs.decrypt, CiphertextBlob=elsewhere, EncryptionContext={"tenant": "2"})
    assert refusal == "AccessDeniedException"
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=grant)
    assert tools.code(theirs.decrypt, **given) == "AccessDeniedException"


def test_a_grant_is_retired_by_whom_it_names(aws, kms, key, vendor, tools) -> None:
    retiring = aws.user(f"arn:aws:iam::{tools.OTHER}:user/retirer", PERMIT)
    given = {"KeyId": key["KeyId"], "GranteePrincipal": vendor, "Operations": ["Decrypt"]}
    token = kms.create_grant(**given, RetiringPrincipal=retiring)["GrantToken"]
    assert len(aws.client(who=retiring).list_retirable_grants(RetiringPrincipal=retiring)["Grants"]) == 1
    assert tools.code(aws.client(who=vendor).retire_grant, GrantToken=token) == "AccessDeniedException"
    aws.client(who=retiring).retire_grant(GrantToken=token)
    assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []
    assert tools.code(aws.client(who=retiring).retire_grant, GrantToken=token) == "InvalidGrantTokenException"


def test_key_policies_are_enforced(aws, kms, key, tools) -> None:  # P1-P4
    root = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:root")
    user = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/user", PERMIT)
    nothing = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/nothing")
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert aws.client(who=user).decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert tools.code(aws.client(who=nothing).decrypt, CiphertextBlob=sealed) == "AccessDeniedException"
    deny = with_deny(kms, key["KeyId"], Principal="*", Action="kms:Decrypt")
    kms.put_key_policy(KeyId=key["KeyId"], Policy=deny)
    for who in (root, user):
        assert tools.code(aws.client(who=who).decrypt, CiphertextBlob=sealed) == "AccessDeniedException"


def test_a_deny_may_expire_by_itself_and_name_one_context(aws, kms, key, tools) -> None:
    sealed = [
        kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"record": name})["CiphertextBlob"]
        for name in ("canary", "other")
    ]
    condition = {
        "StringEquals": {"kms:EncryptionContext:record": "canary"},
        "DateLessThan": {"aws:CurrentTime": "2026-06-01T12:10:00Z"},
    }
    deny = with_deny(kms, key["KeyId"], Principal="*", Action="kms:Decrypt", Condition=condition)
    kms.put_key_policy(KeyId=key["KeyId"], Policy=deny)

    def answer(at: int) -> str:
        name = ("canary", "other")[at]
        return tools.code(kms.decrypt, CiphertextBlob=sealed[at], EncryptionContext={"record": name})

    assert (answer(0), answer(1)) == ("AccessDeniedException", "NoError")
    aws.clock.pass_(minutes=10)
    assert answer(0) == "NoError"


def test_policies_that_kms_refuses(kms, key, tools) -> None:  # P5, P6
    put = kms.put_key_policy
    locked = json.dumps({"Version": "2012-10-17", "Statement": []})
    ghost = with_deny(kms, key["KeyId"], Principal={"AWS": f"arn:aws:iam::{tools.ACCOUNT}:user/ghost"}, Action="kms:*")
    useless = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    useless["Statement"][0]["Action"] = "kms:Decrypt"
    for text in ("{", "[]", locked, ghost, json.dumps(useless)):
        assert tools.code(put, KeyId=key["KeyId"], Policy=text) == "MalformedPolicyDocumentException"
    put(KeyId=key["KeyId"], Policy=json.dumps(useless), BypassPolicyLockoutSafetyCheck=True)
    assert tools.code(kms.describe_key, KeyId=key["KeyId"]) == "AccessDeniedException"


def test_a_share_is_a_second_policy(aws, kms, key, vendor, tools) -> None:
    theirs = aws.client(who=vendor)
    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]
    assert tools.code(kms.get_key_policy, KeyId=key["KeyId"], PolicyName="AWS_RAM") == "NotFoundException"
    share = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": vendor}, "Action": "kms:Encrypt", "Resource": "*"}],
    }
    aws.cloud.kms.set_policy(aws.cloud.kms.find(key["Arn"]), share, name="AWS_RAM")
    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default", "AWS_RAM"]
    assert json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="AWS_RAM")["Policy"]) == share
    assert theirs.encrypt(KeyId=key["Arn"], Plaintext=b"x")["KeyId"] == key["Arn"]
    assert tools.code(theirs.schedule_key_deletion, KeyId=key["Arn"]) == "AccessDeniedException"
    gone = key["Arn"][:-4] + "0000"
    assert tools.code(theirs.describe_key, KeyId=gone) == "AccessDeniedException"


def test_the_log_shows_calls_as_cloudtrail_does(aws, kms, key, vendor, tools) -> None:  # T1
    context = {"tenant": "1"}
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"top secret", EncryptionContext=context)["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context, KeyId=key["Arn"])
    ledger = aws.cloud.ledger
    event = ledger.events(tools.ACCOUNT, tools.REGION, aws.clock())[-1]
    assert (event.name, event.read_only, event.resources) == ("Decrypt", True, (key["Arn"],))
    assert event.parameters == {
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "keyId": key["Arn"],
        "encryptionContext": context,
    }
    assert event.additional == {"keyMaterialId": opened["KeyMaterialId"]}
    assert event.request_id == opened["ResponseMetadata"]["RequestId"]
    usage = kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]
    assert usage["CloudTrailEventId"] == event.event_id


def test_across_accounts_only_good_calls_are_in_both_logs(aws, kms, key, vendor, tools) -> None:
    theirs = aws.client(who=vendor)

    def logged(account: str) -> list[tuple[str, str | None]]:
        events = aws.cloud.ledger.events(account, tools.REGION, aws.clock())
        return [(event.name, event.error) for event in events if event.caller.arn == vendor]

    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    tools.code(theirs.decrypt, CiphertextBlob=sealed)
    assert logged(tools.OTHER) == [("Decrypt", "AccessDenied")]
    assert logged(tools.ACCOUNT) == []
    kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=vendor, Operations=["Decrypt"])
    theirs.decrypt(CiphertextBlob=sealed)
    assert logged(tools.ACCOUNT) == [("Decrypt", None)]
    assert len(logged(tools.OTHER)) == 2
    kms.disable_key(KeyId=key["KeyId"])
    tools.code(theirs.decrypt, CiphertextBlob=sealed)
    assert logged(tools.ACCOUNT)[-1] == ("Decrypt", "DisabledException")


def test_nothing_secret_is_logged(aws, kms, key, vendor, tools) -> None:
    planted = b"planted-plaintext-that-must-not-appear"
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=planted)["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=sealed)
    data_key = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    token = kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=vendor, Operations=["Decrypt"])["GrantToken"]
    kms.decrypt(CiphertextBlob=sealed, GrantTokens=[token])
    password = "planted-password"
    kms.create_custom_key_store(
        CustomKeyStoreName="hsm",
        CloudHsmClusterId="cluster-2aaaaaaaaaa",
        TrustAnchorCertificate="anchor",
        KeyStorePassword=password,
    )
    external = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    offer = kms.get_parameters_for_import(
        KeyId=external, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    tools.code(kms.import_key_material, KeyId=external, ImportToken=offer["ImportToken"], EncryptedKeyMaterial=planted)
    events = aws.cloud.ledger.events(tools.ACCOUNT, tools.REGION, aws.clock())
    assert len(events) >= 9
    written = repr(events) + repr(aws.cloud.kms.holdings.keys)
    for secret in (planted, sealed, data_key["Plaintext"], data_key["CiphertextBlob"], offer["ImportToken"]):
        for form in (repr(secret)[2:-1], secret.hex()):
            assert form not in written
    assert token not in written
    assert password not in written
    current = aws.cloud.kms.find(key["Arn"]).ring.current
    assert current is not None
    assert repr(current.secret) not in repr(current)


def test_tags_open_doors(aws, kms, tools) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    statement = {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*", "Condition": condition}
    blue = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/blue", {"Version": "2012-10-17", "Statement": [statement]})
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert tools.code(aws.client(who=blue).encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    assert aws.client(who=blue).encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]


def test_unknown_access_keys_are_turned_away(aws, tools) -> None:
    aws.credentials["nobody"] = ("AKIAIOSFODNN7EXAMPLE", "secret")
    assert tools.code(aws.client(who="nobody").list_keys) == "UnrecognizedClientException"
    assert tools.code(aws.client("sts", who="nobody").get_caller_identity) == "InvalidClientTokenId"


def test_the_other_services_share_the_port(aws, kms, key, tools) -> None:
    assert aws.client("sts").get_caller_identity()["Account"] == tools.ACCOUNT
    found = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateKey"}]
    )
    assert len(found["Events"]) == 1

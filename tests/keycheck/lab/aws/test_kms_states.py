"""States, encryption context, DryRun, multi-Region keys, custom key stores: S, C, M and X of what AWS documents."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from keycheck.lab.aws.kms.service import OPERATIONS


@pytest.fixture
def key(kms) -> str:
    return kms.create_key()["KeyMetadata"]["KeyId"]


def use(kms, key: str, sealed: bytes, other: str):
    return {
        "encrypt": lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
        "decrypt": lambda: kms.decrypt(CiphertextBlob=sealed),
        "generate_data_key": lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
        "re_encrypt": lambda: kms.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=other),
        "rotate_key_on_demand": lambda: kms.rotate_key_on_demand(KeyId=key),
    }


def test_every_operation_of_the_sdk_is_there(kms) -> None:
    assert set(kms.meta.service_model.operation_names) == OPERATIONS.keys()


def test_a_disabled_key_does_nothing(kms, key, tools) -> None:  # S1, S2
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    for name, call in use(kms, key, sealed, other).items():
        assert (name, tools.code(call)) == (name, "DisabledException")
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_deletion_waits_and_can_be_cancelled(aws, kms, key, tools) -> None:  # S3-S7
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert tools.code(kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"
    for days in (3, 6, 31):
        refusal = tools.code(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)
        assert refusal == "ValidationException"
    planned = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (planned["KeyState"], planned["PendingWindowInDays"]) == ("PendingDeletion", 7)
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "KMSInvalidStateException"
    for call in (kms.enable_key, kms.disable_key, kms.schedule_key_deletion):
        assert tools.code(call, KeyId=key) == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.create_alias(AliasName="alias/gone", TargetKeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    aws.clock.pass_(days=7)
    assert tools.code(kms.describe_key, KeyId=key) == "NotFoundException"
    assert kms.list_aliases()["Aliases"] == []
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "AccessDeniedException"


def test_the_encryption_context_binds(kms, key, tools) -> None:  # C1, C2
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"tenant": "t1", "b": "c"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"b": "c", "tenant": "t1"})["Plaintext"] == b"x"
    for wrong in ({}, {"tenant": "t2", "b": "c"}, {"tenan": "tt1", "b": "c"}, {"Tenant": "t1", "b": "c"}):
        refusal = tools.code(kms.decrypt, CiphertextBlob=sealed, EncryptionContext=wrong)
        assert refusal == "InvalidCiphertextException"


def test_any_changed_octet_is_seen(kms, key, tools) -> None:
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        refusal = tools.code(kms.decrypt, KeyId=key, CiphertextBlob=changed)
        assert refusal in ("InvalidCiphertextException", "IncorrectKeyException")


def test_a_named_key_must_be_the_right_one(kms, key, tools) -> None:  # C3
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert tools.code(kms.decrypt, KeyId=other, CiphertextBlob=sealed) == "IncorrectKeyException"
    assert tools.code(kms.decrypt, KeyId=key, CiphertextBlob=b"junk") == "InvalidCiphertextException"


def test_a_dry_run_says_what_would_happen_and_does_nothing(aws, kms, key, tools) -> None:  # C4, C4b
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    usage = kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]
    aws.clock.pass_(seconds=5)
    assert tools.code(kms.decrypt, CiphertextBlob=sealed, DryRun=True) == "DryRunOperationException"
    ignoring = {"KeyId": key, "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert tools.code(kms.decrypt, **ignoring) == "DryRunOperationException"
    assert tools.code(kms.decrypt, KeyId=key, DryRun=True) == "ValidationException"
    assert kms.get_key_last_usage(KeyId=key)["KeyLastUsage"] == usage
    stranger = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/stranger")
    assert tools.code(aws.client(who=stranger).decrypt, **ignoring) == "AccessDeniedException"
    grant = kms.create_grant(KeyId=key, GranteePrincipal=stranger, Operations=["Decrypt"])["GrantId"]
    assert tools.code(aws.client(who=stranger).decrypt, **ignoring) == "DryRunOperationException"
    assert tools.code(kms.revoke_grant, KeyId=key, GrantId=grant, DryRun=True) == "DryRunOperationException"
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1
    kms.disable_key(KeyId=key)
    assert tools.code(kms.decrypt, **ignoring) == "DisabledException"


def test_answers_name_algorithm_and_material(kms, key) -> None:  # C5, C6
    unused = kms.get_key_last_usage(KeyId=key)
    assert unused["KeyLastUsage"] == {}
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed)
    assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert opened["KeyMaterialId"] == kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    usage = kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]
    assert usage["Operation"] == "Decrypt"
    assert usage["KmsRequestId"] == opened["ResponseMetadata"]["RequestId"]
    assert usage["CloudTrailEventId"]


def test_multi_region_keys_share_material_and_nothing_else(aws, kms, tools) -> None:  # M1, M2
    there = aws.client(region=tools.NEIGHBOUR)
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    assert key.startswith("mrk-")
    kms.replicate_key(KeyId=key, ReplicaRegion=tools.NEIGHBOUR, Tags=[{"TagKey": "a", "TagValue": "b"}])
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    kms.disable_key(KeyId=key)
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert kms.list_resource_tags(KeyId=key)["Tags"] == []
    kms.enable_key(KeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    assert len(there.list_key_rotations(KeyId=key)["Rotations"]) == 1
    twice = {"KeyId": key, "ReplicaRegion": tools.NEIGHBOUR}
    assert tools.code(kms.replicate_key, **twice) == "AlreadyExistsException"
    kms.update_primary_region(KeyId=key, PrimaryRegion=tools.NEIGHBOUR)
    shown = there.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    assert shown["MultiRegionKeyType"] == "PRIMARY"
    planned = there.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert planned["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in planned
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    aws.clock.pass_(days=7)
    assert tools.code(kms.describe_key, KeyId=key) == "NotFoundException"
    assert there.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_disconnected_external_store_takes_its_keys_away(kms, tools) -> None:  # X1
    made = kms.create_custom_key_store(
        CustomKeyStoreName="hyok",
        CustomKeyStoreType="EXTERNAL_KEY_STORE",
        XksProxyUriEndpoint="https://xks.example.com",
        XksProxyUriPath="/lab/kms/xks/v1",
        XksProxyConnectivity="PUBLIC_ENDPOINT",
        XksProxyAuthenticationCredential={
            "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
            "RawSecretAccessKey": "s" * 43,
        },
    )["CustomKeyStoreId"]
    asked = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": made, "XksKeyId": "bb8562717f809024"}
    assert tools.code(kms.create_key, **asked) == "CustomKeyStoreInvalidStateException"
    kms.connect_custom_key_store(CustomKeyStoreId=made)
    key = kms.create_key(**asked)["KeyMetadata"]
    assert (key["CustomKeyStoreId"], key["XksKeyConfiguration"]) == (made, {"Id": "bb8562717f809024"})
    assert "CurrentKeyMaterialId" not in key
    assert tools.code(kms.create_key, **asked) == "XksKeyAlreadyInUseException"
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert tools.code(kms.rotate_key_on_demand, KeyId=key["KeyId"]) == "UnsupportedOperationException"
    kms.disconnect_custom_key_store(CustomKeyStoreId=made)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Unavailable"
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "KMSInvalidStateException"
    assert tools.code(kms.delete_custom_key_store, CustomKeyStoreId=made) == "CustomKeyStoreHasCMKsException"
    shown = kms.describe_custom_key_stores()["CustomKeyStores"][0]
    assert shown["ConnectionState"] == "DISCONNECTED"
    assert "s" * 43 not in json.dumps(shown, default=str)
    kms.connect_custom_key_store(CustomKeyStoreId=made)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_a_store_that_cannot_connect_says_why(aws, kms, tools) -> None:
    store = aws.cloud.kms.store(tools.ACCOUNT, tools.REGION, "hsm", external=False, connected=False)
    store.refuses = "INVALID_CREDENTIALS"
    kms.connect_custom_key_store(CustomKeyStoreId=store.id)
    shown = kms.describe_custom_key_stores(CustomKeyStoreName="hsm")["CustomKeyStores"][0]
    assert (shown["ConnectionState"], shown["ConnectionErrorCode"]) == ("FAILED", "INVALID_CREDENTIALS")
    missing = tools.code(kms.describe_custom_key_stores, CustomKeyStoreName="none")
    assert missing == "CustomKeyStoreNotFoundException"


def test_aws_managed_keys_are_seen_but_not_directed(kms, tools) -> None:  # X2
    shown = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert shown["KeyManager"] == "AWS"
    assert kms.get_key_rotation_status(KeyId=shown["KeyId"])["KeyRotationEnabled"] is True
    for call in (kms.disable_key, kms.schedule_key_deletion, kms.disable_key_rotation):
        assert tools.code(call, KeyId=shown["KeyId"]) == "AccessDeniedException"
    assert tools.code(kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x") == "AccessDeniedException"


def test_codes_need_an_enabled_key(kms, tools) -> None:  # X3
    key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    given = {"KeyId": key, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    assert tools.code(kms.generate_mac, **given) == "DisabledException"


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ECC_NIST_EDWARDS25519"])
def test_newer_signatures(kms, tools, spec) -> None:  # X4
    key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    given = {"KeyId": key["KeyId"], "SigningAlgorithm": key["SigningAlgorithms"][0]}
    signature = kms.sign(Message=b"m", **given)["Signature"]
    assert kms.verify(Message=b"m", Signature=signature, **given)["SignatureValid"]
    assert tools.code(kms.verify, Message=b"n", Signature=signature, **given) == "KMSInvalidSignatureException"


@pytest.mark.parametrize("spec", ["ML_KEM_768", "ML_KEM_1024"])
def test_encapsulation(kms, spec) -> None:
    key = kms.create_key(KeySpec=spec, KeyUsage="ENCAPSULATE_DECAPSULATE")["KeyMetadata"]["KeyId"]
    sent = kms.encapsulate(KeyId=key, EncapsulationAlgorithm="ML_KEM")
    got = kms.decapsulate(
        KeyId=key, EncapsulationAlgorithm="ML_KEM", SharedSecretCiphertextBlob=sent["SharedSecretCiphertextBlob"]
    )
    assert got["SharedSecret"] == sent["SharedSecret"]


@pytest.mark.parametrize("spec", ["SM2", "ML_KEM_512"])
def test_what_is_not_offered_says_so(kms, tools, spec) -> None:
    assert tools.code(kms.create_key, KeySpec=spec, KeyUsage="SIGN_VERIFY") == "UnsupportedOperationException"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eusc-de-east-1", "aws-eusc"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-3", "aws")],
)
def test_the_partition_follows_the_region(aws, region, partition) -> None:
    key = aws.client(region=region).create_key()["KeyMetadata"]
    assert key["Arn"].startswith(f"arn:{partition}:kms:{region}:")
    policy = json.loads(aws.client(region=region).get_key_policy(KeyId=key["KeyId"])["Policy"])
    assert policy["Statement"][0]["Principal"]["AWS"].startswith(f"arn:{partition}:iam::")


def test_clients_find_the_lab_by_their_own_convention(aws, kms, monkeypatch, tools) -> None:
    access_key, secret = aws.credentials[f"arn:aws:iam::{tools.ACCOUNT}:user/admin"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", aws.cloud.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    client = boto3.Session().client("kms", region_name="eusc-de-east-1")
    assert client.list_keys()["Keys"] == []
    client.close()


def test_keys_and_aliases_are_paged_by_account_and_region(aws, kms, key, tools) -> None:
    for at in range(4):
        kms.create_alias(AliasName=f"alias/a{at}", TargetKeyId=key)
        kms.create_key()
    for name, field in (("list_keys", "Keys"), ("list_aliases", "Aliases")):
        pages = list(kms.get_paginator(name).paginate(PaginationConfig={"PageSize": 2}))
        assert sum(len(page[field]) for page in pages) == (5 if field == "Keys" else 4)
    assert aws.client(region=tools.NEIGHBOUR).list_keys()["Keys"] == []
    assert aws.client(who=f"arn:aws:iam::{tools.OTHER}:user/admin").list_keys()["Keys"] == []
    with pytest.raises(ClientError, match="InvalidMarkerException"):
        kms.list_keys(Marker="junk")
    assert kms.describe_key(KeyId="alias/a0")["KeyMetadata"]["KeyId"] == key

"""The management operations that nothing else touches: aliases, stores, tags, rotation off, odd parameters."""

from __future__ import annotations

import pytest


@pytest.fixture
def key(kms) -> str:
    return kms.create_key(Description="before")["KeyMetadata"]["KeyId"]


def test_aliases_move_and_go(aws, kms, key, tools) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    assert tools.code(kms.create_alias, AliasName="alias/a", TargetKeyId=other) == "AlreadyExistsException"
    assert tools.code(kms.create_alias, AliasName="alias/aws/mine", TargetKeyId=key) == "NotAuthorizedException"
    aws.clock.pass_(seconds=9)
    kms.update_alias(AliasName="alias/a", TargetKeyId=other)
    (line,) = kms.list_aliases(KeyId=other)["Aliases"]
    assert (line["TargetKeyId"], (line["LastUpdatedDate"] - line["CreationDate"]).seconds) == (other, 9)
    assert kms.list_aliases(KeyId=key)["Aliases"] == []
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert tools.code(kms.update_alias, AliasName="alias/a", TargetKeyId=signer) == "ValidationException"
    kms.delete_alias(AliasName="alias/a")
    for call in (kms.delete_alias, kms.encrypt):
        name = {"AliasName": "alias/a"} if call == kms.delete_alias else {"KeyId": "alias/a", "Plaintext": b"x"}
        assert tools.code(call, **name) == "NotFoundException"


def test_descriptions_and_rotation_change(kms, key, tools) -> None:
    kms.update_key_description(KeyId=key, Description="after")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "after"
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.disable_key(KeyId=key)
    assert tools.code(kms.enable_key_rotation, KeyId=key) == "DisabledException"
    assert tools.code(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=89) == "ValidationException"


def test_stores_change_and_go(kms, tools) -> None:
    given = {
        "CustomKeyStoreName": "hsm",
        "CloudHsmClusterId": "cluster-2aaaaaaaaaa",
        "TrustAnchorCertificate": "anchor",
        "KeyStorePassword": "password",
    }
    made = kms.create_custom_key_store(**given)["CustomKeyStoreId"]
    assert tools.code(kms.create_custom_key_store, **given) == "CustomKeyStoreNameInUseException"
    again = given | {"CustomKeyStoreName": "hsm2"}
    assert tools.code(kms.create_custom_key_store, **again) == "CloudHsmClusterInUseException"
    assert tools.code(kms.create_custom_key_store, CustomKeyStoreName="x") == "ValidationException"
    on = {"CustomKeyStoreId": made}
    assert tools.code(kms.generate_random, NumberOfBytes=8, **on) == "CustomKeyStoreInvalidStateException"
    kms.connect_custom_key_store(**on)
    assert len(kms.generate_random(NumberOfBytes=8, **on)["Plaintext"]) == 8
    assert tools.code(kms.connect_custom_key_store, **on) == "CustomKeyStoreInvalidStateException"
    rename = on | {"NewCustomKeyStoreName": "new"}
    assert tools.code(kms.update_custom_key_store, **rename) == "CustomKeyStoreInvalidStateException"
    key = kms.create_key(Origin="AWS_CLOUDHSM", **on)["KeyMetadata"]
    assert key["CloudHsmClusterId"] == given["CloudHsmClusterId"]
    assert (
        tools.code(kms.create_key, Origin="EXTERNAL_KEY_STORE", XksKeyId="x", **on) == "UnsupportedOperationException"
    )
    assert tools.code(kms.create_key, Origin="AWS_CLOUDHSM") == "ValidationException"
    assert tools.code(kms.create_key, **on) == "ValidationException"
    kms.disconnect_custom_key_store(**on)
    kms.update_custom_key_store(**rename)
    assert kms.describe_custom_key_stores()["CustomKeyStores"][0]["CustomKeyStoreName"] == "new"
    missing = {"CustomKeyStoreId": "cks-0"}
    for call in (kms.connect_custom_key_store, kms.delete_custom_key_store):
        assert tools.code(call, **missing) == "CustomKeyStoreNotFoundException"
    spare = kms.create_custom_key_store(**given | {"CloudHsmClusterId": "cluster-3aaaaaaaaaa"})["CustomKeyStoreId"]
    kms.delete_custom_key_store(CustomKeyStoreId=spare)
    assert len(kms.describe_custom_key_stores()["CustomKeyStores"]) == 1


def test_asymmetric_keys(kms, tools) -> None:
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    on = {"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x", **on)["CiphertextBlob"]
    assert kms.decrypt(KeyId=key, CiphertextBlob=sealed, **on)["Plaintext"] == b"x"
    assert tools.code(kms.decrypt, CiphertextBlob=sealed, **on) == "ValidationException"
    changed = bytes([sealed[0] ^ 1]) + sealed[1:]
    assert tools.code(kms.decrypt, KeyId=key, CiphertextBlob=changed, **on) == "InvalidCiphertextException"
    context = {"EncryptionContext": {"a": "b"}}
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x", **on, **context) == "ValidationException"
    assert kms.get_public_key(KeyId=key)["EncryptionAlgorithms"] == ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
    assert tools.code(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == "InvalidKeyUsageException"
    plain = kms.create_key()["KeyMetadata"]["KeyId"]
    assert tools.code(kms.get_public_key, KeyId=plain) == "UnsupportedOperationException"


def test_data_keys_have_the_size_asked_for(kms, key, tools) -> None:
    make = kms.generate_data_key
    sizes = [len(make(KeyId=key, **how)["Plaintext"]) for how in ({"KeySpec": "AES_128"}, {"NumberOfBytes": 77})]
    assert sizes == [16, 77]
    assert tools.code(make, KeyId=key) == "ValidationException"
    assert tools.code(make, KeyId=key, KeySpec="AES_256", NumberOfBytes=32) == "ValidationException"


def test_grants_with_odd_parameters(aws, kms, key, tools) -> None:
    who = f"arn:aws:iam::{tools.ACCOUNT}:user/admin"
    ask = kms.create_grant
    assert tools.code(ask, KeyId=key, Operations=["Decrypt"]) == "ValidationException"
    assert tools.code(ask, KeyId=key, GranteePrincipal=who, Operations=[]) == "ValidationException"
    assert tools.code(ask, KeyId=key, GranteePrincipal=who, Operations=["Bogus"]) == "ValidationException"
    service = {"GranteeServicePrincipal": "dynamodb.eu-central-1.amazonaws.com", "Operations": ["Decrypt"]}
    assert tools.code(ask, KeyId=key, **service) == "ValidationException"
    source = "arn:aws:dynamodb:eu-central-1:111111111111:table/t"
    kms.create_grant(KeyId=key, **service, Constraints={"SourceArn": source}, RetiringPrincipal=who)
    kms.create_grant(
        KeyId=key,
        GranteePrincipal=who,
        Operations=["Decrypt"],
        Constraints={"EncryptionContextEquals": {"a": "b"}},
    )
    first, second = kms.list_grants(KeyId=key)["Grants"]
    assert (first["Constraints"], first["RetiringPrincipal"]) == ({"SourceArn": source}, who)
    assert first["GranteeServicePrincipal"] == service["GranteeServicePrincipal"]
    assert second["Constraints"] == {"EncryptionContextEquals": {"a": "b"}}
    kms.retire_grant(KeyId=key, GrantId=second["GrantId"])
    assert tools.code(kms.retire_grant, KeyId=key) == "ValidationException"
    assert tools.code(kms.list_grants, KeyId=key, GrantId="0") == "InvalidGrantIdException"
    kms.disable_key(KeyId=key)
    refusal = tools.code(ask, KeyId=key, GranteePrincipal=who, Operations=["Decrypt"])
    assert refusal == "DisabledException"


def test_requests_with_several_faults_name_them_all(kms, tools) -> None:
    with pytest.raises(kms.exceptions.ClientError, match="2 validation errors detected: ") as caught:
        kms.list_keys(Limit=1001, Marker="")
    assert "less than or equal to 1000" in caught.value.response["Error"]["Message"]
    assert tools.code(kms.describe_key, KeyId="arn:aws:s3:::bucket") == "InvalidArnException"
    assert tools.code(kms.describe_key, KeyId="arn:aws-cn:kms:eu-central-1:1:key/x") == "NotFoundException"
    assert tools.code(kms.describe_key, KeyId="alias/none") == "NotFoundException"

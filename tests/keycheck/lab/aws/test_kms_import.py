"""Imported material and rotation: I1-I16 and R1-R9 of the behaviours that AWS documents."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

SHA1, SHA256 = hashes.SHA1(), hashes.SHA256()


def wrap(public: bytes, data: bytes, digest: hashes.HashAlgorithm = SHA256, *, aes: bool = False) -> bytes:
    key = serialization.load_der_public_key(public)
    scheme = padding.OAEP(padding.MGF1(digest), digest, None)
    if not aes:
        return key.encrypt(data, scheme)
    kek = os.urandom(32)
    return key.encrypt(kek, scheme) + aes_key_wrap_with_padding(kek, data)


@dataclass
class Customer:
    """Who imports material into keys."""

    kms: object

    def key(self, **more) -> str:
        return self.kms.create_key(Origin="EXTERNAL", **more)["KeyMetadata"]["KeyId"]

    def offer(self, key: str, algorithm: str = "RSAES_OAEP_SHA_256", spec: str = "RSA_2048"):
        return self.kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)

    def bring(self, key: str, material: bytes, client=None, **more):
        client = client or self.kms
        offer = client.get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        more.setdefault("ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE")
        return client.import_key_material(
            KeyId=key,
            ImportToken=offer["ImportToken"],
            EncryptedKeyMaterial=wrap(offer["PublicKey"], material),
            **more,
        )

    def state(self, key: str, client=None) -> str:
        return (client or self.kms).describe_key(KeyId=key)["KeyMetadata"]["KeyState"]

    def current(self, key: str) -> str:
        return self.kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]

    def lines(self, key: str, client=None) -> list[dict[str, object]]:
        return (client or self.kms).list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]


@pytest.fixture
def customer(kms) -> Customer:
    return Customer(kms)


def test_a_new_external_key_waits_for_import(kms, customer, tools) -> None:  # I1, I2
    key = customer.key()
    shown = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == ("PendingImport", False)
    assert "CurrentKeyMaterialId" not in shown
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "KMSInvalidStateException"


@pytest.mark.parametrize(
    ("algorithm", "spec", "digest", "aes"),
    [
        ("RSAES_OAEP_SHA_1", "RSA_2048", SHA1, False),
        ("RSAES_OAEP_SHA_256", "RSA_3072", SHA256, False),  # I3
        ("RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", SHA1, True),
        ("RSA_AES_KEY_WRAP_SHA_256", "RSA_2048", SHA256, True),  # I4
    ],
)
def test_every_wrapping_is_really_undone(kms, customer, tools, algorithm, spec, digest, aes) -> None:
    key = customer.key()
    offer = customer.offer(key, algorithm, spec)
    given = {"KeyId": key, "ImportToken": offer["ImportToken"], "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    material = os.urandom(32)
    other = SHA1 if digest is SHA256 else SHA256
    wrong = wrap(offer["PublicKey"], material, other, aes=aes)  # I5
    assert tools.code(kms.import_key_material, **given, EncryptedKeyMaterial=wrong) == "InvalidCiphertextException"
    kms.import_key_material(**given, EncryptedKeyMaterial=wrap(offer["PublicKey"], material, digest, aes=aes))
    assert customer.state(key) == "Enabled"
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]  # I9
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_tokens_are_for_one_key_and_one_day(aws, kms, customer, tools) -> None:  # I6
    key, other = customer.key(), customer.key()
    offer = customer.offer(key)
    given = {
        "EncryptedKeyMaterial": wrap(offer["PublicKey"], os.urandom(32)),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
    ask = kms.import_key_material
    assert tools.code(ask, KeyId=key, ImportToken=b"junk", **given) == "InvalidImportTokenException"
    assert tools.code(ask, KeyId=other, ImportToken=offer["ImportToken"], **given) == "InvalidImportTokenException"
    aws.clock.pass_(hours=24, seconds=1)
    assert tools.code(ask, KeyId=key, ImportToken=offer["ImportToken"], **given) == "ExpiredImportTokenException"


def test_the_wrapping_keys_of_two_offers_differ(kms, customer, tools) -> None:
    key = customer.key()
    first, second = customer.offer(key), customer.offer(key)
    mixed = wrap(first["PublicKey"], os.urandom(32))
    given = {"ImportToken": second["ImportToken"], "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    refusal = tools.code(kms.import_key_material, KeyId=key, EncryptedKeyMaterial=mixed, **given)
    assert refusal == "InvalidCiphertextException"


def test_material_that_does_not_fit_is_refused(customer, tools) -> None:  # I7, I8
    key = customer.key()
    assert tools.code(customer.bring, key, os.urandom(16)) == "IncorrectKeyMaterialException"
    customer.bring(key, os.urandom(32))
    assert tools.code(customer.bring, key, os.urandom(32)) == "IncorrectKeyMaterialException"
    signer = customer.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert tools.code(customer.bring, signer, os.urandom(32)) == "IncorrectKeyMaterialException"


def test_deleted_material_comes_back_only_if_it_is_the_same(kms, customer, tools) -> None:  # I10-I13
    key, material = customer.key(), os.urandom(32)
    brought = customer.bring(key, material)["KeyMaterialId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.delete_imported_key_material(KeyId=key)["KeyMaterialId"] == brought
    assert customer.state(key) == "PendingImport"
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "KMSInvalidStateException"
    assert tools.code(customer.bring, key, os.urandom(32)) == "IncorrectKeyMaterialException"
    assert customer.bring(key, material)["KeyMaterialId"] == brought
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_material_expires(aws, kms, customer, tools) -> None:  # I14
    key = customer.key()
    until = aws.clock().replace(day=20)
    customer.bring(key, os.urandom(32), ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=until)
    shown = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (shown["ExpirationModel"], shown["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)
    aws.clock.now = until
    assert customer.state(key) == "PendingImport"
    assert customer.lines(key)[0]["ImportState"] == "PENDING_IMPORT"
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "KMSInvalidStateException"


@pytest.mark.parametrize("days", [-1, 0, 366])
def test_expiry_lies_within_a_year(aws, customer, tools, days) -> None:
    aws_now = aws.clock()
    aws.clock.pass_(days=days)
    until, aws.clock.now = aws.clock(), aws_now
    given = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": until}
    assert tools.code(customer.bring, customer.key(), os.urandom(32), **given) == "ValidationException"


def test_parameters_are_for_external_keys(kms, tools) -> None:  # I15, I16
    shown = kms.create_key()["KeyMetadata"]
    assert len(shown["CurrentKeyMaterialId"]) == 64
    asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    refusal = tools.code(kms.get_parameters_for_import, KeyId=shown["KeyId"], **asked)
    assert refusal == "UnsupportedOperationException"
    asked["WrappingAlgorithm"] = "RSAES_PKCS1_V1_5"
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    assert tools.code(kms.get_parameters_for_import, KeyId=key, **asked) == "UnsupportedOperationException"


def test_imported_keys_rotate_and_need_every_material(kms, customer, tools) -> None:  # R1-R4
    key, first, second = customer.key(), os.urandom(32), os.urandom(32)
    old = customer.bring(key, first)["KeyMaterialId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    new = customer.bring(key, second, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="June")["KeyMaterialId"]
    assert [line["KeyMaterialState"] for line in customer.lines(key)] == ["CURRENT", "PENDING_ROTATION"]
    assert customer.current(key) == old
    kms.rotate_key_on_demand(KeyId=key)
    assert customer.current(key) == new
    before, after = customer.lines(key)
    assert (before["KeyMaterialState"], after["KeyMaterialState"]) == ("NON_CURRENT", "CURRENT")
    assert after["RotationType"] == "ON_DEMAND"
    assert after["KeyMaterialDescription"] == "June"
    assert "RotationDate" not in before
    opened = kms.decrypt(CiphertextBlob=sealed)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"x", old)
    kms.delete_imported_key_material(KeyId=key, KeyMaterialId=old)
    assert customer.state(key) == "PendingImport"
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "KMSInvalidStateException"
    customer.bring(key, first, KeyMaterialId=old)
    assert customer.state(key) == "Enabled"


def test_pending_material_may_be_replaced(kms, customer, tools) -> None:
    key = customer.key()
    customer.bring(key, os.urandom(32))
    pending = customer.bring(key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    kms.delete_imported_key_material(KeyId=key, KeyMaterialId=pending)
    assert customer.state(key) == "Enabled"
    assert len(customer.lines(key)) == 1
    customer.bring(key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    assert len(customer.lines(key)) == 2


def test_rotation_of_keys_that_aws_made(aws, kms, customer, tools) -> None:  # R5-R9
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    first = customer.current(key)
    kms.rotate_key_on_demand(KeyId=key)
    assert customer.current(key) != first
    assert [line["KeyMaterialState"] for line in customer.lines(key)] == ["NON_CURRENT", "CURRENT"]
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 1
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    aws.clock.pass_(days=181)
    done = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [line["RotationType"] for line in done] == ["ON_DEMAND", "AUTOMATIC", "AUTOMATIC"]
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["RotationPeriodInDays"], status["NextRotationDate"]) == (
        90,
        done[-1]["RotationDate"].replace(day=26, month=2, year=2027),
    )
    external = customer.key()
    customer.bring(external, os.urandom(32))
    assert tools.code(kms.enable_key_rotation, KeyId=external) == "UnsupportedOperationException"
    assert kms.get_key_rotation_status(KeyId=external)["KeyRotationEnabled"] is False


def test_a_disabled_key_rotates_when_it_is_enabled_again(aws, kms, customer) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    kms.disable_key(KeyId=key)
    aws.clock.pass_(days=100)
    assert len(customer.lines(key)) == 1
    kms.enable_key(KeyId=key)
    assert len(customer.lines(key)) == 2


def test_rotations_are_paged(kms) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for _ in range(5):
        kms.rotate_key_on_demand(KeyId=key)
    pages = list(kms.get_paginator("list_key_rotations").paginate(KeyId=key, PaginationConfig={"PageSize": 2}))
    assert [len(page["Rotations"]) for page in pages] == [2, 2, 1]


def test_a_multi_region_key_takes_new_material_everywhere_before_it_rotates(aws, kms, customer, tools) -> None:
    there = aws.client(region=tools.NEIGHBOUR)
    key, first, second = customer.key(MultiRegion=True), os.urandom(32), os.urandom(32)
    customer.bring(key, first)
    kms.replicate_key(KeyId=key, ReplicaRegion=tools.NEIGHBOUR)
    assert customer.state(key, there) == "PendingImport"
    assert tools.code(customer.bring, key, os.urandom(32), there) == "IncorrectKeyMaterialException"
    customer.bring(key, first, there)
    assert customer.state(key, there) == "Enabled"
    customer.bring(key, second, ImportType="NEW_KEY_MATERIAL")
    assert customer.lines(key)[-1]["KeyMaterialState"] == "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    assert tools.code(kms.rotate_key_on_demand, KeyId=key) == "KMSInvalidStateException"
    customer.bring(key, second, there)
    assert customer.lines(key)[-1]["KeyMaterialState"] == "PENDING_ROTATION"
    assert tools.code(there.rotate_key_on_demand, KeyId=key) == "UnsupportedOperationException"
    kms.rotate_key_on_demand(KeyId=key)
    sealed = there.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"

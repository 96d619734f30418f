"""The fake held against answers that were recorded from the real AWS KMS.

The recordings hold answers only. For each case the operations that its name and answers imply are issued with boto3,
and answers, states, error codes, messages and HTTP statuses compared. Placeholders of the recordings (`<key-id:1>`)
must stand for one and the same value throughout a case.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from datetime import datetime

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

REGION, NEIGHBOUR = "eu-central-1", "eu-west-1"
ABSENT_UUID = "134f2428-cec1-4b25-a1ae-9048164dba47"

EMPTY = {
    "test_sign_verify[ECC_NIST_P256-ECDSA_SHA_384]",
    "test_sign_verify[ECC_SECG_P256K1-ECDSA_SHA_512]",
    "test_verify_salt_length[RSA_2048-RSASSA_PSS_SHA_256]",
    "test_verify_salt_length[RSA_2048-RSASSA_PSS_SHA_384]",
    "test_verify_salt_length[RSA_2048-RSASSA_PSS_SHA_512]",
    "test_verify_salt_length[RSA_4096-RSASSA_PKCS1_V1_5_SHA_256]",
    "test_verify_salt_length[RSA_4096-RSASSA_PKCS1_V1_5_SHA_512]",
    "test_verify_salt_length[ECC_NIST_P256-ECDSA_SHA_256]",
    "test_verify_salt_length[ECC_NIST_P384-ECDSA_SHA_384]",
    "test_verify_salt_length[ECC_SECG_P256K1-ECDSA_SHA_256]",
}
"""The recording of these holds nothing to compare with."""
SUPERSEDED = {
    "test_rotate_key_on_demand_raises_error_given_key_with_imported_key_material": (
        "recorded before imported keys could be rotated; contradicted by the newer "
        "test_rotate_key_on_demand_on_external_key_with_no_key_material and "
        "test_rotate_key_on_demand_updates_current_key_material_for_external_keys"
    ),
}
NEWER = {"KeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId"}
"""Members that newer answers have; older recordings lack them."""
BLOBS = {
    "ciphertext-blob",
    "plaintext",
    "private-key-ciphertext-blob",
    "private-key-plaintext",
    "public-key",
    "shared-secret",
    "import-token",
    "<signature>",
    "<mac>",
}
PLACEHOLDER = re.compile(r"<([a-z-]+(?::\d+)?)>")

SCENARIOS: dict[str, Callable[..., object]] = {}


def scenario(run):
    SCENARIOS[run.__name__.removeprefix("do_")] = run
    return run


class Recorder:
    """The answers of one case under the labels of the recording."""

    def __init__(self, aws) -> None:
        self.aws = aws
        self.kms: BaseClient = aws.client()
        self.there: BaseClient = aws.client(region=NEIGHBOUR)
        self.answers: dict[str, object] = {}

    def keep(self, label: str, answer: object) -> None:
        self.answers[label] = answer

    def refused(self, label: str, call, /, **parameters) -> None:
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        self.answers[label] = caught.value.response

    def key(self, client: BaseClient | None = None, **parameters) -> dict[str, object]:
        return (client or self.kms).create_key(**parameters)["KeyMetadata"]


def differences(recorded: object, ours: object, bound: dict[str, str], where: str = "") -> list[str]:
    """Where an answer differs from the recorded one."""
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            return [f"{where}: {ours!r} is no structure"]
        found = []
        for name, value in recorded.items():
            if name == "HTTPHeaders":
                continue
            if name not in ours:
                found.append(f"{where}.{name}: missing")
            else:
                found += differences(value, ours[name], bound, f"{where}.{name}")
        if "HTTPStatusCode" not in recorded:
            found += [
                f"{where}.{name}: not recorded" for name in set(ours) - set(recorded) - NEWER - {"ResponseMetadata"}
            ]
        return found
    if isinstance(recorded, list):
        if not isinstance(ours, list) or len(ours) != len(recorded):
            return [f"{where}: {ours!r} is not {recorded!r}"]
        return [
            line
            for at, (old, new) in enumerate(zip(recorded, ours, strict=True))
            for line in differences(old, new, bound, f"{where}[{at}]")
        ]
    if recorded == "datetime":
        return [] if isinstance(ours, datetime) else [f"{where}: {ours!r} is no time"]
    if recorded in BLOBS:
        return [] if isinstance(ours, bytes) and ours else [f"{where}: {ours!r} is no blob"]
    if isinstance(recorded, str) and isinstance(ours, str):
        return [] if alike(recorded, ours, bound) else [f"{where}: {ours!r} is not {recorded!r} with {bound}"]
    return [] if recorded == ours and type(recorded) is type(ours) else [f"{where}: {ours!r} is not {recorded!r}"]


def alike(recorded: str, ours: str, bound: dict[str, str]) -> bool:
    """Whether the text is the recorded one, placeholders bound; lists of enum values may have grown since."""
    sets = re.compile(r"enum value set: \[(.*)\]")
    old, new = sets.search(recorded), sets.search(ours)
    if old and new:
        grown = set(old[1].split(", ")) <= set(new[1].split(", "))
        return grown and alike(sets.sub("", recorded), sets.sub("", ours), bound)
    names: list[str] = []

    def pattern(match: re.Match[str]) -> str:
        name = match[1]
        if name in bound:
            return re.escape(bound[name])
        if name in names:
            return f"(?P=n{names.index(name)})"
        names.append(name)
        return f"(?P<n{len(names) - 1}>[^'\\s]+?)"

    parts = PLACEHOLDER.split(recorded)
    text = "".join(
        re.escape(part) if at % 2 == 0 else pattern(re.fullmatch("(.*)", part)) for at, part in enumerate(parts)
    )
    match = re.fullmatch(text, ours)
    if match is None:
        return False
    for at, name in enumerate(names):
        if ":" in name or name in ("region", "secondary-region", "partition"):
            bound[name] = match[f"n{at}"]
    return True


def parameters(name: str) -> list[str]:
    inside = re.fullmatch(r"[^\[]+\[(.*)\]", name)
    return inside[1].split("-") if inside else []


# What the names imply.


@scenario
def do_generate_random_invalid_number_of_bytes(r, size):
    given = {} if size == "None" else {"NumberOfBytes": int(size)}
    r.refused("generate-random-exc", r.kms.generate_random, **given)


@scenario
def do_generate_random(r, size):
    r.keep("result_length", len(r.kms.generate_random(NumberOfBytes=int(size))["Plaintext"]))


@scenario
def do_encrypt_validate_plaintext_size_per_key_type(r, spec, algorithm):
    key = r.key(KeyUsage="ENCRYPT_DECRYPT", KeySpec=spec)
    big = b"x" * 1000
    r.refused("generate-random-exc", r.kms.encrypt, KeyId=key["KeyId"], Plaintext=big, EncryptionAlgorithm=algorithm)


@scenario
def do_create_key(r):
    key = r.key(Description="test key 123")
    r.keep("describe-key", r.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"])


@scenario
def do_get_key_in_different_region(r):
    key = r.key(r.there, Description="test key 123")
    r.refused("describe-key-diff-region-with-id", r.kms.describe_key, KeyId=key["KeyId"])
    r.refused("describe-key-diff-region-with-arn", r.kms.describe_key, KeyId=key["Arn"])
    r.keep("describe-key-same-specific-region-with-id", r.there.describe_key(KeyId=key["KeyId"]))
    r.keep("describe-key-same-specific-region-with-arn", r.there.describe_key(KeyId=key["Arn"]))


@scenario
def do_get_key_does_not_exist(r):
    arn = r.key()["Arn"].rpartition("/")[0]
    r.refused("describe-nonexistent-key-with-id", r.kms.describe_key, KeyId=ABSENT_UUID)
    r.refused("describe-nonexistent-with-arn", r.kms.describe_key, KeyId=f"{arn}/{ABSENT_UUID}")
    r.refused("describe-key-with-valid-id-mrk", r.kms.describe_key, KeyId=f"mrk-{ABSENT_UUID.replace('-', '')}")


@scenario
def do_get_key_invalid_uuid(r):
    for label, name in (
        ("describe-key-with-invalid-uuid", "fake-key-id"),
        ("describe-key-with-invalid-uuid-2", "134f2428cec14b25a1ae9048164dba47"),
        ("describe-key-with-invalid-uuid-mrk", "mrk-fake-key-id"),
    ):
        r.refused(label, r.kms.describe_key, KeyId=name)


@scenario
def do_replicate_key(r):
    far = r.aws.client(region="ap-southeast-1")
    key = r.key(Description="test replicated key", MultiRegion=True)["KeyId"]
    r.refused("describe-key-from-different-region", far.describe_key, KeyId=key)
    made = r.kms.replicate_key(KeyId=key, ReplicaRegion="ap-southeast-1")
    made["ReplicaPolicy"] = json.loads(made["ReplicaPolicy"])
    r.keep("replicate-key", made)
    r.keep("describe-key-from-region", r.kms.describe_key(KeyId=key))
    r.keep("describe-replicated-key", far.describe_key(KeyId=key))


@scenario
def do_create_alias(r):
    r.refused("create_alias", r.kms.create_alias, AliasName="no-prefix", TargetKeyId=r.key()["KeyId"])


@scenario
def do_sign_verify(r, spec, algorithm):
    on = {"KeyId": r.key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyId"], "SigningAlgorithm": algorithm}
    text = b"a message to be signed"
    digest = hashlib.new(f"sha{algorithm[-3:]}", text).digest()
    signed = r.kms.sign(Message=text, MessageType="RAW", **on)
    r.keep("signature", signed)
    r.keep("verification", r.kms.verify(Message=text, MessageType="RAW", Signature=signed["Signature"], **on))
    assert r.kms.verify(Message=digest, MessageType="DIGEST", Signature=signed["Signature"], **on)["SignatureValid"]
    r.refused("bad-digest", r.kms.sign, Message=text, MessageType="DIGEST", **on)
    other = r.kms.sign(Message=b"other", MessageType="RAW", **on)["Signature"]
    r.refused("bad-signature", r.kms.verify, Message=text, MessageType="RAW", Signature=other, **on)


@scenario
def do_hmac_create_key(r):
    key = r.key(Description="test key", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    r.keep("create-hmac-key", key)
    r.keep("describe-key", r.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"])


@scenario
def do_hmac_create_key_invalid_operations(r):
    make = r.kms.create_key
    r.refused("create-hmac-key-without-key-usage", make, KeySpec="HMAC_256")
    r.refused("create-hmac-key-invalid-spec", make, KeySpec="HMAC_random", KeyUsage="GENERATE_VERIFY_MAC")
    r.refused("create-hmac-key-invalid-key-usage", make, KeySpec="HMAC_256", KeyUsage="RANDOM")


@scenario
def do_generate_and_verify_mac(r, spec, algorithm):
    on = {"MacAlgorithm": algorithm, "Message": b"important"}
    key = r.key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    made = r.kms.generate_mac(KeyId=key, **on)
    r.keep("generate-mac", made)
    r.keep("verify-mac", r.kms.verify_mac(KeyId=key, Mac=made["Mac"], **on))
    r.refused("generate-mac-invalid-key-id", r.kms.generate_mac, KeyId="key_id", **on)
    r.refused("verify-mac-invalid-key-id", r.kms.verify_mac, KeyId="key_id", Mac=made["Mac"], **on)


@scenario
def do_invalid_generate_mac(r, spec, algorithm):
    key = r.key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    r.refused("generate-mac", r.kms.generate_mac, KeyId=key, Message=b"m", MacAlgorithm=algorithm)


@scenario
def do_invalid_verify_mac(r, spec, algorithm, message):
    key = r.key(KeySpec=spec, KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    made = r.kms.generate_mac(KeyId=key, Message=b"some important message", MacAlgorithm=f"HMAC_SHA_{spec[-3:]}")
    r.keep("generate-mac", made)
    given = {"KeyId": key, "Message": message.encode(), "MacAlgorithm": algorithm, "Mac": made["Mac"]}
    r.refused("verify-mac", r.kms.verify_mac, **given)


def oaep(public: bytes, data: bytes) -> bytes:
    key = serialization.load_der_public_key(public)
    return key.encrypt(data, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def bring(r, key: str, material: bytes, spec: str = "RSA_2048", kind: str = "RSAES_OAEP_SHA_256", **more):
    """Import material as a customer does."""
    offer = r.kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=kind, WrappingKeySpec=spec)
    if kind.startswith("RSAES"):
        wrapped = oaep(offer["PublicKey"], material)
    else:
        aes = os.urandom(32)
        wrapped = oaep(offer["PublicKey"], aes) + aes_key_wrap_with_padding(aes, material)
    more.setdefault("ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    more = {name: value for name, value in more.items() if value is not None}
    return offer, lambda: r.kms.import_key_material(
        KeyId=key, ImportToken=offer["ImportToken"], EncryptedKeyMaterial=wrapped, **more
    )


def private(secret) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return secret.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}


@scenario
def do_import_key_symmetric(r):
    created = r.key(Origin="EXTERNAL", Description="imported")
    key, material = created["KeyId"], os.urandom(32)
    r.keep("created-key", created)
    r.refused("encrypt-before-import-error", r.kms.encrypt, KeyId=key, Plaintext=b"x")
    r.keep("describe-key-before-import", r.kms.describe_key(KeyId=key))
    _, without = bring(r, key, material, ExpirationModel=None)
    r.refused("import-expiring-key-without-valid-to", without)
    bring(r, key, material)[1]()
    r.keep("describe-key-after-import", r.kms.describe_key(KeyId=key))
    sealed = r.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert r.kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    r.kms.delete_imported_key_material(KeyId=key)
    r.keep("describe-key-after-deleted-import", r.kms.describe_key(KeyId=key))
    r.refused("encrypt-after-delete-error", r.kms.encrypt, KeyId=key, Plaintext=b"x")


@scenario
def do_import_key_asymmetric(r):
    created = r.key(Origin="EXTERNAL", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Description="imported")
    key = created["KeyId"]
    r.keep("created-key", created)
    r.keep("describe-key-before-import", r.kms.describe_key(KeyId=key))
    mine = ec.generate_private_key(ec.SECP256R1())
    bring(r, key, private(mine))[1]()
    r.keep("describe-key-after-import", r.kms.describe_key(KeyId=key))
    signature = r.kms.sign(KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    mine.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA256()))
    r.kms.delete_imported_key_material(KeyId=key)
    r.keep("describe-key-after-deleted-import", r.kms.describe_key(KeyId=key))


@scenario
def do_error_messaging_for_invalid_keys(r):
    mac_key = r.key(KeySpec="HMAC_224", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    sealer = r.key()["KeyId"]
    signer = r.key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyId"]
    algorithm = {"SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    r.refused(
        "generate-mac-invalid-key-id", r.kms.generate_mac, KeyId=sealer, Message=b"m", MacAlgorithm="HMAC_SHA_224"
    )
    r.refused("sign-invalid-key-id", r.kms.sign, KeyId=mac_key, Message=b"m", **algorithm)
    r.refused("verify-invalid-key-id", r.kms.verify, KeyId=sealer, Message=b"m", Signature=b"s", **algorithm)
    r.refused("encrypt-invalid-key-id", r.kms.encrypt, KeyId=signer, Plaintext=b"p")
    sealed = r.kms.encrypt(KeyId=sealer, Plaintext=b"p")["CiphertextBlob"]
    r.refused("decrypt-invalid-key-id", r.kms.decrypt, KeyId=mac_key, CiphertextBlob=sealed)


@scenario
def do_plaintext_size_for_encrypt(r):
    key = r.key()["KeyId"]
    r.refused("invalid-plaintext-size-encrypt", r.kms.encrypt, KeyId=key, Plaintext=b"x" * 4097)


@scenario
def do_generate_data_key_pair_without_plaintext(r):
    key = r.key()["KeyId"]
    made = r.kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="RSA_2048")
    r.keep("generate-data-key-pair-without-plaintext", made)


@scenario
def do_generate_data_key_pair(r):
    made = r.kms.generate_data_key_pair(KeyId=r.key()["KeyId"], KeyPairSpec="RSA_2048")
    assert r.kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])["Plaintext"] == made["PrivateKeyPlaintext"]
    r.keep("generate-data-key-pair", made)


@scenario
def do_generate_data_key(r):
    made = r.kms.generate_data_key(KeyId=r.key()["KeyId"], KeySpec="AES_256")
    assert r.kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    r.keep("generate-data-key-result", made)


@scenario
def do_generate_data_key_without_plaintext(r):
    made = r.kms.generate_data_key_without_plaintext(KeyId=r.key()["KeyId"], KeySpec="AES_256")
    r.keep("generate-data-key-without-plaintext", made)


@scenario
def do_encrypt_decrypt_encryption_context(r):
    context = {"EncryptionContext": {"context-key": "context-value"}}
    sealed = r.kms.encrypt(KeyId=r.key()["KeyId"], Plaintext=b"p", **context)
    blob = sealed["CiphertextBlob"]
    r.keep("encrypt_response", sealed)
    r.keep("decrypt_response_with_encryption_context", r.kms.decrypt(CiphertextBlob=blob, **context))
    r.refused("decrypt_response_without_encryption_context", r.kms.decrypt, CiphertextBlob=blob)
    r.refused("decrypt_response_with_invalid_ciphertext", r.kms.decrypt, CiphertextBlob=blob[:-8] + bytes(8), **context)


def _without_context(r, operation: str, member: str, **given) -> None:
    call = getattr(r.kms, operation)
    made = call(KeyId=r.key()["KeyId"], EncryptionContext={"context-key": "context-value"}, **given)
    r.refused("decrypt-without-encryption-context", r.kms.decrypt, CiphertextBlob=made[member])


@scenario
def do_encryption_context_generate_data_key(r):
    _without_context(r, "generate_data_key", "CiphertextBlob", KeySpec="AES_256")


@scenario
def do_encryption_context_generate_data_key_without_plaintext(r):
    _without_context(r, "generate_data_key_without_plaintext", "CiphertextBlob", KeySpec="AES_256")


@scenario
def do_encryption_context_generate_data_key_pair(r):
    _without_context(r, "generate_data_key_pair", "PrivateKeyCiphertextBlob", KeyPairSpec="ECC_NIST_P256")


@scenario
def do_encryption_context_generate_data_key_pair_without_plaintext(r):
    pair = "generate_data_key_pair_without_plaintext"
    _without_context(r, pair, "PrivateKeyCiphertextBlob", KeyPairSpec="ECC_NIST_P256")


def _not_external(r, label: str) -> None:
    asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    r.refused(label, r.kms.get_parameters_for_import, KeyId=r.key()["KeyId"], **asked)


@scenario
def do_get_parameters_for_import(r):
    _not_external(r, "response-error")


@scenario
def do_get_parameters_for_import_raises_for_non_external_kms_keys(r):
    _not_external(r, "get-import-parameters-error")


@scenario
def do_create_multi_region_key(r):
    r.keep("create_multi_region_key", r.key(MultiRegion=True, Description="test multi region key"))


@scenario
def do_non_multi_region_keys_should_not_have_multi_region_properties(r):
    key = r.key(MultiRegion=False, Description="test non multi region key")
    r.keep("non_multi_region_keys_should_not_have_multi_region_properties", key)


@scenario
def do_derive_shared_secret(r):
    mine = r.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyId"]
    theirs = r.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyId"]
    public = r.kms.get_public_key(KeyId=theirs)["PublicKey"]
    derive = r.kms.derive_shared_secret
    given = {"KeyAgreementAlgorithm": "ECDH", "PublicKey": public}
    answer = derive(KeyId=mine, **given)
    r.keep("response", answer)
    back = r.kms.get_public_key(KeyId=mine)["PublicKey"]
    same = derive(KeyId=theirs, KeyAgreementAlgorithm="ECDH", PublicKey=back)
    assert same["SharedSecret"] == answer["SharedSecret"]
    signer = r.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    r.refused("response-invalid-key-usage", derive, KeyId=signer, **given)
    r.refused("response-invalid-key-spec", r.kms.create_key, KeySpec="RSA_2048", KeyUsage="KEY_AGREEMENT")
    r.refused("response-invalid-key-agreement-algo", derive, KeyId=mine, **given | {"KeyAgreementAlgorithm": "INVALID"})
    r.refused("response-invalid-key", derive, KeyId=r.key()["KeyId"], **given)
    r.refused("response-invalid-public-key", derive, KeyId=mine, **given | {"PublicKey": b"InvalidPublicKey"})


@scenario
def do_derive_shared_secret_matches_openssl(r):
    key = r.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyId"]
    mine = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = mine.public_key().public_bytes(serialization.Encoding.DER, form)
    answer = r.kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)
    r.keep("derived-shared-key-resp", answer)
    theirs = serialization.load_der_public_key(r.kms.get_public_key(KeyId=key)["PublicKey"])
    assert mine.exchange(ec.ECDH(), theirs) == answer["SharedSecret"]


def tags(*numbers: int) -> list[dict[str, str]]:
    return [{"TagKey": f"tag{n}", "TagValue": f"value{n}"} for n in numbers]


def tagged(r, key: str) -> list[dict[str, str]]:
    return r.kms.list_resource_tags(KeyId=key)["Tags"]


@scenario
def do_tag_existing_key_and_untag(r):
    key = r.key()["KeyId"]
    r.kms.tag_resource(KeyId=key, Tags=tags(1, 2))
    r.keep("list-resource-tags", tagged(r, key))
    r.kms.untag_resource(KeyId=key, TagKeys=["tag1", "tag2"])
    r.keep("list-resource-tags-after-all-untagged", tagged(r, key))


@scenario
def do_create_key_with_tag_and_untag(r):
    key = r.key(Tags=tags(1, 2))["KeyId"]
    r.keep("list-resource-tags", tagged(r, key))
    r.kms.untag_resource(KeyId=key, TagKeys=["tag1", "tag2"])
    r.keep("list-resource-tags-after-all-untagged", tagged(r, key))


@scenario
def do_untag_key_partially(r):
    key = r.key(Tags=tags(1, 2, 3))["KeyId"]
    r.keep("list-resource-tags", tagged(r, key))
    r.kms.untag_resource(KeyId=key, TagKeys=["tag2"])
    r.keep("list-resource-tags-after-partially-untagged", tagged(r, key))


@scenario
def do_update_and_add_tags_on_tagged_key(r):
    key = r.key(Tags=tags(1, 2, 3))["KeyId"]
    r.keep("list-resource-tags", tagged(r, key))
    r.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "tag2", "TagValue": "updated_value2"}, *tags(4, 5)])
    r.keep("list-resource-tags-after-tags-updated", tagged(r, key))


@scenario
def do_tag_key_with_duplicate_tag_keys_raises_error(r):
    r.refused("duplicate-tag-keys", r.kms.tag_resource, KeyId=r.key()["KeyId"], Tags=tags(1, 1))


@scenario
def do_create_key_with_too_many_tags_raises_error(r):
    r.refused("invalid-tag-key", r.kms.create_key, Tags=tags(*range(51)))


@scenario
def do_tag_existing_key_with_invalid_tag_key(r):
    bad = [{"TagKey": "aws:key1", "TagValue": "value1"}]
    r.refused("invalid-tag-key", r.kms.tag_resource, KeyId=r.key()["KeyId"], Tags=bad)


@scenario
def do_key_with_long_tag_value_raises_error(r):
    r.refused("too-long-tag-value", r.kms.create_key, Tags=[{"TagKey": "tag1", "TagValue": "v" * 257}])


@scenario
def do_create_key_with_invalid_tag_key(r, kind):
    names = {"lowercase_prefix": "aws:key1", "uppercase_prefix": "AWS:key1", "too_long_key": "a" * 129}
    r.refused("invalid-tag-key", r.kms.create_key, Tags=[{"TagKey": names[kind], "TagValue": "value1"}])


@scenario
def do_key_enable_rotation_status(r, days):
    key = r.key()["KeyId"]
    r.kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=int(days))
    r.keep("match_response", r.kms.get_key_rotation_status(KeyId=key))


@scenario
def do_rotate_key_on_demand_modifies_key_material(r):
    key = r.key()["KeyId"]
    before = r.kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    r.keep("rotate-on-demand-response", r.kms.rotate_key_on_demand(KeyId=key))
    after = r.kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    assert before[5:37] != after[5:37]


@scenario
def do_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_disabled(r):
    key = r.key()["KeyId"]
    r.keep("rotate-on-demand-response", r.kms.rotate_key_on_demand(KeyId=key))
    r.keep("rotation-status-response-after-rotation", r.kms.get_key_rotation_status(KeyId=key))


@scenario
def do_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_enabled(r):
    key = r.key()["KeyId"]
    r.kms.enable_key_rotation(KeyId=key)
    r.keep("rotate-on-demand-response", r.kms.rotate_key_on_demand(KeyId=key))
    r.keep("rotation-status-response-after-rotation", r.kms.get_key_rotation_status(KeyId=key))


@scenario
def do_rotate_key_on_demand_raises_error_given_key_is_disabled(r):
    key = r.key()["KeyId"]
    r.kms.disable_key(KeyId=key)
    r.refused("error-response", r.kms.rotate_key_on_demand, KeyId=key)


@scenario
def do_rotate_key_on_demand_raises_error_given_key_that_does_not_exist(r):
    r.refused("error-response", r.kms.rotate_key_on_demand, KeyId=ABSENT_UUID)


@scenario
def do_rotate_key_on_demand_raises_error_given_non_symmetric_key(r):
    key = r.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    r.refused("error-response", r.kms.rotate_key_on_demand, KeyId=key)


@scenario
def do_key_rotations_encryption_decryption(r):
    key = r.key()["KeyId"]
    sealed = r.kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    r.kms.rotate_key_on_demand(KeyId=key)
    assert r.kms.decrypt(CiphertextBlob=sealed, KeyId=key)["Plaintext"] == b"p"
    r.refused("bad-ciphertext", r.kms.decrypt, KeyId=key, CiphertextBlob=sealed[:-1] + bytes([sealed[-1] ^ 1]))


@scenario
def do_key_rotations_limits(r):
    key = r.key()["KeyId"]
    for _ in range(25):
        r.kms.rotate_key_on_demand(KeyId=key)
    r.refused("error-response", r.kms.rotate_key_on_demand, KeyId=key)


@scenario
def do_generate_data_key_pair_dry_run(r):
    asked = {"KeyPairSpec": "RSA_2048", "DryRun": True}
    r.refused("dryrun_exception", r.kms.generate_data_key_pair, KeyId=r.key()["KeyId"], **asked)


@scenario
def do_generate_data_key_pair_without_plaintext_dry_run(r):
    asked = {"KeyPairSpec": "RSA_2048", "DryRun": True}
    r.refused("dryrun_exception", r.kms.generate_data_key_pair_without_plaintext, KeyId=r.key()["KeyId"], **asked)


@scenario
def do_re_encrypt(r, spec, algorithm):
    source = r.key(KeyUsage="ENCRYPT_DECRYPT", KeySpec=spec)["KeyId"]
    target = r.key(KeyUsage="ENCRYPT_DECRYPT", KeySpec=spec)["KeyId"]
    sealed = r.kms.encrypt(KeyId=source, Plaintext=b"p", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    moved = r.kms.re_encrypt(
        SourceKeyId=source,
        DestinationKeyId=target,
        CiphertextBlob=sealed,
        SourceEncryptionAlgorithm=algorithm,
        DestinationEncryptionAlgorithm=algorithm,
    )
    r.keep("test_re_encrypt", moved)
    opened = r.kms.decrypt(KeyId=target, CiphertextBlob=moved["CiphertextBlob"], EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"p"


@scenario
def do_re_encrypt_incorrect_source_key(r):
    sealed = r.kms.encrypt(KeyId=r.key()["KeyId"], Plaintext=b"p")["CiphertextBlob"]
    other = r.key(KeySpec="HMAC_224", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    given = {"SourceKeyId": other, "DestinationKeyId": other, "CiphertextBlob": sealed}
    r.refused("incorrect-source-key", r.kms.re_encrypt, **given)


@scenario
def do_import_key_rsa_aes_wrap_sha256(r):
    key = r.key(Origin="EXTERNAL", KeySpec="RSA_4096", KeyUsage="ENCRYPT_DECRYPT", Description="test-key")["KeyId"]
    r.keep("describe-before-import", r.kms.describe_key(KeyId=key))
    material = private(rsa.generate_private_key(65537, 4096))
    bring(r, key, material, "RSA_4096", "RSA_AES_KEY_WRAP_SHA_256")[1]()
    r.keep("import-key-material-response", r.kms.describe_key(KeyId=key))
    r.kms.delete_imported_key_material(KeyId=key)
    r.keep("describe-key-after-deleted-import", r.kms.describe_key(KeyId=key))


@scenario
def do_describe_with_alias_arn(r):
    key = r.key(Description="test - description")
    r.keep("created-key", key)
    r.kms.create_alias(AliasName="alias/named", TargetKeyId=key["KeyId"])
    arn = key["Arn"].replace(f"key/{key['KeyId']}", "alias/named")
    r.keep("describe-key", r.kms.describe_key(KeyId=arn))


@scenario
def do_import_key_ecc_keys(r, spec):
    key = r.key(Origin="EXTERNAL", KeySpec=spec, KeyUsage="SIGN_VERIFY", Description="test ecc key import")["KeyId"]
    r.keep("describe-key-before-import", r.kms.describe_key(KeyId=key))
    bring(r, key, private(ec.generate_private_key(CURVES[spec])), "RSA_3072")[1]()
    r.keep("describe-key-after-import", r.kms.describe_key(KeyId=key))
    algorithm = {"KeyId": key, "SigningAlgorithm": r.kms.describe_key(KeyId=key)["KeyMetadata"]["SigningAlgorithms"][0]}
    signed = r.kms.sign(Message=b"m", **algorithm)
    r.keep("sign-result", signed)
    r.keep("verify-result", r.kms.verify(Message=b"m", Signature=signed["Signature"], **algorithm))
    r.kms.delete_imported_key_material(KeyId=key)
    r.keep("describe-key-after-deleted-import", r.kms.describe_key(KeyId=key))


@scenario
def do_import_key_hmac_keys(r, spec):
    asked = {"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": "GENERATE_VERIFY_MAC"}
    key = r.key(Description="test import hmac key", **asked)["KeyId"]
    r.keep("describe-key-before-import", r.kms.describe_key(KeyId=key))
    bits = int(spec[-3:])
    bring(r, key, os.urandom(bits // 8))[1]()
    r.keep("describe-key-after-import", r.kms.describe_key(KeyId=key))
    on = {"KeyId": key, "Message": b"m", "MacAlgorithm": f"HMAC_SHA_{bits}"}
    made = r.kms.generate_mac(**on)
    r.keep("generate-mac-response", made)
    r.keep("verify-mac-response", r.kms.verify_mac(Mac=made["Mac"], **on))
    r.kms.delete_imported_key_material(KeyId=key)
    r.keep("describe-key-after-deleted-import", r.kms.describe_key(KeyId=key))


@scenario
def do_replicate_replica_key_should_fail(r):
    key = r.key(MultiRegion=True)["KeyId"]
    r.kms.replicate_key(KeyId=key, ReplicaRegion=NEIGHBOUR)
    r.refused("fail-replicate-non-primary-key", r.there.replicate_key, KeyId=key, ReplicaRegion="us-east-1")


@scenario
def do_rotate_key_on_demand_on_external_key_with_no_key_material(r, spec):
    created = r.key(Origin="EXTERNAL", KeyUsage="ENCRYPT_DECRYPT", Description="test-key")
    r.keep("create-kms-external-key", created)
    r.refused(f"rotate-key-on-demand-error-response-{spec}", r.kms.rotate_key_on_demand, KeyId=created["KeyId"])


@scenario
def do_rotate_on_demand_returns_arn_for_key_id(r):
    key = r.key()
    answer = r.kms.rotate_key_on_demand(KeyId=key["KeyId"])
    assert answer["KeyId"] == key["Arn"]
    r.keep("rotate-on-demand-aws-key", answer)


@scenario
def do_rotate_key_on_demand_updates_current_key_material_for_external_keys(r):
    created = r.key(Origin="EXTERNAL", KeyUsage="ENCRYPT_DECRYPT", Description="test-key")
    key = created["KeyId"]
    r.keep("create-kms-external-key", created)
    offer, first = bring(r, key, os.urandom(32))
    r.keep("get-import-parameters-response", offer)
    r.keep("describe-empty-key-response", r.kms.describe_key(KeyId=key))
    r.keep("import-key-material-response", first())
    r.keep("describe-key-with-material-response", r.kms.describe_key(KeyId=key))
    r.keep("kms-encrypt-initial-response", r.kms.encrypt(KeyId=key, Plaintext=b"p"))
    r.keep("import-new-key-material-response", bring(r, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")[1]())
    r.keep("describe-key-with-new-material-response", r.kms.describe_key(KeyId=key))
    r.keep("rotate-key-on-demand-response", r.kms.rotate_key_on_demand(KeyId=key))
    r.keep("describe-key-after-rotation", r.kms.describe_key(KeyId=key))
    r.keep("kms-encrypt-rotated-key-response", r.kms.encrypt(KeyId=key, Plaintext=b"p"))


@scenario
def do_import_key_material_raises_if_there_is_already_key_material_pending(r):
    key = r.key(Origin="EXTERNAL")["KeyId"]
    r.keep("import-initial-material-response", bring(r, key, os.urandom(32))[1]())
    more = {"ImportType": "NEW_KEY_MATERIAL"}
    r.keep("import-pending-material-response", bring(r, key, os.urandom(32), **more)[1]())
    r.refused("existing-pending-material-error", bring(r, key, os.urandom(32), **more)[1])


@scenario
def do_rotate_key_on_demand_for_external_keys_decrypts_with_previous_material(r):
    created = r.key(Origin="EXTERNAL", KeyUsage="ENCRYPT_DECRYPT", Description="test-key")
    key = created["KeyId"]
    r.keep("create-kms-external-key", created)
    r.keep("import-key-material-response", bring(r, key, os.urandom(32))[1]())
    sealed = r.kms.encrypt(KeyId=key, Plaintext=b"p")
    r.keep("kms-encrypt-initial-response", sealed)
    bring(r, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")[1]()
    r.keep("rotate-key-on-demand-response", r.kms.rotate_key_on_demand(KeyId=key))
    assert r.kms.decrypt(KeyId=key, CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"] == b"p"


@scenario
def do_rotate_key_on_demand_raises_for_no_pending_key_material(r):
    key = r.key(Origin="EXTERNAL")["KeyId"]
    bring(r, key, os.urandom(32))[1]()
    r.refused("rotate-key-on-demand-invalid-state-error", r.kms.rotate_key_on_demand, KeyId=key)


@scenario
def do_key_rotation_updates_current_key_material_id_for_aws_symmetric_keys(r):
    key = r.key(Description="test-key")["KeyId"]
    r.keep("describe-key-before-rotation", r.kms.describe_key(KeyId=key))
    r.kms.rotate_key_on_demand(KeyId=key)
    r.keep("describe-key-after-rotation", r.kms.describe_key(KeyId=key))


def outcome(aws, name: str, recorded: dict[str, object]) -> list[str]:
    """The differences of one case."""
    run = SCENARIOS[name.partition("[")[0].removeprefix("test_")]
    recorder = Recorder(aws)
    run(recorder, *parameters(name))
    assert recorder.answers.keys() == recorded.keys()
    bound: dict[str, str] = {}
    return [line for label, old in recorded.items() for line in differences(old, recorder.answers[label], bound, label)]


def recordings(vectors) -> dict[str, dict[str, object]]:
    raw = json.loads((vectors / "aws-kms-recorded.json").read_text())
    return {name.rpartition("::")[2]: case.get("recorded-content", {}) for name, case in raw.items()}


def test_every_recording_agrees(aws, vectors, capsys) -> None:
    cases = recordings(vectors)
    wrong: dict[str, list[str]] = {}
    agreeing = 0
    for name, recorded in cases.items():
        if name in EMPTY | SUPERSEDED.keys():
            continue
        found = outcome(aws, name, recorded)
        if found:
            wrong[name] = found
        else:
            agreeing += 1
    with capsys.disabled():
        print(f"\nAWS KMS fake: {agreeing} of {len(cases)} recorded cases agree; {len(EMPTY)} are empty", end="; ")
        print("; ".join(f"not covered: {name} ({why})" for name, why in SUPERSEDED.items()))
    assert not wrong
    assert {name for name, recorded in cases.items() if not recorded} == EMPTY
    assert agreeing == len(cases) - len(EMPTY) - len(SUPERSEDED)


def test_the_superseded_recording_is_still_the_odd_one_out(aws, vectors) -> None:
    """Were the contradiction gone, the case would have to be covered."""
    cases = recordings(vectors)
    old = cases["test_rotate_key_on_demand_raises_error_given_key_with_imported_key_material"]["error-response"]
    new = cases["test_rotate_key_on_demand_on_external_key_with_no_key_material[SYMMETRIC_DEFAULT]"]
    assert old["Error"]["Code"] == "UnsupportedOperationException"
    assert new["rotate-key-on-demand-error-response-SYMMETRIC_DEFAULT"]["Error"]["Code"] == "KMSInvalidStateException"


def test_the_comparison_sees_differences() -> None:
    recorded = {"KeyId": "<key-id:1>", "Arn": "arn:<partition>:kms:<region>:1:key/<key-id:1>", "Enabled": True}
    ours = {"KeyId": "a", "Arn": "arn:aws:kms:r:1:key/a", "Enabled": True}
    assert differences(recorded, ours, {}) == []
    for changed in ({"KeyId": "b"}, {"Enabled": False}, {"Enabled": 1}, {"More": 1}):
        assert differences(recorded, {**ours, **changed}, {})
    assert differences(recorded, {"KeyId": "a"}, {})
    assert differences({"Plaintext": "plaintext"}, {"Plaintext": "text"}, {})

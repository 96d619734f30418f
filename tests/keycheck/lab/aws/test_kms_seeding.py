"""What the lab does to its KMS directly: keys with a past, shares, stores, managed keys; and calls without the wire."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.model import Origin

LONG_AGO = datetime(2022, 3, 1, tzinfo=UTC)
LATER = datetime(2025, 3, 1, tzinfo=UTC)


def test_an_imported_key_with_a_past(aws, kms, tools) -> None:
    state = aws.cloud.kms
    key = state.create(
        tools.ACCOUNT,
        tools.REGION,
        origin=Origin.EXTERNAL,
        material=os.urandom(32),
        created=LONG_AGO,
        alias="alias/customer",
        tags={"a": "b"},
    )
    state.import_material(key, os.urandom(32), new=True, description="second")
    state.rotate(key, at=LATER)
    shown = kms.describe_key(KeyId="alias/customer")["KeyMetadata"]
    assert (shown["Arn"], shown["CreationDate"], shown["KeyState"]) == (key.arn, LONG_AGO, "Enabled")
    lines = kms.list_key_rotations(KeyId=key.id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [line.get("RotationDate") for line in lines] == [None, LATER]
    with pytest.raises(ValueError, match="import new material"):
        state.rotate(key)
    sealed = kms.encrypt(KeyId=key.id, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["KeyMaterialId"] == lines[1]["KeyMaterialId"]


def test_keys_in_stores_and_of_services(aws, kms, tools) -> None:
    state = aws.cloud.kms
    store = state.store(tools.ACCOUNT, tools.REGION, "hyok", external=True)
    key = state.create(
        tools.ACCOUNT, tools.REGION, origin=Origin.EXTERNAL_KEY_STORE, store=store, xks_key="0123456789abcdef"
    )
    assert kms.encrypt(KeyId=key.id, Plaintext=b"x")["KeyId"] == key.arn
    store.state = "DISCONNECTED"
    assert kms.describe_key(KeyId=key.id)["KeyMetadata"]["KeyState"] == "Unavailable"
    managed = state.managed(tools.ACCOUNT, tools.REGION, "rds")
    assert kms.describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["KeyId"] == managed.id


def test_calls_without_the_wire_are_checked_and_logged(aws, tools) -> None:
    name = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/nobody")
    stranger = aws.cloud.directory.caller_of(aws.credentials[name][0], None, aws.clock())
    admin_key = aws.credentials[f"arn:aws:iam::{tools.ACCOUNT}:user/admin"][0]
    admin = aws.cloud.directory.caller_of(admin_key, None, aws.clock())
    made = aws.cloud.kms.call(admin, tools.REGION, "CreateKey", Description="in process")
    with pytest.raises(KmsError) as caught:
        aws.cloud.kms.call(stranger, tools.REGION, "DescribeKey", KeyId=made["KeyMetadata"]["KeyId"])
    assert caught.value.code == "AccessDeniedException"
    events = aws.cloud.ledger.events(tools.ACCOUNT, tools.REGION, aws.clock())
    assert [(event.name, event.error) for event in events] == [("CreateKey", None), ("DescribeKey", "AccessDenied")]
    assert events[0].response is not None
    assert events[0].response["keyMetadata"]["arn"] == made["KeyMetadata"]["Arn"]
    assert (events[0].read_only, events[1].read_only) == (False, True)
    assert (dict(events[1].parameters), events[1].resources) == ({}, ())


def test_service_control_policies_limit_an_account(aws, kms, tools) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    limit = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"},
        ],
    }
    aws.cloud.kms.holdings.organization[tools.ACCOUNT] = (limit,)
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_the_same_entropy_gives_the_same_cloud(aws_session) -> None:
    from random import Random

    from keycheck.lab.aws.cloud import AwsCloud

    def arn() -> str:
        cloud = AwsCloud(clock=lambda: LATER, entropy=Random(7).randbytes)
        return cloud.kms.create("111111111111", "eu-central-1").arn

    assert arn() == arn()


def test_many_clients_at_once(aws, kms, tools) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]

    def turn(number: int) -> bool:
        context = {"record": str(number)}
        sealed = kms.encrypt(KeyId=key, Plaintext=str(number).encode(), EncryptionContext=context)["CiphertextBlob"]
        if number % 10 == 0:
            kms.create_key()
        return kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"] == str(number).encode()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(80)))
    assert len(kms.list_keys()["Keys"]) == 9
    assert aws.cloud.faults.calls["Decrypt"] == 80

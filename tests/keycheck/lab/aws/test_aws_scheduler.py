"""The lab's EventBridge Scheduler through the real SDK: it takes what AWS takes, and really fires."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from keycheck.lab.aws.kms.model import Origin

ROLE = "arn:aws:iam::111111111111:role/key-dead-man"
ENABLE = "arn:aws:scheduler:::aws-sdk:kms:enableKey"


def may(*actions: str) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def asked(key_id: str, at: datetime, **changed: object) -> dict[str, object]:
    target = {"Arn": ENABLE, "RoleArn": ROLE, "Input": json.dumps({"KeyId": key_id})}
    target["RetryPolicy"] = {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}  # type: ignore[assignment]
    return {
        "Name": "keycheck-d1-eu-central-1",
        "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
        **changed,
    }


def wrapped(material: bytes, public: bytes) -> bytes:
    key = load_der_public_key(public)
    assert isinstance(key, rsa.RSAPublicKey)
    return key.encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def soon(done: Callable[[], object]) -> None:
    """In real seconds, by the lab's own thread."""
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


@pytest.fixture
def disabled(aws, kms) -> str:
    """A key that is disabled, and a role that may enable it."""
    aws.cloud.directory.add_role(
        ROLE,
        trusts=(),
        services=("scheduler.amazonaws.com",),
        policies=(may("kms:EnableKey", "kms:ImportKeyMaterial"),),
    )
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=arn)
    return arn


def state(kms, arn: str) -> str:
    return kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]


def test_it_fires_once_as_the_role_and_is_gone(aws, kms, disabled) -> None:
    scheduler = aws.client("scheduler")
    due = aws.clock.now + timedelta(minutes=5)
    made = scheduler.create_schedule(**asked(disabled, due))
    assert made["ScheduleArn"].endswith(":schedule/default/keycheck-d1-eu-central-1")
    shown = scheduler.get_schedule(Name="keycheck-d1-eu-central-1")
    assert shown["Target"] == asked(disabled, due)["Target"]
    assert (shown["State"], shown["ActionAfterCompletion"]) == ("ENABLED", "DELETE")
    assert [row["Name"] for row in scheduler.list_schedules()["Schedules"]] == ["keycheck-d1-eu-central-1"]
    aws.clock.now = due - timedelta(seconds=1)
    time.sleep(0.1)
    assert state(kms, disabled) == "Disabled"
    aws.clock.now = due
    soon(lambda: state(kms, disabled) == "Enabled")
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="keycheck-d1-eu-central-1")
    (fired,) = aws.cloud.scheduler.fired
    assert (fired.operation, fired.error) == ("EnableKey", None)
    found = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "EnableKey"}]
    )["Events"]
    event = json.loads(found[0]["CloudTrailEvent"])
    assert event["userIdentity"]["arn"].startswith("arn:aws:sts::111111111111:assumed-role/key-dead-man/")
    kms.disable_key(KeyId=disabled)
    aws.clock.pass_(hours=1)
    time.sleep(0.1)
    assert state(kms, disabled) == "Disabled"


def test_a_zone_and_no_action_after_completion(aws, kms, disabled) -> None:
    scheduler = aws.client("scheduler")
    there = aws.clock.now + timedelta(hours=2, minutes=5)  # Berlin is two hours ahead in summer
    scheduler.create_schedule(
        **asked(disabled, there, ScheduleExpressionTimezone="Europe/Berlin", ActionAfterCompletion="NONE")
    )
    aws.clock.pass_(minutes=5)
    soon(lambda: state(kms, disabled) == "Enabled")
    assert scheduler.get_schedule(Name="keycheck-d1-eu-central-1")["ActionAfterCompletion"] == "NONE"
    assert len(aws.cloud.scheduler.fired) == 1


def test_it_brings_imported_material_back(aws, tools) -> None:
    kms, scheduler = aws.client(), aws.client("scheduler")
    key = aws.cloud.kms.create(tools.ACCOUNT, tools.REGION, origin=Origin.EXTERNAL, material=b"M" * 32)
    aws.cloud.directory.add_role(
        ROLE, trusts=(), services=("scheduler.amazonaws.com",), policies=(may("kms:ImportKeyMaterial"),)
    )
    given = kms.get_parameters_for_import(
        KeyId=key.arn, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    until = aws.clock.now + timedelta(days=30)
    body = {
        "KeyId": key.arn,
        "ImportToken": base64.b64encode(given["ImportToken"]).decode(),
        "EncryptedKeyMaterial": base64.b64encode(wrapped(b"M" * 32, given["PublicKey"])).decode(),
        "ExpirationModel": "KEY_MATERIAL_EXPIRES",
        "ValidTo": until.isoformat(),
    }
    target = {"Arn": ENABLE.replace("enableKey", "importKeyMaterial"), "RoleArn": ROLE, "Input": json.dumps(body)}
    kms.delete_imported_key_material(KeyId=key.arn)
    assert state(kms, key.arn) == "PendingImport"
    scheduler.create_schedule(**asked(key.arn, aws.clock.now + timedelta(seconds=5), Target=target))
    aws.clock.pass_(seconds=5)
    soon(lambda: state(kms, key.arn) == "Enabled")
    assert kms.describe_key(KeyId=key.arn)["KeyMetadata"]["ValidTo"] == until
    logged = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateSchedule"}]
    )["Events"]
    assert body["ImportToken"] not in logged[0]["CloudTrailEvent"]


@pytest.mark.parametrize("missing", ["scheduler:CreateSchedule", "iam:PassRole"])
def test_who_may(aws, disabled, tools, missing) -> None:
    granted = {"scheduler:CreateSchedule", "iam:PassRole"} - {missing}
    who = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/planner", may(*granted))
    scheduler = aws.client("scheduler", who=who)
    due = aws.clock.now + timedelta(minutes=5)
    assert tools.code(scheduler.create_schedule, **asked(disabled, due)) == "AccessDeniedException"
    assert tools.code(scheduler.get_schedule, Name="x") == "AccessDeniedException"
    aws.cloud.directory.set_policies(
        f"arn:aws:iam::{tools.ACCOUNT}:user/planner", (may("scheduler:CreateSchedule", "iam:PassRole"),)
    )
    assert tools.code(scheduler.create_schedule, **asked(disabled, due)) == "NoError"


def test_a_role_without_rights_fires_in_vain(aws, kms, disabled) -> None:
    aws.cloud.directory.set_policies(ROLE, (may("kms:DescribeKey"),))
    aws.client("scheduler").create_schedule(**asked(disabled, aws.clock.now + timedelta(seconds=1)))
    aws.clock.pass_(seconds=1)
    soon(lambda: aws.cloud.scheduler.fired)
    assert aws.cloud.scheduler.fired[0].error == "AccessDeniedException"
    assert state(kms, disabled) == "Disabled"
    assert aws.cloud.scheduler.names() == ()


def test_it_tries_again_as_often_as_it_was_told(aws, kms, disabled) -> None:
    scheduler = aws.client("scheduler")
    aws.cloud.faults.fail("InvokeTarget", "InternalServerException", times=2)
    scheduler.create_schedule(**asked(disabled, aws.clock.now + timedelta(seconds=1)))
    for _ in range(3):
        aws.clock.pass_(seconds=5)
        time.sleep(0.05)
    soon(lambda: state(kms, disabled) == "Enabled")
    assert [each.error for each in aws.cloud.scheduler.fired] == ["InternalServerException"] * 2 + [None]


def test_a_service_that_stands_still(aws, kms, disabled) -> None:
    aws.cloud.scheduler.stalled = True
    aws.client("scheduler").create_schedule(**asked(disabled, aws.clock.now + timedelta(seconds=1)))
    aws.clock.pass_(hours=1)
    time.sleep(0.1)
    assert state(kms, disabled) == "Disabled"
    assert aws.cloud.scheduler.names() == ("keycheck-d1-eu-central-1",)


def test_changed_and_deleted(aws, kms, disabled, tools) -> None:
    scheduler = aws.client("scheduler")
    first = asked(disabled, aws.clock.now + timedelta(minutes=5), ClientToken="t1")
    scheduler.create_schedule(**first)
    scheduler.create_schedule(**first)  # the same request
    assert tools.code(scheduler.create_schedule, **{**first, "ClientToken": "t2"}) == "ConflictException"
    scheduler.update_schedule(**asked(disabled, aws.clock.now + timedelta(minutes=9)))
    aws.clock.pass_(minutes=5)
    time.sleep(0.1)
    assert state(kms, disabled) == "Disabled"
    scheduler.delete_schedule(Name="keycheck-d1-eu-central-1")
    assert tools.code(scheduler.delete_schedule, Name="keycheck-d1-eu-central-1") == "ResourceNotFoundException"
    aws.clock.pass_(hours=1)
    time.sleep(0.1)
    assert state(kms, disabled) == "Disabled"


def test_what_it_refuses(aws, disabled, tools) -> None:
    create = aws.client("scheduler").create_schedule
    due = aws.clock.now + timedelta(minutes=5)
    good = asked(disabled, due)
    target = good["Target"]
    assert isinstance(target, dict)
    aws.cloud.directory.add_role(f"{ROLE}-2", trusts=("111111111111",))
    for wrong in (
        {"ScheduleExpression": "rate(5 minutes)"},
        {"ScheduleExpression": "at(2020-01-01T00:00:00)"},
        {"ScheduleExpressionTimezone": "Middle/Earth"},
        {"FlexibleTimeWindow": {"Mode": "SOMETIMES"}},
        {"Name": "with blanks"},
        {"Target": {**target, "Arn": "arn:aws:scheduler:::aws-sdk:kms:getKeyPolicy"}},
        {"Target": {**target, "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}},
        {"Target": {**target, "Input": "no json"}},
        {"Target": {**target, "Input": json.dumps({"KeyId": "x" * 262_144})}},
        {"Target": {**target, "RoleArn": ROLE.replace("111111111111", "222222222222")}},
        {"Target": {**target, "RoleArn": f"{ROLE}-2"}},  # trusts people, and no service
        {"Target": {**target, "RoleArn": f"{ROLE}-3"}},
    ):
        assert tools.code(create, **{**good, **wrong}) == "ValidationException", wrong
    assert tools.code(create, **{**good, "GroupName": "unknown"}) == "ResourceNotFoundException"
    aws.cloud.faults.throttle("CreateSchedule", times=1)
    assert tools.code(create, **good) == "ThrottlingException"
    assert aws.cloud.scheduler.names() == ()

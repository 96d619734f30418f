"""Policies, identities and the log together, as the real clients meet them in the lab's cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.identity import Credentials
from keycheck.lab.aws.seams import Document

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

OWNER, VENDOR, REGION = "111122223333", "444455556666", "eu-central-1"
ALL: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CONTEXT = {"tenant": "canary-7"}


def client(cloud: AwsCloud, service: str, given: Credentials) -> Any:  # a client of any service
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name=REGION,
        endpoint_url=cloud.url,
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret,
        aws_session_token=given.session_token,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def cloud() -> Iterator[AwsCloud]:
    with AwsCloud(clock=lambda: datetime.now(UTC)) as running:
        yield running


def denied(kms: KMSClient, blob: bytes) -> bool:
    try:
        return kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] != b"x"
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDeniedException"


def test_a_scoped_deny_stops_vendor_and_owner_and_both_logs_tell(cloud: AwsCloud) -> None:
    admin = cloud.directory.add_user(f"arn:aws:iam::{OWNER}:user/admin", policies=[ALL])
    crm = f"arn:aws:iam::{VENDOR}:user/crm"
    vendor = cloud.directory.add_user(crm, policies=[ALL])
    ours, theirs = client(cloud, "kms", admin), client(cloud, "kms", vendor)
    key = ours.create_key()["KeyMetadata"]["Arn"]
    blob = ours.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    other = ours.encrypt(KeyId=key, Plaintext=b"y", EncryptionContext={"tenant": "acme"})["CiphertextBlob"]
    assert denied(theirs, blob)

    policy = json.loads(ours.get_key_policy(KeyId=key)["Policy"])
    allow = {"Effect": "Allow", "Principal": {"AWS": crm}, "Action": "kms:Decrypt", "Resource": "*"}
    policy["Statement"].append(allow)
    ours.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert not denied(theirs, blob)

    condition = {"StringEquals": {"kms:EncryptionContext:Tenant": "canary-7"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition}
    ours.put_key_policy(KeyId=key, Policy=json.dumps({**policy, "Statement": [*policy["Statement"], deny]}))
    assert denied(theirs, blob)
    assert denied(ours, blob)
    assert theirs.decrypt(CiphertextBlob=other, EncryptionContext={"tenant": "acme"})["Plaintext"] == b"y"

    def log(given: Credentials) -> list[dict[str, Any]]:
        decrypts = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
        events = client(cloud, "cloudtrail", given).lookup_events(LookupAttributes=decrypts)["Events"]
        return [json.loads(event["CloudTrailEvent"]) for event in events][::-1]

    assert [event.get("errorCode") for event in log(vendor)] == ["AccessDenied", None, "AccessDenied", None]
    seen = log(admin)
    assert [event.get("errorCode") for event in seen] == [None, "AccessDenied", None]
    assert seen[0]["userIdentity"]["accountId"] == VENDOR
    assert seen[0]["requestParameters"]["encryptionContext"] == CONTEXT
    assert seen[0]["additionalEventData"]["keyMaterialId"]
    assert {event["sharedEventID"] for event in seen if "sharedEventID" in event} == {
        event["sharedEventID"] for event in log(vendor) if "errorCode" not in event
    }
    assert (crm, "kms:Decrypt") in cloud.ledger.asked()
    assert (crm, "kms:Encrypt") not in cloud.ledger.asked()


def test_a_role_is_assumed_and_used(cloud: AwsCloud) -> None:
    auditor = cloud.directory.add_user(f"arn:aws:iam::{OWNER}:user/auditor")
    role = f"arn:aws:iam::{OWNER}:role/reader"
    cloud.directory.add_role(role, trusts=[f"arn:aws:iam::{OWNER}:user/auditor"], policies=[ALL])
    given = client(cloud, "sts", auditor).assume_role(RoleArn=role, RoleSessionName="keycheck")["Credentials"]
    session = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert client(cloud, "kms", session).list_keys()["Keys"] == []
    with pytest.raises(ClientError) as caught:
        client(cloud, "kms", auditor).list_keys()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_policy_that_names_nobody_or_locks_out_is_refused(cloud: AwsCloud) -> None:
    kms = client(cloud, "kms", cloud.directory.add_user(f"arn:aws:iam::{OWNER}:user/admin", policies=[ALL]))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for name in ("gone", "bystander"):
        if name == "bystander":
            cloud.directory.add_user(f"arn:aws:iam::{OWNER}:user/{name}")
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{OWNER}:user/{name}"},
            "Action": "kms:*",
            "Resource": "*",
        }
        with pytest.raises(ClientError) as caught:
            kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        assert caught.value.response["Error"]["Code"] == "MalformedPolicyDocumentException"

"""The lab's CloudTrail and its ledger, with the real client over a socket."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws.cloudtrail import TARGET, Trails, handle, record
from keycheck.lab.aws.identity import Credentials, Directory
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import Access, ApiEvent, Caller, Decision, Document

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

OWNER, VENDOR, REGION = "111122223333", "444455556666", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AUDITOR = f"arn:aws:iam::{OWNER}:user/auditor"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
READER: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}],
}
ALICE = Caller(OWNER, f"arn:aws:iam::{OWNER}:user/alice", f"arn:aws:iam::{OWNER}:user/alice", "AKIAALICE")
CRM = Caller(
    VENDOR, f"arn:aws:sts::{VENDOR}:assumed-role/crm/worker-1", f"arn:aws:iam::{VENDOR}:role/app/crm", "ASIACRM"
)


def decrypt(caller: Caller = ALICE, at: datetime = NOW, **more: object) -> ApiEvent:
    event = ApiEvent(
        at,
        caller,
        REGION,
        "kms.amazonaws.com",
        "Decrypt",
        True,
        OWNER,
        (KEY,),
        {"encryptionContext": {"tenant": "acme"}, "keyId": KEY, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        None,
        {"keyMaterialId": "0123456789abcdef" * 4},
    )
    return replace(event, **more)  # type: ignore[arg-type]


class Service:
    """CloudTrail alone on a loopback port."""

    def __init__(self) -> None:
        self.directory, self.ledger, self.trails, self.now = Directory(), Ledger(), Trails(), NOW
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                target, _, operation = self.headers["X-Amz-Target"].rpartition(".")
                assert target == TARGET
                found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/cloudtrail/", self.headers["Authorization"])
                assert found is not None
                caller = service.directory.caller_of(found.group(1), None, service.now)
                assert isinstance(caller, Caller)
                status, told = handle(
                    operation, body, caller, found.group(2), service.ledger, service.trails, service.now
                )
                answer = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def client(self, given: Credentials | None = None, region: str = REGION) -> CloudTrailClient:
        credentials = given or self.directory.add_user(AUDITOR, policies=[READER])
        return boto3.client(
            "cloudtrail",
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.server.server_port}",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def test_a_decrypt_event_has_the_fields_of_a_real_one(service: Service) -> None:
    event_id = service.ledger.record(decrypt())
    (event,) = service.client().lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": KEY}]
    )["Events"]
    assert event["EventId"] == event_id
    assert (event["EventName"], event["Username"], event["ReadOnly"]) == ("Decrypt", "alice", "true")
    assert event["EventTime"] == NOW
    assert event["Resources"] == [{"ResourceType": "AWS::KMS::Key", "ResourceName": KEY}]
    told = json.loads(event["CloudTrailEvent"])
    identity = told.pop("userIdentity")
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", identity.pop("principalId"))
    assert identity == {
        "type": "IAMUser",
        "arn": ALICE.arn,
        "accountId": OWNER,
        "accessKeyId": "AKIAALICE",
        "userName": "alice",
    }
    assert told == {
        "eventVersion": "1.11",
        "eventTime": "2026-11-22T10:00:00Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.10",
        "userAgent": told["userAgent"],
        "requestParameters": {
            "encryptionContext": {"tenant": "acme"},
            "keyId": KEY,
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        },
        "responseElements": None,
        "additionalEventData": {"keyMaterialId": "0123456789abcdef" * 4},
        "requestID": told["requestID"],
        "eventID": event_id,
        "readOnly": True,
        "resources": [{"accountId": OWNER, "type": "AWS::KMS::Key", "ARN": KEY}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": OWNER,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_256_GCM_SHA384",
            "clientProvidedHostHeader": f"kms.{REGION}.amazonaws.com",
            "keyExchange": "X25519MLKEM768",
        },
    }


def test_a_session_shows_its_role(service: Service) -> None:
    service.ledger.record(decrypt(CRM, account=VENDOR))
    (event,) = service.ledger.events(VENDOR, REGION, NOW)
    identity = record(event)["userIdentity"]
    assert isinstance(identity, dict)
    assert identity["type"] == "AssumedRole"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == CRM.principal
    assert identity["principalId"].endswith(":worker-1")


def test_a_call_through_a_service_hides_the_connection() -> None:
    told = record(decrypt(replace(ALICE, via=f"s3.{REGION}.amazonaws.com")))
    assert told["sourceIPAddress"] == told["userAgent"] == "s3.amazonaws.com"
    assert "tlsDetails" not in told


def test_a_use_across_accounts_is_logged_in_both(service: Service) -> None:
    service.ledger.record_call(decrypt(CRM), OWNER)
    (theirs,), (ours,) = (service.ledger.events(account, REGION, NOW) for account in (VENDOR, OWNER))
    assert theirs.event_id != ours.event_id
    assert record(theirs)["sharedEventID"] == record(ours)["sharedEventID"]
    assert record(theirs)["userIdentity"]["arn"] == CRM.arn  # type: ignore[index,call-overload]
    unique = record(theirs)["userIdentity"]["principalId"]  # type: ignore[index,call-overload]
    assert record(ours)["userIdentity"] == {"type": "AWSAccount", "principalId": unique, "accountId": VENDOR}
    assert record(ours, "full")["userIdentity"]["arn"] == CRM.arn  # type: ignore[index,call-overload]
    assert record(ours)["recipientAccountId"] == OWNER
    assert "sharedEventID" not in record(decrypt())


def test_a_denial_across_accounts_is_logged_with_the_caller_alone(service: Service) -> None:
    service.ledger.record_call(decrypt(CRM, error="AccessDeniedException", message="User: … is not authorized"), OWNER)
    service.ledger.record_call(decrypt(CRM, error="DisabledException", message=f"{KEY} is disabled."), OWNER)
    theirs = [record(event) for event in service.ledger.events(VENDOR, REGION, NOW)]
    assert [event["errorCode"] for event in theirs] == ["AccessDenied", "DisabledException"]
    assert [event.error for event in service.ledger.events(OWNER, REGION, NOW)] == ["DisabledException"]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("ResourceName", KEY, 2),
        ("ResourceName", KEY.rpartition("/")[2], 2),
        ("ResourceName", f"{KEY}0", 0),
        ("ResourceType", "AWS::KMS::Key", 2),
        ("EventName", "Decrypt", 2),
        ("EventName", "Encrypt", 0),
        ("EventSource", "kms.amazonaws.com", 2),
        ("Username", "alice", 1),
        ("Username", "worker-1", 0),
        ("AccessKeyId", "AKIAALICE", 1),
        ("ReadOnly", "true", 2),
        ("EventId", "00000000-0000-0000-0000-000000000000", 0),
    ],
)
def test_one_attribute_filters(service: Service, key: str, value: str, found: int) -> None:
    service.ledger.record(decrypt())
    service.ledger.record_call(decrypt(CRM), OWNER)
    client = service.client()
    answer = client.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])  # type: ignore[typeddict-item]
    assert len(answer["Events"]) == found


def test_pages_of_fifty_newest_first_and_stable(service: Service) -> None:
    ids = [service.ledger.record(decrypt(at=NOW - timedelta(seconds=120 - i))) for i in range(120)]
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    client = service.client()
    seen: list[str] = []
    for page in client.get_paginator("lookup_events").paginate(LookupAttributes=attributes):  # type: ignore[arg-type]
        assert len(page["Events"]) <= 50
        seen += [event["EventId"] for event in page["Events"]]
        service.now += timedelta(seconds=1)
        service.ledger.record(decrypt(at=service.now))
    assert seen == ids[::-1]


def test_a_token_belongs_to_its_question(service: Service) -> None:
    for _ in range(3):
        service.ledger.record(decrypt())
    client = service.client()
    decrypts = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    token = client.lookup_events(LookupAttributes=decrypts, MaxResults=1)["NextToken"]  # type: ignore[arg-type]
    for wrong in (token[:-4], "x", "é", token + "AAAA"):
        with pytest.raises(ClientError) as caught:
            client.lookup_events(LookupAttributes=decrypts, NextToken=wrong)  # type: ignore[arg-type]
        assert code_of(caught) == "InvalidNextTokenException"
    with pytest.raises(ClientError) as caught:
        client.lookup_events(NextToken=token)
    assert code_of(caught) == "InvalidNextTokenException"


def test_times_bound_the_answer(service: Service) -> None:
    for days in (91, 89, 1):
        service.ledger.record(decrypt(at=NOW - timedelta(days=days)))
    client = service.client()
    kms = [{"AttributeKey": "EventSource", "AttributeValue": "kms.amazonaws.com"}]

    def count(**more: datetime) -> int:
        return len(client.lookup_events(LookupAttributes=kms, **more)["Events"])  # type: ignore[arg-type]

    assert count() == 2
    assert count(StartTime=NOW - timedelta(days=200)) == 2
    assert count(StartTime=NOW - timedelta(days=2)) == 1
    assert count(EndTime=NOW - timedelta(days=2)) == 1
    with pytest.raises(ClientError) as caught:
        count(StartTime=NOW, EndTime=NOW - timedelta(days=1))
    assert code_of(caught) == "InvalidTimeRangeException"


def test_regions_and_accounts_are_apart(service: Service) -> None:
    service.ledger.record(decrypt())
    assert service.client(region="us-east-1").lookup_events()["Events"] == []
    stranger = service.directory.add_user(f"arn:aws:iam::{VENDOR}:user/v", policies=[READER])
    assert service.client(stranger).lookup_events()["Events"] == []


def test_events_come_late(service: Service) -> None:
    service.ledger.lag = timedelta(minutes=5)
    service.ledger.record(decrypt())
    client = service.client()
    assert client.lookup_events()["Events"] == []
    service.now += timedelta(minutes=5)
    assert [event["EventName"] for event in client.lookup_events()["Events"]] == ["LookupEvents", "Decrypt"]


def test_two_calls_a_second(service: Service) -> None:
    service.trails.lookups_a_second = 2
    client = service.client()
    client.lookup_events()
    client.lookup_events()
    with pytest.raises(ClientError) as caught:
        client.lookup_events()
    assert code_of(caught) == "ThrottlingException"
    service.client(region="us-east-1").lookup_events()
    service.now += timedelta(seconds=1)
    client.lookup_events()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}] * 2}, "LookupAttributes"),
        ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "x"}]}, "LookupAttributes"),
        ({"LookupAttributes": {"AttributeKey": "EventName"}}, "LookupAttributes"),
        ({"LookupAttributes": [7]}, "LookupAttributes"),
        ({"MaxResults": 51}, "MaxResults"),
        ({"MaxResults": True}, "MaxResults"),
        ({"StartTime": "yesterday"}, "TimeRange"),
        ({"StartTime": 1e300}, "TimeRange"),
        ({"NextToken": 7}, "NextToken"),
        ({"EventCategory": "other"}, "EventCategory"),
    ],
)
def test_bad_questions_are_refused(body: Document, code: str) -> None:
    caller = replace(ALICE, policies=(READER,))
    status, told = handle("LookupEvents", body, caller, REGION, Ledger(), Trails(), NOW)
    assert status == 400
    assert isinstance(told, dict)
    assert told["__type"] == f"Invalid{code}Exception"


def test_needs_permission_and_notes_what_was_used(service: Service) -> None:
    with pytest.raises(ClientError) as caught:
        service.client(service.directory.add_user(f"{AUDITOR}2")).lookup_events()
    assert code_of(caught) == "AccessDeniedException"
    service.client().lookup_events()
    assert service.ledger.asked() == {(AUDITOR, "cloudtrail:LookupEvents")}
    assert [event.error for event in service.ledger.events(OWNER, REGION, NOW)] == ["AccessDeniedException", None]


def test_trails(service: Service) -> None:
    basic = service.trails.add(
        OWNER,
        REGION,
        "basic",
        event_selectors=[
            {
                "ReadWriteType": "WriteOnly",
                "IncludeManagementEvents": True,
                "DataResources": [],
                "ExcludeManagementEventSources": ["kms.amazonaws.com"],
            }
        ],
    )
    management: Document = {"Field": "eventCategory", "Equals": ["Management"]}
    no_kms: Document = {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}
    service.trails.add(
        OWNER,
        "us-east-1",
        "advanced",
        multi_region=False,
        advanced_event_selectors=[{"Name": "no kms", "FieldSelectors": [management, no_kms]}],
    )
    client, far = service.client(), service.client(region="us-east-1")
    (described,) = client.describe_trails()["trailList"]
    assert (described["Name"], described["HasCustomEventSelectors"]) == ("basic", True)
    assert {trail["Name"] for trail in far.describe_trails()["trailList"]} == {"basic", "advanced"}
    assert [trail["Name"] for trail in far.describe_trails(includeShadowTrails=False)["trailList"]] == ["advanced"]
    assert far.describe_trails(trailNameList=["basic"])["trailList"][0]["TrailARN"] == basic.arn
    (selector,) = client.get_event_selectors(TrailName="basic")["EventSelectors"]
    assert selector["ExcludeManagementEventSources"] == ["kms.amazonaws.com"]
    assert selector["ReadWriteType"] == "WriteOnly"
    told = far.get_event_selectors(TrailName="advanced")
    assert "EventSelectors" not in told
    assert told["AdvancedEventSelectors"][0]["FieldSelectors"][1]["NotEquals"] == ["kms.amazonaws.com"]
    assert client.get_trail_status(Name=basic.arn)["IsLogging"] is True
    service.trails.change(basic, logging=False)
    assert far.get_trail_status(Name=basic.arn)["IsLogging"] is False
    with pytest.raises(ClientError) as caught:
        far.get_trail_status(Name="basic")
    assert code_of(caught) == "TrailNotFoundException"
    assert (
        service.client(
            service.directory.add_user(f"arn:aws:iam::{VENDOR}:user/v", policies=[READER])
        ).describe_trails()["trailList"]
        == []
    )


def test_the_ledger_is_bounded_and_counts() -> None:
    ledger = Ledger(capacity=10)
    threads = [threading.Thread(target=lambda: [ledger.record(decrypt()) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = ledger.events(OWNER, REGION, NOW)
    assert (len(kept), ledger.recorded) == (10, 200)
    assert len({event.event_id for event in kept}) == 10


def test_what_was_asked_is_what_was_allowed() -> None:
    ledger = Ledger()
    access = Access(ALICE, "kms:Decrypt", KEY, OWNER, REGION, NOW)
    ledger.note(access, Decision(True, ""))
    ledger.note(replace(access, action="kms:Encrypt"), Decision(False, ""))
    assert ledger.asked() == {(ALICE.principal, "kms:Decrypt")}
    ledger.forget_asked()
    assert ledger.asked() == frozenset()

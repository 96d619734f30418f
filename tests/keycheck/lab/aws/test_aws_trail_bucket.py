"""The lab's S3: what trails deliver, who may read it, by the real SDK."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.seams import ApiEvent, Caller, Document
from keycheck.lab.aws.trail_bucket import TrailBucket

OWNER, OTHER = "111122223333", "444455556666"
REGION = "eu-central-1"
APP = Caller(OWNER, f"arn:aws:iam::{OWNER}:user/app", f"arn:aws:iam::{OWNER}:user/app", "AKIAAPP")
READS: Document = {
    "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::logs"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::logs/AWSLogs/*"},
    ]
}


@dataclass
class Place:
    cloud: AwsCloud
    bucket: TrailBucket
    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def client(self, name: str = "reader", account: str = OWNER, policies: tuple[Document, ...] = (READS,)) -> Any:
        key = self.cloud.directory.add_user(f"arn:aws:iam::{account}:user/{name}", policies=policies)
        return boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=self.cloud.url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def call(self, name: str = "Decrypt", *, read_only: bool = True, region: str = REGION) -> None:
        self.cloud.ledger.record(ApiEvent(self.now, APP, region, "kms.amazonaws.com", name, read_only, OWNER))

    def names(self) -> list[str]:
        """Operations in all files."""
        self.cloud.buckets.deliver(self.bucket)
        files = (json.loads(gzip.decompress(content)) for content in self.bucket.objects.values())
        return [record["eventName"] for file in files for record in file["Records"]]


@pytest.fixture
def place() -> Iterator[Place]:
    with AwsCloud(clock=lambda: found.now) as cloud:
        cloud.trails.add(OWNER, REGION, "audit", bucket="logs")
        found = Place(cloud, cloud.buckets.make("logs", OWNER))
        yield found


def test_files_are_listed_by_day_in_pages_and_read_in_pieces(place: Place) -> None:
    client = place.client()
    for minute in range(5):
        place.now += timedelta(minutes=minute)
        place.call(f"Call{minute}")
        client.list_objects_v2(Bucket="logs")
    prefix = f"AWSLogs/{OWNER}/CloudTrail/{REGION}/2026/11/22/"
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket="logs", Prefix=prefix, PaginationConfig={"PageSize": 2}
    )
    listed = [(item["Key"], item["Size"]) for page in pages for item in page["Contents"]]
    assert len(listed) == 5
    assert listed[0][0].startswith(f"{prefix}{OWNER}_CloudTrail_{REGION}_20261122T1200Z_")
    after = client.list_objects_v2(Bucket="logs", Prefix=prefix, StartAfter=listed[2][0])
    assert [item["Key"] for item in after["Contents"]] == [name for name, _ in listed[3:]]
    whole = client.get_object(Bucket="logs", Key=listed[1][0])["Body"].read()
    piece = client.get_object(Bucket="logs", Key=listed[1][0], Range="bytes=10-19")["Body"].read()
    assert (len(whole), piece) == (listed[1][1], whole[10:20])
    assert json.loads(gzip.decompress(whole))["Records"][0]["eventName"] == "Call1"


def test_delivery_takes_its_time_and_a_file_never_changes(place: Place) -> None:
    place.bucket.lag = timedelta(minutes=5)
    place.call("One")
    assert place.names() == []
    place.now += timedelta(minutes=5)
    assert place.names() == ["One"]
    before = dict(place.bucket.objects)
    place.call("Two")
    place.now += timedelta(minutes=5)
    assert place.names() == ["One", "Two"]
    assert before.items() <= place.bucket.objects.items()


@pytest.mark.parametrize(
    ("trail", "kept"),
    [
        ({}, ["Decrypt", "PutKeyPolicy"]),
        ({"event_selectors": [{"ReadWriteType": "WriteOnly"}]}, ["PutKeyPolicy"]),
        ({"event_selectors": [{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]}, []),
        ({"event_selectors": [{"IncludeManagementEvents": False}]}, []),
        (
            {"advanced_event_selectors": [{"FieldSelectors": [{"Field": "readOnly", "Equals": ["true"]}]}]},
            ["Decrypt"],
        ),
        (
            {"advanced_event_selectors": [{"FieldSelectors": [{"Field": "eventName", "NotStartsWith": ["De"]}]}]},
            ["PutKeyPolicy"],
        ),
        ({"logging": False}, []),
        ({"delivery_error": "AccessDenied"}, []),
    ],
)
def test_selectors_decide_what_is_in_the_files(place: Place, trail: dict[str, Any], kept: list[str]) -> None:
    place.cloud.trails.add(OWNER, REGION, "audit", bucket="logs", **trail)
    place.call()
    place.call("PutKeyPolicy", read_only=False)
    assert sorted(place.names()) == kept


def test_a_single_region_trail_keeps_its_own_alone(place: Place) -> None:
    place.cloud.trails.add(OWNER, REGION, "audit", bucket="logs", multi_region=False)
    place.call("Here")
    place.call("There", region="eu-west-3")
    assert place.names() == ["Here"]


def code(call: Any, **asked: str) -> str:
    with pytest.raises(ClientError) as failed:
        call(**asked)
    return str(failed.value.response["Error"]["Code"])


def test_who_may_not_read_is_refused(place: Place) -> None:
    place.bucket.objects["elsewhere/x"] = b"x"
    client = place.client()
    assert code(client.get_object, Bucket="logs", Key="elsewhere/x") == "AccessDenied"
    assert code(client.get_object, Bucket="logs", Key="AWSLogs/nothing") == "NoSuchKey"
    assert code(client.list_objects_v2, Bucket="others") == "NoSuchBucket"
    assert code(place.client("nobody", policies=()).list_objects_v2, Bucket="logs") == "AccessDenied"
    assert code(place.client("stranger", OTHER).list_objects_v2, Bucket="logs") == "AccessDenied"
    assert place.cloud.ledger.asked() >= {(f"arn:aws:iam::{OWNER}:user/reader", "s3:GetObject")}


def test_an_unknown_key_is_refused_as_s3_does(place: Place) -> None:
    stranger = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=place.cloud.url,
        aws_access_key_id="AKIAUNKNOWNUNKNOWN12",
        aws_secret_access_key="x" * 40,
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert code(stranger.list_objects_v2, Bucket="logs") not in ("", "400")

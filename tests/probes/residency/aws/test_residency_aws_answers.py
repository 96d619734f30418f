"""Answers in XML and in JSON of services with headers: only what keeps to the service's own description is read."""

from __future__ import annotations

import pickle
import random
from xml.etree import ElementTree

import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st
from residency_aws import node, resource

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.clouds.aws.bounded import MAX_BODY, MAX_NESTS
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.reading import MalformedError
from probes.clouds.aws.shapes import check, described
from probes.clouds.aws.xml_shapes import check_xml, undeclared
from probes.residency import aws
from probes.residency.aws.asking import asking

EXPORTS = "arn:aws:s3:::exports"
MODELS = {name: get_session().get_service_model(name) for name in ("s3", "rds", "ec2", "backup", "sts")}


def checked(service: str, operation: str, body: str) -> None:
    undeclared(body.encode())
    check_xml(body.encode(), MODELS[service].operation_model(operation), 24)


def instances(body: str, result: str = "DescribeDBInstancesResult") -> str:
    return f"<DescribeDBInstancesResponse><{result}>{body}</{result}></DescribeDBInstancesResponse>"


GOOD = [
    ("s3", "ListBuckets", "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"),
    ("s3", "GetBucketLocation", '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'),
    ("s3", "GetBucketLogging", "<BucketLoggingStatus/>"),
    ("s3", "ListObjectsV2", "<ListBucketResult><New>thing<a/></New><KeyCount>0</KeyCount></ListBucketResult>"),
    ("rds", "DescribeDBInstances", instances("<DBInstances/>")),
    ("ec2", "DescribeVolumes", "<DescribeVolumesResponse>\n <volumeSet/>\n</DescribeVolumesResponse>"),
    ("s3", "HeadBucket", ""),
]  # fmt: skip
BAD = [
    ("s3", "ListBuckets", ""),
    ("s3", "ListBuckets", "<ListAllMyBucketsResult>none</ListAllMyBucketsResult>"),
    ("s3", "ListBuckets", "<ListAllMyBucketsResult><Buckets>none</Buckets></ListAllMyBucketsResult>"),
    ("s3", "ListBuckets", "<ListAllMyBucketsResult><Buckets/><Buckets/></ListAllMyBucketsResult>"),
    ("s3", "ListBuckets", "<ListAllMyBucketsResult><Buckets><Pail/></Buckets></ListAllMyBucketsResult>"),
    ("s3", "ListBuckets", "<ListAllMyBucketsResult><Buckets>"),
    ("s3", "GetBucketLogging", "<BucketLoggingStatus>off</BucketLoggingStatus>"),
    ("s3", "GetBucketLogging", "<html/>"),
    ("s3", "GetBucketLogging", "<BucketLoggingStatus><LoggingEnabled>no</LoggingEnabled></BucketLoggingStatus>"),
    ("s3", "GetBucketLocation", "<LocationConstraint><a/></LocationConstraint>"),
    ("s3", "ListObjectsV2", "<ListBucketResult><KeyCount>many</KeyCount></ListBucketResult>"),
    ("s3", "ListObjectsV2", "<ListBucketResult><IsTruncated>True</IsTruncated></ListBucketResult>"),
    ("s3", "ListObjectsV2", "<ListBucketResult>" + "<Contents/>" * 1001 + "</ListBucketResult>"),
    ("rds", "DescribeDBInstances", "<DescribeDBInstancesResponse/>"),
    ("rds", "DescribeDBInstances", instances("<DBInstances/>", "Result")),
    ("rds", "DescribeDBInstances", instances("<DBInstances><member/></DBInstances>")),
    ("rds", "DescribeDBInstances", "<ErrorResponse><Error/></ErrorResponse>"),
    ("ec2", "DescribeVolumes", "<DescribeSnapshotsResponse><volumeSet/></DescribeSnapshotsResponse>"),
    ("ec2", "DescribeVolumes", "<DescribeVolumesResponse><volumeSet><item><createTime/></item></volumeSet>"
                               "</DescribeVolumesResponse>"),
    ("ec2", "DescribeVolumes", "<!DOCTYPE a><DescribeVolumesResponse/>"),
    ("ec2", "DescribeVolumes", "<?xml version='1.0'?><!doctype a [<!entity b 'c'>]><DescribeVolumesResponse/>"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "body"), GOOD)
def test_answers_as_they_are_described(service: str, operation: str, body: str) -> None:
    checked(service, operation, body)


@pytest.mark.parametrize(("service", "operation", "body"), BAD)
def test_answers_that_are_otherwise(service: str, operation: str, body: str) -> None:
    with pytest.raises(MalformedError):
        checked(service, operation, body)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_whatever_comes_is_described_or_malformed(body: str) -> None:
    for operation in ("ListBuckets", "GetBucketReplication", "GetBucketLocation"):
        try:
            checked("s3", operation, body)
        except MalformedError:
            continue
        raise AssertionError("taken for an answer")


_TAGS = st.sampled_from(["Buckets", "Bucket", "Name", "IsTruncated", "Contents", "ListBucketResult", "KeyCount", "a"])
_TREES = st.recursive(
    st.builds(lambda tag, text: f"<{tag}>{text}</{tag}>", _TAGS, st.sampled_from(["", "true", "1", "x", " "])),
    lambda inner: st.builds(lambda tag, many: f"<{tag}>{''.join(many)}</{tag}>", _TAGS, st.lists(inner, max_size=4)),
    max_leaves=12,
)


@given(_TREES)
def test_what_passes_is_read_by_the_sdk_without_a_loss(body: str) -> None:
    """Whatever is let through, the SDK reads each flag and number that is there."""
    from botocore.parsers import create_parser

    try:
        checked("s3", "ListObjectsV2", body)
    except MalformedError:
        return
    shape = MODELS["s3"].operation_model("ListObjectsV2").output_shape
    read = create_parser("rest-xml").parse({"status_code": 200, "headers": {}, "body": body.encode()}, shape)
    root = ElementTree.fromstring(body)
    assert root.tag == "ListBucketResult"
    truncated, count = root.findall("IsTruncated"), root.findall("KeyCount")
    assert [each.text == "true" for each in truncated] == ([read["IsTruncated"]] if "IsTruncated" in read else [])
    assert [int(each.text or "") for each in count] == ([read["KeyCount"]] if "KeyCount" in read else [])
    assert len(root.findall("Contents")) == len(read.get("Contents", []))


def test_utf_16_hides_nothing() -> None:
    body = "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a [<!ENTITY b 'c'>]><ListAllMyBucketsResult/>"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        with pytest.raises(MalformedError):
            undeclared(body.encode(encoding))


def test_json_of_services_with_headers() -> None:
    shape = described(MODELS["backup"].operation_model("ListCopyJobs"))
    assert shape is not None
    check({"CopyJobs": [{"CreationDate": 1.5, "State": "COMPLETED"}]}, shape, 24)
    for wrong in ([], {"CopyJobs": {}}, {"CopyJobs": "none"}, {"CopyJobs": [[]]}, {"NextToken": 1}):
        with pytest.raises(MalformedError):
            check(wrong, shape, 24)


@pytest.mark.parametrize(
    "body",
    [
        b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>" + b" " * MAX_BODY,
        b"<ListAllMyBucketsResult>" + b"<a/>" * MAX_NESTS + b"</ListAllMyBucketsResult>",
        b"<!DOCTYPE a [" + b'<!ENTITY b "&c;&c;">' * 9 + b"]><Error><Code>&b;</Code></Error>",
    ],
    ids=["long", "tags", "bomb"],
)
@pytest.mark.parametrize("status", [200, 403])
def test_what_costs_too_much_is_malformed_whatever_its_status(wire, sts, make_io, body: bytes, status: int) -> None:
    wire.replies["GET /?"] = (status, body, {})
    ask = asking(resource(EXPORTS), None, make_io(wire.url))
    with pytest.raises(ProbeError) as refused:
        ask.ask("s3:ListBuckets", "eu-central-1", MaxBuckets=1000)
    assert refused.value.reason is Reason.MALFORMED


def test_an_error_with_the_buckets_region_survives_the_way_between_processes() -> None:
    error = AwsError(Reason.PERMISSION_DENIED, "no", "403", "us-east-1")
    assert pickle.loads(pickle.dumps(error)).bucket_region == "us-east-1"


def test_a_credential_that_comes_back_is_not_recorded(wire, sts, make_io) -> None:
    wire.xml("HEAD /exports", "", 200, x_amz_bucket_region="eu-central-1")
    secret = "s3cr3t-of-the-identity"
    wire.xml("?logging", f"<BucketLoggingStatus><LoggingEnabled><TargetBucket>{secret}</TargetBucket><TargetPrefix/>"
             "</LoggingEnabled></BucketLoggingStatus>")  # fmt: skip
    with pytest.raises(ProbeError, match="credential"):
        aws.walk(resource(EXPORTS), "whole", make_io(wire.url))


STORES = [
    "arn:aws:s3:::exports",
    "arn:aws:rds:eu-central-1:123456789012:db:main",
    "arn:aws:rds:eu-central-1:123456789012:cluster:main",
    "arn:aws:dynamodb:eu-central-1:123456789012:table/main",
    "arn:aws:ec2:eu-central-1:123456789012:volume/vol-1",
    "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-1",
    "arn:aws:backup:eu-central-1:123456789012:backup-vault:main",
    "arn:aws:redshift:eu-central-1:123456789012:cluster:main",
]


@pytest.mark.parametrize("store", STORES)
def test_noise_is_never_a_store_whose_encryption_is_known(wire, sts, make_io, store: str) -> None:
    chance = random.Random(store)
    bodies = [b"", b"{}", b"[]", b"null", b"<a/>", b"<Error/>", b"\xff\xfe<", b'{"Table": {}}', b'{"Replications": 1}',
              b"<ListVersionsResult/>", b"<DescribeVolumesResponse/>", b"<html><body/></html>"]  # fmt: skip
    wire.replies[" "] = lambda said: (
        chance.choice([200, 200, 200, 301, 400, 403, 404, 500]),
        chance.choice(bodies) + (chance.randbytes(9) if chance.random() < 0.2 else b""),
        chance.choice([{}, {"x-amz-bucket-region": "\x80"}, {"x-amz-bucket-region": "eu-central-1"}]),
    )
    for _ in range(3):
        facts, _ = aws.walk(resource(store), "whole", make_io(wire.url))
        assert facts.open
        for each in facts.nodes:
            assert each.encryption.kind != "encryption"


def test_buckets_without_end_stop(wire, sts, make_io, monkeypatch) -> None:
    from probes.residency.aws import buckets

    monkeypatch.setattr(buckets, "MAX_NODES", 5)
    wire.xml("HEAD /", "", 200, x_amz_bucket_region="eu-central-1")

    def rule(said: str):
        number = len([each for each in wire.asked if "?replication" in each])
        body = (
            f"<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::b-{number}"
            "</Bucket></Destination></Rule></ReplicationConfiguration>"
        )
        return (200, body.encode(), {})

    wire.replies["?replication"] = rule
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    assert len(facts.nodes) <= 6
    assert any("more than 5 buckets" in end.why.detail and end.matters == "everything" for end in facts.open)
    assert node(facts, EXPORTS) is not None

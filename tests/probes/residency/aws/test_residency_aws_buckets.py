"""Buckets: against moto's server, and over the wire for what it does not tell as S3 does."""

from __future__ import annotations

import pytest
from residency_aws import account, edges, node, opened, resource

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.residency import aws
from probes.residency.store_facts import EdgeKind, Encryption, NodeKind, NodePlace

OWN, THEIRS = "123456789012", "444455556666"
HOME = "eu-central-1"
EXPORTS = "arn:aws:s3:::exports"


def bucket(cloud, name: str, region: str = HOME, owner: str | None = None):
    client = cloud("s3", region, owner)
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **where)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return client


def replicate(client, source: str, target: str, status: str = "Enabled", **destination: object) -> None:
    rule = {
        "ID": "all",
        "Status": status,
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}", **destination},
    }
    role = f"arn:aws:iam::{OWN}:role/r"
    client.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": role, "Rules": [rule]})


def under(client, name: str, key: str | None = None, algorithm: str = "aws:kms") -> None:
    default = {"SSEAlgorithm": algorithm, **({} if key is None else {"KMSMasterKeyID": key})}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules)


def key(cloud, region: str = HOME, **more: object) -> str:
    return cloud("kms", region).create_key(**more)["KeyMetadata"]["Arn"]


def test_a_bucket_that_replicates_to_another_accounts_bucket_abroad(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    bucket(cloud, "exports-copy", "us-east-1", THEIRS)
    replicate(client, "exports", "exports-copy", Account=THEIRS)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    assert facts.roots == (EXPORTS,)
    assert node(facts, "exports").place == NodePlace(regions=(HOME,), type="region")
    copy = node(facts, "exports-copy")
    assert (copy.place, copy.account) == (NodePlace(regions=("us-east-1",), type="region"), THEIRS)
    assert edges(facts, EdgeKind.REPLICATES) == [(EXPORTS, "arn:aws:s3:::exports-copy")]
    # Its objects are not ours to read, and nobody of ours is there.
    assert opened(facts, "exports-copy") == {"encryption", "backups"}
    assert opened(facts, "exports") == set()


def test_an_identity_in_the_other_account_closes_the_end(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    bucket(cloud, "exports-copy", "eu-west-1", THEIRS)
    replicate(client, "exports", "exports-copy", Account=THEIRS)
    facts, _ = aws.walk(resource(EXPORTS, others=(f"in-{THEIRS}",)), "whole", make_io(moto, THEIRS))
    assert opened(facts, "exports-copy") == set()
    assert node(facts, "exports-copy").objects.complete
    # Backups are asked for there, too.
    assert "backup:ListBackupPlans eu-west-1" in facts.questions


def test_copies_of_copies_in_a_circle_and_a_rule_that_is_disabled(cloud, moto, make_io) -> None:
    a, b = bucket(cloud, "exports"), bucket(cloud, "second", "eu-west-1")
    c = bucket(cloud, "third", "us-west-2")
    replicate(a, "exports", "second")
    replicate(b, "second", "third", status="Disabled")
    replicate(c, "third", "exports")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    assert [each.id.rpartition(":")[2] for each in facts.nodes] == ["exports", "second", "third"]
    (disabled,) = [edge for edge in facts.edges if edge.source.endswith("second")]
    assert "disabled" in disabled.detail
    assert node(facts, "third").place == NodePlace(regions=("us-west-2",), type="region")


def test_old_objects_keep_the_key_that_they_were_written_with(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    old, new = key(cloud), key(cloud)
    under(client, "exports", old)
    client.put_object(Bucket="exports", Key="jane.doe@example.org", Body=b"x")
    under(client, "exports", new)
    client.put_object(Bucket="exports", Key="jane.doe@example.org", Body=b"x")
    client.put_object(Bucket="exports", Key="b", Body=b"x", ServerSideEncryption="AES256")
    facts, blobs = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    found = node(facts, "exports")
    assert found.encryption == Encryption(method="customer-key", algorithm="aws:kms", key=new, key_manager="customer")
    assert found.objects.versions
    assert found.objects.complete
    assert (found.objects.looked, found.objects.existing) == (3, 3)
    assert {each.encryption.key for each in found.objects.encrypted_under} == {old, new, None}
    assert set(edges(facts, EdgeKind.KEY)) == {(EXPORTS, old), (EXPORTS, new)}
    assert node(facts, old.rpartition("/")[2]).kind is NodeKind.KEY
    # Names of objects may be people's.
    assert "jane" not in facts.model_dump_json()
    kept = {blob.name: blob for blob in blobs}
    assert b"jane" not in kept["answers"].content
    assert kept["objects"].disposition == "sealed"


def test_a_sample_has_the_oldest_and_the_newest(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    for number in range(12):
        client.put_object(Bucket="exports", Key=f"k{number}", Body=b"x")
    facts, _ = aws.walk(resource(EXPORTS, objects=4), "whole", make_io(moto))
    found = node(facts, "exports").objects
    assert (found.looked, found.existing, found.complete) == (4, 12, False)


def test_defaults_without_a_key_and_keys_of_the_service(cloud, moto, make_io) -> None:
    bucket(cloud, "exports")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    expected = Encryption(method="provider-key", algorithm="AES256", key=None, key_manager="aws")
    assert node(facts, "exports").encryption == expected
    client = cloud("s3")
    under(client, "exports")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    assert node(facts, "exports").encryption.method == "provider-key"


def test_an_alias_that_may_not_be_described_says_nothing_of_the_key(cloud, moto, wire, make_io) -> None:
    under(bucket(cloud, "exports"), "exports", "alias/contract")
    wire.behind = moto
    wire.json("TrentService.DescribeKey", {"__type": "AccessDeniedException", "message": "no"}, 400)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    found = node(facts, "exports")
    assert isinstance(found.encryption, Unseen)
    assert found.encryption.reason is Reason.PERMISSION_DENIED
    assert "encryption" in {end.matters for end in facts.open}


def test_a_multi_region_key_has_replicas(cloud, moto, make_io) -> None:
    made = key(cloud, MultiRegion=True)
    cloud("kms").replicate_key(KeyId=made.rpartition("/")[2], ReplicaRegion="us-east-1")
    under(bucket(cloud, "exports"), "exports", made)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    replica = made.replace(HOME, "us-east-1")
    assert edges(facts, EdgeKind.REPLICATES) == [(made, replica)]
    (found,) = [each for each in facts.nodes if each.id == replica]
    assert found.place == NodePlace(regions=("us-east-1",), type="region")


def test_logs_and_inventories_go_somewhere_too(cloud, moto, make_io) -> None:
    client = bucket(cloud, "exports")
    bucket(cloud, "logs")
    bucket(cloud, "lists", "us-east-1")
    owner = client.get_bucket_acl(Bucket="logs")["Owner"]
    group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
    grants = [{"Grantee": group, "Permission": permission} for permission in ("WRITE", "READ_ACP")]
    client.put_bucket_acl(Bucket="logs", AccessControlPolicy={"Grants": grants, "Owner": owner})
    logging = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}}
    client.put_bucket_logging(Bucket="exports", BucketLoggingStatus=logging)
    client.put_bucket_inventory_configuration(
        Bucket="exports",
        Id="weekly",
        InventoryConfiguration={
            "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists", "Format": "CSV"}},
            "IsEnabled": True,
            "Id": "weekly",
            "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Weekly"},
        },
    )
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(moto))
    assert set(edges(facts, EdgeKind.LOGS)) == {(EXPORTS, "arn:aws:s3:::logs"), (EXPORTS, "arn:aws:s3:::lists")}
    assert node(facts, "lists").place == NodePlace(regions=("us-east-1",), type="region")


HEAD = "HEAD /exports"


@pytest.mark.parametrize(
    ("status", "region", "place"),
    [
        (403, "us-east-1", "us-east-1"),
        (301, "eu-west-3", "eu-west-3"),
        (403, None, Reason.PERMISSION_DENIED),
        (403, "not a region", Reason.MALFORMED),
        (404, None, Reason.UNREACHABLE),
    ],
)
def test_s3_tells_where_a_bucket_is_to_whomever_it_refuses(wire, sts, make_io, status, region, place) -> None:
    headers = {} if region is None else {"x_amz_bucket_region": region}
    wire.xml(HEAD, "", status, **headers)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    found = node(facts, "exports")
    if not isinstance(place, Reason):
        assert found.place == NodePlace(regions=(place,), type="region")
    else:
        assert found.place.reason is place
        assert "stores" in opened(facts, "exports")
    # Everything else is refused: nothing of it looks as if there were nothing.
    assert isinstance(found.encryption, Unseen)
    assert {"copies", "encryption"} <= opened(facts, "exports") | {"encryption"}


@pytest.mark.parametrize(
    ("constraint", "place"), [("", "us-east-1"), ("EU", "eu-west-1"), ("eu-south-2", "eu-south-2")]
)
def test_names_of_places_from_before_there_were_regions(wire, sts, make_io, constraint: str, place: str) -> None:
    wire.xml(HEAD, "", 200)
    wire.xml("?location", f"<LocationConstraint>{constraint}</LocationConstraint>")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    assert node(facts, "exports").place == NodePlace(regions=(place,), type="region")


def test_two_answers_about_the_place_that_differ(wire, sts, make_io) -> None:
    wire.xml(HEAD, "", 200, x_amz_bucket_region="eu-central-1")
    wire.xml("?location", "<LocationConstraint>us-east-2</LocationConstraint>")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    assert node(facts, "exports").place.reason is Reason.CONFLICTING


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nothing",
        "{}",
        "<html><body>welcome</body></html>",
        "<Error><Code>SlowDown</Code></Error>",
        "<ReplicationConfiguration>text</ReplicationConfiguration>",
        "<ReplicationConfiguration/>",
        f"{BOMB}<ReplicationConfiguration><Role>&c;</Role></ReplicationConfiguration>",
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x"><ReplicationConfiguration/>',
        "<ReplicationConfiguration><Rule>all</Rule></ReplicationConfiguration>",
        "<ReplicationConfiguration><Rule><Status>Enabled</Status></Rule></ReplicationConfiguration>",
        "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination>x</Destination></Rule>"
        "</ReplicationConfiguration>",
        "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::a</Bucket>"
        "<Bucket>arn:aws:s3:::b</Bucket></Destination></Rule></ReplicationConfiguration>",
        "<a>" * 5000 + "</a>" * 5000,
        "<ReplicationConfiguration>" + "<Rule/>" * 2000 + "</ReplicationConfiguration>",
    ],
)
def test_a_hostile_answer_is_never_an_absence_of_rules(wire, sts, make_io, body: str) -> None:
    wire.xml(HEAD, "", 200, x_amz_bucket_region="eu-central-1")
    wire.xml("?location", "<LocationConstraint>eu-central-1</LocationConstraint>")
    wire.xml("?replication", body)
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    found = [end for end in facts.open if end.at == EXPORTS and end.matters == "copies"]
    # The SDK itself takes what is no XML, and an error in a good answer, for a service that failed.
    assert {end.why.reason for end in found} & {Reason.MALFORMED, Reason.UNREACHABLE, Reason.THROTTLED}
    assert edges(facts, EdgeKind.REPLICATES) == []


def test_buckets_of_an_account_by_region(cloud, moto, wire, make_io) -> None:
    bucket(cloud, "home")
    bucket(cloud, "abroad", "us-east-1")
    wire.behind = moto
    wire.xml("max-directory-buckets", "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>")
    io = make_io(wire.url)
    assert {"eu-central-1", "us-east-1"} <= set(aws.survey(account(), io).parts)
    facts, _ = aws.walk(account(), "us-east-1", io)
    assert "arn:aws:s3:::abroad" in facts.roots
    assert "arn:aws:s3:::home" not in facts.roots
    assert facts.whole_account


def test_fewer_regions_than_the_account_has_leave_the_census_open(cloud, moto, make_io) -> None:
    bucket(cloud, "abroad", "us-east-1")
    census = aws.survey(account(regions=("eu-central-1",)), make_io(moto))
    assert census.parts == ("eu-central-1",)
    assert [why.reason for why in census.open] == [Reason.OPEN_CENSUS]
    assert "us-east-1" in census.open[0].detail


def test_an_account_that_the_identity_is_not_in(moto, make_io) -> None:
    census = aws.survey(account(THEIRS), make_io(moto))
    assert [why.reason for why in census.open] == [Reason.PERMISSION_DENIED]


def test_a_later_page_that_fails_is_no_end_of_the_listing(wire, sts, make_io) -> None:
    wire.xml("HEAD /exports ", "", 200, x_amz_bucket_region=HOME)
    wire.xml("HEAD /exports?", "", 200, x_amz_bucket_region=HOME)
    version = (
        "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>"
    )
    wire.xml("key-marker=a", "<Error><Code>Surprise</Code></Error>", 418)
    follows = "<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"
    page = f"<Name>exports</Name><IsTruncated>true</IsTruncated>{version}{follows}"
    wire.xml("?versions", f"<ListVersionsResult>{page}</ListVersionsResult>")
    wire.xml("HEAD /exports/a", "", 200, x_amz_server_side_encryption="AES256")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    found = node(facts, "exports").objects
    assert (found.looked, found.existing, found.complete) == (1, None, False)
    assert "Surprise" in found.failed[0].detail
    assert "encryption" in opened(facts, "exports")


def test_an_object_under_the_clients_own_key_tells_nothing(wire, sts, make_io) -> None:
    wire.xml("HEAD /exports ", "", 200, x_amz_bucket_region=HOME)
    versions = "".join(
        f"<Version><Key>{key}</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>"
        for key in ("a", "b", "c")
    )
    body = f"<ListVersionsResult><Name>exports</Name><IsTruncated>false</IsTruncated>{versions}</ListVersionsResult>"
    wire.xml("?versions", body)
    wire.xml("HEAD /exports/a", "", 400)
    wire.xml("HEAD /exports/b", "", 200)
    wire.xml("HEAD /exports/c", "", 200, x_amz_server_side_encryption="aws:new")
    facts, _ = aws.walk(resource(EXPORTS), "whole", make_io(wire.url))
    found = node(facts, "exports").objects
    assert [each.encryption.method for each in found.encrypted_under] == ["none"]
    assert len(found.failed) == 2
    assert not found.complete

"""The lab's stores in AWS, asked by boto3: the clean estate, and everything that a walk can meet on its way."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from keycheck.lab.aws_stores.plan import Bucket, Item, Sse
from keycheck.lab.aws_stores.service import HANDLERS
from keycheck.lab.store_defects import CLOUD_DEFECTS
from keycheck.lab.store_estate import clean_clouds
from keycheck.lab.store_sites import ACCOUNT, EXPORTS, HOME, MODEL, PROFILE, STRANGERS_BUCKET, arn

DATABASE, TABLE = arn("rds", "db:crm"), arn("dynamodb", "table/sessions")
SELECTION = {"BackupPlanId": "22222222-0000-4000-8000-000000000001"}
CALLS: dict[tuple[str, str], dict[str, object]] = {
    ("backup", "DescribeBackupVault"): {"BackupVaultName": "crm"},
    ("backup", "DescribeRecoveryPoint"): {
        "BackupVaultName": "crm",
        "RecoveryPointArn": arn("rds", "snapshot:awsbackup:job-1"),
    },
    ("backup", "GetBackupPlan"): SELECTION,
    ("backup", "GetBackupSelection"): {
        **SELECTION,
        "SelectionId": "22222222-0000-4000-8000-000000000001-selection",
    },
    ("backup", "ListBackupSelections"): SELECTION,
    ("backup", "ListRecoveryPointsByBackupVault"): {"BackupVaultName": "crm"},
    ("backup", "ListRecoveryPointsByResource"): {"ResourceArn": DATABASE},
    ("bedrock", "GetFoundationModel"): {"modelIdentifier": MODEL},
    ("bedrock", "GetInferenceProfile"): {"inferenceProfileIdentifier": PROFILE},
    ("dynamodb", "DescribeBackup"): {"BackupArn": f"{TABLE}/backup/0157000000000-sessions-1"},
    ("dynamodb", "DescribeContinuousBackups"): {"TableName": "sessions"},
    ("dynamodb", "DescribeTable"): {"TableName": TABLE},
    ("ec2", "DescribeImageAttribute"): {"ImageId": "ami-0a1b2c3d4e5f60001", "Attribute": "launchPermission"},
    ("ec2", "DescribeSnapshotAttribute"): {
        "SnapshotId": "snap-0a1b2c3d4e5f60001",
        "Attribute": "createVolumePermission",
    },
    ("efs", "DescribeBackupPolicy"): {"FileSystemId": "fs-0a1b2c3d4e5f60001"},
    ("organizations", "DescribePolicy"): {"PolicyId": "p-eu-only"},
    ("organizations", "ListParents"): {"ChildId": ACCOUNT},
    ("organizations", "ListPolicies"): {"Filter": "SERVICE_CONTROL_POLICY"},
    ("organizations", "ListPoliciesForTarget"): {"TargetId": ACCOUNT, "Filter": "SERVICE_CONTROL_POLICY"},
    ("account", "GetRegionOptStatus"): {"RegionName": HOME},
    ("rds", "DescribeDBClusterSnapshotAttributes"): {"DBClusterSnapshotIdentifier": "crm-audit-yearly"},
    ("rds", "DescribeDBSnapshotAttributes"): {"DBSnapshotIdentifier": "crm-before-upgrade"},
    ("s3", "HeadObject"): {"Bucket": EXPORTS, "Key": "2026/01/contacts.parquet"},
}
ABSENT = {"GetBucketTagging", "GetBucketLifecycleConfiguration", "GetBucketPolicy", "DescribeExport"}
"""Nothing of the clean estate has one."""


def ask(client, operation: str, **parameters: object) -> dict[str, object]:
    """By the API's own name of the operation."""
    method = next(name for name, api in client.meta.method_to_api_mapping.items() if api == operation)
    answer = getattr(client, method)(**parameters)
    answer.pop("ResponseMetadata")
    return answer


@pytest.mark.parametrize(
    ("service", "operation"),
    [(service, name) for service, handlers in sorted(HANDLERS.items()) for name in sorted(handlers)],
)
def test_everything_that_is_served_answers_the_sdk(stores, service: str, operation: str) -> None:
    parameters = CALLS.get((service, operation), {})
    if service == "s3" and "Bucket" not in operation.removeprefix("GetBucket") and operation != "HeadObject":
        parameters = {"Bucket": EXPORTS}
    if operation in ("HeadBucket", "ListBucketInventoryConfigurations"):
        parameters = {"Bucket": EXPORTS}
    if operation in ABSENT:
        with pytest.raises(ClientError):
            ask(stores.client(service), operation, **({"ExportArn": "x" * 40} if service == "dynamodb" else parameters))
        return
    answer = ask(stores.client(service), operation, **parameters)
    assert answer or operation in ("GetBucketLogging", "GetModelInvocationLoggingConfiguration")


def test_a_bucket_of_another_account_tells_its_region_and_nothing_else(serve) -> None:
    plan = clean_clouds().aws
    stores = serve(replace(plan, buckets=(*plan.buckets, STRANGERS_BUCKET)))
    far = stores.client("s3", STRANGERS_BUCKET.region)
    for client in (far, stores.client("s3", HOME)):  # from the wrong Region by way of a redirect
        with pytest.raises(ClientError) as refused:
            client.head_bucket(Bucket=STRANGERS_BUCKET.name)
        told = refused.value.response["ResponseMetadata"]
        assert told["HTTPStatusCode"] == 403
        assert told["HTTPHeaders"]["x-amz-bucket-region"] == STRANGERS_BUCKET.region
    for call in ("get_bucket_replication", "get_bucket_encryption", "list_objects_v2", "get_bucket_location"):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(far, call)(Bucket=STRANGERS_BUCKET.name)
    assert STRANGERS_BUCKET.name not in {each["Name"] for each in far.list_buckets()["Buckets"]}


def test_a_bucket_is_redirected_to_where_it_is(stores) -> None:
    bucket = f"{EXPORTS}-copy"
    head = stores.client("s3", HOME).head_bucket(Bucket=bucket)
    assert head["BucketRegion"] == "eu-west-1"
    assert stores.client("s3", "us-east-1").get_bucket_location(Bucket=bucket)["LocationConstraint"] == "EU"


def test_a_bucket_that_is_not_there(stores) -> None:
    with pytest.raises(ClientError, match="404"):
        stores.client("s3").head_bucket(Bucket="nobodys")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        stores.client("s3").get_bucket_encryption(Bucket="nobodys")


def test_a_bucket_in_the_name_of_the_host(stores) -> None:
    port = int(stores.cloud.url.rpartition(":")[2])
    credential = f"{stores.credentials.access_key_id}/20260601/{HOME}/s3/aws4_request"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(
            f"GET /?versioning HTTP/1.1\r\nHost: {EXPORTS}.s3.{HOME}.amazonaws.com\r\nConnection: close\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"<Status>Enabled</Status>" in answer


def test_objects_tell_each_its_own_key(serve) -> None:
    bucket = Bucket(
        "mixed",
        HOME,
        ACCOUNT,
        Sse("aws:kms", "contacts"),
        items=(
            Item("new", Sse("aws:kms", "contacts")),
            Item("old", Sse("aws:kms", "other"), 900),
            Item("older", Sse(), 1200),
            Item("new", Sse("aws:kms", "other"), 30, current=False),
            Item("secret", Sse("AES256", by_client=True)),
        ),
    )
    client = serve(replace(clean_clouds().aws, buckets=(bucket,))).client("s3")
    assert client.head_object(Bucket="mixed", Key="new")["SSEKMSKeyId"].endswith("key/contacts")
    assert client.head_object(Bucket="mixed", Key="old")["SSEKMSKeyId"].endswith("key/other")
    plain = client.head_object(Bucket="mixed", Key="older")
    assert (plain["ServerSideEncryption"], plain.get("SSEKMSKeyId")) == ("AES256", None)
    versions = client.list_object_versions(Bucket="mixed")["Versions"]
    old = next(each for each in versions if each["Key"] == "new" and not each["IsLatest"])
    before = client.head_object(Bucket="mixed", Key="new", VersionId=old["VersionId"])
    assert before["SSEKMSKeyId"].endswith("key/other")
    with pytest.raises(ClientError, match="400"):  # without the client's key S3 tells nothing
        client.head_object(Bucket="mixed", Key="secret")


PAGED = [
    ("s3", "list_objects_v2", {"Bucket": EXPORTS}, "Contents", 10),
    ("s3", "list_object_versions", {"Bucket": EXPORTS}, "Versions", 10),
    ("rds", "describe_db_snapshots", {}, "DBSnapshots", 2),
    ("ec2", "describe_regions", {}, "Regions", 7),
    ("backup", "list_backup_jobs", {}, "BackupJobs", 2),
    ("backup", "list_recovery_points_by_backup_vault", {"BackupVaultName": "crm"}, "RecoveryPoints", 2),
    ("account", "list_regions", {}, "Regions", 9),
    ("bedrock", "list_inference_profiles", {}, "inferenceProfileSummaries", 3),
]


@pytest.mark.parametrize(("service", "call", "parameters", "member", "number"), PAGED)
def test_lists_have_pages_and_an_end(serve, service, call, parameters, member, number) -> None:
    client = serve(page_size=1).client(service)
    if not client.can_paginate(call):
        pages = [getattr(client, call)(**parameters)]
    else:
        pages = list(client.get_paginator(call).paginate(**parameters))
        assert len(pages) == number
    assert sum(len(page.get(member, [])) for page in pages) == number


def test_a_page_token_that_was_never_given(stores) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        stores.client("rds").describe_db_snapshots(Marker="from elsewhere")


DENIED = [
    ("s3", "get_bucket_replication", {"Bucket": EXPORTS}, "s3:GetReplicationConfiguration", "AccessDenied", 403),
    ("s3", "head_bucket", {"Bucket": EXPORTS}, "s3:ListBucket", "403", 403),
    ("backup", "list_copy_jobs", {}, "backup:ListCopyJobs", "AccessDeniedException", 403),
    ("rds", "describe_db_instances", {}, "rds:DescribeDBInstances", "AccessDenied", 403),
    ("dynamodb", "list_tables", {}, "dynamodb:ListTables", "AccessDeniedException", 400),
    ("ec2", "describe_volumes", {}, "ec2:DescribeVolumes", "UnauthorizedOperation", 403),
    ("efs", "describe_file_systems", {}, "elasticfilesystem:DescribeFileSystems", "AccessDeniedException", 403),
    ("account", "list_regions", {}, "account:ListRegions", "AccessDeniedException", 403),
    ("bedrock", "list_inference_profiles", {}, "bedrock:ListInferenceProfiles", "AccessDeniedException", 403),
    ("organizations", "list_parents", {"ChildId": ACCOUNT}, "organizations:ListParents", "AccessDeniedException", 400),
]


@pytest.mark.parametrize(("service", "call", "parameters", "action", "code", "status"), DENIED)
def test_what_a_policy_forbids_is_refused_as_the_service_does(
    stores, service, call, parameters, action, code, status
) -> None:
    client = stores.client(service)
    getattr(client, call)(**parameters)
    stores.forbid(action)
    with pytest.raises(ClientError) as refused:
        getattr(client, call)(**parameters)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


STRANGE = [
    ("ec2", "describe_volumes", "AuthFailure"),
    ("rds", "describe_db_instances", "InvalidClientTokenId"),
    ("dynamodb", "list_tables", "UnrecognizedClientException"),
    ("s3", "list_buckets", "InvalidAccessKeyId"),
]


@pytest.mark.parametrize(("service", "call", "code"), STRANGE)
def test_a_region_that_was_not_opted_into(stores, service, call, code) -> None:
    with pytest.raises(ClientError, match=code):
        getattr(stores.client(service, "eu-south-1"), call)()


def test_throttling_and_operations_that_the_lab_does_not_serve(stores) -> None:
    stores.cloud.faults.throttle("ListTables", times=1)
    client = stores.client("dynamodb")
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.list_tables()
    assert client.list_tables()["TableNames"] == ["sessions"]
    with pytest.raises(ClientError, match="UnknownOperationException"):
        client.list_imports()


def test_a_copy_job_that_no_plan_orders() -> None:
    (defect,) = (each for each in CLOUD_DEFECTS if each.id == "copy-job-abroad")
    before, after = clean_clouds().aws, defect.change(clean_clouds()).aws
    assert before.plans == after.plans
    (job,) = set(after.jobs) - set(before.jobs)
    assert ":us-east-1:" in (job.to or "")


def test_the_clean_estate_is_in_the_union() -> None:
    plan = clean_clouds().aws
    union = {"eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1"}
    placed = (
        *plan.buckets,
        *plan.databases,
        *plan.clusters,
        *plan.db_snapshots,
        *plan.tables,
        *plan.snapshots,
        *plan.images,
        *plan.file_systems,
        *plan.vaults,
        *plan.plans,
    )
    assert {each.region for each in placed} <= union
    assert {replica.region for table in plan.tables for replica in table.replicas} <= union
    assert {region for table in plan.tables for region in table.witnesses} <= union


@pytest.mark.parametrize("defect", CLOUD_DEFECTS, ids=lambda each: each.id)
def test_a_defect_changes_the_plan_and_leaves_the_honest_one_alone(defect) -> None:
    clean = clean_clouds()
    assert defect.change(clean) != clean
    assert clean == clean_clouds()
    assert defect.promises
    assert defect.clause

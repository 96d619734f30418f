"""DynamoDB: tables, global tables with witnesses, backups and exports.

Sources: the dynamodb 2012-08-10 service model of botocore; Amazon DynamoDB Developer Guide, "Global tables",
"Multi-Region strong consistency", "Encryption at rest".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse
from keycheck.lab.aws_stores.plan import KeyRef, Table
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output


def _here(ask: Ask, table: Table) -> bool:
    return ask.region == table.region or any(each.region == ask.region for each in table.replicas)


def _arn(ask: Ask, name: str, region: str | None = None) -> str:
    return ask.arn("dynamodb", f"table/{name}", region=region)


def _named(ask: Ask) -> Table:
    """The table that is asked about, by its name or ARN, which has a replica of its own here."""
    given = ask.text("TableName")
    for each in ask.plan.tables:
        if _here(ask, each) and given in (each.name, _arn(ask, each.name)):
            return each
    raise RefusedError("ResourceNotFoundException", f"Requested resource not found: Table: {given} not found", 400)


def _list(ask: Ask) -> Output:
    after = ask.text("ExclusiveStartTableName")
    limit = ask.parameters.get("Limit")
    length = min(100, limit if isinstance(limit, int) else 100, ask.page_size or 100)
    names = sorted(each.name for each in ask.plan.tables if _here(ask, each) and each.name > after)
    more = {"LastEvaluatedTableName": names[length - 1]} if len(names) > length else {}
    return {"TableNames": names[:length], **more}


def _replicas(ask: Ask, table: Table) -> dict[str, KeyRef | None]:
    """Region -> key, of all that there are."""
    return {table.region: table.key, **{each.region: each.key for each in table.replicas}}


def _describe(ask: Ask) -> Output:
    table = _named(ask)
    everywhere = _replicas(ask, table)
    others = {region: ref for region, ref in everywhere.items() if region != ask.region}
    return_replicas = [
        sparse(
            RegionName=region,
            ReplicaStatus="ACTIVE",
            ReplicaArn=_arn(ask, table.name, region),
            KMSMasterKeyId=ask.key(ref, region),
        )
        for region, ref in others.items()
    ]
    told = sparse(
        TableName=table.name,
        TableArn=_arn(ask, table.name),
        TableId="00000000-0000-4000-8000-000000000001",
        TableStatus="ACTIVE",
        CreationDateTime=ask.ago(table.days),
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        TableSizeBytes=1024,
        ItemCount=8,
        BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"},
        SSEDescription=_sse(ask, everywhere[ask.region]),
        DeletionProtectionEnabled=True,
    )
    if others or table.witnesses:
        told |= {"GlobalTableVersion": "2019.11.21", "Replicas": return_replicas}
    if table.witnesses:
        told |= {
            "GlobalTableWitnesses": [{"RegionName": each, "WitnessStatus": "ACTIVE"} for each in table.witnesses],
            "MultiRegionConsistency": "STRONG",
        }
    return {"Table": told}


def _sse(ask: Ask, ref: KeyRef | None) -> Output | None:
    """Nothing is told of a table under DynamoDB's own key."""
    key = ask.key(ref)
    return None if key is None else {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}


def _continuous(ask: Ask) -> Output:
    _named(ask)
    window = {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": ask.ago(35),
        "LatestRestorableDateTime": ask.ago(0.01),
    }
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": window,
        }
    }


def _backup_arn(ask: Ask, table: Table, name: str) -> str:
    return f"{_arn(ask, table.name)}/backup/0157000000000-{name}"


def _list_backups(ask: Ask) -> Output:
    wanted = ask.text("TableName")
    found = [
        {
            "TableName": table.name,
            "TableArn": _arn(ask, table.name),
            "BackupArn": _backup_arn(ask, table, name),
            "BackupName": name,
            "BackupCreationDateTime": ask.ago(9),
            "BackupStatus": "AVAILABLE",
            "BackupType": "USER",
            "BackupSizeBytes": 1024,
        }
        for table in ask.plan.tables
        if table.region == ask.region and wanted in ("", table.name, _arn(ask, table.name))
        for name in table.backups
    ]
    after = ask.text("ExclusiveStartBackupArn")
    arns = [each["BackupArn"] for each in found]
    start = arns.index(after) + 1 if after in arns else 0
    length = ask.page_size or 100
    page = found[start : start + length]
    more = {"LastEvaluatedBackupArn": page[-1]["BackupArn"]} if start + length < len(found) else {}
    return {"BackupSummaries": page, **more}


def _describe_backup(ask: Ask) -> Output:
    given = ask.text("BackupArn")
    for table in ask.plan.tables:
        for name in table.backups:
            if table.region == ask.region and _backup_arn(ask, table, name) == given:
                details = {
                    "BackupArn": given,
                    "BackupName": name,
                    "BackupStatus": "AVAILABLE",
                    "BackupType": "USER",
                    "BackupCreationDateTime": ask.ago(9),
                    "BackupSizeBytes": 1024,
                }
                source = {
                    "TableName": table.name,
                    "TableId": "00000000-0000-4000-8000-000000000001",
                    "TableArn": _arn(ask, table.name),
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "TableCreationDateTime": ask.ago(table.days),
                    "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                }
                features = sparse(SSEDescription=_sse(ask, table.key))
                return {
                    "BackupDescription": {
                        "BackupDetails": details,
                        "SourceTableDetails": source,
                        "SourceTableFeatureDetails": features,
                    }
                }
    raise RefusedError("BackupNotFoundException", f"Backup not found: {given}", 400)


def _export_arn(ask: Ask, table: Table, number: int) -> str:
    return f"{_arn(ask, table.name)}/export/0157000000000-{number:08d}"


def _list_exports(ask: Ask) -> Output:
    wanted = ask.text("TableArn")
    found = [
        {"ExportArn": _export_arn(ask, table, number), "ExportStatus": "COMPLETED", "ExportType": "FULL_EXPORT"}
        for table in ask.plan.tables
        if table.region == ask.region and wanted in ("", _arn(ask, table.name))
        for number in range(len(table.exports))
    ]
    page, more = ask.page(found, size="MaxResults", given="NextToken", told="NextToken", most=25)
    return {"ExportSummaries": list(page), **more}


def _describe_export(ask: Ask) -> Output:
    given = ask.text("ExportArn")
    for table in ask.plan.tables:
        for number, bucket in enumerate(table.exports):
            if table.region == ask.region and _export_arn(ask, table, number) == given:
                owner = next((each.account for each in ask.plan.buckets if each.name == bucket), ask.plan.account)
                return {
                    "ExportDescription": {
                        "ExportArn": given,
                        "ExportStatus": "COMPLETED",
                        "ExportType": "FULL_EXPORT",
                        "ExportFormat": "DYNAMODB_JSON",
                        "StartTime": ask.ago(12),
                        "EndTime": ask.ago(11.9),
                        "ExportTime": ask.ago(12),
                        "TableArn": _arn(ask, table.name),
                        "S3Bucket": bucket,
                        "S3BucketOwner": owner,
                        "S3SseAlgorithm": "AES256",
                    }
                }
    raise RefusedError("ExportNotFoundException", f"Export not found: {given}", 400)


HANDLERS: Final[Mapping[str, Handler]] = {
    "ListTables": _list,
    "DescribeTable": _describe,
    "DescribeContinuousBackups": _continuous,
    "ListBackups": _list_backups,
    "DescribeBackup": _describe_backup,
    "ListExports": _list_exports,
    "DescribeExport": _describe_export,
}

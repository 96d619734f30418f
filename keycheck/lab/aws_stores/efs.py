"""EFS: file systems and where they replicate to.

Sources: the efs 2015-02-01 service model of botocore; Amazon EFS API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse
from keycheck.lab.aws_stores.plan import FileSystem
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output


def _arn(ask: Ask, system: FileSystem) -> str:
    return ask.arn("elasticfilesystem", f"file-system/{system.id}", region=system.region)


def _here(ask: Ask) -> list[FileSystem]:
    wanted = ask.text("FileSystemId")
    found = [
        each for each in ask.plan.file_systems if each.region == ask.region and wanted in ("", each.id, _arn(ask, each))
    ]
    if wanted and not found:
        raise RefusedError("FileSystemNotFound", f"File system '{wanted}' does not exist.", 404)
    return found


def _describe(ask: Ask) -> Output:
    page, more = ask.page(_here(ask), size="MaxItems", given="Marker", told="NextMarker", most=100, wrong="BadRequest")
    return {
        "FileSystems": [
            sparse(
                OwnerId=ask.plan.account,
                CreationToken=f"crm-{each.id}",
                FileSystemId=each.id,
                FileSystemArn=_arn(ask, each),
                CreationTime=ask.ago(each.days),
                LifeCycleState="available",
                NumberOfMountTargets=2,
                SizeInBytes={"Value": 6144},
                PerformanceMode="generalPurpose",
                Encrypted=each.key is not None,
                KmsKeyId=ask.key(each.key),
                Tags=[],
            )
            for each in page
        ],
        **more,
    }


def _replications(ask: Ask) -> Output:
    wanted = {each.id for each in _here(ask)}
    # a replication is told of at both of its ends
    found = [
        {
            "SourceFileSystemId": each.id,
            "SourceFileSystemRegion": each.region,
            "SourceFileSystemArn": _arn(ask, each),
            "OriginalSourceFileSystemArn": _arn(ask, each),
            "CreationTime": ask.ago(each.days),
            "SourceFileSystemOwnerId": ask.plan.account,
            "Destinations": [
                {
                    "Status": "ENABLED",
                    "FileSystemId": id,
                    "Region": region,
                    "OwnerId": ask.plan.account,
                    "LastReplicatedTimestamp": ask.ago(0.01),
                }
                for region, id in each.replicates_to
            ],
        }
        for each in ask.plan.file_systems
        if each.replicates_to and ({each.id, *(id for _, id in each.replicates_to)} & wanted)
    ]
    if not found and ask.text("FileSystemId"):
        raise RefusedError(
            "ReplicationNotFound",
            f"Replication configuration for file system {ask.text('FileSystemId')} not found",
            404,
        )
    page, more = ask.page(found, size="MaxResults", given="NextToken", told="NextToken", most=100, wrong="BadRequest")
    return {"Replications": list(page), **more}


def _backup_policy(ask: Ask) -> Output:
    _here(ask)
    return {"BackupPolicy": {"Status": "DISABLED"}}


HANDLERS: Final[Mapping[str, Handler]] = {
    "DescribeFileSystems": _describe,
    "DescribeReplicationConfigurations": _replications,
    "DescribeBackupPolicy": _backup_policy,
}

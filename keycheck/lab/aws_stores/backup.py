"""AWS Backup: plans and what they promise, vaults, recovery points, and the jobs that really ran.

Sources: the backup 2018-11-15 service model of botocore; AWS Backup API Reference (ListBackupJobs: jobs of the last 30
days); AWS Backup Developer Guide, "Creating backup copies". Inferred: so it is with copy jobs, which are told of in the
Region that the copy comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse, split_at
from keycheck.lab.aws_stores.plan import Job, Plan, Point, Vault
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output

T = TypeVar("T")
_KEPT_DAYS: Final = 30
"""How long AWS Backup tells of a job."""


def _page(ask: Ask, items: Sequence[T]) -> tuple[Sequence[T], Output]:
    return ask.page(
        items, size="MaxResults", given="NextToken", told="NextToken", most=1000, wrong="InvalidParameterValueException"
    )


def vault_arn(ask: Ask, name: str, region: str, account: str | None = None) -> str:
    """ARN of a vault."""
    return ask.arn("backup", f"backup-vault:{name}", region=region, account=account)


def point_arn(ask: Ask, point: Point, region: str) -> str:
    """ARN of a recovery point."""
    return point.arn or ask.arn("backup", f"recovery-point:{point.id}", region=region)


def _plan_arn(ask: Ask, plan: Plan) -> str:
    return ask.arn("backup", f"backup-plan:{plan.id}", region=plan.region)


def _plan(ask: Ask) -> Plan:
    for each in ask.plan.plans:
        if each.region == ask.region and each.id == ask.text("BackupPlanId"):
            return each
    raise RefusedError("ResourceNotFoundException", f"Backup Plan {ask.text('BackupPlanId')} not found", 400)


def _plans(ask: Ask) -> Output:
    page, more = _page(ask, [each for each in ask.plan.plans if each.region == ask.region])
    return {
        "BackupPlansList": [
            {
                "BackupPlanArn": _plan_arn(ask, each),
                "BackupPlanId": each.id,
                "BackupPlanName": each.name,
                "VersionId": "v1",
                "CreationDate": ask.ago(200),
                "LastExecutionDate": ask.ago(1),
            }
            for each in page
        ],
        **more,
    }


def _get_plan(ask: Ask) -> Output:
    plan = _plan(ask)
    rules = [
        sparse(
            RuleName=each.name,
            RuleId=f"{plan.id}-{each.name}",
            TargetBackupVaultName=each.vault,
            TargetLogicallyAirGappedBackupVaultArn=each.air_gapped,
            ScheduleExpression="cron(0 3 * * ? *)",
            CopyActions=[
                {"DestinationBackupVaultArn": arn, "Lifecycle": {"DeleteAfterDays": 35}} for arn in each.copies_to
            ],
            Lifecycle={"DeleteAfterDays": 35},
        )
        for each in plan.rules
    ]
    return {
        "BackupPlan": {"BackupPlanName": plan.name, "Rules": rules},
        "BackupPlanId": plan.id,
        "BackupPlanArn": _plan_arn(ask, plan),
        "VersionId": "v1",
        "CreationDate": ask.ago(200),
        "LastExecutionDate": ask.ago(1),
    }


def _selections(ask: Ask) -> Output:
    plan = _plan(ask)
    page, more = _page(ask, [f"{plan.id}-selection"] if plan.resources else [])
    return {
        "BackupSelectionsList": [
            {
                "SelectionId": each,
                "SelectionName": "crm",
                "BackupPlanId": plan.id,
                "CreationDate": ask.ago(200),
                "IamRoleArn": _role(ask),
            }
            for each in page
        ],
        **more,
    }


def _selection(ask: Ask) -> Output:
    plan = _plan(ask)
    if ask.text("SelectionId") != f"{plan.id}-selection":
        raise RefusedError("ResourceNotFoundException", "Backup selection not found", 400)
    chosen = {"SelectionName": "crm", "IamRoleArn": _role(ask), "Resources": list(plan.resources)}
    return {
        "BackupSelection": chosen,
        "SelectionId": ask.text("SelectionId"),
        "BackupPlanId": plan.id,
        "CreationDate": ask.ago(200),
    }


def _role(ask: Ask) -> str:
    return ask.arn("iam", "role/backup", region="")


def _vaults_here(ask: Ask) -> list[Vault]:
    return [each for each in ask.plan.vaults if each.region == ask.region and each.account in (None, ask.plan.account)]


def _vault_told(ask: Ask, vault: Vault) -> dict[str, object]:
    return sparse(
        BackupVaultName=vault.name,
        BackupVaultArn=vault_arn(ask, vault.name, vault.region),
        VaultType="LOGICALLY_AIR_GAPPED_BACKUP_VAULT" if vault.air_gapped else "BACKUP_VAULT",
        VaultState="AVAILABLE",
        CreationDate=ask.ago(300),
        EncryptionKeyArn=ask.key(vault.key),
        NumberOfRecoveryPoints=len(vault.points),
        Locked=False,
    )


def _vaults(ask: Ask) -> Output:
    page, more = _page(ask, _vaults_here(ask))
    return {"BackupVaultList": [_vault_told(ask, each) for each in page], **more}


def _vault(ask: Ask) -> Vault:
    name = ask.text("BackupVaultName")
    for each in _vaults_here(ask):
        if each.name == name:
            return each
    # a vault that is not there, and one that may not be seen, are the same to AWS Backup
    raise RefusedError("AccessDeniedException", f"Backup vault {name} does not exist or access is denied", 403)


def _describe_vault(ask: Ask) -> Output:
    return _vault_told(ask, _vault(ask))


def _source(ask: Ask, point: Point) -> str | None:
    if point.copied_from is None:
        return None
    name, region = split_at(point.copied_from, ask.region)
    return vault_arn(ask, name, region)


def _point_told(ask: Ask, vault: Vault, point: Point) -> dict[str, object]:
    key = ask.key(point.key)
    return sparse(
        RecoveryPointArn=point_arn(ask, point, vault.region),
        BackupVaultName=vault.name,
        BackupVaultArn=vault_arn(ask, vault.name, vault.region),
        SourceBackupVaultArn=_source(ask, point),
        ResourceArn=point.of,
        ResourceType=point.kind,
        Status="COMPLETED",
        CreationDate=ask.ago(point.days),
        CompletionDate=ask.ago(point.days - 0.01),
        BackupSizeInBytes=4096,
        EncryptionKeyArn=key,
        IsEncrypted=key is not None,
        IamRoleArn=_role(ask),
    )


def _points_by_vault(ask: Ask) -> Output:
    vault, of = _vault(ask), ask.text("ByResourceArn")
    page, more = _page(ask, [each for each in vault.points if of in ("", each.of)])
    return {"RecoveryPoints": [_point_told(ask, vault, each) for each in page], **more}


def _points_by_resource(ask: Ask) -> Output:
    of = ask.text("ResourceArn")
    found = [
        sparse(
            RecoveryPointArn=point_arn(ask, point, vault.region),
            CreationDate=ask.ago(point.days),
            Status="COMPLETED",
            EncryptionKeyArn=ask.key(point.key),
            BackupSizeBytes=4096,
            BackupVaultName=vault.name,
        )
        for vault in _vaults_here(ask)
        for point in vault.points
        if point.of == of
    ]
    page, more = _page(ask, found)
    return {"RecoveryPoints": list(page), **more}


def _describe_point(ask: Ask) -> Output:
    vault, given = _vault(ask), ask.text("RecoveryPointArn")
    for each in vault.points:
        if point_arn(ask, each, vault.region) == given:
            return {**_point_told(ask, vault, each), "StorageClass": "WARM"}
    raise RefusedError("ResourceNotFoundException", f"Recovery point {given} not found", 400)


def _jobs(ask: Ask, *, copies: bool) -> list[Job]:
    of, state, kind = ask.text("ByResourceArn"), ask.text("ByState"), ask.text("ByResourceType")
    after, before = ask.moment("ByCreatedAfter"), ask.moment("ByCreatedBefore")
    return [
        each
        for each in ask.plan.jobs
        if each.region == ask.region
        and (each.to is not None) == copies
        and each.days <= _KEPT_DAYS
        and of in ("", each.of)
        and state in ("", "ANY", each.state)
        and kind in ("", each.kind)
        and (after is None or ask.ago(each.days) >= after)
        and (before is None or ask.ago(each.days) <= before)
    ]


def _copy_jobs(ask: Ask) -> Output:
    to = ask.text("ByDestinationVaultArn")
    page, more = _page(ask, [each for each in _jobs(ask, copies=True) if to in ("", each.to)])
    return {
        "CopyJobs": [
            sparse(
                AccountId=ask.plan.account,
                CopyJobId=each.id,
                SourceBackupVaultArn=vault_arn(ask, each.vault, each.region),
                SourceRecoveryPointArn=ask.arn("backup", f"recovery-point:{each.point or each.id}", region=each.region),
                DestinationBackupVaultArn=each.to,
                DestinationRecoveryPointArn=ask.arn(
                    "backup", f"recovery-point:{each.id}", region=(each.to or "").split(":")[3]
                ),
                ResourceArn=each.of,
                ResourceType=each.kind,
                CreationDate=ask.ago(each.days),
                CompletionDate=ask.ago(each.days - 0.01),
                State=each.state,
                IamRoleArn=_role(ask),
                BackupSizeInBytes=4096,
            )
            for each in page
        ],
        **more,
    }


def _backup_jobs(ask: Ask) -> Output:
    vault = ask.text("ByBackupVaultName")
    page, more = _page(ask, [each for each in _jobs(ask, copies=False) if vault in ("", each.vault)])
    return {
        "BackupJobs": [
            {
                "AccountId": ask.plan.account,
                "BackupJobId": each.id,
                "BackupVaultName": each.vault,
                "BackupVaultArn": vault_arn(ask, each.vault, each.region),
                "RecoveryPointArn": ask.arn("backup", f"recovery-point:{each.point or each.id}", region=each.region),
                "ResourceArn": each.of,
                "ResourceType": each.kind,
                "CreationDate": ask.ago(each.days),
                "CompletionDate": ask.ago(each.days - 0.01),
                "State": each.state,
                "PercentDone": "100.0",
                "IamRoleArn": _role(ask),
            }
            for each in page
        ],
        **more,
    }


def _protected(ask: Ask) -> Output:
    last: dict[str, tuple[Vault, Point]] = {}
    for vault in _vaults_here(ask):
        for point in vault.points:
            if point.of.split(":")[3] not in ("", ask.region):
                continue
            if point.of not in last or last[point.of][1].days > point.days:
                last[point.of] = (vault, point)
    page, more = _page(ask, list(last.items()))
    return {
        "Results": [
            {
                "ResourceArn": of,
                "ResourceType": point.kind,
                "LastBackupTime": ask.ago(point.days),
                "LastBackupVaultArn": vault_arn(ask, vault.name, vault.region),
                "LastRecoveryPointArn": point_arn(ask, point, vault.region),
            }
            for of, (vault, point) in page
        ],
        **more,
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "ListBackupPlans": _plans,
    "GetBackupPlan": _get_plan,
    "ListBackupSelections": _selections,
    "GetBackupSelection": _selection,
    "ListBackupVaults": _vaults,
    "DescribeBackupVault": _describe_vault,
    "ListRecoveryPointsByBackupVault": _points_by_vault,
    "ListRecoveryPointsByResource": _points_by_resource,
    "DescribeRecoveryPoint": _describe_point,
    "ListCopyJobs": _copy_jobs,
    "ListBackupJobs": _backup_jobs,
    "ListProtectedResources": _protected,
}

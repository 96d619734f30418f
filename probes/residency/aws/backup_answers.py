"""What AWS Backup says of recovery points and of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from probes.clouds.aws.reading import Answer, flag, instant, instant_or_none, text, text_or_none

_DONE: Final = ("COMPLETED", "PARTIAL", "RUNNING", "CREATED")


@dataclass(frozen=True, slots=True)
class Point:
    """A recovery point."""

    id: str
    source: str | None
    """The vault that it was copied from."""
    resource: str | None
    encrypted: bool | None
    key: str | None
    key_type: str | None
    created: datetime | None

    @property
    def kind(self) -> tuple[object, ...]:
        """What is judged of it."""
        return (self.source, self.encrypted, self.key, self.key_type)


@dataclass(frozen=True, slots=True)
class Job:
    """A backup job, from a resource into a vault, or a copy job, from vault to vault."""

    source: str
    """Vault, or resource."""
    target: str
    state: str
    at: datetime

    @property
    def copied(self) -> bool:
        """Whether there is something in the target, or will be in a moment."""
        return self.state in _DONE


def point(item: Answer) -> Point:
    """An entry of ListRecoveryPointsByBackupVault. Raises MalformedError."""
    return Point(
        text(item, "RecoveryPointArn"),
        text_or_none(item, "SourceBackupVaultArn"),
        text_or_none(item, "ResourceArn"),
        flag(item, "IsEncrypted") if "IsEncrypted" in item else None,
        text_or_none(item, "EncryptionKeyArn"),
        text_or_none(item, "EncryptionKeyType"),
        instant_or_none(item, "CreationDate"),
    )


def backup_job(item: Answer) -> Job:
    """An entry of ListBackupJobs. Raises MalformedError."""
    vault = text_or_none(item, "BackupVaultArn") or ""
    return Job(text(item, "ResourceArn"), vault, text(item, "State"), instant(item, "CreationDate"))


def copy_job(item: Answer) -> Job:
    """An entry of ListCopyJobs. Raises MalformedError."""
    source, target = text(item, "SourceBackupVaultArn"), text(item, "DestinationBackupVaultArn")
    return Job(source, target, text(item, "State"), instant(item, "CreationDate"))

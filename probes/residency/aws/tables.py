"""DynamoDB: tables, replicas and witnesses of global tables, backups, exports to S3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child,
    child_or_none,
    children,
    instant_or_none,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.buckets import Buckets
from probes.residency.aws.graph import PENDING, Matters, in_region, seen_not, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, arn, is_bucket, is_region
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, Unneeded

_PAGE: Final = 100
_DESCRIBED: Final = 100
"""Backups and exports of one table that are described."""
_OLD: Final = "2017.11.29"
"""Version of global tables whose replicas another call tells."""
_EXPORTED: Final = ("COMPLETED", "IN_PROGRESS")


@dataclass(slots=True)
class Tables:
    """The tables of one walk."""

    asking: Asking
    keys: Keys
    buckets: Buckets
    _met: set[str] = field(default_factory=set)

    def look_all(self, region: str) -> tuple[str, ...]:
        """Every table in one Region. Their ids."""
        door = self.asking.door
        names: list[str] = []
        operation = "dynamodb:ListTables"
        with self.asking.graph.opening(f"{operation} in {region}", "everything"):
            start: str | None = None
            for _ in range(200):
                more = {} if start is None else {"ExclusiveStartTableName": start}
                answer = self.asking.ask(operation, region, door, Limit=_PAGE, **more)
                with parsing(operation):
                    if answer.get("TableNames") is None:
                        raise MalformedError("TableNames is missing")
                    found, following = texts(answer, "TableNames"), text_or_none(answer, "LastEvaluatedTableName")
                    if following is not None and following == start:
                        raise MalformedError("pages that run in a circle")
                names += found
                start = following
                if start is None:
                    break
            else:
                self.asking.opens(f"{operation} in {region}", unknown("more pages than are read"), "everything")
        ids = [Arn(self.asking.partition, "dynamodb", region, door.account, f"table/{name}") for name in names]
        for id in ids:
            self.look(id)
        return (*(str(id) for id in ids), *self._outlived(region, door, frozenset(str(id) for id in ids)))

    def _outlived(self, region: str, door: Door, tables: frozenset[str]) -> tuple[str, ...]:
        """Backups, and buckets with exports, of tables that are gone. Their ids."""
        ids: list[str] = []
        at = f"dynamodb:ListBackups in {region}"
        listed = self.asking.listed(
            "dynamodb:ListBackups",
            region,
            "BackupSummaries",
            lambda item: text(item, "BackupArn"),
            at=at,
            matters=("backups", "encryption"),
            door=door,
            token=("ExclusiveStartBackupArn", "LastEvaluatedBackupArn"),
            parameters={"BackupType": "ALL", "Limit": _PAGE},
        )
        left = [each for each in listed if ":dynamodb:" in each and each.partition("/backup/")[0] not in tables]
        for backup in left[:_DESCRIBED]:
            with self.asking.graph.opening(backup, "backups", "encryption"):
                self._backup(_table(backup), backup, door)
                ids.append(backup)
        if len(left) > _DESCRIBED:
            why = unknown(f"{len(left) - _DESCRIBED} more backups of tables that are gone were not described")
            self.asking.opens(at, why, "backups", "encryption")
        at = f"dynamodb:ListExports in {region}"
        exported = self.asking.listed(
            "dynamodb:ListExports",
            region,
            "ExportSummaries",
            lambda item: (text(item, "ExportArn"), text(item, "ExportStatus")),
            at=at,
            matters=("copies",),
            door=door,
            parameters={"MaxResults": 25},
        )
        made = [
            export
            for export, status in exported
            if status in _EXPORTED and export.partition("/export/")[0] not in tables
        ]
        for export in made[:_DESCRIBED]:
            with self.asking.graph.opening(export, "copies"):
                ids.append(self.buckets.id(self._export(_table(export), export, door)))
        if len(made) > _DESCRIBED:
            why = unknown(f"{len(made) - _DESCRIBED} more exports of tables that are gone were not described")
            self.asking.opens(at, why, "copies")
        return tuple(dict.fromkeys(ids))

    def look(self, wanted: Arn) -> None:
        """One table, its replicas, and everything that was made of it."""
        if str(wanted) in self._met:
            return
        self._met.add(str(wanted))
        graph, id = self.asking.graph, str(wanted)
        door, name = self.asking.of(wanted.owner), wanted.resource.removeprefix("table/")
        if door is None:
            why = unknown(f"in account {wanted.account}, where no identity of `others` reads")
            graph.put(id, NodeKind.TABLE, wanted.owner, in_region(wanted.region), why)
            graph.ends(id, "everything", why)
            return
        operation = "dynamodb:DescribeTable"
        try:
            answer = self.asking.ask(operation, wanted.region, door, TableName=name)
            with parsing(operation):
                table = child(answer, "Table")
                if text(table, "TableArn") != id:
                    raise MalformedError("the answer is about another table")
                described = child_or_none(table, "SSEDescription")
                replicas = [_region(each) for each in children(table, "Replicas")]
                accounts = [text_or_none(each, "ReplicaArn") for each in children(table, "Replicas")]
                witnesses = [_region(each) for each in children(table, "GlobalTableWitnesses")]
                version = text_or_none(table, "GlobalTableVersion")
                created = instant_or_none(table, "CreationDateTime")
                encryption = self._encryption(described, wanted)
        except ProbeError as error:
            why = seen_not(error)
            graph.put(id, NodeKind.TABLE, wanted.owner, in_region(wanted.region), why)
            graph.ends(id, "everything", error)
            return
        graph.put(id, NodeKind.TABLE, wanted.owner, in_region(wanted.region), encryption, created=created)
        self.keys.tie(id, encryption)
        if version == _OLD:
            with graph.opening(id, "copies"):
                replicas += self._old(wanted, name, door)
        self._spread(wanted, replicas, accounts, witnesses)
        self._made(wanted, name, door, encryption)

    def _encryption(self, described: Answer | None, wanted: Arn) -> Encryption | Unseen:
        """A table without a description is under a key that DynamoDB owns (API reference, SSEDescription)."""
        if described is None or text_or_none(described, "SSEType") is None:
            return Encryption(method="provider-key", algorithm=None, key=None, key_manager="aws")
        kind, key = text(described, "SSEType"), text_or_none(described, "KMSMasterKeyArn")
        if kind == "KMS" and key is None:
            raise MalformedError("a table under KMS whose key is not told")
        return self.keys.under(key, wanted.region, wanted.owner, kind)

    def _old(self, wanted: Arn, name: str, door: Door) -> list[str]:
        operation = "dynamodb:DescribeGlobalTable"
        answer = self.asking.ask(operation, wanted.region, door, GlobalTableName=name)
        with parsing(operation):
            told = child(answer, "GlobalTableDescription")
            return [_region(each) for each in children(told, "ReplicationGroup", required=True)]

    def _spread(self, wanted: Arn, replicas: list[str], arns: list[str | None], witnesses: list[str]) -> None:
        graph, id = self.asking.graph, str(wanted)
        others = {str(_moved(wanted, region)): _moved(wanted, region) for region in replicas if region != wanted.region}
        for told in filter(None, arns):
            try:
                found = arn(told)
            except ValueError:
                self.asking.opens(id, unknown("a replica whose ARN is none"), "copies")
                continue
            # A replica in another account is told by its ARN alone.
            others.pop(str(_moved(wanted, found.region)), None)
            if found != wanted:
                others[str(found)] = found
        for other in others.values():
            graph.put(str(other), NodeKind.TABLE, other.owner, in_region(other.region), PENDING)
            graph.edge(id, str(other), EdgeKind.REPLICATES, Basis.HAPPENED, "global table")
        for region in witnesses:
            witness = f"{_moved(wanted, region)}/witness"
            graph.put(witness, NodeKind.WITNESS, wanted.owner, in_region(region), Unneeded())
            graph.edge(id, witness, EdgeKind.WITNESSES, Basis.HAPPENED, "global table with strong consistency")
        for other in others.values():
            with self.asking.deeper(str(other)) as followed:
                if followed:
                    self.look(other)

    def _made(self, wanted: Arn, name: str, door: Door, encryption: Encryption | Unseen) -> None:
        graph, id = self.asking.graph, str(wanted)
        with graph.opening(id, "backups"):
            if self._continuous(wanted, name, door):
                backup = f"{id}/point-in-time-recovery"
                note = "in the table's Region and under its key, by AWS's documentation"
                graph.put(backup, NodeKind.BACKUP, wanted.owner, in_region(wanted.region), encryption, note=note)
                graph.edge(id, backup, EdgeKind.BACKS_UP, Basis.CONFIGURED, "point-in-time recovery")
        self._backups(wanted, name, door)
        self._exports(wanted, door)

    def _continuous(self, wanted: Arn, name: str, door: Door) -> bool:
        operation = "dynamodb:DescribeContinuousBackups"
        answer = self.asking.ask(operation, wanted.region, door, TableName=name)
        with parsing(operation):
            told = child(answer, "ContinuousBackupsDescription")
            point = child_or_none(told, "PointInTimeRecoveryDescription") or {}
            return text_or_none(point, "PointInTimeRecoveryStatus") == "ENABLED"

    def _backups(self, wanted: Arn, name: str, door: Door) -> None:
        found = self.asking.listed(
            "dynamodb:ListBackups",
            wanted.region,
            "BackupSummaries",
            lambda item: text(item, "BackupArn"),
            at=str(wanted),
            matters=("backups",),
            door=door,
            token=("ExclusiveStartBackupArn", "LastEvaluatedBackupArn"),
            parameters={"TableName": name, "BackupType": "ALL", "Limit": _PAGE},
        )
        # AWS Backup's own are its recovery points, which are looked at there.
        own = [each for each in found if ":dynamodb:" in each]
        for backup in own[:_DESCRIBED]:
            with self.asking.graph.opening(backup, "backups", "encryption"):
                self._backup(wanted, backup, door)
        self._rest(wanted, "backups", len(own), "backups", "encryption")

    def _backup(self, wanted: Arn, backup: str, door: Door) -> None:
        operation = "dynamodb:DescribeBackup"
        answer = self.asking.ask(operation, wanted.region, door, BackupArn=backup)
        with parsing(operation):
            told = child(answer, "BackupDescription")
            details = child(told, "BackupDetails")
            if text(details, "BackupArn") != backup:
                raise MalformedError("the answer is about another backup")
            created = instant_or_none(details, "BackupCreationDateTime")
            features = child_or_none(told, "SourceTableFeatureDetails") or {}
            encryption = self._encryption(child_or_none(features, "SSEDescription"), wanted)
        graph = self.asking.graph
        graph.put(backup, NodeKind.BACKUP, wanted.owner, in_region(wanted.region), encryption, created=created)
        if graph.node(str(wanted)) is not None:
            graph.edge(str(wanted), backup, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup", created)
        self.keys.tie(backup, encryption)

    def _exports(self, wanted: Arn, door: Door) -> None:
        found = self.asking.listed(
            "dynamodb:ListExports",
            wanted.region,
            "ExportSummaries",
            lambda item: (text(item, "ExportArn"), text(item, "ExportStatus")),
            at=str(wanted),
            matters=("copies",),
            door=door,
            parameters={"TableArn": str(wanted), "MaxResults": 25},
        )
        made = [export for export, status in found if status in _EXPORTED]
        for export in made[:_DESCRIBED]:
            with self.asking.graph.opening(export, "copies"):
                self._export(wanted, export, door)
        self._rest(wanted, "exports", len(made), "copies")

    def _export(self, wanted: Arn, export: str, door: Door) -> str:
        """The bucket's name."""
        operation = "dynamodb:DescribeExport"
        answer = self.asking.ask(operation, wanted.region, door, ExportArn=export)
        with parsing(operation):
            told = child(answer, "ExportDescription")
            bucket, owner = text(told, "S3Bucket"), text_or_none(told, "S3BucketOwner")
            at = instant_or_none(told, "ExportTime")
            if not is_bucket(bucket):
                raise MalformedError("an S3Bucket that is none")
        self.buckets.look(bucket, owner)
        name, graph = export.rpartition("/")[2], self.asking.graph
        if graph.node(str(wanted)) is not None:
            graph.edge(str(wanted), self.buckets.id(bucket), EdgeKind.COPIES, Basis.HAPPENED, f"export {name}", at)
        return bucket

    def _rest(self, wanted: Arn, what: str, number: int, *matters: Matters) -> None:
        if number > _DESCRIBED:
            why = unknown(f"{number - _DESCRIBED} more {what} were not described")
            self.asking.opens(str(wanted), why, *matters)


def _moved(wanted: Arn, region: str) -> Arn:
    return Arn(wanted.partition, wanted.service, region, wanted.account, wanted.resource)


def _region(item: Answer) -> str:
    name = text(item, "RegionName")
    if not is_region(name):
        raise MalformedError("a RegionName that is none")
    return name


def _table(made: str) -> Arn:
    """The table that a backup or an export is of. Raises ProbeError."""
    with parsing("dynamodb"):
        try:
            return arn(made.rpartition("/")[0].rpartition("/")[0])
        except ValueError as error:
            raise MalformedError("what is no ARN of a table's backup or export") from error

"""AWS Backup: where plans will copy, and where jobs did.

A plan says what will happen. What happened is told by the jobs of the last 90 days, and by the recovery points that
exist: both are asked, as a plan can be changed after it copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child,
    child_or_none,
    children,
    flag,
    instant,
    instant_or_none,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.residency.aws.asking import Asking, Door, few
from probes.residency.aws.graph import PENDING, in_region, seen_not, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import arn, like
from probes.residency.store_facts import MAX_NODES, Basis, EdgeKind, Encryption, NodeKind, Unneeded

WINDOW: Final = timedelta(days=90)
"""How far back jobs are asked for."""
_PAGE: Final = 500
_SHOWN: Final = 10
"""Recovery points of a vault that are alike in all that is judged."""
_COPIED: Final = ("COMPLETED", "PARTIAL", "RUNNING", "CREATED")


@dataclass(frozen=True, slots=True)
class _Rule:
    plan: str
    name: str
    vault: str
    copies: tuple[str, ...]
    """ARNs of vaults."""
    selections: tuple[_Selection, ...] | None
    """None: they are not told."""

    def touches(self, resource: str) -> bool:
        """Whether it backs the resource up, as far as that can be decided; what cannot be decided does."""
        return self.selections is None or any(each.touches(resource) for each in self.selections)


@dataclass(frozen=True, slots=True)
class _Selection:
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    conditional: bool
    """By tags or other conditions: what it touches is not decided here."""

    def touches(self, resource: str) -> bool:
        if any(like(pattern, resource) for pattern in self.not_resources):
            return False
        return self.conditional or any(like(pattern, resource) for pattern in self.resources)


@dataclass(frozen=True, slots=True)
class _Point:
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
        return (self.source, self.encrypted, self.key, self.key_type)


@dataclass(frozen=True, slots=True)
class _Job:
    source: str
    """Vault, or resource."""
    target: str
    state: str
    at: datetime


@dataclass(slots=True)
class Backups:
    """AWS Backup in one walk. `resource`: what alone is of interest; None: everything in the account."""

    asking: Asking
    keys: Keys
    resource: str | None
    _followed: set[str] = field(default_factory=set)
    _jobs: dict[tuple[str, str], tuple[_Job, ...]] = field(default_factory=dict)
    _waiting: list[str] = field(default_factory=list)

    def look(self, region: str, roots: Iterable[str]) -> tuple[str, ...]:
        """What backs up `roots` in one Region of our own account, and where that goes. Ids of the vaults."""
        door = self.asking.door
        vaults = set(self._listed(region, door)) if self.resource is None else set(self._holding(region, door))
        self._planned(region, door, vaults, tuple(roots))
        self._backed_up(region, door, vaults, tuple(roots))
        self.follow(vaults)
        return tuple(sorted(vaults))

    def follow(self, vaults: Iterable[str]) -> None:
        """The vaults, what lies in them, and every vault that something was copied to from there."""
        self._waiting.extend(sorted(vaults))
        while self._waiting:
            vault = self._waiting.pop()
            if len(self._followed) >= MAX_NODES:
                self.asking.opens(vault, unknown(f"more than {MAX_NODES} vaults"), "everything")
                self._waiting.clear()
                return
            if vault not in self._followed:
                self._followed.add(vault)
                self._follow(vault)

    def _follow(self, vault: str) -> None:
        graph = self.asking.graph
        try:
            found = arn(vault)
        except ValueError:
            found = None
        if found is None or found.service != "backup" or not found.region:
            graph.put(vault, NodeKind.VAULT, None, unknown("no ARN of a vault"), Unneeded())
            graph.ends(vault, "backups", unknown("no ARN of a vault"))
            return
        door = self.asking.of(found.owner)
        if door is None:
            why = unknown(
                f"in account {found.account}, where no identity of `others` reads: what is copied from it is not known"
            )
            graph.put(vault, NodeKind.VAULT, found.owner, in_region(found.region), why, note=f"in {found.account}")
            graph.ends(vault, "backups", why)
            graph.ends(vault, "encryption", why)
            return
        self._describe(vault, found.region, found.owner, door)
        self._points(vault, found.region, found.owner, door)
        for job in self._copied(found.region, door):
            if job.source == vault:
                self._copy(job)

    def _copy(self, job: _Job) -> None:
        self._there(job.target)
        if job.state in _COPIED:
            basis, detail = Basis.HAPPENED, "copy job"
        else:
            basis, detail = Basis.CONFIGURED, f"copy job, {job.state.lower()}"
        self.asking.graph.edge(job.source, job.target, EdgeKind.COPIES, basis, detail, job.at)
        self._waiting.append(job.target)

    def _ours(self, vault: str) -> bool:
        try:
            return self.asking.of(arn(vault).account) is not None
        except ValueError:
            return False

    def _there(self, vault: str) -> None:
        """A vault by its ARN, until it is looked at."""
        try:
            found = arn(vault)
            place, owner = in_region(found.region) if found.region else unknown("no Region in its ARN"), found.owner
        except ValueError:
            place, owner = unknown("no ARN of a vault"), None
        self.asking.graph.put(vault, NodeKind.VAULT, owner, place, PENDING)

    def _describe(self, vault: str, region: str, account: str | None, door: Door) -> None:
        operation = "backup:DescribeBackupVault"
        name = vault.rpartition(":")[2]
        key: str | None = None
        note: str | None = None
        encryption: Encryption | Unseen
        try:
            answer = self.asking.ask(operation, region, door, BackupVaultName=name)
            with parsing(operation):
                if text(answer, "BackupVaultArn") != vault:
                    raise MalformedError("the answer is about another vault")
                key, note = text_or_none(answer, "EncryptionKeyArn"), text_or_none(answer, "VaultType")
            encryption = self.keys.under(key, region, account, "aws:kms")
        except ProbeError as error:
            encryption = seen_not(error)
            self.asking.opens(vault, error, "encryption")
        self.asking.graph.put(vault, NodeKind.VAULT, account, in_region(region), encryption, note=note)
        self.keys.tie(vault, encryption)

    def _listed(self, region: str, door: Door) -> tuple[str, ...]:
        return self.asking.listed(
            "backup:ListBackupVaults",
            region,
            "BackupVaultList",
            lambda item: text(item, "BackupVaultArn"),
            at=f"backup:ListBackupVaults in {region}",
            matters=("backups",),
            door=door,
            parameters={"MaxResults": _PAGE},
        )

    def _holding(self, region: str, door: Door) -> tuple[str, ...]:
        """Vaults with recovery points of the resource."""
        names = self.asking.listed(
            "backup:ListRecoveryPointsByResource",
            region,
            "RecoveryPoints",
            lambda item: text(item, "BackupVaultName"),
            at=f"backup:ListRecoveryPointsByResource in {region}",
            matters=("backups",),
            door=door,
            parameters={"ResourceArn": self.resource, "MaxResults": _PAGE},
        )
        return tuple(sorted({self._vault(region, door.account, name) for name in names}))

    def _vault(self, region: str, account: str, name: str) -> str:
        return f"arn:{self.asking.partition}:backup:{region}:{account}:backup-vault:{name}"

    def _points(self, vault: str, region: str, account: str | None, door: Door) -> None:
        def point(item: Answer) -> _Point:
            return _Point(
                text(item, "RecoveryPointArn"),
                text_or_none(item, "SourceBackupVaultArn"),
                text_or_none(item, "ResourceArn"),
                flag(item, "IsEncrypted") if "IsEncrypted" in item else None,
                text_or_none(item, "EncryptionKeyArn"),
                text_or_none(item, "EncryptionKeyType"),
                instant_or_none(item, "CreationDate"),
            )

        found = self.asking.listed(
            "backup:ListRecoveryPointsByBackupVault",
            region,
            "RecoveryPoints",
            point,
            at=vault,
            matters=("backups", "encryption"),
            door=door,
            parameters={
                "BackupVaultName": vault.rpartition(":")[2],
                "MaxResults": _PAGE,
                **({} if self.resource is None else {"ByResourceArn": self.resource}),
            },
        )
        graph = self.asking.graph
        for alike in few(found, lambda each: each.kind, _SHOWN):
            each = alike.one
            encryption = self._encrypted(each, region, account)
            note = f"of {each.resource or 'what is not told'}" + (f", and {alike.more} alike" if alike.more else "")
            if graph.put(each.id, NodeKind.BACKUP, account, in_region(region), encryption, created=each.created,
                         note=note):  # fmt: skip
                graph.edge(vault, each.id, EdgeKind.BACKS_UP, Basis.HAPPENED, "recovery point", each.created)
                self.keys.tie(each.id, encryption)
            if isinstance(encryption, Unseen):
                graph.ends(each.id, "encryption", encryption)
        for source in sorted({each.source for each in found if each.source is not None} - {vault}):
            # What came from accounts that nobody reads for us is theirs.
            if self._ours(source):
                self._there(source)
                graph.edge(source, vault, EdgeKind.COPIES, Basis.HAPPENED, "recovery point that was copied")
                self._waiting.append(source)

    def _encrypted(self, point: _Point, region: str, account: str | None) -> Encryption | Unseen:
        if point.encrypted is False:
            return Encryption(method="none", algorithm=None, key=None)
        if point.key is not None:
            return self.keys.under(point.key, region, account, None)
        if point.key_type == "AWS_OWNED_KMS_KEY":
            return Encryption(method="provider-key", algorithm=None, key=None, key_manager="aws")
        return unknown("AWS Backup does not tell whether it is encrypted, or under which key")

    def _planned(self, region: str, door: Door, vaults: set[str], roots: tuple[str, ...]) -> None:
        graph = self.asking.graph
        for rule in self._rules(region, door):
            touched = [
                root for root in roots if rule.selections is None or any(s.touches(root) for s in rule.selections)
            ]
            if self.resource is not None and not touched:
                continue
            vault = self._vault(region, door.account, rule.vault)
            self._there(vault)
            vaults.add(vault)
            detail = f"plan {rule.plan}, rule {rule.name}"
            for root in touched:
                graph.edge(root, vault, EdgeKind.BACKS_UP, Basis.CONFIGURED, detail)
            for target in rule.copies:
                self._there(target)
                graph.edge(vault, target, EdgeKind.COPIES, Basis.CONFIGURED, detail)
                self._waiting.append(target)

    def _rules(self, region: str, door: Door) -> tuple[_Rule, ...]:
        plans = self.asking.listed(
            "backup:ListBackupPlans",
            region,
            "BackupPlansList",
            lambda item: text(item, "BackupPlanId"),
            at=f"backup:ListBackupPlans in {region}",
            matters=("backups",),
            door=door,
            parameters={"MaxResults": _PAGE},
        )
        rules: list[_Rule] = []
        for plan in plans:
            with self.asking.graph.opening(f"backup plan {plan} in {region}", "backups"):
                rules += self._plan(plan, region, door)
        return tuple(rules)

    def _plan(self, plan: str, region: str, door: Door) -> tuple[_Rule, ...]:
        operation = "backup:GetBackupPlan"
        answer = self.asking.ask(operation, region, door, BackupPlanId=plan)
        with parsing(operation):
            told = child(answer, "BackupPlan")
            written = []
            for rule in children(told, "Rules", required=True):
                copies = [text(copy, "DestinationBackupVaultArn") for copy in children(rule, "CopyActions")]
                gapped = text_or_none(rule, "TargetLogicallyAirGappedBackupVaultArn")
                written.append(
                    (text(rule, "RuleName"), text(rule, "TargetBackupVaultName"), (*copies, *filter(None, [gapped])))
                )
            name = text(told, "BackupPlanName")
        selections = self._selections(plan, region, door)
        return tuple(_Rule(name, rule, vault, copies, selections) for rule, vault, copies in written)

    def _selections(self, plan: str, region: str, door: Door) -> tuple[_Selection, ...] | None:
        """What a plan backs up; None where that is not told, and then it is everything."""
        listing = "backup:ListBackupSelections"
        made: list[_Selection] = []
        try:
            token: str | None = None
            for _ in range(20):
                more: dict[str, object] = {} if token is None else {"NextToken": token}
                answer = self.asking.ask(listing, region, door, BackupPlanId=plan, **more)
                with parsing(listing):
                    ids = [
                        text(item, "SelectionId") for item in children(answer, "BackupSelectionsList", required=True)
                    ]
                    token = text_or_none(answer, "NextToken")
                made += [self._selection(plan, id, region, door) for id in ids]
                if token is None:
                    return tuple(made)
        except ProbeError:
            return None
        return None

    def _selection(self, plan: str, id: str, region: str, door: Door) -> _Selection:
        operation = "backup:GetBackupSelection"
        answer = self.asking.ask(operation, region, door, BackupPlanId=plan, SelectionId=id)
        with parsing(operation):
            told = child(answer, "BackupSelection")
            conditions = child_or_none(told, "Conditions") or {}
            tags = children(told, "ListOfTags")
            return _Selection(
                texts(told, "Resources"), texts(told, "NotResources"), bool(tags) or any(conditions.values())
            )

    def _backed_up(self, region: str, door: Door, vaults: set[str], roots: tuple[str, ...]) -> None:
        def job(item: Answer) -> _Job:
            vault = text_or_none(item, "BackupVaultArn") or ""
            return _Job(text(item, "ResourceArn"), vault, text(item, "State"), instant(item, "CreationDate"))

        graph = self.asking.graph
        for each in self._jobs_of("backup:ListBackupJobs", "BackupJobs", job, region, door):
            if each.state not in _COPIED or not each.target:
                continue
            self._there(each.target)
            vaults.add(each.target)
            if each.source in roots:
                graph.edge(each.source, each.target, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup job", each.at)

    def _copied(self, region: str, door: Door) -> tuple[_Job, ...]:
        """Copy jobs of an account in a Region, asked once."""

        def job(item: Answer) -> _Job:
            return _Job(
                text(item, "SourceBackupVaultArn"),
                text(item, "DestinationBackupVaultArn"),
                text(item, "State"),
                instant(item, "CreationDate"),
            )

        key = (door.account, region)
        if key not in self._jobs:
            self._jobs[key] = self._jobs_of("backup:ListCopyJobs", "CopyJobs", job, region, door)
        return self._jobs[key]

    def _jobs_of(
        self, operation: str, member: str, job: Callable[[Answer], _Job], region: str, door: Door
    ) -> tuple[_Job, ...]:
        which: dict[str, object] = {} if self.resource is None else {"ByResourceArn": self.resource}
        return self.asking.listed(
            operation,
            region,
            member,
            job,
            at=f"{operation} in {region} as {door.account}",
            matters=("backups",),
            door=door,
            parameters={"ByCreatedAfter": self.asking.now - WINDOW, "MaxResults": _PAGE, **which},
        )

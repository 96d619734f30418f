"""AWS Backup: where plans will copy, and where jobs did.

A plan says what will happen. What happened is told by the jobs that AWS Backup still tells of, and by the recovery
points that exist: both are asked, as a plan can be changed after it copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from probes.clouds.aws.reading import Answer, MalformedError, parsing, text, text_or_none
from probes.residency.alike import few
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.backup_answers import Job, Point, backup_job, copy_job, point
from probes.residency.aws.backup_plans import Plans
from probes.residency.aws.graph import PENDING, in_region, seen_not, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import arn
from probes.residency.aws.regions import elsewhere
from probes.residency.store_facts import MAX_NODES, Basis, EdgeKind, Encryption, NodeKind, Unneeded

WINDOW: Final = timedelta(days=90)
"""How far back jobs are asked for."""
TOLD: Final = timedelta(days=30)
"""How far back AWS Backup tells of them at least (API reference, ListBackupJobs: "for the last 30 days")."""
_PAGE: Final = 250
_SHOWN: Final = 10
"""Recovery points of a vault that are alike in all that is judged."""


@dataclass(slots=True)
class Backups:
    """AWS Backup in one walk. `resource`: what alone is of interest; None: everything in the account."""

    asking: Asking
    keys: Keys
    plans: Plans
    resource: str | None
    _followed: set[str] = field(default_factory=set)
    _jobs: dict[tuple[str, str], tuple[Job, ...]] = field(default_factory=dict)
    _waiting: list[str] = field(default_factory=list)

    def about(self, resource: str | None) -> Backups:
        """The same, where another resource is of interest."""
        return Backups(self.asking, self.keys, self.plans, resource)

    def look(self, region: str, roots: Iterable[str], door: Door | None = None) -> tuple[str, ...]:
        """What backs up `roots` in one Region of an account, our own unless another's `door` is given, and where that
        goes. Ids of the vaults."""
        door = door or self.asking.door
        vaults = set(self._listed(region, door)) if self.resource is None else set(self._holding(region, door))
        self._planned(region, door, vaults, tuple(roots))
        self._backed_up(region, door, vaults, tuple(roots))
        # A vault that was deleted after something was copied from it is in no listing.
        vaults |= {job.source for job in self._copied(region, door) if job.copied and self._ours(job.source)}
        self.follow(vaults)
        return tuple(sorted(vaults))

    def elsewhere(self, root: str, region: str) -> None:
        """Recovery points of the resource in the account's other Regions: a copy outlives the job and the plan that
        made it, and names no source."""
        for other in elsewhere(self.asking, region, root):
            vaults = self._holding(other, self.asking.door)
            for vault in vaults:
                self._there(vault)
                self.asking.graph.edge(root, vault, EdgeKind.BACKS_UP, Basis.HAPPENED, "recovery point that exists")
            self.follow(vaults)

    def follow(self, vaults: Iterable[str], *, declared: bool = False) -> None:
        """The vaults, what lies in them, and every vault that something was copied to from there. An empty one that
        nothing leads to is left out, unless it is `declared`."""
        self._waiting.extend(sorted(vaults))
        for vault in vaults if declared else ():
            self._there(vault)
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
        jobs = [job for job in self._copied(found.region, door) if job.source == vault]
        points = self._points_in(vault, found.region, door)
        if not (points or jobs or graph.node(vault) or any(end.at == vault for end in graph.open)):
            # AWS makes a vault wherever somebody looks at its console: it is no place of anything.
            return
        self._describe(vault, found.region, found.owner, door)
        self._points(vault, points, found.region, found.owner)
        for job in jobs:
            self._copy(job)

    def _copy(self, job: Job) -> None:
        self._there(job.target)
        if job.copied:
            basis, detail = Basis.HAPPENED, "copy job"
        else:
            basis, detail = Basis.OFF, f"copy job, {job.state.lower()}"
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

    def _points_in(self, vault: str, region: str, door: Door) -> tuple[Point, ...]:
        return self.asking.listed(
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

    def _points(self, vault: str, found: tuple[Point, ...], region: str, account: str | None) -> None:
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

    def _encrypted(self, point: Point, region: str, account: str | None) -> Encryption | Unseen:
        if point.encrypted is False:
            return Encryption(method="none", algorithm=None, key=None)
        if point.key is not None:
            return self.keys.under(point.key, region, account, None)
        if point.key_type == "AWS_OWNED_KMS_KEY":
            return Encryption(method="provider-key", algorithm=None, key=None, key_manager="aws")
        return unknown("AWS Backup does not tell whether it is encrypted, or under which key")

    def _planned(self, region: str, door: Door, vaults: set[str], roots: tuple[str, ...]) -> None:
        graph = self.asking.graph
        for rule in self.plans.rules(region, door):
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

    def _backed_up(self, region: str, door: Door, vaults: set[str], roots: tuple[str, ...]) -> None:
        graph = self.asking.graph
        for each in self._jobs_of("backup:ListBackupJobs", "BackupJobs", backup_job, region, door):
            if not each.copied or not each.target:
                continue
            self._there(each.target)
            vaults.add(each.target)
            if each.source in roots:
                graph.edge(each.source, each.target, EdgeKind.BACKS_UP, Basis.HAPPENED, "backup job", each.at)

    def _copied(self, region: str, door: Door) -> tuple[Job, ...]:
        """Copy jobs of an account in a Region, asked once."""

        key = (door.account, region)
        if key not in self._jobs:
            self._jobs[key] = self._jobs_of("backup:ListCopyJobs", "CopyJobs", copy_job, region, door)
        return self._jobs[key]

    def _jobs_of(
        self, operation: str, member: str, job: Callable[[Answer], Job], region: str, door: Door
    ) -> tuple[Job, ...]:
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

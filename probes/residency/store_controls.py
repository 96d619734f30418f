"""The controls over where stores, their copies and their backups are. Pure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Final

from keycheck.model.facts import Facts, Unseen
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.places.extents import Activity
from probes.residency.closure import Closure, Reached, closure
from probes.residency.graph import GONE, NOT_OURS
from probes.residency.residency_control import ResidencyControl
from probes.residency.store_facts import Basis, ClosureFacts, OpenEnd
from probes.weighing import Judgement, counted

_PROVES_NOT: Final = (
    "That no copy was made by other means than those that the walk asks about: an export by a program, a download, "
    "jobs of services that move data on order (DataSync, DMS, Glue, S3 Batch Operations, streams, transfers), rules "
    "and replicas that were removed, clones and copies by accounts that it was shared with before. Policies of an "
    "organisation are read as guard rails and prove nothing about what exists already."
)


NOT_ASKED: Final = "not asked: "
"""Before a service, among the questions of a closure: it may hold data and was not looked into."""


class StoreControl(ResidencyControl):
    """Base of the controls over a closure. A closure with an open end that matters is never a pass."""

    needs: ClassVar[tuple[type[Facts], ...]] = (ClosureFacts,)
    section: ClassVar[str] = "stores"
    matters: ClassVar[frozenset[str]]
    """Which open ends leave it open."""
    noun: ClassVar[str]
    nouns: ClassVar[str]

    @abstractmethod
    def concerned(self, found: Closure) -> tuple[Reached, ...]:
        """The nodes that it judges."""

    def nothing(self, facts: ClosureFacts, found: Judgement) -> Verdict | None:
        """What it means that there is no such node; None: a pass, for the closure is closed."""
        return None

    def judge(self, facts: ClosureFacts) -> Verdict:
        """Every place of every node."""
        found = Judgement()
        walked = closure(facts)
        open_ends(facts, self.matters, found)
        loose_ends(walked, found)
        nodes = self.concerned(walked)
        if not nodes and (verdict := self.nothing(facts, found)) is not None:
            return verdict
        places: set[str] = set()
        for reached in nodes:
            places |= self._placed(reached, facts, found)
        for guard in () if isinstance(facts.guards, Unseen) else facts.guards:
            found.lean(f"{guard.name} keeps new things out of other Regions, and is no part of this finding")
        if not nodes:
            return found.verdict(f"the closure is closed, and holds no {self.nouns}")
        return found.verdict(f"{counted(len(nodes), self.noun, self.nouns)} in {', '.join(sorted(places))}")

    def _placed(self, reached: Reached, facts: ClosureFacts, found: Judgement) -> frozenset[str]:
        place, note = reached.node.place, reached.node.note or ""
        if isinstance(place, Unseen):
            found.doubt(f"{reached.worded}: its place is not known: {place.detail}", place.reason)
            return frozenset()
        outside = self.outside(facts.provider, place.regions, facts.agreed.data_class)
        if outside is None:
            found.doubt(f"{reached.worded}: keycheck does not know where {', '.join(place.regions)} is")
        elif outside and note.endswith(NOT_OURS):
            found.doubt(f"{reached.worded} was in {outside}, and {NOT_OURS}")
        elif outside and note.endswith(GONE):
            found.lean(f"{reached.worded} was in {outside}, and {GONE}")
            return frozenset()
        elif outside and any(edge.basis is Basis.OFF for edge in reached.way):
            found.doubt(f"{reached.worded} is in {outside}: nothing goes there now, and something may have gone there")
        elif outside:
            found.breach(f"{reached.worded} is in {outside}")
        return frozenset(place.regions)


def open_ends(facts: ClosureFacts, matters: Iterable[str], found: Judgement) -> None:
    """Doubts about everything that could not be followed, and that matters here."""
    for end in facts.open:
        if end.matters in {*matters, "everything"}:
            found.doubt(f"{end.at}: {_why(end)}", end.why.reason)
    if passed_over := [one.removeprefix(NOT_ASKED) for one in facts.questions if one.startswith(NOT_ASKED)]:
        found.lean(f"services that were not looked into: {', '.join(passed_over)}")


def loose_ends(walked: Closure, found: Judgement) -> None:
    """Doubts about what hangs in the air: a graph that does not hold together proves nothing."""
    for edge in walked.dangling:
        found.doubt(f"{edge.source} {edge.kind.value} to {edge.target}, of which nothing is known")
    for id_ in walked.unreached:
        found.doubt(f"{id_} belongs to nothing that was declared, or was not found")


def _why(end: OpenEnd) -> str:
    return end.why.detail or end.why.reason.value


class Stores(StoreControl, id="residency.stores", version=1):
    """The stores themselves are in the jurisdiction."""

    proves = (
        "The cloud's own control plane, asked with credentials, gives for every declared store a place, and every "
        "country "
        "of that place is in the jurisdiction: a dual- or multi-region counts with all its members."
    )
    does_not_prove = "Where copies and backups are: `residency.copies`, `residency.backups`. " + _PROVES_NOT
    example = (
        "{control: residency.stores@1, for: stores, with: {jurisdiction: [EU]}, evidence: {assurance: configured}}"
    )
    sources = ("Amazon S3: HeadBucket, x-amz-bucket-region", "Cloud Storage: bucket locations")
    activity = Activity.STORE
    matters = frozenset({"stores"})
    noun = "store"
    nouns = "stores"

    def concerned(self, found: Closure) -> tuple[Reached, ...]:
        """Neither copies nor backups."""
        return found.stores

    def nothing(self, facts: ClosureFacts, found: Judgement) -> Verdict | None:
        """An account may be empty in a Region; a store that was named must be there."""
        if facts.whole_account and not found.doubts:
            return not_applicable("the cloud says that nothing is stored there")
        found.doubt(f"{facts.asked} was not found", Reason.NO_POSITIVE)
        return found.verdict("")


class Copies(StoreControl, id="residency.copies", version=1):
    """Everything that stores are replicated to is in the jurisdiction, and so are their keys."""

    proves = (
        "Each replication rule, replica, global table and witness that the cloud tells of was followed to its end, in "
        "other accounts too, and each end is in the jurisdiction; so is every key, its replicas and its key store."
    )
    does_not_prove = _PROVES_NOT
    example = (
        "{control: residency.copies@1, for: stores, with: {jurisdiction: [EU]}, evidence: {assurance: configured}}"
    )
    sources = (
        "Amazon S3: GetBucketReplication; DynamoDB: DescribeTable, GlobalTableWitnesses; RDS: read replicas",
        "AWS KMS: multi-Region keys",
    )
    activity = Activity.STORE
    matters = frozenset({"copies", "stores"})
    noun = "copy or key"
    nouns = "copies and keys"

    def concerned(self, found: Closure) -> tuple[Reached, ...]:
        """What replication reaches, and keys."""
        return found.copies


class Backups(StoreControl, id="residency.backups", version=1):
    """Every backup, snapshot and copy of one, made or ordered, is in the jurisdiction."""

    proves = (
        "Backups, snapshots and recovery points that exist, copy jobs that ran within the time that the facts name, "
        "and "
        "the copies that plans order, all lie in the jurisdiction."
    )
    does_not_prove = "What copy jobs did before the time that the service still tells of. " + _PROVES_NOT
    example = (
        "{control: residency.backups@1, for: stores, with: {jurisdiction: [EU]}, evidence: {assurance: configured}}"
    )
    sources = (
        "AWS Backup: ListCopyJobs, GetBackupPlan, ListRecoveryPointsByBackupVault; RDS: DBSnapshot.SourceRegion",
    )
    activity = Activity.BACK_UP
    matters = frozenset({"backups", "copies", "stores"})  # of copies that are not known, backups are not known either
    noun = "backup"
    nouns = "backups"

    def concerned(self, found: Closure) -> tuple[Reached, ...]:
        """Backups, and copies of them."""
        return found.backups

"""The walk: from the roots along every edge, and what a project holds by service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, assert_never

from keycheck.errors import ProbeError
from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Census
from keycheck.model.observation import Blob, Disposition
from keycheck.model.probe import WHOLE, Io
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.residency.gcp.asking import Asking, asking
from probes.residency.gcp.bigquery import DataSets
from probes.residency.gcp.buckets import Buckets
from probes.residency.gcp.disks import Disks
from probes.residency.gcp.files import Files
from probes.residency.gcp.firestore import Documents
from probes.residency.gcp.guards import guards
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import Full, full_name, is_bucket, is_dataset
from probes.residency.gcp.services import NOT_ASKED, others
from probes.residency.gcp.spanner import Spanner
from probes.residency.gcp.sql import Databases
from probes.residency.gcp.transfers import Transfers
from probes.residency.gcp.vaults import Vaults
from probes.residency.graph import seen_not, unknown
from probes.residency.store_facts import ClosureFacts, NodeKind
from probes.residency.subjects import Account, Resource, Store

_QUESTIONS: Final = 250
_PASSED_OVER: Final = "not asked: "


@dataclass(slots=True)
class Tour:
    """Everything that walks in one part."""

    ask: Asking
    buckets: Buckets
    datasets: DataSets
    databases: Databases
    disks: Disks
    files: Files
    documents: Documents
    spanner: Spanner
    vaults: Vaults

    @classmethod
    def of(cls, ask: Asking) -> Tour:
        """Nothing is asked yet."""
        keys = Keys(ask)
        buckets = Buckets(ask, keys, Transfers(ask))
        return cls(
            ask,
            buckets,
            DataSets(ask, keys, buckets),
            Databases(ask, keys),
            Disks(ask, keys),
            Files(ask, keys),
            Documents(ask, keys),
            Spanner(ask, keys),
            Vaults(ask, keys),
        )


ALL: Final[Mapping[str, Callable[[Tour, str], tuple[str, ...]]]] = MappingProxyType(
    {
        "backup-dr": lambda tour, project: tour.vaults.look_all(project),
        "bigquery": lambda tour, project: tour.datasets.look_all(project),
        "compute": lambda tour, project: tour.disks.look_all(project),
        "filestore": lambda tour, project: tour.files.look_all(project),
        "firestore": lambda tour, project: tour.documents.look_all(project),
        "spanner": lambda tour, project: tour.spanner.look_all(project),
        "sql": lambda tour, project: tour.databases.look_all(project),
        "storage": lambda tour, project: tour.buckets.look_all(project),
    }
)
"""How all of a project's is looked at, by part."""


def survey(subject: Store, io: Io) -> Census:
    """See the package."""
    match subject.what:
        case Resource():
            return Census(parts=(WHOLE,))
        case Account(account=project):
            try:
                open_ = others(asking(subject, io), project)
            except ProbeError as error:
                open_ = (seen_not(error),)
            return Census(parts=tuple(sorted(ALL)), open=open_)
        case _:
            assert_never(subject.what)


def walk(subject: Store, part: PartName, io: Io) -> tuple[ClosureFacts, tuple[Blob, ...]]:
    """See the package."""
    ask = asking(subject, io)
    tour = Tour.of(ask)
    match subject.what:
        case Resource(name=name):
            roots, project = _resource(tour, name)
            asked = name
        case Account(account=project):
            roots = ALL[part](tour, project)
            if part == "storage":  # said once for the project: a reader of eight parts need not read it eight times
                ask.asked.update(f"{_PASSED_OVER}{service}" for service in NOT_ASKED)
            asked = f"{part} of {project}"
        case _:
            assert_never(subject.what)
    guarding = guards(ask, project)
    if ask.over():
        ask.opens(asked, unknown("the time was over before everything was asked", Reason.TIMEOUT), "everything")
    ask.graph.close()
    facts = ClosureFacts(
        provider="gcp",
        asked=vendor_text(asked),
        whole_account=isinstance(subject.what, Account),
        who=ask.door.who,
        roots=tuple(sorted({id for id in roots if ask.graph.node(id) is not None})),
        nodes=ask.graph.nodes,
        edges=ask.graph.edges,
        open=ask.graph.open,
        guards=guarding,
        questions=_questions(ask),
        agreed=subject.agreed,
        agreed_keys=_agreed(subject, io.subjects),
    )
    blobs = [ask.answers.blob()]
    if ask.apart.any():
        blobs.append(replace(ask.apart.blob(), name="objects", disposition=Disposition.SEALED))
    known = clients.spoken(io)
    if known.within(facts.model_dump_json().encode()) or any(known.within(blob.content) for blob in blobs):
        raise ProbeError(Reason.MALFORMED, "the answers repeat the credential that they were asked with")
    return facts, tuple(blobs)


def _resource(tour: Tour, name: str) -> tuple[tuple[str, ...], str | None]:
    """Ids of what was asked for, and its project."""
    try:
        found = full_name(name)
    except ValueError as error:
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(name, 200)}: {error}; check its spelling") from error
    if found.universe not in ("googleapis.com", tour.ask.universe):
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"{vendor_text(name, 200)} is of another universe than its identity's, {tour.ask.universe}",
        )
    match (found.service, found.steps):
        case ("storage", ("projects", _, "buckets", bucket)) if is_bucket(bucket):
            tour.buckets.look(bucket)
            owner = tour.ask.graph.node(tour.buckets.id(bucket))
            return (tour.buckets.id(bucket),), None if owner is None else owner.account
        case (_, ("projects", project, *_)) if (looked := _looked(tour, found)) is not None:
            return looked, project
        case _:
            return _other(tour.ask, found)


def _looked(tour: Tour, found: Full) -> tuple[str, ...] | None:
    """Ids of what was asked for; None for what is not covered."""
    match (found.service, found.steps):
        case ("bigquery", (_, project, "datasets", dataset)) if is_dataset(dataset):
            return tour.datasets.look(project, dataset)
        case ("sqladmin" | "cloudsql", (_, project, "instances", instance)):
            id = tour.databases.look(project, instance)
            tour.vaults.holding(id, (found.path,))
            return (id,)
        case ("compute", (_, _, "zones" | "regions", _, "disks", _)):
            ids = tour.disks.look(found.path)
            tour.vaults.holding(ids[0], (found.path, *tour.disks.users.get(found.path, ())))
            return ids
        case ("compute", (_, _, "zones" | "regions", _, "instantSnapshots", _)):
            return tour.disks.look(found.path)
        case ("compute", (_, _, "global", "snapshots" | "images" | "machineImages", _)):
            return tour.disks.look(found.path)
        case ("file", (_, _, "locations", _, "instances", _)):
            ids = tour.files.look(found.path)
            tour.vaults.holding(ids[0], (found.path,))
            return ids
        case ("firestore", (_, _, "databases", _)):
            return tour.documents.look(found.path)
        case ("spanner", (_, _, "instances", _) | (_, _, "instances", _, "databases", _)):
            return tour.spanner.look(found.path)
        case ("backupdr", (_, _, "locations", _, "backupVaults", _)):
            return tour.vaults.look(found.path)
        case _:
            return None


def _other(ask: Asking, found: Full) -> tuple[tuple[str, ...], str | None]:
    project = None if found.steps[1] == "_" else found.steps[1]
    why = unknown(f"what {found.service} calls {'/'.join(found.steps[2::2])} is not covered")
    ask.graph.put(str(found), NodeKind.OTHER, project, why, why)
    ask.opens(str(found), why, "everything")
    return (str(found),), project


def _questions(ask: Asking) -> tuple[str, ...]:
    asked = sorted(
        (vendor_text(each) for each in ask.asked), key=lambda each: (not each.startswith(_PASSED_OVER), each)
    )
    if len(asked) <= _QUESTIONS:
        return tuple(asked)
    return (*asked[:_QUESTIONS], f"and {len(asked) - _QUESTIONS} more")


def _agreed(subject: Store, subjects: tuple[SubjectEntry, ...]) -> tuple[str, ...]:
    wanted = {f"keys/{each}" for each in subject.agreed.keys}
    resources = (entry.body.parsed().get("resource") for entry in subjects if entry.id in wanted)
    return tuple(sorted(vendor_text(each) for each in resources if isinstance(each, str)))

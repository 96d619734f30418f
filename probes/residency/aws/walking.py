"""The walk: from the roots along every edge, then what the graph does not show by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, assert_never

from keycheck.errors import ProbeError
from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Census, Unseen
from keycheck.model.observation import Blob, Disposition
from keycheck.model.probe import WHOLE, Io
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.clients import unspoken
from probes.residency.aws import buckets as s3
from probes.residency.aws.asking import Asking, asking
from probes.residency.aws.backup_plans import Plans
from probes.residency.aws.backups import TOLD, Backups
from probes.residency.aws.buckets import Buckets
from probes.residency.aws.database_copies import DatabaseCopies
from probes.residency.aws.databases import Databases
from probes.residency.aws.disks import Disks
from probes.residency.aws.file_systems import FileSystems
from probes.residency.aws.graph import in_region, seen_not, unknown
from probes.residency.aws.guards import guards
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, arn, is_bucket, is_region
from probes.residency.aws.others import look_all as other_services
from probes.residency.aws.regions import enabled
from probes.residency.aws.tables import Tables
from probes.residency.store_facts import ClosureFacts, Node, NodeKind, NodePlace
from probes.residency.subjects import Account, Resource, Store


def survey(subject: Store, io: Io) -> Census:
    """See the package."""
    match subject.what:
        case Resource():
            return Census(parts=(WHOLE,))
        case Account(account=account, regions=declared):
            return _regions(subject, account, declared, io)
        case _:
            assert_never(subject.what)


def _regions(subject: Store, account: str, declared: tuple[str, ...], io: Io) -> Census:
    try:
        ask = asking(subject, None, io)
        _right(ask, account)
        found = enabled(ask)
    except ProbeError as error:
        return Census(parts=tuple(sorted(declared)), open=(seen_not(error),))
    listed = s3.all_buckets(ask)
    # A bucket in a Region that is not enabled is still a place of the account's.
    places = set(found) | {bucket.region for bucket in listed if bucket.region is not None}
    open = [end.why for end in ask.graph.open]
    if declared and (left := sorted(places - set(declared))):
        open.append(
            Unseen(
                reason=Reason.OPEN_CENSUS,
                detail=vendor_text(
                    f"the account has {len(left)} Regions that the store's `regions` leave out: {', '.join(left)}"
                ),
            )
        )
    return Census(parts=tuple(sorted(declared or places)), open=tuple(open[:16]))


def _right(ask: Asking, account: str) -> None:
    if ask.door.account != account:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"the identity is in account {ask.door.account} and not in {account}; name an identity that reads there",
        )


_BACKED_UP: Final = (NodeKind.BUCKET, NodeKind.DATABASE, NodeKind.TABLE, NodeKind.DISK, NodeKind.FILE_SYSTEM)
_QUESTIONS: Final = 250
_NOT_ASKED: Final = "not asked: "
NOT_COVERED: Final = (
    "Amazon MQ",
    "Aurora DSQL",
    "DocumentDB elastic clusters",
    "ElastiCache Serverless",
    "Keyspaces",
    "Lightsail",
    "MSK",
    "MemoryDB",
    "OpenSearch Serverless",
    "Redshift Serverless",
    "S3 Tables",
    "SageMaker",
    "Secrets Manager",
    "Storage Gateway",
    "Systems Manager",
    "Timestream",
    "WorkSpaces",
)
"""Services that hold data and are not looked into; there are others."""


@dataclass(slots=True)
class Tour:
    """Everything that walks in one part."""

    ask: Asking
    keys: Keys
    buckets: Buckets
    databases: Databases
    tables: Tables
    disks: Disks
    file_systems: FileSystems
    backups: Backups

    @classmethod
    def of(cls, ask: Asking, resource: str | None) -> Tour:
        """`resource`: the one that is asked for; None: an account's Region."""
        keys = Keys(ask)
        buckets = Buckets(ask, keys)
        return cls(
            ask,
            keys,
            buckets,
            Databases(ask, keys, DatabaseCopies(ask, keys, buckets), everywhere=resource is not None),
            Tables(ask, keys, buckets),
            Disks(ask, keys),
            FileSystems(ask, keys),
            Backups(ask, keys, Plans(ask), resource),
        )


def walk(subject: Store, part: PartName, io: Io) -> tuple[ClosureFacts, tuple[Blob, ...]]:
    """See the package."""
    match subject.what:
        case Resource(name=name):
            ask = asking(subject, None, io)
            tour = Tour.of(ask, name)
            roots = _resource(tour, name)
            asked = name
        case Account(account=account):
            ask = asking(subject, part, io)
            _right(ask, account)
            tour = Tour.of(ask, None)
            roots = _account(tour, part)
            asked = f"{account} in {part}"
        case _:
            assert_never(subject.what)
    if isinstance(subject.what, Resource):
        for node in ask.graph.nodes:
            if node.id in roots and node.kind in _BACKED_UP and (region := _region(node)) is not None:
                tour.backups.about(node.id).elsewhere(node.id, region)
    _backups_of_copies(tour, isinstance(subject.what, Account))
    guarding = guards(ask)
    if ask.over():
        ask.opens(asked, unknown("the time was over before everything was asked", Reason.TIMEOUT), "everything")
    ask.graph.close()
    facts = ClosureFacts(
        provider="aws",
        asked=vendor_text(asked),
        whole_account=isinstance(subject.what, Account),
        who=ask.door.who,
        roots=_roots(ask, roots, isinstance(subject.what, Account)),
        nodes=ask.graph.nodes,
        edges=ask.graph.edges,
        open=ask.graph.open,
        guards=guarding,
        questions=_questions(ask),
        since=ask.now - TOLD,
        agreed=subject.agreed,
        agreed_keys=_agreed(subject, io.subjects),
    )
    blobs = [ask.door.api.answers.blob()]
    if ask.apart.any():
        blobs.append(replace(ask.apart.blob(), name="objects", disposition=Disposition.SEALED))
    unspoken("stores", ask.door.api, [facts.model_dump_json(), *(blob.content for blob in blobs)])
    return facts, tuple(blobs)


def _resource(tour: Tour, name: str) -> tuple[str, ...]:
    try:
        found = arn(name)
    except ValueError as error:
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(name, 200)}: {error}; check its spelling") from error
    id = str(found)
    match found.service:
        case "s3" if is_bucket(found.resource):
            tour.buckets.look(found.resource)
        case "rds" if found.region:
            tour.databases.look(found)
        case "dynamodb" if found.region and found.resource.count("/") == 1:
            tour.tables.look(found)
        case "ec2" if found.region:
            tour.disks.look(found)
        case "elasticfilesystem" if found.region:
            tour.file_systems.look(found)
        case "backup" if found.region and found.resource.startswith("backup-vault:"):
            tour.backups.about(None).follow((id,), declared=True)
            return (id,)
        case _:
            _other(tour.ask, found)
            return (id,)
    return (id,)


def _backups_of_copies(tour: Tour, whole: bool) -> None:
    """What backs up everything that was met, each in its own Region and account. Of an account that is asked for whole,
    its other Regions are parts of their own."""
    ask = tour.ask
    for node in ask.graph.nodes:
        if node.kind not in _BACKED_UP or (whole and node.account == ask.door.account):
            continue
        door = None if node.account is None else ask.of(node.account)
        region = _region(node)
        if door is None:
            why = unknown(f"what backs it up in account {node.account or 'of others'} is told to nobody of ours")
            ask.opens(node.id, why, "backups")
        elif region is None:
            ask.opens(node.id, unknown("what backs it up was not asked, as its Region is not known"), "backups")
        else:
            tour.backups.about(node.id).look(region, (node.id,), door)


def _region(node: Node) -> str | None:
    """Of a local zone the one that it belongs to."""
    found = node.id.split(":")[3:4]
    told = found[0] if found and found[0] else node.place.regions[0] if isinstance(node.place, NodePlace) else ""
    return told if is_region(told) else None


def _other(ask: Asking, found: Arn) -> None:
    why = unknown(f"stores of {found.service} are not covered")
    ask.graph.put(str(found), NodeKind.OTHER, found.owner, in_region(found.region) if found.region else why, why)
    ask.opens(str(found), why, "everything")


def _account(tour: Tour, region: str) -> tuple[str, ...]:
    ask = tour.ask
    roots: list[str] = []
    for bucket in s3.all_buckets(ask):
        place = bucket.region
        if place is None:
            with ask.graph.opening(tour.buckets.id(bucket.name), "everything"):
                place = tour.buckets.region(bucket.name, ask.door)
        if place == region:
            roots.append(tour.buckets.id(bucket.name))
            tour.buckets.look(bucket.name, ask.door.account)
    s3.directory_buckets(ask, region)
    roots += tour.databases.look_all(region)
    roots += tour.tables.look_all(region)
    roots += tour.disks.look_all(region)
    roots += tour.file_systems.look_all(region)
    roots += other_services(ask, tour.keys, region)
    roots += tour.backups.look(region, tuple(id for id in roots if ask.graph.node(id) is not None))
    for service in NOT_COVERED:
        ask.asked.add(f"{_NOT_ASKED}{service}")
    return tuple(roots)


def _roots(ask: Asking, roots: tuple[str, ...], whole: bool) -> tuple[str, ...]:
    """What was declared. Of an account that is all that it holds, what copies came from in other Regions too."""
    found = {id for id in roots if ask.graph.node(id) is not None}
    if whole:
        led_to = {edge.target for edge in ask.graph.edges}
        ours = (node.id for node in ask.graph.nodes if node.account == ask.door.account)
        found |= {id for id in ours if id not in led_to}
    return tuple(sorted(found))


def _questions(ask: Asking) -> tuple[str, ...]:
    # What was not asked comes first: it must not be what there is no room for.
    asked = sorted((vendor_text(each) for each in ask.asked), key=lambda each: (not each.startswith(_NOT_ASKED), each))
    if len(asked) <= _QUESTIONS:
        return tuple(asked)
    return (*asked[:_QUESTIONS], f"and {len(asked) - _QUESTIONS} more")


def _agreed(subject: Store, subjects: tuple[SubjectEntry, ...]) -> tuple[str, ...]:
    wanted = {f"keys/{each}" for each in subject.agreed.keys}
    resources = (entry.body.parsed().get("resource") for entry in subjects if entry.id in wanted)
    return tuple(sorted(vendor_text(each) for each in resources if isinstance(each, str)))

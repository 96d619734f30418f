"""The walk: from the roots along every edge, then what the graph does not show by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

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
from probes.residency.aws.buckets import Buckets
from probes.residency.aws.graph import in_region, seen_not, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import Arn, arn, is_bucket
from probes.residency.aws.regions import enabled
from probes.residency.store_facts import ClosureFacts, NodeKind
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


@dataclass(slots=True)
class Tour:
    """Everything that walks in one part."""

    ask: Asking
    keys: Keys
    buckets: Buckets


def walk(subject: Store, part: PartName, io: Io) -> tuple[ClosureFacts, tuple[Blob, ...]]:
    """See the package."""
    match subject.what:
        case Resource(name=name):
            ask = asking(subject, None, io)
            tour = _tour(ask)
            roots = _resource(tour, name)
            asked = name
        case Account(account=account):
            ask = asking(subject, part, io)
            _right(ask, account)
            tour = _tour(ask)
            roots = _account(tour, part)
            asked = f"{account} in {part}"
        case _:
            assert_never(subject.what)
    if ask.over():
        ask.opens(asked, unknown("the time was over before everything was asked", Reason.TIMEOUT), "everything")
    present = tuple(sorted({id for id in roots if ask.graph.node(id) is not None}))
    facts = ClosureFacts(
        provider="aws",
        asked=vendor_text(asked),
        whole_account=isinstance(subject.what, Account),
        who=ask.door.who,
        roots=present,
        nodes=ask.graph.nodes,
        edges=ask.graph.edges,
        open=ask.graph.open,
        questions=tuple(sorted(vendor_text(each) for each in ask.asked))[:256],
        agreed=subject.agreed,
        agreed_keys=_agreed(subject, io.subjects),
    )
    blobs = [ask.door.api.answers.blob()]
    if ask.apart.any():
        blobs.append(replace(ask.apart.blob(), name="objects", disposition=Disposition.SEALED))
    unspoken("stores", ask.door.api, [facts.model_dump_json(), *(blob.content for blob in blobs)])
    return facts, tuple(blobs)


def _tour(ask: Asking) -> Tour:
    keys = Keys(ask)
    return Tour(ask, keys, Buckets(ask, keys))


def _resource(tour: Tour, name: str) -> tuple[str, ...]:
    try:
        found = arn(name)
    except ValueError as error:
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(name, 200)}: {error}; check its spelling") from error
    match found.service:
        case "s3" if is_bucket(found.resource):
            tour.buckets.look(found.resource)
        case _:
            _other(tour.ask, found)
    return (str(found),)


def _other(ask: Asking, found: Arn) -> None:
    why = unknown(f"stores of {found.service} are not covered")
    ask.graph.put(str(found), NodeKind.OTHER, found.owner, in_region(found.region) if found.region else why, why)
    ask.opens(str(found), why, "everything")


def _account(tour: Tour, region: str) -> tuple[str, ...]:
    ask = tour.ask
    roots = []
    for bucket in s3.all_buckets(ask):
        place = bucket.region
        if place is None:
            with ask.graph.opening(tour.buckets.id(bucket.name), "stores"):
                place = tour.buckets.region(bucket.name, ask.door)
        if place == region:
            roots.append(tour.buckets.id(bucket.name))
            tour.buckets.look(bucket.name, ask.door.account)
    s3.directory_buckets(ask, region)
    return tuple(roots)


def _agreed(subject: Store, subjects: tuple[SubjectEntry, ...]) -> tuple[str, ...]:
    wanted = {f"keys/{each}" for each in subject.agreed.keys}
    resources = (entry.body.parsed().get("resource") for entry in subjects if entry.id in wanted)
    return tuple(sorted(vendor_text(each) for each in resources if isinstance(each, str)))

"""What a picture shows: things with their places and what shows these, and the arrows between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from keycheck.model.control import Sighting, Sightings
from keycheck.model.facts import Unseen
from probes.places.cities import Point
from probes.places.extents import Activity, Standing
from probes.places.jurisdictions import worded
from probes.places.scopes import Scope
from probes.places.site import Countries, Everywhere
from probes.places.tables import TABLES
from probes.residency.address_cases import Placed, cases, of_declared_network, placed, said
from probes.residency.address_signals import city_of
from probes.residency.bounds import pop_city
from probes.residency.closure import BACKUP_KINDS, KEY_KINDS, short
from probes.residency.endpoint_facts import AddressFacts, EdgeSeen, NamesFacts, Ranged
from probes.residency.endpoint_facts import Point as Declared
from probes.residency.flow_facts import InferenceFacts, RosterFacts, Runs
from probes.residency.grading import Grade
from probes.residency.residency_control import STALE_AFTER
from probes.residency.store_facts import ClosureFacts, NodePlace


class Where(StrEnum):
    """How a thing lies to the jurisdiction."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"
    ASIDE = "aside"
    """Not of the service, or for clients elsewhere: nothing is demanded of its place."""


class Kind(StrEnum):
    """What a thing is, in the order in which data flows."""

    VANTAGE = "vantage"
    ENDPOINT = "endpoint"
    EDGE = "edge"
    ORIGIN = "origin"
    STORE = "store"
    COPY = "copy"
    BACKUP = "backup"
    KEY = "key"
    INFERENCE = "inference"
    PARTY = "subprocessor"


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that has a place, or should have."""

    id: str
    kind: Kind
    label: str
    subject: str
    """As the deployment names it: `endpoints/api`."""
    place: str
    """In words: `aws eu-central-1: DE`."""
    points: tuple[Point, ...]
    """Where that is on the globe, as far as keycheck's tables know the city."""
    where: Where
    shown_by: str
    """What shows it, with the grade."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Data goes from one thing to the other."""

    source: str
    target: str
    label: str
    leaves: bool
    """It ends outside of the jurisdiction, or nobody knows where."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All of a picture."""

    title: str
    scope: str
    made_from: str
    things: tuple[Thing, ...]
    arrows: tuple[Arrow, ...]
    open_ends: tuple[str, ...]


def scene(title: str, made_from: str, seen: Iterable[tuple[str, Sighting]], scope: Scope) -> Scene:
    """The scene of a run's sightings, by subject. Facts that have no place are passed over."""
    by_subject: dict[str, list[Sighting]] = {}
    for subject, sighting in seen:
        by_subject.setdefault(subject, []).append(sighting)
    drawn = (one for subject in sorted(by_subject) for one in _subject(subject, by_subject[subject], scope))
    return gathered(title, made_from, drawn, scope)


def gathered(title: str, made_from: str, drawn: Iterable[Drawn], scope: Scope) -> Scene:
    """A scene of what is drawn, each thing and arrow once; arrows to things that are not in it are left out."""
    things: dict[str, Thing] = {}
    arrows: dict[tuple[str, str, str], Arrow] = {}
    open_ends: list[str] = []
    for one in drawn:
        match one:
            case Thing():
                things.setdefault(one.id, one)
            case Arrow():
                arrows.setdefault((one.source, one.target, one.label), one)
            case str():
                open_ends.append(one)
    known = tuple(arrow for arrow in arrows.values() if arrow.source in things and arrow.target in things)
    return Scene(title, scope.worded(), made_from, tuple(things.values()), known, tuple(dict.fromkeys(open_ends)))


Drawn: TypeAlias = Thing | Arrow | str
"""A string is an open end."""


def _subject(subject: str, sighted: Sequence[Sighting], scope: Scope) -> Iterator[Drawn]:
    seen = Sightings(tuple(sighted))
    if any(isinstance(one.facts, AddressFacts | NamesFacts) for one in sighted):
        yield from _endpoint(subject, seen, scope)
    for closure in seen.of(ClosureFacts):
        yield from _closure(subject, closure, scope)
    for told in seen.of(InferenceFacts):
        yield _inference(subject, told, scope)
    for roster in seen.of(RosterFacts):
        for entry in roster.entries:
            where = _where(frozenset(entry.countries), scope, Activity.PROCESS)
            place = worded(entry.countries) or entry.words
            yield Thing(
                f"{subject}#{entry.name}", Kind.PARTY, entry.name, subject, place, (), where, "stated on the roster"
            )


def _endpoint(subject: str, seen: Sightings, scope: Scope) -> Iterator[Drawn]:
    for facts in seen.of(AddressFacts):
        if facts.standpoint.point is not None:
            yield _vantage(facts)
    for case in cases(seen, scope):
        place = placed(case, scope, STALE_AFTER)
        graded = place.edge if place.edge is not None and of_declared_network(place) else place.graded
        id_ = f"{subject}#{case.address}"
        yield Thing(
            id_,
            Kind.ENDPOINT,
            f"{subject.partition('/')[2]} {case.address}",
            subject,
            _range_words(case.ranges),
            _range_points(case.ranges),
            Where.ASIDE if case.foreign else _of_grade(graded.grade),
            f"{graded.grade.value}: {said(graded.used) or _why(place)}",
        )
        for facts in case.seen:
            if facts.standpoint.point is not None:
                yield Arrow(f"vantage#{facts.standpoint.vantage}", id_, "asked", leaves=False)
            yield from _edge(subject, id_, facts, scope)


def _vantage(facts: AddressFacts) -> Thing:
    point = facts.standpoint.point or Declared(latitude=0, longitude=0)
    country = facts.standpoint.country
    name = facts.standpoint.vantage
    at = Point(point.latitude, point.longitude)
    return Thing(f"vantage#{name}", Kind.VANTAGE, name, "vantages", country or "", (at,), Where.ASIDE, "declared")


def _edge(subject: str, endpoint: str, facts: AddressFacts, scope: Scope) -> Iterator[Drawn]:
    source = endpoint
    if isinstance(facts.edge, EdgeSeen) and facts.edge.pop is not None:
        city = pop_city(facts.edge.pop)
        source = f"{subject}#edge {facts.edge.pop}"
        countries = frozenset({city.country}) if city else frozenset[str]()
        yield Thing(
            source,
            Kind.EDGE,
            f"{facts.edge.cdn} {facts.edge.pop}",
            subject,
            f"{city.name}: {city.country}" if city else "not known",
            (city.point,) if city else (),
            _where(countries, scope, Activity.PROCESS),
            "the network's header",
        )
        yield Arrow(endpoint, source, "answers at", leaves=False)
    if (origin := facts.declared.origin) is not None:
        id_ = f"{subject}#origin"
        label = f"origin of {subject.partition('/')[2]}"
        yield in_region(id_, Kind.ORIGIN, label, subject, origin.provider, (origin.region,), scope, "as declared")
        outside = _regions(origin.provider, (origin.region,), scope, Activity.PROCESS)[0] is not Where.INSIDE
        yield Arrow(source, id_, "fetches from", leaves=outside)


def _closure(subject: str, facts: ClosureFacts, scope: Scope) -> Iterator[Drawn]:
    leaving: set[str] = set()
    copied = {edge.target for edge in facts.edges}
    for node in facts.nodes:
        if node.kind in KEY_KINDS:
            kind = Kind.KEY
        elif node.kind in BACKUP_KINDS:
            kind = Kind.BACKUP
        else:
            kind = Kind.COPY if node.id in copied and node.id not in facts.roots else Kind.STORE
        shown = f"{facts.provider}'s control plane, asked as {short(facts.who)}"
        if isinstance(node.place, NodePlace):
            regions = node.place.regions
            thing = in_region(node.id, kind, named(node.id), subject, facts.provider, regions, scope, shown)
        else:
            why = node.place.detail or shown
            thing = Thing(node.id, kind, named(node.id), subject, "not known", (), Where.UNKNOWN, why)
        if thing.where is not Where.INSIDE:
            leaving.add(node.id)
        yield thing
    for edge in facts.edges:
        label = f"{edge.kind.value}, {edge.basis.value}"
        yield Arrow(edge.source, edge.target, label, leaves=edge.target in leaving)
    for end in facts.open:
        yield f"{subject}: {end.at}: {end.why.detail or end.why.reason.value}"


def _inference(subject: str, facts: InferenceFacts, scope: Scope) -> Thing:
    regions: tuple[str, ...] = ()
    shown = "the deployment's word"
    match facts.runs:
        case Runs(regions=told):
            regions, shown = told, "the provider's control plane"
        case Unseen() as unseen:
            shown = f"not seen: {unseen.detail}"
        case _:
            regions = (facts.declared.region,) if facts.declared.region else ()
    label = facts.declared.model
    return in_region(f"{subject}#model", Kind.INFERENCE, label, subject, facts.declared.provider, regions, scope, shown)


def in_region(
    id_: str, kind: Kind, label: str, subject: str, provider: str, regions: Sequence[str], scope: Scope, shown: str
) -> Thing:
    activity = {Kind.BACKUP: Activity.BACK_UP, Kind.KEY: Activity.KEY_USE, Kind.INFERENCE: Activity.INFER}.get(
        kind, Activity.STORE
    )
    where, place = _regions(provider, regions, scope, activity)
    cities = (row.city for name in regions if (row := TABLES.region(provider, name)) is not None)
    points = tuple(city.point for city in cities if city is not None)
    return Thing(id_, kind, label, subject, place, points, where, shown)


def _regions(provider: str, regions: Sequence[str], scope: Scope, activity: Activity) -> tuple[Where, str]:
    said_: list[str] = []
    found: set[Where] = set()
    for region in regions:
        match TABLES.place(provider, region):
            case Countries(codes):
                found.add(_where(codes, scope, activity))
                said_.append(f"{region}: {worded(codes)}")
            case Everywhere():
                found.add(Where.OUTSIDE)
                said_.append(f"{region}: anywhere")
            case _:
                found.add(Where.UNKNOWN)
                said_.append(f"{region}: not known")
    worst = next((one for one in (Where.OUTSIDE, Where.UNKNOWN) if one in found), Where.INSIDE)
    return (worst if found else Where.UNKNOWN), f"{provider} {'; '.join(said_)}" if said_ else "not known"


def _where(countries: frozenset[str], scope: Scope, activity: Activity) -> Where:
    match scope.contains(countries, activity).standing:
        case Standing.INSIDE:
            return Where.INSIDE
        case Standing.UNKNOWN | Standing.CONDITIONAL:
            return Where.UNKNOWN
        case _:
            return Where.OUTSIDE


def _of_grade(grade: Grade) -> Where:
    match grade:
        case Grade.PROVEN_OUT | Grade.CONTRADICTED:
            return Where.OUTSIDE
        case Grade.UNDETERMINED:
            return Where.UNKNOWN
        case _:
            return Where.INSIDE


def _why(place: Placed) -> str:
    return "; ".join((*place.heard.stale, *place.heard.unplaced)) or "nothing tells"


def named(id_: str) -> str:
    """The part of a resource's name that tells it from its neighbours."""
    if id_.startswith("arn:"):
        parts = id_.split(":", 5)
        return parts[-1].removeprefix("key/")
    return "/".join(id_.removeprefix("//").split("/")[-2:]) if id_.startswith(("//", "projects/")) else id_


def _range_words(ranges: Iterable[object]) -> str:
    told = {
        f"{says.provider} {says.border_group or says.region or 'without a region'}"
        for answer in ranges
        if isinstance(answer, Ranged)
        for says in answer.says
    }
    return "; ".join(sorted(told)) or "not known"


def _range_points(ranges: Iterable[object]) -> tuple[Point, ...]:
    found: dict[Point, None] = {}
    for answer in ranges:
        for says in answer.says if isinstance(answer, Ranged) else ():
            if not says.anycast and (city := city_of(says)) is not None:
                found[city.point] = None
    return tuple(found)

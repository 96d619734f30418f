"""What the facts of an address say about where it is, each with the strength that it can carry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from keycheck.model.facts import Unseen
from probes.places.cities import City, Point
from probes.places.countries import COUNTRIES, KNOWN
from probes.places.site import Countries, Everywhere
from probes.places.tables import TABLES
from probes.residency.bounds import all_discs, left_of, pop_city, signed_disc
from probes.residency.endpoint_facts import (
    AddressFacts,
    EdgeSeen,
    NamedRegion,
    NetworkOwner,
    Ranged,
    RangeSays,
    RangesSource,
    Reach,
)
from probes.residency.grading import Signal, Strength

_CLOUDS: Final = frozenset({"aws", "azure", "gcp", "oci"})


@dataclass(frozen=True, slots=True)
class Heard:
    """What ranges say of an address: signals, and what keeps them from deciding."""

    signals: tuple[Signal, ...]
    stale: tuple[str, ...] = ()
    """Sources that are too old, in words."""
    anycast: tuple[str, ...] = ()
    """Sources that announce it from many places."""
    unplaced: tuple[str, ...] = ()
    """What was said and names no place that the tables know."""
    providers: frozenset[str] = field(default_factory=frozenset)


def heard(ranges: Ranged, max_age: timedelta) -> Heard:
    """What published ranges say; those that are older than `max_age` at the time of the look-up are only named."""
    signals: list[Signal] = []
    stale: list[str] = []
    anycast: list[str] = []
    unplaced: list[str] = []
    sources = {source.name: source for source in ranges.sources}
    for says in ranges.says:
        source = sources.get(says.source)
        if source is None or (old := _too_old(source, ranges, max_age)) is not None:
            stale.append(f"{says.source}: {old if source else 'nobody says which ranges these are'}")
        elif says.anycast:
            anycast.append(f"{says.provider} ({says.prefix})")
        elif (countries := countries_of(says)) is None:
            unplaced.append(f"{_named(says)} ({says.prefix})")
        else:
            signals.append(Signal(_strength(says), _told(says, source), countries, premises=f"SHA-256 {source.digest}"))
    providers = frozenset(says.provider for says in ranges.says)
    return Heard(tuple(signals), tuple(stale), tuple(anycast), tuple(unplaced), providers)


def countries_of(says: RangeSays) -> frozenset[str] | None:
    """The countries of the place that ranges name: of the border group before the region. None: not known, or no one
    place."""
    if says.anycast or says.ambiguous or says.region is None:
        return None
    if says.provider == "aws" and says.border_group is not None:
        found = TABLES.place_of_border_group(says.region, says.border_group)
    else:
        found = TABLES.place(says.provider, says.region)
    match found:
        case Countries(codes):
            return codes
        case Everywhere():
            return None
    # a list of one's own may name a country where no cloud's region is known
    return frozenset({says.region}) if says.provider not in _CLOUDS and says.region in COUNTRIES else None


def city_of(says: RangeSays) -> City | None:
    """The city of the place that ranges name, as far as the tables know one."""
    if says.region is None:
        return None
    if says.provider == "aws" and says.border_group is not None:
        row = TABLES.border_group(says.region, says.border_group)
    else:
        row = TABLES.region(says.provider, says.region)
    return None if row is None else row.city


def _degrees(point: Point) -> str:
    """Coordinates for people: whoever wrote them the wrong way round sees it in the verdict."""
    return f"{point.lat / 1_000_000:.2f},{point.lon / 1_000_000:.2f}"


def physics(facts: AddressFacts) -> Iterator[Signal]:
    """What the least signed time leaves: only bounds at the speed of light in a vacuum."""
    bound = signed_disc(facts)
    if bound is None:
        return
    # land of which the polygons do not tell the country may be anybody's: then they show nothing
    if isinstance(facts.reach, Reach) and (countries := frozenset(facts.reach.countries)) and countries <= KNOWN:
        yield Signal(
            Strength.PROOF,
            f"it answered {facts.standpoint.vantage}, declared at {_degrees(bound.centre)}, so soon that it is within "
            f"{facts.reach.radius_m // 1000} km",
            countries,
            premises=f"{bound.worded()}; what answers stands on land; polygons sha256 {facts.reach.borders}",
        )
    if isinstance(facts.ranges, Ranged):
        # edges of a cloud stand in more places than it has regions
        named = {says.provider for says in facts.ranges.says if says.region is not None and not says.anycast}
        for provider in sorted(named & _CLOUDS):
            yield left_of(provider, bound)


def excluded(facts: AddressFacts) -> Iterator[str]:
    """Places that ranges name for the address, and that light cannot have reached and come back from in that time."""
    if not isinstance(facts.ranges, Ranged):
        return
    for says in facts.ranges.says:
        if (city := city_of(says)) is None:
            continue
        for bound in all_discs(facts):
            if bound.excludes(city.point, city.radius_m):
                reach = f"within {bound.radius_m // 1000} km"
                yield f"{_named(says)} is too far away for an answer {reach} ({bound.worded()})"


def suspicions(facts: AddressFacts) -> Iterator[Signal]:
    """What third parties guess: lowers, and never lifts."""
    owner = facts.network
    if isinstance(owner, NetworkOwner) and owner.country in COUNTRIES:
        who = owner.organization or f"AS{owner.system}"
        yield Signal(Strength.CLAIM, f"{owner.database}: {who}, {owner.country}", frozenset({owner.country or ""}))


def edge_place(edge: EdgeSeen) -> Signal | None:
    """Where the point of presence that answered is, by its code."""
    city = None if edge.pop is None else pop_city(edge.pop)
    if city is None:
        return None
    return Signal(Strength.PUBLISHED, f"{edge.cdn} answered from {edge.pop}", frozenset({city.country}))


def named(regions: Iterable[NamedRegion]) -> Iterator[Signal]:
    """Regions in names that the cloud itself chose: hints all the same, for whoever runs the name server of the zone
    can put any address behind an alias."""
    for region in regions:
        match TABLES.place(region.provider, region.region):
            case Countries(codes):
                yield Signal(Strength.HINT, f"{region.name} names {region.provider} {region.region}", codes)
            case _:
                continue


def unread(answer: Unseen) -> str:
    """Why something is not known, in words."""
    return answer.detail or answer.reason.value


def _too_old(source: RangesSource, ranges: Ranged, max_age: timedelta) -> str | None:
    made = source.published or source.imported
    if source.published is None and source.dated == "undated":
        return "without a date: nobody can say how old they are"
    if made > ranges.looked_up + timedelta(days=1):
        return f"dated {made:%Y-%m-%d}, which had not come when it was looked up"
    if (age := ranges.looked_up - made) > max_age:
        return f"of {made:%Y-%m-%d}, {age.days} days old"
    return None


def _strength(says: RangeSays) -> Strength:
    return Strength.PUBLISHED if says.provider in _CLOUDS else Strength.CLAIM


def _named(says: RangeSays) -> str:
    return f"{says.provider} {says.border_group or says.region or 'without a region'}"


def _told(says: RangeSays, source: RangesSource) -> str:
    made = source.published or source.imported
    return f"ranges of {says.source} of {made:%Y-%m-%d}: {_named(says)} ({says.prefix})"

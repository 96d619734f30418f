"""Where a vantage stands, as facts hold it. Pure."""

from __future__ import annotations

from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.deployment import Vantage
from keycheck.model.verdict import Reason
from probes.places.cities import CITIES, degrees
from probes.places.cities import Point as Place
from probes.places.pops import AIRPORTS
from probes.residency.endpoint_facts import Point, Standpoint
from probes.residency.physics.sphere import at_least_m

FAR_M: Final = 3_000_000
"""No place of a country is so far from all of its cities in the tables."""


def standpoint_of(vantage: Vantage) -> Standpoint:
    """The premise of every bound by delay. Raises ProbeError for coordinates that are not on the globe, or nowhere near
    the declared country."""
    point = None if vantage.coordinates is None else point_of(vantage.coordinates)
    if point is not None and vantage.country is not None:
        _near(vantage, point)
    return Standpoint(
        vantage=vantage.id,
        point=point,
        country=vantage.country,
        proxied=vantage.proxy is not None,
    )


def _near(vantage: Vantage, point: Point) -> None:
    """Latitude and longitude in each other's place would convict honest vendors."""
    here = Place(point.latitude, point.longitude)
    known = (city for city in (*CITIES.values(), *AIRPORTS.values()) if city.country == vantage.country)
    distances = [at_least_m(here, city.point) for city in known]
    if distances and min(distances) > FAR_M:
        raise ProbeError(
            Reason.CONFLICTING,
            f"vantage {vantage.id}: {vantage.coordinates} is {min(distances) // 1000} km from any city known in "
            f"{vantage.country}; write the latitude first",
        )


def point_of(coordinates: str) -> Point:
    """`50.11,8.68` in microdegrees. Raises ProbeError for what is not on the globe."""
    latitude, _, longitude = coordinates.partition(",")
    try:
        point = degrees(latitude, longitude.strip())
    except ValueError as error:
        raise ProbeError(Reason.UNSUPPORTED, f"{coordinates} is no place on the globe: {error}") from error
    return Point(latitude=point.lat, longitude=point.lon)

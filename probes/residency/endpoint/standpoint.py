"""Where a vantage stands, as facts hold it. Pure."""

from __future__ import annotations

from keycheck.errors import ProbeError
from keycheck.model.deployment import Vantage
from keycheck.model.verdict import Reason
from probes.places.cities import degrees
from probes.residency.endpoint_facts import Point, Standpoint


def standpoint_of(vantage: Vantage) -> Standpoint:
    """The premise of every bound by delay. Raises ProbeError for coordinates that are not on the globe."""
    return Standpoint(
        vantage=vantage.id,
        point=None if vantage.coordinates is None else point_of(vantage.coordinates),
        country=vantage.country,
        proxied=vantage.proxy is not None,
    )


def point_of(coordinates: str) -> Point:
    """`50.11,8.68` in microdegrees. Raises ProbeError for what is not on the globe."""
    latitude, _, longitude = coordinates.partition(",")
    try:
        point = degrees(latitude, longitude.strip())
    except ValueError as error:
        raise ProbeError(Reason.UNSUPPORTED, f"{coordinates} is no place on the globe: {error}") from error
    return Point(latitude=point.lat, longitude=point.lon)

"""Polygons of some countries only, and land whose country they do not tell."""

from __future__ import annotations

import json

from made_residency import FRANKFURT, address, answer, names, ranged, sightings, signed, standpoint

from keycheck.model.verdict import Kind
from probes.residency.endpoint.reach import Outlines, reach_of
from probes.residency.endpoint_controls import Endpoints
from probes.residency.endpoint_facts import Reach
from probes.residency.physics.polygons import read_polygons


def _outlines(*boxes: tuple[str, int, int, int, int]) -> Outlines:
    features = [
        {
            "type": "Feature",
            "properties": {"iso1A2": code},
            "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        }
        for code, s, w, n, e in boxes
    ]
    return Outlines.of(read_polygons(json.dumps({"type": "FeatureCollection", "features": features}).encode()))


def _kind(reach: Reach | None) -> Kind:
    said = ranged(None)
    facts = address(ranges=said, signed=signed(20_000), **({} if reach is None else {"reach": reach}))
    control = Endpoints.model_validate({"jurisdiction": ["EU"]})
    return control.judge(sightings(names(answer(("192.0.2.7", said))), facts)).kind


def test_a_map_of_the_union_alone_proves_nothing_of_a_disc_that_holds_switzerland_and_london() -> None:
    union = _outlines(("DE", 47, 5, 56, 16), ("FR", 41, -6, 52, 10), ("AT", 46, 9, 49, 18))
    reach = reach_of(union, standpoint(point=FRANKFURT), signed(20_000))
    assert reach is not None
    assert {"CH", "GB"} <= {*reach.countries}
    assert _kind(reach) is Kind.INCONCLUSIVE


def test_land_whose_country_nobody_tells_is_neither_inside_nor_outside() -> None:
    """A well-known file of the world calls Norway and France -99."""
    assert _kind(Reach(radius_m=500_000, countries=("SE", "ZZ"), borders="12" * 32)) is Kind.INCONCLUSIVE
    assert _kind(Reach(radius_m=500_000, countries=("CH", "ZZ"), borders="12" * 32)) is Kind.INCONCLUSIVE

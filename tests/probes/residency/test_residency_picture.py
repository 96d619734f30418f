"""The picture: says what the evidence says, loads nothing, runs nothing, and escapes what strangers wrote."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from made_residency import ASHBURN, NOW, address, names, ranged, signed, standpoint

from keycheck.cli.root import main
from keycheck.model.control import Sighting
from keycheck.model.facts import Facts, Unseen
from keycheck.model.verdict import Assurance, Reason
from probes.places.scopes import Scope
from probes.residency.endpoint_facts import EdgeSeen
from probes.residency.physics.polygons import read_polygons
from probes.residency.picture.drawing import flow, globe
from probes.residency.picture.page import page
from probes.residency.picture.scene import Scene, Where, scene
from probes.residency.store_facts import (
    Basis,
    ClosureFacts,
    Edge,
    EdgeKind,
    Node,
    NodeKind,
    NodePlace,
    OpenEnd,
    Unneeded,
)
from probes.residency.subjects import Agreed

EU = Scope.model_validate(["EU"])
NASTY = "<script>alert(1)</script>&\"'"


def node(id_: str, region: str) -> Node:
    place = NodePlace(regions=(region,), type="region")
    return Node(id=id_, kind=NodeKind.BUCKET, account=None, place=place, encryption=Unneeded(), created=NOW)


def closure(**more: object) -> ClosureFacts:
    given: dict[str, object] = {
        "provider": "aws",
        "asked": "arn:aws:s3:::exports",
        "whole_account": False,
        "who": "arn:aws:iam::111111111111:role/reader",
        "roots": ("arn:aws:s3:::exports",),
        "nodes": (node("arn:aws:s3:::exports", "eu-central-1"), node("arn:aws:s3:::copy", "us-east-1")),
        "edges": (
            Edge(
                source="arn:aws:s3:::exports",
                target="arn:aws:s3:::copy",
                kind=EdgeKind.REPLICATES,
                basis=Basis.CONFIGURED,
            ),
        ),
        "open": (),
        "agreed": Agreed(),
        "agreed_keys": (),
    }
    return ClosureFacts.model_validate(given | more)


def drawn(*facts: tuple[str, Facts]) -> Scene:
    seen = [(subject, Sighting(None, "here", Assurance.OBSERVED, one)) for subject, one in facts]
    return scene("A run", "Drawn from a test.", seen, EU)


def test_what_leaves_is_told_by_shape_line_and_words() -> None:
    made = drawn(("stores/exports", closure()))
    assert {thing.label: thing.where for thing in made.things} == {"exports": Where.INSIDE, "copy": Where.OUTSIDE}
    (arrow,) = made.arrows
    assert arrow.leaves
    text = page(made, None, EU.countries())
    assert "exports → replicates, configured → <b>copy</b> (aws us-east-1: US)" in text
    assert 'class="flow leaves"' in text
    assert text == page(drawn(("stores/exports", closure())), None, EU.countries())  # the same bytes again


def test_what_is_not_known_is_never_drawn_as_inside() -> None:
    dark = Unseen(reason=Reason.PERMISSION_DENIED, detail="denied")
    hidden = node("arn:aws:s3:::copy", "eu-west-1").model_copy(update={"place": dark})
    end = OpenEnd(at="arn:aws:s3:::exports", matters="copies", why=dark)
    made = drawn(("stores/exports", closure(nodes=(node("arn:aws:s3:::exports", "eu-north-9"), hidden), open=(end,))))
    assert {thing.where for thing in made.things} == {Where.UNKNOWN}
    assert made.arrows[0].leaves
    assert "What could not be followed" in page(made, None, EU.countries())


def test_endpoints_show_what_places_them_and_vantages_are_no_part_of_the_service() -> None:
    away = address(ranges=ranged("us-east-1"), standpoint=standpoint("ashburn", ASHBURN), signed=signed(2_000))
    edge = EdgeSeen(cdn="fastly", pop="FRA", cache="miss", origin_us=None, origin_header=None, headers=())
    made = drawn(
        ("endpoints/api", names()), ("endpoints/api", away), ("endpoints/api", address("192.0.2.8", edge=edge))
    )
    where = {thing.label: thing.where for thing in made.things}
    assert where["api 192.0.2.7"] is Where.OUTSIDE
    assert where["fastly FRA"] is Where.INSIDE
    assert {where["ashburn"], where["here"]} == {Where.ASIDE}


def test_a_strangers_words_stay_words_and_nothing_is_loaded() -> None:
    made = drawn(("stores/exports", closure(who=NASTY, nodes=(node(NASTY, NASTY), node("x", "eu-west-1")), edges=())))
    made = replace(made, title=NASTY, open_ends=(NASTY,))
    text = page(made, None, EU.countries())
    assert "<script" not in text
    assert not re.search(r"""(src|href)=|url\(h|@import|\son\w+="|https?://""", text)
    assert "default-src 'none'" in text
    for svg in (globe(made, None, EU.countries()), flow(made)):
        ET.fromstring(svg)


def test_outlines_come_from_the_polygons_that_are_brought() -> None:
    ring = "[[[5,47],[15,47],[15,55],[5,55],[5,47]]]"
    geojson = (
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"iso1A2":"DE"},'
        f'"geometry":{{"type":"Polygon","coordinates":{ring}}}}}]}}'
    )
    svg = globe(drawn(("stores/exports", closure())), read_polygons(geojson.encode()), EU.countries())
    assert '<path class="land home"' in svg
    ET.fromstring(svg)


def test_a_thousand_things_are_counted_and_still_a_page() -> None:
    many = tuple(node(f"arn:aws:s3:::b{number}", "eu-central-1") for number in range(1000))
    made = drawn(("stores/exports", closure(nodes=many, edges=(), roots=("arn:aws:s3:::b0",))))
    text = page(made, None, EU.countries())
    assert "and 960 more, in the table" in text
    assert text.count("<tr>") == 1001


def test_the_verb_draws_a_deployment_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.yaml").write_text(
        "deployment: acme\nendpoints:\n  - {id: api, url: https://api.example,"
        " whereabouts: {provider: aws, region: us-east-1}}\n"
    )
    out = tmp_path / "places.html"
    assert main(["residency", "map", str(tmp_path / "d.yaml"), "-o", str(out)]) == 0
    assert "aws us-east-1: US" in out.read_text()
    assert main(["residency", "map", str(tmp_path / "d.yaml"), "-o", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["residency", "map", str(tmp_path / "d.yaml"), "-o", str(tmp_path / "x"), "-j", "Mars"]) == 2
    assert main(["residency", "map", str(tmp_path / "no.zip")]) == 2

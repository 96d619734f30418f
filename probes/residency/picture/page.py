"""The page: both drawings, a table of what shows each place, and what could not be followed. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

from probes.residency.physics.polygons import Polygons
from probes.residency.picture.drawing import flow, globe, mark
from probes.residency.picture.scene import Arrow, Scene, Thing, Where

_STYLE: Final = """
:root{color-scheme:light}
body{font:14px/1.45 system-ui,sans-serif;color:#1c2530;margin:0 auto;max-width:1120px;padding:20px;background:#fff}
h1,p,li{overflow-wrap:anywhere}h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}p{margin:4px 0}
svg{width:100%;height:auto;box-sizing:border-box;border:1px solid #d5dbe2;border-radius:6px;background:#fff}
text{font:12px system-ui,sans-serif;fill:#1c2530}text.deg{font-size:9px;fill:#8a95a3}
text.ask{font-weight:700;text-anchor:middle}
text.kind{font-size:10px;fill:#5b6675;text-transform:uppercase;letter-spacing:.04em}
text.place{font-size:11px;fill:#4a5563}
text.name{paint-order:stroke;stroke:#fff;stroke-width:3px}
.sea{fill:#f3f7fb}.land{fill:#e6e6e1;stroke:#b9bdb8;stroke-width:.6}.land.home{fill:#d7ead9;stroke:#93b89a}
.grid{stroke:#dbe3ea;stroke-width:.6}
.in{fill:#17744f;stroke:#fff;stroke-width:1.5}.out{fill:#b3261e;stroke:#fff;stroke-width:1.5}
.aside{fill:#2f5d9b;stroke:#fff;stroke-width:1.5}.box.aside{stroke:#2f5d9b}
.unknown{fill:#fff;stroke:#8a5a00;stroke-width:2}
.box{fill:#fff;stroke:#9aa6b2}.box.inside{stroke:#17744f}.box.outside{stroke:#b3261e;stroke-width:2.2;fill:#fdf0ef}
.box.unknown{stroke:#8a5a00;stroke-dasharray:5 3;fill:#fffaf0}
.flow{fill:none;stroke:#7c8794;stroke-width:1.3}.flow.leaves{stroke:#b3261e;stroke-width:2;stroke-dasharray:6 3}
.flow.asked{stroke-width:1;stroke-dasharray:1 3}.leader{stroke:#5b6675;stroke-width:.8}
.drawing{overflow-x:auto}.drawing svg{min-width:720px}
.tip{fill:#7c8794}.tip-out{fill:#b3261e}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:5px 8px;border-bottom:1px solid #e3e8ed}
th{font-size:12px;color:#5b6675}td{overflow-wrap:anywhere}td.mark{width:26px}td.kind{white-space:nowrap}
td svg{width:20px;height:20px;border:0}
.legend span{margin-right:18px;white-space:nowrap}.legend svg{width:18px;height:18px;border:0;vertical-align:-4px}
@media (max-width:640px){.legend span{white-space:normal}thead{display:none}
tr{display:block;border-bottom:1px solid #e3e8ed;padding:4px 0}
td{display:block;border:0;padding:0 8px}td.mark{float:left}}
@media print{body{max-width:none;padding:0}svg,tr{break-inside:avoid}.drawing{overflow:visible}
.drawing svg{min-width:0;max-height:92vh}}
"""


_NOTHING_ELSE: Final = (
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
)


def page(of: Scene, polygons: Polygons | None, inside: frozenset[str]) -> str:
    """A standalone HTML page: no script, nothing loaded from anywhere."""
    outside = [thing for thing in of.things if thing.where is Where.OUTSIDE]
    unknown = [thing for thing in of.things if thing.where is Where.UNKNOWN]
    leaving = [arrow for arrow in of.arrows if arrow.leaves]
    nowhere = sum(1 for thing in of.things if not thing.points)
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(of.title)}</title>',
        '<meta name="viewport" content="width=device-width">',
        _NOTHING_ELSE,
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(of.title)}</h1>",
        f"<p>Jurisdiction: <b>{escape(of.scope)}</b>. {escape(of.made_from)}</p>",
        f"<p><b>{len(outside)}</b> outside, <b>{len(unknown)}</b> not known, of {len(of.things)}; "
        f"<b>{len(leaving)}</b> flows behind the endpoints leave or end where nobody knows; "
        f"{len(of.open_ends)} open ends.</p>",
        _legend(),
        "<h2>Where things are</h2>",
        f'<div class="drawing">{globe(of, polygons, inside)}</div>',
        "<p>" + escape(_about_map(polygons, nowhere)) + "</p>",
        "<h2>How data flows</h2>",
        f'<div class="drawing">{flow(of)}</div>',
    ]
    if leaving:
        lines += ["<h2>What leaves</h2>", _arrows(of, leaving)]
    lines += ["<h2>What shows it</h2>", _table(of)]
    if of.open_ends:
        items = "".join(f"<li>{escape(end)}</li>" for end in of.open_ends)
        lines += ["<h2>What could not be followed</h2>", f"<ul>{items}</ul>"]
    lines += [
        "<p>A picture is for reading; the verdicts and their evidence are in the bundle. A mark stands at the city "
        "that a "
        "provider names for its region, which is no address of a building.</p>",
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def _about_map(polygons: Polygons | None, nowhere: int) -> str:
    land = (
        f"Outlines from the polygons that were given (sha256 {polygons.sha256})."
        if polygons
        else "No outlines: none were given (--borders)."
    )
    return f"{land} {nowhere} things have no city that is known, and stand below alone." if nowhere else land


def _legend() -> str:
    words = {
        Where.INSIDE: "inside",
        Where.OUTSIDE: "outside",
        Where.UNKNOWN: "not known",
        Where.ASIDE: "vantages, and what only clients elsewhere are given",
    }
    marks = "".join(f"<span>{_icon(where)} {text}</span>" for where, text in words.items())
    return (
        f'<p class="legend">{marks}<span>dotted: a vantage asked</span>'
        "<span>dashed, red: leaves the jurisdiction, or ends where nobody knows</span></p>"
    )


def _icon(where: Where) -> str:
    return f'<svg viewBox="0 0 20 20" aria-label="{where.value}">{mark(10, 10, where, 6)}</svg>'


def _table(of: Scene) -> str:
    rows = "".join(_row(thing) for thing in sorted(of.things, key=_order))
    return (
        "<table><thead><tr><th></th><th>what</th><th>name</th><th>where</th><th>shown by</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(thing: Thing) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (thing.label, thing.place, thing.shown_by))
    return f'<tr><td class="mark">{_icon(thing.where)}</td><td class="kind">{thing.kind.value}</td>{cells}</tr>'


def _order(thing: Thing) -> tuple[int, str, str]:
    worst_first = (Where.OUTSIDE, Where.UNKNOWN, Where.INSIDE, Where.ASIDE)
    return (worst_first.index(thing.where), thing.kind.value, thing.label)


def _arrows(of: Scene, arrows: list[Arrow]) -> str:
    things = {thing.id: thing for thing in of.things}
    items = "".join(
        f"<li>{escape(things[arrow.source].label)} → {escape(arrow.label)} → "
        f"<b>{escape(things[arrow.target].label)}</b> "
        f"({escape(things[arrow.target].place)})</li>"
        for arrow in arrows
    )
    return f"<ul>{items}</ul>"

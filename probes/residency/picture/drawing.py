"""The two drawings: things on the globe, and data flowing through them. SVG without scripts; marks differ by shape and
not by colour alone. All text is a stranger's and escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from probes.residency.physics.polygons import Polygons
from probes.residency.picture.atlas import HEIGHT, WIDTH, Sheet, grid, outlines, sheet
from probes.residency.picture.scene import Arrow, Kind, Scene, Thing, Where

_CLOSE: Final = 14.0
"""Pixels: marks that are nearer are drawn as one."""
_LABELS: Final = 4
_LINE: Final = 15
_CHARACTER: Final = 6.7
"""Pixels of a letter, about."""

MARKERS: Final = """<defs>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0 0L8 4L0 8z" class="tip"/></marker>
<marker id="tip-out" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0 0L8 4L0 8z" class="tip-out"/></marker></defs>"""


def globe(of: Scene, polygons: Polygons | None, inside: frozenset[str]) -> str:
    """Everything that has a point, on one sheet."""
    on = sheet(point for thing in of.things for point in thing.points)
    clusters = _clusters(of.things, on)
    at = {thing.id: (x, y) for (x, y), things in clusters for thing in things}
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Where things are">',
        MARKERS,
        f'<rect class="sea" width="{WIDTH}" height="{HEIGHT}"/>',
        *(outlines(polygons, on, inside) if polygons else ()),
        *grid(on),
        *_arcs(of.arrows, at),
    ]
    taken: list[tuple[float, float, float, float]] = []
    for (x, y), things in clusters:
        worst = _worst(things)
        parts.append(mark(x, y, worst, 7 if len(things) == 1 else 9))
        parts += _labels(x, y, things, taken)
    return "\n".join((*parts, "</svg>"))


def mark(x: float, y: float, where: Where, size: float = 7) -> str:
    """A circle inside, a diamond outside, a hollow square with a question mark where nobody knows."""
    match where:
        case Where.INSIDE:
            return f'<circle class="in" cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>'
        case Where.OUTSIDE:
            s = size + 2
            return _polygon("out", (x, y - s), (x + s, y), (x, y + s), (x - s, y))
        case Where.ASIDE:
            return _polygon("aside", (x, y - size), (x + size, y + size), (x - size, y + size))
        case Where.UNKNOWN:
            return (
                f'<rect class="unknown" x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}"/>'
                f'<text class="ask" x="{x:.1f}" y="{y + 4:.1f}">?</text>'
            )


def _polygon(kind: str, *corners: tuple[float, float]) -> str:
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in corners)}Z"/>'


def _worst(things: Sequence[Thing]) -> Where:
    found = {thing.where for thing in things}
    return next((one for one in (Where.OUTSIDE, Where.UNKNOWN, Where.INSIDE) if one in found), Where.ASIDE)


def _clusters(things: Sequence[Thing], on: Sheet) -> list[tuple[tuple[float, float], list[Thing]]]:
    found: list[tuple[tuple[float, float], list[Thing]]] = []
    for thing in things:
        for point in thing.points:
            x, y = on.xy(point.lat / 1e6, point.lon / 1e6)
            near = next((group for (a, b), group in found if abs(a - x) < _CLOSE and abs(b - y) < _CLOSE), None)
            if near is None:
                found.append(((x, y), [thing]))
            elif thing not in near:
                near.append(thing)
    return found


def _labels(
    x: float, y: float, things: Sequence[Thing], taken: list[tuple[float, float, float, float]]
) -> Iterator[str]:
    """Names beside a mark, moved down until they cover no others."""
    lines = [escape(cut(thing.label, 34)) for thing in things[:_LABELS]]
    if len(things) > _LABELS:
        lines.append(f"and {len(things) - _LABELS} more")
    width = max(len(line) for line in lines) * _CHARACTER
    left = x + 12 if x + 12 + width < WIDTH else x - 12 - width
    top = min(max(y - 6, 12.0), HEIGHT - len(lines) * _LINE - 4)
    while any(
        left < b and a < left + width and top - _LINE < d and c - _LINE < top + (len(lines) - 1) * _LINE
        for a, c, b, d in taken
    ):
        top += _LINE
    taken.append((left, top, left + width, top + (len(lines) - 1) * _LINE))
    for number, line in enumerate(lines):
        yield f'<text class="name" x="{left:.1f}" y="{top + number * _LINE:.1f}">{line}</text>'


def _arcs(arrows: Sequence[Arrow], at: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    for arrow in arrows:
        if arrow.source not in at or arrow.target not in at or at[arrow.source] == at[arrow.target]:
            continue
        (a, b), (c, d) = at[arrow.source], at[arrow.target]
        bend = -0.12 * abs(c - a) - 0.05 * abs(d - b)
        kind = "flow leaves" if arrow.leaves else "flow"
        tip = "tip-out" if arrow.leaves else "tip"
        yield (
            f'<path class="{kind}" marker-end="url(#{tip})" '
            f'd="M{a:.1f} {b:.1f}Q{(a + c) / 2:.1f} {(b + d) / 2 + bend:.1f} {c:.1f} {d:.1f}">'
            f"<title>{escape(arrow.label)}</title></path>"
        )


_COLUMNS: Final = (
    (Kind.VANTAGE, Kind.PARTY),
    (Kind.ENDPOINT,),
    (Kind.EDGE, Kind.INFERENCE),
    (Kind.ORIGIN, Kind.STORE),
    (Kind.COPY, Kind.KEY),
    (Kind.BACKUP,),
)
_BOX_W: Final = 158
_BOX_H: Final = 50
_GAP_X: Final = 26
_GAP_Y: Final = 12
_MOST: Final = 40
"""Boxes of a column; the rest stands in the table."""


def flow(of: Scene) -> str:
    """Data from left to right: who asks, what answers, what stands behind it, where it lies, where it is copied to."""
    columns = [[thing for thing in of.things if thing.kind in kinds] for kinds in _COLUMNS]
    at: dict[str, tuple[float, float]] = {}
    boxes: list[str] = []
    shown = [column for column in columns if column]
    for number, column in enumerate(shown):
        x = 4 + number * (_BOX_W + _GAP_X)
        for row, thing in enumerate(column[:_MOST]):
            y = 4 + row * (_BOX_H + _GAP_Y)
            at[thing.id] = (x, y)
            boxes.append(_box(x, y, thing))
        if len(column) > _MOST:
            y = 18 + _MOST * (_BOX_H + _GAP_Y)
            boxes.append(f'<text class="name" x="{x}" y="{y}">and {len(column) - _MOST} more, in the table</text>')
    rows = max((min(len(column), _MOST + 1) for column in shown), default=1)
    width = max(1, len(shown)) * (_BOX_W + _GAP_X) + 4
    height = rows * (_BOX_H + _GAP_Y) + 12
    lines = [_line(arrow, at) for arrow in of.arrows if arrow.source in at and arrow.target in at]
    return "\n".join(
        (
            f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" aria-label="How data flows">',
            MARKERS,
            *lines,
            *boxes,
            "</svg>",
        )
    )


def _box(x: float, y: float, thing: Thing) -> str:
    return (
        f"<g><title>{escape(thing.label)}: {escape(thing.place)} ({escape(thing.shown_by)})</title>"
        f'<rect class="box {thing.where.value}" x="{x}" y="{y}" width="{_BOX_W}" height="{_BOX_H}" rx="5"/>'
        f"{mark(x + 13, y + 14, thing.where, 5)}"
        f'<text class="kind" x="{x + 25}" y="{y + 17}">{escape(thing.kind.value)}</text>'
        f'<text class="name" x="{x + 8}" y="{y + 32}">{escape(cut(thing.label, 21))}</text>'
        f'<text class="place" x="{x + 8}" y="{y + 45}">{escape(cut(thing.place, 24))}</text></g>'
    )


def _line(arrow: Arrow, at: Mapping[str, tuple[float, float]]) -> str:
    (a, b), (c, d) = at[arrow.source], at[arrow.target]
    kind, tip = ("flow leaves", "tip-out") if arrow.leaves else ("flow", "tip")
    middle = _BOX_H / 2
    if a == c:  # within a column: round the left side
        path = f"M{a} {b + middle}C{a - 18} {b + middle} {a - 18} {d + middle} {c} {d + middle}"
    else:
        start, end = (a + _BOX_W, c) if a < c else (a, c + _BOX_W)
        turn = (end - start) / 2
        path = f"M{start} {b + middle}C{start + turn} {b + middle} {end - turn} {d + middle} {end} {d + middle}"
    return f'<path class="{kind}" marker-end="url(#{tip})" d="{path}"><title>{escape(arrow.label)}</title></path>'


def cut(text: str, size: int) -> str:
    """The beginning and the end of a long name: both tell."""
    if len(text) <= size:
        return text
    head = (size - 1) // 2
    return f"{text[:head]}…{text[-(size - 1 - head) :]}"

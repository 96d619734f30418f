"""The two drawings: things on the globe, and data flowing through them. SVG without scripts; marks differ by shape and
not by colour alone. All text is a stranger's and escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, TypeAlias

from probes.residency.physics.polygons import Polygons
from probes.residency.picture.atlas import HEIGHT, WIDTH, Sheet, grid, outlines, sheet
from probes.residency.picture.scene import Arrow, Kind, Scene, Thing, Where

_CLOSE: Final = 14.0
"""Pixels: marks that are nearer are drawn as one."""
_LABELS: Final = 4
_LINE: Final = 15
_CHARACTER: Final = 7.4
"""Pixels of a letter, about: wide system fonts have as much."""
_NEAR: Final = 150.0
"""Pixels: names go no farther off than that for the sake of a clear line."""
_BESIDE: Final = 13.0
"""Pixels from a mark to the names beside it."""

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
    taken = [(x - 10, y - 10, x + 10, y + 10) for (x, y), _ in clusters]
    placed = [(x, y, things, *_label(x, y, things, taken)) for (x, y), things in clusters]
    parts += [_leader(x, y, box) for x, y, _, box, _ in placed]
    parts += [mark(x, y, _worst(things), 7 if len(things) == 1 else 9) for x, y, things, _, _ in placed]
    parts += [text for *_, texts in placed for text in texts]
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


_WORST_FIRST: Final = (Where.OUTSIDE, Where.UNKNOWN, Where.INSIDE, Where.ASIDE)


def _worst(things: Sequence[Thing]) -> Where:
    return min((thing.where for thing in things), key=_WORST_FIRST.index)


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


_Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _label(x: float, y: float, things: Sequence[Thing], taken: list[_Box]) -> tuple[_Box, list[str]]:
    """Names near a mark, where they cover neither names nor marks; the worst first. What is put there is taken."""
    ordered = sorted(things, key=lambda thing: _WORST_FIRST.index(thing.where))
    lines = [_name(thing) for thing in ordered[:_LABELS]]
    if len(things) > _LABELS:
        lines.append(f"and {len(things) - _LABELS} more, in the table")
    width, height = max(len(line) for line in lines) * _CHARACTER, len(lines) * _LINE
    free = [one for one in _places(x, y, width, height) if not any(_meet(one, other) for other in taken)]
    near = (one for one in free if abs((one[1] + one[3]) / 2 - y) < _NEAR)
    seen = (one for one in near if not any(_crosses(x, y, one, other) for other in taken))
    box = next(seen, next(iter(free), (x + _BESIDE, y, x + _BESIDE + width, y + height)))
    taken.append(box)
    at, anchor = (box[0], "start") if box[0] > x else (box[2], "end")
    top = box[1] + _LINE - 4
    texts = (
        f'<text class="name" text-anchor="{anchor}" x="{at:.1f}" y="{top + number * _LINE:.1f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return box, list(texts)


def _name(thing: Thing) -> str:
    return cut(thing.label if thing.kind is not Kind.VANTAGE else f"vantage {thing.label}", 34)


def _places(x: float, y: float, width: float, height: float) -> Iterator[_Box]:
    """Where names may stand on the sheet, the nearest first: beside the mark, then lower and higher, right and left."""
    for away in range(0, HEIGHT, _LINE):
        for right in (True, False):
            for down in (1, -1):
                left = x + _BESIDE + away / 3 if right else x - _BESIDE - away / 3 - width
                top = y - height / 2 + down * away
                if left >= 2 and left + width <= WIDTH - 2 and top >= 2 and top + height <= HEIGHT - 12:
                    yield (left, top, left + width, top + height)


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _end(x: float, y: float, box: _Box) -> tuple[float, float]:
    """Where the line from a mark meets its names."""
    left, top, right, bottom = box
    return (left - 2 if left > x else right + 2, min(max(y, top + 8), bottom - 8))


def _crosses(x: float, y: float, box: _Box, other: _Box) -> bool:
    """Whether the line to the names would run under something else; its own mark is no hindrance."""
    to_x, to_y = _end(x, y, box)
    steps = ((x + (to_x - x) * step / 16, y + (to_y - y) * step / 16) for step in range(1, 17))
    return not (other[0] <= x <= other[2] and other[1] <= y <= other[3]) and any(
        other[0] <= a <= other[2] and other[1] <= b <= other[3] for a, b in steps
    )


def _leader(x: float, y: float, box: _Box) -> str:
    """A thin line from a mark to its names, so that names which had to give way are not read as being elsewhere."""
    to_x, to_y = _end(x, y, box)
    return f'<path class="leader" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'


def _arcs(arrows: Sequence[Arrow], at: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    for arrow in arrows:
        if arrow.source not in at or arrow.target not in at or at[arrow.source] == at[arrow.target]:
            continue
        (a, b), (c, d) = at[arrow.source], at[arrow.target]
        bend = -0.12 * abs(c - a) - 0.05 * abs(d - b)
        kind, tip = _manner(arrow)
        yield (
            f'<path class="{kind}" marker-end="url(#{tip})" '
            f'd="M{a:.1f} {b:.1f}Q{(a + c) / 2:.1f} {(b + d) / 2 + bend:.1f} {c:.1f} {d:.1f}">'
            f"<title>{escape(arrow.label)}</title></path>"
        )


def _manner(arrow: Arrow) -> tuple[str, str]:
    """Class and tip. What a vantage asked is no flow of the service's data."""
    if arrow.source.startswith("vantage#"):
        return "flow asked", "tip"
    return ("flow leaves", "tip-out") if arrow.leaves else ("flow", "tip")


_COLUMNS: Final = (
    (Kind.VANTAGE, Kind.PARTY),
    (Kind.ENDPOINT,),
    (Kind.EDGE, Kind.INFERENCE),
    (Kind.ORIGIN, Kind.STORE),
    (Kind.COPY, Kind.KEY),
    (Kind.BACKUP,),
)
_BOX_W: Final = 176
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
        f'<text class="name" x="{x + 8}" y="{y + 32}">{escape(cut(thing.label, 20))}</text>'
        f'<text class="place" x="{x + 8}" y="{y + 45}">{escape(cut(thing.place, 22))}</text></g>'
    )


def _line(arrow: Arrow, at: Mapping[str, tuple[float, float]]) -> str:
    (a, b), (c, d) = at[arrow.source], at[arrow.target]
    kind, tip = _manner(arrow)
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

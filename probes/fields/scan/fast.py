"""Values of the hot binary formats, many at once. What this does not walk completely is walked by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.fields.formats.seam import Format, Parsed
from probes.fields.scan.arrays import Cells
from probes.fields.scan.classing import Walked, context_bytes, key_identity, shape_of
from probes.fields.scan.hashing import Longs, Regions
from probes.fields.scan.result import Shape
from probes.fields.scan.suspicion import suspicious
from probes.fields.scan.templates import Fit, Template, fit, template_of
from probes.fields.scan.together import decoded, together

HOT: Final = frozenset({"aws-esdk", "aws-kms", "tink"})
ENCODINGS: Final = frozenset({(), ("base64",)})
TEMPLATES: Final = 256
"""Templates of a column that are kept."""
FRUITLESS: Final = 16
"""Values of a batch that may give no template before the rest of it is walked one by one."""
SHAPES: Final = 20_000


@dataclass(slots=True)
class _Known:
    """A template, and the shapes of its values by the length of their ciphertext; None: to be walked by itself."""

    template: Template
    shapes: dict[int, int | None]


class FastPath:
    """One column of one format in one encoding."""

    def __init__(self, expected: Format, encodings: tuple[str, ...]) -> None:
        self._format = expected
        self._encodings = encodings
        self._known: list[_Known] = []
        self._shapes: list[Shape] = []

    def walk(self, values: Cells, names: Sequence[str]) -> tuple[Walked | None, Longs]:
        """What was walked, in the order of the rows, and the numbers of the values that were not."""
        if self._encodings:
            contents, taken = decoded(values.series())
        else:
            contents, taken = values.regions, np.arange(len(values))
        rows = values.rows[taken]
        if len(self._shapes) > SHAPES:
            self._known, self._shapes = [], []
        fits = self._fit(contents)
        parts = [
            part for known, found in fits if (part := self._walked(known, found, contents, rows, names)) is not None
        ]
        if not parts:
            return None, np.arange(len(values))
        walked, chosen = together(parts, self._shapes)
        left = np.ones(len(values), np.bool_)
        left[taken[chosen]] = False
        return walked, np.flatnonzero(left)

    def _fit(self, contents: Regions) -> list[tuple[_Known, Fit]]:
        """Every value with the first template that it fits."""
        found: list[tuple[_Known, Fit]] = []
        left = np.arange(len(contents))

        def offer(known: _Known) -> int:
            nonlocal left
            matched = fit(known.template, contents if len(left) == len(contents) else contents[left])
            if len(matched.chosen):
                at = left[matched.chosen]
                left = np.delete(left, matched.chosen) if len(at) < len(left) else left[:0]
                found.append((known, Fit(at, matched.payload, matched.base, matched.entries)))
            return len(matched.chosen)

        counts = [offer(known) if len(left) else 0 for known in self._known]
        tried = 0
        while tried < len(left) and tried < FRUITLESS and len(self._known) < TEMPLATES:
            learned = self._learn(contents.content(int(left[tried])))
            if learned is None or not offer(learned):
                tried += 1
                continue
            self._known.append(learned)
            counts.append(0)
        # The most frequent first.
        order = sorted(range(len(self._known)), key=lambda index: -counts[index])
        self._known = [self._known[index] for index in order]
        return found

    def _learn(self, content: bytes) -> _Known | None:
        parsed = self._format.parse(content)
        if not isinstance(parsed, Parsed) or parsed.format != self._format.id:
            return None
        template = template_of(content, parsed)
        return None if template is None else _Known(template, {})

    def _walked(
        self, known: _Known, found: Fit, contents: Regions, rows: Longs, names: Sequence[str]
    ) -> tuple[Walked, Longs] | None:
        """The values of one template; those that could hold something readable are not among them."""
        template = known.template
        shape = self._shape(known, found, contents)
        good = np.flatnonzero((shape >= 0) & ~suspicious(found.payload))
        if not len(good):
            return None
        if len(good) < len(shape):
            some = tuple((at[good], length[good]) for at, length in found.entries)
            found = Fit(found.chosen[good], found.payload[good], found.base[good], some)
            shape = shape[good]
        content = contents[found.chosen]
        count = len(shape)
        entries: dict[str, Regions] = {}
        has: dict[str, NDArray[np.bool_]] = {}
        for name in names:
            raw = name.encode("utf-8", "surrogatepass")
            held = raw in template.names
            has[name] = np.full(count, held)
            if held:
                at, length = found.entries[template.names.index(raw)]
                entries[name] = Regions(contents.buffer, at, length)
            else:
                entries[name] = Regions.empty(count)
        context = Regions.empty(count)
        if template.names and template.context_at is not None:
            at = content.start + template.context_at + 4
            context = Regions(contents.buffer, at, found.base - at)
        walked = Walked(
            self._shapes,
            shape,
            rows[found.chosen],
            content,
            found.payload,
            _unit(template, content, found.base),
            _key(template, contents, found.base),
            context,
            entries,
            has,
        )
        return walked, found.chosen

    def _shape(self, known: _Known, found: Fit, contents: Regions) -> Longs:
        """Of each value: the number of its shape, -1 where it must be walked by itself."""
        lengths = found.payload.length
        longest = int(lengths.max(initial=0))
        if longest > 1 << 16:
            return np.full(len(lengths), -1)
        numbers = np.full(longest + 1, -2)
        first = np.zeros(longest + 1, np.int64)
        first[lengths[::-1]] = np.arange(len(lengths))[::-1]
        present = np.flatnonzero(np.bincount(lengths))
        for length in present.tolist():
            if length not in known.shapes:
                known.shapes[length] = self._judge(known.template, found, int(first[length]), contents)
            number = known.shapes[length]
            numbers[length] = -1 if number is None else number
        return numbers[lengths]

    def _judge(self, template: Template, found: Fit, index: int, contents: Regions) -> int | None:
        """The shape of one value as its parser sees it, if the template agrees with it on where everything lies."""
        content = contents.content(int(found.chosen[index]))
        parsed = self._format.parse(content)
        if not isinstance(parsed, Parsed):
            return None
        one = np.array([index])
        own = contents[found.chosen[one]]
        start = int(own.start[0])
        payload = int(found.payload.start[index]) - start
        agrees = (
            (payload, payload + int(found.payload.length[index])) == parsed.payload
            and not parsed.body
            and _unit(template, own, found.base[one]).content(0) == parsed.unit
            and _key(template, own, found.base[one]).content(0) == key_identity(parsed)
            and bool(parsed.unit)
        )
        if agrees and template.context_at is not None and parsed.context is not None:
            at = template.context_at + 4
            raw = content[at : int(found.base[index]) - start] if template.names else b""
            agrees = raw == context_bytes(parsed.context)
        elif parsed.context is not None:
            agrees = False
        if not agrees:
            return None
        self._shapes.append(shape_of(parsed, "/".join(self._encodings)))
        return len(self._shapes) - 1


def _unit(template: Template, content: Regions, base: Longs) -> Regions:
    """Nonces; put together in a buffer of their own where they lie in parts."""
    parts = [
        Regions(content.buffer, (base if behind else content.start) + offset, np.full(len(base), length))
        for behind, offset, length in template.unit
    ]
    if len(parts) == 1:
        return parts[0]
    sizes = [length for _, _, length in template.unit]
    matrix = np.concatenate([part.matrix(size) for part, size in zip(parts, sizes, strict=True)], axis=1)
    flat = np.concatenate((matrix.reshape(-1), np.zeros(16, np.uint8)))
    return Regions(flat, np.arange(len(base), dtype=np.int64) * sum(sizes), np.full(len(base), sum(sizes)))


def _key(template: Template, contents: Regions, base: Longs) -> Regions:
    if template.key is None:
        fixed = Regions.of([template.fixed_key])
        return Regions(fixed.buffer, np.zeros(len(base), np.int64), np.full(len(base), len(template.fixed_key)))
    offset, length = template.key
    return Regions(contents.buffer, base + offset, np.full(len(base), length))

"""Twins: a value that a sample was opened to, lying once more in its very own row, in whatever dress.

Proves that a column tells the opened values to whoever reads it. A value's own row is so small a place that it can be
looked at closely there: under encodings and compression, in any order of its words, as a date in other words, as a hash
without a key, also cut (see `dress`). Dates of birth and values of few, which turn up by chance everywhere else, are
sought here, too. Finding nothing proves nothing of salted hashes, of another encryption, or of other rows.

**The rule.** A value of at least 26 bits, of a column with many values, that is not common in the sample, is told
wherever its own row has it. What is lighter (a date, one of few values, a few letters) may stand in its own row by
chance. Of those a column is told only where

- at least three different values stand in their own rows,
- a row shows its own value at least three times as often as another sampled row's, and
- chance would bring that about less than once in 10,000 exports: the chance of one match is what all pairs of a sampled
  value and another sampled row give (one more match assumed), the number of matches is binomial, and the bound is
  divided by the number of pairs of columns that are compared.

So two values, or a sample of less than four rows, never accuse of light values.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from probes.fields.facts import PLACES
from probes.fields.hunt.dress import LONGEST, Key, is_date, keys_of, shown, words
from probes.fields.hunt.needles import weighty
from probes.fields.hunt.seam import Truth
from probes.fields.readable import text_of

SEVERAL: Final = 3
"""Different light values in their own rows."""
CLEARLY: Final = 3
"""Times as often as another row's."""
CHANCE: Final = 1e-4
"""That anything of an export is told by chance."""
ROOM: Final = 32 << 20
"""Bytes of each column's cells that are looked at; a cell counts for 256 at least, and for more beside many values."""
_LEAST: Final = 256
_EACH: Final = 64


@dataclass(frozen=True, slots=True)
class Twin:
    """An opened value seen in a column of its own row."""

    column: str
    value: bytes = field(repr=False)
    truth: Truth = field(repr=False)
    encoding: str
    places: tuple[str, ...]
    """The first ones."""
    count: int


@dataclass(frozen=True, slots=True)
class _Sought:
    truth: Truth
    light: bool
    keys: Mapping[Key, str] = field(repr=False)
    words: str = field(repr=False)
    """With a space about each; empty for light ones, which are only sought as a whole."""


@dataclass(slots=True)
class _Pair:
    """A column whose light values were opened, and one in which they are sought."""

    own: int = 0
    """Cells in rows of its own."""
    matched: int = 0
    others: int = 0
    """Matches between a value and another sampled row."""
    values: dict[bytes, tuple[Truth, str, int, tuple[str, ...]]] = field(default_factory=dict, repr=False)


class Twins:
    """Compares opened values with their own rows. Holds values: stays in the process that opened them."""

    def __init__(self, truths: Iterable[Truth], light: Callable[[Truth], bool]) -> None:
        """`light`: what is known to be one of few, or common, beside what the value itself tells."""
        self._rows: dict[str, dict[int, list[_Sought]]] = defaultdict(lambda: defaultdict(list))
        self._light: Counter[str] = Counter()
        self._known: dict[Key, Counter[str]] = defaultdict(Counter)
        """How many light values of each column have a key."""
        self._pairs: dict[tuple[str, str], _Pair] = defaultdict(_Pair)
        self._cells: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self.missed: dict[str, set[bytes]] = defaultdict(set)
        """By column, values whose cell was too long or found no room."""
        different: dict[str, set[bytes]] = defaultdict(set)
        self.sought: set[bytes] = set()
        """Values that are sought in their own rows."""
        for truth in truths:
            each = _sought(truth, light(truth))
            if not each.keys:
                continue
            self._rows[truth.shard][truth.row].append(each)
            if not each.light:
                self.sought.add(truth.value)
                continue
            different[truth.column].add(truth.value)
            self._light[truth.column] += 1
            for key in each.keys:
                self._known[key][truth.column] += 1
        for values in different.values():
            if len(values) >= SEVERAL:
                self.sought |= values

    def rows(self, shard: str) -> list[int]:
        """Numbers of the rows of a shard that are to be looked at, in order."""
        return sorted(self._rows[shard]) if shard in self._rows else []

    def look(self, shard: str, row: int, column: str, cell: bytes, place: str) -> Iterator[Twin]:
        """Compare one cell of such a row; tells what needs no counting."""
        mine = [each for each in self._rows[shard][row] if each.truth.column != column]
        cost = max(len(cell), _LEAST, _EACH * len(mine))
        if len(cell) > LONGEST or self._taken[column] + cost > ROOM:
            self.missed[column].update(each.truth.value for each in mine)
            return
        self._taken[column] += cost
        found: dict[Key, str] = {}
        spoken: list[tuple[str, str]] = []
        for taken, keys, text in shown(cell):
            for key, how in keys.items():
                found.setdefault(key, "/".join(filter(None, (taken, how))))
            if text:
                spoken.append((taken, text))
        self._cells[column] += 1
        for name in {each.truth.column for each in mine if each.light}:
            self._pairs[name, column].own += 1
        self._elsewhere(column, found.keys(), mine)
        for each in mine:
            encoding = _match(each, found, spoken)
            if encoding is None:
                continue
            if each.light:
                self._count(each.truth, column, encoding, place)
            else:
                yield Twin(column, each.truth.value, each.truth, encoding, (place,), 1)

    def _elsewhere(self, column: str, found: Iterable[Key], mine: list[_Sought]) -> None:
        """Other rows' values that this cell shows, by its most frequent key."""
        most: Counter[str] = Counter()
        for key in found:
            for name, count in self._known[key].items() if key in self._known else ():
                own = sum(each.light and each.truth.column == name and key in each.keys for each in mine)
                most[name] = max(most[name], count - own)
        for name, count in most.items():
            if name != column:
                self._pairs[name, column].others += count

    def _count(self, truth: Truth, column: str, encoding: str, place: str) -> None:
        pair = self._pairs[truth.column, column]
        pair.matched += 1
        _, word, count, places = pair.values.get(truth.value, (truth, encoding, 0, ()))
        pair.values[truth.value] = (truth, word, count + 1, (*places, place)[:PLACES])

    def told(self) -> Iterator[Twin]:
        """Light values that stand in their own rows more often than by chance; once all cells were looked at."""
        compared = sum(pair.own > 0 for pair in self._pairs.values())
        for (name, column), pair in sorted(self._pairs.items()):
            pairs = self._cells[column] * self._light[name] - pair.own
            chance = min(1.0, (pair.others + 1) / (max(pairs, pair.others) + 1))
            if len(pair.values) < SEVERAL or pair.matched < CLEARLY * chance * pair.own:
                continue
            if at_least(min(pair.matched, pair.own), pair.own, chance) * compared >= CHANCE:
                continue
            for value, (truth, encoding, count, places) in pair.values.items():
                yield Twin(column, value, truth, encoding, places, count)


def _sought(truth: Truth, light: bool) -> _Sought:
    text = text_of(truth.value)
    plain = words(text) if text is not None else ()
    content = "".join(plain).encode() if text is not None else truth.value
    if light or not weighty(content) or (text is not None and is_date(text)):
        return _Sought(truth, True, keys_of(truth.value), "")
    return _Sought(truth, False, keys_of(truth.value), f" {' '.join(plain)} " if plain else "")


def _match(sought: _Sought, found: Mapping[Key, str], spoken: list[tuple[str, str]]) -> str | None:
    """The word for how a cell shows a value; None where it does not."""
    for key, how in sought.keys.items():
        if key in found:
            # of a hash the value says which, the cell only how it is written
            return "/".join(filter(None, (found[key], how))) if key[0] == "digest" else _plain(found[key], how)
    if sought.words:
        return next(("/".join(filter(None, (taken, "words"))) for taken, text in spoken if sought.words in text), None)
    return None


def _plain(cell: str, value: str) -> str:
    """`base64/letters` of a value that is turned round to be the same is `base64/reversed`."""
    return "/".join((*cell.split("/")[:-1], value))


def at_least(matches: int, of: int, chance: float) -> float:
    """Probability of so many matches or more of `of` independent ones; 1 where none are asked for."""
    if matches <= 0 or chance >= 1:
        return 1.0
    logs = (
        math.lgamma(of + 1)
        - math.lgamma(number + 1)
        - math.lgamma(of - number + 1)
        + number * math.log(chance)
        + (of - number) * math.log1p(-chance)
        for number in range(matches, of + 1)
    )
    return min(1.0, math.fsum(math.exp(each) for each in logs))

"""From classified values of one batch after another to the result of one column of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from probes.fields.facts import PLACES
from probes.fields.formats.seam import Commitment
from probes.fields.scan.arrays import NO_TIME
from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import Hasher, Hashes, Longs, Regions, WholeHasher, words
from probes.fields.scan.result import (
    OPAQUE,
    STRATA,
    ColumnResult,
    RuleSeen,
    Shape,
    Span,
)
from probes.fields.scan.sampling import Sampler
from probes.fields.scan.tallies import Bounded, Distinct, Seen
from probes.fields.scan.tokens import Tokens
from probes.fields.subjects import ContextRule

Flags: TypeAlias = NDArray[np.bool_]
_OTHER: Final = "further"
_CONTEXTS: Final = 1 << 18
"""Contexts that are held before they are put together."""


@dataclass(frozen=True, slots=True)
class Row:
    """What columns of a batch are told of its rows."""

    numbers: Longs
    """Number of each row in the shard, ascending."""
    written: Longs | None
    """Microseconds since 1970, or `NO_TIME`."""
    tenant: Hashes | None
    """0: none."""


@dataclass(frozen=True, slots=True)
class Hashers:
    """Hashes for every purpose."""

    key: Hasher
    unit: Hasher
    check: Hasher
    context: Hasher
    block: Hasher
    whole: WholeHasher

    @staticmethod
    def of(key: bytes) -> Hashers:
        """All under one key."""
        key_, unit, check, context, block = (Hasher(key, name) for name in ("key", "unit", "check", "context", "block"))
        return Hashers(key_, unit, check, context, block, WholeHasher(key))


class Tabulation:
    """One column of one shard, as its batches come."""

    def __init__(self, column: str, rules: Sequence[ContextRule], key: bytes, hashers: Hashers) -> None:
        self._hash = hashers
        self._rules = tuple(rules)
        self.result = ColumnResult(column)
        for bounded in (self.result.kinds, self.result.ciphers, self.result.wrapped, self.result.static_keys):
            bounded.key = key
        self.result.lengths.key = self.result.undeclared_names.key = key
        self.result.rules = tuple(RuleSeen() for _ in rules)
        self._tokens: list[Tokens] = []
        self._strata: Bounded[str, Span] = Bounded(STRATA, key)
        self._contexts: list[Hashes] = []
        self._pending = 0
        self._sampler = Sampler()
        self._last: list[Hashes] = []
        self._first: list[Hashes] = []

    def add(self, walked: Walked, row: Row, rules: Sequence[NDArray[np.int8]]) -> None:
        """Values of one batch; `rules` says of each rule and value 0 equal, 1 differs, 2 absent."""
        if not len(walked):
            return
        walked, counts = _present_only(walked)
        shapes = walked.shapes
        rows = row.numbers[walked.row]
        written = None if row.written is None else row.written[walked.row]
        self._kinds(walked, counts, rows)
        self._spans(walked, counts, written)
        self._shape_counts(shapes, counts)
        self._deterministic(walked, rows)
        self._context(walked, rows, rules)
        self._token(walked, rows, row, written)

    def _kinds(self, walked: Walked, counts: Longs, rows: Longs) -> None:
        result = self.result
        numbers: dict[tuple[str, str, str], list[int]] = {}
        for index, (shape, count) in enumerate(zip(walked.shapes, counts.tolist(), strict=True)):
            numbers.setdefault((shape.kind, shape.variant, shape.encoding), []).append(index)
            if shape.bits:
                result.bits[shape.kind] = result.bits.get(shape.kind, 0) + shape.bits * count
        for key, members in numbers.items():
            count = int(counts[members].sum())
            have = result.kinds.kept.get(key)
            if have is not None and len(have.rows) >= PLACES and have.rows[-1] < rows[0]:
                seen: Seen[int] = Seen(count)
            elif len(members) == len(counts):
                seen = Seen(count, tuple(rows[:PLACES].tolist()))
            else:
                seen = Seen(count, _first(rows, np.isin(walked.shape, members)))
            result.kinds.add(key, seen)

    def _spans(self, walked: Walked, counts: Longs, written: Longs | None) -> None:
        """What is told with the time of its rows: wrapped keys."""
        if not any(shape.wrapped for shape in walked.shapes):
            return
        size = len(walked.shapes)
        first = np.full(size, np.iinfo(np.int64).max)
        last = np.full(size, NO_TIME)
        if written is not None:
            known = written != NO_TIME
            np.minimum.at(first, walked.shape[known], written[known])
            np.maximum.at(last, walked.shape[known], written[known])
        sums: dict[tuple[str, str, int | None, int | None, str], Span] = {}
        for index, shape in enumerate(walked.shapes):
            if not (count := int(counts[index])) or not shape.wrapped:
                continue
            at = int(last[index])
            span = Span(count) if at == NO_TIME else Span(count, int(first[index]), at)
            for one in shape.wrapped:
                have = sums.get(one)
                sums[one] = span if have is None else have + span
                self.result.wrapped_total += count
        for one, span in sums.items():
            self.result.wrapped.add(one, span)

    def _shape_counts(self, shapes: Sequence[Shape], counts: Longs) -> None:
        result = self.result
        yes, no, unsaid = result.committed
        for shape, count in zip(shapes, counts.tolist(), strict=True):
            if not count:
                continue
            if shape.length is not None:
                result.lengths.add(shape.length, Span(count))
                result.lengths_total += count
            if not shape.parsed:
                continue
            if shape.cipher is not None:
                result.ciphers.add(shape.cipher, Span(count))
            if not shape.wrapped:
                result.unwrapped += count
                if shape.static_key:
                    result.static_keys.add(shape.static_key, Span(count))
            wraps = len(shape.wrapped)
            low, high = result.wraps or (wraps, wraps)
            result.wraps = (min(low, wraps), max(high, wraps))
            for remark in shape.remarks:
                result.remarks[remark] = result.remarks.get(remark, 0) + count
            yes += count * (shape.commitment is Commitment.YES)
            no += count * (shape.commitment is Commitment.NO)
            unsaid += count * (shape.commitment is Commitment.UNKNOWN)
            if shape.has_unit:
                result.compared += count
                low_bits = shape.unit_bits
                result.unit_bits = low_bits if result.unit_bits is None else min(result.unit_bits, low_bits)
            else:
                result.hidden += count
            if shape.shows_context:
                result.shown += count
            else:
                result.not_shown += count
        result.committed = (yes, no, unsaid)

    def _deterministic(self, walked: Walked, rows: Longs) -> None:
        if any(shape.deterministic for shape in walked.shapes):
            chosen = _where(walked, [bool(shape.deterministic) for shape in walked.shapes])
            self.result.deterministic += Seen(int(np.count_nonzero(chosen)), _first(rows, chosen))

    def _context(self, walked: Walked, rows: Longs, rules: Sequence[NDArray[np.int8]]) -> None:
        shows = [shape.shows_context for shape in walked.shapes]
        if not any(shows):
            return
        chosen = _where(walked, shows)
        hashes = self._hash.context.regions(walked.context if all(shows) else walked.context[chosen])
        self._contexts.append(self._by_entries(walked, rows, chosen, hashes))
        self._pending += len(self._contexts[-1])
        if self._pending > _CONTEXTS:
            self._settle_contexts()
        told = list(self.result.rules)
        for index, verdicts in enumerate(rules):
            differs, absent = (verdicts == 1) & chosen, (verdicts == 2) & chosen
            told[index] = RuleSeen(
                told[index].equal + int(np.count_nonzero((verdicts == 0) & chosen)),
                told[index].differs + Seen(int(np.count_nonzero(differs)), _first(rows, differs)),
                told[index].absent + Seen(int(np.count_nonzero(absent)), _first(rows, absent)),
            )
        self.result.rules = tuple(told)

    def _by_entries(self, walked: Walked, rows: Longs, chosen: Flags, hashes: Hashes) -> Hashes:
        """Hashes of the contexts that are shown; of those with entries of the format's own, as a signer's key, which is
        another one each time and binds nothing, by the declared entries alone. Counts what no rule asks for."""
        ruled = {rule.name for rule in self._rules}
        strange = [bool(shape.shows_context and set(shape.context_names) - ruled) for shape in walked.shapes]
        own = [shape.own_entries and not odd for shape, odd in zip(walked.shapes, strange, strict=True)]
        if not ruled or not (any(strange) or any(own)):
            self._undeclared(walked, rows, strange, np.empty(0, np.uint64))
            return hashes
        declared = np.zeros(len(walked), np.uint64)
        for number, name in enumerate(sorted(ruled)):
            salt = np.where(walked.has[name], np.uint64(2 * number + 1), np.uint64(2 * number))
            declared += self._hash.context.regions(walked.entries[name], salt)
        self._undeclared(walked, rows, strange, declared)
        others = _where(walked, own)
        self.result.by_entries += int(np.count_nonzero(others))
        return np.where(others, declared, _spread(hashes, chosen))[chosen]

    def _undeclared(self, walked: Walked, rows: Longs, strange: Sequence[bool], declared: Hashes) -> None:
        if not any(strange):
            return
        odd = _where(walked, strange)
        result = self.result
        result.undeclared += Seen(int(np.count_nonzero(odd)), _first(rows, odd))
        if len(declared):
            result.undeclared_contexts += Distinct.of(declared[odd])
        ruled = {rule.name for rule in self._rules}
        counts = np.bincount(walked.shape, minlength=len(walked.shapes)).tolist()
        for shape, count in zip(walked.shapes, counts, strict=True):
            for name in set(shape.context_names) - ruled if shape.shows_context else ():
                result.undeclared_names.add(name, Span(count))

    def _settle_contexts(self) -> None:
        held = self._contexts
        self.result.contexts += Distinct.of(np.concatenate(held) if held else np.empty(0, np.uint64))
        self._contexts, self._pending = [], 0

    def _token(self, walked: Walked, rows: Longs, row: Row, written: Longs | None) -> None:
        """Of every value that is or may be ciphertext."""
        secret = [shape.parsed or shape.kind == OPAQUE for shape in walked.shapes]
        if not any(secret):
            return
        shapes = walked.shapes
        if all(secret):
            chosen, shape = np.arange(len(walked)), walked.shape
            contents, own_keys, units = walked.content, walked.key, walked.unit
        else:
            chosen = np.flatnonzero(_where(walked, secret))
            shape = walked.shape[chosen]
            contents, own_keys, units = walked.content[chosen], walked.key[chosen], walked.unit[chosen]
        content = self._hash.whole.regions(contents)
        keys = self._hash.key.regions(own_keys)
        unit = self._hash.unit.regions(units, keys)
        check = self._hash.check.regions(units, keys)
        visible = np.array([one.has_unit for one in shapes], np.bool_)[shape]
        parsed = np.array([one.parsed for one in shapes], np.bool_)[shape]
        own = np.array([bool(one.wrapped) for one in shapes], np.bool_)[shape]
        if not visible.all():
            unit = np.where(visible, unit, content)
            check = np.where(visible, check, content)
        whole = np.where(content == 0, np.uint64(1), content)
        # A value without a data key of its own is drawn by itself.
        drawn = np.where(parsed, np.where(own, keys, whole), np.uint64(0))
        tenants = np.zeros(len(chosen), np.uint64) if row.tenant is None else row.tenant[walked.row[chosen]]
        tokens = Tokens(
            rows[chosen].astype(np.uint32),
            unit,
            (check >> np.uint64(32)).astype(np.uint32),
            (content & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            drawn,
            own,
            tenants,
            self._stratum(shapes, shape, None if written is None else written[chosen]),
        )
        self._tokens.append(tokens)
        self._ends(units if visible.all() else units[visible])
        self._sampler.add(walked, chosen, tokens.row, visible)

    def _stratum(self, shapes: Sequence[Shape], shape: Longs, written: Longs | None) -> NDArray[np.uint16]:
        """What a sample is spread over: wrapping key and its material, and the month of writing."""
        labels = [_label(one) for one in shapes]
        months = np.zeros(len(shape), np.int64) if written is None else _months(written)
        pairs = months * len(shapes) + shape
        ordered = np.unique(pairs) if len(pairs) < 64 else np.flatnonzero(_present(pairs))
        return self._numbered(pairs, ordered, labels)

    def _numbered(self, pairs: Longs, present: Longs, labels: Sequence[str]) -> NDArray[np.uint16]:
        numbers = np.zeros(int(present.max()) + 1 if len(present) else 1, np.uint16)
        for pair in present.tolist():
            month, index = divmod(pair, len(labels))
            label = f"{labels[index]} {month // 12 + 1:04}-{month % 12 + 1:02}" if month else labels[index]
            numbers[pair] = self._number(label)
        return numbers[pairs]

    def _number(self, label: str) -> int:
        numbers = self._strata.kept
        if label not in numbers:
            if len(numbers) >= STRATA:
                label = _OTHER
            numbers.setdefault(label, Span(len(numbers)))
        return numbers[label].count

    def _ends(self, units: Regions) -> None:
        """The first and the last eight bytes of nonces, as numbers of either byte order."""
        enough = units.length >= 8
        usable = units if enough.all() else units[enough]
        lanes = words(usable.buffer)
        self._first.append(lanes[usable.start])
        self._last.append(lanes[usable.start + usable.length - 8].byteswap())

    def end_batch(self) -> None:
        """All values of a batch were added."""
        if self._last:
            self.result.counting += max(_successors(self._last), _successors(self._first))
            self._last, self._first = [], []

    def finish(self) -> ColumnResult:
        """The result; nothing can be added to it any more."""
        result = self.result
        self._settle_contexts()
        for bounded in (result.kinds, result.ciphers, result.wrapped, result.static_keys):
            bounded.trim()
        result.lengths.trim()
        result.undeclared_names.trim()
        result.statistics = self._sampler.histograms(self._hash.block, self._hash.check)
        if self._tokens:
            result.tokens = _joined(self._tokens)
            labels = list(self._strata.kept)
            order = sorted(range(len(labels)), key=labels.__getitem__)
            rank = np.empty(len(labels), np.uint16)
            rank[order] = np.arange(len(labels), dtype=np.uint16)
            result.strata = tuple(labels[index] for index in order)
            result.tokens.stratum = rank[result.tokens.stratum]
        return result


def _present_only(walked: Walked) -> tuple[Walked, Longs]:
    """Without shapes that no value has, and how many have each of the others."""
    counts = np.bincount(walked.shape, minlength=len(walked.shapes))
    present = np.flatnonzero(counts)
    if len(present) == len(counts):
        return walked, counts
    numbers = np.zeros(len(counts), np.int64)
    numbers[present] = np.arange(len(present))
    shapes = [walked.shapes[index] for index in present.tolist()]
    return replace(walked, shapes=shapes, shape=numbers[walked.shape]), counts[present]


def _present(pairs: Longs) -> Flags:
    """Which of the small numbers occur."""
    seen = np.zeros(int(pairs.max()) + 1, np.bool_)
    seen[pairs] = True
    return seen


def _label(shape: Shape) -> str:
    if not shape.wrapped:
        return f"{shape.kind} {shape.static_key}".strip()
    return ", ".join(
        sorted({f"{provider} {key} {fingerprint}".strip() for provider, key, *_, fingerprint in shape.wrapped})
    )


def _months(written: Longs) -> Longs:
    """Months since year 1; 0 where the instant is not known or far out."""
    months = written.astype("M8[us]").astype("M8[M]").astype(np.int64) + (1970 - 1) * 12
    return np.where((written == NO_TIME) | (months < 1) | (months > 9_998 * 12), 0, months)


def _spread(hashes: Hashes, chosen: Flags) -> Hashes:
    """One of the hashes for each chosen value, 0 for the others."""
    out = np.zeros(len(chosen), np.uint64)
    out[chosen] = hashes
    return out


def _where(walked: Walked, wanted: Sequence[bool]) -> Flags:
    return np.array(wanted, np.bool_)[walked.shape]


def _first(rows: Longs, chosen: Flags) -> tuple[int, ...]:
    """Rows are ascending within a batch."""
    return tuple(rows[np.flatnonzero(chosen)[:PLACES]].tolist())


def _joined(parts: Sequence[Tokens]) -> Tokens:
    """In the order of their rows."""
    names = ("row", "unit", "check", "content", "key", "own", "tenant", "stratum")
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    row = whole["row"]
    if len(row) > 1 and (row[1:] <= row[:-1]).any():
        order = np.lexsort((whole["unit"], row))
        whole = {name: values[order] for name, values in whole.items()}
    return Tokens(**whole)


def _successors(numbers: Sequence[Hashes]) -> int:
    """Nonces of a batch of which the successor is among them."""
    ordered = np.sort(np.concatenate(numbers))
    return int(np.count_nonzero(ordered[1:] - ordered[:-1] == 1))

"""From sums over all shards to the facts of a column."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keycheck.canonical import MAX_INTEGER
from keycheck.model.types import vendor_text
from probes.fields.facts import (
    CipherCount,
    ContextCount,
    Contexts,
    DataKeys,
    Detected,
    Hit,
    Kind,
    Lengths,
    Place,
    Tally,
    Undeclared,
    Units,
    WrappedCount,
)
from probes.fields.formats.mongo import ID as MONGO
from probes.fields.formats.seam import Cipher, Wrapped
from probes.fields.read.seam import Shard, place
from probes.fields.scan.arrays import moment
from probes.fields.scan.ledger import KeyUse, Repeats
from probes.fields.scan.result import (
    CIPHERS,
    HITS,
    KEYS,
    KINDS,
    LENGTHS,
    NO_FORMAT,
    WRAPPED,
    ColumnResult,
    KindKey,
    RuleSeen,
    Span,
    WrappedKey,
)
from probes.fields.scan.seam import Canary, ColumnPlan
from probes.fields.scan.statistics import Histograms
from probes.fields.scan.tallies import Bounded, Distinct, Seen

At: TypeAlias = tuple[str, int, str, int]
"""(file, start of the shard, its name, row): the order of an export."""
FEW: Final = 64
LEAST_COUNTING: Final = 8
_VARIOUS: Final = "various"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the context over the whole export."""

    equal: int = 0
    differs: Seen[At] = field(default_factory=Seen)
    absent: Seen[At] = field(default_factory=Seen)


@dataclass(slots=True)
class Sum:
    """One column over all shards that were seen."""

    plan: ColumnPlan
    key: bytes = field(repr=False)
    rows: int = 0
    nulls: int = 0
    empties: int = 0
    left_out: int = 0
    kinds: Bounded[KindKey, Seen[At]] = field(init=False)
    bits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ciphers: Bounded[Cipher, Span] = field(init=False)
    wrapped: Bounded[WrappedKey, Span] = field(init=False)
    wrapped_total: int = 0
    unwrapped: int = 0
    static_keys: Bounded[str, Span] = field(init=False)
    wraps: tuple[int, int] | None = None
    remarks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    committed: tuple[int, int, int] = (0, 0, 0)
    deterministic: Seen[At] = field(default_factory=Seen)
    compared: int = 0
    hidden: int = 0
    unit_bits: int | None = None
    counting: int = 0
    shown: int = 0
    not_shown: int = 0
    rules: list[Rule] = field(init=False)
    contexts: Distinct = field(default_factory=Distinct)
    by_entries: int = 0
    undeclared: Seen[At] = field(default_factory=Seen)
    undeclared_names: Bounded[str, Span] = field(init=False)
    undeclared_contexts: Distinct = field(default_factory=Distinct)
    lengths: Bounded[int, Span] = field(init=False)
    lengths_total: int = 0
    statistics: Histograms = field(default_factory=Histograms)
    detected: dict[tuple[str, bool], Seen[At]] = field(default_factory=dict)
    searched: int = 0
    found: Bounded[tuple[str, str, int], Seen[At]] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = Bounded(KINDS, self.key)
        self.ciphers = Bounded(CIPHERS, self.key)
        self.wrapped = Bounded(WRAPPED, self.key)
        self.static_keys = Bounded(KEYS, self.key)
        self.lengths = Bounded(LENGTHS, self.key)
        self.undeclared_names = Bounded(KEYS, self.key)
        self.found = Bounded(HITS, self.key)
        self.rules = [Rule() for _ in self.plan.rule.context] if self.plan.rule is not None else []

    def add(self, result: ColumnResult, shard: Shard) -> None:
        """What one shard told of this column."""

        def there(seen: Seen[int]) -> Seen[At]:
            return Seen(seen.count, tuple((shard.file.path, shard.start, shard.name, row) for row in seen.rows))

        self.rows += result.rows
        self.nulls += result.nulls
        self.empties += result.empties
        self.left_out += result.left_out
        _update(self.kinds, result.kinds, there)
        for kind, bits in result.bits.items():
            self.bits[kind] += bits
        self.ciphers.update(result.ciphers)
        self.wrapped.update(result.wrapped)
        self.wrapped_total += result.wrapped_total
        self.unwrapped += result.unwrapped
        self.static_keys.update(result.static_keys)
        if result.wraps is not None:
            low, high = self.wraps or result.wraps
            self.wraps = (min(low, result.wraps[0]), max(high, result.wraps[1]))
        for remark, count in result.remarks.items():
            self.remarks[remark] += count
        yes, no, unsaid = (a + b for a, b in zip(self.committed, result.committed, strict=True))
        self.committed = (yes, no, unsaid)
        self.deterministic += there(result.deterministic)
        self.compared += result.compared
        self.hidden += result.hidden
        if result.unit_bits is not None:
            self.unit_bits = min(result.unit_bits, MAX_INTEGER if self.unit_bits is None else self.unit_bits)
        self.counting += result.counting
        self.shown += result.shown
        self.not_shown += result.not_shown
        for index, rule in enumerate(result.rules):
            self.rules[index] = _rule(self.rules[index], rule, there)
        self.contexts += result.contexts
        self.by_entries += result.by_entries
        self.undeclared += there(result.undeclared)
        self.undeclared_names.update(result.undeclared_names)
        self.undeclared_contexts += result.undeclared_contexts
        self.lengths.update(result.lengths)
        self.lengths_total += result.lengths_total
        self.statistics += result.statistics
        for key, seen in result.detected.items():
            self.detected[key] = self.detected.get(key, Seen()) + there(seen)
        self.searched += result.searched
        self.found.more |= result.found_more
        for one in result.found:
            self.found.add((one.of, one.encoding, one.value), there(one.seen))

    def evidence(self) -> int:
        """Bits for the format that most of the recognised values are of."""
        counts: dict[str, int] = defaultdict(int)
        for (kind, *_), seen in self.kinds.items():
            if kind not in NO_FORMAT:
                counts[kind] += seen.count
        if not counts:
            return 0
        best = min(counts, key=lambda kind: (-counts[kind], kind))
        return min(1 << 53, self.bits[best], MAX_INTEGER)

    def kind_facts(self, where: Callable[[At], Place]) -> tuple[Kind, ...]:
        """All kinds; where there are too many to tell, encodings and then variants are put together."""
        kinds = dict(self.kinds.items())
        for level in (2, 1):
            if len(kinds) <= FEW:
                break
            fewer: dict[KindKey, Seen[At]] = {}
            for (kind, variant, _), seen in kinds.items():
                key = (kind, variant if level == 2 else _VARIOUS, _VARIOUS)
                fewer[key] = fewer.get(key, Seen()) + seen
            kinds = fewer
        ranked = sorted(kinds.items(), key=lambda item: (-item[1].count, item[0]))[:FEW]
        return tuple(
            Kind(
                kind=vendor_text(kind),
                variant=vendor_text(variant),
                encoding=vendor_text(encoding),
                count=seen.count,
                places=tuple(map(where, seen.rows)),
            )
            for (kind, variant, encoding), seen in ranked
        )

    def cipher_facts(self) -> tuple[CipherCount, ...]:
        """Declared ciphers, the most frequent first."""
        ranked = sorted(self.ciphers.items(), key=lambda item: (-item[1].count, repr(item[0])))[:FEW]
        return tuple(
            CipherCount.model_validate(
                {
                    "name": vendor_text(cipher.name),
                    "family": cipher.family if cipher.family in ("AES", "ChaCha20", "other") else "unknown",
                    "bits": cipher.bits,
                    "authenticated": cipher.authenticated,
                    "count": span.count,
                }
            )
            for cipher, span in ranked
        )

    def resolved(self, vault: Mapping[str, Wrapped]) -> Sum:
        """The same, with what a key vault tells of data keys that values only name.

        Only where all that was recognised is MongoDB's: another format's key id may be written to look like one.
        """
        kinds = {kind for (kind, *_), _ in self.kinds.items() if kind not in NO_FORMAT}
        found = [(vault[id], span) for id, span in self.static_keys.items() if id in vault]
        if not found or kinds != {MONGO}:
            return self
        other = copy(self)
        other.wrapped = Bounded(WRAPPED, self.key)
        for by, span in found:
            other.wrapped.add((by.provider, by.key, by.length, by.expected, by.fingerprint), span)
        other.wrapped_total = sum(span.count for _, span in found)
        other.unwrapped = max(0, self.unwrapped - other.wrapped_total)
        other.wraps = (int(not other.unwrapped), 1)
        return other

    def wrapped_facts(self) -> tuple[tuple[WrappedCount, ...], int]:
        """Classes of wrapped data keys, and how many data keys are of classes that are not told."""
        ranked = sorted(self.wrapped.items(), key=lambda item: (-item[1].count, repr(item[0])))
        told = tuple(
            WrappedCount(
                provider=vendor_text(provider),
                key=vendor_text(key),
                length=length,
                expected=expected,
                fingerprint=vendor_text(fingerprint),
                count=span.count,
                first_written=moment(span.first),
                last_written=moment(span.last),
            )
            for (provider, key, length, expected, fingerprint), span in ranked
        )
        return told, self.wrapped_total - sum(one.count for one in told)

    def units(self, repeats: Repeats | None, tally: Tallies) -> Units | None:
        """Nonces; None where nothing is ciphertext."""
        if not (self.compared or self.hidden or repeats is not None):
            return None
        seen = repeats or Repeats()
        return Units(
            compared=self.compared,
            hidden=self.hidden,
            reused=tally(seen.reused, seen.reused_at),
            copies=tally(seen.copies, seen.copies_at),
            across=tally(seen.across, seen.across_at),
            unit_bits=self.unit_bits or 0,
            counters=int(self.counting >= max(LEAST_COUNTING, self.compared // 100)),
        )

    def context_facts(self, where: Callable[[At], Place]) -> Contexts | None:
        """Contexts; None where nothing was recognised."""
        if not (self.shown or self.not_shown):
            return None
        rules = self.plan.rule.context if self.plan.rule is not None else ()
        return Contexts(
            shown=self.shown,
            hidden=self.not_shown,
            rules=tuple(
                ContextCount(
                    name=vendor_text(rule.name),
                    equal=seen.equal,
                    differs=tally_of(seen.differs, where),
                    absent=tally_of(seen.absent, where),
                )
                for rule, seen in zip(rules, self.rules, strict=True)
            ),
            distinct=len(self.contexts),
            many=self.contexts.more,
            by_entries=self.by_entries,
            undeclared=Undeclared(
                values=tally_of(self.undeclared, where),
                names=tuple(vendor_text(name) for name, _ in self.undeclared_names.items())[:FEW],
                more=self.undeclared_names.more or len(self.undeclared_names.kept) > FEW,
                distinct=len(self.undeclared_contexts),
                many=self.undeclared_contexts.more,
            ),
        )

    def length_facts(self) -> Lengths | None:
        """Lengths; None where nothing is ciphertext."""
        counts = [span.count for _, span in self.lengths.items()]
        if not counts:
            return None
        return Lengths(
            distinct=len(counts),
            rows=self.lengths_total,
            smallest=min(counts),
            values=self.plan.rule.values if self.plan.rule is not None else None,
        )

    def detected_facts(self, where: Callable[[At], Place]) -> tuple[Detected, ...]:
        """Personal data in the clear. A kind that is certain anywhere in the column is told apart from what only looks
        like it elsewhere."""
        return tuple(
            Detected(kind=vendor_text(kind), certain=certain, count=seen.count, places=tuple(map(where, seen.rows)))
            for (kind, certain), seen in sorted(self.detected.items())[:FEW]
        )

    def hits(self, canaries: Sequence[Canary], key: bytes, where: Callable[[At], Place]) -> tuple[tuple[Hit, ...], int]:
        """Canaries in the clear, and 1 where there are more."""
        told = tuple(
            Hit(
                sought="canary",
                of=vendor_text(of),
                encoding=vendor_text(encoding),
                count=seen.count,
                places=tuple(map(where, seen.rows)),
                digest=keyed_digest(key, canaries[value].value.encode("utf-8", "surrogatepass")),
            )
            for (of, encoding, value), seen in self.found.items()
        )
        return told, int(self.found.more)


Tallies: TypeAlias = Callable[[int, Sequence[tuple[int, int]]], Tally]


def data_keys(use: KeyUse | None, recognised: int, tenants: int | None, tally: Tallies) -> DataKeys | None:
    """Uses of data keys; None where nothing was recognised."""
    if use is None and not recognised:
        return None
    seen = use or KeyUse()
    return DataKeys(
        visible=seen.visible,
        distinct=seen.distinct,
        most_uses=seen.most,
        tenants_sharing=tally(seen.sharing, seen.sharing_at),
        tenants=tenants,
    )


def keyed_digest(key: bytes, content: bytes) -> str:
    """HMAC-SHA-256 under the run's key, of which nobody can guess the content."""
    return hmac.new(key, b"finding\0" + content, "sha256").hexdigest()[:32]


def tally_of(seen: Seen[At], where: Callable[[At], Place]) -> Tally:
    """A count with its places."""
    return Tally(count=seen.count, places=tuple(map(where, seen.rows)))


def located(shards: dict[str, Shard]) -> Callable[[At], Place]:
    """How a row is told to people."""

    def where(at: At) -> Place:
        return vendor_text(place(shards[at[2]], at[3]))

    return where


def _update(
    into: Bounded[KindKey, Seen[At]], other: Bounded[KindKey, Seen[int]], there: Callable[[Seen[int]], Seen[At]]
) -> None:
    moved: Bounded[KindKey, Seen[At]] = Bounded(other.bound, into.key)
    moved.kept = {key: there(seen) for key, seen in other.kept.items()}
    moved.more, moved.last = other.more, other.last
    into.update(moved)


def _rule(into: Rule, seen: RuleSeen, there: Callable[[Seen[int]], Seen[At]]) -> Rule:
    return Rule(into.equal + seen.equal, into.differs + there(seen.differs), into.absent + there(seen.absent))


def recognised(kinds: Iterable[tuple[KindKey, Seen[At]]]) -> int:
    """Values that a format recognised."""
    return sum(seen.count for (kind, *_), seen in kinds if kind not in NO_FORMAT)

"""What the sample of one column came to, counted while it is opened. Never a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from probes.fields.facts import PLACES, Negative, Opened, Planted, Refusals, Tally
from probes.fields.scan.seam import Draw

_FEW: Final = 64
_REASONS: Final = 8
_ORDER: Final[tuple[Negative, ...]] = (
    "context-swapped",
    "row-swapped",
    "ciphertext-flipped",
    "tag-flipped",
    "nonce-flipped",
    "header-flipped",
    "wrapped-flipped",
)


@dataclass(slots=True)
class Places:
    """A count with its first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        """One more."""
        self.count += 1
        if len(self.places) < PLACES:
            self.places.append(vendor_text(place))

    def tally(self) -> Tally:
        """As a fact."""
        return Tally(count=self.count, places=tuple(self.places))


@dataclass(slots=True)
class _Negative:
    tried: int = 0
    opened: Places = field(default_factory=Places)
    undecided: int = 0


@dataclass(slots=True)
class Count:
    """One column."""

    draw: Draw
    calls: int = 0
    unwrapped: int = 0
    refused: Places = field(default_factory=Places)
    unanswered: Counter[Unseen] = field(default_factory=Counter)
    notes: Counter[Unseen] = field(default_factory=Counter)
    """Data keys that were unwrapped and whose values could not be opened here."""
    lengths: Counter[int] = field(default_factory=Counter)
    ciphers: Counter[str] = field(default_factory=Counter)
    repeated: Places = field(default_factory=Places)
    weak: Places = field(default_factory=Places)
    headers: int = 0
    tags: int = 0
    bad_tags: Places = field(default_factory=Places)
    opened: int = 0
    bad: Places = field(default_factory=Places)
    fitting: int = 0
    canaries: int = 0
    unfitting: Places = field(default_factory=Places)
    unjudged: int = 0
    key_ids: set[str] = field(default_factory=set)
    materials: set[str] = field(default_factory=set)
    negatives: dict[Negative, _Negative] = field(default_factory=dict)

    def tried(self, name: Negative, place: str, *, opened: bool | None) -> None:
        """One negative test; None: the key service did not answer."""
        negative = self.negatives.setdefault(name, _Negative())
        negative.tried += 1
        if opened is None:
            negative.undecided += 1
        elif opened:
            negative.opened.add(place)

    def planted(self, found: int) -> Planted:
        """As they are recorded of values that were not drawn but planted; `found` there were."""
        tried = len(self.draw.picks)
        decided = self.canaries + self.refused.count + self.bad.count + self.unfitting.count + self.unjudged
        return Planted(
            found=found,
            tried=tried,
            canaries=self.canaries,
            others=self.unfitting.tally(),
            refused=self.refused.tally(),
            bad=self.bad.tally(),
            undecided=self.unjudged + tried - decided,
        )

    def facts(self, seed: str) -> Opened:
        """As they are recorded."""
        why = [each for each, _ in (self.unanswered + self.notes).most_common(_REASONS)]
        return Opened(
            seed=seed,
            strata=self.draw.strata,
            population=self.draw.population,
            drawn=len(self.draw.picks),
            calls=self.calls,
            unwrapped=self.unwrapped,
            refused=self.refused.tally(),
            unanswered=self.unanswered.total(),
            why_unanswered=tuple(why),
            lengths=tuple(sorted(self.lengths.items())[:_FEW]),
            ciphers=tuple(sorted(self.ciphers.items())[:_FEW]),
            repeated=self.repeated.tally(),
            weak=self.weak.tally(),
            headers=self.headers,
            tags=self.tags,
            bad_tags=self.bad_tags.tally(),
            opened=self.opened,
            bad=self.bad.tally(),
            fitting=self.fitting,
            canaries=self.canaries,
            unfitting=self.unfitting.tally(),
            unjudged=self.unjudged,
            refusals=tuple(
                Refusals(name=name, tried=made.tried, opened=made.opened.tally(), undecided=made.undecided)
                for name in _ORDER
                if (made := self.negatives.get(name)) is not None
            ),
            key_ids=tuple(sorted(map(vendor_text, self.key_ids))[:_FEW]),
            materials=tuple(sorted(map(vendor_text, self.materials))[:_FEW]),
        )

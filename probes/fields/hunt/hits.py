"""What was seen of what was sought, gathered: counts, the first places, and a keyed digest instead of the value."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from keycheck.model.types import vendor_text
from probes.fields.facts import PLACES, Hit, Hunt
from probes.fields.hunt.seam import Needle, Sought

MOST: Final = 1_000
"""Hits that are told; further ones are counted."""
_DIGEST: Final = 16


Weak: TypeAlias = Literal["", "number", "word"]


@dataclass(slots=True)
class _Seen:
    count: int = 0
    home: int = 0
    weak: Weak = ""
    places: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Hits:
    """Hits in one column or file. Picklable; holds no value."""

    seen: dict[tuple[Sought, str, str, str], _Seen] = field(default_factory=dict)
    """By what was sought, of what, in which spelling, and the value's keyed digest."""
    more: int = 0
    """Sightings of what found no room."""

    def add(self, needle: Needle, digest: str, place: str, *, home: bool = False, weak: Weak = "") -> None:
        """One sighting at a place, as `facts.Place` writes it."""
        name = (needle.sought, vendor_text(needle.of, 200), needle.encoding, digest)
        seen = self.seen.get(name)
        if seen is None:
            if len(self.seen) >= MOST:
                self.more += 1
                return
            seen = self.seen[name] = _Seen()
        seen.count += 1
        seen.home += home
        seen.weak = weak
        if len(seen.places) < PLACES:
            seen.places.append(vendor_text(place))

    def told(self) -> tuple[Hit, ...]:
        """Sorted, so that the same sightings are told alike."""
        return tuple(
            Hit(
                sought=sought,
                of=of,
                encoding=encoding,
                count=seen.count,
                places=tuple(seen.places),
                digest=digest,
                home=seen.home,
                weak=seen.weak,
            )
            for (sought, of, encoding, digest), seen in sorted(self.seen.items())
        )


def digests(needles: Sequence[Needle], key: bytes) -> tuple[str, ...]:
    """For each needle the keyed digest of its value, which all its spellings share: HMAC-SHA-256 of the value's first
    spelling, truncated to 16 bytes, in hexadecimal."""
    first: dict[int, str] = {}
    for needle in needles:
        if needle.value not in first:
            first[needle.value] = hmac.digest(key, needle.content, hashlib.sha256)[:_DIGEST].hex()
    return tuple(first[needle.value] for needle in needles)


def merged(one: Hunt, other: Hunt) -> Hunt:
    """Two hunts through the same place: over its pieces for the same values, or for canaries and for truths. `bytes`
    of different pieces add up; give 0 in one of them where both went over the same bytes."""
    hits = {(hit.sought, hit.of, hit.encoding, hit.digest): hit for hit in one.hits}
    for hit in other.hits:
        name = (hit.sought, hit.of, hit.encoding, hit.digest)
        known = hits.get(name)
        if known is not None:
            hit = _added(known, hit)
        hits[name] = hit
    kept = sorted(hits)[:MOST]
    return Hunt(
        canaries=max(one.canaries, other.canaries),
        truths=max(one.truths, other.truths),
        short=max(one.short, other.short),
        bytes=one.bytes + other.bytes,
        hits=tuple(hits[name] for name in kept),
        more=one.more + other.more + sum(hits[name].count for name in hits.keys() - set(kept)),
        present=max(one.present, other.present),
    )


def _added(one: Hit, other: Hit) -> Hit:
    """The same finding from two pieces."""
    places = (*one.places, *other.places)[:PLACES]
    return one.model_copy(update={"count": one.count + other.count, "places": places, "home": one.home + other.home})

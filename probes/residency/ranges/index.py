"""Lookups in an index: what every source says about one address."""

from __future__ import annotations

import struct
from bisect import bisect_right
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple, TypeAlias, final

from keycheck.model.types import vendor_text
from probes.residency.ranges.codec import decoded
from probes.residency.ranges.describing import broken
from probes.residency.ranges.prefixes import BITS, prefix_text
from probes.residency.ranges.seam import Address, Attribution, RangesError, Source
from probes.residency.ranges.table import FAMILIES, Table

Answer: TypeAlias = tuple[Attribution, ...]
_HALVES: Final = struct.Struct(">HH").unpack
_MAPPED: Final = bytes(10) + b"\xff\xff"
_LONGEST: Final = 64


@final
class _Shared(NamedTuple):
    """A /16 that several intervals share: the last halves of the addresses that they begin at, and what each holds."""

    starts: list[int]
    made: list[Answer]


class Index:
    """An index in memory (a `Ranges`). Attributions are made when their interval is first asked for, and kept."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._keys4, self._keys6 = (table.cells[family].keys for family in FAMILIES)
        self._by16: list[Answer | _Shared | None] = [None] * (1 << 16)
        self._made4: list[Answer | None] = [None] * len(self._keys4)
        self._made6: list[Answer | None] = [None] * len(self._keys6)

    @classmethod
    def of(cls, data: bytes) -> Index:
        """The index that a file's bytes hold. Raises RangesError."""
        return cls(decoded(data))

    def sources(self) -> tuple[Source, ...]:
        """What the index was made from, sorted by name."""
        return self.table.sources

    def lookup(self, address: Address) -> Answer:
        """What every source says, sorted by source. Raises RangesError."""
        # Spelt out, and by /16 first: most of those one answer holds for, and the others have few intervals each.
        try:
            if ":" in address:  # type: ignore[operator]
                return self._lookup6(inet_pton(AF_INET6, address))  # type: ignore[arg-type]
            high, low = _HALVES(inet_pton(AF_INET, address))  # type: ignore[arg-type]
        except (OSError, TypeError, ValueError):
            return self.answer(*self.find(packed(address)))
        found = self._by16[high]
        if found is None:
            found = self._by16[high] = self._slash16(high)
        if type(found) is _Shared:
            starts, made = found
            return made[bisect_right(starts, low) - 1]
        return found  # type: ignore[no-any-return]  # mypy does not follow `type(…) is`

    def _lookup6(self, address: bytes) -> Answer:
        if address.startswith(_MAPPED):
            return self.answer(*self.find(address))
        place = bisect_right(self._keys6, address) - 1
        made = self._made6[place]
        return self.answer(6, place) if made is None else made

    def _slash16(self, high: int) -> Answer | _Shared:
        first = bisect_right(self._keys4, high.to_bytes(2, "big") + b"\x00\x00") - 1
        after = bisect_right(self._keys4, high.to_bytes(2, "big") + b"\xff\xff")
        made = [self.answer(4, place) for place in range(first, after)]
        if len(made) == 1:
            return made[0]
        return _Shared([0, *(int.from_bytes(key[2:], "big") for key in self._keys4[first + 1 : after])], made)

    def find(self, address: bytes) -> tuple[int, int]:
        """The family and the number of the interval of an address in network order, 4 bytes or 16."""
        if len(address) == 4:
            return 4, bisect_right(self._keys4, address) - 1
        if address.startswith(_MAPPED):
            return 4, bisect_right(self._keys4, address[12:]) - 1
        return 6, bisect_right(self._keys6, address) - 1

    def answer(self, family: int, place: int) -> Answer:
        """What holds in an interval. Raises RangesError where the file says what cannot be."""
        made = self._made4 if family == 4 else self._made6
        found = made[place]
        if found is None:
            found = made[place] = self._make(family, place)
        return found

    def _make(self, family: int, place: int) -> Answer:
        try:
            return self._checked(family, place)
        except IndexError:
            raise broken("an answer or a label is not there") from None

    def _checked(self, family: int, place: int) -> Answer:
        table, cells = self.table, self.table.cells[family]
        first = int.from_bytes(cells.keys[place], "big")
        after = int.from_bytes(cells.keys[place + 1], "big") if place + 1 < len(cells.keys) else 1 << BITS[family]
        found: list[Attribution] = []
        for number, length in table.answers.entries(cells.holds[place]):
            source, label = table.labels[number]
            rest = BITS[family] - length
            if rest < 0 or first >> rest != (after - 1) >> rest:
                raise broken(f"a prefix of length {length} does not hold the addresses that it is said to hold")
            name, text = table.sources[source].name, prefix_text(family, first, length)
            found.append(
                Attribution(
                    name,
                    label.provider,
                    label.region,
                    label.border_group,
                    label.services,
                    text,
                    label.anycast,
                    label.ambiguous,
                )
            )
        if [each.source for each in found] != sorted({each.source for each in found}):
            raise broken("one source answers twice")
        return tuple(found)


def packed(address: Address) -> bytes:
    """An address in network order. Raises RangesError, also for an address with a zone or a port."""
    if isinstance(address, IPv4Address):
        return address.packed
    if isinstance(address, IPv6Address) and address.scope_id is None:
        return address.packed
    if isinstance(address, str):
        try:
            return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
        except (OSError, ValueError):
            pass
    raise RangesError(
        f"{vendor_text(str(address), _LONGEST)!r} is no IP address",
        advice="write it as 192.0.2.1 or 2001:db8::1, without port, zone or prefix length",
    )

"""Ranges for tests: prefixes that nest at random, one source of them, and the slow and obvious way to look up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

from hypothesis import strategies as st

from probes.residency.ranges.claims import Label
from probes.residency.ranges.prefixes import BITS, Prefix
from probes.residency.ranges.seam import Source
from probes.residency.ranges.table import Imported

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def source(name: str, prefixes: int = 1) -> Source:
    """A source of that name."""
    return Source(name, NOW, "0" * 64, "made here", prefixes, NOW)


def label(region: str, provider: str = "aws") -> Label:
    """A place, and nothing else said of it."""
    return Label(provider, region, None, (), anycast=False, ambiguous=False)


def imports(name: str, rows: Mapping[str, str]) -> Imported:
    """A source with regions by prefix."""
    labels = {}
    for text, region in rows.items():
        network = ip_network(text)
        labels[Prefix(network.version, int(network.network_address), network.prefixlen)] = label(region)
    return Imported(source(name, len(labels)), labels)


def nestings(family: int, least: int = 0) -> st.SearchStrategy[dict[Prefix, str]]:
    """Prefixes around a few addresses, so that they nest, touch and fill each other; with a region each."""
    bits = BITS[family]
    anchors = st.sampled_from(
        [0, 1, (1 << bits) - 1, 1 << (bits - 1), 0x0A000000 << (bits - 32), 0x0A0000FF << (bits - 32)]
    )
    addresses = st.one_of(anchors, anchors.map(lambda x: x ^ 1), st.integers(0, (1 << bits) - 1))
    lengths = st.one_of(st.integers(0, bits), st.integers(bits - 9, bits), st.integers(22, 26))
    pairs = st.tuples(addresses, lengths).map(
        lambda pair: Prefix(family, pair[0] >> (bits - pair[1]) << (bits - pair[1]), pair[1])
    )
    return st.dictionaries(pairs, st.sampled_from(["a", "b", "c"]), min_size=least, max_size=24)


def edges_of(prefixes: Iterable[Prefix], family: int) -> list[int]:
    """The addresses where an answer can change, and their neighbours."""
    top = (1 << BITS[family]) - 1
    near = {each + step for prefix in prefixes for each in (prefix.value, prefix.end) for step in (-1, 0, 1)}
    return sorted({0, top, *(each for each in near if 0 <= each <= top)})


def brute(prefixes: Mapping[Prefix, str], family: int, address: int) -> tuple[str, str] | None:
    """The longest prefix with the address, by a look at every one: its text as `ipaddress` writes it, and region."""
    holding = [each for each in prefixes if (address ^ each.value) >> (BITS[family] - each.length) == 0]
    if not holding:
        return None
    best = max(holding, key=lambda each: each.length)
    kind = IPv4Network if family == 4 else IPv6Network
    return str(kind((best.value, best.length))), prefixes[best]

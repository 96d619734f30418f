"""Prefixes as numbers, read strictly, and what no published list may hold. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from keycheck.model.types import vendor_text
from probes.residency.ranges.seam import RangesError

BITS: Final = {4: 32, 6: 128}
SHORTEST: Final = {4: 8, 6: 16}
"""A shorter prefix is a default route in all but name: one line of it would attribute a large part of the world."""
_TEXT: Final = 64


class Prefix(NamedTuple):
    """`family` is 4 or 6, `value` the lowest address as a number, `length` in bits."""

    family: int
    value: int
    length: int

    @property
    def end(self) -> int:
        """The address after the highest."""
        return self.value + (1 << (BITS[self.family] - self.length))

    def __str__(self) -> str:
        return prefix_text(self.family, self.value, self.length)


def prefix_text(family: int, address: int, length: int) -> str:
    """The prefix of that length that holds the address: `192.0.2.0/24`."""
    rest = BITS[family] - length
    lowest = address >> rest << rest
    return f"{IPv4Address(lowest) if family == 4 else IPv6Address(lowest)}/{length}"


def parse_prefix(text: object) -> Prefix:
    """A prefix in CIDR notation, without bits beyond its length. An address alone is none. Raises RangesError."""
    if not isinstance(text, str) or len(text) > _TEXT:
        raise _wrong(text, "no prefix")
    address, slash, bits = text.partition("/")
    family = 6 if ":" in address else 4
    try:
        value = int.from_bytes(inet_pton(AF_INET6 if family == 6 else AF_INET, address), "big")
    except (OSError, ValueError):
        raise _wrong(text, "no address of IPv4 or IPv6") from None
    if not (slash and bits.isascii() and bits.isdigit() and str(int(bits)) == bits and int(bits) <= BITS[family]):
        raise _wrong(text, "no prefix length after a slash")
    length = int(bits)
    if beyond := value & ((1 << (BITS[family] - length)) - 1):
        meant = Prefix(family, value - beyond, length)
        raise RangesError(
            f"{vendor_text(text, _TEXT)!r}: bits are set beyond the prefix length",
            advice=f"in a file of your own write {meant}; a provider's list is damaged: get it again",
        )
    return Prefix(family, value, length)


def parse_published(text: object, *, allow_private: bool = False) -> Prefix:
    """A prefix that a list of public ranges may hold. Raises RangesError for near-default routes and, unless they
    are allowed, for ranges that are never announced on the Internet (IANA special-purpose registries)."""
    prefix = parse_prefix(text)
    if prefix.length < SHORTEST[prefix.family]:
        raise RangesError(
            f"{prefix} is a default route or near it",
            advice=f"nobody publishes IPv{prefix.family} prefixes shorter than /{SHORTEST[prefix.family]}: "
            "get the list again from the provider itself",
        )
    if not allow_private and (block := special_block(prefix)) is not None:
        raise RangesError(
            f"{prefix} overlaps {block}, which is private or reserved",
            advice="get the list again; in a file of your own such ranges are taken with --allow-private",
        )
    return prefix


def special_block(prefix: Prefix) -> Prefix | None:
    """The special-purpose block that the prefix shares addresses with."""
    if prefix.family == 6 and not (_GLOBAL.value <= prefix.value and prefix.end <= _GLOBAL.end):
        return next((block for block in _SPECIAL_6 if _meet(block, prefix)), prefix)
    blocks = _SPECIAL_4 if prefix.family == 4 else _SPECIAL_6
    return next((block for block in blocks if _meet(block, prefix)), None)


def _meet(one: Prefix, other: Prefix) -> bool:
    return one.value < other.end and other.value < one.end


def _wrong(text: object, what: str) -> RangesError:
    shown = vendor_text(text, _TEXT) if isinstance(text, str) else type(text).__name__
    return RangesError(f"{shown!r}: {what}", advice="the list is damaged or of another format: get it again")


def _blocks(text: str) -> tuple[Prefix, ...]:
    return tuple(map(parse_prefix, text.split()))


_SPECIAL_4: Final = _blocks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
)
"""IANA IPv4 Special-Purpose Address Registry (RFC 6890), and multicast."""
_GLOBAL: Final = parse_prefix("2000::/3")
"""All that IANA has given out for global unicast."""
_SPECIAL_6: Final = _blocks(
    "::1/128 64:ff9b::/96 2001::/23 2001:db8::/32 2002::/16 3fff::/20 fc00::/7 fe80::/10 ff00::/8"
)
"""IANA IPv6 Special-Purpose Address Registry, and multicast; everything outside `_GLOBAL` is refused besides."""

"""Addresses that are no ordinary ones: what the registries call them, and which are never connected to. Pure.

Sources: RFC 6890 and the IANA registries of special-purpose addresses for IPv4 and IPv6 that it founds; RFC 1112
(multicast, reserved); RFC 6052 (NAT64). Addresses of cloud metadata services: the clouds' own documentation.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Ip: TypeAlias = IPv4Address | IPv6Address

_REGISTRY: Final = (
    # the longest prefix first, where one lies in another
    ("broadcast", "255.255.255.255/32"),
    ("this-network", "0.0.0.0/8"),
    ("private-use", "10.0.0.0/8"),
    ("shared-address-space", "100.64.0.0/10"),
    ("loopback", "127.0.0.0/8"),
    ("link-local", "169.254.0.0/16"),
    ("private-use", "172.16.0.0/12"),
    ("ietf-protocol-assignments", "192.0.0.0/24"),
    ("documentation", "192.0.2.0/24"),
    ("6to4-relay-anycast", "192.88.99.0/24"),
    ("private-use", "192.168.0.0/16"),
    ("benchmarking", "198.18.0.0/15"),
    ("documentation", "198.51.100.0/24"),
    ("documentation", "203.0.113.0/24"),
    ("multicast", "224.0.0.0/4"),
    ("reserved", "240.0.0.0/4"),
    ("loopback", "::1/128"),
    ("unspecified", "::/128"),
    ("discard-only", "100::/64"),
    ("local-use-nat64", "64:ff9b:1::/48"),
    ("teredo", "2001::/32"),
    ("benchmarking", "2001:2::/48"),
    ("documentation", "2001:db8::/32"),
    ("ietf-protocol-assignments", "2001::/23"),
    ("6to4", "2002::/16"),
    ("documentation", "3fff::/20"),
    ("segment-routing", "5f00::/16"),
    ("unique-local", "fc00::/7"),
    ("link-local", "fe80::/10"),
    ("multicast", "ff00::/8"),
)
_NETWORKS: Final[tuple[tuple[str, IPv4Network | IPv6Network], ...]] = tuple(
    (word, ip_network(prefix)) for word, prefix in _REGISTRY
)
_NAT64: Final = IPv6Network("64:ff9b::/96")

_NEVER: Final = frozenset({"broadcast", "this-network", "unspecified", "link-local", "multicast", "reserved"})
_METADATA: Final = tuple(
    ip_network(prefix)
    for prefix in (
        "169.254.0.0/16",
        "fd00:ec2::/32",  # AWS
        "168.63.129.16/32",  # Azure
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud, classic
    )
)


@lru_cache(maxsize=4096)
def special_of(address: str) -> str | None:
    """The special-purpose registry's word for an address, `loopback` or `private-use`; None: an ordinary global one.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) counts as that address first. Raises ValueError for what is
    no address.
    """
    ip = ip_address(address)
    within = inner(ip)
    if within is not None and (word := _word(within)) is not None:
        return word
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return "ipv4-mapped"
    return _word(ip)


def never_connected(address: str) -> str | None:
    """Why nobody connects to an address, in words: it would reach this machine's own surroundings, where answers say
    nothing of the vendor and may hold our own credentials. None: it may be connected to.

    Raises ValueError for what is no address.
    """
    ip = ip_address(address)
    for each in (ip, inner(ip)):
        if each is None:
            continue
        if any(each in network for network in _METADATA if network.version == each.version):
            return "where clouds keep their machines' metadata"
        if (word := _word(each)) in _NEVER:
            return f"a {word} address"
    return None


def inner(ip: Ip) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour


def _word(ip: Ip) -> str | None:
    return next((word for word, network in _NETWORKS if network.version == ip.version and ip in network), None)

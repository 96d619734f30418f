"""Which name was asked for, and whether a certificate names it; name constraints of CAs. Pure.

Sources: RFC 9525 (service identity), RFC 5280 section 4.2.1.10 (name constraints).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from cryptography import x509

from probes.tls.certificates import Parsed, canonical_name, find

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_COMPARISONS: Final = 20_000
"""Bound on the work that a certificate with many names under a CA with many constraints can cause."""

_DEVIATIONS: Final = frozenset("ßς\u200c\u200d")
"""Characters that IDNA2003, which Python knows, maps to another name than IDNA2008 does."""


def reference_name(host: str) -> str | Address:
    """The host as it stands in certificates: an address, or a lower-case A-label name without final dot.

    Raises ValueError for a name that is no host name, or whose A-label form depends on the edition of IDNA.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    name = host.removesuffix(".")
    if not name.isascii():
        if _DEVIATIONS & set(name):
            raise ValueError(f"{host!r} means different names in IDNA2003 and IDNA2008; write its xn-- form")
        name = name.encode("idna").decode("ascii")
    name = name.lower()
    labels = name.split(".")
    if len(name) > 253 or not all(
        0 < len(label) <= 63 and all(c.isalnum() or c in "-_" for c in label) for label in labels
    ):
        raise ValueError(f"{host!r} is no host name")
    return name


def matching_name(reference: str | Address, names: Iterable[x509.GeneralName]) -> str | None:
    """The first subject alternative name that stands for the reference, or None.

    An address needs an iPAddress entry, a name a dNSName entry; the common name never counts. A `*` stands
    for exactly one whole, left-most label and needs two labels to its right (RFC 9525 section 6.3).
    """
    for name in names:
        match name:
            case x509.IPAddress(value=value) if value == reference:
                return str(value)
            case x509.DNSName(value=value) if isinstance(reference, str) and _matches(reference, value):
                return value
            case _:
                continue
    return None


def _matches(reference: str, pattern: str) -> bool:
    pattern = pattern.lower()
    if not pattern.startswith("*."):
        return pattern == reference
    parent = pattern[2:]
    return "." in parent and "*" not in parent and reference.partition(".")[2] == parent


def alternative_names(node: Parsed) -> tuple[x509.GeneralName, ...]:
    """The subject alternative names of a certificate; none when its extensions cannot be read."""
    if node.extensions is None:
        return ()
    return tuple(find(node.extensions, x509.SubjectAlternativeName) or ())


def constraint_breaches(constraints: x509.NameConstraints, below: Parsed) -> tuple[list[str], list[str]]:
    """`(breaches, unsupported)`: names of `below` that a CA above it does not allow, and names of kinds that
    are constrained in a way that is not checked here (anything but DNS, address and directory names)."""
    breaches: list[str] = []
    unsupported: list[str] = []
    subject = below.certificate.subject
    names: list[x509.GeneralName] = list(alternative_names(below))
    if list(subject.rdns):
        names.append(x509.DirectoryName(subject))
    trees = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
    if len(names) * len(trees) > MAX_COMPARISONS:
        return [], [f"{len(names)} names by {len(trees)} subtrees"]
    for name in names:
        permitted = [t for t in constraints.permitted_subtrees or () if type(t) is type(name)]
        excluded = [t for t in constraints.excluded_subtrees or () if type(t) is type(name)]
        if not permitted and not excluded:
            continue
        if not isinstance(name, x509.DNSName | x509.IPAddress | x509.DirectoryName):
            unsupported.append(type(name).__name__)
        elif any(_within(name, tree) for tree in excluded):
            breaches.append(f"{_shown(name)} is excluded")
        elif permitted and not any(_within(name, tree) for tree in permitted):
            breaches.append(f"{_shown(name)} is not permitted")
    return breaches, unsupported


def _within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    match name, tree:
        case x509.DNSName(value=value), x509.DNSName(value=base):
            value, base = value.lower().removeprefix("*."), base.lower()
            if base.startswith("."):
                return value.endswith(base)
            return not base or value == base or value.endswith("." + base)
        case x509.IPAddress(value=value), x509.IPAddress(value=base):
            if not isinstance(base, ipaddress.IPv4Network | ipaddress.IPv6Network):
                return value == base
            return isinstance(value, Address) and value.version == base.version and value in base
        case x509.DirectoryName(value=value), x509.DirectoryName(value=base):
            prefix = canonical_name(base)
            return canonical_name(value)[: len(prefix)] == prefix
        case _:
            return False


def _shown(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)

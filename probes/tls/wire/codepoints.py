"""TLS code points by name and by number. Pure data: importing this parses a few kilobytes of text once.

Names are IANA's spelling (SSLv2 kinds: the specification's). A code point that no table knows is named by its
hexadecimal form, so that whatever a server sends can be written down and read back.
"""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from probes.tls.wire import tables

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

_HEX = re.compile(r"0x([0-9A-F]{2,6})")
_BRACES = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """One registry of code points. ``digits`` is the width of an unknown code point's hexadecimal name."""

    title: str
    digits: int
    names: Mapping[int, str] = field(repr=False)
    codes: Mapping[str, int] = field(repr=False)

    def name(self, code: int) -> str:
        """The registered name, or '0xABCD' for a code point that this registry does not know."""
        known = self.names.get(code)
        return known if known is not None else f"0x{code:0{self.digits}X}"

    def code(self, name: str) -> int:
        """The code point of a name (exact spelling) or of a hexadecimal name as ``name`` writes it.

        Raises ValueError, with a near name to try, for anything else.
        """
        known = self.codes.get(name)
        if known is not None:
            return known
        if (match := _HEX.fullmatch(name)) and len(match[1]) == self.digits:
            return int(match[1], 16)
        near = difflib.get_close_matches(name, self.codes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"write its number as '0x' and {self.digits} digits"
        raise ValueError(f"{name!r} is not in the registry of {self.title}: {hint}")

    def __contains__(self, code: object) -> bool:
        return code in self.names

    def __iter__(self) -> Iterator[int]:
        """Code points in ascending order."""
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _registry(title: str, digits: int, names: Mapping[int, str]) -> Registry:
    ordered = dict(sorted(names.items()))
    codes = {name: code for code, name in ordered.items()}
    if len(codes) != len(ordered):
        raise ValueError(f"two code points of {title} share a name")
    return Registry(title, digits, MappingProxyType(ordered), MappingProxyType(codes))


def _table(text: str, prefix: str = "") -> dict[int, str]:
    found: dict[int, str] = {}
    for line in text.split("\n"):
        start, *patterns = line.split() or [""]
        for code, name in enumerate(itertools.chain.from_iterable(map(_expand, patterns)), int(start or "0", 16)):
            if code in found:
                raise ValueError(f"code point {code:#06x} stands twice in a table")
            found[code] = prefix + name
    return found


def _expand(pattern: str) -> Iterator[str]:
    """'{A,B}_{1,2}' -> A_1 A_2 B_1 B_2."""
    fixed_and_chosen = _BRACES.split(pattern)
    choices = [part.split(",") if odd % 2 else [part] for odd, part in enumerate(fixed_and_chosen)]
    return map("".join, itertools.product(*choices))


VERSIONS = _registry(
    "protocol versions",
    4,
    {SSL2: "SSLv2", SSL3: "SSLv3", TLS10: "TLSv1.0", TLS11: "TLSv1.1", TLS12: "TLSv1.2", TLS13: "TLSv1.3"},
)

_assigned = _table(tables.SUITES, "TLS_")
_historic = _table(tables.HISTORIC_SUITES, "TLS_")
_suites13 = _table(tables.SUITES13, "TLS_")

#: Every suite of TLS 1.2 and older (SSLv3's included), assigned or only deployed. No signalling values.
SUITES = _registry("cipher suites of TLS 1.2 and older", 4, _assigned | _historic)
#: The members of SUITES that IANA never assigned.
HISTORIC_SUITES = frozenset(_historic)
SUITES13 = _registry("cipher suites of TLS 1.3", 4, _suites13)
#: Both together, to name whatever suite an answer holds.
ANY_SUITE = _registry("cipher suites", 4, _assigned | _historic | _suites13)
#: Suites that authenticate and do not encrypt (RFC 9150), in TLS 1.3.
NULL_SUITES13 = frozenset({0xC0B4, 0xC0B5})

SSL2_KINDS = _registry("SSLv2 cipher kinds", 6, _table(tables.SSL2_KINDS, "SSL_CK_"))

_classical = _table(tables.GROUPS)
_pure = _table(tables.PURE_PQ_GROUPS)
_hybrid = _table(tables.HYBRID_PQ_GROUPS)
GROUPS = _registry("supported groups", 4, _classical | _pure | _hybrid)
#: ML-KEM (or its draft Kyber) alone.
PURE_PQ_GROUPS = frozenset(_pure)
#: A classical exchange and ML-KEM (or a draft of it, or CECPQ2) together.
HYBRID_PQ_GROUPS = frozenset(_hybrid)
#: RFC 7919.
FFDHE_GROUPS = frozenset(range(256, 261))
#: What a TLS 1.3 server may name: 1.3 dropped the binary, small and explicit curves (RFC 8446 section 4.2.7).
GROUPS13 = frozenset(
    {0x17, 0x18, 0x19, 0x1D, 0x1E, *range(0x1F, 0x2A)} | FFDHE_GROUPS | PURE_PQ_GROUPS | HYBRID_PQ_GROUPS
)

SIGNATURE_SCHEMES = _registry("signature schemes", 4, _table(tables.SIGNATURE_SCHEMES))
ALERTS = _registry("alerts", 2, _table(tables.ALERTS))
EXTENSIONS = _registry("extensions", 4, _table(tables.EXTENSIONS))
COMPRESSIONS = _registry("compression methods", 2, {0: "NULL", 1: "DEFLATE", 64: "LZS"})


def is_post_quantum(group: int) -> bool:
    """Whether the group's key exchange includes a post-quantum algorithm, pure or hybrid."""
    return group in PURE_PQ_GROUPS or group in HYBRID_PQ_GROUPS


def is_grease(code: int) -> bool:
    """RFC 8701: 0x0A0A, 0x1A1A, ... 0xFAFA mean nothing in any registry."""
    return code & 0x0F0F == 0x0A0A and code >> 8 == code & 0xFF

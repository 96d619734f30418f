"""Reads Strict-Transport-Security as RFC 6797 section 6.1 says. Pure, for hostile header values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_DIRECTIVE: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[!#$%&'*+.^_`|~0-9A-Za-z-]+))?\s*"
)
_SECONDS: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that clients act on."""

    max_age_s: int
    include_subdomains: bool


@dataclass(frozen=True, slots=True)
class Invalid:
    """A header that clients must ignore, and why."""

    why: str


def read_hsts(value: str) -> Policy | Invalid:
    """The policy of one header. Clients use the first header only (section 8.1). Unknown directives are
    ignored; a directive that stands twice, or a missing or malformed max-age, voids the header."""
    found: dict[str, str | None] = {}
    for piece in _split(value):
        if not piece.strip():
            continue
        match = _DIRECTIVE.fullmatch(piece)
        if match is None:
            return Invalid(f"{piece.strip()[:40]!r} is no directive")
        name = match[1].lower()
        if name in found:
            return Invalid(f"{name} stands twice")
        found[name] = match[2]
    age = (found.get("max-age") or "").strip('"')
    if not _SECONDS.fullmatch(age):
        return Invalid("no max-age in seconds")
    return Policy(int(age), "includesubdomains" in found)


def _split(value: str) -> list[str]:
    """At semicolons outside quotes."""
    pieces, current, quoted = [], "", False
    for char in value:
        if char == '"':
            quoted = not quoted
        if char == ";" and not quoted:
            pieces.append(current)
            current = ""
        else:
            current += char
    return [*pieces, current]

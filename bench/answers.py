"""What a server really does, what a tool said about it, and where the two part. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

VERSIONS: Final = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
OLD: Final = frozenset(VERSIONS) - {"TLSv1.3"}
HYBRID: Final = "x25519mlkem768"


@dataclass(frozen=True, slots=True)
class Truth:
    """What the lab made the server do."""

    up: bool = True
    on: frozenset[str] = frozenset({"TLSv1.3"})
    """Versions that work."""
    silent: frozenset[str] = frozenset()
    """Versions about which the server never answers, so that nobody can know."""
    groups: frozenset[str] = frozenset({HYBRID})
    """Groups that decide whether a contract is kept; it may take others too."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool stated. What it does not state stands nowhere."""

    reached: bool = True
    """It found a TLS server."""
    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    """Versions stated as refused or not offered."""
    groups: frozenset[str] | None = None
    """Groups stated as accepted, in lower case; None: nothing was said of groups."""
    verdict: str = ""
    """The tool's own conclusion, if it draws one."""
    trouble: str = ""
    """Why it said nothing at all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How a statement compares to the truth, about versions and about groups: `right`, `WRONG: ...`, or
    `open: ...` for what is not wrong but not said either."""

    versions: str
    groups: str


def mark(truth: Truth, said: Said) -> Mark:
    """Compare. A server that is down wants to be called unreachable, and silence to be called unknown."""
    if said.trouble:
        return Mark(f"open: {said.trouble}", "-")
    if not truth.up:
        return Mark("right: nobody there" if not said.reached else "WRONG: says that somebody is there", "-")
    if not said.reached:
        return Mark("WRONG: says that there is no TLS", "-")
    return Mark(_versions(truth, said), _groups(truth, said))


def _versions(truth: Truth, said: Said) -> str:
    wrong = []
    if lost := truth.on & said.off:
        wrong.append(f"says {_names(lost)} is off")
    if invented := said.on - truth.on:
        wrong.append(f"says {_names(invented)} is on")
    if guessed := truth.silent & said.off:
        wrong.append(f"takes silence for a refusal of {_names(guessed)}")
    if wrong:
        return f"WRONG: {'; '.join(wrong)}"
    # SSLv2 is left out: not every tool asks, and the lab's servers end such connections without a word.
    unsaid = (truth.on | OLD) - truth.silent - said.on - said.off - {"SSLv2"}
    return f"open: no word on {_names(unsaid)}" if unsaid else "right"


def _groups(truth: Truth, said: Said) -> str:
    if not said.groups:
        return "open: no word"
    unseen = truth.groups - said.groups
    return f"WRONG: misses {', '.join(sorted(unseen))}" if unseen else "right"


def _names(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions, key=VERSIONS.index))

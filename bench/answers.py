"""What a server really does, what a tool said about it, and where the two part. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
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
    """How a statement compares to the truth."""

    wrong: tuple[str, ...] = field(default=())
    open: tuple[str, ...] = field(default=())
    """Not wrong, but not said."""

    def __str__(self) -> str:
        if not self.wrong and not self.open:
            return "right"
        parts = [f"WRONG: {'; '.join(self.wrong)}"] if self.wrong else []
        parts += [f"open: {'; '.join(self.open)}"] if self.open else []
        return "; ".join(parts)


def mark(truth: Truth, said: Said) -> Mark:
    """Compare. A server that is down wants to be called unreachable, and silence to be called unknown."""
    if said.trouble:
        return Mark(open=(said.trouble,))
    if not truth.up:
        return Mark() if not said.reached else Mark(wrong=("says that somebody is there",))
    if not said.reached:
        return Mark(wrong=("says that there is no TLS server",))
    wrong, unsaid = [], []
    if lost := truth.on & said.off:
        wrong.append(f"says {_names(lost)} is off")
    if unknown := truth.on - said.on - said.off:
        unsaid.append(f"no word on {_names(unknown)}")
    if invented := said.on - truth.on:
        wrong.append(f"says {_names(invented)} is on")
    if guessed := truth.silent & said.off:
        wrong.append(f"takes silence for a refusal of {_names(guessed)}")
    if unproved := OLD - truth.on - truth.silent - said.off - {"SSLv2"}:
        unsaid.append(f"cannot rule out {_names(unproved)}")
    if said.groups is None:
        unsaid.append("no word on groups")
    elif unseen := truth.groups - said.groups:
        wrong.append(f"does not see {', '.join(sorted(unseen))}")
    return Mark(tuple(wrong), tuple(unsaid))


def _names(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions, key=VERSIONS.index))

"""Places in files, and everything that is wrong with a file gathered into one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias

from keycheck.errors import DeploymentError, ProfileError, UsageError

SHOWN: Final = 20
"""How many problems of a file are told at once."""

_KEPT: Final = 1000

FileError: TypeAlias = type[ProfileError] | type[DeploymentError] | type[UsageError]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file; line and column count from 1, columns in characters."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to write instead."""

    place: Place
    what: str
    mend: str


class Problems:
    """Collects problems, so that a file's author sees all of them at once."""

    def __init__(self, error: FileError) -> None:
        self.error = error
        self.found: list[Problem] = []

    def add(self, place: Place, what: str, mend: str) -> None:
        """Record a problem and go on."""
        problem = Problem(place, what, mend)
        if len(self.found) < _KEPT and problem not in self.found:
            self.found.append(problem)

    def check(self) -> None:
        """Raise one error with all problems, if there are any."""
        if not self.found:
            return
        if len(self.found) == 1:
            (only,) = self.found
            raise self.error(f"{only.place}: {only.what}", advice=only.mend)
        lines = [f"{p.place}: {p.what}; {p.mend}" for p in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"and {len(self.found) - SHOWN} more")
        raise self.error("\n".join(lines), advice="mend these places and try again")

    def stop(self, place: Place, what: str, mend: str) -> ProfileError | DeploymentError | UsageError:
        """The error to raise when reading cannot go on, with everything found so far."""
        self.found = self.found[: _KEPT - 1]
        self.add(place, what, mend)
        try:
            self.check()
        except (ProfileError, DeploymentError, UsageError) as error:
            return error
        raise RuntimeError("a problem was added and not found")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    found = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(word: str, known: Iterable[str], what: str) -> str:
    """The mend for an unknown word: the probable one, or all there are."""
    names = sorted(known)
    if meant := closest(word, names):
        return f"did you mean `{meant}`?"
    if not names:
        return f"there is no {what} to choose from"
    more = ", …" if len(names) > SHOWN else ""
    return f"write one of: {', '.join(names[:SHOWN])}{more}"

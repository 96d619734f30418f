"""What principals can do with a key, in classes that contracts speak of, and what each role of the annex may. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Power(StrEnum):
    """A class of actions on a key."""

    USE = "use"
    """Cryptographic operations under the key."""
    ADMINISTER = "administer"
    """Change its policy, state, rotation, material, names, tags or replicas. Tags can grant access."""
    GRANT = "grant"
    """Pass access on."""
    DELETE = "delete"
    """Schedule its deletion, or delete its material."""
    READ = "read"
    """Look at its configuration."""


class Standing(StrEnum):
    """What the contract's annex calls a principal."""

    VENDOR = "vendor"
    USER = "user"
    ADMINISTRATOR = "administrator"
    READER = "reader"


_MAY: Final[Mapping[Standing, frozenset[Power]]] = {
    Standing.VENDOR: frozenset({Power.USE, Power.READ}),
    Standing.USER: frozenset({Power.USE, Power.READ}),
    Standing.ADMINISTRATOR: frozenset({Power.ADMINISTER, Power.GRANT, Power.DELETE, Power.READ}),
    Standing.READER: frozenset({Power.READ}),
}
_NEVER: Final[Mapping[Standing, frozenset[Power]]] = {
    Standing.VENDOR: frozenset({Power.ADMINISTER, Power.GRANT, Power.DELETE}),
    Standing.USER: frozenset(),
    Standing.ADMINISTRATOR: frozenset({Power.USE}),
    Standing.READER: frozenset(),
}

MANAGES: Final = frozenset({Power.ADMINISTER, Power.DELETE})
"""Powers that separation of duties keeps apart from use."""


def forbidden(standings: frozenset[Standing]) -> frozenset[Power]:
    """What a principal that is declared so must not be able to do. Two declarations never lift what one forbids."""
    may = frozenset(power for standing in standings for power in _MAY[standing])
    never = frozenset(power for standing in standings for power in _NEVER[standing])
    return (frozenset(Power) - may) | never

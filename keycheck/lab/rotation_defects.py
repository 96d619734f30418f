"""How the practice vendor can behave when a key is rotated, and what the drill must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from keycheck.lab.crm.estates import constant_for_control
from keycheck.lab.crm.manner import Manner, manner
from keycheck.lab.defect import Defect, Promise, fails
from keycheck.lab.drill_defects import as_it_is
from keycheck.lab.key_sites import AwsSite, KeySite

ROTATION_CONTROLS = ("keys.rotation",)
CLAUSE = "KEY-ROTATE"


@dataclass(frozen=True, slots=True)
class RotationDefect(Defect[Manner]):
    """A manner of the vendor's application, seen only once a key is rotated. `at` is the key whose canaries' own key
    that is."""

    site: Callable[[KeySite], KeySite] = as_it_is
    """The key that goes with it; its canaries' own key has the same policy."""

    section: ClassVar[str] = "keys"


def _constant(key: KeySite) -> KeySite:
    """With it our own principal may open what this vendor stores."""
    return constant_for_control(key) if isinstance(key, AwsSite) else key


def _rotation(
    of: str,
    clause: str,
    promises: frozenset[Promise],
    at: str = "contacts",
    site: Callable[[KeySite], KeySite] = as_it_is,
) -> RotationDefect:
    chosen, google = manner(of), at != "contacts"
    return RotationDefect(
        f"{of}-g" if google else of,
        f"{chosen.title}, in Google Cloud" if google else chosen.title,
        clause,
        promises,
        lambda _: chosen,
        at,
        False,
        site=site,
    )


ROTATION_DEFECTS: tuple[RotationDefect, ...] = (
    _rotation("write-cache", "", frozenset()),
    _rotation("old-material", CLAUSE, fails("keys.rotation"), site=_constant),
    _rotation("own-key-after", CLAUSE, fails("keys.rotation")),
    _rotation("forgets-old", CLAUSE, fails("keys.rotation")),
    _rotation("old-material", CLAUSE, fails("keys.rotation"), "contacts-g"),
    _rotation("forgets-old", CLAUSE, fails("keys.rotation"), "contacts-g"),
)
"""The table, in the order in which it is shown."""

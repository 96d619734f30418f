"""How a practice vendor behaves when the customer's key is withheld or rotated, as plans: honest ones, and those a
drill must catch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Binding(StrEnum):
    """What sealed values are bound to: the encryption context that the key service sees (in AWS)."""

    RECORD = "record"
    """Tenant, record and field."""
    CONSTANT = "constant"
    """The same for every record of every tenant, so that a Deny on it hits them all."""
    NOTHING = "nothing"
    """No context at all, so that a Deny on one would hit nobody."""


class Keeps(StrEnum):
    """What the vendor keeps beside the sealed store and serves when the key is withheld."""

    NOTHING = "nothing"
    PLAINTEXT = "plaintext"
    """An availability copy in the clear."""
    OWN_KEY = "own-key"
    """A second copy under a key of the vendor's own, which new writes fall back to as well."""
    UNDECLARED = "undeclared"
    """A second copy under the customer's key in another context; a principal that nobody declared opens it."""
    ANSWERS = "answers"
    """Answers given once: fails open for whatever was read before, and only for that."""
    CANARIES = "canaries"
    """Canaries in the clear, recognised by their ids and always answered from there."""


class OnRotation(StrEnum):
    """What the vendor does once it sees that the customer's key has another material."""

    NOTHING = "nothing"
    OWN_KEY = "own-key"
    """Seals new values under a key of the vendor's own."""
    FORGET = "forget"
    """Opens only what was sealed since."""


class Trouble(StrEnum):
    """What the front door answers instead of the application; none of it is the declared wording."""

    NONE = "none"
    OUTAGE = "outage"
    """503 and JSON of another wording."""
    MAINTENANCE = "maintenance"
    """503 and an HTML page."""
    MAINTENANCE_OK = "maintenance-ok"
    """200 and an HTML page."""
    UNAUTHORIZED = "unauthorized"
    THROTTLED = "throttled"


SHORT: Final = 0.5
"""Seconds that the honest vendor's data keys live in a process; short, so that a drill in the lab is."""
WHILE: Final = 2.0
LONG: Final = 9.0


@dataclass(frozen=True, slots=True)
class Manner:
    """One behaviour."""

    id: str
    title: str
    cache_ages: tuple[float, ...] = (SHORT,)
    """Seconds that a data key lives, of each pod; `math.inf` for ever, 0 for no cache."""
    at_random: bool = False
    """Requests go to pods at random instead of in turn."""
    binding: Binding = Binding.RECORD
    keeps: Keeps = Keeps.NOTHING
    indexed_in_clear: bool = False
    """The search index holds contacts and answers from them."""
    exported_in_clear: bool = False
    """Exports come from an extract in the clear."""
    broken_for: float = 0.0
    """Seconds that a circuit breaker stays open for a record that the key withheld once; `math.inf` for ever."""
    messages: int = 1
    """How many values one cached data key seals, of the same context (in AWS)."""
    on_rotation: OnRotation = OnRotation.NOTHING
    one_data_key: bool = False
    """Everything is written under the data key that the vendor had when it began."""
    trouble_on_loss: Trouble = Trouble.NONE
    """What begins at the first read that the key withholds, for every record."""
    trouble_lasts: float = 3.0
    """Seconds."""
    declared_words: bool = True
    """Whether a withheld read is answered in the declared wording."""
    honest: bool = False
    """Whether it keeps what the contract promises."""


MANNERS: Final[tuple[Manner, ...]] = (
    Manner("honest", "short caches, everything withheld", honest=True),
    Manner("no-cache", "asks the key service at every read", cache_ages=(0.0,), honest=True),
    Manner("honest-pool", "four pods with short caches", cache_ages=(SHORT,) * 4, honest=True),
    Manner("long-cache", "data keys live longer than agreed", cache_ages=(LONG,)),
    Manner("endless-cache", "data keys live for ever", cache_ages=(math.inf,)),
    Manner("one-long-pod", "one pod of four caches for long", cache_ages=(SHORT, SHORT, SHORT, LONG)),
    Manner("plaintext-copy", "an availability copy in the clear serves reads", keeps=Keeps.PLAINTEXT),
    Manner("own-key-fallback", "falls back to a key of the vendor's own", keeps=Keeps.OWN_KEY),
    Manner("warm-fails-open", "serves what it read before, and only that", keeps=Keeps.ANSWERS),
    Manner("search-serves", "the search index goes on serving", indexed_in_clear=True),
    Manner("export-serves", "the export goes on serving", exported_in_clear=True),
    Manner("never-recovers", "a circuit breaker stays open after the key is back", broken_for=math.inf),
    Manner("recovers-late", "a circuit breaker stays open for a while", broken_for=LONG, honest=True),
    Manner("no-context", "calls the key service without a context", binding=Binding.NOTHING, honest=True),
    Manner("shared-context", "every record has the same context", binding=Binding.CONSTANT, honest=True),
    Manner("outage", "an outage begins when the key is withheld", trouble_on_loss=Trouble.OUTAGE),
    Manner("maintenance", "a maintenance page (503) begins then", trouble_on_loss=Trouble.MAINTENANCE),
    Manner("maintenance-ok", "a maintenance page (200) begins then", trouble_on_loss=Trouble.MAINTENANCE_OK),
    Manner("other-words", "withholds in words that were not declared", declared_words=False),
    Manner("hard-coded-canary", "answers canaries from a copy", keeps=Keeps.CANARIES),
    Manner("undeclared-principal", "reads a second copy as another principal", keeps=Keeps.UNDECLARED),
    Manner("write-cache", "seals under one data key for a while", cache_ages=(WHILE,), messages=1_000, honest=True),
    Manner("own-key-after", "seals under a key of its own after a rotation", on_rotation=OnRotation.OWN_KEY),
    Manner("forgets-old", "opens nothing of before a rotation", on_rotation=OnRotation.FORGET),
    Manner("old-material", "writes under the old data key after rotation", binding=Binding.CONSTANT, one_data_key=True),
)
"""The table. `undeclared-principal` needs `Doors.undeclared`, let in by policy, grant or inherited binding."""


def manner(id: str) -> Manner:
    """One manner by its id. Raise KeyError."""
    return {each.id: each for each in MANNERS}[id]

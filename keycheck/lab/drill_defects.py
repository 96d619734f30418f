"""How the practice vendor can behave in a revoke drill, and what the drill must show."""

from __future__ import annotations

from dataclasses import dataclass

from keycheck.lab.crm.estates import Way, admitted
from keycheck.lab.crm.manner import Manner, manner
from keycheck.lab.defect import Defect, Promise, fails, unknown
from keycheck.lab.key_sites import KeySite

DRILL_CONTROLS = ("keys.revocation", "keys.recovery")
CLAUSE = "KEY-REVOKE"


@dataclass(frozen=True, slots=True)
class DrillDefect(Defect[Manner]):
    """A manner of the vendor's application, seen only while the key is away."""

    admits: Way | None = None
    """How the vendor's undeclared principal is let in at the key."""

    section = "keys"

    def site(self, key: KeySite) -> KeySite:
        """The key that goes with it."""
        return key if self.admits is None else admitted(key, self.admits)


def _drill(id: str, clause: str, promises: frozenset[Promise], admits: Way | None = None) -> DrillDefect:
    chosen = manner(id)
    return DrillDefect(id, chosen.title, clause, promises, lambda _: chosen, "contacts", False, admits=admits)


_NOTHING_LOST = unknown("keys.recovery")
"""A path that never lost the canary cannot be seen to recover it."""

DRILL_DEFECTS: tuple[DrillDefect, ...] = (
    _drill("no-cache", "", frozenset()),
    _drill("honest-pool", "", frozenset()),
    _drill("long-cache", CLAUSE, fails("keys.revocation")),
    _drill("endless-cache", CLAUSE, fails("keys.revocation")),
    _drill("one-long-pod", CLAUSE, fails("keys.revocation")),
    _drill("plaintext-copy", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _drill("own-key-fallback", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _drill("warm-fails-open", CLAUSE, fails("keys.revocation")),
    _drill("search-serves", CLAUSE, fails("keys.revocation")),
    _drill("export-serves", CLAUSE, fails("keys.revocation")),
    _drill("never-recovers", CLAUSE, fails("keys.recovery")),
    _drill("recovers-late", CLAUSE, fails("keys.recovery")),
    _drill("no-context", "", unknown(*DRILL_CONTROLS)),
    _drill("outage", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("maintenance", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("maintenance-ok", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("other-words", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("hard-coded-canary", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("undeclared-principal", CLAUSE, fails("keys.revocation") | _NOTHING_LOST, Way.POLICY),
)
"""The table, in the order in which it is shown."""

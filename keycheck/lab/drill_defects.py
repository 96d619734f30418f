"""How the practice vendor can behave in a revoke drill, and what the drill must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keycheck.lab.crm.estates import Way, admitted, constant_for_control
from keycheck.lab.crm.manner import Manner, manner
from keycheck.lab.defect import Defect, Promise, fails, unknown
from keycheck.lab.key_sites import AwsSite, KeySite
from keycheck.lab.log_defects import excluded, late, quiet_log, reordered, truncated

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

DRILL_CONTROLS = ("keys.revocation", "keys.recovery", "keys.availability-copy")
CLAUSE = "KEY-REVOKE"


def as_it_is(key: KeySite) -> KeySite:
    """The key as the honest customer made it."""
    return key


@dataclass(frozen=True, slots=True)
class DrillDefect(Defect[Manner]):
    """A manner of the vendor's application, seen only while the key is away. `at` is the key of the vendor that has
    it: the same application serves in both clouds."""

    site: Callable[[KeySite], KeySite] = as_it_is
    """The key that goes with it."""
    meddled: bool = False
    """An administrator of the customer's rewrites the drill's statement as soon as it stands in the key policy."""
    log: Callable[[Clouds], None] = quiet_log
    """What befalls the customer's log once the vendor serves."""

    section = "keys"


def _drill(
    id: str,
    clause: str,
    promises: frozenset[Promise],
    site: Callable[[KeySite], KeySite] = as_it_is,
    *,
    of: str = "",
    title: str = "",
    at: str = "contacts",
    meddled: bool = False,
    log: Callable[[Clouds], None] = quiet_log,
) -> DrillDefect:
    chosen = manner(of or id)
    return DrillDefect(
        id, title or chosen.title, clause, promises, lambda _: chosen, at, False, site=site, meddled=meddled, log=log
    )


def _logged(
    id: str, title: str, promises: frozenset[Promise], log: Callable[[Clouds], None], at: str = "contacts"
) -> DrillDefect:
    return _drill(id, CLAUSE if promises else "", promises, of="honest", title=title, at=at, log=log)


def _on_google(of: str, clause: str, promises: frozenset[Promise], title: str = "") -> DrillDefect:
    chosen = title or f"{manner(of).title}, in Google Cloud"
    return _drill(f"{of}-g", clause, promises, of=of, title=chosen, at="contacts-g")


def _let_in(way: Way) -> Callable[[KeySite], KeySite]:
    return lambda key: admitted(key, way)


def _of_model(model: str) -> Callable[[KeySite], KeySite]:
    return lambda key: replace(key, model=model)


def _copied(key: KeySite) -> KeySite:
    return replace(key, copied_under="archive") if isinstance(key, AwsSite) else key


def _constant(key: KeySite) -> KeySite:
    return constant_for_control(key) if isinstance(key, AwsSite) else key


_STAYS = unknown("keys.availability-copy")
"""A path that goes on serving may do so from a copy, or from a cache."""
_NOTHING_LOST = unknown("keys.recovery") | _STAYS
"""A path that never lost the canary cannot be seen to recover it."""

DRILL_DEFECTS: tuple[DrillDefect, ...] = (
    _drill("no-cache", "", frozenset()),
    _drill("honest-pool", "", frozenset()),
    _drill("long-cache", CLAUSE, fails("keys.revocation")),
    _drill("endless-cache", CLAUSE, fails("keys.revocation") | _STAYS),
    _drill("one-long-pod", CLAUSE, fails("keys.revocation")),
    _drill("plaintext-copy", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _drill("own-key-fallback", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _drill("declared-copy", CLAUSE, fails("keys.revocation", "keys.availability-copy") | unknown("keys.recovery"),
           _copied,
           of="own-key-fallback", title="keeps a copy under an availability key that it declares"),
    _drill("warm-fails-open", CLAUSE, fails("keys.revocation") | _STAYS),
    _drill("search-serves", CLAUSE, fails("keys.revocation") | _STAYS),
    _drill("export-serves", CLAUSE, fails("keys.revocation") | _STAYS),
    _drill("never-recovers", CLAUSE, fails("keys.recovery")),
    _drill("recovers-late", CLAUSE, fails("keys.recovery")),
    _drill("no-context", "", unknown(*DRILL_CONTROLS)),
    _drill("shared-context", "", unknown(*DRILL_CONTROLS), _constant),
    _drill("outage", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("maintenance", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("maintenance-ok", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("other-words", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("hard-coded-canary", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("undeclared-principal", CLAUSE, fails("keys.revocation") | _NOTHING_LOST, _let_in(Way.POLICY)),
    _drill("undeclared-grantee", CLAUSE, fails("keys.revocation") | _NOTHING_LOST, _let_in(Way.LEFT_OVER),
           of="undeclared-principal", title="reads a second copy as another principal, let in by a left-over grant"),
    _drill("policy-meddled", "", unknown("keys.revocation", "keys.recovery"), of="honest", meddled=True,
           title="an administrator rewrites the drill's statement while the key is away"),
    _drill("service-integrated", "", unknown(*DRILL_CONTROLS), _of_model("service-integrated"), of="honest",
           title="one key is under everything that the vendor's service holds"),
    _drill("uploaded-material", "", unknown(*DRILL_CONTROLS), _of_model("uploaded-material"), of="honest",
           title="the vendor's own key service holds what the customer uploaded"),
    _on_google("endless-cache", CLAUSE, fails("keys.revocation") | _STAYS),
    _on_google("plaintext-copy", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _on_google("own-key-fallback", CLAUSE, fails("keys.revocation") | _NOTHING_LOST),
    _on_google("search-serves", CLAUSE, fails("keys.revocation") | _STAYS),
    _on_google("never-recovers", CLAUSE, fails("keys.recovery")),
    _on_google("outage", CLAUSE, unknown(*DRILL_CONTROLS)),
    _drill("undeclared-principal-g", CLAUSE, fails("keys.revocation") | _NOTHING_LOST, _let_in(Way.LEFT_OVER),
           of="undeclared-principal", at="contacts-g",
           title="reads a second copy as another principal, let in by a binding that the key inherits"),
    _logged("log-late", "the log comes an hour late", unknown("keys.revocation"), late),
    _logged("log-late-g", "the log comes late, in Google Cloud", unknown("keys.revocation"), late, "contacts-g"),
    _logged("log-reordered", "the log comes in another order", frozenset(), reordered),
    _logged("log-truncated", "the log is cut short", unknown(*DRILL_CONTROLS), truncated),
    _logged("log-excluded", "the trail leaves out encryptions", unknown("keys.revocation"), excluded),
)  # fmt: skip
"""The table, in the order in which it is shown."""

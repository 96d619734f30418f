"""What every drill that watches does alike: wait until every way is seen to work, and say what became of the change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from keycheck.drill.runner import Outcome, Result
from keycheck.errors import ProbeError
from keycheck.model.drill import Desk
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.polling import EVERY
from probes.keys.drill_facts import Restored


def until_seen(blind: Callable[[], Mapping[str, str]], seconds: float, io: Io, stop: threading.Event) -> None:
    """Wait until no way is blind. `blind`: name and last words of each that does not work yet. Raises ProbeError
    (no-positive) when the time is over or somebody says stop."""
    end = io.monotonic() + seconds
    while left := blind():
        if io.monotonic() > end or stop.is_set():
            shown = "; ".join(f"{name}: {words}" for name, words in sorted(left.items()))
            raise ProbeError(Reason.NO_POSITIVE, vendor_text(f"before anything was changed, not seen to work: {shown}"))
        threading.Event().wait(EVERY)


def alarm(drill: str, outcome: Outcome, desk: Desk) -> None:
    """Say at once what a person must do where restoring is not proved: what is still to be watched may take long."""
    desk.unrestored += outcome.by_hand
    if outcome.result is not Result.RESTORED:
        desk.say(f"{drill}: {outcome.result}: {outcome.words}")
        for line in outcome.by_hand:
            desk.say(f"{drill}: by hand, now: {line}")


def restored(outcome: Outcome) -> Restored | Unseen:
    """When it was seen to be as it should, twice; or that it was not."""
    first, again = outcome.moment("found", last=True), outcome.moment("closed")
    if outcome.result is not Result.RESTORED or first is None or again is None:
        return Unseen(reason=Reason.CONFLICTING, detail=vendor_text(f"{outcome.result}: {outcome.words}"))
    return Restored(first=first, again=again)

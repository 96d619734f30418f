"""A drill's timeline for people."""

from __future__ import annotations

from keycheck.model.facts import Unseen
from probes.keys.drill_facts import Mark
from probes.keys.timeline import VENDOR_PATHS, Path, PathTimeline


def told(line: PathTimeline, undoing: Mark | Unseen) -> str:
    """One path: what became of access, in seconds from the act, and from the undo."""
    last = f"last read {seconds(line.last_success.at_us)}" if line.last_success else "not read after the act"
    back = ""
    if line.again and isinstance(undoing, Mark):
        back = f", again {seconds(line.again.end_us - undoing.at_us)} after the undo"
    return f"  {line.path:<14} {line.by:<16} {_judged(line):<8} {last}, {_ended(line)}{back}"


def _ended(line: PathTimeline) -> str:
    if line.refused:
        return f"refused from {seconds(line.refused.end_us)}"
    if line.during.refused:
        return f"refused {line.during.refused} times, not in the end"
    return "never refused" if line.during.all else "not looked at"


def _judged(line: PathTimeline) -> str:
    """Whether the path did what one hopes of it: a control record must stay readable, every other must not."""
    if line.path is Path.CONTROL_RECORD:
        return "as meant" if line.during.readable == line.during.all else "LOOK"
    if line.path in VENDOR_PATHS or line.path is Path.SENTINEL:
        return "as meant" if line.refused and not line.unknown else "LOOK"
    return ""


def seconds(us: int) -> str:
    """`+1.234 s`."""
    sign = "-" if us < 0 else "+"
    return f"{sign}{abs(us) // 1_000_000}.{abs(us) // 1000 % 1000:03} s"

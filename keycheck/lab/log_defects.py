"""Logs of the customer's that come late, in another order, cut short, or with events left out. Both clouds, while a
drill goes on: what was logged before the vendor's application was up is not concerned."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keycheck.lab.log_trouble import LogTrouble

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds

_LATE: Final = timedelta(hours=1)
MARKS: Final = frozenset({"Encrypt"})
"""What marks are in AWS."""


def quiet_log(clouds: Clouds) -> None:
    """Nothing befalls the log."""


def late(clouds: Clouds) -> None:
    """What happens from now on is logged an hour later."""
    for trouble in _troubles(clouds):
        trouble.late, trouble.since = _LATE, clouds.clock()


def reordered(clouds: Clouds) -> None:
    """Entries come in another order than that of time."""
    for trouble in _troubles(clouds):
        trouble.reordered = True


def truncated(clouds: Clouds) -> None:
    """Of an answer only a short first page comes."""
    for trouble in _troubles(clouds):
        trouble.truncated = True


def excluded(clouds: Clouds) -> None:
    """CloudTrail leaves out encryptions, our own among them."""
    clouds.aws.cloud.trails.trouble.excluded = MARKS


def _troubles(clouds: Clouds) -> tuple[LogTrouble, LogTrouble]:
    return clouds.aws.cloud.trails.trouble, clouds.gcp.cloud.logs.trouble

"""Our own marks in the log of Google Cloud: calls on the canary's CryptoKey, when each was made by our own clock, and
what the log's times for them say about the two clocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.types import format_instant, parse_instant
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName
from probes.keys.drill.gcp_calls import USES, GcpError, Hand
from probes.keys.drill.gcp_crc import crc32c
from probes.keys.drill.gcp_log import GcpRawLog
from probes.keys.drill.offset import Offset, by_log
from probes.keys.principals import gcp_named

_WITHHELD: Final = frozenset({"PERMISSION_DENIED", "FAILED_PRECONDITION"})
"""What a call on a key that is away ends with. It is logged all the same."""
_OPERATION: Final = "Encrypt"
"""Of marks. The sentinel only decrypts."""
_DATE: Final = "date"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a drill keeps of its marks."""

    calls: tuple[tuple[datetime, datetime], ...] = ()
    """When each was asked and answered."""
    dated: Offset | None = None
    """How far the cloud's clock is from ours, by its answers' Date."""

    def texts(self) -> tuple[str, ...]:
        """For whoever reads the log later."""
        date = () if self.dated is None else (f"{_DATE} {_us(self.dated.low)} {_us(self.dated.high)}",)
        return (*date, *(f"{format_instant(asked)} {format_instant(answered)}" for asked, answered in self.calls))


def marks_of(texts: Iterable[str]) -> Marks:
    """What `Marks.texts` wrote. Raises ProbeError(malformed)."""
    calls: list[tuple[datetime, datetime]] = []
    dated: Offset | None = None
    for text in texts:
        try:
            first, second, *rest = text.split(" ")
            if first == _DATE:
                dated = Offset(timedelta(microseconds=int(second)), timedelta(microseconds=int(rest[0])))
            else:
                calls.append((parse_instant(first), parse_instant(second)))
        except (ValueError, IndexError, OverflowError) as error:
            raise ProbeError(Reason.MALFORMED, "what was kept of the drill's marks cannot be read") from error
    return Marks(tuple(calls), dated)


def mark(key: KeyName, who: Hand) -> tuple[datetime, datetime]:
    """One mark: an Encrypt whose answer is thrown away. Raises ProbeError unless it was done, or withheld because the
    key is away."""
    from google.cloud.kms_v1.types import EncryptRequest

    request = EncryptRequest(name=key.full, plaintext=b"keycheck", plaintext_crc32c=crc32c(b"keycheck"))
    asked = who.io.clock()
    try:
        who.once(
            USES,
            f"encrypt with {key.full}",
            lambda seconds: who.client.encrypt(request=request, retry=None, timeout=seconds),
        )
    except GcpError as error:
        if error.status not in _WITHHELD:
            raise
    return asked, who.io.clock()


def measured(logs: Sequence[GcpRawLog], marks: Marks, control: str) -> Offset | None:
    """How far the log's clock is from ours, by our marks in it; None while some are missing."""
    times = [
        entry.at
        for log in logs
        if log.canary
        for entry in log.entries()
        if entry.operation == _OPERATION and gcp_named(entry.principal, (control,))
    ]
    return by_log(marks.calls, times)


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)

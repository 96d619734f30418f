"""When bytes arrived, by the kernel's own stamp: what else this machine does after that is not measured along.

Linux stamps each segment with its wall clock when it comes in (``SO_TIMESTAMPNS``, socket(7); for TCP since 4.13). How
long ago that was is told from the same clock, less whatever the two clocks moved against each other since the socket
was opened: a wall clock that is set meanwhile can make the answer too small, and not too large. Elsewhere it is 0.
"""

import socket
import struct
import sys
import time
from contextlib import suppress

_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = 64


class Stamps:
    """The stamps of one socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._apart = _apart() if sys.platform == "linux" else 0
        with suppress(OSError):
            if sys.platform == "linux":
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def receive(self, sock: socket.socket, size: int) -> tuple[bytes, int]:
        """As ``recv``, with how many nanoseconds ago, at least, the last of these bytes arrived. Raises OSError."""
        if sys.platform != "linux":
            return sock.recv(size), 0
        data, ancillary, _, _ = sock.recvmsg(size, _ANCILLARY)
        stamp = next(
            (raw for level, kind, raw in ancillary if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS)), b""
        )
        if len(stamp) < _TIMESPEC.size:
            return data, 0
        seconds, nanoseconds = _TIMESPEC.unpack_from(stamp)
        ago = time.clock_gettime_ns(time.CLOCK_REALTIME) - (seconds * 1_000_000_000 + nanoseconds)
        return data, max(0, ago - abs(_apart() - self._apart))


def _apart() -> int:
    """Nanoseconds from the steady clock to the wall clock; taken apart by a rival thread, it only costs precision."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)

"""Where the lab listens: distinct loopback addresses where the system has them, else distinct ports.

Linux answers on the whole of 127.0.0.0/8; macOS only on 127.0.0.1 unless root adds more. Either way a server
is an (address, port) pair, so nothing above this module has to know.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from keycheck.lab.errors import LabError

BACKLOG = 1024
_LAST_OCTETS = range(2, 255)
_TRIES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A bound TCP socket and where it is. Until it listens, connections are refused and nobody else can take
    the port: a server that is down."""

    socket: socket.socket
    host: str
    port: int

    def listen(self) -> None:
        """Take connections from now on; they wait until a serving process answers."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.listen(BACKLOG)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def can_bind(host: str) -> bool:
    """Whether this system lets us listen on ``host``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((host, 0))
        except OSError:
            return False
    return True


class Places:
    """Hands out places, and owns their sockets until they are closed.

    ``spread`` forces one of the two ways; None means: look what the system allows.
    """

    def __init__(self, *, spread: bool | None = None) -> None:
        self.spread = can_bind("127.0.0.2") and can_bind("127.0.0.254") if spread is None else spread
        self._next = 0
        self._held: list[socket.socket] = []

    def claim(self, count: int) -> tuple[Place, ...]:
        """``count`` places for one name, on one port where the addresses differ. Raise LabError if none are
        left."""
        return self._on([self._host() for _ in range(count)] if self.spread else ["127.0.0.1"] * count)

    def at(self, hosts: Sequence[str]) -> tuple[Place, ...]:
        """Places on exactly these addresses, on one port. Raise LabError where the system has only 127.0.0.1."""
        if not self.spread:
            raise LabError(
                "the lab's places need all of 127.0.0.0/8, and this system listens on 127.0.0.1 alone",
                advice="use Linux, or add the addresses to the loopback interface first",
            )
        return self._on(hosts)

    def beside(self, places: Sequence[Place]) -> tuple[Place, ...]:
        """Another port of each of these places."""
        return self._on([place.host for place in places])

    def _on(self, hosts: Sequence[str]) -> tuple[Place, ...]:
        try:
            if not self.spread:
                return tuple(self._keep(_bind(host, 0)) for host in hosts)
            for _ in range(_TRIES):
                if (sockets := _same_port(hosts)) is not None:
                    return tuple(self._keep(each) for each in sockets)
        except OSError as error:
            advice = "ask for fewer endpoints, or allow more open files (ulimit -n)"
            raise LabError(f"the lab cannot listen on {', '.join(hosts)}: {error.strerror}", advice=advice) from error
        raise LabError(f"no port is free on all of {', '.join(hosts)}", advice="close other servers and try again")

    def close(self) -> None:
        """Close every socket still held here; copies in serving processes stay open."""
        while self._held:
            self._held.pop().close()

    def keep(self, bound: socket.socket) -> socket.socket:
        """Close this socket, too, when the places are closed."""
        self._held.append(bound)
        return bound

    def release(self) -> None:
        """Close our copies of the listening sockets, once the serving processes have theirs."""
        served = [
            each
            for each in self._held
            if each.type == socket.SOCK_DGRAM or each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ]
        for each in served:
            self._held.remove(each)
            each.close()

    def _host(self) -> str:
        block, octet = divmod(self._next, len(_LAST_OCTETS))
        self._next += 1
        if block > 255:
            raise LabError("the lab has run out of loopback addresses", advice="ask for fewer endpoints")
        return f"127.0.{block}.{_LAST_OCTETS[octet]}"

    def _keep(self, bound: socket.socket) -> Place:
        self._held.append(bound)
        host, port = bound.getsockname()
        return Place(bound, host, port)


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _same_port(hosts: Sequence[str]) -> list[socket.socket] | None:
    """One socket per host, all on one port; None when the port of the first is taken on another."""
    bound: list[socket.socket] = []
    port = 0
    for host in hosts:
        try:
            bound.append(_bind(host, port))
        except OSError as error:
            for each in bound:
                each.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        port = bound[0].getsockname()[1]
    return bound

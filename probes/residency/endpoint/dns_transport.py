"""Questions over the wire: side by side over UDP, again over TCP where the answer does not fit. Bounded.

Each UDP question has a socket of its own, connected, with a port that the system draws: an answer counts only when it
comes from that server, to that port, with that id, to that question. Whatever else arrives is ignored until the time is
up, and named then.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from keycheck.model.verdict import Reason
from keycheck.turns import waiting
from probes.residency.endpoint.dns_message import Question, Unusable, is_answer, is_truncated
from probes.tls.wire.answers import Kind, NoAnswer, Phase
from probes.tls.wire.transport import Address, Call, Limits, converse

AT_ONCE: Final = 32
SENDS: Final = 2
"""How often a question is sent over UDP; the second time after half the time to wait."""
MAX_STRAYS: Final = 16
"""Datagrams to one port that are no answer to its question, before nothing more is read there."""
_DATAGRAM: Final = 4096

Reply: TypeAlias = bytes | Unusable
NO_TIME: Final = Unusable(Reason.TIMEOUT, "no time was left to ask")


@dataclass(frozen=True, slots=True)
class Letter:
    """One question to one server."""

    server: Address
    asked: Question


def ask(
    letters: Sequence[Letter], seconds: float, until: float, source: str | None, monotonic: Callable[[], float]
) -> list[Reply]:
    """One reply a letter, in their order; an answer is one to the question, and whole. Waits at most `seconds` for each
    batch of `AT_ONCE`, and as long again for those that need TCP, and never past `until` (monotonic). Never raises for
    what a server does."""
    replies: dict[int, Reply] = {}
    for first in range(0, len(letters), AT_ONCE):
        batch = {n: letters[n] for n in range(first, min(first + AT_ONCE, len(letters)))}
        wait = min(seconds, until - monotonic())
        if wait > 0:
            replies |= _Datagrams(batch, wait, source, monotonic).replies()
        else:
            replies |= dict.fromkeys(batch, NO_TIME)
    short = [n for n, reply in replies.items() if isinstance(reply, bytes) and is_truncated(reply)]
    left = max(1, int(min(seconds, until - monotonic()) * 1_000_000))
    limits = Limits(left, left, left, received_bytes=1 << 17, transcript_bytes=0, in_flight=AT_ONCE)
    calls: list[Call[Reply]] = [Call(letters[n].server, _OverTcp(letters[n].asked)) for n in short]
    spoken = converse(calls, clock=lambda: int(monotonic() * 1_000_000), limits=limits, source=source)
    replies |= {n: exchange.answer for n, exchange in zip(short, spoken, strict=True)}
    return [replies[n] for n in range(len(letters))]


class _Datagrams:
    """One batch over UDP."""

    def __init__(
        self, letters: dict[int, Letter], seconds: float, source: str | None, monotonic: Callable[[], float]
    ) -> None:
        self._letters = letters
        self._seconds = seconds
        self._source = source
        self._now = monotonic
        self._replies: dict[int, Reply] = {}
        self._strays: dict[int, list[str]] = {n: [] for n in letters}

    def replies(self) -> dict[int, Reply]:
        """What came."""
        sockets: dict[int, socket.socket] = {}
        with selectors.DefaultSelector() as selector:
            try:
                for n, letter in self._letters.items():
                    sock = self._opened(n, letter)
                    if sock is not None:
                        sockets[n] = sock
                        selector.register(sock, selectors.EVENT_READ, n)
                start = self._now()
                for round_ in range(SENDS):
                    for n in [n for n in sockets if n not in self._replies]:
                        self._send(n, sockets[n])
                    self._collect(selector, sockets, start + self._seconds * (round_ + 1) / SENDS)
            finally:
                for sock in sockets.values():
                    sock.close()
        return {n: self._replies.get(n) or self._silence(n) for n in self._letters}

    def _opened(self, n: int, letter: Letter) -> socket.socket | None:
        ip, port = letter.server.ip, letter.server.port
        sock = None
        try:
            sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            if self._source is not None:
                sock.bind((self._source, 0))
            sock.connect((ip, port))
        except OSError as error:
            if sock is not None:
                sock.close()
            self._replies[n] = Unusable(Reason.UNREACHABLE, f"cannot be asked from here: {error.strerror}")
            return None
        return sock

    def _send(self, n: int, sock: socket.socket) -> None:
        try:
            sock.send(self._letters[n].asked.wire)
        except BlockingIOError:
            return  # lost, as any datagram may be
        except OSError as error:
            self._replies[n] = Unusable(Reason.UNREACHABLE, f"{error.strerror}")

    def _collect(self, selector: selectors.BaseSelector, sockets: dict[int, socket.socket], until: float) -> None:
        while len(self._replies) < len(self._letters) and (left := until - self._now()) > 0:
            with waiting():
                ready = selector.select(left)
            for key, _ in ready:
                n: int = key.data
                if n in self._replies:
                    selector.unregister(sockets[n])
                    continue
                self._receive(n, sockets[n])
                if n in self._replies:
                    selector.unregister(sockets[n])

    def _receive(self, n: int, sock: socket.socket) -> None:
        try:
            data = sock.recv(_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as error:
            self._replies[n] = Unusable(Reason.UNREACHABLE, f"{error.strerror}")
            return
        wrong = is_answer(data, self._letters[n].asked)
        if wrong is None:
            self._replies[n] = data
            return
        self._strays[n].append(wrong)
        if len(self._strays[n]) >= MAX_STRAYS:
            self._replies[n] = self._silence(n)

    def _silence(self, n: int) -> Unusable:
        strays = self._strays[n]
        if strays:
            return Unusable(Reason.MALFORMED, f"no answer but {strays[0]} ({len(strays)} datagrams)")
        return Unusable(Reason.TIMEOUT, f"no answer within {self._seconds:g} s")


class _OverTcp:
    """A ``Conversation[Reply]``: one question behind its length (RFC 7766)."""

    def __init__(self, asked: Question) -> None:
        self._asked = asked
        self._received = bytearray()
        self._answer: Reply | None = None

    def start(self) -> bytes:
        return len(self._asked.wire).to_bytes(2, "big") + self._asked.wire

    def feed(self, data: bytes) -> bytes:
        self._received += data
        size = int.from_bytes(self._received[:2], "big")
        if len(self._received) >= 2 and len(self._received) >= 2 + size and self._answer is None:
            self._answer = self._checked(bytes(self._received[2 : 2 + size]))
        return b""

    def _checked(self, data: bytes) -> Reply:
        wrong = is_answer(data, self._asked)
        if wrong is not None:
            return Unusable(Reason.MALFORMED, f"over TCP, {wrong}")
        if is_truncated(data):
            return Unusable(Reason.MALFORMED, "truncated over TCP too")
        return data

    def ended(self, how: NoAnswer) -> None:
        if self._answer is None:
            reason = Reason.TIMEOUT if how.kind is Kind.TIMEOUT else Reason.UNREACHABLE
            behind = "" if how.phase is Phase.CONNECT else f" after {len(self._received)} bytes"
            self._answer = Unusable(reason, f"truncated, and over TCP {how.kind.value}{behind}")

    @property
    def answer(self) -> Reply | None:
        return self._answer

    @property
    def patience_us(self) -> int | None:
        return None

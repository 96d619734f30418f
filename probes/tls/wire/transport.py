"""Many conversations side by side in one thread: non-blocking sockets behind ``selectors``, sans-I/O above.

A conversation says what to send and is fed what arrives; the transport keeps deadlines, byte bounds, concurrency
and pace, tells the ways of not answering apart, and keeps what was sent and received. One connection is one
``Exchange``, whatever happened on it. Only literal addresses: names are resolved elsewhere, once.

How an end is named: refused or unroutable connect ``UNREACHABLE``, RST ``RESET``, FIN ``CLOSED``, a deadline
``TIMEOUT``, too many bytes ``FLOODED``, and what failed on our own side (no descriptor, no source address) ``LOCAL``.
"""

import errno
import ipaddress
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from keycheck.turns import turn, waiting
from probes.tls.wire.answers import Kind, NoAnswer, Phase
from probes.tls.wire.stamps import Stamps

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Clock = Callable[[], int]
"""Monotonic microseconds; ``lambda: time.monotonic_ns() // 1000`` outside tests."""

_CHUNK = 1 << 16
_LOCAL_ERRORS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
    | {errno.EAFNOSUPPORT}
)
_RESETS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class Conversation(Protocol[T_co]):
    """Sans-I/O: the transport feeds it and sends what it returns, until ``answer`` is not None."""

    def start(self) -> bytes:
        """The connection stands (and any prelude is through): what to send first."""

    def feed(self, data: bytes) -> bytes:
        """What arrived; returns what to send. Must not raise, whatever arrives."""

    def ended(self, how: NoAnswer) -> None:
        """The connection is gone or the time is up. Afterwards ``answer`` is not None."""

    @property
    def answer(self) -> T_co | None: ...

    @property
    def patience_us(self) -> int | None:
        """How long to wait for the next bytes from now on, when shorter than the deadlines; None: those alone."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The prelude is through: TLS may begin on this connection."""


class Prelude(Protocol):
    """What is said before TLS (see ``prelude``): a conversation that ends in ``Ready`` or a reason."""

    def start(self) -> bytes: ...
    def feed(self, data: bytes) -> bytes: ...
    @property
    def answer(self) -> Ready | NoAnswer | None: ...
    def recordable(self, sent: bytes) -> bytes:
        """What may be kept of sent bytes: credentials for our own proxy must not reach evidence."""


@dataclass(frozen=True, slots=True)
class Address:
    """A literal IPv4 or IPv6 address and a port. Raises ValueError for anything else."""

    ip: str
    port: int

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.ip)
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is not a TCP port: use 1 to 65535")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one ``converse``. Durations in microseconds."""

    connect_us: int = 5_000_000
    first_byte_us: int = 5_000_000  # of the prelude, and again of TLS
    total_us: int = 15_000_000
    received_bytes: int = 1 << 20
    transcript_bytes: int = 1 << 16  # kept of each direction
    in_flight: int = 64
    per_address: int = 8
    pace_us: int = 0  # least time between two connection starts to one address

    def __post_init__(self) -> None:
        if self.in_flight < 1 or self.per_address < 1:
            raise ValueError("at least one connection must be allowed at a time")


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One connection to make. The conversation and the prelude are used up by it."""

    address: Address
    conversation: Conversation[T]
    label: str = ""
    prelude: Prelude | None = None
    on_arrival: Callable[[int], None] | None = None
    """Told before each ``feed`` how many nanoseconds ago these bytes arrived, at least (see ``stamps``)."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """What happened on one connection. Times in microseconds, those after the first counted from ``started_us``.

    ``sent`` and ``received`` are the first ``transcript_bytes`` of each direction, whose true lengths stand
    beside; TLS begins at the two offsets, and what lies before them is the prelude.
    """

    label: str
    address: Address
    answer: T
    started_us: int
    connected_us: int | None
    first_byte_us: int | None
    duration_us: int
    sent: bytes
    received: bytes
    sent_bytes: int
    received_bytes: int
    tls_sent_at: int = 0
    tls_received_at: int = 0


def converse(
    calls: Sequence[Call[T]],
    *,
    clock: Clock,
    limits: Limits = DEFAULT_LIMITS,
    follow: Callable[[Exchange[T]], Iterable[Call[T]]] | None = None,
    source: str | None = None,
) -> list[Exchange[T]]:
    """Hold all conversations side by side in this thread and return what happened, one exchange a call.

    Results come in the order of ``calls``, whatever the order of events. ``follow`` may add calls when an exchange is
    over (the next question of an elimination, a resumption); theirs come right after the exchange they follow.
    ``source`` is the local address that connections leave from; where it cannot be used, that is ``LOCAL``.
    Raises only what ``follow`` raises: sockets' errors are answers. All sockets are closed on the way out.
    """
    with turn():
        return _Multiplexer(clock, limits, follow, source).run(calls)


@dataclass(slots=True)
class _Link(Generic[T]):
    """One connection under way."""

    path: tuple[int, ...]
    call: Call[T]
    sock: socket.socket
    started: int
    deadline: int  # connect, then first byte, then none but the total
    total_deadline: int
    prelude: Prelude | None
    phase: Phase = Phase.CONNECT
    patience: int | None = None
    connected: int | None = None
    first_byte: int | None = None
    out: bytearray = field(default_factory=bytearray)
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    sent_bytes: int = 0
    received_bytes: int = 0
    tls_sent_at: int = 0
    tls_received_at: int = 0
    events: int = 0
    stamps: Stamps | None = None
    fd: int = -1
    """The descriptor, also when the socket is closed."""

    def next_deadline(self) -> int:
        due = min(self.deadline, self.total_deadline)
        return due if self.patience is None else min(due, self.patience)


class _Multiplexer(Generic[T]):
    def __init__(
        self,
        clock: Clock,
        limits: Limits,
        follow: Callable[[Exchange[T]], Iterable[Call[T]]] | None,
        source: str | None,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._follow = follow
        self._source = source
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[Address, deque[tuple[tuple[int, ...], Call[T]]]] = {}
        self._links: dict[int, _Link[T]] = {}
        self._busy: Counter[Address] = Counter()
        self._not_before: dict[Address, int] = {}
        self._done: list[tuple[tuple[int, ...], Exchange[T]]] = []

    def run(self, calls: Sequence[Call[T]]) -> list[Exchange[T]]:
        for number, call in enumerate(calls):
            self._wait((number,), call)
        try:
            while self._waiting or self._links:
                wake = self._start_due()
                with waiting():
                    self._selector.select(self._patience(wake))
                for key, _ in self._selector.select(0):  # and what came while others had their turn
                    link: _Link[T] = key.data
                    self._serve(link)
                self._expire()
        finally:
            for link in self._links.values():
                link.sock.close()
            self._selector.close()
        self._done.sort(key=lambda pair: pair[0])
        return [exchange for _, exchange in self._done]

    def _patience(self, wake: int | None) -> float | None:
        """Seconds until something is due, for the selector."""
        due = [link.next_deadline() for link in self._links.values()]
        if wake is not None:
            due.append(wake)
        return max(0, min(due) - self._clock()) / 1_000_000 if due else 0

    def _start_due(self) -> int | None:
        """Open what may be opened; when pacing holds something back, the time at which to look again."""
        wake: int | None = None
        for address in list(self._waiting):
            queue = self._waiting[address]
            while queue and self._busy[address] < self._limits.per_address:
                if len(self._links) >= self._limits.in_flight:
                    return wake
                free_at = self._not_before.get(address, 0)
                if free_at > self._clock():
                    wake = free_at if wake is None else min(wake, free_at)
                    break
                path, call = queue.popleft()
                self._open(path, call)
            if not queue:
                del self._waiting[address]
        return wake

    def _wait(self, path: tuple[int, ...], call: Call[T]) -> None:
        self._waiting.setdefault(call.address, deque()).append((path, call))

    def _open(self, path: tuple[int, ...], call: Call[T]) -> None:
        now = self._clock()
        if self._limits.pace_us:
            self._not_before[call.address] = now + self._limits.pace_us
        family = socket.AF_INET6 if ":" in call.address.ip else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
        except OSError as error:
            self._never_opened(path, call, now, error)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(
            path,
            call,
            sock,
            now,
            now + self._limits.connect_us,
            now + self._limits.total_us,
            call.prelude,
        )
        if call.on_arrival is not None:
            link.stamps = Stamps(sock)
        link.fd = sock.fileno()
        self._links[link.fd] = link
        self._busy[call.address] += 1
        if self._source is not None:
            try:
                sock.bind((self._source, 0))
            except OSError:  # of another family, or no address of this machine: ours, whatever its number
                self._end(link, NoAnswer(Kind.LOCAL, Phase.CONNECT, f"cannot leave from {self._source}"))
                return
        try:
            code = sock.connect_ex((call.address.ip, call.address.port))
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._end(link, self._named(link, code))
        elif code and not _connected(sock):
            self._watch(link, selectors.EVENT_WRITE)
        else:
            self._established(link)

    def _never_opened(self, path: tuple[int, ...], call: Call[T], now: int, error: OSError) -> None:
        call.conversation.ended(NoAnswer(Kind.LOCAL, Phase.CONNECT, _errno_name(error.errno)))
        answer = _answer(call.conversation)
        self._finish(path, Exchange(call.label, call.address, answer, now, None, None, 0, b"", b"", 0, 0))

    def _watch(self, link: _Link[T], events: int) -> None:
        if events != link.events:
            if link.events:
                self._selector.modify(link.fd, events, link)
            else:
                self._selector.register(link.fd, events, link)
            link.events = events

    def _serve(self, link: _Link[T]) -> None:
        if link.phase is Phase.CONNECT:
            code = link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._end(link, self._named(link, code))
                return
            self._established(link)
            return
        self._receive(link)
        if link.fd in self._links:
            self._flush(link)

    def _established(self, link: _Link[T]) -> None:
        now = self._clock()
        link.connected = now - link.started
        self._begin(link, now)
        self._flush(link)

    def _begin(self, link: _Link[T], now: int) -> None:
        """Start the prelude if there is one, else TLS."""
        link.deadline = now + self._limits.first_byte_us
        if link.prelude is not None:
            link.phase = Phase.PRELUDE
            self._queue(link, link.prelude.start())
        else:
            link.phase = Phase.FIRST_BYTE
            link.tls_sent_at = len(link.sent)
            link.tls_received_at = len(link.received)
            self._queue(link, link.call.conversation.start())

    def _queue(self, link: _Link[T], data: bytes) -> None:
        if data:
            link.out += data
            link.sent_bytes += len(data)
            shown = link.prelude.recordable(data) if link.prelude is not None else data
            link.sent += shown[: self._limits.transcript_bytes - len(link.sent)]

    def _flush(self, link: _Link[T]) -> None:
        while link.out:
            try:
                count = link.sock.send(link.out)
            except (BlockingIOError, InterruptedError):
                self._watch(link, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            except OSError:
                # The peer may have answered before it closed: what it said is still to be read.
                link.out.clear()
                break
            del link.out[:count]
        self._watch(link, selectors.EVENT_READ)

    def _receive(self, link: _Link[T]) -> None:
        ago = 0
        try:
            if link.stamps is None:
                data = link.sock.recv(_CHUNK)
            else:
                data, ago = link.stamps.receive(link.sock, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(link, self._named(link, error.errno or errno.EIO))
            return
        if not data:
            self._end(link, NoAnswer(Kind.CLOSED, link.phase))
            return
        link.received_bytes += len(data)
        link.received += data[: self._limits.transcript_bytes - len(link.received)]
        if link.prelude is not None:
            self._queue(link, link.prelude.feed(data))
            match link.prelude.answer:
                case None:
                    pass
                case Ready():
                    link.prelude = None
                    self._begin(link, self._clock())
                case NoAnswer() as refusal:
                    self._end(link, refusal)
        else:
            if link.first_byte is None:
                link.first_byte = self._clock() - link.started
                link.phase = Phase.ANSWER
                link.deadline = link.total_deadline
            conversation = link.call.conversation
            if link.call.on_arrival is not None:
                link.call.on_arrival(ago)
            self._queue(link, conversation.feed(data))
            if conversation.answer is not None:
                self._end(link, None)
                return
            patience = conversation.patience_us
            link.patience = None if patience is None else self._clock() + patience
        if link.received_bytes > self._limits.received_bytes and link.fd in self._links:
            self._end(link, NoAnswer(Kind.FLOODED, link.phase))

    def _expire(self) -> None:
        now = self._clock()
        for link in [link for link in self._links.values() if link.next_deadline() <= now]:
            self._end(link, NoAnswer(Kind.TIMEOUT, link.phase))

    def _named(self, link: _Link[T], code: int) -> NoAnswer:
        if code in _LOCAL_ERRORS:
            kind = Kind.LOCAL
        elif code == errno.ETIMEDOUT:
            kind = Kind.TIMEOUT
        elif code in _RESETS:
            kind = Kind.RESET
        else:
            kind = Kind.UNREACHABLE
        return NoAnswer(kind, link.phase, _errno_name(code))

    def _end(self, link: _Link[T], how: NoAnswer | None) -> None:
        """Close the connection and keep what happened. ``how`` is None when the conversation is over by itself."""
        conversation = link.call.conversation
        if how is not None:
            conversation.ended(how)
        if link.events:
            self._selector.unregister(link.fd)
        del self._links[link.fd]
        self._busy[link.call.address] -= 1
        if link.out:
            try:
                link.sock.send(link.out)  # a last close_notify, if it fits
            except OSError:
                link.out.clear()
        link.sock.close()
        exchange = Exchange(
            link.call.label,
            link.call.address,
            _answer(conversation),
            link.started,
            link.connected,
            link.first_byte,
            self._clock() - link.started,
            bytes(link.sent),
            bytes(link.received),
            link.sent_bytes,
            link.received_bytes,
            link.tls_sent_at,
            link.tls_received_at,
        )
        self._finish(link.path, exchange)

    def _finish(self, path: tuple[int, ...], exchange: Exchange[T]) -> None:
        self._done.append((path, exchange))
        if self._follow is not None:
            for number, call in enumerate(self._follow(exchange)):
                self._wait((*path, number), call)


def _connected(sock: socket.socket) -> bool:
    """Whether a connect that is called in progress is over already, as on the same machine: then nobody waits."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _answer(conversation: Conversation[T]) -> T:
    answer = conversation.answer
    if answer is None:
        raise TypeError("a conversation that ended must have an answer")
    return answer


def _errno_name(code: int | None) -> str:
    return errno.errorcode.get(code or 0, "EUNKNOWN")

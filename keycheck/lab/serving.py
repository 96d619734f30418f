"""One connection from its first byte to its last, as a Backend says."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import cache
from itertools import cycle
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from keycheck.lab import apps
from keycheck.lab.config import Backend, Manner, Serve, Strays, TlsConfig
from keycheck.lab.hello import LONGEST, ClientHello, NotAHelloError, Unfinished, parse
from keycheck.lab.reactor import Peer, Session, Want
from keycheck.lab.secure import Secure, make_context
from keycheck.lab.stubs import STUBS, alert

_HANDSHAKE_FAILURE, _UNRECOGNIZED_NAME, _USER_CANCELED = 40, 112, 90
_HALF_A_RECORD = bytes.fromhex("160303007a0200")
_GARBAGE = b"\x7f" + hashlib.shake_256(b"keycheck lab").digest(511)
_ENDLESS_BYTES = 64 * 2**20


def rotation(service: Serve) -> Callable[[Peer], Session]:
    """Opens each connection's session with the next back end, and loads every certificate at once."""
    turns = cycle([_Server(backend) for backend in service.backends])
    return lambda peer: next(turns).session(peer)


def doorman(above: int) -> Callable[[], bool]:
    """Admits at most ``above`` connections within any second; those turned away do not count."""
    recent: deque[float] = deque()

    def admit() -> bool:
        now = time.monotonic()
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= above:
            return False
        recent.append(now)
        return True

    return admit if above else lambda: True


class _Server:
    """One back end with its contexts made and its certificates read."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._context = _context(backend.tls)
        self._other = None if backend.other is None else _context(backend.other)
        self._stub_chain = [] if backend.stub_chain is None else _der(Path(backend.stub_chain))
        self._names = frozenset(backend.names)
        self._looks = bool(backend.stubs or backend.silent_to_old or backend.strays is not Strays.SAME)

    def session(self, peer: Peer) -> Session:
        backend = self._backend
        if not (yield from apps.prelude(backend.app, peer)):
            return
        if backend.manner is not Manner.SERVE:
            yield from _misbehave(backend.manner, peer)
            return
        first, context, config = b"", self._context, backend.tls
        if self._looks:
            first, hello = yield from _read_hello()
            if not first:
                return
            if (answer := self._special(hello)) is not None:
                if answer:
                    peer.send(answer)
                yield from _until_end()
                return
            stray = hello is not None and hello.server_name not in self._names
            if stray and self._other is not None and backend.other is not None:
                context, config = self._other, backend.other
        secure = Secure(peer, context, early_data=config.early_data)
        if (yield from secure.handshake(first)):
            yield from apps.converse(backend, secure, secure.client)

    def _special(self, hello: ClientHello | None) -> bytes | None:
        """Bytes to send instead of TLS; b"" for silence; None when the real server should answer."""
        backend = self._backend
        if hello is None:
            return None
        for stub in backend.stubs:
            if (answer := STUBS[stub](hello, self._stub_chain)) is not None:
                return answer
        if backend.silent_to_old and not hello.speaks_tls_1_3:
            return b""
        if backend.strays is Strays.REJECTED and hello.server_name not in self._names:
            return alert(_UNRECOGNIZED_NAME)
        return None


def _misbehave(manner: Manner, peer: Peer) -> Session:
    if not (yield Want.READ):
        return
    match manner:
        case Manner.REFUSE:
            peer.send(alert(_HANDSHAKE_FAILURE))
            return
        case Manner.STALL:
            peer.send(_HALF_A_RECORD)
        case Manner.GARBAGE:
            peer.send(_GARBAGE)
            return
        case Manner.ENDLESS:
            records = alert(_USER_CANCELED, level=1) * 2048
            for _ in range(_ENDLESS_BYTES // len(records)):
                peer.send(records)
                yield Want.DRAIN
            return
        case Manner.SERVE:
            return
    yield from _until_end()


def _until_end() -> Session:
    while (yield Want.READ):
        pass


def _read_hello() -> Generator[Want, bytes, tuple[bytes, ClientHello | None]]:
    """The client's first bytes, and the hello in them if it is one."""
    held = b""
    while len(held) <= LONGEST:
        data = yield Want.READ
        if not data:
            return b"", None
        held += data
        try:
            return held, parse(held)
        except Unfinished:
            continue
        except NotAHelloError:
            break
    return held, None


@cache
def _context(config: TlsConfig) -> SSL.Context:
    """Back ends that are configured alike share one context, and so one ticket key."""
    return make_context(config)


def _der(chain: Path) -> list[bytes]:
    return [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(chain.read_bytes())]

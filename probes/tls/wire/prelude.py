"""What is said before TLS: HTTP CONNECT to a proxy on our side, STARTTLS in SMTP and IMAP, PostgreSQL's SSLRequest.

Each factory returns a fresh prelude for one connection. All are bounded and hostile-safe: a refusal in the protocol
itself is ``NoAnswer(STARTTLS_REFUSED)`` or ``NoAnswer(PROXY_REFUSED)``, anything that is not the protocol, and any
byte sent behind the go-ahead (which an attacker may have injected before TLS protects), ``NoAnswer(PRELUDE_GARBAGE)``.
A refusal of the upgrade is a fact about the service, and says nothing about its TLS.
"""

import re
from collections.abc import Generator

from probes.tls.wire.answers import Kind, NoAnswer, Phase
from probes.tls.wire.transport import Prelude, Ready

_MAX_BYTES = 1 << 14
_MAX_LINES = 128
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")

# A script receives lines (or bytes) and yields what to send; it returns how the prelude ended.
_Result = Ready | NoAnswer
_Script = Generator[bytes, bytes, _Result]


class _LinePrelude:
    """Runs a script over complete lines."""

    def __init__(self, script: _Script, secret: bytes = b"") -> None:
        self._script = script
        self._secret = secret
        self._buffer = bytearray()
        self._bytes = self._lines = 0
        self._answer: _Result | None = None

    @property
    def answer(self) -> _Result | None:
        return self._answer

    def start(self) -> bytes:
        return next(self._script)

    def feed(self, data: bytes) -> bytes:
        if self._answer is not None:
            return b""
        self._buffer += data
        self._bytes += len(data)
        out = b""
        while self._answer is None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._lines += 1
            try:
                out += self._script.send(line)
            except StopIteration as stop:
                self._answer = _result(stop)
        if isinstance(self._answer, Ready) and self._buffer:
            self._answer = _garbage("bytes behind the go-ahead")
        elif self._answer is None and (self._bytes > _MAX_BYTES or self._lines > _MAX_LINES):
            self._answer = _garbage("too much before TLS")
        return out

    def recordable(self, sent: bytes) -> bytes:
        return sent.replace(self._secret, b"[removed]") if self._secret else sent


def _result(stop: StopIteration) -> _Result:
    value: object = stop.value
    if isinstance(value, Ready | NoAnswer):
        return value
    raise TypeError("a prelude's script must return Ready or NoAnswer")


def _garbage(detail: str) -> NoAnswer:
    return NoAnswer(Kind.PRELUDE_GARBAGE, Phase.PRELUDE, detail)


def _refused(detail: str, kind: Kind = Kind.STARTTLS_REFUSED) -> NoAnswer:
    return NoAnswer(kind, Phase.PRELUDE, detail)


def http_connect(host: str, port: int, *, authorization: str | None = None) -> Prelude:
    """A tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

    ``authorization`` is the whole Proxy-Authorization value; it is sent and never kept. Raises ValueError for a
    host, port or authorization that does not fit a request line or header.
    """
    if not _HOST.fullmatch(host) or not 0 < port < 65536:
        raise ValueError(f"{host!r}:{port} is not a host and port for CONNECT")
    if authorization is not None and not (authorization.isascii() and authorization.isprintable()):
        raise ValueError("a Proxy-Authorization value must be printable ASCII on one line")
    target = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
    secret = b"" if not authorization else authorization.encode("ascii")
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if authorization:
        lines.append(f"Proxy-Authorization: {authorization}")
    return _LinePrelude(_http_connect("\r\n".join([*lines, "", ""]).encode("ascii")), secret)


def _http_connect(request: bytes) -> _Script:
    status = yield request
    match = re.fullmatch(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?", status)
    if match is None:
        return _garbage("not an HTTP response")
    while (yield b""):  # to the empty line that ends the head
        pass
    return Ready() if match[1].startswith(b"2") else _refused(match[1].decode("ascii"), Kind.PROXY_REFUSED)


def smtp(client_name: str) -> Prelude:
    """STARTTLS in SMTP (RFC 3207). ``client_name`` goes into EHLO. Raises ValueError when it is no host name."""
    if not _HOST.fullmatch(client_name):
        raise ValueError(f"{client_name!r} is not a host name for EHLO")
    return _LinePrelude(_smtp(client_name.encode("ascii")))


def _smtp(client_name: bytes) -> _Script:
    commands = (b"", b"EHLO " + client_name + b"\r\n", b"STARTTLS\r\n")
    for command, good in zip(commands, (b"220", b"250", b"220"), strict=True):
        lines: list[bytes] = []
        line = yield command
        while re.match(rb"[2-5][0-9]{2}-", line):
            lines.append(line)
            line = yield b""
        lines.append(line)
        if not re.fullmatch(rb"[2-5][0-9]{2}(?: .*)?", line):
            return _garbage("not an SMTP reply")
        if not all(each.startswith(good) for each in lines):
            return _refused(line[:3].decode("ascii"))
        if good == b"250" and not any(each[4:].upper().strip() == b"STARTTLS" for each in lines[1:]):
            return _refused("not advertised")
    return Ready()


def imap() -> Prelude:
    """STARTTLS in IMAP (RFC 9051 section 6.2.1)."""
    return _LinePrelude(_imap())


def _imap() -> _Script:
    greeting = yield b""
    if greeting.upper().startswith((b"* BYE", b"* PREAUTH")):
        return _refused(greeting.split()[1].decode("ascii", "replace"))
    if not greeting.upper().startswith(b"* OK"):
        return _garbage("not an IMAP greeting")
    line = yield b"k1 STARTTLS\r\n"
    while line.startswith(b"* "):
        line = yield b""
    words = line.upper().split(None, 2)
    if len(words) < 2 or words[0] != b"K1" or words[1] not in (b"OK", b"NO", b"BAD"):
        return _garbage("not an IMAP response")
    return Ready() if words[1] == b"OK" else _refused(words[1].decode("ascii"))


class _PostgreSql:
    """SSLRequest: eight bytes out, one byte back, and nothing behind it (PostgreSQL protocol, section SSL)."""

    def __init__(self) -> None:
        self._answer: _Result | None = None

    @property
    def answer(self) -> _Result | None:
        return self._answer

    def start(self) -> bytes:
        return bytes.fromhex("0000000804d2162f")

    def feed(self, data: bytes) -> bytes:
        if self._answer is None and data:
            if data == b"S":
                self._answer = Ready()
            elif data == b"N":
                self._answer = _refused("N")
            elif data[:1] == b"E":
                self._answer = _refused("E")  # an error message: a server too old or too busy
            else:
                self._answer = _garbage("not an answer to SSLRequest")
        return b""

    def recordable(self, sent: bytes) -> bytes:
        return sent


def postgresql() -> Prelude:
    """PostgreSQL's SSLRequest."""
    return _PostgreSql()


class _Chain:
    def __init__(self, preludes: tuple[Prelude, ...]) -> None:
        self._preludes = list(preludes)

    @property
    def answer(self) -> _Result | None:
        return self._preludes[0].answer

    def start(self) -> bytes:
        return self._preludes[0].start()

    def feed(self, data: bytes) -> bytes:
        out = self._preludes[0].feed(data)
        if isinstance(self._preludes[0].answer, Ready) and len(self._preludes) > 1:
            del self._preludes[0]
            out += self._preludes[0].start()
        return out

    def recordable(self, sent: bytes) -> bytes:
        return self._preludes[0].recordable(sent)


def chain(*preludes: Prelude) -> Prelude:
    """One after another on the same connection: a proxy's CONNECT, then STARTTLS. Raises ValueError for none."""
    if not preludes:
        raise ValueError("a chain needs at least one prelude")
    return _Chain(preludes)

"""A small HTTP/1.1 server for the lab's clouds: keep-alive, one thread per connection, everything bounded.

Ours instead of `http.server`, whose e-mail header parser costs more than a decryption.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final, Self

HEADER_BYTES: Final = 32_768
"""Of request line and headers together."""
BODY_BYTES: Final = 1_048_576
CONNECTIONS: Final = 512
"""Held at a time; more are reset."""
IDLE: Final = 60.0
"""Seconds a connection may say nothing."""
_REASONS: Final = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Content Too Large"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets."""

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.1"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send only so many bytes of the body that was announced, then close."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Instead of an answer: a TCP reset."""


Handler = Callable[[Request], "Answer | Reset"]


class WireError(ValueError):
    """A request outside HTTP/1.1 or its bounds; `status` is answered before the connection closes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Scope:
    """What the credential of a SigV4 signature says: who signed, for which region and service."""

    access_key_id: str
    region: str
    service: str


def scope_of(headers: Mapping[str, str]) -> Scope | None:
    """The scope in `Authorization: AWS4-HMAC-SHA256 Credential=id/date/region/service/aws4_request, …`; None without.

    The signature itself is not verified: every process that reaches the lab's loopback port may claim any key.
    """
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind != "AWS4-HMAC-SHA256":
        return None
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name == "Credential":
            pieces = value.split("/")
            if len(pieces) == 5 and pieces[4] == "aws4_request" and all(pieces):
                return Scope(pieces[0], pieces[2], pieces[3])
    return None


def read_request(stream: BufferedReader) -> Request | None:
    """The next request; None where the client has closed. Raise WireError."""
    left = HEADER_BYTES
    line = stream.readline(left + 1)
    if not line:
        return None
    left -= len(line)
    words = line.split()
    if left < 0 or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise WireError(400, "not an HTTP/1.1 request")
    headers: dict[str, str] = {}
    while True:
        header = stream.readline(left + 1)
        left -= len(header)
        if left < 0 or not header.endswith(b"\n"):
            raise WireError(400, "headers too long or cut off")
        if header in (b"\r\n", b"\n"):
            break
        name, colon, value = header.partition(b":")
        if not colon:
            raise WireError(400, "a header without a colon")
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    if "transfer-encoding" in headers:
        raise WireError(400, "chunked bodies are not taken")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal() or len(length) > 12:
        raise WireError(400, "no such content length")
    if int(length) > BODY_BYTES:
        raise WireError(413, "body too long")
    body = stream.read(int(length))
    if len(body) < int(length):
        return None
    return Request(words[0].decode("latin-1"), words[1].decode("latin-1"), headers, body)


class Server:
    """Serves `handler` on a free port of 127.0.0.1 between `start` and `close`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = False

    @property
    def port(self) -> int:
        """Raise RuntimeError where the server does not run."""
        if self._listener is None:
            raise RuntimeError("start the server first")
        return int(self._listener.getsockname()[1])

    def start(self) -> Self:
        """Listen and serve in the background."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True, name="lab-aws").start()
        return self

    def close(self) -> None:
        """End the listener and every connection."""
        self._closing = True
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            live = tuple(self._open)
        for sock in live:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                full = len(self._open) >= CONNECTIONS
                if not full:
                    self._open.add(sock)
            if full:
                _reset(sock)
            else:
                threading.Thread(target=self._converse, args=(sock,), daemon=True, name="lab-aws-client").start()

    def _converse(self, sock: socket.socket) -> None:
        try:
            sock.settimeout(IDLE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock.makefile("rb") as stream:
                while self._exchange(sock, stream):
                    pass
        except OSError:
            return  # the client is gone, or silent for too long
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _exchange(self, sock: socket.socket, stream: BufferedReader) -> bool:
        """One request and its answer; whether the connection stays."""
        try:
            request = read_request(stream)
        except WireError as error:
            sock.sendall(_render(Answer(error.status, b"", headers={"Connection": "close"})))
            return False
        if request is None:
            return False
        answer = self._handler(request)
        if isinstance(answer, Reset):
            _reset(sock)
            return False
        whole = _render(answer)
        if answer.cut is not None:
            sock.sendall(whole[: len(whole) - len(answer.body) + answer.cut])
            return False
        sock.sendall(whole)
        return request.headers.get("connection", "").lower() != "close"


def _render(answer: Answer) -> bytes:
    # a HEAD tells the length of a body that it does not send
    length = () if "Content-Length" in answer.headers else (f"Content-Length: {len(answer.body)}",)
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Answer')}",
        f"Content-Type: {answer.content_type}",
        *length,
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    sock.close()

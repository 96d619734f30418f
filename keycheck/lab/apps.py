"""What the practice vendor says before and after TLS: a small CRM, a little SMTP, IMAP and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Protocol

from keycheck.lab.config import App, Backend, ClientAuth
from keycheck.lab.reactor import Peer, Session, Want

_LONGEST_REQUEST = 16_384
_LONGEST_LINE = 4_096
_SSL_REQUEST, _GSS_REQUEST = 80_877_103, 80_877_104  # PostgreSQL protocol, section 54.2.10
_CONTACT = {"id": 1, "name": "Ada Example", "email": "ada@customer.example", "phone": "+32 2 555 01 01"}
_PAGES: dict[str, object] = {
    "/": {"service": "practice CRM", "version": "1"},
    "/healthz": {"status": "ok"},
    "/contacts/1": _CONTACT,
}
_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
}


class Channel(Protocol):
    """Bytes both ways, in the clear or inside TLS."""

    def read(self) -> Generator[Want, bytes, bytes]: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...


class Plain:
    """The connection without TLS."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def read(self) -> Generator[Want, bytes, bytes]:
        """The next bytes; b"" at the end."""
        return (yield Want.READ)

    def write(self, data: bytes) -> None:
        """Send."""
        self._peer.send(data)

    def end(self) -> None:
        """Nothing to say at the end."""


def prelude(app: App, peer: Peer) -> Generator[Want, bytes, bool]:
    """Talk until the client asks for TLS. False when it never does."""
    match app:
        case App.HTTP:
            return True
        case App.SMTP:
            return (yield from _smtp(Plain(peer), secure=False))
        case App.IMAP:
            return (yield from _imap(Plain(peer), secure=False))
        case App.POSTGRES:
            return (yield from _postgres_request(Plain(peer)))


def converse(backend: Backend, channel: Channel, client: str) -> Session:
    """Serve one client inside TLS; ``client`` says what is known about its certificate."""
    match backend.app:
        case App.HTTP:
            yield from http(channel, lambda method, path: _crm(backend, client, method, path))
        case App.SMTP:
            yield from _smtp(channel, secure=True)
        case App.IMAP:
            yield from _imap(channel, secure=True)
        case App.POSTGRES:
            yield from _postgres_refusal(channel)
    channel.end()


def plain_http(authority: str, peer: Peer) -> Session:
    """HTTP in the clear: every path is at ``authority`` instead, or here where that is ""."""

    def answer(method: str, path: str) -> bytes:
        if not authority:
            return _page(method, path, "")
        return _reply(301, {"see": "https"}, f"Location: https://{authority}{path}\r\n")

    yield from http(Plain(peer), answer)


def http(channel: Channel, answer: Callable[[str, str], bytes]) -> Session:
    """One request, one answer (RFC 9112). Bodies are not read."""
    request = b""
    while b"\r\n\r\n" not in request:
        data = yield from channel.read()
        if not data:
            return
        request += data
        if len(request) > _LONGEST_REQUEST:
            channel.write(_reply(400, {"error": "request too long"}))
            return
    words = request.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    if len(words) != 3 or not words[1].startswith("/"):
        channel.write(_reply(400, {"error": "not a request"}))
        return
    channel.write(answer(words[0], words[1]))


def _crm(backend: Backend, client: str, method: str, path: str) -> bytes:
    headers = f"Strict-Transport-Security: {backend.hsts}\r\n" if backend.hsts else ""
    if backend.tls.client_auth is ClientAuth.HTTP and client != "trusted":
        missing = client == "absent"
        text = "No required SSL certificate was sent" if missing else "The SSL certificate error"
        return _reply(400, {"error": text}, headers)
    return _page(method, path, headers)


def _page(method: str, path: str, headers: str) -> bytes:
    if method not in ("GET", "HEAD"):
        return _reply(405, {"error": "read only"}, headers + "Allow: GET, HEAD\r\n")
    page = _PAGES.get(path.partition("?")[0])
    reply = _reply(404, {"error": "no such record"}, headers) if page is None else _reply(200, page, headers)
    return reply if method == "GET" else reply[: reply.index(b"\r\n\r\n") + 4]


def _reply(status: int, body: object, headers: str = "") -> bytes:
    content = json.dumps(body).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nServer: practice-crm\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n{headers}\r\n"
    )
    return head.encode() + content


class _Lines:
    """Lines of a bounded length; what a client sends behind STARTTLS in the clear is thrown away."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._held = b""

    def next(self) -> Generator[Want, bytes, str | None]:
        while b"\n" not in self._held:
            data = yield from self._channel.read()
            if not data or len(self._held) > _LONGEST_LINE:
                return None
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line.decode("ascii", "replace").strip()


def _smtp(channel: Channel, *, secure: bool) -> Generator[Want, bytes, bool]:
    """RFC 5321 and RFC 3207. True when the client asked for TLS and was told to go ahead."""
    lines = _Lines(channel)
    if not secure:
        channel.write(b"220 smtp.crm.example ESMTP practice\r\n")
    while (line := (yield from lines.next())) is not None:
        match line.upper().split(" ")[0]:
            case "EHLO":
                offer = b"250 HELP\r\n" if secure else b"250 STARTTLS\r\n"
                channel.write(b"250-smtp.crm.example\r\n250-8BITMIME\r\n" + offer)
            case "HELO" | "NOOP" | "RSET":
                channel.write(b"250 smtp.crm.example\r\n")
            case "STARTTLS" if not secure:
                channel.write(b"220 2.0.0 Ready to start TLS\r\n")
                return True
            case "QUIT":
                channel.write(b"221 2.0.0 Bye\r\n")
                return False
            case "MAIL" | "RCPT" | "DATA" | "AUTH" if not secure:
                channel.write(b"530 5.7.0 Must issue a STARTTLS command first\r\n")
            case _:
                channel.write(b"502 5.5.1 Not in this practice server\r\n")
    return False


def _imap(channel: Channel, *, secure: bool) -> Generator[Want, bytes, bool]:
    """RFC 9051. True when the client asked for TLS and was told to go ahead."""
    able = b"IMAP4rev1 AUTH=PLAIN" if secure else b"IMAP4rev1 STARTTLS LOGINDISABLED"
    lines = _Lines(channel)
    if not secure:
        channel.write(b"* OK [CAPABILITY " + able + b"] practice IMAP ready\r\n")
    while (line := (yield from lines.next())) is not None:
        words = line.split(" ")
        tag = words[0].encode("ascii", "replace") or b"*"
        match words[1].upper() if len(words) > 1 else "":
            case "CAPABILITY":
                channel.write(b"* CAPABILITY " + able + b"\r\n" + tag + b" OK done\r\n")
            case "NOOP":
                channel.write(tag + b" OK done\r\n")
            case "STARTTLS" if not secure:
                channel.write(tag + b" OK Begin TLS negotiation now\r\n")
                return True
            case "LOGOUT":
                channel.write(b"* BYE practice ends\r\n" + tag + b" OK done\r\n")
                return False
            case _:
                channel.write(tag + b" BAD not in this practice server\r\n")
    return False


def _postgres_request(channel: Channel) -> Generator[Want, bytes, bool]:
    """True when the client sent SSLRequest and was answered S."""
    held = b""
    while True:
        while len(held) < 8:
            data = yield from channel.read()
            if not data:
                return False
            held += data
        code = int.from_bytes(held[4:8], "big")
        if code == _SSL_REQUEST and held[:4] == b"\x00\x00\x00\x08":
            channel.write(b"S")
            return True
        if code != _GSS_REQUEST:
            channel.write(_postgres_error("28000", "no pg_hba.conf entry, no encryption"))
            return False
        channel.write(b"N")
        held = b""


def _postgres_refusal(channel: Channel) -> Session:
    """Read the start-up packet inside TLS and turn the user away."""
    data = yield from channel.read()
    if data:
        channel.write(_postgres_error("28000", "this practice database lets nobody in"))


def _postgres_error(code: str, message: str) -> bytes:
    fields = b"".join(tag + text.encode() + b"\x00" for tag, text in ((b"S", "FATAL"), (b"C", code), (b"M", message)))
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\x00"

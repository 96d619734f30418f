"""One HTTP/1.1 GET and the head of its response, bounded; for HSTS, redirects and a 400 for want of a certificate.

RFC 9112. The body is never read. Interim responses (1xx) are skipped.
"""

import re
from dataclasses import dataclass

_MAX_HEAD = 1 << 14
_MAX_HEADERS = 100
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,270}")
_PATH = re.compile(r"/[!-~]{0,1024}")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")


@dataclass(frozen=True, slots=True)
class HttpHead:
    """Status and headers of one response: names in lower case, order kept, decoded as Latin-1."""

    status: int
    headers: tuple[tuple[str, str], ...]
    truncated: bool  # the limit on the head was hit


def get_request(host: str, path: str = "/") -> bytes:
    """The request. ``host`` is the Host header. Raises ValueError for a host or path that does not fit a line."""
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(path):
        raise ValueError(f"{host!r} and {path!r} do not make a request")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: keycheck",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


class HeadReader:
    """Incremental; never raises. ``done`` when the head is whole, too long, or no HTTP."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.head: HttpHead | None = None
        self.done = False

    def feed(self, data: bytes) -> None:
        self._buffer += data[: _MAX_HEAD + 1 - len(self._buffer)]
        while not self.done:
            end = re.search(rb"\r?\n\r?\n", self._buffer)
            if end is None:
                if len(self._buffer) > _MAX_HEAD:
                    self.finish()
                return
            head = _parse(bytes(self._buffer[: end.start()]), truncated=False)
            del self._buffer[: end.end()]
            if head is None or head.status >= 200:
                self.head, self.done = head, True

    def finish(self) -> None:
        """No more will come: keep a head that was cut off, marked as such."""
        if not self.done:
            self.head, self.done = _parse(bytes(self._buffer), truncated=True), True


def _parse(head: bytes, *, truncated: bool) -> HttpHead | None:
    first, *lines = re.split(rb"\r?\n", head)
    status = _STATUS.fullmatch(first)
    if status is None:
        return None
    headers = []
    for line in lines[:_MAX_HEADERS]:
        name, colon, value = line.partition(b":")
        if colon:
            headers.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
    return HttpHead(int(status[1]), tuple(headers), truncated or len(lines) > _MAX_HEADERS)

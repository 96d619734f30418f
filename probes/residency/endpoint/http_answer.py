"""Answers of an HTTP/1.1 server on one connection, read as they come: head and framing, all bounded (RFC 9112).

The body is not kept: it is only looked through for a text. What does not parse ends the reading, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_HEAD: Final = 1 << 15
MAX_HEADERS: Final = 128
MAX_BODY: Final = 1 << 18
MAX_INTERIM: Final = 16
"""Interim answers (1xx) before the one that counts."""
_MAX_LINE: Final = 1 << 10
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,12}")
_NO_BODY: Final = (204, 205, 304)


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers: names in lower case, order kept, values decoded as Latin-1 and so possibly hostile."""

    status: int
    headers: tuple[tuple[str, str], ...]
    keeps: bool
    """Whether the connection stays open by the head's own word."""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header."""
        return tuple(value for key, value in self.headers if key == name)


class _At(Enum):
    HEAD = auto()
    LENGTH = auto()
    SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    TO_CLOSE = auto()
    OVER = auto()


class AnswerReader:
    """One answer. `needle` is looked for in the body. Never raises; `trouble` says what is wrong, and ends it."""

    def __init__(self, needle: bytes = b"") -> None:
        self._needle = needle
        self._buffer = bytearray()
        self._tail = b""
        self._at = _At.HEAD
        self._left = 0
        self._body = 0
        self._trailer = 0
        self._interim = 0
        self.head: Head | None = None
        self.found = False
        self.trouble = ""

    @property
    def over(self) -> bool:
        """The answer is whole."""
        return self._at is _At.OVER

    @property
    def rest(self) -> bytes:
        """What came behind a whole answer: nobody asked for that."""
        return bytes(self._buffer) if self.over else b""

    def feed(self, data: bytes) -> None:
        """What arrived."""
        self._buffer += data
        while not self.trouble and not self.over and self._step():
            pass

    def closed(self) -> None:
        """The connection ended: that ends an answer whose head gives no length, and cuts off every other."""
        if self._at is _At.TO_CLOSE:
            self._at = _At.OVER
        elif not self.over and not self.trouble:
            self.trouble = "the answer was cut off"

    def _step(self) -> bool:
        """Read one piece; False where more must come first."""
        match self._at:
            case _At.HEAD:
                return self._read_head()
            case _At.LENGTH | _At.CHUNK | _At.TO_CLOSE:
                return self._read_body()
            case _At.SIZE:
                return self._read_size()
            case _At.CHUNK_END:
                return self._read_chunk_end()
            case _At.TRAILER:
                return self._read_trailer()
            case _At.OVER:
                return False

    def _read_head(self) -> bool:
        end = re.search(rb"\r?\n\r?\n", self._buffer)
        if end is None or end.start() > MAX_HEAD:
            if len(self._buffer) > MAX_HEAD:
                self.trouble = f"a head of more than {MAX_HEAD} bytes"
            return False
        raw = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        head = self._parsed(raw)
        if head is None:
            return False
        if head.status < 200:
            self._interim += 1
            if head.status == 101:
                self.trouble = "another protocol, which nobody asked for"
            elif self._interim > MAX_INTERIM:
                self.trouble = f"more than {MAX_INTERIM} interim answers"
            return True
        self.head = head
        self._frame(head)
        return True

    def _parsed(self, raw: bytes) -> Head | None:
        first, *lines = re.split(rb"\r?\n", raw)
        status = _STATUS.fullmatch(first)
        if status is None:
            self.trouble = "no HTTP/1.1 answer"
            return None
        if len(lines) > MAX_HEADERS:
            self.trouble = f"{len(lines)} headers; {MAX_HEADERS} are read"
            return None
        headers: list[tuple[str, str]] = []
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.fullmatch(name):
                self.trouble = "a line in the head that is no header"
                return None
            headers.append((name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")))
        options = {word.strip().lower() for name, value in headers if name == "connection" for word in value.split(",")}
        keeps = "close" not in options if status[1] == b"1" else "keep-alive" in options
        return Head(int(status[2]), tuple(headers), keeps)

    def _frame(self, head: Head) -> None:
        codings = [word.strip().lower() for value in head.all("transfer-encoding") for word in value.split(",")]
        lengths = set(head.all("content-length"))
        if head.status in _NO_BODY:
            self._at = _At.OVER
        elif codings:
            if codings[-1] != "chunked" or lengths:
                self.trouble = "a body whose end cannot be told"
            self._at = _At.SIZE
        elif lengths:
            length = lengths.pop()
            if lengths or not _LENGTH.fullmatch(length):
                self.trouble = "lengths that contradict each other"
                return
            self._left = int(length)
            self._at = _At.LENGTH if self._left else _At.OVER
        else:
            self._at = _At.TO_CLOSE

    def _read_body(self) -> bool:
        size = len(self._buffer) if self._at is _At.TO_CLOSE else min(self._left, len(self._buffer))
        if not size:
            return False
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._left -= size
        self._body += size
        self._look(piece)
        if self._at is not _At.TO_CLOSE and self._left == 0:
            self._at = _At.OVER if self._at is _At.LENGTH else _At.CHUNK_END
        elif self._body > MAX_BODY:
            self.trouble = f"a body of more than {MAX_BODY} bytes"
        return True

    def _look(self, piece: bytes) -> None:
        if self._needle and not self.found:
            seen = self._tail + piece
            self.found = self._needle in seen
            self._tail = seen[-len(self._needle) :]

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0 or end > _MAX_LINE:
            if len(self._buffer) > _MAX_LINE:
                self.trouble = "chunks that are none"
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            self.trouble = "chunks that are none"
            return False
        self._left = int(size[1], 16)
        self._at = _At.CHUNK if self._left else _At.TRAILER
        return True

    def _read_chunk_end(self) -> bool:
        line = self._line()
        if line:
            self.trouble = "chunks that are none"
        if line is None or line:
            return False
        self._at = _At.SIZE
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._trailer += len(line) + 1
        if self._trailer > MAX_HEAD:
            self.trouble = f"a trailer of more than {MAX_HEAD} bytes"
            return False
        if not line:
            self._at = _At.OVER
        return True

"""Captures as requests, each with the texts that it sent. Everything in them is a stranger's: bounded in bytes, depth
and count; what cannot be read is counted, never skipped in silence.

NDJSON: one JSON value a line, each a request. HAR 1.2: the log of a browser or proxy; only what was sent is looked at.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_plus, urlsplit

MAX_BYTES: Final = 1 << 28
"""Of one file, uncompressed."""
MAX_HAR: Final = 1 << 26
"""Of one HAR: its values take twenty times as much in memory."""
MAX_RATIO: Final = 200
MAX_LINE: Final = 1 << 24
MAX_DEPTH: Final = 60
MAX_TEXTS: Final = 20_000
"""Of one request."""
NESTED: Final = 3
"""How often JSON may stand in a string of JSON and still be looked into."""

_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/_-]{4}){64,}[A-Za-z0-9+/_-]*={0,2}")
_HAR_HEAD: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\s*\"log\"\s*:")
_WITHIN: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DATA_URI: Final = re.compile(r"data:(?P<type>[\w.+/-]{0,100})(?:;[\w=.-]{1,60})*;base64,(?P<content>.*)", re.DOTALL)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class CaptureError(Exception):
    """A capture that cannot be read; the message quotes nothing of it."""


@dataclass(slots=True)
class Sent:
    """One request."""

    number: int
    """From 1, in the order of the file."""
    host: str | None = None
    model: str | None = None
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Where each is (a JSON pointer), and the text."""
    unread: int = 0
    """Contents that are no text: pictures, sound."""
    broken: str | None = None
    """Why the request could not be read."""


def unpacked(content: bytes) -> bytes:
    """The bytes, decompressed where they are gzipped. Raises CaptureError."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    most = min(MAX_BYTES, MAX_RATIO * len(content) + (1 << 20))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:  # members may follow each other
            out = file.read(most + 1)
    except (zlib.error, gzip.BadGzipFile):
        raise CaptureError("is damaged: what is compressed in it does not unpack") from None
    except EOFError:
        raise CaptureError("is cut off: what is compressed in it has no end") from None
    if len(out) > most:
        raise CaptureError(f"unpacks to more than {MAX_BYTES} bytes, or {MAX_RATIO} times its size: split it")
    return out


def requests(content: bytes, kind: Literal["auto", "ndjson", "har"]) -> Iterator[Sent]:
    """The requests of a capture. Raises CaptureError where nothing of it can be read."""
    data = unpacked(content)
    if len(data) > MAX_BYTES:
        raise CaptureError(f"is larger than {MAX_BYTES} bytes: split it")
    if kind == "har" or (kind == "auto" and (found := _har(data)) is not None):
        document = found if kind == "auto" else _har(data)
        if document is None:
            raise CaptureError("is no HAR: it has no `log.entries`")
        yield from _entries(document)
    else:
        yield from _lines(data)


def _loads(text: str) -> Json:
    """JSON in which nothing is lost: an object with a name twice becomes a list of its members, a fraction its digits.
    Raises ValueError and RecursionError."""
    found: Json = json.loads(text, object_pairs_hook=_members, parse_float=str)
    return found


def _members(pairs: list[tuple[str, Json]]) -> Json:
    found = dict(pairs)
    return found if len(found) == len(pairs) else [[name, value] for name, value in pairs]


def _lines(data: bytes) -> Iterator[Sent]:
    number = 0
    for line in io.BytesIO(data):
        if not line.strip():
            continue
        number += 1
        sent = Sent(number)
        if len(line) > MAX_LINE:
            sent.broken = f"is longer than {MAX_LINE} bytes"
        else:
            try:
                _body(sent, "", _loads(line.decode("utf-8")))
            except (ValueError, RecursionError):
                sent.broken = "is no JSON"
        yield sent


def _har(data: bytes) -> list[Json] | None:
    """`log.entries` of a HAR; None where it is none."""
    if not data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or b'"entries"' not in data:
        return None
    if len(data) > MAX_HAR:
        if _HAR_HEAD.match(data) is None:
            return None
        raise CaptureError(f"is a HAR larger than {MAX_HAR} bytes, which is read in one piece: split it")
    try:
        document = _loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    return entries if isinstance(entries, list) else None


def _entries(entries: list[Json]) -> Iterator[Sent]:
    for number, entry in enumerate(entries, 1):
        sent = Sent(number)
        request = entry.get("request") if isinstance(entry, dict) else None
        if not isinstance(request, dict):
            sent.broken = "has no request"
            yield sent
            continue
        url = request.get("url")
        if isinstance(url, str):
            sent.host = _host(url)
            _text(sent, "/request/url", unquote_plus(url), NESTED)
        posted, size = request.get("postData"), request.get("bodySize")
        if isinstance(posted, dict):
            _posted(sent, posted, size if isinstance(size, int) else -1)
        elif isinstance(size, int) and size > 0:
            sent.broken = f"sent {size} bytes that the capture does not hold"
        elif size != 0 and str(request.get("method")).upper() in ("POST", "PUT", "PATCH"):
            sent.broken = "sent a body that the capture does not hold"
        if _is_encoded(request.get("headers")):
            sent.unread += 1
        _messages(sent, entry.get("_webSocketMessages") if isinstance(entry, dict) else None)
        yield sent


def _is_encoded(headers: Json) -> bool:
    """Whether the body was compressed: then what stands in the capture is no text."""
    return any(
        isinstance(one, dict)
        and str(one.get("name")).lower() == "content-encoding"
        and str(one.get("value")).strip().lower() not in ("", "identity")
        for one in (headers if isinstance(headers, list) else ())
    )


def _messages(sent: Sent, messages: Json) -> None:
    """Of a WebSocket, as browsers write them down: those that were sent."""
    for index, one in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(one, dict) or one.get("type") == "receive":
            continue
        if one.get("opcode") == 2:  # binary
            sent.unread += 1
        else:
            _walk(sent, f"/_webSocketMessages/{index}", one.get("data"), 0, NESTED)


def _posted(sent: Sent, posted: dict[str, Json], size: int) -> None:
    text, params = posted.get("text"), posted.get("params")
    if posted.get("encoding") == "base64" and isinstance(text, str):
        if (plain := _decoded(text)) is None:
            sent.unread += 1
            return
        text = plain
    if isinstance(text, str) and size > len(text.encode("utf-8", "replace")):
        sent.broken = f"sent {size} bytes, of which the capture holds fewer"
    if isinstance(params, list) and params:
        _walk(sent, "/request/postData/params", params, 0, NESTED)
    if isinstance(text, str) and text:
        try:
            value: Json = _loads(text)
        except (ValueError, RecursionError):
            _text(sent, "/request/postData/text", text, NESTED)
        else:
            _body(sent, "/request/postData/text", value)
    elif not params and size != 0:
        sent.broken = "sent a body that the capture does not hold"


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _body(sent: Sent, at: str, value: Json) -> None:
    if isinstance(value, dict):
        for name in ("model", "modelId", "model_id", "deployment"):
            if isinstance(model := value.get(name), str) and sent.model is None:
                sent.model = model
        for name in ("url", "endpoint", "host"):
            if sent.host is None and isinstance(where := value.get(name), str):
                sent.host = _host(where) if "://" in where else where
    _walk(sent, at, value, 0, NESTED)


def _walk(sent: Sent, at: str, value: Json, depth: int, nested: int) -> None:
    if depth > MAX_DEPTH:
        sent.broken = f"is nested deeper than {MAX_DEPTH}"
        return
    match value:
        case str():
            _text(sent, at, value, nested)
        case dict():
            for name, member in value.items():
                _text(sent, f"{at}/~name", name, 0)
                _walk(sent, f"{at}/{_token(name)}", member, depth + 1, nested)
        case list():
            for index, member in enumerate(value):
                _walk(sent, f"{at}/{index}", member, depth + 1, nested)
        case bool() | None:
            pass
        case _:
            _text(sent, at, str(value), 0)


def _text(sent: Sent, at: str, text: str, nested: int) -> None:
    if len(sent.texts) >= MAX_TEXTS:
        sent.broken = f"holds more than {MAX_TEXTS} texts"
        return
    data = _DATA_URI.fullmatch(text)
    encoded = data["content"] if data else text if _BASE64.fullmatch(text) else None
    if encoded is not None:
        plain = _decoded(encoded)
        if plain is None:
            sent.unread += 1
        else:
            _text(sent, f"{at}~base64", plain, nested)
        return
    _add(sent, at, text)
    for how, spelt in _spelt(text):
        _add(sent, f"{at}~{how}", spelt)
    if text.lstrip()[:1] in ("{", "["):
        if not nested:
            sent.unread += "\\" in text
            return
        try:
            inner: Json = _loads(text)
        except (ValueError, RecursionError):
            return
        _walk(sent, f"{at}~json", inner, 0, nested - 1)


def _add(sent: Sent, at: str, text: str) -> None:
    if len(sent.texts) >= MAX_TEXTS:
        sent.broken = f"holds more than {MAX_TEXTS} texts"
        return
    # JSON can spell halves of surrogate pairs, which no text may hold
    sent.texts.append((at, text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")))


def _spelt(text: str) -> Iterator[tuple[str, str]]:
    """What else a text says to whoever decodes it: percent signs, character references, base64 within it, and letters
    that only look otherwise."""
    if _PERCENT.search(text):
        yield "percent", unquote_plus(text)
    if "&" in text and (plain := html.unescape(text)) != text:
        yield "html", plain
    if not text.isascii():
        visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
        if (plain := unicodedata.normalize("NFKC", visible)) != text:
            yield "plain", plain
    for match in _WITHIN.finditer(text):
        if (inner := _decoded(match.group())) is not None and not _CONTROL.search(inner):
            yield "base64", inner


def _decoded(encoded: str) -> str | None:
    """The text that base64 stands for; None where it is no text."""
    compact = encoded.strip().translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _token(name: str) -> str:
    """A member's name in a JSON pointer (RFC 6901); of names that are data themselves only that they were there."""
    plain = name if re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name) else "~other"
    return plain.replace("~", "~0") if plain != "~other" else plain

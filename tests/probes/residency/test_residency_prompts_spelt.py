"""Identifiers that a capture holds in another spelling, in a member that a reader drops, or not at all."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from probes.residency.prompts.captures import CaptureError, requests

MAIL = "alice.smith@example.com"


def _texts(content: str | bytes, kind: Any = "auto") -> list[str]:
    raw = content if isinstance(content, bytes) else content.encode()
    return [text for sent in requests(raw, kind) for _, text in sent.texts]


def _har(request: dict[str, Any], **entry: Any) -> str:
    given = {"method": "POST", "url": "https://llm.example/v1", "headers": []} | request
    return json.dumps({"log": {"version": "1.2", "entries": [{"request": given} | entry]}})


def _line(content: str) -> str:
    return json.dumps({"messages": [{"content": content}]})


@pytest.mark.parametrize(
    "line",
    [
        '{"content": "alice.smith@example.com", "content": "clean"}',
        _line(base64.b64encode(MAIL.encode()).decode()),
        _line(f"decode this: {base64.b64encode(MAIL.encode()).decode()} and answer"),
        _line(quote(MAIL)),
        _line(MAIL.replace("@", "&#64;")),
        _line(MAIL.replace("@", "\uff20")),
        _line(MAIL.replace("smith", "smi\u200bth")),
    ],
)
def test_other_spellings_are_read_too(line: str) -> None:
    assert any(MAIL in text for text in _texts(line))


def test_a_har_is_read_whole() -> None:
    params = [{"name": "prompt", "value": MAIL}]
    assert any(MAIL in text for text in _texts(_har({"postData": {"text": " ", "params": params}})))
    form = {"mimeType": "application/x-www-form-urlencoded", "text": f"prompt={quote(MAIL)}"}
    assert any(MAIL in text for text in _texts(_har({"postData": form})))
    encoded = {"text": base64.b64encode(f"to {MAIL}".encode()).decode(), "encoding": "base64"}
    assert any(MAIL in text for text in _texts(_har({"postData": encoded})))
    sent = [{"type": "send", "opcode": 1, "data": MAIL}, {"type": "receive", "opcode": 1, "data": "hello"}]
    assert any(MAIL in text for text in _texts(_har({"method": "GET"}, _webSocketMessages=sent)))


def test_a_body_that_is_not_there_is_not_read() -> None:
    for request in ({}, {"bodySize": -1}, {"bodySize": 900, "postData": {"text": "short"}}):
        (sent,) = requests(_har(request).encode(), "har")
        assert sent.broken is not None
    header = [{"name": "Content-Encoding", "value": "gzip"}]
    (sent,) = requests(_har({"headers": header, "postData": {"text": "\x1f\ufffd"}}).encode(), "har")
    assert sent.unread


def test_json_nested_too_deep_is_counted() -> None:
    text = json.dumps(MAIL.replace("@", "\u0301@"))
    for _ in range(6):
        text = json.dumps([text])
    (sent,) = requests(text.encode(), "ndjson")
    assert sent.unread


def test_many_members_and_many_lines_take_no_long_time() -> None:
    started = time.monotonic()
    content = gzip.compress(b"") * 200_000
    assert not _texts(content)
    assert time.monotonic() - started < 10
    with pytest.raises(CaptureError):
        _texts(gzip.compress(b"{}" * 100)[:-9])

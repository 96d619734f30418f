"""Captured prompts: what the practice customer's own proxy saw being sent to models. Nobody in them exists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from keycheck.lab.defect import Defect
from keycheck.lab.residency_parts import RESIDENCY, Entry

PROMPTS: Final = "prompts"
"""Directory in the lab's home."""
_MODEL: Final = "practice-model-1"
_HOST: Final = "inference.crm.example"


class CaptureForm(StrEnum):
    """The form of a capture."""

    NDJSON = "ndjson"
    HAR = "har"


class PromptHarm(StrEnum):
    """What befell a capture."""

    CHANGED = "changed"
    """It is not the one that was handed over."""
    SHORT = "short"
    """It holds fewer requests than were counted."""
    BROKEN = "broken"
    """One request of it is no JSON."""


@dataclass(frozen=True, slots=True)
class PromptSite:
    """One capture. Each text is what one request asks."""

    id: str
    form: CaptureForm
    texts: tuple[str, ...]
    harm: PromptHarm | None = None
    made_by_vendor: bool = False


class PromptDefect(Defect[PromptSite]):
    """A defect of one capture."""

    __slots__ = ()
    section = "prompts"
    served = RESIDENCY


_HARMLESS: Final = (
    "Summarise ticket T-20261109-0042: contact c-7f3a reports that exports stall at 98 % since release 4.12.",
    "Draft a reply to contact c-19bd. Mention @support and order 2026/1187, promise an answer by Tuesday.",
    # looks like an account number, and its check digits are wrong
    "Explain why DE12 3456 7890 1234 5678 90 is rejected by the form for account numbers.",
    "Which segment does account 550e8400-e29b-41d4-a716-446655440000 belong to: standard or dormant?",
    "Translate into French: the invoice was paid twice, please credit the second payment.",
)


def clean_prompts() -> tuple[PromptSite, ...]:
    """Every capture of the honest vendor: persons are pseudonyms, and much looks like an identifier and is none."""
    return (
        PromptSite("assistant-prompts", CaptureForm.NDJSON, _HARMLESS * 4),
        PromptSite("support-prompts", CaptureForm.HAR, _HARMLESS * 2),
    )


def write_prompts(home: Path, site: PromptSite) -> Entry:
    """Write the capture; its place in the section `prompts`."""
    (home / PROMPTS).mkdir(exist_ok=True)
    name = f"{PROMPTS}/{site.id}.{site.form.value}"
    whole = _written(site.form, site.texts)
    handed = hashlib.sha256(whole).hexdigest()
    match site.harm:
        case PromptHarm.CHANGED:
            whole = _written(site.form, (*site.texts[:-1], "Say hello."))
        case PromptHarm.SHORT:
            whole = _written(site.form, site.texts[:-1])
            handed = hashlib.sha256(whole).hexdigest()
        case PromptHarm.BROKEN:
            whole = whole.replace(b'{"model"', b'{"model', 1)
            handed = hashlib.sha256(whole).hexdigest()
        case None:
            pass
    (home / name).write_bytes(whole)
    return {
        "id": site.id,
        "files": [name],
        "format": site.form.value,
        "captured_by": "vendor" if site.made_by_vendor else "customer",
        "requests": len(site.texts),
        "digests": [handed],
    }


def _written(form: CaptureForm, texts: Sequence[str]) -> bytes:
    bodies = [_body(text) for text in texts]
    if form is CaptureForm.NDJSON:
        return "".join(json.dumps(body) + "\n" for body in bodies).encode()
    entries = [
        {
            "startedDateTime": f"2026-11-20T09:{number // 60:02}:{number % 60:02}.000Z",
            "request": {
                "method": "POST",
                "url": f"https://{_HOST}/v1/messages",
                "headers": [{"name": "content-type", "value": "application/json"}],
                "postData": {"mimeType": "application/json", "text": json.dumps(body)},
            },
            "response": {"status": 200, "content": {"mimeType": "application/json", "text": '{"done": true}'}},
        }
        for number, body in enumerate(bodies)
    ]
    creator = {"name": "practice proxy", "version": "1"}
    return json.dumps({"log": {"version": "1.2", "creator": creator, "entries": entries}}, indent=1).encode()


def _body(text: str) -> dict[str, object]:
    said = [{"role": "system", "content": "You help people at a desk."}, {"role": "user", "content": text}]
    return {"model": _MODEL, "max_tokens": 400, "messages": said}

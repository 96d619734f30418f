"""What a decrypted value is: the canary, of the field's class, something else, or of a class without a form.

A valid tag says nothing of this (clear text can be sealed, too): only plaintext of the field's class shows that the
data key encrypts the field.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Final

from probes.fields.hunt.forms import detectors_for
from probes.fields.readable import text_of
from probes.fields.recognise import OPAQUE, classify

_PROSE: Final = frozenset({"name", "address", "free-text"})
"""Classes whose form is readable text: encoded bytes can have it by chance."""
_UUID: Final = "uuid"


class Fit(StrEnum):
    """How a decrypted value compares with the class of its column."""

    CANARY = "canary"
    FITTING = "fitting"
    UNFITTING = "unfitting"
    UNJUDGED = "unjudged"


def judge(of: str, opened: bytes, expected: str | None, planted: frozenset[str]) -> Fit:
    """`of`: the class; `expected`: the canary planted in this very row; `planted`: all canaries of the column.

    A text that a person can read and that has not the form of the class is `unjudged`: it may be what a person once
    typed there, and accuses nobody. Bytes that are no text, encoded bytes, and values of an encrypted format are
    `unfitting` wherever the class has a form; for a class without one only the last are, and bytes that are no text
    where the column's canaries, which are text, went in the same way.
    """
    text = _text(opened)
    if expected is not None:
        return Fit.CANARY if text == expected else Fit.UNFITTING
    if text is not None and text in planted:
        return Fit.CANARY
    if not opened:
        return Fit.UNJUDGED
    inside = classify(opened)
    if inside.parsed is not None:
        return Fit.UNFITTING
    opaque = inside.kind == OPAQUE and inside.variant != _UUID
    match detectors_for(of)(opened):
        case True:
            return Fit.UNFITTING if opaque and of in _PROSE else Fit.FITTING
        case None:
            return Fit.UNFITTING if planted and text is None else Fit.UNJUDGED
        case _:
            return Fit.UNFITTING if text is None or opaque else Fit.UNJUDGED


def _text(opened: bytes) -> str | None:
    """As text, without the quotes of JSON."""
    text = text_of(opened)
    if text is not None and len(text) > 1 and text[0] == text[-1] == '"':
        try:
            inner: object = json.loads(text)
        except ValueError:
            return text
        return inner if isinstance(inner, str) else text
    return text

"""Hostile values: whatever was drawn, opening ends, counts everything, and shows nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fields_opening_stage import BOUND, Memory, message_of, opened, rule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keycheck.lab.aws.kms.blob import BY_DATA_KEY
from keycheck.lab.aws.kms.blob import seal as wrap
from probes.fields.facts import Opened
from probes.fields.opening.unwrap import Answer, Declined, Unwrapped

KEY = bytes(range(32))
PINNED = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
BLOB = wrap(b"s" * 32, b"f" * 32, KEY, {}, made_by=BY_DATA_KEY, entropy=os.urandom)


class Always:
    """Unwraps the one blob to the one key, whatever it is asked."""

    provider = "aws-kms"

    def __init__(self, key: bytes) -> None:
        self.key = key

    def admits(self, named: str) -> bool:
        return True

    def unwrap(self, blob: bytes, context: Mapping[str, str], associated: bytes) -> Answer:
        return Unwrapped(bytearray(self.key), PINNED, "") if blob == BLOB else Declined("InvalidCiphertextException")


MESSAGE = message_of(KEY, BLOB, PINNED, b"anna@beispiel.example", {"record": "c-0", "table": "contacts"}, {})
NONCE = os.urandom(12)
ENVELOPE = len(BLOB).to_bytes(4, "big") + BLOB + NONCE + AESGCM(KEY).encrypt(NONCE, b"anna@beispiel.example", b"")


def damaged(value: bytes, at: int, new: bytes, cut: int) -> bytes:
    at %= len(value)
    return (value[:at] + new + value[at + len(new) :])[: len(value) - cut]


values = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([MESSAGE, ENVELOPE]),
    st.builds(
        damaged,
        st.sampled_from([MESSAGE, ENVELOPE]),
        st.integers(0, 10_000),
        st.binary(max_size=4),
        st.integers(0, 3),
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(values, min_size=1, max_size=4), st.sampled_from([16, 24, 31, 32, 34, 64]))
def test_whatever_was_drawn_is_counted(drawn: list[bytes], length: int) -> None:
    export = Memory({"id": ["c-0"] * len(drawn), "email": drawn})
    key = (KEY * 2)[:length]
    found = opened(export, "email", rule(context=BOUND), lambda _: Always(key), PINNED)
    facts = found.opened["email"]
    if not isinstance(facts, Opened):
        return
    assert facts.unwrapped + facts.refused.count + facts.unanswered == facts.drawn == len(drawn)
    assert facts.opened == facts.fitting + facts.unfitting.count + facts.unjudged
    assert facts.opened + facts.bad.count <= facts.unwrapped
    assert "anna" not in facts.model_dump_json()
    assert all(test.opened.count == 0 or test.name.endswith(("swapped", "wrapped-flipped")) for test in facts.refusals)


def test_the_sound_ones_open() -> None:
    export = Memory({"id": ["c-0"] * 2, "email": [ENVELOPE, MESSAGE]})
    facts = opened(export, "email", rule(), lambda _: Always(KEY), PINNED).opened["email"]
    assert isinstance(facts, Opened)
    assert (facts.fitting, facts.tags, facts.headers) == (2, 2, 1)

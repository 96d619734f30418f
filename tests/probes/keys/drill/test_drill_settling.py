"""Settling a drill: more of its log may come, never a smaller one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_deny import deny
from probes.keys.drill.canary import Canary
from probes.keys.drill.settling import every_log_of_then
from probes.keys.subjects import Key

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAIRS = (("record", "c-7"),)
TRAIL = {"kind": "bucket", "bucket": "trail"}
FETCHED = {"kind": "folder", "directory": "fetched"}


def key(*logs: object) -> Key:
    drill = {"context": PAIRS, "planted": NOON, "paths": {}, "logs": logs}
    return Key.model_validate({"id": "k", "provider": "aws", "resource": ARN, "model": "direct-kms", "drill": drill})


def test_a_log_is_not_made_whole_by_naming_fewer_places_of_it() -> None:
    canary = Canary(pairs=PAIRS, context=PAIRS, planted=NOON, ciphertext="QQ==", sha256="0" * 64)
    change = deny("kc-1", key(TRAIL), [ARN], canary, NOON + timedelta(minutes=5))
    every_log_of_then(key(TRAIL), change)
    every_log_of_then(key(FETCHED, TRAIL), change)
    for fewer in (key(), key(FETCHED), key().model_copy(update={"drill": None})):
        with pytest.raises(ProbeError, match="lacks a place") as refused:
            every_log_of_then(fewer, change)
        assert refused.value.reason is Reason.CONFLICTING

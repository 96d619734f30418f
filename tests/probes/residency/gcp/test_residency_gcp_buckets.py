"""Cloud Storage: where buckets are with all their members, under which keys, and where they are copied to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from residency_gcp import (
    KEY,
    OTHER_KEY,
    Google,
    account,
    bucket,
    edges,
    identity,
    node,
    opened,
    regions,
    stored,
    world,
)

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Outcome, Reason
from probes.residency import gcp
from probes.residency.rest_controls import Encrypted
from probes.residency.store_controls import Copies, Stores
from probes.residency.store_facts import ClosureFacts, EdgeKind, Encryption

Walk: TypeAlias = Callable[..., ClosureFacts]
EU = {"jurisdiction": ["EU"]}
CMEK = {"encryption": {"defaultKmsKeyName": KEY}}


def outcome(control: type[Stores | Copies | Encrypted], facts: ClosureFacts) -> Outcome:
    given = {} if control is Encrypted else EU
    return control.model_validate(given).judge(facts).outcome


def test_a_clean_bucket_passes(google: Google, walk: Walk) -> None:
    google.bucket("crm", "EUROPE-WEST3", stored("a", KEY), stored("b", KEY), **CMEK)
    facts = walk(bucket("crm"))
    assert opened(facts) == []
    assert regions(facts, "crm") == ("europe-west3",)
    found = node(facts, "crm")
    assert isinstance(found.encryption, Encryption)
    assert (found.encryption.method, found.encryption.key, found.account) == ("customer-key", KEY, "4711")
    assert found.objects is not None
    assert (found.objects.looked, found.objects.complete, found.objects.versions) == (2, True, True)
    assert edges(facts, EdgeKind.KEY) == [("crm", "byok"), ("crm", "byok")]
    assert outcome(Stores, facts) is Outcome.PASS
    assert outcome(Copies, facts) is Outcome.PASS
    assert outcome(Encrypted, facts) is Outcome.PASS
    assert "ya29" not in facts.model_dump_json()

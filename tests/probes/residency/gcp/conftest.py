"""A Google for each test, and a walk through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from residency_gcp import Google, identity, running, world

from probes.residency import gcp
from probes.residency.store_facts import ClosureFacts
from probes.residency.subjects import Store

Walk: TypeAlias = Callable[..., ClosureFacts]


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setattr("probes.clouds.gcp.rest._PAUSES", (0.0, 0.0))
    with running() as made:
        yield made


@pytest.fixture
def walk(google: Google, tmp_path: Path) -> Walk:
    def walked(subject: Store, part: str = "whole") -> ClosureFacts:
        facts, blobs = gcp.walk(subject, part, world(tmp_path, identity(google, tmp_path)))
        assert [blob.name for blob in blobs][:1] == ["answers"]
        assert len(facts.model_dump_json()) < 1024 * 1024
        return facts

    return walked

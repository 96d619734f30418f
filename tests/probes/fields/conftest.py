"""Names of tests that do not hold the values which they were given: those are made anew in every process, and workers
must collect the same names. And temporary files, of which none may be left."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """The argument's name in place of bytes and long texts; numbered by pytest."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 24) else None


@pytest.fixture
def temporaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go: nothing is left there."""
    there = tmp_path / "temporary"
    there.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(there))
    yield there
    assert list(there.iterdir()) == []

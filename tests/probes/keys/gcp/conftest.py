"""The company that these tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gcp_company import Company, founded


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    # google-auth must not look for a metadata server
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with founded(tmp_path) as found:
        yield found

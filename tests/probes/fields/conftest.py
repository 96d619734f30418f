"""Names of tests that do not hold the values which they were given: those are made anew in every process, and workers
must collect the same names."""

from __future__ import annotations

import pytest


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """The argument's name in place of bytes and long texts; numbered by pytest."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 24) else None

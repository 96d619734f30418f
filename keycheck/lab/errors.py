"""What can go wrong while the lab is set up."""

from __future__ import annotations

from keycheck.errors import KeycheckError


class LabError(KeycheckError, ValueError):
    """The lab cannot be built as asked, or one of its servers does not start."""

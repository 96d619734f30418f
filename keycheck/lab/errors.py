"""What can go wrong while the lab is set up."""

from __future__ import annotations

from keycheck.errors import UsageError


class LabError(UsageError, ValueError):
    """The lab cannot be built as asked, or one of its servers does not start."""

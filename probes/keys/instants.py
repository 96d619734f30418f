"""Moments as policies write them."""

from __future__ import annotations

from datetime import datetime


def aware(text: str) -> datetime | None:
    """The moment, where the text is one and says its offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None

"""What a decrypted value is, against the class of its column."""

from __future__ import annotations

import pytest

from probes.fields.opening.judging import Fit, judge

PLANTED = frozenset({"x9-canary-token-77"})
BYTES = b"\x01\xfe\x80\xc3"


@pytest.mark.parametrize(
    ("of", "opened", "planted", "fit"),
    [
        ("secret", BYTES, PLANTED, Fit.UNFITTING),
        ("secret", BYTES, frozenset(), Fit.UNJUDGED),
        ("secret", b"another token", PLANTED, Fit.UNJUDGED),
        ("secret", b"x9-canary-token-77", PLANTED, Fit.CANARY),
        ("email", BYTES, frozenset(), Fit.UNFITTING),
        ("email", b"see the paper", frozenset(), Fit.UNJUDGED),
        ("email", b"an.peeters31@mail.example", frozenset(), Fit.FITTING),
    ],
)
def test_bytes_do_not_fit_where_canaries_are_text(of: str, opened: bytes, planted: frozenset[str], fit: Fit) -> None:
    assert judge(of, opened, None, planted) is fit

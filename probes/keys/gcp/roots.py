"""The roots that a deployment pins for attestations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

if TYPE_CHECKING:
    from cryptography import x509

MAX_FILE: Final = 262_144
MAX_ROOTS: Final = 50


def read_roots(files: tuple[str, ...], base: Path) -> tuple[x509.Certificate, ...] | Unseen:
    """Every certificate of the PEM files. One file that cannot be read leaves no roots at all: a short list would
    look like a chain that ends nowhere."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    found: list[x509.Certificate] = []
    for name in files:
        try:
            with (base / name).open("rb") as file:
                text = file.read(MAX_FILE + 1)
            if len(text) > MAX_FILE:
                return _unread(name, "it is too long")
            found.extend(x509.load_pem_x509_certificates(text))
        except OSError as error:
            return _unread(name, error.strerror or "no such file")
        except (ValueError, UnsupportedAlgorithm):
            return _unread(name, "it holds no PEM certificate")
    if len(found) > MAX_ROOTS:
        return Unseen(reason=Reason.MALFORMED, detail=f"more than {MAX_ROOTS} attestation roots")
    return tuple(found)


def _unread(name: str, why: str) -> Unseen:
    detail = f"attestation root {vendor_text(name, 200)} cannot be read: {why}; mend `attestation_roots`"
    return Unseen(reason=Reason.MALFORMED, detail=vendor_text(detail))

"""in-toto Statement v1 (https://github.com/in-toto/attestation/tree/main/spec/v1): what an envelope says.

Subjects match by digest alone, so a subject's digest must be the SHA-256 of bytes that exist: for a bundle,
those of ``manifest.json``, never the Merkle root, which is the digest of no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keycheck.canonical import Jsonable, dumps

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that a statement is about."""

    name: str
    sha256: str
    """Lower-case hex."""


def statement(subjects: Sequence[Subject], predicate_type: str, predicate: Mapping[str, Jsonable]) -> bytes:
    """The canonical bytes of a statement. Raises ValueError without subjects or with one named twice."""
    if not subjects or len({subject.name for subject in subjects}) != len(subjects):
        raise ValueError("a statement has one or more subjects with distinct names")
    return dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": subject.name, "digest": {"sha256": subject.sha256}} for subject in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )

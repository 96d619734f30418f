"""The probe of operators: nothing is measured. What is stated is recorded, with the documents that it rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Facts
from keycheck.model.probe import WHOLE, Io, Observed, SimpleProbe, Touch
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Assurance
from probes.clouds.aws.files import read_regular
from probes.residency.flow_facts import Document, OperatorFacts
from probes.residency.subjects import Evidence, Operator

MAX_DOCUMENT: Final = 1 << 26


class OperatorProbe(SimpleProbe[Operator]):
    """An operator as it is stated, and the digests of the documents behind that.

    Proves that it was stated and which papers were at hand; never that any of it is true.
    """

    id = "residency.operator"
    version = 1
    section = "operators"
    facts: ClassVar[type[Facts]] = OperatorFacts

    def touches(self, subject: Operator, io: Io) -> Iterable[Touch]:
        """Documents on this machine."""
        yield Touch(
            what=f"{len(subject.evidence)} documents about {subject.name}, on this machine",
            credential="none",
            changes=False,
            technique=Technique.PASSIVE,
            connections=0,
            seconds=int(self.limit),
        )

    def observe(self, subject: Operator, io: Io) -> Observed:
        """The statement; documented where every document that is declared with a digest is the one at hand."""
        documents = tuple(_document(one, io) for one in subject.evidence)
        sound = bool(documents) and all(one.matches for one in documents)
        facts = OperatorFacts(read=io.clock(), declared=subject, documents=documents)
        return Observed(WHOLE, facts, assurance=Assurance.DOCUMENTED if sound else Assurance.STATED)


def _document(one: Evidence, io: Io) -> Document:
    try:
        content = read_regular(f"the document {one.file}", io.base / one.file, MAX_DOCUMENT)
    except ProbeError:
        return Document(file=vendor_text(one.file), sha256=None, matches=None, expires=one.expires)
    digest = hashlib.sha256(content).hexdigest()
    matches = None if one.sha256 is None else digest == one.sha256
    return Document(file=vendor_text(one.file), sha256=digest, matches=matches, expires=one.expires)

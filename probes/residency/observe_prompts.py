"""The probe of captured prompts: reads the capture, here and nowhere else, and counts what detectors find."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import WHOLE, Io, Observed, SimpleProbe, Touch
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Assurance, Reason
from probes.clouds.aws.files import read_regular
from probes.residency.flow_facts import Identifier, PromptFacts, PromptFile
from probes.residency.prompts.captures import MAX_BYTES, CaptureError, Sent, requests
from probes.residency.subjects import Prompts

BATCH: Final = 16_384
"""Texts that detectors look at together."""
PLACES: Final = 8
_NAMES: Final = 64


class PromptProbe(SimpleProbe[Prompts]):
    """The texts of captured requests, looked through for direct identifiers of persons.

    Proves what the capture holds; that it holds all that was sent is the word of whoever made it. No text leaves the
    process, and none is kept.
    """

    id = "prompts.log"
    version = 1
    section = "prompts"
    facts: ClassVar[type[Facts]] = PromptFacts
    limit: ClassVar[float] = 600.0

    def touches(self, subject: Prompts, io: Io) -> Iterable[Touch]:
        """Files of the customer's own."""
        yield Touch(
            what=f"{len(subject.files)} captured files of prompts, on this machine",
            credential="none",
            changes=False,
            technique=Technique.PASSIVE,
            connections=0,
            seconds=int(self.limit),
        )

    def observe(self, subject: Prompts, io: Io) -> Observed:
        """Every request of every file. Raises ProbeError where a file cannot be read at all."""
        looked = _Looked()
        digests: list[str] = []
        for name in subject.files:
            content = read_regular(f"the capture {name}", io.base / name, MAX_BYTES)
            digests.append(hashlib.sha256(content).hexdigest())
            looked.file(name, content, digests[-1], subject.format)
        handed = None if not subject.digests else set(digests) == set(subject.digests)
        facts = looked.facts(subject, handed)
        made = Assurance.OBSERVED if subject.captured_by == "customer" else Assurance.DOCUMENTED
        return Observed(WHOLE, facts, assurance=made)


@dataclass(slots=True)
class _Kind:
    exact: bool = False
    found: int = 0
    requests: set[tuple[int, int]] = field(default_factory=set)
    places: list[str] = field(default_factory=list)


class _Looked:
    """Counts over all files."""

    def __init__(self) -> None:
        self._files: list[PromptFile] = []
        self._kinds: dict[str, _Kind] = {}
        self._left: list[Unseen] = []
        self._hosts: set[str] = set()
        self._models: set[str] = set()
        self._texts = self._unread = 0

    def file(self, name: str, content: bytes, digest: str, kind: str) -> None:
        """Look through one file."""
        read = lost = 0
        try:
            for batch in _batches(requests(content, kind)):  # type: ignore[arg-type]
                for sent in batch:
                    broken = sent.broken is not None
                    lost += broken
                    read += not broken
                    self._about(name, sent)
                self._detect(name, batch)
        except CaptureError as error:
            raise ProbeError(Reason.MALFORMED, vendor_text(f"the capture {name} {error}")) from None
        shown = PromptFile(path=vendor_text(name), size=len(content), sha256=digest, requests=read, left_out=lost)
        self._files.append(shown)

    def _about(self, name: str, sent: Sent) -> None:
        if sent.broken is not None and len(self._left) < _NAMES:
            detail = vendor_text(f"{name}: request {sent.number} {sent.broken}")
            self._left.append(Unseen(reason=Reason.MALFORMED, detail=detail))
        self._unread += sent.unread
        self._texts += len(sent.texts)
        for one, into in ((sent.host, self._hosts), (sent.model, self._models)):
            if one is not None and len(into) < _NAMES:
                into.add(vendor_text(one, 200))

    def _detect(self, name: str, batch: list[Sent]) -> None:
        import pyarrow as pa

        from probes.fields.hunt.detectors import detect

        rows = [(sent.number, at, text) for sent in batch for at, text in sent.texts]
        if not rows:
            return
        array = pa.array([text for _, _, text in rows], type=pa.large_string())
        for found in detect(array, keep=len(rows)):
            kind = self._kinds.setdefault(found.kind, _Kind())
            kind.exact |= found.certain
            kind.found += found.count
            for row in found.rows:
                number, at, _ = rows[row]
                kind.requests.add((len(self._files), number))
                if len(kind.places) < PLACES:
                    kind.places.append(vendor_text(f"{name}:request {number} {at}", 300))

    def facts(self, subject: Prompts, handed: bool | None) -> PromptFacts:
        """What it came to."""
        from probes.fields.hunt.detectors import DETECTORS

        return PromptFacts(
            files=tuple(self._files),
            requests=sum(file.requests for file in self._files),
            texts=self._texts,
            identifiers=tuple(
                Identifier(
                    kind=name,
                    requests=len(kind.requests),
                    found=kind.found,
                    exact=kind.exact,
                    places=tuple(kind.places),
                )
                for name, kind in sorted(self._kinds.items())
            ),
            detectors=tuple(sorted(detector.kind for detector in DETECTORS)),
            left_out=tuple(self._left),
            unread=self._unread,
            hosts=tuple(sorted(self._hosts)),
            models=tuple(sorted(self._models)),
            captured_by=subject.captured_by,
            expected=subject.requests,
            handed_over=handed,
        )


def _batches(sent: Iterator[Sent]) -> Iterator[list[Sent]]:
    batch: list[Sent] = []
    texts = 0
    for one in sent:
        batch.append(one)
        texts += len(one.texts)
        if texts >= BATCH:
            yield batch
            batch, texts = [], 0
    if batch:
        yield batch

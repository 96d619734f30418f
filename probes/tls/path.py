"""Finds the way from a leaf to a trust anchor by verified signatures, or the place where it ends. Pure.

Looks at names and signatures only; dates, flags and constraints of the way found are `path_checks`.
Source: RFC 5280 section 6, RFC 4158 (path building).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from keycheck.model.types import vendor_text
from probes.tls.anchors import Anchors, organisations
from probes.tls.certificates import Parsed
from probes.tls.chain_facts import Problem, ProblemKind
from probes.tls.signatures import Signed, signed_by

MAX_SIGNATURE_CHECKS: Final = 128
"""Bound on the work that one hostile chain of look-alikes can cause."""
MAX_PATHS: Final = 16


@dataclass(frozen=True, slots=True)
class Node:
    """A readable certificate at its position in the chain as sent."""

    position: int
    certificate: Parsed


@dataclass(frozen=True, slots=True)
class Path:
    """A way up: sent certificates from the leaf on, then an anchor or a dead end (exactly one of them)."""

    nodes: tuple[Node, ...]
    anchor: Parsed | None
    dead_end: Problem | None


@dataclass(slots=True)
class _Search:
    sent: Sequence[Node]
    anchors: Anchors
    checks_left: int = MAX_SIGNATURE_CHECKS
    known: dict[tuple[str, str], Signed] = field(default_factory=dict)

    def up(self, trail: tuple[Node, ...]) -> Iterator[Path]:
        node = trail[-1].certificate
        pinned = self.anchors.by_digest.get(node.facts.sha256)
        if pinned is not None:
            yield Path(trail[:-1] or trail, pinned, None)
            return
        refused: list[tuple[Parsed, Signed]] = []
        found = False
        for anchor in self.anchors.by_subject.get(node.issuer, ()):
            if (outcome := self.check(node, anchor)) is Signed.YES:
                found = True
                yield Path(trail, anchor, None)
            else:
                refused.append((anchor, outcome))
        walked = {step.certificate.facts.sha256 for step in trail}
        for candidate in self.sent:
            parent = candidate.certificate
            digest = parent.facts.sha256
            if parent.subject != node.issuer or digest in walked or digest in self.anchors.by_digest:
                continue
            walked.add(digest)
            if (outcome := self.check(node, parent)) is Signed.YES:
                found = True
                yield from self.up((*trail, candidate))
            else:
                refused.append((parent, outcome))
        if not found:
            yield Path(trail, None, self.dead_end(trail, refused))

    def check(self, node: Parsed, issuer: Parsed) -> Signed:
        key = (node.facts.sha256, issuer.facts.spki_sha256)
        if key not in self.known:
            if self.checks_left <= 0:
                return Signed.UNSUPPORTED
            self.checks_left -= 1
            self.known[key] = signed_by(node, issuer)
        return self.known[key]

    def dead_end(self, trail: tuple[Node, ...], refused: Sequence[tuple[Parsed, Signed]]) -> Problem:
        node, position = trail[-1].certificate, trail[-1].position
        issuer = node.facts.issuer
        if node.facts.self_signed:
            if len(trail) == 1:
                return _problem(ProblemKind.SELF_SIGNED_LEAF, position, f"{issuer} signed itself")
            return _problem(ProblemKind.UNKNOWN_ISSUER, position, f"{issuer} is no trust anchor")
        claimed = [(c, outcome) for c, outcome in refused if may_be_issuer(node, c)]
        if any(outcome is Signed.UNSUPPORTED for _, outcome in claimed):
            algorithm = node.facts.signature
            return _problem(
                ProblemKind.UNSUPPORTED,
                position,
                f"cannot check the {algorithm.name} signature ({algorithm.oid})",
            )
        if claimed or node.facts.self_issued:
            return _problem(ProblemKind.BAD_SIGNATURE, position, f"the key of {issuer} does not verify the signature")
        if len(trail) == 1 or set(organisations(node.issuer)) & self.anchors.organisations:
            return _problem(ProblemKind.MISSING_INTERMEDIATE, position, f"{issuer} was not sent and is no trust anchor")
        return _problem(ProblemKind.UNKNOWN_ISSUER, position, f"{issuer} was not sent and is no trust anchor")


def may_be_issuer(node: Parsed, candidate: Parsed) -> bool:
    """Whether the key ids, where both state one, do not speak against `candidate` as the issuer of `node`.

    A CA that changed its key keeps its name: then a signature that does not verify says nothing.
    """
    wanted, offered = node.facts.extensions, candidate.facts.extensions
    if wanted.kind == "malformed" or offered.kind == "malformed":
        return True
    if wanted.authority_key_id is None or offered.subject_key_id is None:
        return True
    return wanted.authority_key_id == offered.subject_key_id


def _problem(kind: ProblemKind, position: int, detail: str) -> Problem:
    return Problem(kind=kind, position=position, detail=vendor_text(detail))


def find_paths(sent: Sequence[Node], anchors: Anchors) -> tuple[Path, ...]:
    """The ways up from `sent[0]`, which must be the leaf: those that reach an anchor; if none does, the
    longest that does not. Never empty; bounded in number and in signatures checked."""
    anchored: list[Path] = []
    stranded: list[Path] = []
    for path in _Search(sent, anchors).up((sent[0],)):
        (anchored if path.anchor is not None else stranded).append(path)
        if len(anchored) >= MAX_PATHS or len(stranded) >= MAX_PATHS:
            break
    return tuple(anchored) or (max(stranded, key=lambda path: len(path.nodes)),)


def lineage(sent: Sequence[Node]) -> tuple[Parsed, ...]:
    """The leaf and those sent certificates that it descends from by verified signatures."""
    if not sent:
        return ()
    reached = {sent[0].certificate.facts.sha256: sent[0].certificate}
    pending = [sent[0].certificate]
    checks_left = MAX_SIGNATURE_CHECKS
    while pending:
        child = pending.pop()
        for candidate in sent:
            parent = candidate.certificate
            if parent.subject != child.issuer or parent.facts.sha256 in reached or checks_left <= 0:
                continue
            checks_left -= 1
            if signed_by(child, parent) is Signed.YES:
                reached[parent.facts.sha256] = parent
                pending.append(parent)
    return tuple(reached.values())

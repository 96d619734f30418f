"""Signed papers: authorizations and waivers with the envelope beside them, as files and inside a bundle.

A paper counts only with the signature of an approver whom the profile names. The same checks run at the
start of a run and when stored evidence is judged again, then under the approvers of the profile judged by.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from keycheck.errors import DeploymentError, IntegrityError, KeycheckError, ProfileError, UsageError
from keycheck.evidence.files import read_bounded
from keycheck.evidence.keys import PublicKey
from keycheck.evidence.sign import AUTHORIZATION_TYPE, WAIVER_TYPE, signature_path, verify_detached
from keycheck.files.authorization import parse_authorization
from keycheck.files.located import parse
from keycheck.files.waiver import Rejected, accept_waiver, parse_waiver
from keycheck.model.assessment import Assessment
from keycheck.model.authorization import AcceptedWaiver, Authorization
from keycheck.model.profile import Paper as PaperKind
from keycheck.model.profile import Profile
from keycheck.model.types import format_instant

MAX_PAPER = 1024 * 1024
MAX_ENVELOPE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Paper:
    """A file and its envelope, as bytes."""

    label: str
    """What messages call it."""
    data: bytes
    envelope: bytes


def read_paper(path: Path) -> Paper:
    """The file and the envelope beside it. Raises UsageError when either is not there."""
    return Paper(str(path), _read(path, MAX_PAPER, path), _read(signature_path(path), MAX_ENVELOPE, path))


def payload_type_of(path: Path) -> str:
    """What signing this file means, told by what it says it is; checks the whole file first, so that
    nobody signs what cannot count. Raises UsageError, ProfileError, DeploymentError."""
    data = _read(path, MAX_PAPER, path)
    root = parse(data, str(path), UsageError)
    if root.get("authorization") is not None:
        parse_authorization(data, str(path))
        return AUTHORIZATION_TYPE
    if root.get("waiver") is not None:
        parse_waiver(data, str(path))
        return WAIVER_TYPE
    raise UsageError(
        f"{path} is neither a waiver nor an authorization",
        advice="its first line says which: `waiver: NAME` or `authorization: NAME`",
    )


def _read(path: Path, limit: int, paper: Path) -> bytes:
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}",
            advice=f"a waiver or authorization needs its signature: `keycheck sign {paper} --key APPROVER.pem`",
        ) from error


def approver_keys(profile: Profile, paper: PaperKind) -> tuple[PublicKey, ...]:
    """The public keys of the approvers who may sign such a paper. Raises ProfileError for what is no such key."""
    return tuple(
        _public_key(approver.name, approver.public_key) for approver in profile.approvers if paper in approver.may
    )


def _public_key(name: str, text: str) -> PublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
        return PublicKey.from_pem(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    except (ValueError, KeycheckError) as error:
        raise ProfileError(
            f"approver {name!r}: public_key is no Ed25519 or P-256 key in base64",
            advice="copy the line that `keycheck key show` prints",
        ) from error


_SIGN_AGAIN: Final = (
    "have one of the profile's approvers sign the file as it is now with `keycheck sign`, or name the key that signed "
    "it under `approvers:`"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorization whose signatures were verified."""

    paper: Paper
    authorization: Authorization
    signed_by: tuple[str, ...]
    people: int
    """Approvers who signed, by their names: two keys of one person are one signature, and one key is never two."""


def grant(paper: Paper, profile: Profile) -> Grant:
    """The authorization, if an approver signed exactly these bytes. Raises DeploymentError, ProfileError."""
    try:
        verified = verify_detached(
            paper.envelope, paper.data, _signers(profile), payload_type=AUTHORIZATION_TYPE, name=paper.label
        )
    except IntegrityError as error:
        raise DeploymentError(f"authorization {paper.label} does not count: {error}", advice=_SIGN_AGAIN) from error
    return Grant(paper, parse_authorization(paper.data, paper.label), verified.keys, _people(profile, verified.keys))


def _people(profile: Profile, signed_by: Iterable[str]) -> int:
    """Names that look alike are one person's, and a key under two names is no second person's signature."""
    names: dict[str, set[str]] = {}
    for each in profile.approvers:
        if "authorization" in each.may:
            key = _public_key(each.name, each.public_key).key_id
            words = unicodedata.normalize("NFKC", each.name).casefold().split()
            names.setdefault(key, set()).add(" ".join("".join(filter(str.isprintable, word)) for word in words))
    return len({min(names[key]) for key in signed_by if len(names[key]) == 1}) or 1


def _signers(profile: Profile) -> Sequence[PublicKey]:
    keys = approver_keys(profile, "authorization")
    if not keys:
        raise ProfileError(
            f"profile {profile.profile} names no approvers, so nobody can sign an authorization",
            advice="add `approvers: [{name: …, public_key: …}]` with the line that `keycheck key show` prints",
        )
    return keys


def lapsed(waivers: Iterable[AcceptedWaiver], as_of: datetime) -> tuple[str, ...]:
    """A sentence for each waiver that is signed well and not in force at the moment judged for."""
    return tuple(
        f"waiver {accepted.waiver.waiver} does not count: it runs from {format_instant(accepted.starts)} to "
        f"{format_instant(accepted.ends)}"
        for accepted in waivers
        if not accepted.counts_at(as_of)
    )


def idle(waivers: Iterable[AcceptedWaiver], assessment: Assessment) -> tuple[str, ...]:
    """A sentence for each waiver in force that covers no finding: a typo in its scope would be silent otherwise."""
    used = {finding.waiver for finding in assessment.findings}
    return tuple(
        f"waiver {accepted.waiver.waiver} covers no finding: compare its clause, control, subjects and verdicts"
        for accepted in waivers
        if accepted.counts_at(assessment.as_of) and accepted.waiver.waiver not in used
    )


def accepted(papers: Iterable[Paper], profile: Profile) -> tuple[tuple[AcceptedWaiver, ...], tuple[str, ...]]:
    """The waivers that count, and a sentence for each that does not. A waiver that is damaged or not signed
    by an approver has no effect and is said so; it never stops the others."""
    good: list[AcceptedWaiver] = []
    refused: list[str] = []
    keys = approver_keys(profile, "waiver")
    for paper in papers:
        if not keys:
            refused.append(
                f"waiver {paper.label} does not count: profile {profile.profile} names nobody who may sign it"
            )
            continue
        try:
            verified = verify_detached(paper.envelope, paper.data, keys, payload_type=WAIVER_TYPE, name=paper.label)
        except IntegrityError as error:
            refused.append(f"waiver {paper.label} does not count: {error}")
            continue
        waiver, notes = parse_waiver(paper.data, paper.label)
        refused.extend(f"waiver {paper.label}: {note}" for note in notes)
        outcome = accept_waiver(waiver, verified.keys, profile)
        if isinstance(outcome, Rejected):
            refused.append(f"waiver {paper.label} does not count: {outcome.why}")
        else:
            good.append(outcome)
    return tuple(good), tuple(refused)

"""What is kept beside a drill's journal for whoever fetches its late logs: how our marking calls are found again, and
which bundle holds what was seen.

HOME/DRILL/kept.json             the marks
HOME/DRILL/bundle.json           the bundle, by path and by the digest of its manifest
HOME/DRILL/addendum-001.dsse.json …   signed, each naming the one before
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from keycheck.canonical import CanonicalError, dumps, loads
from keycheck.errors import IntegrityError, KeycheckError, UsageError
from keycheck.evidence import dsse
from keycheck.evidence.files import create, read_bounded, replace
from keycheck.evidence.keys import PublicKey, SigningKey
from keycheck.model.types import Digest, Instant, Model, Name, VendorText

KEPT: Final = "kept.json"
BUNDLE: Final = "bundle.json"
ADDENDUM_TYPE: Final = "application/vnd.keycheck.drill.addendum+json"
MAX: Final = 16 * 1024 * 1024
MAX_MARKS: Final = 100_000
"""A rotation in Google Cloud marks every second or oftener while it lasts: evidence must not be lost for that."""
MAX_ADDENDA: Final = 999
_ADDENDUM: Final = re.compile(r"addendum-(\d{3})\.dsse\.json")

M = TypeVar("M", bound=Model)


class Kept(Model):
    """What the log is searched for later. Request ids are no secret: the cloud writes them into its log."""

    format: Literal["keycheck.drill.kept/1"] = "keycheck.drill.kept/1"
    drill: Name
    marks: Annotated[tuple[VendorText, ...], Field(max_length=MAX_MARKS)] = ()


class Evidence(Model):
    """Where the drill's evidence is."""

    format: Literal["keycheck.drill.bundle/1"] = "keycheck.drill.bundle/1"
    drill: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    manifest_sha256: Digest


class Addendum(Model):
    """One settlement: a later bundle that judges the same drill with more of its log."""

    format: Literal["keycheck.drill.addendum/1"] = "keycheck.drill.addendum/1"
    drill: Name
    number: Annotated[int, Field(ge=1, le=MAX_ADDENDA)]
    previous: Digest
    """SHA-256 of the addendum before, as a file; of the first, the manifest of the drill's own bundle."""
    settled: Instant
    manifest_sha256: Digest
    """Of the bundle that holds the drill's facts with the later log, and their verdict."""


def keep(directory: Path, kept: Kept) -> str:
    """Write it; what kept it from being written, or nothing. A drill that cannot be settled is no drill that failed."""
    try:
        replace(directory / KEPT, dumps(kept.model_dump(mode="json")), mode=0o600)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def note_bundle(directory: Path, bundle: Path, manifest: str) -> None:
    """Where the drill's own evidence went. Raises OSError."""
    evidence = Evidence(drill=directory.name, path=str(bundle.resolve()), manifest_sha256=manifest)
    replace(directory / BUNDLE, dumps(evidence.model_dump(mode="json")), mode=0o600)


def kept_of(directory: Path) -> Kept:
    """The marks; none where nothing was kept. Raises IntegrityError, OSError."""
    path = directory / KEPT
    return _read(path, Kept) if path.exists() else Kept(drill=directory.name)


def bundle_of(directory: Path) -> Evidence:
    """Where the drill's own evidence is. Raises UsageError, IntegrityError, OSError."""
    path = directory / BUNDLE
    if not path.exists():
        raise UsageError(
            f"drill {directory.name} left no bundle behind", advice="it never finished: see `keycheck drill status`"
        )
    return _read(path, Evidence)


def append(directory: Path, manifest: str, at: datetime, key: SigningKey) -> Path:
    """Sign one more addendum. Raises KeycheckError, OSError."""
    before = addenda(directory)
    _chained(directory, before)
    if len(before) >= MAX_ADDENDA:
        raise KeycheckError(f"drill {directory.name} has {MAX_ADDENDA} addenda", advice="what is missing will not come")
    previous = _digest(before[-1]) if before else bundle_of(directory).manifest_sha256
    addendum = Addendum(
        drill=directory.name,
        number=len(before) + 1,
        previous=previous,
        settled=at,
        manifest_sha256=manifest,
    )
    body = dumps(addendum.model_dump(mode="json"))
    signature = dsse.Signature(key.key_id, key.sign(dsse.pae(ADDENDUM_TYPE, body)))
    path = directory / f"addendum-{addendum.number:03}.dsse.json"
    create(path, dsse.Envelope(body, ADDENDUM_TYPE, (signature,)).to_bytes(), mode=0o600)
    return path


def _chained(directory: Path, found: Sequence[Path]) -> None:
    """Whether each addendum names the one before; whose signatures they bear is `verified`'s. Raises IntegrityError."""
    previous = bundle_of(directory).manifest_sha256
    for path in found:
        addendum = _parsed(dsse.parse(read_bounded(path, MAX)).payload, Addendum, path)
        if addendum.previous != previous:
            raise IntegrityError(f"{path.name} does not follow the one before", advice="one was changed or exchanged")
        previous = _digest(path)


def addenda(directory: Path) -> tuple[Path, ...]:
    """The addenda so far, in their order. Raises IntegrityError when one is missing between, OSError."""
    found = sorted(path for path in directory.iterdir() if _ADDENDUM.fullmatch(path.name))
    if [path.name for path in found] != [f"addendum-{n:03}.dsse.json" for n in range(1, len(found) + 1)]:
        raise IntegrityError(f"an addendum of drill {directory.name} is missing", advice="look for it in a backup")
    return tuple(found)


def verified(directory: Path, trusted: tuple[PublicKey, ...]) -> tuple[Addendum, ...]:
    """All addenda, their signatures and their chain checked. Raises IntegrityError, UsageError, OSError."""
    previous, found = bundle_of(directory).manifest_sha256, []
    for path in addenda(directory):
        envelope = dsse.verify(read_bounded(path, MAX), trusted, payload_type=ADDENDUM_TYPE, allow_unknown=True)
        addendum = _parsed(envelope.payload, Addendum, path)
        if addendum.previous != previous or addendum.drill != directory.name:
            raise IntegrityError(f"{path.name} does not follow the one before", advice="one was changed or exchanged")
        previous = _digest(path)
        found.append(addendum)
    return tuple(found)


def _digest(path: Path) -> str:
    return hashlib.sha256(read_bounded(path, MAX)).hexdigest()


def _read(path: Path, model: type[M]) -> M:
    return _parsed(read_bounded(path, MAX), model, path)


def _parsed(data: bytes, model: type[M], path: Path) -> M:
    try:
        return model.model_validate(loads(data, max_bytes=MAX))
    except (CanonicalError, ValidationError) as error:
        raise IntegrityError(
            f"{path.name} of drill {path.parent.name} is not what keycheck wrote", advice="look for it in a backup"
        ) from error

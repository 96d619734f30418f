"""What stands in a bundle, where, under which tag, and the manifest and statement that follow from it.

In this order, which is also the order of the leaves::

    run-start.json        bundle/run-start     what the run committed itself to (canonical JSON)
    inputs/NAME           bundle/input         profile.json, waivers/001.yaml, ... by name, each followed by
    inputs/NAME.salt      -                    its salt: 64 hex digits (32 random bytes) and a newline
    observations.jsonl    bundle/observation   one canonical object a line; each line is a leaf of its own
    blobs/COMMITMENT      bundle/blob          32 random bytes, then the original bytes; by commitment
    assessment.json       bundle/assessment    the verdicts (canonical JSON)
    manifest.json         -                    counts, root, and the leaf of every file
    statement.dsse.json   -                    the signed in-toto Statement about manifest.json
    VERIFY.md, verify.py  bundle/verifier      how to check all this without keycheck

A leaf's content is the file's bytes (an observation's: the line without its newline; an input's: its salt and
then its bytes, which is why the sidecar needs no leaf and stands in no list). Whatever may have to be withheld
one day is salted, so that nobody can guess it from its digest: an observation line carries a salt of its own; a
blob begins with one, and its name is ``SHA-256("keycheck blob/1" 0x00 salt original)``; an input has one
beside it, and run-start.json lists ``{"name", "commitment"}`` of every input, by name, where the commitment is
``SHA-256("keycheck input/1" 0x00 salt bytes)``: what a run committed itself to is what is in its bundle.

Places kept free for later, refused until a reader knows them: ``timestamps/*.tsr`` and ``checkpoint`` at the
end of the container (they are about the manifest and signed by others), the disposition ``sealed``, and the
member ``_sd`` (digests of withheld members) in an observation's facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from keycheck.canonical import Jsonable, dumps
from keycheck.errors import IntegrityError
from keycheck.evidence.container import MAX_NAME
from keycheck.evidence.statement import Subject, statement

RUN_START = "run-start.json"
INPUTS = "inputs/"
OBSERVATIONS = "observations.jsonl"
BLOBS = "blobs/"
ASSESSMENT = "assessment.json"
MANIFEST = "manifest.json"
STATEMENT = "statement.dsse.json"
VERIFY_MD = "VERIFY.md"
VERIFY_PY = "verify.py"

MANIFEST_SCHEMA = "keycheck.dev/manifest/1"
PREDICATE_TYPE = "https://keycheck.dev/attestation/bundle/v1"
BLOB_DOMAIN = b"keycheck blob/1\x00"
SALT_SUFFIX = ".salt"
SALT_BYTES = 32
SIDECAR_BYTES = 2 * SALT_BYTES + 1

MAX_JSON = 64 * 1024 * 1024
"""Bytes of run-start.json, assessment.json, manifest.json and of any one input."""
MAX_LINE = 1024 * 1024
MAX_BLOB = 64 * 1024 * 1024
"""Bytes of one original."""

_INPUT_NAME = re.compile(r"inputs(?:/[a-z0-9][a-z0-9._-]*){1,3}", re.ASCII)
_BLOB_NAME = re.compile(r"blobs/[0-9a-f]{64}", re.ASCII)


class Tag(StrEnum):
    """The kinds of leaf. The ``bundle/`` keeps them apart from the leaves of any other tree."""

    RUN_START = "bundle/run-start"
    INPUT = "bundle/input"
    OBSERVATION = "bundle/observation"
    BLOB = "bundle/blob"
    ASSESSMENT = "bundle/assessment"
    VERIFIER = "bundle/verifier"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the manifest says about one file."""

    path: str
    tag: Tag
    size: int
    leaf: bytes | None = None
    lines: int | None = None
    """Set, instead of ``leaf``, for the observations."""

    def as_json(self) -> dict[str, Jsonable]:
        """The member of the manifest's ``files``."""
        common: dict[str, Jsonable] = {"path": self.path, "tag": self.tag.value, "bytes": self.size}
        if self.leaf is None:
            return common | {"lines": self.lines}
        return common | {"leaf": self.leaf.hex()}


def is_input(name: str) -> bool:
    """Whether ``name`` may be an input: below inputs/, lower case, at most three levels, no dots in front, room
    for the suffix of its salt, and nothing in it that could be taken for that."""
    return (
        len(sidecar(name)) <= MAX_NAME
        and _INPUT_NAME.fullmatch(name) is not None
        and not any(level.endswith(SALT_SUFFIX) for level in name.split("/"))
    )


def sidecar(name: str) -> str:
    """Where the salt of the input ``name`` lies."""
    return name + SALT_SUFFIX


def is_sidecar(name: str) -> bool:
    """Whether ``name`` is where the salt of some input lies."""
    return name.endswith(SALT_SUFFIX) and is_input(name.removesuffix(SALT_SUFFIX))


def tag_of(name: str) -> Tag | None:
    """The tag of the file ``name``; None for what has no leaf of its own: manifest, statement, and salts.

    Raises IntegrityError for a name that a bundle does not have.
    """
    match name:
        case "run-start.json":
            return Tag.RUN_START
        case "observations.jsonl":
            return Tag.OBSERVATION
        case "assessment.json":
            return Tag.ASSESSMENT
        case "VERIFY.md" | "verify.py":
            return Tag.VERIFIER
        case "manifest.json" | "statement.dsse.json":
            return None
    if is_input(name):
        return Tag.INPUT
    if _BLOB_NAME.fullmatch(name):
        return Tag.BLOB
    if is_sidecar(name):
        return None
    if name == "checkpoint" or name.startswith("timestamps/"):
        raise IntegrityError(
            f"the bundle holds {name[:MAX_NAME]!r}, which this version cannot check",
            advice="Verify it with the newer keycheck that made it.",
        )
    raise _misplaced(f"{name[:MAX_NAME]!r} is no name of a file in a bundle")


def check_order(names: Iterable[str]) -> None:
    """Return if these are the names of a bundle in their one order. Raises IntegrityError."""
    fixed: list[str] = []
    previous = due = ""
    for name in names:
        if due:
            if name != due:
                raise _misplaced(f"{due} does not follow its input")
            due = ""
            continue
        tag = tag_of(name)
        if tag in (Tag.INPUT, Tag.BLOB):
            # Inputs stand after the first fixed name, blobs after the second, ascending, so only once.
            if len(fixed) != (1 if tag is Tag.INPUT else 2):
                raise _misplaced(f"{name} stands in the wrong place")
            if name <= previous:
                raise _misplaced(f"{name} is there twice or out of order")
            previous = name
            due = sidecar(name) if tag is Tag.INPUT else ""
        else:
            fixed.append(name)
            previous = ""
    if tuple(fixed) != _FIXED:
        raise _misplaced(f"it holds {', '.join(fixed)[:400]} instead of {', '.join(_FIXED)}")


def manifest(
    run: str, counts: Mapping[Tag, int], tree_size: int, root: bytes, files: Iterable[FileRecord]
) -> dict[str, Jsonable]:
    """The manifest that follows from a bundle's contents; ``run`` is the digest of run-start.json."""
    return {
        "schema": MANIFEST_SCHEMA,
        "run": run,
        "counts": {tag.value: counts.get(tag, 0) for tag in Tag},
        "tree_size": tree_size,
        "root": root.hex(),
        "files": [record.as_json() for record in files],
    }


def bundle_statement(manifest_sha256: str, run: str, tree_size: int, root: bytes) -> bytes:
    """The one statement that a bundle's signers sign."""
    return statement(
        [Subject(MANIFEST, manifest_sha256)],
        PREDICATE_TYPE,
        {"run": run, "tree_size": tree_size, "root": root.hex()},
    )


def manifest_bytes(document: Mapping[str, Jsonable]) -> bytes:
    """The file ``manifest.json``."""
    return dumps(document)


_FIXED = (RUN_START, OBSERVATIONS, ASSESSMENT, MANIFEST, STATEMENT, VERIFY_MD, VERIFY_PY)


def _misplaced(why: str) -> IntegrityError:
    return IntegrityError(
        f"this is not a keycheck bundle in its one layout: {why}",
        advice="Fetch the bundle again from its signer, and pass the .zip file as it was written.",
    )

"""All checks of a bundle, in one pass and flat memory.

:func:`verify_bundle` proves that holders of the trusted keys signed exactly these observations, blobs, inputs
and verdicts, complete and in this order. It rebuilds manifest, statement and container from the contents and
compares bytes, so that a change of any byte of the file is seen. What it does not prove is part of its
result: see :class:`Limit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NoReturn

from keycheck.canonical import CanonicalError, Json, Jsonable, loads
from keycheck.errors import IntegrityError
from keycheck.evidence import dsse, layout
from keycheck.evidence.container import Entry
from keycheck.evidence.inputs import committed, committing, holds, salt_of
from keycheck.evidence.keys import PublicKey
from keycheck.evidence.layout import FileRecord, Tag
from keycheck.evidence.lines import LineChecker
from keycheck.evidence.merkle import CompactRange, leaf_function, leaf_hasher
from keycheck.evidence.reader import BundleReader
from keycheck.evidence.statement import PAYLOAD_TYPE


class Limit(StrEnum):
    """What verification leaves open, and must be said beside every success."""

    NO_TIMESTAMP = "no-timestamp"
    UNWITNESSED = "unwitnessed"
    SIGNER_IDENTITY = "signer-identity"
    TRUTH = "truth"
    VERDICTS = "verdicts"
    WITHHELD = "withheld"

    @property
    def words(self) -> str:
        """The limit in one sentence."""
        return _WORDS[self]


_WORDS = {
    Limit.NO_TIMESTAMP: "No independent timestamp: every date in the bundle is the signer's word.",
    Limit.UNWITNESSED: "Unwitnessed: other runs may exist that the signer does not show.",
    Limit.SIGNER_IDENTITY: "Who holds the signing keys was not checked: compare the key ids with "
    "the signer's over another channel.",
    Limit.TRUTH: "That the observations happened as recorded is the signer's word, except where they "
    "hold bytes that the other side signed.",
    Limit.VERDICTS: "The verdicts were not derived again: `keycheck judge` does that from this bundle.",
    Limit.WITHHELD: "Some original bytes are withheld: only salted commitments to them are here.",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified about a bundle, and what was not."""

    signers: tuple[str, ...]
    """Ids of the trusted keys whose signatures hold, sorted. Every signature in the bundle is among them."""
    manifest_sha256: str
    """What they signed: hex SHA-256 of manifest.json."""
    root: str
    """Hex root of the RFC 9162 tree over all leaves."""
    tree_size: int
    run: str
    """Hex SHA-256 of run-start.json, which every observation carries."""
    counts: Mapping[Tag, int]
    """Leaves by kind."""
    withheld: int
    """References to original bytes that are not in the bundle."""
    not_verified: tuple[Limit, ...]


def verify_bundle(path: Path, trusted: Sequence[PublicKey], *, threshold: int = 1) -> Verified:
    """Verify the bundle at ``path``. Raises IntegrityError with the first thing that is wrong.

    At least ``threshold`` distinct keys out of ``trusted`` must have signed, and nobody else.
    """
    with BundleReader.open(path) as reader:
        return verify_reader(reader, trusted, threshold=threshold)


def verify_stream(file: BinaryIO, trusted: Sequence[PublicKey], *, threshold: int = 1) -> Verified:
    """The same for an open, seekable file."""
    return verify_reader(BundleReader(file), trusted, threshold=threshold)


def verify_reader(reader: BundleReader, trusted: Sequence[PublicKey], *, threshold: int = 1) -> Verified:
    """The same for a bundle that is open, so that what is used afterwards comes from the same file."""
    # The signature first: everything after it is work done for somebody we trust.
    envelope = dsse.verify(reader.read(layout.STATEMENT), trusted, payload_type=PAYLOAD_TYPE, threshold=threshold)
    run_start = reader.read(layout.RUN_START)
    record = _require_canonical(layout.RUN_START, run_start)
    _require_canonical(layout.ASSESSMENT, reader.read(layout.ASSESSMENT))
    run = sha256(run_start).hexdigest()
    checker = LineChecker(run)
    tree = CompactRange()
    inputs: dict[str, str] = {}
    records = [found for entry in reader.entries if (found := _visit(reader, entry, tree, checker, inputs))]
    if not holds(record, [committed(name, commitment) for name, commitment in inputs.items()]):
        _changed(f"the files under {layout.INPUTS} are not those that {layout.RUN_START} commits itself to")
    for commitment in sorted(checker.published):
        _changed(f"the blob {commitment} is named by an observation and is not in the bundle")
    counts = Counter(found.tag for found in records)
    counts[Tag.OBSERVATION] = checker.count
    root = tree.root()
    expected = layout.manifest(run, counts, tree.size, root, records)
    manifest = reader.read(layout.MANIFEST)
    if manifest != layout.manifest_bytes(expected):
        _explain(manifest, expected)
    digest = sha256(manifest).hexdigest()
    if envelope.payload != layout.bundle_statement(digest, run, tree.size, root):
        _changed(f"the signed statement is not the one about this {layout.MANIFEST}")
    return Verified(
        signers=envelope.keys,
        manifest_sha256=digest,
        root=root.hex(),
        tree_size=tree.size,
        run=run,
        counts=dict(counts),
        withheld=checker.withheld,
        not_verified=tuple(limit for limit in Limit if limit is not Limit.WITHHELD or checker.withheld),
    )


def _visit(
    reader: BundleReader, entry: Entry, tree: CompactRange, checker: LineChecker, inputs: dict[str, str]
) -> FileRecord | None:
    """Read one file to its end, add its leaves, note an input's commitment, and return what the manifest must
    say about it."""
    tag = layout.tag_of(entry.name)
    if tag is None:
        return None
    if tag is Tag.OBSERVATION:
        leaf_of = leaf_function(tag)
        for line in reader.observations():
            checker.check(line)
            tree.append(leaf_of(line))
        return FileRecord(entry.name, tag, entry.size, lines=checker.count)
    if tag is Tag.BLOB:
        leaf = _blob_leaf(reader, entry, checker)
    elif tag is Tag.INPUT:
        leaf = _input_leaf(reader, entry, inputs)
    else:
        leaf = _leaf(reader, entry, tag)
    tree.append(leaf)
    return FileRecord(entry.name, tag, entry.size, leaf)


def _leaf(reader: BundleReader, entry: Entry, tag: Tag) -> bytes:
    hasher = leaf_hasher(tag)
    for chunk in reader.chunks(entry):
        hasher.update(chunk)
    return hasher.digest()


def _input_leaf(reader: BundleReader, entry: Entry, inputs: dict[str, str]) -> bytes:
    """The leaf is over salt and bytes; so is the commitment that run-start.json must hold."""
    beside = layout.sidecar(entry.name)
    salt = salt_of(beside, reader.read(beside))
    hasher, commitment = leaf_hasher(Tag.INPUT), committing(salt)
    hasher.update(salt)
    for chunk in reader.chunks(entry):
        hasher.update(chunk)
        commitment.update(chunk)
    inputs[entry.name.removeprefix(layout.INPUTS)] = commitment.digest().hex()
    return hasher.digest()


def _blob_leaf(reader: BundleReader, entry: Entry, checker: LineChecker) -> bytes:
    """Check a blob against its name and the observations, which stand before it, and tick it off."""
    hasher, commitment = leaf_hasher(Tag.BLOB), sha256(layout.BLOB_DOMAIN)
    for chunk in reader.chunks(entry):
        hasher.update(chunk)
        commitment.update(chunk)
    name = entry.name.removeprefix(layout.BLOBS)
    if commitment.hexdigest() != name:
        _changed(f"the blob {name} is not what its name commits to")
    size = checker.published.pop(name, None)
    if size is None:
        _changed(f"the blob {name} is named by no observation")
    if entry.size != layout.SALT_BYTES + size:
        _changed(f"the blob {name} has another size than its observation says")
    return hasher.digest()


def _require_canonical(name: str, data: bytes) -> Json:
    try:
        return loads(data, max_bytes=layout.MAX_JSON)
    except CanonicalError as error:
        raise IntegrityError(f"{name} is {error}", advice=_ADVICE) from error


def _explain(manifest: bytes, expected: Mapping[str, Jsonable]) -> NoReturn:
    """Name the first thing in which a manifest differs from the one its bundle implies."""
    try:
        found = loads(manifest, max_bytes=layout.MAX_JSON)
    except CanonicalError as error:
        raise IntegrityError(f"{layout.MANIFEST} is {error}", advice=_ADVICE) from error
    members: dict[str, Json] = found if isinstance(found, dict) else {}
    if members.get("schema") != layout.MANIFEST_SCHEMA:
        raise IntegrityError(
            f"{layout.MANIFEST} is not of schema {layout.MANIFEST_SCHEMA}",
            advice="Verify the bundle with the version of keycheck that made it, or a newer one.",
        )
    said, implied = members.get("files"), expected["files"]
    if isinstance(said, list) and isinstance(implied, list):
        for index, record in enumerate(implied):
            if index >= len(said) or said[index] != record:
                path = record["path"] if isinstance(record, dict) else index
                _changed(f"{path} is not the file that {layout.MANIFEST} lists")
    for name in ("run", "counts", "tree_size", "root"):
        if members.get(name) != expected[name]:
            _changed(f"{name} in {layout.MANIFEST} is not what the bundle's contents give")
    _changed(f"{layout.MANIFEST} says something else than the bundle's contents")


def _changed(why: str) -> NoReturn:
    raise IntegrityError(f"the bundle is not what was signed: {why}", advice=_ADVICE)


_ADVICE = "Fetch the bundle again from its signer; if it fails again, treat it as no evidence at all."

"""Writing a bundle, piece by piece, while a run goes on.

Everything is first collected in ``NAME.partial/`` beside the future bundle. Only :meth:`BundleWriter.finish`
makes the bundle, whole, signed and on disk before it gets its name; it never replaces a file. A run that is
killed leaves the partial directory, recognisable and readable, and no bundle.

Not for use by several threads at once.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from keycheck.canonical import CanonicalBytes, dumps, loads, spliced
from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence import dsse, files, layout
from keycheck.evidence.container import CHUNK, ContainerWriter
from keycheck.evidence.inputs import SaltedInput, commitments, holds
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.layout import FileRecord, Tag
from keycheck.evidence.lines import LineChecker
from keycheck.evidence.merkle import CompactRange, leaf_function, leaf_hash
from keycheck.evidence.statement import PAYLOAD_TYPE
from keycheck.model.facts import Seen
from keycheck.model.observation import BlobRef, Disposition, Observation


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A reference for an observation, and the salt that opens its commitment."""

    ref: BlobRef
    salt: bytes = field(repr=False)
    """In the bundle for a public blob. For a withheld one whoever may have to show it later must keep it."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The two files that let a reader check the bundle without keycheck."""

    verify_md: bytes
    verify_py: bytes


@dataclass(frozen=True, slots=True)
class WrittenBundle:
    """A bundle that is on disk under its final name."""

    path: Path
    run: str
    """Hex SHA-256 of run-start.json."""
    manifest_sha256: str
    root: str
    tree_size: int
    counts: Mapping[Tag, int]
    signers: tuple[str, ...]
    """Key ids."""


@dataclass(frozen=True, slots=True)
class _Spooled:
    offset: int
    size: int
    crc: int
    leaf: bytes


class BundleWriter:
    """Collects one run's evidence. Leaving its ``with`` block unfinished keeps the partial directory."""

    def __init__(
        self, path: Path, *, run_start: bytes, inputs: Mapping[str, SaltedInput], random: Callable[[int], bytes]
    ) -> None:
        """Start the bundle that will be at ``path``.

        ``inputs`` maps names below inputs/ to contents; ``run_start`` is canonical JSON whose ``inputs`` are the
        commitments to exactly these; ``random`` gives as many unpredictable bytes. Raises KeycheckError if the
        place is taken, ValueError for wrong arguments.
        """
        named = {layout.INPUTS + name: inputs[name] for name in sorted(inputs)}
        for name, given in named.items():
            if not layout.is_input(name) or len(given.data) > layout.MAX_JSON:
                raise ValueError(f"{name} cannot be an input of a bundle: a name out of line, or too long")
        if not holds(loads(run_start, max_bytes=layout.MAX_JSON), commitments(inputs)):
            raise ValueError("the run-start record does not commit itself to exactly these inputs")
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.run = sha256(run_start).hexdigest()
        self._random = random
        self._checker = LineChecker(self.run)
        self._tree = CompactRange()
        self._line_leaf = leaf_function(Tag.OBSERVATION)
        self._records: list[FileRecord] = []
        self._before = {layout.RUN_START: run_start}
        self._record(layout.RUN_START, run_start)
        for name, given in named.items():
            self._before |= {name: given.data, layout.sidecar(name): given.sidecar}
            self._record(name, given.data, salt=given.salt)
        self._claim()
        self._lines: BinaryIO = (self.partial / layout.OBSERVATIONS).open("x+b")
        self._lines_size = self._lines_crc = 0
        self._spool: BinaryIO = (self.partial / "blobs.spool").open("x+b")
        self._spool_size = 0
        self._blobs: dict[str, _Spooled] = {}

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def next_seq(self) -> int:
        """The sequence number that the next observation must carry."""
        return self._checker.count + 1

    def add_blob(
        self, data: bytes, *, name: str, media_type: str, disposition: Disposition = Disposition.PUBLIC
    ) -> StoredBlob:
        """Commit to original bytes and, when public, keep them. An observation must then refer to them.

        Raises ValueError for what cannot be a blob's name, type, length, or disposition: nothing is sealed yet.
        """
        if len(data) > layout.MAX_BLOB:
            raise ValueError(f"a blob holds at most {layout.MAX_BLOB} bytes")
        if disposition is Disposition.SEALED:
            raise ValueError("a bundle cannot hold sealed blobs yet")
        salt = self._random(layout.SALT_BYTES)
        content = salt + data
        commitment = sha256(layout.BLOB_DOMAIN + content).hexdigest()
        ref = BlobRef(name=name, commitment=commitment, bytes=len(data), media_type=media_type, disposition=disposition)
        if ref.disposition is Disposition.PUBLIC:
            self._store(self._spool, content)
            self._blobs[commitment] = _Spooled(
                self._spool_size, len(content), zlib.crc32(content), leaf_hash(Tag.BLOB, content)
            )
            self._spool_size += len(content)
        return StoredBlob(ref, salt)

    def drop_blob(self, commitment: str) -> None:
        """Forget a blob to which no observation refers after all. Nothing happens if it is not kept."""
        if commitment in self._checker.published:
            raise ValueError(f"an observation refers to blob {commitment}")
        self._blobs.pop(commitment, None)

    def append(self, line: bytes) -> int:
        """Add the next observation, in canonical form and without a newline; returns its sequence number.

        It carries :attr:`run` as ``run`` and :attr:`next_seq` as ``seq``. Raises ValueError otherwise.
        """
        try:
            self._checker.check(line)
        except IntegrityError as error:
            raise ValueError(str(error)) from error
        return self._add(line)

    def append_observation(self, observation: Observation) -> int:
        """As :meth:`append`, for an observation made in this process. Its facts are canonical text already and go into
        the line as they stand, neither parsed nor written again. Raises ValueError for what `append` refuses.
        """
        outcome = observation.outcome
        record = observation.model_dump(mode="json", by_alias=True, exclude={"outcome": {"facts"}})
        if isinstance(outcome, Seen):
            record["outcome"]["facts"] = None
            line = spliced(dumps(record), "facts", [outcome.facts.encode("utf-8")])
        else:
            line = dumps(record)
        if len(line) > layout.MAX_LINE:
            raise ValueError(f"an observation line holds at most {layout.MAX_LINE} bytes")
        try:
            self._checker.take(record)
        except IntegrityError as error:
            raise ValueError(str(error)) from error
        return self._add(line)

    def _add(self, line: bytes) -> int:
        record = line + b"\n"
        self._store(self._lines, record)
        self._lines_size += len(record)
        self._lines_crc = zlib.crc32(record, self._lines_crc)
        self._tree.append(self._line_leaf(line))
        return self._checker.count

    def finish(
        self, assessment: bytes, keys: Sequence[SigningKey], *, verifier: Verifier | None = None
    ) -> WrittenBundle:
        """Sign and publish the bundle. ``assessment`` is canonical JSON. Raises KeycheckError, ValueError."""
        if not keys:
            raise ValueError("a bundle without a signature does not verify")
        if not isinstance(assessment, CanonicalBytes) or len(assessment) > layout.MAX_JSON:
            loads(assessment, max_bytes=layout.MAX_JSON)
        self._check_blobs()
        signers = tuple(sorted(key.key_id for key in keys))
        docs = verifier or shipped_verifier(self.run, signers)
        self._records.append(
            FileRecord(layout.OBSERVATIONS, Tag.OBSERVATION, self._lines_size, lines=self._checker.count)
        )
        for commitment in sorted(self._blobs):
            blob = self._blobs[commitment]
            self._tree.append(blob.leaf)
            self._records.append(FileRecord(layout.BLOBS + commitment, Tag.BLOB, blob.size, blob.leaf))
        after = {layout.VERIFY_MD: docs.verify_md, layout.VERIFY_PY: docs.verify_py}
        for name, data in ({layout.ASSESSMENT: assessment} | after).items():
            self._record(name, data)
        counts = Counter(record.tag for record in self._records)
        counts[Tag.OBSERVATION] = self._checker.count
        root, size = self._tree.root(), self._tree.size
        manifest = layout.manifest_bytes(layout.manifest(self.run, counts, size, root, self._records))
        digest = sha256(manifest).hexdigest()
        envelope = dsse.sign(layout.bundle_statement(digest, self.run, size, root), PAYLOAD_TYPE, keys)
        signed = {layout.ASSESSMENT: assessment, layout.MANIFEST: manifest, layout.STATEMENT: envelope}
        try:
            self._publish(signed | after)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        return WrittenBundle(self.path, self.run, digest, root.hex(), size, dict(counts), signers)

    def close(self) -> None:
        """Stop. What was collected so far stays in the partial directory unless the bundle was finished."""
        self._lines.close()
        self._spool.close()

    def abort(self) -> None:
        """Stop, and remove what was collected."""
        self.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def _record(self, name: str, data: bytes, *, salt: bytes = b"") -> None:
        tag = layout.tag_of(name)
        if tag is None:
            raise ValueError(f"{name} is covered by no leaf")
        leaf = leaf_hash(tag, salt + data if salt else data)
        self._tree.append(leaf)
        self._records.append(FileRecord(name, tag, len(data), leaf))

    def _store(self, spool: BinaryIO, data: bytes) -> None:
        try:
            spool.write(data)
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _claim(self) -> None:
        try:
            if os.path.lexists(self.path):
                raise FileExistsError(0, "exists already", str(self.path))
            self.partial.mkdir(mode=0o700)
            for name, data in self._before.items():
                target = self.partial / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        except FileExistsError as error:
            raise KeycheckError(
                f"{error.filename} exists already, and evidence is never overwritten",
                advice="Choose another name. A .partial directory is what an unfinished run left behind: "
                "remove it when no run is using it.",
            ) from error
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _check_blobs(self) -> None:
        referenced = self._checker.published
        for commitment in referenced.keys() ^ self._blobs.keys():
            raise ValueError(f"blob {commitment} is either stored or referred to, but not both")
        for commitment, size in referenced.items():
            if self._blobs[commitment].size != layout.SALT_BYTES + size:
                raise ValueError(f"blob {commitment} is referred to with another size than it has")

    def _publish(self, rest: Mapping[str, bytes]) -> None:
        temporary = self.partial / "bundle.zip"
        with temporary.open("xb") as file:
            container = ContainerWriter(file)
            for name, data in self._before.items():
                container.add_bytes(name, data)
            container.add(
                layout.OBSERVATIONS,
                self._lines_size,
                self._lines_crc,
                _span(self._lines, 0, self._lines_size),
            )
            for commitment in sorted(self._blobs):
                blob = self._blobs[commitment]
                container.add(
                    layout.BLOBS + commitment,
                    blob.size,
                    blob.crc,
                    _span(self._spool, blob.offset, blob.size),
                )
            for name, data in rest.items():
                container.add_bytes(name, data)
            container.finish()
            files.sync(file)
        files.publish(temporary, self.path)
        self.abort()  # the partial directory has served


def shipped_verifier(run: str, signers: Sequence[str]) -> Verifier:
    """The verifier of this version of keycheck, and its manual filled in for one bundle."""
    package = resources.files("keycheck.evidence.standalone")
    manual = package.joinpath("VERIFY.md").read_text("utf-8")
    for place, value in (("@RUN@", run), ("@SIGNERS@", "\n".join(f"    {signer}" for signer in signers))):
        manual = manual.replace(place, value)
    return Verifier(manual.encode("utf-8"), package.joinpath("verify.py").read_bytes())


def _span(file: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    file.seek(offset)
    while size and (chunk := file.read(min(size, CHUNK))):
        size -= len(chunk)
        yield chunk


def _cannot_write(path: Path, error: OSError) -> KeycheckError:
    return KeycheckError(
        f"cannot write the bundle {path}: {error.strerror or error}",
        advice="Choose a directory that exists, that you may write to and that has room.",
    )

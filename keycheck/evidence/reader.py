"""Reading a bundle that may be hostile: bounded, streaming, and never onto the disk.

Opening one checks its container and layout. It says nothing about who made it: that is
:mod:`keycheck.evidence.verify`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from keycheck.errors import IntegrityError
from keycheck.evidence import files, layout
from keycheck.evidence.container import ContainerReader, Entry
from keycheck.evidence.dsse import MAX_ENVELOPE
from keycheck.evidence.layout import Tag
from keycheck.evidence.lines import split_lines


class BundleReader:
    """The files of a bundle whose container and layout are in order. Raises IntegrityError otherwise."""

    def __init__(self, file: BinaryIO) -> None:
        self._container = ContainerReader(file)
        self.entries = self._container.entries
        layout.check_order(entry.name for entry in self.entries)
        for entry in self.entries:
            if entry.size > _limit(entry.name):
                raise IntegrityError(
                    f"{entry.name} has {entry.size} bytes, more than the {_limit(entry.name)} allowed",
                    advice="Nothing that keycheck writes is that large: fetch the bundle again.",
                )
        self._by_name = {entry.name: entry for entry in self.entries}

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[BundleReader]:
        """Open the bundle at ``path`` for the time of a ``with`` block. Raises IntegrityError."""
        try:
            descriptor = files.open_regular(path)
        except OSError as error:
            raise IntegrityError(
                f"cannot read the bundle {path}: {error.strerror or error}",
                advice="Check the path: a bundle is one .zip file.",
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            yield cls(file)

    def read(self, name: str) -> bytes:
        """The whole of one file; bounded, as its size was checked. Raises IntegrityError."""
        return b"".join(self.chunks(self._entry(name)))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """One file in pieces. Raises IntegrityError when its end does not match its checksum."""
        return self._container.chunks(entry)

    def observations(self) -> Iterator[bytes]:
        """The observation lines, in order, without their newlines."""
        return split_lines(self.chunks(self._entry(layout.OBSERVATIONS)))

    def inputs(self) -> dict[str, bytes]:
        """The files under inputs/, without their salts, by the name they have there."""
        return {
            entry.name.removeprefix(layout.INPUTS): self.read(entry.name)
            for entry in self.entries
            if layout.is_input(entry.name)
        }

    def blob(self, commitment: str) -> bytes:
        """The original bytes behind a commitment. Raises IntegrityError if they are not here or not those."""
        data = self.read(layout.BLOBS + commitment)
        if sha256(layout.BLOB_DOMAIN + data).hexdigest() != commitment:
            raise IntegrityError(
                f"the blob {commitment} is not what its name commits to",
                advice="Fetch the bundle again from its signer.",
            )
        return data[layout.SALT_BYTES :]

    def _entry(self, name: str) -> Entry:
        if entry := self._by_name.get(name):
            return entry
        raise IntegrityError(
            f"the bundle does not hold {name}", advice="Ask its signer for it; it may have been withheld."
        )


def _limit(name: str) -> int:
    match layout.tag_of(name):
        case Tag.OBSERVATION:
            return 2**32  # the container's own bound is lower; they are read line by line
        case Tag.BLOB:
            return layout.MAX_BLOB + layout.SALT_BYTES
        case Tag.RUN_START | Tag.INPUT | Tag.ASSESSMENT | Tag.VERIFIER:
            return layout.MAX_JSON
        case None if layout.is_sidecar(name):
            return layout.SIDECAR_BYTES
        case None:
            return MAX_ENVELOPE if name == layout.STATEMENT else layout.MAX_JSON

"""The bytes of an export as one digest: what the sample's seed is bound to. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from keycheck.model.types import vendor_text
from probes.fields.facts import ExportFacts, File
from probes.fields.read.seam import ExportFile
from probes.fields.subjects import Origin

LISTED: Final = 1000
"""Files that are told one by one."""


def manifest(files: Iterable[ExportFile], digests: Mapping[str, str], rows: int) -> ExportFacts:
    """Every file whose digest is known, in the order of the paths' bytes; `digests` by path."""
    known = sorted((file for file in files if file.path in digests), key=lambda file: file.path.encode())
    total = hashlib.sha256()
    for file in known:
        total.update(f"{file.path}\0{file.size}\0{digests[file.path]}\n".encode("utf-8", "surrogateescape"))
    return ExportFacts(
        files=len(known),
        listed=tuple(
            File(path=vendor_text(file.path), size=file.size, sha256=digests[file.path]) for file in known[:LISTED]
        ),
        manifest=total.hexdigest(),
        rows=rows,
    )


def handed_over(origin: Origin, digests: Iterable[str]) -> Literal["match", "differ", "not-stated"]:
    """Whether the files of the export are exactly those whose digests were noted at the hand-over."""
    if not origin.digests:
        return "not-stated"
    return "match" if sorted(origin.digests) == sorted(digests) else "differ"

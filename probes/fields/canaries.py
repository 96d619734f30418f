"""The file of planted canaries: what was planted where, when, and what it cost.

The one file in which their values stand: it is written for its owner alone (mode 0600), whole or not at all, and
refused where others may read it. Values stand in no repr and no message.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from keycheck.canonical import dumps
from keycheck.errors import ProbeError
from keycheck.evidence.files import TooLargeError, create, read_bounded, replace
from keycheck.model.types import Count, Instant, Model, Name
from keycheck.model.verdict import Reason
from probes.fields.scan.seam import Canary
from probes.fields.subjects import ColumnPath

MAX_FILE: Final = 4 << 20
"""Bytes."""
MOST: Final = 1_000
"""Records of one file."""
_MODE: Final = 0o600
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
State: TypeAlias = Literal["begun", "planted", "removing", "removed"]
"""`begun` and `removing` are written before the request is sent: the record may be there or not."""


class Value(Model):
    """One planted value."""

    id: Name
    class_: Name = Field(alias="class")
    column: ColumnPath
    value: Text = Field(repr=False)


class Record(Model):
    """One record of the vendor's that we made, through its front door."""

    id: Name
    sealed: bool
    """It holds canaries, in fields that must be encrypted; otherwise it was only there for its latency."""
    state: State
    row: tuple[tuple[ColumnPath, Text], ...] = Field(default=(), repr=False)
    """The row's identity: what its columns hold."""
    named: tuple[tuple[Name, Text], ...] = Field(default=(), repr=False)
    """What requests put into their placeholders."""
    values: tuple[Value, ...] = ()
    began: Instant
    """Just before the request that made it was sent."""
    planted: Instant | None = None
    """When the reply to it had come."""
    write_us: Count | None = None
    read_us: tuple[Count, ...] = ()
    """Latencies, in microseconds."""


class Cost(Model):
    """What encryption costs at the front door: medians in microseconds, over as many records of each sort."""

    records: Count
    write_sealed: Count
    write_plain: Count
    read_sealed: Count
    read_plain: Count


class CanaryFile(Model):
    """Everything that was planted with one plan."""

    canaries: Literal["keycheck.dev/canaries/1"] = "keycheck.dev/canaries/1"
    deployment: Name
    dataset: Name
    plan: Name
    plan_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the plan's bytes: its requests remove what they made."""
    records: Annotated[tuple[Record, ...], Field(max_length=MOST)] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        ids = [record.id for record in self.records]
        if len(set(ids)) != len(ids):
            raise ValueError("two records have the same id")
        return self

    def cost(self) -> Cost | None:
        """Medians over the planted records; None where one sort is missing."""
        sealed = [record for record in self.records if record.sealed and record.planted]
        plain = [record for record in self.records if not record.sealed and record.planted]
        figures = [_median(_writes(sealed)), _median(_writes(plain)), _median(_reads(sealed)), _median(_reads(plain))]
        if None in figures:
            return None
        write_sealed, write_plain, read_sealed, read_plain = (figure or 0 for figure in figures)
        return Cost(
            records=min(len(sealed), len(plain)),
            write_sealed=write_sealed,
            write_plain=write_plain,
            read_sealed=read_sealed,
            read_plain=read_plain,
        )

    def with_record(self, record: Record) -> CanaryFile:
        """The same with this record in place of the one of its id, or at the end."""
        kept = {each.id: each for each in self.records}
        kept[record.id] = record
        return self.model_copy(update={"records": tuple(kept.values())})

    def sought(self) -> tuple[Canary, ...]:
        """The canaries that a scan looks for: of every record that is or may be there."""
        return tuple(
            Canary(id=value.id, of=value.class_, column=value.column, value=value.value, row=record.row)
            for record in self.records
            if record.sealed and record.state != "removed"
            for value in record.values
        )


def _writes(records: Iterable[Record]) -> list[int]:
    return [record.write_us for record in records if record.write_us is not None]


def _reads(records: Iterable[Record]) -> list[int]:
    return [each for record in records for each in record.read_us]


def _median(values: list[int]) -> int | None:
    return round(statistics.median(values)) if values else None


def read_canaries(path: Path) -> tuple[Canary, ...]:
    """The canaries that a file tells of. Raises ProbeError."""
    return load_canaries(path).sought()


def load_canaries(path: Path) -> CanaryFile:
    """The whole file. Raises ProbeError, which names no value."""
    try:
        data = read_bounded(path, MAX_FILE, private=True)
        return CanaryFile.model_validate_json(data)
    except TooLargeError:
        raise ProbeError(Reason.MALFORMED, f"the canaries' file {path.name} has more than {MAX_FILE} bytes") from None
    except PermissionError:
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"the canaries' file {path.name} cannot be read, or may be read by others: `chmod 600` it",
        ) from None
    except OSError as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"the canaries' file {path.name} cannot be read: {error.strerror or 'no file'}"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ProbeError(
            Reason.MALFORMED, f"the canaries' file {path.name} is none that `keycheck canary plant` wrote, at {where}"
        ) from None


def create_canaries(path: Path, file: CanaryFile) -> None:
    """A new file. Raises FileExistsError where there is one, OSError."""
    create(path, _bytes(file), mode=_MODE)


def save_canaries(path: Path, file: CanaryFile) -> None:
    """In place of the one that is there: a reader sees the old one or the new one. Raises OSError."""
    replace(path, _bytes(file), mode=_MODE)


def _bytes(file: CanaryFile) -> bytes:
    return dumps(file.model_dump(mode="json", by_alias=True)) + b"\n"

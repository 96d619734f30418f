"""The probe of encrypted fields: an export in, one sighting a column out.

First every shard is scanned and every file hashed, in workers. Then the export's digest is written down. Only after
that is the sample drawn, opened and sought, here, in one process that keeps what it opens to itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, assert_never

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.probe import SURVEY, Io, Observed, Probe, Round, Surveyed, Touch
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import Assurance, Reason
from probes.fields.facts import ColumnFacts, Export, ExportFacts, LeftOut
from probes.fields.finish import Finished
from probes.fields.formats.seam import Wrapped
from probes.fields.manifest import handed_over, manifest
from probes.fields.planning import part_of, scan_plan
from probes.fields.read.lost import few
from probes.fields.read.seam import BESIDE, ExportFile, Listing, Shard
from probes.fields.read.seam import Export as Source
from probes.fields.scan.seam import Canary, ScanPlan
from probes.fields.subjects import Absent, Dataset, Files, Table

if TYPE_CHECKING:
    from probes.fields.scan.gathering import Gathering
    from probes.fields.scan.result import ShardResult

SCAN_LIMIT: Final = 1800.0
"""Seconds for one shard or the digest of one file."""
SLOWEST: Final = 2_000_000
"""Bytes a second that a file is read with at least: one that is not cut into shards is one unit of work."""
OPEN_LIMIT: Final = 86_400.0
"""Seconds for the sample and the hunt, which read the whole export once more."""
MEMORY: Final = 256 << 20
"""Bytes of tokens that are held before they are spilled to disk."""
MOST_COLUMNS: Final = 2_000
FINISH: Final[PartName] = "finish"
ALL: Final[PartName] = "all"


_UNFINISHED: Final = Unseen(
    reason=Reason.INTERRUPTED, detail="the run was interrupted before a sample was drawn: nothing was opened"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the survey learned: picklable, and without a secret but the run's hashing key."""

    source: Source
    listing: Listing
    plan: ScanPlan
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """One shard to be scanned."""

    source: Source
    shard: Shard
    plan: ScanPlan


@dataclass(frozen=True, slots=True)
class Hash:
    """One file to be hashed."""

    source: Source
    file: ExportFile


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done once everything was seen."""

    known: Known
    total: Total
    export: ExportFacts


@dataclass(slots=True)
class Total:
    """Everything folded so far. Lives in the engine's process only."""

    gathering: Gathering
    spill: tempfile.TemporaryDirectory[str]
    digests: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


Work: TypeAlias = "ShardResult | str | Finished | Known | Total"


class ColumnProbe(Probe[Dataset, Work]):
    """Looks at every value of every column of an export, opens a sample under the customer's key, and seeks what was
    opened everywhere else.

    Proves what the bytes of this export are. That the live store holds the same bytes it proves as far as the export's
    origin does; it never proves that the vendor holds no other key and no other copy.
    """

    id = "fields.column"
    version = 1
    section = "datasets"
    facts: ClassVar[type[Facts]] = ColumnFacts
    pool = "processes"
    limit = SCAN_LIMIT

    def touches(self, subject: Dataset, io: Io) -> Iterable[Touch]:
        """Reading the export, and the calls to the key service with their price."""
        match subject.source:
            case Files() as source:
                where, credential = ", ".join(source.files), source.identity or "none"
            case Table() as table:
                where, credential = f"table {table.table}", str(table.url)
            case Absent():
                return
            case _:
                assert_never(subject.source)
        yield Touch(f"export {where}", credential, False, Technique.PASSIVE, 1, int(SCAN_LIMIT))
        if subject.beside:
            yield Touch(f"files {', '.join(subject.beside)}", credential, False, Technique.PASSIVE, 1, int(SCAN_LIMIT))
        if subject.opening is not None:
            from probes.fields.opening.price import PLANTED, planned_calls, price

            wrapped = [rule for rule in subject.fields if rule.key is not None]
            planted = PLANTED if subject.canaries is not None else 0
            calls = min(subject.opening.calls, (planned_calls(subject.opening.samples) + planted) * len(wrapped))
            yield Touch(
                f"data keys of {len(wrapped)} columns, to be unwrapped",
                subject.opening.identity,
                False,
                Technique.PASSIVE,
                1,
                int(OPEN_LIMIT),
                price(calls),
                calls,
            )

    def survey(self, subject: Dataset, io: Io) -> Surveyed:
        """Which columns the export has or should have, and what is to be read."""
        from probes.fields.read.export import open_export

        source = open_export(subject, io.base, io.identities, io.environment)
        listing = source.listing()
        columns = sorted({*listing.columns, *(rule.column for rule in subject.fields), *_beside(listing)})
        open_ = list(listing.open)
        if len(columns) > MOST_COLUMNS:
            open_.append(Unseen(reason=Reason.NOT_COVERED, detail=f"more than {MOST_COLUMNS} columns"))
        open_ += _nowhere(subject, listing.columns)
        kept = tuple(columns[:MOST_COLUMNS])
        plan = scan_plan(subject, kept, _canaries(subject, io), io)
        units: dict[PartName, object] = {
            f"scan {number}": Scan(source, shard, plan) for number, shard in enumerate(listing.shards)
        }
        known = Known(source, listing, replace(plan, vault=_vault(subject, io)), kept)
        units |= {f"hash {number}": Hash(source, file) for number, file in enumerate(listing.files)}
        census = Census(parts=tuple(part_of(column) for column in kept), open=tuple(open_))
        largest = max((file.size for file in listing.files), default=0)
        return Surveyed(census, Round(units, limit=max(SCAN_LIMIT, largest / SLOWEST)), known)

    def work(self, subject: Dataset, part: PartName, io: Io) -> Work:
        """Scan a shard, hash a file, or finish."""
        match io.given:
            case Scan(source, shard, plan):
                from probes.fields.scan.column import scan_shard

                return scan_shard(source, shard, plan)
            case Hash(source, file):
                return source.digest(file)
            case Finish() as finish:
                from probes.fields.finish import finished

                known, gathering = finish.known, finish.total.gathering
                return finished(subject, known.source, known.listing, known.plan, gathering, finish.export.manifest, io)
            case _:
                raise ProbeError(Reason.UNSUPPORTED, "no such unit of work")

    def fold(
        self, gathered: Mapping[PartName, Work | Unseen], part: PartName, result: Work | Unseen
    ) -> Mapping[PartName, Work | Unseen]:
        """Merge a shard's counts; what is lost is counted as left out."""
        if part == FINISH:
            return {**gathered, FINISH: result}
        known, total = _known(gathered), _folded(gathered)
        kind, _, name = part.partition(" ")
        if kind == "hash":
            _hashed(total, known.listing.files[int(name)], result)
        else:
            shard = known.listing.shards[int(name)]
            if isinstance(result, Unseen):
                total.gathering.lose(shard, result)
            else:
                total.gathering.add(shard, _scanned(result))
        return {**gathered, ALL: total}

    def counted(self, result: Work) -> int:
        """Rows of a shard."""
        from probes.fields.scan.result import ShardResult

        return result.rows if isinstance(result, ShardResult) else 0

    def more(self, subject: Dataset, gathered: Mapping[PartName, Work | Unseen], io: Io) -> Round | None:
        """The sample, once the export's digest stands in the record."""
        if FINISH in gathered or _broken(gathered) is not None:
            return None
        known, total = _known(gathered), _folded(gathered)
        export = manifest(known.listing.files, total.digests, total.gathering.rows)
        return Round({FINISH: Finish(known, total, export)}, "threads", OPEN_LIMIT, (Observed("export", export),))

    def conclude(self, subject: Dataset, gathered: Mapping[PartName, Work | Unseen]) -> Iterable[Observed]:
        """One sighting a column."""
        known = _known(gathered)
        if (broken := _broken(gathered)) is not None:
            # what was gathered is some part of the export, and nobody knows which
            if isinstance(total := gathered.get(ALL), Total):
                total.spill.cleanup()
            yield from (Observed(part_of(column), broken) for column in known.columns)
            return
        total = _folded(gathered)
        finished = gathered.get(FINISH, _UNFINISHED)
        lost = finished if isinstance(finished, Unseen) else None
        done = finished if isinstance(finished, Finished) else Finished({})
        own = [file for file in known.listing.files if not file.beside]
        facts = manifest(known.listing.files, total.digests, total.gathering.rows)
        export = Export(
            manifest=facts.manifest,
            files=len(known.listing.files),
            rows=facts.rows,
            left_out=few((*known.listing.left_out, *total.left_out, *total.gathering.left_out, *done.left_out)),
            origin=subject.origin,
            origin_digests=handed_over(subject.origin, (total.digests.get(file.path, "") for file in own)),
            canaries=done.tied,
            tie=vendor_text(done.tie),
            limits=subject.limits,
        )
        opened = done.opened if lost is None else dict.fromkeys(known.columns, lost)
        assurance = _assurance(subject, done)
        with total.spill:
            for column in total.gathering.facts(export, opened):
                yield Observed(part_of(column.column), _searched(column, done), assurance)


def _assurance(subject: Dataset, done: Finished) -> Assurance:
    """A vendor can encrypt while exporting: its own export is a document unless canaries tie it to the live store."""
    tied = subject.origin.made_by == "customer" or done.tied == "tied"
    return Assurance.OBSERVED if tied else Assurance.DOCUMENTED


def _searched(column: ColumnFacts, done: Finished) -> ColumnFacts:
    """With what the hunt for opened values found in it."""
    hunt = done.hunts.get(column.column)
    if hunt is None:
        return column
    from probes.fields.hunt.hits import merged

    return column.model_copy(update={"hunt": merged(column.hunt, hunt.model_copy(update={"bytes": 0}))})


def _nowhere(subject: Dataset, columns: Iterable[str]) -> Iterable[Unseen]:
    """What the data set says of rows by columns that no file has: a slip of the pen, or an export that lacks them."""
    named = [("row", column) for column in subject.row]
    named += [(word, column) for word, column in (("tenant", subject.tenant), ("written", subject.written)) if column]
    named += [
        (f"context of {rule.column}", each.column) for rule in subject.fields for each in rule.context if each.column
    ]
    for word, column in named:
        if column not in columns:
            detail = vendor_text(f"`{word}` names {column!r}, which is no column of the export")
            yield Unseen(reason=Reason.NOT_COVERED, detail=detail)


def _beside(listing: Listing) -> Iterable[str]:
    return (f"{BESIDE}{file.path}" for file in listing.files if file.beside)


def _canaries(subject: Dataset, io: Io) -> tuple[Canary, ...]:
    """What was planted. Raises ProbeError."""
    if subject.canaries is None:
        return ()
    from probes.fields.canaries import read_canaries

    return read_canaries(io.base / subject.canaries)


def _vault(subject: Dataset, io: Io) -> Mapping[str, Wrapped]:
    """MongoDB's wrapped data keys. Raises ProbeError."""
    if subject.key_vault is None:
        return {}
    from probes.fields.key_vault import read_key_vault

    return read_key_vault(io.base / subject.key_vault)


def _scanned(result: object) -> ShardResult:
    from probes.fields.scan.result import ShardResult

    if not isinstance(result, ShardResult):
        raise TypeError("not the result of a shard")
    return result


def _known(gathered: Mapping[PartName, Work | Unseen]) -> Known:
    known = gathered.get(SURVEY)
    if not isinstance(known, Known):
        raise TypeError("the survey's own knowledge is gone")
    return known


def _broken(gathered: Mapping[PartName, Work | Unseen]) -> Unseen | None:
    """Why a unit's result could not be folded (the engine leaves that under the unit's own name): the disk is full,
    the result makes no sense."""
    own = (SURVEY, ALL, FINISH)
    return next((value for name, value in gathered.items() if name not in own and isinstance(value, Unseen)), None)


def _folded(gathered: Mapping[PartName, Work | Unseen]) -> Total:
    """What was folded so far; of an export without a file or a row, nothing."""
    total = gathered.get(ALL)
    if isinstance(total, Total):
        return total
    from probes.fields.scan.gathering import Gathering

    known = _known(gathered)
    spill = tempfile.TemporaryDirectory(prefix="keycheck-fields-")
    return Total(Gathering(known.plan, known.columns, Path(spill.name), MEMORY), spill)


def _hashed(total: Total, file: ExportFile, result: Work | Unseen) -> None:
    if isinstance(result, str):
        total.digests[file.path] = result
        return
    why = result.detail if isinstance(result, Unseen) else "no digest came back"
    total.left_out.append(LeftOut(why=vendor_text(f"not hashed: {why}"), rows=0, places=(vendor_text(file.path),)))

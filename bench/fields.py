"""Benchmark of the scan of encrypted fields, beside only reading the same file and the AWS Encryption SDK's parser.

    python bench/fields.py [--rows 1000000] [--curve 100000,1000000,10000000] [--no-dask] [--quick]

A benchmark, not a test: it prints, and ends with 0 however slow the machine is. The export is made here: three
encrypted columns of three formats (AWS Encryption SDK in base64 with the row's id in its context, Vault transit,
compact JWE), two plain columns in which personal data is sought, and the row's id. Every value of every column is
classified, duplicates are exact. `--curve` measures time and peak memory of a process of its own for each number of
records.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import fields_scene
import numpy as np
import show
from measure import busy, execute, high_water_kib, machine, shown_time

from probes.fields.facts import Export as Told
from probes.fields.read.export import open_export
from probes.fields.read.seam import Export, Shard
from probes.fields.scan.arrays import cells
from probes.fields.scan.column import scan_shard
from probes.fields.scan.fast import FastPath
from probes.fields.scan.gathering import Gathering
from probes.fields.scan.result import ShardResult
from probes.fields.scan.seam import ColumnPlan, ScanPlan
from probes.fields.subjects import Dataset, FieldRule, Limits

RATE: Final = 0.6e6
READING: Final = 2.5
TWO: Final = 1.7
DASK: Final = 1.15
HEADERS: Final = 50
MEMORY_MIB: Final = 1536
RUNS: Final = 3
CURVE: Final = "100000,1000000"


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part."""
    options = _options(argv)
    if options.child is not None:
        return _child(options.child)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}")
    if (warning := busy()) is not None:
        print(warning)
    with TemporaryDirectory(prefix="keycheck-bench-") as scratch:
        home = Path(scratch)
        size = fields_scene.write(home / "export.parquet", options.rows)
        print(f"{options.rows:,} records, {size / 1e6:.0f} MB of Parquet")
        runs = 1 if options.quick else RUNS
        _speed(home, options.rows, runs, dask=not options.no_dask)
        _headers(runs)
        (home / "export.parquet").unlink()
        _curve(home, "100000" if options.quick and options.curve == CURVE else options.curve)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--curve", default=CURVE, help="numbers of records; empty for none (%(default)s)")
    parser.add_argument("--no-dask", action="store_true")
    parser.add_argument("--quick", action="store_true", help="each once, and a short curve: under two minutes")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _dataset() -> Dataset:
    context = [{"name": "id", "column": "id"}, {"name": "field", "value": "email"}]
    rules = [{"column": name, "class": name, "format": kind} for name, kind in fields_scene.ENCRYPTED.items()]
    rules[0]["context"] = context  # type: ignore[assignment]
    plain = [{"column": name, "class": "none"} for name in ("id", "note", "contact")]
    return Dataset.model_validate(
        {
            "id": "bench",
            "source": {"kind": "files", "files": ["export.parquet"]},
            "fields": [*rules, *plain],
            "origin": {"made_by": "vendor", "method": "made here"},
        }
    )


def _plan(dataset: Dataset) -> ScanPlan:
    def column(rule: FieldRule) -> ColumnPlan:
        return ColumnPlan(rule.column, "plain" if rule.class_ == "none" else "sensitive", rule)

    return ScanPlan(tuple(map(column, dataset.fields)), (), None, None, Limits(), os.urandom(32))


def _whole(
    home: Path, scan: Callable[[Export, tuple[Shard, ...], ScanPlan], Iterator[tuple[Shard, ShardResult]]]
) -> int:
    """Scan, gather and conclude; the rows that were seen."""
    dataset = _dataset()
    export = open_export(dataset, home, (), {})
    listing = export.listing()
    plan = _plan(dataset)
    with TemporaryDirectory(prefix="keycheck-spill-", dir=home) as spill:
        gathering = Gathering(plan, listing.columns, Path(spill))
        for shard, result in scan(export, listing.shards, plan):
            gathering.add(shard, result)
        told = Told(
            manifest="0" * 64,
            files=1,
            rows=gathering.rows,
            origin=dataset.origin,
            origin_digests="not-stated",
            limits=dataset.limits,
        )
        facts = list(gathering.facts(told, {}))
    if any(one.units is not None and one.units.reused.count for one in facts):
        raise RuntimeError("sound data was found to reuse nonces")
    return gathering.rows


def _here(export: Export, shards: tuple[Shard, ...], plan: ScanPlan) -> Iterator[tuple[Shard, ShardResult]]:
    for shard in shards:
        yield shard, scan_shard(export, shard, plan)


def _in(
    pool: Executor,
) -> Callable[[Export, tuple[Shard, ...], ScanPlan], Iterator[tuple[Shard, ShardResult]]]:
    def scan(export: Export, shards: tuple[Shard, ...], plan: ScanPlan) -> Iterator[tuple[Shard, ShardResult]]:
        futures = [(shard, pool.submit(scan_shard, export, shard, plan)) for shard in shards]
        for shard, future in futures:
            yield shard, future.result()

    return scan


def _read_only(home: Path) -> int:
    export = open_export(_dataset(), home, (), {})
    return sum(batch.rows.num_rows for shard in export.listing().shards for batch in export.read(shard).batches)


def _best(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """(seconds, processor seconds of this process) of the quickest of several runs, after one that does not count."""
    work()
    found = []
    for _ in range(runs):
        start, busy_from = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - start, time.process_time() - busy_from))
    return min(found)


@contextmanager
def _dask(workers: int) -> Iterator[Executor]:
    """The cluster's executor, as `--engine dask://` gets it."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor(pure=False)


def _speed(home: Path, rows: int, runs: int, *, dask: bool) -> None:
    show.heading("Scan and gathering, every value of six columns")
    reading, reading_cpu = _best(lambda: _read_only(home), runs)
    one, cpu = _best(lambda: _whole(home, _here), runs)
    lines = [
        ("only reading into Arrow batches", shown_time(reading), f"{rows / reading / 1e6:.2f} M/s", ""),
        ("one process", shown_time(one), f"{rows / one / 1e6:.2f} M/s", _at_least(rows / one, RATE, "0.6 M/s")),
        ("... of processor time", shown_time(cpu), f"{rows / cpu / 1e6:.2f} M/s", ""),
        (
            "... to only reading",
            f"{one / reading:.2f}x",
            f"{cpu / reading_cpu:.2f}x of it",
            _goal(one / reading, READING),
        ),
    ]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        two, _ = _best(lambda: _whole(home, _in(pool)), runs)
    lines.append(("two processes", shown_time(two), f"{one / two:.2f}x of one", _at_least(one / two, TWO, "1.7x")))
    if dask:
        with _dask(2) as cluster:
            far, _ = _best(lambda: _whole(home, _in(cluster)), runs)
        lines.append(("two Dask workers", shown_time(far), f"{far / two:.2f}x the time", _goal(far / two, DASK)))
    show.table(("what", "time", "rate", "target"), lines)


def _goal(value: float, limit: float) -> str:
    return f"< {limit:g}x: {show.target(value, limit)}"


def _at_least(value: float, limit: float, words: str) -> str:
    return f">= {words}: {'met' if value >= limit else 'MISSED'}"


def _headers(runs: int) -> None:
    """The SDK's parser of a header; and here the header alone one by one, the layout of whole messages by the batch
    (header, wrapped keys, context, frame, lengths, to the last byte), and that with a look at whether what should be
    random is readable, as the scan does it."""
    import pyarrow as pa

    from probes.fields.formats.esdk import FORMAT, HeaderReader
    from probes.fields.formats.seam import Parsed
    from probes.fields.scan.templates import fit, template_of

    show.heading("Headers of the AWS Encryption SDK, one process")
    lines = fields_scene.esdk(np.random.default_rng(1), np.arange(8192), 25)
    values = [line.tobytes() for line in lines]
    column = cells(pa.array(values, pa.large_binary()))
    parsed = FORMAT.parse(values[0])
    template = template_of(values[0], parsed) if isinstance(parsed, Parsed) else None
    if template is None or len(fit(template, column.regions).chosen) != len(values):
        raise RuntimeError("messages of one layout do not fit their template")
    path, reader = FastPath(FORMAT, ()), HeaderReader()
    layout, _ = _best(lambda: [fit(template, column.regions) for _ in range(20)], runs)
    batch, _ = _best(lambda: [path.walk(column, ("id",)) for _ in range(20)], runs)
    header, _ = _best(lambda: [reader.fields(value) for _ in range(20) for value in values], runs)
    single, _ = _best(lambda: [FORMAT.parse(value) for value in values], runs)
    ours, alone = 20 * len(values) / layout, 20 * len(values) / header
    rows = [
        ("layout by the batch, to the last byte", f"{ours / 1e6:.2f} M/s", ""),
        ("... and whether anything is readable", f"{20 * len(values) / batch / 1e6:.2f} M/s", ""),
        ("header alone, one by one", f"{alone / 1e6:.2f} M/s", ""),
        ("all of both, one by one", f"{len(values) / single / 1e6:.2f} M/s", ""),
    ]
    try:
        from aws_encryption_sdk.internal.formatting.deserialize import (  # type: ignore[import-untyped]
            deserialize_header,
        )
    except ImportError:
        print("The SDK is not installed: nothing to compare with.")
    else:
        theirs, _ = _best(lambda: [deserialize_header(io.BytesIO(value), 64) for value in values[:1000]], runs)
        times, each = ours / (1000 / theirs), alone / (1000 / theirs)
        rows.append(("the SDK's deserialize_header", f"{1000 / theirs / 1e3:.1f} k/s", ""))
        rows.append(("times as many by the batch", f"{times:.0f}x", _at_least(times, HEADERS, "50x")))
        rows.append(("times as many one by one", f"{each:.0f}x", ""))
    show.table(("what", "rate", "target"), rows)


def _curve(home: Path, sizes: str) -> None:
    if not sizes:
        return
    show.heading("Time and peak memory of one process that scans and gathers")
    rows = []
    for size in map(int, sizes.split(",")):
        place = home / str(size)
        place.mkdir()
        fields_scene.write(place / "export.parquet", size)
        ended = execute([sys.executable, __file__, "--child", str(place)], limit=7200, cwd=home)
        words = ended.output.decode().split()
        (place / "export.parquet").unlink()
        if ended.exit_code or len(words) != 2:
            rows.append((f"{size:,}", "failed", "", ""))
            continue
        seconds, peak = float(words[0]), int(words[1]) / 1024
        rows.append(
            (
                f"{size:,}",
                shown_time(seconds),
                f"{peak:.0f} MiB",
                f"< {MEMORY_MIB} MiB: {show.target(peak, MEMORY_MIB)}",
            )
        )
    show.table(("records", "time", "peak", "target"), rows)


def _child(home: Path) -> int:
    start = time.perf_counter()
    _whole(home, _here)
    print(time.perf_counter() - start, high_water_kib() or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Benchmark of address ranges, beside linear `ipaddress`, netaddr, pytricia and maxminddb on the same prefixes.

    python bench/residency.py [--addresses 1000000] [--lines 10000000] [--quick]

A benchmark, not a test: it prints, and ends with 0 however slow the machine is. It reads real lists of six providers
from `ranges` in $KEYCHECK_DATA, or in ../shared/data beside the project; without them there is nothing to measure. The
other packages are peers of this benchmark alone: one that is not installed is left out, and that is said. Half of the
addresses are in published prefixes and half anywhere. Single lookups of all but the slowest are over all of them, and
what pytricia and maxminddb answer is compared with ours.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import show
from measure import busy, high_water_kib, machine, shown_time
from residency_mmdb import mmdb

from probes.residency.ranges.codec import encoded
from probes.residency.ranges.flow import FlowLog
from probes.residency.ranges.importing import Accept, Lists, imported
from probes.residency.ranges.index import Index
from probes.residency.ranges.store import load
from probes.residency.ranges.table import Imported, table_of

FILES: Final = {
    "aws": ("aws-*.json",),
    "gcp": ("gcp-*.json",),
    "azure": ("azure-*.json",),
    "oci": ("oci-*.json",),
    "cloudflare": ("cloudflare-v4*.txt", "cloudflare-v6*.txt"),
    "fastly": ("fastly-*.json",),
}
SINGLE: Final = 2e6
INTEGERS: Final = 50e6
TEXTS: Final = 4e6
SIZE: Final = 200_000
LOAD_S: Final = 0.005
MEMORY_MIB: Final = 256
RUNS: Final = 5
LOG_LINES: Final = 1_000_000
"""Of the file that is fed again and again until there are enough lines."""

T = TypeVar("T")
Row = tuple[str, str, str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part."""
    options = _options(argv)
    if options.child is not None:
        return _child(options.child)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}")
    if (warning := busy()) is not None:
        print(warning)
    home = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data") / "ranges"
    if missing := [name for name, patterns in FILES.items() if not all(map(list, map(home.glob, patterns)))]:
        print(f"no lists of {', '.join(missing)} in {home.name} of KEYCHECK_DATA: nothing was measured")
        return 0
    lists, runs = _imports(home), 2 if options.quick else RUNS
    with TemporaryDirectory(prefix="keycheck-bench-") as scratch:
        path = Path(scratch) / "ranges.index"
        path.write_bytes(encoded(table_of(lists)))
        path.chmod(0o600)
        _file(path, lists, runs)
        index = load(path)
        addresses = _addresses(index, 100_000 if options.quick else options.addresses)
        _single(index, lists, addresses, runs, Path(scratch))
        _bulk(index, addresses, runs)
        _log(path, addresses, 1_000_000 if options.quick else options.lines)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=10_000_000, help="of the log; 0 for none (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer addresses, 10^6 lines: under a minute")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _imports(home: Path) -> list[Imported]:
    now, found = datetime.now(UTC), []
    for name, patterns in FILES.items():
        files = [max(home.glob(pattern)) for pattern in patterns]
        names = tuple(file.name for file in files)
        lists = Lists(name, tuple(file.read_bytes() for file in files), ", ".join(names), names)
        found.append(imported(lists, now, None, Accept()))
    return found


def _file(path: Path, lists: list[Imported], runs: int) -> None:
    show.heading("Index of all clouds")
    loading, index = _best(lambda: load(path), runs * 4)
    size, cells = path.stat().st_size, index.table.cells
    making, _ = _best(lambda: encoded(table_of(lists)), 1)
    rows = [
        ("prefixes", f"{sum(each.source.prefixes for each in lists):,}", f"{len(lists)} sources"),
        ("intervals", f"{len(cells[4].keys):,}", f"and {len(cells[6].keys):,} of IPv6"),
        ("on disk", f"{size / 1000:.0f} KB", f"< {SIZE // 1000} KB: {show.target(size, SIZE)}"),
        ("load", shown_time(loading), f"< 5 ms: {show.target(loading, LOAD_S)}"),
        ("make and write", shown_time(making), ""),
    ]
    show.table(("what", "", "target"), rows)


def _addresses(index: Index, count: int) -> list[str]:
    import numpy as np

    rng = np.random.default_rng(1)
    cells = index.table.cells[4]
    held = [place for place, hold in enumerate(cells.holds) if hold]
    starts = np.frombuffer(b"".join(cells.keys), ">u4").astype(np.int64)
    ends = np.append(starts[1:], 1 << 32)
    chosen = np.array(held)[rng.integers(0, len(held), count // 2)]
    inside = starts[chosen] + rng.integers(0, 1 << 62, len(chosen)) % (ends[chosen] - starts[chosen])
    numbers = np.concatenate([inside, rng.integers(0, 1 << 32, count - len(inside))])
    rng.shuffle(numbers)
    return [str(ip_address(int(number))) for number in numbers]


def _single(index: Index, lists: list[Imported], addresses: list[str], runs: int, home: Path) -> None:
    show.heading("Single lookups of IPv4 addresses as text, all clouds")
    labels = {
        prefix: f"{label.provider} {label.border_group or label.region or '-'}"
        for each in lists
        for prefix, label in each.labels.items()
        if prefix.family == 4
    }
    texts = {str(prefix): text for prefix, text in labels.items()}
    lookup = index.lookup
    ours = _rate(lambda: [lookup(address) for address in addresses], len(addresses), runs)
    objects = [ip_address(address) for address in addresses[:100_000]]
    rows: list[Row] = [
        ("keycheck", f"{ours / 1e6:.2f} M/s", "", f">= 2 M/s: {_reached(ours, SINGLE)}"),
        _row("keycheck, from ipaddress objects", lambda: [lookup(one) for one in objects], len(objects), runs, ours),
        _row("ipaddress, linear", _linear(texts, addresses[:20]), 20, 1, ours),
    ]
    rows += _netaddr(texts, addresses[:20_000], ours)
    rows += _pytricia(index, texts, addresses, runs, ours)
    rows += _maxminddb(index, labels, addresses, runs, ours, home)
    keys = index.table.cells[6].keys
    six = [str(ip_address(key)) for key in keys[1:]] * (1 + len(addresses) // 4 // len(keys))
    rows.append(_row("keycheck, IPv6", lambda: [lookup(address) for address in six], len(six), runs, None))
    show.table(("what", "rate", "keycheck is", "target"), rows)


def _linear(texts: dict[str, str], addresses: list[str]) -> Callable[[], object]:
    networks = [(ip_network(text), label) for text, label in texts.items()]

    def find() -> list[str | None]:
        found = []
        for text in addresses:
            address, best, length = ip_address(text), None, -1
            for network, label in networks:
                if network.prefixlen > length and address in network:
                    best, length = label, network.prefixlen
            found.append(best)
        return found

    return find


def _netaddr(texts: dict[str, str], addresses: list[str], ours: float) -> list[Row]:
    try:
        from netaddr import IPSet
    except ImportError:
        return [("netaddr", "not installed", "", "")]
    members = IPSet(texts)
    return [
        _row(
            "netaddr IPSet, membership alone", lambda: [each in members for each in addresses], len(addresses), 1, ours
        )
    ]


def _pytricia(index: Index, texts: dict[str, str], addresses: list[str], runs: int, ours: float) -> list[Row]:
    try:
        from pytricia import PyTricia
    except ImportError:
        return [("pytricia", "not installed", "", "")]
    tree = PyTricia(32)
    for text, label in texts.items():
        tree[text] = label
    get = tree.get
    _same(index, addresses, get)
    return [_row("pytricia (C)", lambda: [get(address) for address in addresses], len(addresses), runs, ours)]


def _maxminddb(
    index: Index, labels: dict[object, str], addresses: list[str], runs: int, ours: float, home: Path
) -> list[Row]:
    try:
        import maxminddb
    except ImportError:
        return [("maxminddb", "not installed", "", "")]
    path = home / "bench.mmdb"
    path.write_bytes(mmdb((prefix.value, prefix.length, label) for prefix, label in labels.items()))  # type: ignore[attr-defined]
    rows: list[Row] = []
    for mode, name in ((maxminddb.MODE_MMAP_EXT, "C"), (maxminddb.MODE_MEMORY, "pure Python")):
        try:
            reader = maxminddb.open_database(str(path), mode)
        except ValueError:
            rows.append((f"maxminddb ({name})", "built without it", "", ""))
            continue
        with reader:
            some, get = addresses if name == "C" else addresses[:20_000], reader.get
            _same(index, some, get)
            rows.append(_row(f"maxminddb ({name})", lambda: [get(each) for each in some], len(some), runs, ours))  # noqa: B023 - called here
    return [*rows, ("... its file", f"{path.stat().st_size / 1000:.0f} KB", "", "")]


def _same(index: Index, addresses: list[str], get: Callable[[str], object]) -> None:
    """Raises RuntimeError where a peer's answer is not among ours."""
    for address in addresses[:100_000]:
        ours = {f"{each.provider} {each.border_group or each.region or '-'}" for each in index.lookup(address)}
        theirs = get(address)
        if (theirs not in ours) if ours else theirs is not None:
            raise RuntimeError(f"{address}: {theirs} there, {sorted(ours)} here")


def _bulk(index: Index, addresses: list[str], runs: int) -> None:
    import numpy as np

    from probes.residency.ranges.bulk import Bulk

    show.heading("Bulk lookups of IPv4 addresses, all clouds")
    making, ready = _best(lambda: Bulk(index), 2)
    numbers = np.array([int(ip_address(address)) for address in addresses], np.uint32)
    several = np.tile(numbers, max(1, 4_000_000 // len(numbers)))
    np.random.default_rng(2).shuffle(several)
    integers = _rate(lambda: ready.find4(several), len(several), runs)
    starts = np.frombuffer(b"".join(index.table.cells[4].keys), ">u4").astype(np.uint32)
    search = _rate(lambda: np.searchsorted(starts, several, side="right"), len(several), 1)
    texts = _rate(lambda: ready.find(addresses), len(addresses), runs)
    rows = [
        ("integers", f"{integers / 1e6:.0f} M/s", f">= 50 M/s: {_reached(integers, INTEGERS)}"),
        ("... numpy.searchsorted alone", f"{search / 1e6:.0f} M/s", ""),
        ("texts", f"{texts / 1e6:.1f} M/s", f">= 4 M/s: {_reached(texts, TEXTS)}"),
        ("make ready", shown_time(making), ""),
    ]
    show.table(("what", "rate", "target"), rows)


def _log(path: Path, addresses: list[str], lines: int) -> None:
    if not lines:
        return
    show.heading("A flow log through a pipe, a line out for each line in")
    log = path.with_name("flow.log")
    held = min(lines, LOG_LINES)
    with log.open("w") as file:
        file.writelines(
            f"2 123456789010 eni-1235b8ca123456789 {addresses[number % len(addresses)]} 172.31.16.21 20641 22 6 20 "
            "4249 1418530010 1418530070 ACCEPT OK\n"
            for number in range(held)
        )
    with subprocess.Popen(["cat", *[str(log)] * (lines // held)], stdout=subprocess.PIPE) as feeding:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(path)],
            stdin=feeding.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    words = done.stderr.decode().split()
    if done.returncode or len(words) != 3:
        print(f"failed: {done.stderr.decode()[-500:]}")
        return
    seconds, peak, count = float(words[0]), int(words[1]) / 1024, int(words[2])
    row = (f"{count:,}", shown_time(seconds), f"{count / seconds / 1e6:.2f} M/s", f"{peak:.0f} MiB")
    show.table(
        ("lines", "time", "rate", "peak", "target"), [(*row, f"< {MEMORY_MIB} MiB: {show.target(peak, MEMORY_MIB)}")]
    )


def _child(path: Path) -> int:
    log, start = FlowLog(load(path), "csv"), time.perf_counter()
    with open(sys.stdin.fileno(), "rb", closefd=False) as stdin:
        log.run(stdin, sys.stdout.buffer)
    print(time.perf_counter() - start, high_water_kib() or 0, log.counts.lines, file=sys.stderr)
    return 0


def _row(name: str, work: Callable[[], object], count: int, runs: int, ours: float | None) -> Row:
    rate = _rate(work, count, runs)
    shown = f"{rate / 1e6:.2f} M/s" if rate > 1e5 else f"{rate:,.0f} /s"
    return name, shown, "" if ours is None else _ratio(ours / rate), ""


def _ratio(times: float) -> str:
    return f"{times:,.0f}x as fast" if times >= 10 else f"{times:.1f}x as fast"


def _reached(rate: float, least: float) -> str:
    return "met" if rate >= least else "MISSED"


def _rate(work: Callable[[], object], count: int, runs: int) -> float:
    return count / _best(work, runs)[0]


def _best(work: Callable[[], T], runs: int) -> tuple[float, T]:
    """Seconds of the quickest of several runs, after one that does not count; the last result."""
    result, times = work(), []
    for _ in range(runs):
        del result
        gc.collect()
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


if __name__ == "__main__":
    sys.exit(main())

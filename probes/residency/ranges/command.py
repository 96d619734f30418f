"""`keycheck ranges`: fetch, import, show and look up the address ranges that clouds publish."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from keycheck.errors import KeycheckError, UsageError
from keycheck.model.types import parse_instant
from keycheck.model.verdict import ExitCode
from keycheck.resolve import system_resolver

if TYPE_CHECKING:
    import ssl

    from probes.residency.ranges.index import Index
    from probes.residency.ranges.seam import Source
    from probes.residency.ranges.wording import Style

app = typer.Typer(
    name="ranges",
    help="Address ranges that clouds and edges publish: fetch, import, show, look up.",
    rich_markup_mode=None,
    add_completion=False,
)

IndexOption = Annotated[
    Path | None, typer.Option("--index", help="The index; default: ranges.index in the user's data directory.")
]
AcceptShrink = Annotated[
    bool, typer.Option("--accept-shrink", help="Take a list that has lost more than 30 % of its prefixes; recorded.")
]


@app.callback()
def ranges() -> None:
    """Address ranges that clouds and edges publish: fetch, import, show, look up."""


@app.command()
def update(
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="aws, gcp, azure, oci, cloudflare, fastly; default: all but azure."),
    ] = None,
    from_: Annotated[
        list[str] | None, typer.Option("--from", metavar="URL", help="Fetch one source from here, such as a mirror.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Trust these certificates (PEM) instead of the system's.")
    ] = None,
    index: IndexOption = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="The most time for one list.")] = 60.0,
    accept_shrink: AcceptShrink = False,
) -> int:
    """Fetch the lists that providers publish and put them into the index. Sends nothing but the requests.

    A source that could not be fetched or was refused stays as it was; the exit code is then 3.
    """
    from probes.residency.ranges.importing import Accept
    from probes.residency.ranges.reading import Web
    from probes.residency.ranges.updating import updates

    web = Web(_trust(ca), system_resolver, time.monotonic, seconds)
    path = _path(index)
    wanted = updates(tuple(source or ()), tuple(from_ or ()))
    missed = 0
    for one in wanted:
        try:
            made = one.run(path, web, datetime.now(UTC), Accept(shrink=accept_shrink))
        except KeycheckError as error:
            missed += 1
            sys.stderr.write(f"keycheck: {one.source} was not updated: {error}\n  → {error.advice}\n")
        else:
            _took(made, path)
    if not source:
        sys.stderr.write(
            "keycheck: azure was left out: its URL changes every week, see `keycheck ranges update --help`\n"
        )
    return int(ExitCode.INCOMPLETE if missed else ExitCode.MET)


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(help="aws, gcp, azure, oci, cloudflare, fastly or own:NAME.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The provider's list as it was downloaded.")],
    index: IndexOption = None,
    dated: Annotated[
        str | None, typer.Option("--dated", help="When the list was got, in UTC, where it has no date itself.")
    ] = None,
    accept_shrink: AcceptShrink = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Take private and reserved ranges; own:NAME only; recorded.")
    ] = False,
) -> int:
    """Put a list into the index, in place of the one of the same source. Nothing is taken over from a list that is
    damaged, has a default route in it, or has shrunk suddenly."""
    from probes.residency.ranges.importing import Accept, Lists, imported
    from probes.residency.ranges.reading import read_list
    from probes.residency.ranges.store import put

    now = datetime.now(UTC)
    lists = Lists(
        source,
        tuple(map(read_list, files)),
        ", ".join(path.name for path in files),
        names=tuple(path.name for path in files),
        stated=_stated(dated, now),
    )
    accept = Accept(shrink=accept_shrink, private=allow_private)
    path = _path(index)
    made = put(path, lambda there: imported(lists, now, there.get(source), accept))
    _took(made, path)
    return int(ExitCode.MET)


@app.command()
def show(
    index: IndexOption = None,
    style: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> int:
    """Show what the index was made from: dates, ages, digests, counts."""
    from probes.residency.ranges.store import load
    from probes.residency.ranges.wording import sources_json, sources_text

    _one_of(style, ("text", "json"))
    write = sources_json if style == "json" else sources_text
    sys.stdout.write(write(load(_path(index)).sources(), datetime.now(UTC)))
    return int(ExitCode.MET)


@app.command()
def lookup(
    addresses: Annotated[list[str] | None, typer.Argument(metavar="ADDRESS...", help="IPv4 or IPv6.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read a log instead, and write a line for each of its lines.")
    ] = False,
    column: Annotated[
        int | None, typer.Option("--column", min=1, max=1000, help="Column of the log; default: its first address.")
    ] = None,
    index: IndexOption = None,
    style: Annotated[str, typer.Option("--format", help="text, json (an object a line) or csv.")] = "text",
) -> int:
    """Say what each source holds an address for. Addresses that no source holds may be anywhere.

    With --stdin, lines without an address are marked, counted, and end with exit code 3.
    """
    from probes.residency.ranges.store import load
    from probes.residency.ranges.wording import CSV_HEADER, Style, frame

    _one_of(style, get_args(Style))
    chosen = cast(Style, style)
    if stdin == bool(addresses) or (column is not None and not stdin):
        raise UsageError("name addresses, or a log with --stdin", advice="`keycheck ranges lookup --help`")
    ranges = load(_path(index))
    if stdin:
        return _log(ranges, chosen, column)
    answers = [(address, ranges.lookup(address)) for address in addresses or ()]
    if chosen == "csv":
        sys.stdout.write(CSV_HEADER + "\n")
    for address, answer in answers:
        before, after = frame(answer, chosen)
        sys.stdout.write(f"{before}{address}{after}\n")
    return int(ExitCode.MET)


def _log(ranges: Index, style: Style, column: int | None) -> int:
    from probes.residency.ranges.flow import FlowLog

    sys.stdout.flush()
    log = FlowLog(ranges, style, column)
    with open(sys.stdin.fileno(), "rb", closefd=False) as stdin:
        log.run(stdin, sys.stdout.buffer)
    counts, where = log.counts, "no column with addresses: name it with --column, or cut it out (`jq -r .dstaddr`)"
    if log.column is not None:
        where = f"addresses in column {log.column.number}"
    sys.stderr.write(
        f"keycheck: {counts.lines:,} lines, {where}; "
        f"{counts.no_source:,} in no source, {counts.malformed:,} without an address\n"
    )
    return int(ExitCode.INCOMPLETE if counts.malformed else ExitCode.MET)


def _took(made: Source, path: Path) -> None:
    sys.stdout.write(f"{made.name}: {made.prefixes:,} prefixes from {made.rows:,} rows, now in {path}\n")


def _trust(ca: Path | None) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca}: no certificates in PEM", advice="name a file of trusted certificates") from error


def _path(index: Path | None) -> Path:
    from probes.residency.ranges.store import default_path

    return default_path(os.environ) if index is None else index


def _one_of(style: str, styles: tuple[str, ...]) -> None:
    if style not in styles:
        raise UsageError(f"there is no format {style!r}", advice=f"one of {', '.join(styles)}")


def _stated(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        found = parse_instant(text)
    except ValueError as error:
        raise UsageError(f"--dated {text!r} is no moment", advice="write UTC, as in 2026-11-22T10:00:00Z") from error
    if found > now:
        raise UsageError(f"--dated {text} is in the future", advice="write when the list was got")
    return found

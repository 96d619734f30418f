"""`keycheck lab`: the practice vendor."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.model.verdict import ExitCode

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="A practice vendor on loopback, with switchable defects. Needs no network and no root.",
)


def _complete(incomplete: str) -> list[str]:
    from keycheck.lab.defects import DEFECTS

    return [defect.id for defect in DEFECTS if defect.id.startswith(incomplete)]


Defects = Annotated[
    list[str] | None,
    typer.Option("--defect", "-d", help="A defect, or DEFECT@SUBJECT; repeatable.", autocompletion=_complete),
]


@app.command("defects")
def defects() -> int:
    """Every defect, the clause it must break, and what a run must show."""
    from keycheck.lab.defects import DEFECTS

    width = max(len(defect.clause) for defect in DEFECTS)
    for defect in DEFECTS:
        typer.echo(f"{defect.id:<27} {defect.clause or 'honest':<{width}} {defect.at:<10} {defect.title}")
        promises = ", ".join(f"{control} {verdict}" for control, verdict in sorted(defect.promises))
        typer.echo(f"    → {promises or 'nothing: an honest vendor that looks odd'}")
    return int(ExitCode.MET)


@app.command("up")
def up(
    defect: Defects = None,
    home: Annotated[Path | None, typer.Option("--home", help="Directory for keys and files.")] = None,
    fleet: Annotated[int, typer.Option("--fleet", help="That many plain endpoints more.")] = 0,
    round_trip_ms: Annotated[float, typer.Option("--round-trip-ms", help="Emulate a slow path.")] = 0.0,
    section: Annotated[
        list[str] | None,
        typer.Option(
            "--section",
            help="Serve only: endpoints, keys, drills, datasets, residency; repeatable. All but residency without it.",
        ),
    ] = None,
) -> int:
    """Serve the practice vendor until Ctrl-C, and print the command that checks it."""
    from keycheck.cli.run import interruptible
    from keycheck.lab.data_sites import EXPORTS
    from keycheck.lab.paperwork import write_papers
    from keycheck.lab.residency_papers import RESIDENCY_SECTIONS
    from keycheck.lab.world import Lab

    where = home or Path(mkdtemp(prefix="keycheck-lab-"))
    with (
        interruptible() as stop,
        Lab(where, defect or [], sections=_sections(section), fleet=fleet, round_trip_ms=round_trip_ms) as lab,
    ):
        papers = write_papers(lab, common.utc_now())
        for endpoint in lab.endpoints[:20]:
            common.note(f"{endpoint.id:<14} {endpoint.url:<44} {', '.join(endpoint.addresses)}")
        for name in ("endpoints", *RESIDENCY_SECTIONS) if lab.residency else ():
            placed = lab.residency.section(name) if lab.residency else ()
            common.note(f"{name:<14} {', '.join(str(entry['id']) for entry in placed)}")
        for key in lab.clouds.keys if lab.clouds else ():
            common.note(f"{key.id:<14} {key.resource}")
        for data in lab.data_sets:
            common.note(f"{data.id:<18} {lab.home / EXPORTS / data.id}")
        common.note("check it, in another terminal:")
        typer.echo(
            f"keycheck run {papers.deployment} --profile {papers.profile} --authorization {papers.authorization} "
            f"--key {papers.signer}"
        )
        while not stop.is_set():
            time.sleep(0.1)
    return int(ExitCode.MET)


def _sections(named: list[str] | None) -> frozenset[str]:
    from keycheck.lab.errors import LabError
    from keycheck.lab.residency_parts import RESIDENCY
    from keycheck.lab.world import SECTIONS

    known = SECTIONS | {RESIDENCY}
    if strays := sorted({*(named or ())} - known):
        raise LabError(f"the lab has no section {strays[0]!r}", advice=f"use one of {', '.join(sorted(known))}")
    return frozenset(named or SECTIONS)


@app.command("matrix")
def matrix(
    defect: Annotated[list[str] | None, typer.Argument(help="Only these.", autocompletion=_complete)] = None,
) -> int:
    """Run every defect and print what was expected and what was seen; exit 1 when a row does not hold."""
    from keycheck.lab.defects import find
    from keycheck.lab.matrix import clean_for, false_alarms, named, rows
    from keycheck.registry import load_registry

    chosen = named(defect or [])
    registry = load_registry()
    clean = clean_for([find(name.partition("@")[0]) for name in chosen], registry)
    alarms = false_alarms(clean)
    typer.echo(f"{'clean':<26} {'ok' if not alarms else 'FALSE ALARM':<6} {len(clean)} findings pass or do not apply")
    for subject, control, verdict in sorted(alarms):
        typer.echo(f"{'':<26} {'':<6} ! {subject} {control} {verdict}")
    broken = bool(alarms)
    for row in rows(chosen, clean, registry):
        broken |= not row.holds
        typer.echo(f"{row.defect.id:<26} {'ok' if row.holds else 'BROKEN':<6} {_words(row.seen)}")
        if missing := row.expected - row.seen:
            typer.echo(f"{'':<26} {'':<6} ! missing: {_words(missing)}")
        if extra := row.seen - row.expected:
            typer.echo(f"{'':<26} {'':<6} ! not promised: {_words(extra)}")
        for subject, control, verdict in sorted(row.elsewhere):
            typer.echo(f"{'':<26} {'':<6} ! false alarm: {subject} {control} {verdict}")
    return int(ExitCode.CLAUSE_FAILS if broken else ExitCode.MET)


def _words(pairs: frozenset[tuple[str, str]]) -> str:
    by_verdict: dict[str, list[str]] = {}
    for control, verdict in sorted(pairs):
        by_verdict.setdefault(verdict, []).append(control)
    return "; ".join(f"{verdict}: {', '.join(controls)}" for verdict, controls in by_verdict.items()) or "nothing"

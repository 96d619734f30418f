"""`keycheck run`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from keycheck.cli import common
from keycheck.model.verdict import ExitCode, Tier

if TYPE_CHECKING:
    from keycheck.model.profile import Profile as ProfileModel
    from keycheck.registry import Registry
    from keycheck.session import Outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Deployment = Annotated[Path, typer.Argument(help="The deployment file: what the vendor runs.")]
Profile = Annotated[str, typer.Option("--profile", "-p", help="A shipped profile's name, or a path.")]
Authorization = Annotated[
    Path | None, typer.Option("--authorization", "-a", help="A signed authorization; without it only ordinary reads.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Glob over subjects, clauses and controls; the rest stays expected: not-tested."),
]
Waivers = Annotated[list[Path] | None, typer.Option("--waivers", "-w", help="A signed waiver; repeatable.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Judge for this moment (UTC); default: the end of the run.")]


class Gate(StrEnum):
    """The tiers that `--fail-on` may name: it may only tighten."""

    STRONGLY_PREFERRED = "strongly-preferred"
    NICE_TO_HAVE = "nice-to-have"


FailOn = Annotated[Gate, typer.Option("--fail-on", help="Lowest tier whose failures gate the exit code.")]
Outputs = Annotated[
    list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=PATH]", help="table or json; repeatable.")
]
EngineName = Annotated[
    str,
    typer.Option("--engine", help="Where bulk data is scanned: processes[:N], threads, dask[:N], dask://HOST:PORT."),
]
KeyFile = Annotated[Path | None, typer.Option("--key", "-k", help="The key that signs; default: `keycheck key new`'s.")]
Passphrase = Annotated[
    str | None, typer.Option("--passphrase", help="Where the key's passphrase is: env:NAME or file:PATH.")
]


@app.command()
def run(
    ctx: typer.Context,
    deployment: Deployment,
    profile: Profile,
    out: Annotated[Path, typer.Option("--out", help="Directory for the bundle.")] = Path("keycheck-runs"),
    only: Only = None,
    output: Outputs = None,
    fail_on: FailOn = Gate.STRONGLY_PREFERRED,
    waivers: Waivers = None,
    authorization: Authorization = None,
    as_of: AsOf = None,
    drills: Annotated[
        bool, typer.Option("--drills", help="Do the drills too: they take keys from canaries for a moment.")
    ] = False,
    irreversible: Annotated[
        bool, typer.Option("--irreversible", help="With --drills: also those that cannot be undone (rotations).")
    ] = False,
    engine: EngineName = "processes",
    key: KeyFile = None,
    passphrase: Passphrase = None,
) -> int:
    """Observe a deployment, judge it against a profile, and sign the evidence.

    The result goes to stdout, everything else to stderr. Ctrl-C ends cleanly: what was seen is kept and the rest
    is marked interrupted.
    """
    from keycheck.cli.progress import Progress
    from keycheck.engines import engine as workers_of
    from keycheck.model.drill import Wish
    from keycheck.registry import load_registry
    from keycheck.session import Request, prepare, run_contract

    wanted = common.outputs(output or [])
    signer = common.signing_key(key, passphrase)
    registry = load_registry()
    request = Request(
        deployment=deployment,
        profile=profile,
        only=tuple(only or ()),
        waivers=tuple(waivers or ()),
        authorization=authorization,
        as_of=common.instant(as_of, "--as-of"),
        fail_on=Tier(fail_on.value),
        drills=Wish(confirmed=irreversible) if drills else None,
    )
    prepared = prepare(request, registry)
    for remark in prepared.remarks:
        common.note(f"keycheck: {remark}")
    with workers_of(engine) as workers, interruptible() as stop:
        world = common.real_world(common.environment_of(ctx), workers)
        outcome = run_contract(prepared, registry, world, out, signer, Progress(), stop, common.note)
    return told(outcome, prepared.profile.profile, registry, wanted, key)


def told(
    outcome: Outcome, profile: ProfileModel, registry: Registry, wanted: Sequence[common.Output], key: Path | None
) -> int:
    """Say how a run ended, deliver what was asked for, and give its exit code."""
    from keycheck.cli.show import MEANING, assessment_text, caveats_of

    for remark in outcome.remarks:
        common.note(f"keycheck: {remark}")
    common.note(f"bundle: {outcome.bundle.path}")
    common.note(f"verify: keycheck verify {outcome.bundle.path} --key {signer_hint(key)}")
    for each in wanted:
        text = (
            outcome.assessment_json + b"\n"
            if each.format == "json"
            else assessment_text(
                outcome.assessment, profile, sys.stdout, caveats_of(outcome.assessment, registry)
            ).encode()
        )
        common.deliver(each, text)
    for line in outcome.locked:
        common.note(f"keycheck: {line}")
    common.by_hand(outcome.unrestored)
    common.note(f"exit {int(outcome.exit_code)}: {MEANING[ExitCode(outcome.exit_code)]}")
    return int(outcome.exit_code)


def signer_hint(key: Path | None) -> Path:
    """Where the public half of the signing key is."""
    where = key or common.default_key()
    return where.with_name(where.name + ".pub")


@contextmanager
def interruptible() -> Iterator[Event]:
    """SIGINT and SIGTERM set the event; a second one ends at once."""
    stop = Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            common.note("keycheck: left; what drills still owe: `keycheck drill status`")
            raise KeyboardInterrupt
        stop.set()
        common.note("\nkeycheck: interrupted: finishing what is under way (again: leave at once)")

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

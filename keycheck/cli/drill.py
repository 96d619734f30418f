"""`keycheck drill`: changing the world on purpose, and putting it back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from keycheck.cli import common
from keycheck.cli.drilling import revoke, rotate, settle
from keycheck.cli.lazy import plugin_command
from keycheck.cli.run import interruptible
from keycheck.errors import UsageError
from keycheck.model.verdict import ExitCode
from keycheck.registry import load_registry

if TYPE_CHECKING:
    from keycheck.drill.records import Record


class _Plugged(TyperGroup):
    """Our verbs, and those that areas bring (`keycheck.drill`)."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *load_registry().names("keycheck.drill")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or plugin_command(cmd_name, "keycheck.drill")


app = typer.Typer(
    cls=_Plugged,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Take a key away for a moment, watch who can still read, put it back, and prove that it is back.",
)

app.command("revoke")(revoke)
app.command("rotate")(rotate)
app.command("settle")(settle)

Machine = Annotated[bool, typer.Option("--json", help="For tools.")]


@app.command("status")
def status(machine: Machine = False) -> int:
    """Every drill of this account on this machine, and what it still owes. Exit 6 when something is owed that nobody is
    putting back."""
    from keycheck.drill.home import default_home
    from keycheck.drill.phases import Phase
    from keycheck.drill.status import status as drills

    home = default_home(os.environ)
    found = drills(home, common.utc_now)
    owed = [each for each in found if each.phase is not Phase.CLOSED and not each.running]
    if machine:
        typer.echo(
            json.dumps(
                [
                    {
                        "drill": each.drill,
                        "phase": each.phase.value if each.phase else "unreadable",
                        "running": each.running,
                        "subject": each.subject,
                        "overdue": each.overdue,
                        "words": each.words,
                        "by_hand": list(each.by_hand),
                    }
                    for each in found
                ]
            )
        )
        return int(ExitCode.NOT_RESTORED if owed else ExitCode.MET)
    for each in found:
        late = " OVERDUE" if each.overdue else ""
        running = " running" if each.running else ""
        phase = each.phase.value if each.phase else "unreadable"
        typer.echo(f"{each.drill}  {phase}{running}{late}  {each.kind} {each.subject}  {each.words}")
        for line in each.by_hand:
            typer.echo(f"    by hand: {line}")
    if not found:
        typer.echo("no drills")
    if why := home.halted():
        typer.echo(f"halted: {why}; `keycheck drill halt --release` lets new ones start")
    return int(ExitCode.NOT_RESTORED if owed else ExitCode.MET)


@app.command("recover")
def recover(
    drill: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    scan: Annotated[
        Path | None, typer.Option("--scan", metavar="DEPLOYMENT", help="Look in the clouds, without any journal.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="With --scan: take away what is surely ours and over.")
    ] = False,
    machine: Machine = False,
) -> int:
    """Put back what an ended or killed drill left behind. May be run any number of times. Exit 6: not proved.

    --scan shows what drills left in the clouds of a deployment, also of drills whose journal is lost or elsewhere. What
    is to be taken away before its deadline must be named: recover DRILL --scan DEPLOYMENT --apply.
    """
    from keycheck.drill.home import default_home
    from keycheck.drill.recover import Means, recover_all
    from keycheck.drill.recover import recover as recover_one

    if apply and scan is None:
        raise UsageError("--apply is for --scan", advice="say where to look: --scan DEPLOYMENT --apply")
    if scan is not None:
        return _scanned(scan, drill, apply=apply, machine=machine)
    home = default_home(os.environ)
    with interruptible() as stop:
        means = Means(load_registry(), {}, give_up=stop.is_set, watch=_found)
        done = (recover_one(home, drill, means),) if drill else recover_all(home, means)
    for each in done:
        typer.echo(f"{each.drill}  {each.result}  {each.words}")
        for line in each.by_hand:
            typer.echo(f"    by hand: {line}")
    if not done:
        typer.echo("nothing to recover")
    codes = {each.exit_code for each in done}
    first = (code for code in (ExitCode.NOT_RESTORED, ExitCode.LOCKED) if code in codes)
    return int(next(first, ExitCode.MET))


def _found(record: Record) -> None:
    """How the world stands while it is put back, for whoever waits."""
    if record.type == "found":
        common.note(f"  {record.where}: {record.words}")


def _scanned(file: Path, drill: str | None, *, apply: bool, machine: bool) -> int:
    from keycheck.drill.home import default_home
    from keycheck.drill.recover import Means
    from keycheck.drill.scan import scan
    from keycheck.files.deployment import load_deployment

    registry = load_registry()
    deployment = load_deployment(file, registry).deployment
    found = scan(deployment, file, default_home(os.environ), Means(registry, {}), apply=apply, drill=drill)
    if machine:
        typer.echo(json.dumps(found.record()))
    else:
        for line in found.lines():
            typer.echo(line)
    return int(found.exit_code)


@app.command("dismiss")
def dismiss(
    drill: Annotated[str, typer.Argument(help="The drill, as `status` names it.")],
    why: Annotated[str, typer.Argument(help="Who looked, and what is as it should be.")],
) -> int:
    """Close a drill on a person's word: nothing is looked at, and nothing is proved."""
    from keycheck.drill.home import default_home
    from keycheck.drill.recover import dismiss as close

    closed = close(default_home(os.environ), drill, why, common.utc_now)
    typer.echo(f"{drill} {'dismissed' if closed else 'was closed already'}")
    return int(ExitCode.MET)


@app.command("halt")
def halt(
    why: Annotated[str, typer.Argument(help="Words for whoever finds the lever pulled.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Let drills start again.")] = False,
) -> int:
    """Pull the lever: running drills restore at once, and none starts until it is released."""
    from keycheck.drill.home import default_home

    home = default_home(os.environ)
    if release:
        home.release()
        typer.echo("released")
        return int(ExitCode.MET)
    home.halt(why or "halted by hand")
    typer.echo("halted: running drills restore now; `keycheck drill halt --release` lets new ones start")
    return int(ExitCode.MET)

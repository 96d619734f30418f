"""`keycheck plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.cli.run import Authorization, Deployment, Only, Profile
from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def plan(
    ctx: typer.Context,
    deployment: Deployment,
    profile: Profile,
    only: Only = None,
    authorization: Authorization = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=PATH]", help="table or json; repeatable.")
    ] = None,
) -> int:
    """Show what a run would touch, from where, with which credential, how long it may take and what it costs.

    Touches nothing: no name is resolved and no connection is made.
    """
    from keycheck.forecast import forecast, forecast_json, forecast_text
    from keycheck.registry import load_registry
    from keycheck.session import Request, prepare

    wanted = common.outputs(output or [])
    registry = load_registry()
    request = Request(deployment, profile, only=tuple(only or ()), authorization=authorization)
    foreseen = forecast(prepare(request, registry), common.real_world(common.environment_of(ctx)))
    for each in wanted:
        common.deliver(each, forecast_json(foreseen) if each.format == "json" else forecast_text(foreseen).encode())
    return int(ExitCode.MET)

"""`keycheck canary`: plant values at the vendor's front door, find them in its exports, take them away again."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from keycheck.errors import DeploymentError, ProbeError, UsageError
from keycheck.files.authorization import Denied, covers
from keycheck.files.deployment import LoadedDeployment, load_deployment
from keycheck.files.profile import load_profile
from keycheck.model.authorization import Technique
from keycheck.model.deployment import Vantage
from keycheck.model.verdict import ExitCode
from keycheck.registry import Registry, load_registry
from keycheck.resolve import system_resolver
from keycheck.session import Request, grant_for
from probes.fields.canaries import CanaryFile, load_canaries
from probes.fields.canary_front import Front, Outside
from probes.fields.canary_plan import CanaryPlan, load_plan
from probes.fields.canary_plant import Story, plant, remove, summary
from probes.fields.subjects import Dataset

if TYPE_CHECKING:
    from probes.fields.canary_locate import Located

app = typer.Typer(
    name="canary", help="Plant values, find them in exports, remove them.", rich_markup_mode=None, add_completion=False
)
SECTION = "datasets"

Deployment = Annotated[Path, typer.Argument(help="The deployment file.")]
Plan = Annotated[Path, typer.Option("--plan", help="The plan: requests that make, show and remove a record.")]
Canaries = Annotated[Path, typer.Option("--canaries", "-c", help="The file of planted canaries.")]
VantageName = Annotated[str | None, typer.Option("--vantage", help="Where from; default: the deployment's first.")]


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


@app.callback()
def canary() -> None:
    """Plant values, find them in exports, remove them."""


@app.command("plant")
def plant_command(
    deployment: Deployment,
    plan: Plan,
    canaries: Canaries,
    profile: Annotated[str, typer.Option("--profile", "-p", help="Whose approvers may sign the authorization.")],
    authorization: Annotated[
        Path, typer.Option("--authorization", "-a", help="Signed, with the technique canary-write for the data set.")
    ],
    times: Annotated[int, typer.Option("--times", "-n", min=1, max=100, help="Records with canaries.")] = 5,
    apart: Annotated[
        int, typer.Option("--apart", min=0, max=3600, help="Seconds between records, to twice as many by chance.")
    ] = 0,
    vantage: VantageName = None,
) -> int:
    """Write records with canaries through the vendor's front door under a test account.

    As many records without anything sensitive are written beside them: the difference is the cost of encryption. What
    was written stands in the file CANARIES, with mode 0600. Under keys of Google Cloud give --apart 30 or more, as only
    the moments of calls can tie canaries there. Exit 0: all planted and read back; 3: not all.
    """
    registry = load_registry()
    loaded = load_deployment(deployment, registry)
    wish, plan_bytes = load_plan(plan)
    _dataset(loaded, registry, wish.dataset)
    where = _vantage(loaded, vantage)
    request = Request(deployment, profile, authorization=authorization)
    until = _authorized(request, loaded, registry, wish.dataset, where)
    front = Front(wish, _outside(plan, deployment, where))
    with _interruptible() as stop:
        try:
            story = plant(
                wish,
                front,
                canaries,
                deployment=loaded.deployment.deployment,
                plan_bytes=plan_bytes,
                times=times,
                clock=lambda: datetime.now(UTC),
                entropy=secrets.token_bytes,
                stopped=lambda: stop.is_set() or datetime.now(UTC) >= until,
                apart=apart,
                wait=stop.wait,
            )
        except FileExistsError:
            raise UsageError(
                f"{canaries} is there already", advice="name another file, or `keycheck canary remove` what it tells of"
            ) from None
    return _told(story, f"canaries: {canaries}")


@app.command("remove")
def remove_command(
    deployment: Deployment,
    plan: Plan,
    canaries: Canaries,
    vantage: VantageName = None,
    mended: Annotated[
        bool, typer.Option("--mended-plan", help="The plan was corrected since the planting: use it all the same.")
    ] = False,
) -> int:
    """Delete what was planted, also half-way, and prove it by reading: the vendor must know the records no more.

    Putting back needs no authorization: only records that the file tells of are deleted. Exit 3: not all are gone.
    """
    loaded = load_deployment(deployment, load_registry())
    wish, plan_bytes = load_plan(plan)
    file = _loaded(canaries)
    if file.deployment != loaded.deployment.deployment or file.plan != wish.canary_plan:
        raise UsageError(
            f"{canaries} was planted at {file.deployment} with the plan {file.plan}", advice="give these two files"
        )
    if not mended and file.plan_sha256 != hashlib.sha256(plan_bytes).hexdigest():
        raise UsageError(
            f"{plan} changed since it planted {canaries}",
            advice="give the file as it was, or say --mended-plan where its requests had to be corrected",
        )
    front = Front(wish, _outside(plan, deployment, _vantage(loaded, vantage)))
    return _told(remove(wish, front, canaries, file), "removed; keep the file while exports are looked through")


@app.command("locate")
def locate_command(
    deployment: Deployment,
    dataset: Annotated[str, typer.Argument(help="Id of the data set whose export is looked through.")],
    canaries: Annotated[
        Path | None, typer.Option("--canaries", "-c", help="The file of canaries; default: the data set's own.")
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json")] = Output.TEXT,
) -> int:
    """Say in which rows of an export the canaries lie, and where their values stand in the clear.

    Exit 0: every canary's row is there and no value is in the clear; 3: some is not, or something could not be read.
    """
    from probes.fields.canary_locate import locate
    from probes.fields.read.export import open_export

    registry = load_registry()
    loaded = load_deployment(deployment, registry)
    subject = _dataset(loaded, registry, dataset)
    base = deployment.resolve().parent
    where = canaries if canaries is not None else (base / subject.canaries if subject.canaries else None)
    if where is None:
        raise UsageError(f"the data set {dataset} names no file of canaries", advice="name one with --canaries")
    file = _loaded(where)
    if file.dataset != dataset:
        raise UsageError(
            f"{where} was planted for the data set {file.dataset}, not for {dataset}", advice="give the other's file"
        )
    try:
        export = open_export(subject, base, loaded.deployment.identities, os.environ)
        found = locate(export, file.sought())
    except ProbeError as error:
        raise UsageError(f"the export cannot be looked through: {error}", advice="check its place and rights") from None
    sys.stdout.write(_json(found) if output is Output.JSON else _text(found))
    clear = any(each.clear for each in found.canaries)
    return int(ExitCode.MET if found.all_there and not clear else ExitCode.INCOMPLETE)


@app.command("schema")
def schema_command() -> int:
    """Print the JSON Schema of a plan of canaries, for editors."""
    sys.stdout.write(json.dumps(CanaryPlan.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n")
    return int(ExitCode.MET)


def _authorized(
    request: Request, loaded: LoadedDeployment, registry: Registry, dataset: str, vantage: Vantage
) -> datetime:
    """When the authorization ends that covers this data set, source and moment. Raises DeploymentError where none
    does, ProfileError, UsageError."""
    given = grant_for(request, load_profile(request.profile, registry), loaded)
    if given is None:
        raise UsageError("planting writes at the vendor", advice="give a signed authorization with -a")
    answer = covers(
        given.authorization, f"{SECTION}/{dataset}", Technique.CANARY_WRITE, vantage.egress, datetime.now(UTC)
    )
    if isinstance(answer, Denied):
        raise DeploymentError(
            f"the authorization does not cover planting at {SECTION}/{dataset}: {answer.why}",
            advice="have one signed with the technique canary-write for this data set, source address and time",
        )
    return answer.until


def _dataset(loaded: LoadedDeployment, registry: Registry, name: str) -> Dataset:
    for entry in loaded.deployment.in_section(SECTION):
        if entry.id == f"{SECTION}/{name}":
            return Dataset.model_validate(entry.body.parsed())
    known = ", ".join(entry.id.partition("/")[2] for entry in loaded.deployment.in_section(SECTION)) or "none"
    raise UsageError(f"the deployment has no data set {name!r}", advice=f"it has: {known}")


def _vantage(loaded: LoadedDeployment, name: str | None) -> Vantage:
    for vantage in loaded.deployment.vantages:
        if name in (None, vantage.id) and vantage.worker == "local":
            return vantage
    raise UsageError(
        f"the deployment has no vantage {name or ''} on this machine",
        advice=f"it has: {', '.join(vantage.id for vantage in loaded.deployment.vantages)}",
    )


def _outside(plan: Path, deployment: Path, vantage: Vantage) -> Outside:
    return Outside(
        system_resolver,
        time.monotonic,
        os.environ,
        plan.resolve().parent,
        vantage,
        deployment.resolve().parent,
    )


def _loaded(path: Path) -> CanaryFile:
    try:
        return load_canaries(path)
    except ProbeError as error:
        raise UsageError(str(error), advice="name the file that `keycheck canary plant` wrote") from None


def _told(story: Story, last: str) -> int:
    for line in summary(story.file):
        sys.stdout.write(f"{line}\n")
    for trouble in story.troubles:
        typer.echo(f"keycheck: {trouble}", err=True)
    typer.echo(f"NOT DONE for {len(story.troubles)} of them, see above" if story.troubles else last, err=True)
    return int(ExitCode.INCOMPLETE if story.troubles else ExitCode.MET)


def _text(found: Located) -> str:
    lines: list[str] = []
    for each in found.canaries:
        lines.append(f"{each.id}  {each.column}: {', '.join(each.rows) or 'its row is not in the export'}")
        lines += [f"  IN THE CLEAR as {spelling} in {column} at {where}" for column, spelling, where in each.clear]
    lines += [f"not looked through: {each.why} ({', '.join(each.places)})" for each in found.left_out]
    return "\n".join(lines) + "\n"


def _json(found: Located) -> str:
    record = {
        "schema": "keycheck.dev/canaries-located/1",
        "all_there": found.all_there,
        "canaries": [
            {
                "id": each.id,
                "column": each.column,
                "rows": list(each.rows),
                "clear": [{"in": column, "as": spelling, "at": where} for column, spelling, where in each.clear],
            }
            for each in found.canaries
        ],
        "left_out": [{"why": each.why, "rows": each.rows, "places": list(each.places)} for each in found.left_out],
    }
    return json.dumps(record, indent=2) + "\n"


@contextmanager
def _interruptible() -> Iterator[Event]:
    """Ctrl-C ends planting after the record under way; a second one at once."""
    stop = Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

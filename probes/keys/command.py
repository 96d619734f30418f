"""`keycheck permissions`: what the identities of a deployment must be allowed, and nothing more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keycheck.canonical import Jsonable, dumps
from keycheck.errors import UsageError
from keycheck.model.authorization import Technique
from keycheck.model.drill import DrillProbe
from keycheck.model.verdict import ExitCode
from keycheck.plan import Impossible, Task, selected
from keycheck.registry import load_registry
from keycheck.session import Prepared, Request, prepare
from probes.keys.aspects import asked_for
from probes.keys.log import LOG, LogProbe
from probes.keys.observe import LOG_ONLY, KeyProbe
from probes.keys.permissions import Need, Paper, papers
from probes.keys.subjects import Key

app = typer.Typer(name="permissions", rich_markup_mode=None, add_completion=False)


class Provider(StrEnum):
    """Which cloud."""

    AWS = "aws"
    GCP = "gcp"


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


@app.command()
def permissions(
    deployment: Annotated[Path, typer.Argument(help="The deployment file.")],
    profile: Annotated[str, typer.Option("--profile", "-p", help="A shipped profile's name, or a path.")],
    provider: Annotated[Provider | None, typer.Option("--provider", help="Only this cloud.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="As for `keycheck plan`.")] = None,
    drills: Annotated[
        bool, typer.Option("--drills", help="What drills need, and nothing of what looking needs.")
    ] = False,
    technique: Annotated[
        Technique, typer.Option("--technique", help="How far the drills go; with --drills.")
    ] = Technique.DRILL,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json")] = Output.TEXT,
) -> int:
    """Print the least-privilege policy that the plan needs, for each identity. Touches nothing.

    With --drills: what taking a key away and putting it back needs, for the canary alone or for a wider --technique.
    """
    if technique is not Technique.DRILL and not drills:
        raise UsageError("--technique says how far drills go", advice="give --drills too")
    prepared = prepare(Request(deployment, profile, only=tuple(only or ())), load_registry())
    every = (
        _drilled(prepared, technique)
        if drills
        else (*papers(needs(prepared)), *_datasets(prepared), *_stores(prepared))
    )
    found = [paper for paper in every if provider is None or paper.provider == provider]
    if not found:
        raise UsageError(
            "the plan asks no cloud for anything",
            advice="declare `keys:`, `datasets:` or `stores:` in the deployment and demand controls about them in the "
            "profile; see `keycheck plan`",
        )
    sys.stdout.write(_json(found) if output is Output.JSON else _text(found))
    return int(ExitCode.MET)


def needs(prepared: Prepared) -> Iterator[Need]:
    """Who asks what of which key under this plan. A log's census is taken by the identity that inspects."""
    for task in prepared.tasks:
        if isinstance(task, Impossible) or not selected(task, prepared.bindings, prepared.request.only):
            continue
        yield from _of(task)


def _datasets(prepared: Prepared) -> Iterator[Paper]:
    """What opening samples and reading buckets needs. Each data set is there once."""
    from probes.fields.permissions import dataset_papers
    from probes.fields.subjects import Dataset

    found: dict[str, Dataset] = {}
    for task in prepared.tasks:
        if isinstance(task, Impossible) or not selected(task, prepared.bindings, prepared.request.only):
            continue
        if isinstance(task.subject, Dataset):
            found.setdefault(task.entry.id, task.subject)
    return dataset_papers(found.values(), prepared.deployment.deployment.subjects)


def _stores(prepared: Prepared) -> Iterator[Paper]:
    """What reading where stores and models are needs. Each is there once."""
    from probes.residency.gcp.permissions import reading_papers as google
    from probes.residency.permissions import reading_papers as amazon
    from probes.residency.subjects import Inference, Store

    stores: dict[str, Store] = {}
    models: dict[str, Inference] = {}
    for task in prepared.tasks:
        if isinstance(task, Impossible) or not selected(task, prepared.bindings, prepared.request.only):
            continue
        if isinstance(task.subject, Store):
            stores.setdefault(task.entry.id, task.subject)
        elif isinstance(task.subject, Inference):
            models.setdefault(task.entry.id, task.subject)
    yield from amazon(stores.values(), models.values())
    yield from google(stores.values(), models.values())


def _drilled(prepared: Prepared, technique: Technique) -> Iterator[Paper]:
    """What the drills of this plan need. A key is there once, however many drills are demanded of it."""
    from probes.keys.drill_permissions import drill_papers

    keys: dict[str, Key] = {}
    for task in prepared.tasks:
        if isinstance(task, Impossible) or not selected(task, prepared.bindings, prepared.request.only):
            continue
        if isinstance(task.probe, DrillProbe) and isinstance(task.subject, Key):
            keys.setdefault(task.entry.id, task.subject)
    return drill_papers(keys.values(), technique, prepared.deployment.deployment.identities)


def _of(task: Task) -> Iterator[Need]:
    key = task.subject
    if not isinstance(key, Key):
        return
    asked = asked_for(task.demands)
    inspector, logger = key.identities.inspect or "", key.identities.log or ""
    if isinstance(task.probe, KeyProbe):
        yield key, inspector, asked - LOG_ONLY
    elif isinstance(task.probe, LogProbe):
        yield key, inspector, asked_for(()) - LOG_ONLY
        yield key, logger, asked & LOG


def _json(found: list[Paper]) -> str:
    record: dict[str, Jsonable] = {
        "schema": "keycheck.dev/permissions/1",
        "papers": [
            {
                "provider": paper.provider,
                "identity": paper.identity,
                "attach": paper.attach,
                "resource": paper.resource,
                "whose": paper.whose,
                "document": dict(paper.document),
            }
            for paper in found
        ],
    }
    return dumps(record).decode() + "\n"


def _text(found: list[Paper]) -> str:
    import json

    blocks = []
    for paper in found:
        identity = f"identity {paper.identity}" if paper.identity else "the SDK's own credentials"
        whose = paper.whose or identity
        blocks.append(f"# {paper.provider}, {whose}: {paper.attach}\n{json.dumps(dict(paper.document), indent=2)}\n")
    return "\n".join(blocks)

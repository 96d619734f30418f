"""`keycheck init`: a few questions, then a commented deployment and authorization."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from keycheck.cli import common
from keycheck.cli.profile import NAME, write_new
from keycheck.errors import UsageError
from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
    name: Annotated[str | None, typer.Option("--name", help="Id of the deployment, e.g. acme-crm.")] = None,
    url: Annotated[list[str] | None, typer.Option("--url", help="An endpoint of the vendor; repeatable.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Where this machine stands, for people.")] = None,
    egress: Annotated[
        str | None, typer.Option("--egress", help="The address that the vendor sees us come from.")
    ] = None,
    contact: Annotated[str | None, typer.Option("--contact", help="Who is called when something must stop.")] = None,
    reach: Annotated[str | None, typer.Option("--reach", help="How to reach them.")] = None,
) -> int:
    """Write a commented deployment.yaml and authorization.yaml; asks for what the options leave open.

    Nothing is overwritten and nothing is contacted.
    """
    from keycheck.files.deployment import parse_deployment
    from keycheck.files.scaffold import (
        AuthorizationAnswers,
        DeploymentAnswers,
        EndpointAnswer,
        authorization_text,
        deployment_text,
    )
    from keycheck.registry import load_registry

    deployment, authorization = directory / "deployment.yaml", directory / "authorization.yaml"
    for path in (deployment, authorization):
        if path.exists():
            raise UsageError(f"{path} exists already", advice="choose another directory, or remove it first")
    chosen = name or _ask("Short name of the deployment", "acme-crm")
    if not NAME.match(chosen):
        raise UsageError(f"{chosen!r} is no name", advice="lower case, digits, dot, dash, underscore: acme-crm")
    urls = url or _ask("URLs of the vendor's endpoints, with spaces between", "https://api.acme.example").split()
    endpoints = tuple(EndpointAnswer(id_, each) for id_, each in zip(_ids(urls), urls, strict=True))
    where = place if place is not None else _ask("Where does this machine stand", "our office")
    seen_as = egress if egress is not None else _ask("Which address does the vendor see us come from")
    who = contact or _ask("Who is called when something must stop")
    how = reach or _ask("How are they reached (telephone, mail)")
    answers = DeploymentAnswers(chosen, f"{chosen}: what the vendor runs", endpoints, where, seen_as)
    text = deployment_text(answers)
    parse_deployment(text.encode(), str(deployment), load_registry())
    today = datetime.combine(common.utc_now().date(), datetime.min.time())
    asked = AuthorizationAnswers(
        name=f"{chosen}-tls",
        deployment=chosen,
        sources=(seen_as,),
        start=today,
        end=today + timedelta(days=14),
        zone="Etc/UTC",
        contact=who,
        reach=how,
    )
    directory.mkdir(parents=True, exist_ok=True)
    write_new(deployment, text)
    write_new(authorization, authorization_text(asked))
    _next_steps(deployment, authorization, chosen)
    return int(ExitCode.MET)


def _ask(question: str, default: str | None = None) -> str:
    try:
        return str(typer.prompt(question, default=default, err=True)).strip()
    except typer.Abort as error:
        raise UsageError("no answer", advice="give the answers as options; see `keycheck init --help`") from error


def _ids(urls: list[str]) -> list[str]:
    """An id from each host's first label, numbered where they repeat."""
    ids: list[str] = []
    for number, each in enumerate(urls, 1):
        label = re.sub(r"[^a-z0-9._-]", "-", (urlsplit(each).hostname or f"endpoint-{number}").partition(".")[0])
        ids.append(label if label and label not in ids else f"{label or 'endpoint'}-{number}")
    return ids


def _next_steps(deployment: Path, authorization: Path, name: str) -> None:
    common.note("next:")
    common.note("  keycheck key new                                  # once: the key that signs")
    common.note("  keycheck key show                                 # its line for `approvers` in your profile")
    common.note(f"  keycheck profile new {name}-contract --extends eu-sovereign-crm   # then add the approver")
    common.note(f"  keycheck sign {authorization}")
    common.note(f"  keycheck plan {deployment} --profile {name}-contract.yaml --authorization {authorization}")
    common.note(f"  keycheck run {deployment} --profile {name}-contract.yaml --authorization {authorization}")

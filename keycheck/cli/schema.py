"""`keycheck schema`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Kind(StrEnum):
    """The files that have a schema."""

    PROFILE = "profile"
    DEPLOYMENT = "deployment"
    WAIVER = "waiver"
    AUTHORIZATION = "authorization"
    ASSESSMENT = "assessment"


@app.command()
def schema(kind: Annotated[Kind, typer.Argument(help="Which file.")]) -> int:
    """Print the JSON Schema of a file, with the controls and sections that are installed.

    For an editor: keycheck schema profile > profile.schema.json, and in the YAML's first line
    # yaml-language-server: $schema=profile.schema.json
    """
    from keycheck.files.schema import FileKind, file_schema
    from keycheck.registry import load_registry

    typer.echo(json.dumps(file_schema(FileKind(kind.value), load_registry()), indent=2, sort_keys=True))
    return int(ExitCode.MET)

"""`keycheck control`: list and explain."""

from __future__ import annotations

import difflib
import inspect
import json
import textwrap
from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.errors import UsageError
from keycheck.model.control import Control, Tighter
from keycheck.model.verdict import ExitCode

app = typer.Typer(
    rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="List controls, or explain what one proves."
)


def _complete(incomplete: str) -> list[str]:
    from keycheck.registry import load_registry

    return [ref.partition("@")[0] for ref in load_registry().control_refs() if ref.startswith(incomplete)]


@app.command("list")
def list_controls() -> int:
    """Every control that is installed, with what it says of itself, and what is broken."""
    from keycheck.registry import CONTROLS, Broken, load_registry

    registry = load_registry()
    for ref in registry.control_refs():
        kind = registry.control(ref)
        if isinstance(kind, type):
            typer.echo(f"{ref:<26} {_first_line(kind)}")
    broken = [area for name in registry.names(CONTROLS) if isinstance(area := registry.control(f"{name}.x@1"), Broken)]
    for area in broken:
        common.note(f"keycheck: area {area.name} is broken: {area.message}")
    return int(ExitCode.TOOL_FAILED if broken else ExitCode.MET)


@app.command()
def explain(
    control: Annotated[str, typer.Argument(help="A control id, as in tls.protocols.", autocompletion=_complete)],
) -> int:
    """What a control proves, what it does not, its parameters, an example and its sources."""
    from keycheck.registry import load_registry

    registry = load_registry()
    known = registry.control_refs()
    refs = [ref for ref in known if ref == control or ref.partition("@")[0] == control]
    if not refs:
        near = difflib.get_close_matches(control, [ref.partition("@")[0] for ref in known], n=1)
        hint = f"did you mean {near[0]}?" if near else "see `keycheck control list`"
        raise UsageError(f"there is no control {control!r}", advice=hint)
    kind = registry.control(max(refs, key=lambda ref: int(ref.partition("@")[2])))
    if isinstance(kind, type):
        typer.echo("\n".join(_explained(kind)))
    return int(ExitCode.MET)


def _first_line(kind: type[Control]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _explained(kind: type[Control]) -> list[str]:
    lines = [kind.reference(), "", *_block(inspect.getdoc(kind) or "", 0)]
    for title, text in (("Proves", kind.proves), ("Does not prove", kind.does_not_prove)):
        lines += ["", title, *_block(text, 2)]
    if kind.caveat:
        lines += ["", "Caveat", *_block(kind.caveat, 2)]
    lines += ["", "Parameters", *(_parameters(kind) or ["  none"])]
    lines += ["", "Example", *textwrap.indent(inspect.cleandoc(kind.example), "  ").splitlines()]
    needs = f"technique {kind.technique} (needs an authorization)" if kind.technique else "no authorization"
    told = ", ".join(facts.schema_id for facts in kind.beside)
    beside = f"; told of {told} of other subjects, where recorded" if told else ""
    lines += ["", f"For {kind.section}; facts {', '.join(facts.schema_id for facts in kind.needs)}{beside}; {needs}"]
    return [*lines, "", "Sources", *(f"  - {source}" for source in kind.sources)]


def _block(text: str, indent: int) -> list[str]:
    pad = " " * indent
    return [
        line
        for paragraph in inspect.cleandoc(text).split("\n\n")
        for line in [*textwrap.wrap(" ".join(paragraph.split()), 100, initial_indent=pad, subsequent_indent=pad), ""]
    ][:-1]


def _parameters(kind: type[Control]) -> list[str]:
    schema = kind.model_json_schema()
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    lines = []
    for name, given in schema.get("properties", {}).items():
        tighter = kind.tighteners().get(name)
        default = "" if name in required else f", default {json.dumps(given.get('default'))}"
        change = f"; an heir {_may(tighter)}" if tighter else "; an heir may not change it"
        lines.append(f"  {name}: {_type(given, definitions)}{default}{change}")
        lines += _block(given.get("description", ""), 6) if given.get("description") else []
    return lines


def _may(tighter: Tighter) -> str:
    match tighter.direction:
        case "subset":
            return "may only take values away"
        case "superset":
            return "may only add values"
        case "lower":
            return "may only lower it"
        case "higher":
            return "may only raise it"
        case "order":
            return f"may only move it along {' < '.join(tighter.order)}"


def _type(given: dict[str, object], definitions: dict[str, dict[str, object]]) -> str:
    if "$ref" in given:
        given = definitions.get(str(given["$ref"]).rpartition("/")[2], given)
    if isinstance(values := given.get("enum"), list):
        return " | ".join(str(value) for value in values)
    if given.get("type") == "array" and isinstance(items := given.get("items"), dict):
        return f"list of {_type(items, definitions)}"
    return str(given.get("format") or given.get("type") or "value")

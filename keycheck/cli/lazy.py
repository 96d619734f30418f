"""A command group whose members are imported when they are called, so that `--help` stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from keycheck.registry import Registry


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb lives, and its line in `--help`."""

    module: str
    help: str


VERBS: Mapping[str, Verb] = {
    "demo": Verb("keycheck.cli.demo", "Run keycheck on a practice vendor: first honest, then cheating."),
    "init": Verb("keycheck.cli.init", "Write a commented deployment and authorization after a few questions."),
    "profile": Verb("keycheck.cli.profile", "List, show, lint or start contract profiles."),
    "plan": Verb("keycheck.cli.plan", "Show what a run would touch, and touch nothing."),
    "run": Verb("keycheck.cli.run", "Observe a deployment, judge it, sign the evidence."),
    "drill": Verb("keycheck.cli.drill", "Take a key away for a moment, watch, put it back, and prove it."),
    "judge": Verb("keycheck.cli.judge", "Judge stored evidence again, also under another profile."),
    "verify": Verb("keycheck.cli.verify", "Check a bundle: who signed what, and that nothing changed."),
    "key": Verb("keycheck.cli.key", "Make and show signing keys."),
    "sign": Verb("keycheck.cli.sign", "Sign a waiver or an authorization."),
    "control": Verb("keycheck.cli.control", "List controls, or explain what one proves."),
    "schema": Verb("keycheck.cli.schema", "Print the JSON Schema of a file, for editors."),
    "lab": Verb("keycheck.cli.lab", "The practice vendor: defects, servers, the matrix."),
}


class LazyGroup(TyperGroup):
    """Lists its verbs from a table; areas add theirs through the entry points `keycheck.commands`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Our verbs in the order of the table, then those of the areas."""
        return [*VERBS, *(name for name in _plugins().names("keycheck.commands") if name not in VERBS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the verb's module; in a listing, a stand-in with the help line will do."""
        if verb := VERBS.get(cmd_name):
            if getattr(ctx, "resilient_parsing", False) and not getattr(ctx, "_protected_args", None):
                return _stub(cmd_name, verb.help)
            return _command(importlib.import_module(verb.module).app, cmd_name)
        return plugin_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The help's list, without importing any of it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])
        if areas := list(_areas()):
            with formatter.section("Areas"):
                formatter.write_dl(areas)


def _plugins() -> Registry:
    from keycheck.registry import load_registry

    return load_registry()


def _areas() -> Iterator[tuple[str, str]]:
    registry = _plugins()
    for plugin in registry.plugins():
        if plugin.group == "keycheck.commands" and plugin.name not in VERBS:
            yield plugin.name, f"Verbs of the area {plugin.name} ({plugin.distribution} {plugin.version})."


def plugin_command(name: str, group: str = "keycheck.commands") -> Any:
    """The verb that an installed package brings; None where there is none. Raises UsageError for a broken one."""
    from keycheck.errors import UsageError
    from keycheck.registry import Broken

    found = _plugins().load(group, name)
    if isinstance(found, Broken):
        raise UsageError(f"the verb {name} is broken: {found.message}", advice="reinstall the package that brings it")
    return _command(found, name) if isinstance(found, typer.Typer) else None


def _command(app: typer.Typer, name: str) -> Any:
    command = typer.main.get_command(app)
    command.name = name
    return command


def _stub(name: str, help_line: str) -> Any:
    return typer.core.TyperCommand(name, help=help_line, short_help=help_line)

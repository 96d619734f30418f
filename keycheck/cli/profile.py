"""`keycheck profile`: list, show, lint, new."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from keycheck.cli import common
from keycheck.errors import UsageError
from keycheck.model.profile import Demand, Profile
from keycheck.model.verdict import ExitCode

app = typer.Typer(
    rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="List, show, lint or start profiles."
)


NAME: Final = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")


def _complete(incomplete: str) -> list[str]:
    from keycheck.files.chain import shipped_profiles

    return [name for name in shipped_profiles() if name.startswith(incomplete)]


NameOrPath = Annotated[str, typer.Argument(help="A shipped profile's name, or a path.", autocompletion=_complete)]


@app.command("list")
def list_profiles() -> int:
    """The profiles that ship with keycheck."""
    from keycheck.files.chain import shipped_profiles
    from keycheck.files.profile import load_profile
    from keycheck.registry import load_registry

    registry = load_registry()
    for name in shipped_profiles():
        profile = load_profile(name, registry).profile
        planned = sum(not isinstance(demand, Demand) for clause in profile.clauses for demand in clause.requires)
        typer.echo(
            f"{profile.profile:<20} v{profile.version}  {len(profile.clauses):>3} clauses, {planned} requirements "
            f"planned  {profile.title}"
        )
    return int(ExitCode.MET)


@app.command()
def show(
    profile: NameOrPath,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=PATH]", help="table or json; repeatable.")
    ] = None,
) -> int:
    """A profile as it is judged: inheritance applied, parameters substituted."""
    from keycheck.canonical import dumps
    from keycheck.files.profile import load_profile
    from keycheck.registry import load_registry

    wanted = common.outputs(output or [])
    loaded = load_profile(profile, load_registry()).profile
    for each in wanted:
        if each.format == "json":
            common.deliver(each, dumps(loaded.model_dump(mode="json", by_alias=True)) + b"\n")
        else:
            common.deliver(each, ("\n".join(_shown(loaded)) + "\n").encode())
    return int(ExitCode.MET)


def _shown(profile: Profile) -> list[str]:
    lines = [f"{profile.profile} v{profile.version}: {profile.title}"]
    lines += [f"  from {s.profile} v{s.version} sha256 {s.sha256}" for s in profile.sources]
    for clause in profile.clauses:
        lines += ["", f"{clause.id} ({clause.tier}) {clause.ref}".rstrip(), f"  “{' '.join(clause.text.split())}”"]
        for demand in clause.requires:
            if isinstance(demand, Demand):
                evidence = demand.evidence.model_dump_json(exclude_defaults=True)
                lines.append(f"  - {demand.control} for {demand.for_} with {demand.with_} evidence {evidence}")
            else:
                lines.append(f"  - planned: {demand.planned}")
    return lines


@app.command()
def lint(profile: NameOrPath) -> int:
    """Check a profile; every problem with file, line, column and the mend. Exits 2 when there is one."""
    from keycheck.files.profile import load_profile
    from keycheck.registry import load_registry

    registry = load_registry()
    loaded = load_profile(profile, registry).profile
    planned = [clause.id for clause in loaded.clauses for d in clause.requires if not isinstance(d, Demand)]
    typer.echo(f"{loaded.profile} v{loaded.version}: {len(loaded.clauses)} clauses, no problem found")
    if planned:
        common.note(f"will come out as not-tested until their controls exist: {', '.join(dict.fromkeys(planned))}")
    return int(ExitCode.MET)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Id of the new profile.")],
    extends: Annotated[
        str, typer.Option("--extends", help="What it tightens.", autocompletion=_complete)
    ] = "base-saas",
    out: Annotated[Path | None, typer.Option("--out", help="File to write. Default: NAME.yaml.")] = None,
) -> int:
    """Start a profile of your own: a commented file that extends a shipped one. Never overwrites."""
    from keycheck.files.profile import load_profile
    from keycheck.files.scaffold import child_profile_text
    from keycheck.registry import load_registry

    if not NAME.match(name):
        raise UsageError(f"{name!r} is no name", advice="lower case, digits, dot, dash, underscore: acme-contract")
    base = load_profile(extends, load_registry()).profile
    write_new(out or Path(f"{name}.yaml"), child_profile_text(name, base, extends))
    return int(ExitCode.MET)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet. Raises UsageError."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already", advice="choose another name, or remove it first") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", advice="choose another directory") from error
    typer.echo(str(path))

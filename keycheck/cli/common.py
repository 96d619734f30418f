"""What several verbs share: the real world, keys on disk, output formats."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from keycheck.errors import KeycheckError, UsageError
from keycheck.model.types import parse_instant

if TYPE_CHECKING:
    from keycheck.engines import Workers
    from keycheck.evidence.keys import SigningKey
    from keycheck.session import World

FORMATS: Final = ("table", "json")


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def real_world(environment: Mapping[str, str], workers: Workers | None = None) -> World:
    """Clock, randomness, resolver and workers of this machine, or of the engine that was chosen."""
    from keycheck.executors import local
    from keycheck.resolve import system_resolver
    from keycheck.session import World

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return World(
        clock=utc_now,
        entropy=secrets.token_bytes,
        resolver=system_resolver,
        factory=workers.factory if workers else local,
        environment=dict(environment),
        processes=workers.processes if workers else 0,
        drills=state / "keycheck" / "drills",
    )


def environment_of(ctx: typer.Context) -> Mapping[str, str]:
    """What was neutralised at start."""
    return ctx.obj if isinstance(ctx.obj, dict) else {}


def default_key() -> Path:
    """Where `keycheck key new` puts a key, and `run` and `sign` look for it."""
    from keycheck.evidence.trusted import key_directory

    return key_directory() / "default.pem"


def signing_key(path: Path | None, passphrase: str | None) -> SigningKey:
    """The key to sign with; asks for a passphrase only on a terminal. Raises KeycheckError."""
    from keycheck.evidence.keys import SigningKey, passphrase_from

    where = path or default_key()
    if not where.exists():
        raise UsageError(
            f"there is no signing key at {where}",
            advice="make one with `keycheck key new`, or name one with `--key PATH`",
        )
    with as_usage():
        secret: Callable[[], bytes] | None = None
        if passphrase is not None:
            secret = passphrase_from(passphrase, os.environ)
        elif sys.stdin.isatty() and b"ENCRYPTED" in where.read_bytes()[:200]:
            secret = _ask_passphrase
        return SigningKey.load(where, secret)


@contextmanager
def as_usage() -> Iterator[None]:
    """What is wrong with a file that the user named is wrong usage: exit 2, and nothing was run."""
    try:
        yield
    except KeycheckError as error:
        raise UsageError(str(error), advice=error.advice) from error


def _ask_passphrase() -> bytes:
    return str(typer.prompt("passphrase", hide_input=True, err=True)).encode()


@dataclass(frozen=True, slots=True)
class Output:
    """One `-o FORMAT[=PATH]`."""

    format: str
    path: Path | None


def outputs(texts: Sequence[str], formats: Sequence[str] = FORMATS) -> tuple[Output, ...]:
    """Parse `-o`. At most one goes to stdout, so that stdout is only ever one format."""
    parsed = tuple(_output(text, formats) for text in texts) or (Output("table", None),)
    if sum(output.path is None for output in parsed) > 1:
        raise UsageError("two outputs for stdout", advice="give all but one a path: `-o json=assessment.json`")
    return parsed


def _output(text: str, formats: Sequence[str]) -> Output:
    name, _, path = text.partition("=")
    if name not in formats:
        raise UsageError(f"unknown format {name!r}", advice=f"one of {', '.join(formats)}")
    if path and not (Path(path).parent.is_dir() and os.access(Path(path).parent, os.W_OK)):
        raise UsageError(f"cannot write {path}", advice="choose a directory that exists and that you may write to")
    return Output(name, Path(path) if path else None)


def instant(text: str | None, option: str) -> datetime | None:
    """An option that is a moment in UTC."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no moment", advice="write UTC, as in 2026-11-22T10:00:00Z") from error


def note(text: str) -> None:
    """A line for people: stderr. Nobody may be listening, and that changes no verdict."""
    with suppress(OSError):
        typer.echo(text, err=True)


def by_hand(commands: Sequence[str]) -> None:
    """What a person must do now, where a drill could not prove that everything is back."""
    if commands:
        note("NOT PROVED TO BE RESTORED. Do this now, then `keycheck drill status`:")
    for line in commands:
        note(f"  {line}")


def deliver(output: Output, data: bytes) -> None:
    """Write a result to stdout or to its file, and nothing else."""
    if output.path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.path.write_bytes(data)
    except OSError as error:
        raise KeycheckError(
            f"cannot write {output.path}: {error.strerror}", advice="the bundle is complete: `keycheck judge` it again"
        ) from error

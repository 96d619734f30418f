"""`keycheck key`: make and show signing keys."""

from __future__ import annotations

import base64
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="Make and show signing keys.")


class Algorithm(StrEnum):
    """What a signing key can be."""

    ED25519 = "ed25519"
    P256 = "p256"


@app.command("new")
def new(
    path: Annotated[Path | None, typer.Argument(help="Where to put it. Default: your key directory.")] = None,
    kind: Annotated[Algorithm, typer.Option("--kind", help="Signature algorithm.")] = Algorithm.ED25519,
    passphrase: Annotated[
        str | None, typer.Option("--passphrase", help="Where the passphrase is: env:NAME or file:PATH.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask-passphrase", help="Ask for a passphrase on the terminal.")] = False,
) -> int:
    """Make a signing key, readable by you alone, and its public half beside it. Never overwrites."""
    from keycheck.evidence.keys import KeyKind, SigningKey, passphrase_from

    where = path or common.default_key()
    with common.as_usage():
        secret = passphrase_from(passphrase, os.environ) if passphrase else None
    if ask:
        typed = typer.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True)
        secret = str(typed).encode
    where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = SigningKey.generate(KeyKind.ED25519 if kind is Algorithm.ED25519 else KeyKind.P256)
    with common.as_usage():
        public = key.save(where, secret)
    typer.echo(f"key id      {key.key_id}")
    common.note(f"signing key {where} (keep it; it is not copied anywhere)")
    common.note(f"public key  {public} (give this to whoever verifies your bundles)")
    return int(ExitCode.MET)


@app.command("show")
def show(
    path: Annotated[Path | None, typer.Argument(help="A public key. Default: your own.")] = None,
) -> int:
    """Print a public key's id, and the line for a profile's `approvers`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    from keycheck.evidence.keys import PublicKey, public_path

    with common.as_usage():
        key = PublicKey.load(path or public_path(common.default_key()))
    der = load_pem_public_key(key.to_pem()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    typer.echo(f"key id      {key.key_id}")
    typer.echo(f"public_key: {base64.b64encode(der).decode()}")
    return int(ExitCode.MET)

"""`keycheck sign`: sign a waiver or an authorization."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.cli.run import KeyFile, Passphrase
from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="A waiver or an authorization.")],
    key: KeyFile = None,
    passphrase: Passphrase = None,
) -> int:
    """Write FILE.dsse.json beside the file; a second signer adds a signature.

    Counts only where the profile's `approvers` name the key. What the file says is checked before it is signed.
    """
    from keycheck.evidence.sign import sign_file
    from keycheck.papers import payload_type_of

    signer = common.signing_key(key, passphrase)
    with common.as_usage():
        target = sign_file(file, signer, payload_type_of(file))
    typer.echo(str(target))
    common.note(f"signed {file} with key {signer.key_id}")
    return int(ExitCode.MET)

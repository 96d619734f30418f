"""Whose signatures count on this machine, and that a bundle is there at all: what every verb that reads one asks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keycheck.errors import KeycheckError, UsageError
from keycheck.evidence.keys import PublicKey


def key_directory() -> Path:
    """`$XDG_CONFIG_HOME/keycheck/keys`, or `~/.config/keycheck/keys`."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "keycheck" / "keys"


def trusted_keys(paths: Sequence[Path]) -> tuple[PublicKey, ...]:
    """The public keys named, or else every `*.pub` of the own key directory. Raises UsageError for none."""
    chosen = list(paths) or sorted(key_directory().glob("*.pub"))
    if not chosen:
        raise UsageError(
            "no public key to verify with",
            advice="name the signer's with `--key SIGNER.pub`, fetched from the signer over another channel",
        )
    try:
        return tuple(PublicKey.load(path) for path in chosen)
    except KeycheckError as error:
        raise UsageError(str(error), advice=error.advice) from error


def existing(bundle: Path) -> Path:
    """A bundle that is there at all; what is wrong with it is another matter. Raises UsageError."""
    if not bundle.is_file():
        raise UsageError(f"there is no bundle {bundle}", advice="check the path: a bundle is one .zip file")
    return bundle

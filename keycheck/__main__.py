"""`keycheck` and `python -m keycheck`."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn

OUTPUT_LOST = 4
"""Everything was done, but its output could not be written: keycheck's infrastructure failed."""


def entry() -> NoReturn:
    """Make the process safe to look from, then run the command line.

    `python -m` puts the working directory first on `sys.path`: it is dropped, so that a file beside the
    evidence cannot stand in for a module. An ambient OpenSSL configuration is neutralised before OpenSSL is
    loaded, and recorded with every run.
    """
    if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]
    sys.path[:] = [place for place in sys.path if place]
    from keycheck.environment import neutralise_openssl_conf

    _open_missing_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn about what vendors send; that is a fact, no noise
    found = neutralise_openssl_conf(os.environ).found
    from keycheck.cli.root import main

    _leave(main(sys.argv[1:], {name: hashlib.sha256(value.encode()).hexdigest() for name, value in found}))


def _open_missing_streams() -> None:
    """A closed standard stream becomes the null device: nothing else may end up under its number."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the life of the process


def _leave(code: int) -> NoReturn:
    """Exit with this code even when what is still buffered can no longer be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or OUTPUT_LOST
    sys.exit(code)


def guarded_entry() -> NoReturn:
    """`entry`, with an interrupt before anything was begun said plainly."""
    try:
        entry()
    except KeyboardInterrupt:
        sys.stderr.write("\nkeycheck: interrupted before anything was touched\n")
        sys.exit(130)


if __name__ == "__main__":
    guarded_entry()

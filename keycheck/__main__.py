"""`keycheck` and `python -m keycheck`."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn


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

    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn about what vendors send; that is a fact, no noise
    found = neutralise_openssl_conf(os.environ).found
    from keycheck.cli.root import main

    sys.exit(main(sys.argv[1:], {name: hashlib.sha256(value.encode()).hexdigest() for name, value in found}))


if __name__ == "__main__":
    entry()

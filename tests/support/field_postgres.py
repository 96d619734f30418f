"""A PostgreSQL server of a test's own: it runs as nobody, in a directory of its own, on a socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
POSTGRES = pytest.mark.skipif(
    BINARIES is None or (os.geteuid() == 0 and shutil.which("setpriv") is None),
    reason="no PostgreSQL server: install the package `postgresql`",
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Its URL."""
    if BINARIES is None:
        pytest.skip("no PostgreSQL server: install the package `postgresql`")
    folder = Path(tempfile.mkdtemp(prefix="kc-pg-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    data = folder / "data"
    subprocess.run(
        [*prefix, BINARIES / "initdb", "-D", data, "-U", "kc", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    server = subprocess.Popen(
        [*prefix, BINARIES / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            ready = subprocess.run(
                [BINARIES / "pg_isready", "-h", folder, "-U", "kc", "-d", "postgres"], check=False, capture_output=True
            )
            if ready.returncode == 0:
                break
            time.sleep(0.05)
        yield f"postgresql+psycopg://kc@/postgres?host={folder}"
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, *statements: str) -> None:
    """Each by itself, as the owner."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)

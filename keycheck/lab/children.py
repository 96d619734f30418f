"""Serving processes: started with their sockets and a clean environment, and certain to end."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import keycheck
from keycheck.lab.config import Config, dump
from keycheck.lab.errors import LabError

READY_WITHIN = 20.0
_END_WITHIN = 2.0
_LONGEST_LINE = 1 << 20
_OPENSSL_CONF = """openssl_conf = lab
[lab]
ssl_conf = lab_ssl
[lab_ssl]
system_default = lab_tls
[lab_tls]
Groups = {groups}
"""


class Child:
    """One serving process. ``groups`` is an OpenSSL group list, in the server's order of preference.

    The process ends with ``close``, with the death of this process, or when its standard input ends.
    """

    def __init__(self, name: str, home: Path, groups: str) -> None:
        self._name = name
        self._home = home
        self._settings = home / f"{name}.openssl.cnf"
        self._settings.write_text(_OPENSSL_CONF.format(groups=groups), encoding="ascii")
        self._log = home / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raise LabError when it was never started."""
        return self._running().pid

    def start(self, config: Config) -> None:
        """Start, handing over the listening sockets; returns before the process is ready."""
        line = dump(config)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "keycheck.lab.serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._home,
                env=self._environment(),
                pass_fds=[listener.fd for listener in config.listeners],
            )
        if (stdin := self._process.stdin) is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(line)
                stdin.flush()

    def ready(self, within: float = READY_WITHIN) -> Sequence[str]:
        """Wait for the addresses it serves. Raise LabError with the end of its log when none come."""
        process = self._running()
        line = b""
        deadline = time.monotonic() + within
        if (stdout := process.stdout) is not None:
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    if not selector.select(max(0.0, deadline - time.monotonic())):
                        break
                    if not (data := os.read(stdout.fileno(), 65_536)):
                        break
                    line += data
        word, _, addresses = line.partition(b" ")
        if word != b"ready" or not addresses.endswith(b"\n"):
            self.close()
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
            raise LabError(f"the lab's {self._name} did not start", advice=said or f"see {self._log}")
        bound: list[str] = json.loads(addresses)
        return bound

    def close(self) -> None:
        """End the process: first its input, then SIGTERM, then SIGKILL. Closing twice is harmless."""
        if (process := self._process) is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        for harder in (process.terminate, process.kill):
            try:
                process.wait(_END_WITHIN)
            except subprocess.TimeoutExpired:
                harder()
        process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LabError(f"the lab's {self._name} was not started", advice="call start() first")
        return self._process

    def _environment(self) -> dict[str, str]:
        """Nothing ambient: no proxies, no OpenSSL settings but ours, and this very keycheck."""
        package = Path(keycheck.__file__).resolve().parent.parent
        return {
            "OPENSSL_CONF": str(self._settings),
            "PYTHONPATH": str(package),
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": "/usr/bin:/bin",
        }

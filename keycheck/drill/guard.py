"""The runner's side of the watchdog: start it, wait until it is ready, see that it lives, let it go."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from keycheck.drill.watchdog import READY
from keycheck.model.types import vendor_text

START_S: Final = 30.0
"""For a Python process that imports the clouds' clients, on a busy machine."""
END_S: Final = 10.0


class Guard:
    """A watchdog process. Ends by itself once the drill is closed; nobody ever kills it."""

    def __init__(self, home: Path, drill: str) -> None:
        """Start it. Raises OSError."""
        # -P: no file in the working directory stands in for a module.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "keycheck.drill.watchdog", str(home.resolve()), drill],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def ready(self) -> str | None:
        """Wait until it has everything that restoring needs; None when it has, else what it lacks."""
        stream = self._process.stdout
        if stream is None:
            return "it has no output"
        answer = b""
        end = time.monotonic() + START_S
        listening = select.poll()  # select() refuses the high descriptors of a process with many
        listening.register(stream, select.POLLIN)
        while not answer.endswith(b"\n") and len(answer) < 4096:
            if not listening.poll(max(0.0, end - time.monotonic()) * 1000):
                return f"it did not begin within {START_S:.0f} s"
            data = os.read(stream.fileno(), 1024)
            if not data:
                break
            answer += data
        stream.close()
        return None if answer == READY else vendor_text(answer.strip()) or "it died"

    def alive(self) -> bool:
        """Whether it watches."""
        return self._process.poll() is None

    def release(self, *, wait: bool) -> None:
        """Let it see that the runner is through; the journal's lock must be free by now. `wait`: for its end, which is
        at once when nothing is owed."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if wait:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)

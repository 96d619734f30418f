"""`keycheck fields scan` as a process of its own, and a Ctrl-C in the middle of its work."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fields_whole import key, write_map
from scan_stage import b64

from keycheck.model.verdict import ExitCode, Kind


@pytest.mark.slow
def test_a_signal_in_mid_scan_ends_cleanly(tmp_path: Path) -> None:
    """Exit 130, a signed bundle in which nothing passes, and nothing left behind: no worker, no temporary file."""
    rng = random.Random(6)
    for file in range(24):
        rows = [json.dumps({"id": str(row), "email": b64(rng.randbytes(1 << 18)).decode()}) for row in range(16)]
        (tmp_path / f"{file}.ndjson").write_text("\n".join(rows))
    map_ = write_map(tmp_path, ["*.ndjson"], [{"column": "email", "class": "email"}, {"column": "id", "class": "none"}])
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments = ["fields", "scan", "-m", str(map_), str(tmp_path / "*.ndjson"), "--out", str(tmp_path / "runs")]
    arguments += ["--engine", "processes:2", "--output", "json", "--key", str(key(tmp_path))]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-m", "keycheck", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as run:
        until = time.monotonic() + 60
        while not list(temporary.glob("keycheck-fields-*")) and time.monotonic() < until:
            time.sleep(0.02)  # made when the first shard has come back
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == ExitCode.INTERRUPTED, err.decode()
    assessment = json.loads(out)
    kinds = {each["verdict"] for each in assessment["findings"] if each["subject"] == "datasets/export"}
    assert kinds
    assert Kind.PASS not in kinds
    assert list((tmp_path / "runs").glob("*.zip"))
    assert list(temporary.iterdir()) == []
    assert not list(tmp_path.glob(".keycheck-scan-*"))
    assert not members(run.pid)


def members(session: int) -> list[int]:
    """Processes of a session that still are; a worker that was told to go may take a moment."""
    found: list[int] = []
    for _ in range(50):
        found = []
        for entry in Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            except OSError:
                continue
            if fields and int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
        if not found:
            break
        time.sleep(0.1)
    return found

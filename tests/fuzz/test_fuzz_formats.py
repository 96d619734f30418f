"""The fuzzer of formats runs where nothing but Python is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).with_name("fuzz_formats.py")


def test_a_short_run_without_any_package_finds_nothing() -> None:
    asked = [sys.executable, "-I", "-S", str(FUZZER), "--seconds", "1.5", "--seed", "7"]
    ran = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "no finding" in ran.stdout

"""What a release signed verifies and is judged alike in every later one."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keycheck.assess import assessment_bytes
from keycheck.evidence.keys import PublicKey
from keycheck.registry import load_registry
from keycheck.rejudge import Amendments, rejudge

HERE = Path(__file__).resolve().parent
BUNDLES = sorted(HERE.glob("*.zip"))


def test_there_is_a_golden_bundle() -> None:
    assert BUNDLES


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_a_golden_bundle_verifies_and_is_judged_as_it_was(bundle: Path) -> None:
    key = PublicKey.load(bundle.with_suffix(".pub"))
    judged = rejudge(bundle, Amendments(), [key], load_registry())
    now, then = (json.loads(text) for text in (assessment_bytes(judged.assessment), golden(bundle)))
    for told in (now, then):
        for finding in told["findings"]:
            del finding["message"]  # prose: outside the identity of an assessment
    assert now == then
    assert judged.assessment.exit_code == 1


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_the_verifier_inside_agrees(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as opened:
        (tmp_path / "verify.py").write_bytes(opened.read("verify.py"))
    command = [sys.executable, str(tmp_path / "verify.py"), str(bundle), "--key", str(bundle.with_suffix(".pub"))]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def golden(bundle: Path) -> bytes:
    return bundle.with_name(bundle.stem + ".assessment.json").read_bytes()

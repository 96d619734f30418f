"""A revoke drill from end to end on the lab: restored whatever happens, refused before anything is changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drill_stage import Stage, findings, wait_for

from keycheck.lab.world import DRILLS, Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Lab(tmp_path / "lab", ["endless-cache"], sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, tmp_path)


def test_a_whole_drill_leaves_the_policy_as_it_was_and_its_journal_closed(stage: Stage) -> None:
    before = json.loads(stage.policy())
    done = stage.run()
    assert done.returncode == 1, done.stderr
    assert findings(done)["keys.revocation"]["verdict"] == "fail"
    assert json.loads(stage.policy()) == before
    assert stage.phases() == ["closed"]
    (bundle,) = (stage.home / "runs").glob("*.zip")
    with zipfile.ZipFile(bundle) as plain:
        lines = [json.loads(line) for line in plain.read("observations.jsonl").splitlines()]
    (drill,) = (one for one in lines if one["schema"] == "keys.revocation/1" and one["outcome"]["kind"] == "seen")
    assert drill["outcome"]["assurance"] == "caused"
    assert drill["outcome"]["facts"]["restored"]["kind"] == "restored"
    assert drill["outcome"]["facts"]["markers"] == {
        "kind": "markers", "before": "arrived", "during": "arrived", "after": "arrived"
    }  # fmt: skip
    assert stage.keycheck("verify", str(bundle), "--key", f"{stage.papers.signer}.pub").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_restores_before_it_ends(stage: Stage, number: signal.Signals) -> None:
    before = json.loads(stage.policy())
    command = subprocess.Popen(
        stage.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=stage.environment()
    )
    assert wait_for(lambda: json.loads(stage.policy()) != before and "aws:CurrentTime" in stage.policy(), 60)
    time.sleep(1)
    command.send_signal(number)
    time.sleep(0.2)
    command.send_signal(number)
    command.communicate(timeout=60)
    assert json.loads(stage.policy()) == before
    assert stage.phases() == ["closed"]


def test_a_killed_drill_is_restored_by_its_watchdog(stage: Stage) -> None:
    before = json.loads(stage.policy())
    command = subprocess.Popen(
        stage.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=stage.environment()
    )
    assert wait_for(lambda: json.loads(stage.policy()) != before and "aws:CurrentTime" in stage.policy(), 60)
    time.sleep(1)
    command.kill()
    command.wait(10)
    assert wait_for(lambda: json.loads(stage.policy()) == before, 30)
    assert wait_for(lambda: stage.phases() == ["closed"], 30)
    assert stage.keycheck("drill", "recover").returncode == 0


def _begun(stage: Stage) -> subprocess.Popen[str]:
    before = stage.policy()
    command = subprocess.Popen(
        stage.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=stage.environment()
    )
    assert wait_for(lambda: len(stage.policy()) > len(before) + 100 and "aws:CurrentTime" in stage.policy(), 60)
    assert command.stderr is not None
    while "is denied" not in command.stderr.readline():  # an expired copy was rehearsed before
        assert command.poll() is None
    return command


def _write(stage: Stage, change: Callable[[list[dict[str, Any]]], object]) -> None:
    assert stage.lab.clouds is not None
    document = json.loads(stage.policy())
    change(document["Statement"])
    stage.lab.clouds.aws.cloud.kms.find(stage.arn()).policies.value["default"] = json.dumps(document)


def _rewritten(statements: list[dict[str, Any]]) -> None:
    for statement in statements:
        if str(statement.get("Sid")).startswith("KeycheckDrill"):
            statement["Action"] = "kms:Decrypt"


@pytest.mark.parametrize("trouble", ["left", "not-recorded"])
def test_what_is_not_restored_is_said_at_once_and_nothing_hides_it(stage: Stage, trouble: str) -> None:
    stage.amend(lambda key: key["drill"].update(hold="PT60S", quiet="PT1S"))
    command = _begun(stage)
    _write(stage, _rewritten)
    command.send_signal(signal.SIGINT)
    assert command.stderr is not None
    while "by hand, now: aws kms" not in command.stderr.readline():
        assert command.poll() is None
    if trouble == "not-recorded":
        shutil.rmtree(stage.home / "runs")
    else:
        command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=30)
    assert command.returncode == 6, said
    assert "NOT PROVED TO BE RESTORED" in said
    assert "put-key-policy" in said


def test_an_interrupted_recovery_says_what_is_still_owed(stage: Stage) -> None:
    command = _begun(stage)
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    for pid in (*map(int, children), command.pid):  # its watchdog, and it
        os.kill(pid, signal.SIGKILL)
    command.communicate(timeout=30)
    theirs = {
        "Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/key-control"},
        "Action": "kms:Decrypt", "Resource": "*",
    }  # fmt: skip
    _write(stage, lambda statements: statements.append(theirs))
    verb = [sys.executable, "-m", "keycheck", "drill", "recover"]
    recovery = subprocess.Popen(
        verb, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=stage.environment()
    )
    assert recovery.stderr is not None
    while "still withheld" not in recovery.stderr.readline():
        assert recovery.poll() is None
    recovery.send_signal(signal.SIGINT)
    told, _ = recovery.communicate(timeout=30)
    assert recovery.returncode == 6
    assert "not-proved" in told
    assert "by hand: aws kms" in told
    _write(stage, lambda statements: statements.remove(theirs))
    assert stage.keycheck("drill", "recover").returncode == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda key: key.update(on_key_loss="delete"), ""),
        (lambda key: key.update(model="service-integrated"), "unsupported"),
        (lambda key: key["drill"].update(context=[["tenant", "keycheck-elsewhere"]]), "unsupported"),
        (lambda key: key.pop("drill"), "unsupported"),
    ],
    ids=["on-key-loss", "model", "context-that-nobody-carries", "undeclared"],
)
def test_what_speaks_against_it_is_said_before_anything_is_changed(stage: Stage, change: Any, reason: str) -> None:
    before = stage.policy()
    stage.amend(change)
    done = stage.run()
    found = findings(done)["keys.revocation"]
    assert found["verdict"] == "inconclusive", found
    assert not reason or reason in found["reasons"]
    assert stage.policy() == before
    assert done.returncode == 3


def test_without_the_technique_or_the_flag_nothing_is_done(stage: Stage) -> None:
    before = stage.policy()
    ran = stage.keycheck(
        *("run", str(stage.papers.deployment), "--profile", str(stage.papers.profile)),
        *("--authorization", str(stage.papers.authorization), "--key", str(stage.papers.signer)),
        *("--out", str(stage.home / "runs"), "-o", "json", "--only", "keys/contacts:keys.revocation"),
    )
    assert findings(ran)["keys.revocation"]["reasons"] == ["not-authorized"]
    stage.authorize("active-tls")
    assert findings(stage.run())["keys.revocation"]["reasons"] == ["not-authorized"]
    assert stage.policy() == before


def test_a_pulled_lever_keeps_drills_from_starting(stage: Stage) -> None:
    before = stage.policy()
    assert stage.keycheck("drill", "halt", "not tonight").returncode == 0
    done = stage.run()
    assert findings(done)["keys.revocation"]["verdict"] in ("inconclusive", "not-tested")
    assert stage.policy() == before

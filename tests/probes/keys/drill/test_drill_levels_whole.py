"""How far a revoke drill goes, by flags, papers and the typed name; one drill at a time; and late logs."""

from __future__ import annotations

import json
import subprocess
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from drill_stage import Stage, findings, wait_for

from keycheck.drill.kept import verified
from keycheck.evidence.keys import SigningKey
from keycheck.lab.world import DRILLS, Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Lab(tmp_path / "lab", ["no-cache"], sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, tmp_path)


def drills(stage: Stage) -> list[Path]:
    return sorted((stage.home / "state" / "keycheck" / "drills").glob("kc-*"))


def test_a_dry_run_looks_at_everything_and_changes_nothing(stage: Stage) -> None:
    before = stage.policy()
    done = stage.run("--dry-run")
    assert findings(done)["keys.revocation"]["reasons"] == ["not-authorized"]
    assert "nothing speaks against the drill" in done.stderr
    assert "our own principal in eu-central-1: readable" in done.stderr
    assert stage.policy() == before
    assert not drills(stage)
    assert done.returncode == 3


@pytest.mark.parametrize("flag", ["--disable-key", "--revoke-grant", "--delete-material"])
def test_more_than_a_canary_is_asked_for_three_times(stage: Stage, flag: str) -> None:
    technique = flag.removeprefix("--")
    before = stage.policy()
    assert stage.run(flag).returncode == 2, "not without the key's name"
    other_flag = "--disable-key" if flag != "--disable-key" else "--revoke-grant"
    two_flags = stage.run(flag, other_flag, "--typed", stage.arn())
    assert two_flags.returncode == 2
    stage.authorize("drill", technique)
    one = stage.run(flag, "--typed", stage.arn())
    assert findings(one)["keys.revocation"]["reasons"] == ["not-authorized"]
    assert "2 approvers" in findings(one)["keys.revocation"]["message"]
    stage.authorize("drill", technique, second=True)
    other = stage.run(flag, "--typed", stage.arn("archive"))
    assert findings(other)["keys.revocation"]["reasons"] == ["not-authorized"]
    assert "the key's own name" in findings(other)["keys.revocation"]["message"]
    stage.authorize("drill", second=True)
    without = stage.run(flag, "--typed", stage.arn())
    assert findings(without)["keys.revocation"]["reasons"] == ["not-authorized"]
    assert stage.policy() == before
    assert not drills(stage)


def test_a_second_drill_on_an_open_key_is_told_to_come_back(stage: Stage) -> None:
    stage.amend(lambda key: key["drill"].update(hold="PT40S", quiet="PT30S"))
    with subprocess.Popen(
        stage.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=stage.environment()
    ) as first:
        assert wait_for(lambda: "aws:CurrentTime" in stage.policy(), 60)
        second = stage.run()
        assert second.returncode == 75, second.stderr
        assert "is open on this key" in second.stderr
        first.terminate()
        first.wait(60)
    assert stage.phases() == ["closed"]


def test_late_logs_are_settled_with_a_signed_addendum_and_grow_no_younger(stage: Stage) -> None:
    clouds = stage.lab.clouds
    assert clouds is not None
    with subprocess.Popen(
        stage.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=stage.environment()
    ) as running:
        assert wait_for(lambda: "aws:CurrentTime" in stage.policy(), 60)
        clouds.aws.cloud.ledger.lag = timedelta(seconds=25)
        out, told = running.communicate(timeout=90)
    first = subprocess.CompletedProcess(running.args, running.returncode, out, told)
    found = findings(first)["keys.revocation"]
    assert found["verdict"] == "inconclusive", found
    (drill,) = drills(stage)
    settled = settle(stage, drill.name)
    assert findings(settled)["keys.revocation"]["verdict"] == "inconclusive", "not yet"
    assert "settle again later" in settled.stderr
    time.sleep(26)
    again = settle(stage, drill.name)
    assert findings(again)["keys.revocation"]["verdict"] == "pass", again.stdout
    assert "the log is whole" in again.stderr
    assert len(verified(drill, (SigningKey.load(stage.papers.signer).public,))) == 2
    bundles = sorted((stage.home / "runs").glob("*.zip"), key=lambda path: path.stat().st_mtime)
    one, last = revocation(bundles[0]), revocation(bundles[-1])
    assert last["started"] == one["outcome"]["facts"]["began"], "as old as the drill"
    same = {"log", "markers"}
    assert {k: v for k, v in one["outcome"]["facts"].items() if k not in same} == {
        k: v for k, v in last["outcome"]["facts"].items() if k not in same
    }
    assert stage.keycheck("verify", str(bundles[-1]), "--key", f"{stage.papers.signer}.pub").returncode == 0


def settle(stage: Stage, drill: str) -> subprocess.CompletedProcess[str]:
    papers = stage.papers
    return stage.keycheck(
        *("drill", "settle", drill, str(papers.deployment), "--profile", str(papers.profile)),
        *("--key", str(papers.signer), "--out", str(stage.home / "runs"), "-o", "json"),
    )


def revocation(bundle: Path) -> dict[str, Any]:
    with zipfile.ZipFile(bundle) as plain:
        lines = [json.loads(line) for line in plain.read("observations.jsonl").splitlines()]
    (found,) = (one for one in lines if one["schema"] == "keys.revocation/1" and one["outcome"]["kind"] == "seen")
    assert isinstance(found, dict)
    return found


def test_a_drill_is_settled_from_its_own_verified_bundle_only(stage: Stage) -> None:
    assert stage.run().returncode in (0, 3)
    (drill,) = drills(stage)
    (bundle,) = (stage.home / "runs").glob("*.zip")
    data = bundle.read_bytes()
    bundle.write_bytes(data[:2000] + bytes([data[2000] ^ 1]) + data[2001:])
    assert settle(stage, drill.name).returncode == 5
    bundle.unlink()
    assert settle(stage, drill.name).returncode == 2
    assert settle(stage, "kc-20200101-000000-00000000").returncode == 2


def test_a_whole_key_is_disabled_and_enabled_again(stage: Stage) -> None:
    stage.authorize("drill", "disable-key", second=True)
    done = stage.run("--disable-key", "--typed", stage.arn())
    assert findings(done)["keys.revocation"]["verdict"] == "pass", done.stderr
    assert findings(done)["keys.recovery"]["verdict"] == "pass"
    assert key_of(stage).state(datetime.now(UTC)).value == "Enabled"
    assert stage.lab.clouds is not None
    assert not stage.lab.clouds.aws.cloud.scheduler.names(), "the dead-man is taken down again"
    assert stage.phases() == ["closed"]


def test_without_a_dead_man_no_key_is_disabled(stage: Stage) -> None:
    stage.amend(lambda key: key["drill"].pop("dead_man"))
    stage.authorize("drill", "disable-key", second=True)
    done = stage.run("--disable-key", "--typed", stage.arn())
    assert findings(done)["keys.revocation"]["reasons"] == ["unsupported"]
    assert "dead" in findings(done)["keys.revocation"]["message"]
    assert stage.lab.clouds is not None
    assert not stage.lab.clouds.aws.cloud.faults.calls["DisableKey"]


def test_a_grant_is_revoked_and_made_again_and_shows_no_pass(stage: Stage) -> None:
    (grant,) = key_of(stage).grants
    stage.amend(lambda key: key["drill"].update(grant=grant))
    stage.authorize("drill", "revoke-grant", second=True)
    done = stage.run("--revoke-grant", "--typed", stage.arn())
    assert findings(done)["keys.revocation"]["verdict"] == "inconclusive", "our own principal does not feel it"
    live = [each for each in key_of(stage).grants.values() if each.ended is None]
    assert [each.id for each in live] != [grant]
    assert [(each.operations, each.view.context_subset) for each in live] == [
        (("Decrypt", "GenerateDataKey"), {"tenant": "acme"})
    ]


def test_material_is_deleted_and_imported_again_from_escrow(stage: Stage) -> None:
    current = key_of(stage).ring.materials[-1]
    (stage.lab.home / "escrow").write_bytes(current.secret)
    (stage.lab.home / "escrow").chmod(0o600)
    stage.amend(lambda key: key["drill"].update(escrow=[{"material": current.id, "local": "escrow"}]))
    stage.authorize("drill", "delete-material", second=True)
    done = stage.run("--delete-material", "--typed", stage.arn())
    assert findings(done)["keys.revocation"]["verdict"] == "pass", done.stderr
    assert key_of(stage).state(datetime.now(UTC)).value == "Enabled"
    written = b"".join(path.read_bytes() for path in (stage.home / "state").rglob("*") if path.is_file())
    assert current.secret not in written
    assert current.secret.hex().encode() not in written


def key_of(stage: Stage) -> Any:
    assert stage.lab.clouds is not None
    return stage.lab.clouds.aws.cloud.kms.find(stage.arn())

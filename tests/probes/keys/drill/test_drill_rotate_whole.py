"""A rotation from end to end on the lab: real sockets, real SDKs, and vendors that rotate well and badly."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rotation_stage import ALLOWED, CANARY_KEY, RULE, Stage, amended, staged, without_ambient

from keycheck.errors import ProbeError
from keycheck.lab.crm.rotation import BODY_FILE
from keycheck.model.authorization import Technique
from keycheck.model.drill import Wish
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Kind, Reason
from probes.keys.drill_facts import Mark
from probes.keys.rotation_controls import Escrow, Rotation
from probes.keys.rotation_facts import Proof, RotationFacts
from probes.keys.timeline import Path as Way

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ambient(monkeypatch)


@pytest.fixture
def honest(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, "honest") as stage:
        yield stage


def refused(stage: Stage, reason: Reason, words: str) -> None:
    before = stage.materials()
    with pytest.raises(ProbeError, match=words) as caught:
        stage.rotated()
    assert caught.value.reason is reason
    assert stage.materials() == before
    assert any("not rotated" in line for line in stage.said)


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_an_honest_vendor_switches_at_once_and_reads_what_is_old(tmp_path: Path, provider: str) -> None:
    with staged(tmp_path, "honest", provider) as stage:
        before = stage.materials()
        facts = stage.rotated()
        verdict = RULE.judge(facts)
        assert verdict.kind is Kind.PASS, verdict
        assert stage.materials() == before + 1
        assert facts.canary
        assert facts.rotated == stage.entry["drill"]["canary_key"]
        (old,) = facts.of(Way.OTHER)
        assert old.during.readable == old.during.all > 3
        assert any("rotation back" in line or "stays" in line for line in facts.irreversible)
        assert Escrow().judge(facts).kind is Kind.INCONCLUSIVE, "another key's"
        _nothing_secret(stage, facts)


def _nothing_secret(stage: Stage, facts: RotationFacts) -> None:
    """Neither what was written nor the vendor's token is in anything that the drill wrote or said."""
    body = json.loads((stage.home / BODY_FILE).read_text())
    token = stage.planted.authorization.read_text().removeprefix("Bearer ")
    kept = [path.read_bytes() for path in (stage.home / "drills").rglob("*") if path.is_file()]
    written = facts.model_dump_json().encode() + "".join(stage.said).encode() + b"".join(kept)
    for secret in (body["notes"], body["email"], token, stage.planted.warm.value):
        for form in (secret.encode(), secret.encode().hex().encode(), base64.b64encode(secret.encode())):
            assert form not in written


def test_a_data_key_that_is_used_for_a_while_is_within_the_bound(tmp_path: Path) -> None:
    with staged(tmp_path, "write-cache") as stage:
        facts = stage.rotated()
        verdict = RULE.judge(facts)
        assert verdict.kind is Kind.PASS, verdict
        at_once = Rotation(within=timedelta(milliseconds=1), callers="account")
        with pytest.raises(ProbeError, match="between two writes"):
            amended(stage, hold="PT30S").rotated(at_once)


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_the_old_data_key_for_ever_fails(tmp_path: Path, provider: str) -> None:
    with staged(tmp_path, "old-material", provider) as stage:
        verdict = RULE.judge(stage.rotated())
    assert verdict.kind is Kind.FAIL, verdict
    assert "under the old material" in verdict.message


def test_a_key_of_the_vendors_own_fails_by_the_silence_of_the_log(tmp_path: Path) -> None:
    with staged(tmp_path, "own-key-after") as stage:
        facts = stage.rotated()
        verdict = RULE.judge(facts)
        assert verdict.kind is Kind.FAIL, verdict
        assert "no data key had been wrapped under the new material" in verdict.message
        late = facts.model_copy(update={"log": facts.log.model_copy(update={"state": "awaiting"})})
        assert RULE.judge(late).kind is Kind.INCONCLUSIVE


def test_old_records_that_no_longer_read_fail(tmp_path: Path) -> None:
    with staged(tmp_path, "forgets-old") as stage:
        verdict = RULE.judge(stage.rotated())
    assert verdict.kind is Kind.FAIL, verdict
    assert "the old record (vendor-warm) was refused" in verdict.message


def test_where_no_stored_record_is_shown_the_log_alone_tells_writes_apart(tmp_path: Path) -> None:
    with staged(tmp_path, "honest", shows=False) as stage:
        (paths,) = stage.entry["drill"]["rotation"]
        one = amended(stage, rotation=[{**paths, "write": paths["write"][:1]}])
        refused(one, Reason.UNSUPPORTED, "nothing could be shown")
        rule = Rotation(within=timedelta(seconds=6), writes=2, quiet=timedelta(seconds=1), callers="account")
        facts = amended(one, hold="PT30S").rotated(rule)
    verdict = rule.judge(facts)
    assert verdict.kind is Kind.PASS, verdict
    by_name = rule.model_copy(update={"callers": "named"})
    assert by_name.judge(facts).kind is Kind.INCONCLUSIVE


class TestTheKeyItself:
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Iterator[Stage]:
        with staged(tmp_path, "honest", production=True) as found:
            typed = found.entry["resource"]
            found.wish = Wish(technique=Technique.ROTATE_KEY, typed=typed, confirmed=True)
            found.authorized = frozenset({Technique.ROTATE_KEY, Technique.CANARY_WRITE})
            yield found

    def test_it_is_rotated_with_proved_escrow_of_every_material(self, stage: Stage) -> None:
        facts = stage.rotated()
        assert RULE.judge(facts).kind is Kind.PASS, RULE.judge(facts)
        assert not facts.canary
        assert facts.rotated == stage.entry["resource"]
        assert {isinstance(each.proof, Proof) for each in facts.escrow} == {True}
        verdict = Escrow().judge(facts)
        assert verdict.kind is Kind.PASS, verdict
        assert "sealed to the customer" in verdict.message
        assert list((stage.home / "drills").rglob("material.sealed"))

    def test_it_is_never_rotated_by_mistake(self, stage: Stage) -> None:
        stage.wish = replace(stage.wish, typed="")
        refused(stage, Reason.NOT_AUTHORIZED, "type the key's own name")
        stage.wish = replace(stage.wish, typed=stage.entry["resource"], confirmed=False)
        before = stage.materials()
        with pytest.raises(ProbeError):
            stage.rotated()
        assert stage.materials() == before
        stage.wish = replace(stage.wish, confirmed=True)
        escrow = stage.entry["drill"]["escrow"]
        refused(amended(stage, escrow=escrow[:1]), Reason.UNSUPPORTED, "escrow")
        (stage.home / escrow[0]["local"]).write_bytes(b"x" * 32)
        before = stage.materials()
        with pytest.raises(ProbeError, match="not begun"):
            stage.rotated()
        assert stage.materials() == before


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"rotation": []}, Reason.UNSUPPORTED, "and has 0"),
        ({"canary_key": None}, Reason.UNSUPPORTED, "canary_key"),
        ({"canary_declared": False}, Reason.UNSUPPORTED, "canary_declared"),
        ({"hold": "PT2S"}, Reason.UNSUPPORTED, "nothing could be shown"),
    ],
    ids=["no-paths", "no-canary-key", "not-declared", "too-short"],
)
def test_what_speaks_against_it_is_said_before_anything_is_changed(
    honest: Stage, change: dict[str, Any], reason: Reason, words: str
) -> None:
    key = honest.clouds.aws.cloud.kms.find(honest.clouds.aws.arns[CANARY_KEY])
    before = len(key.ring.materials)
    with pytest.raises(ProbeError, match=words) as caught:
        amended(honest, **change).rotated()
    assert caught.value.reason is reason
    assert len(key.ring.materials) == before


def test_without_the_technique_or_on_a_dry_run_nothing_is_written_or_changed(honest: Stage) -> None:
    honest.authorized = ALLOWED - {Technique.CANARY_WRITE}
    refused(honest, Reason.NOT_AUTHORIZED, "canary-write")
    honest.authorized = frozenset()
    honest.wish = Wish(dry=True)
    refused(honest, Reason.NOT_AUTHORIZED, "dry run")
    assert "-new-" not in str(
        honest.vendor.respond("GET", "/v1/contacts", b"", honest.planted.authorization.read_text())
    )


def test_writes_that_do_not_work_or_cannot_be_seen_keep_it_from_starting(honest: Stage) -> None:
    (paths,) = honest.entry["drill"]["rotation"]
    wrong = [
        {**each, "stored": {**each["stored"], "pointer": "/phone/0"}} if number else each
        for number, each in enumerate(paths["write"])
    ]
    refused(amended(honest, rotation=[{**paths, "write": wrong}]), Reason.NO_POSITIVE, "vendor-write-02")


def test_a_stop_ends_it_early_and_says_so(honest: Stage) -> None:
    stopped = amended(honest, quiet="PT8S", hold="PT20S")
    threading.Timer(6.0, stopped.stop.set).start()
    facts = stopped.rotated()
    assert RULE.judge(facts).kind is not Kind.FAIL
    assert Rotation(within=timedelta(seconds=3), quiet=timedelta(seconds=8), callers="account").judge(facts).kind is (
        Kind.INCONCLUSIVE
    )


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_late_logs_are_settled_without_touching_anything(tmp_path: Path, provider: str) -> None:
    with staged(tmp_path, "honest", provider) as stage:
        late(stage, timedelta(seconds=8))
        facts = stage.rotated()
        assert RULE.judge(facts).kind is Kind.INCONCLUSIVE
        time.sleep(9)
        before = stage.materials()
        stage.wish = Wish(settle=facts.occasion, earlier=CanonicalJson.of(facts.model_dump(mode="json")))
        stage.authorized = frozenset()
        later = stage.rotated()
        assert RULE.judge(later).kind is Kind.PASS, RULE.judge(later)
        assert stage.materials() == before
        assert later.model_copy(update={"log": facts.log, "markers": facts.markers}) == facts
        assert any("the log is whole" in line for line in stage.said)


def late(stage: Stage, lag: timedelta) -> None:
    stage.clouds.aws.cloud.ledger.lag = lag
    stage.clouds.gcp.cloud.faults.log_lag = lag


def test_the_clouds_own_delay_is_not_the_vendors(tmp_path: Path) -> None:
    with staged(tmp_path, "honest", "gcp") as stage:
        stage.clouds.gcp.cloud.faults.primary_lag = timedelta(seconds=2)
        facts = stage.rotated()
    acted = facts.acted
    assert isinstance(acted, Mark)
    assert facts.switched_us is not None
    # Looks are a quarter of a second apart, and take as long as their two calls.
    assert 1_900_000 <= facts.switched_us - acted.at_us <= 3_000_000
    assert RULE.judge(facts).kind is Kind.PASS, RULE.judge(facts)

"""Disabling the versions of a canary's key, and enabling them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from gcp_stage import HOLD, PRODUCTION, START, Stage, patient, staged
from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.lab.gcp.store import State
from keycheck.model.drill import Change, Where
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import key_name
from probes.keys.drill import Sight
from probes.keys.drill.gcp_disable import DisableVersion, disable
from probes.keys.drill.gcp_sentinel import Sentinel, Withholding


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-disable") as found:
        yield found


def drill(stage: Stage, *versions: str) -> Change:
    numbers = versions or ("1",)
    return disable("d-1", stage.subject(), stage.key, numbers, stage.canary, stage.deadline(), dead_man=stage.man)


def mechanism() -> DisableVersion:
    return DisableVersion(patient)


def states(stage: Stage) -> list[State]:
    return [version.state for _, version in sorted(stage.cloud.kms.store.keys[stage.key].versions.items())]


def sight(stage: Stage) -> Sight:
    return Sentinel(stage.io(), "control", key_name(stage.key), stage.canary, Withholding.DISABLED).ask().sight


def acted(stage: Stage, *versions: str) -> tuple[Change, CanonicalJson]:
    change = drill(stage, *versions)
    before = mechanism().look(change, stage.io())
    mechanism().rehearse(change, before, stage.io())
    mechanism().act(change, before, stage.io())
    return change, before


def standing(stage: Stage, change: Change, before: CanonicalJson) -> Where:
    return mechanism().standing(change, before, stage.io()).where


def test_it_bites_until_it_is_undone_by_a_fresh_object(stage: Stage) -> None:
    change, before = acted(stage)
    assert states(stage) == [State.DISABLED]
    assert not stage.vendor_reads()
    assert sight(stage) is Sight.DENIED
    stage.cloud.scheduler.stalled = True
    stage.clock.forward(2 * HOLD)
    assert not stage.vendor_reads()  # never ends by itself
    assert standing(stage, change, before) is Where.CHANGED
    change = Change.model_validate_json(change.model_dump_json())
    before = CanonicalJson.of(json.loads(before))
    for _ in range(2):
        mechanism().undo(change, before, stage.io())
        assert states(stage) == [State.ENABLED]
        assert standing(stage, change, before) is Where.RESTORED
    assert stage.vendor_reads()


def test_undo_without_an_act_changes_nothing(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    mechanism().undo(change, before, stage.io())
    assert states(stage) == [State.ENABLED]
    assert standing(stage, change, before) is Where.RESTORED


def test_all_enabled_versions_or_none(stage: Stage) -> None:
    stage.cloud.kms.seed_version(stage.key, created=START)
    stage.cloud.kms.seed_version(stage.key, created=START, state="DISABLED", primary=False)
    for versions, reason in ((("1",), Reason.NOT_COVERED), (("1", "2", "3"), Reason.UNSUPPORTED)):
        with pytest.raises(ProbeError) as caught:
            mechanism().look(drill(stage, *versions), stage.io())
        assert caught.value.reason is reason
    change, before = acted(stage, "1", "2")
    assert states(stage) == [State.DISABLED, State.DISABLED, State.DISABLED]
    mechanism().undo(change, before, stage.io())
    assert states(stage) == [State.ENABLED, State.ENABLED, State.DISABLED]


def test_a_crash_between_two_versions_is_undone(stage: Stage) -> None:
    stage.cloud.kms.seed_version(stage.key, created=START)
    change = drill(stage, "1", "2")
    before = mechanism().look(change, stage.io())
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DISABLED
    mechanism().undo(change, before, stage.io())
    assert states(stage) == [State.ENABLED, State.ENABLED]


@pytest.mark.parametrize("who", ["restore", "drill"])
def test_a_rehearsal_finds_who_may_not(stage: Stage, who: str) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.iam.role(stage.role(who), ["cloudkms.cryptoKeyVersions.get"])
    with pytest.raises(ProbeError) as caught:
        mechanism().rehearse(change, before, stage.io())
    assert caught.value.reason is Reason.PERMISSION_DENIED
    assert states(stage) == [State.ENABLED]


def test_undo_is_stubborn_and_act_tries_once(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    mechanism().rehearse(change, before, stage.io())
    stage.cloud.faults.throttle("UpdateCryptoKeyVersion", times=1)
    with pytest.raises(ProbeError):
        mechanism().act(change, before, stage.io())
    assert states(stage) == [State.ENABLED]
    mechanism().act(change, before, stage.io())
    stage.cloud.faults.fail("UpdateCryptoKeyVersion", grpc.StatusCode.UNAVAILABLE, times=3)
    mechanism().undo(change, before, stage.io())
    assert states(stage) == [State.ENABLED]


def test_a_cloud_that_does_not_enable_what_is_enabled(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    refused = ("UpdateCryptoKeyVersion", grpc.StatusCode.FAILED_PRECONDITION, "is already ENABLED")
    stage.cloud.faults.fail(*refused, times=2)  # both identities; what the dead-man is refused it cannot show to work
    mechanism().rehearse(change, before, stage.io())
    stage.cloud.faults.fail(*refused)
    mechanism().undo(change, before, stage.io())
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DISABLED
    with pytest.raises(ProbeError):
        mechanism().undo(change, before, stage.io())


def test_disabling_takes_its_time_and_enabling_none(stage: Stage) -> None:
    stage.cloud.faults.disable_lag = timedelta(minutes=1)
    change, before = acted(stage)
    assert sight(stage) is Sight.READABLE
    stage.clock.forward(timedelta(minutes=1))
    assert sight(stage) is Sight.DENIED
    mechanism().undo(change, before, stage.io())
    assert standing(stage, change, before) is Where.RESTORED


def test_somebody_schedules_its_destruction_meanwhile(stage: Stage) -> None:
    change, before = acted(stage)
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DESTROY_SCHEDULED
    with pytest.raises(ProbeError) as caught:
        mechanism().undo(change, before, stage.io())
    assert caught.value.reason is Reason.CONFLICTING
    assert standing(stage, change, before) is Where.FOREIGN
    assert states(stage) == [State.DESTROY_SCHEDULED]


def test_somebody_disables_it_before_the_act(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DISABLED
    for step in (mechanism().rehearse, mechanism().act):
        with pytest.raises(ProbeError) as caught:
            step(change, before, stage.io())
        assert caught.value.reason is Reason.CONFLICTING
    assert states(stage) == [State.DISABLED]


def test_the_production_key_and_a_late_act_are_refused(stage: Stage) -> None:
    with pytest.raises(ValidationError):
        disable("d-1", stage.subject(), PRODUCTION, ("1",), stage.canary, stage.deadline())
    declared = disable("d-1", stage.subject(), PRODUCTION, ("1",), stage.canary, stage.deadline(), declared=True)
    with pytest.raises(ProbeError):
        mechanism().look(declared, stage.io())
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.clock.forward(HOLD)
    with pytest.raises(ProbeError):
        mechanism().act(change, before, stage.io())
    assert states(stage) == [State.ENABLED]

"""The time-conditioned binding: it bites, ends by itself, and is undone without overwriting anybody."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from gcp_stage import CONTROL, HOLD, PRODUCTION, RING, START, USE, VENDOR, Stage, patient, staged
from google.iam.v1 import policy_pb2  # type: ignore[import-untyped]
from google.protobuf import json_format
from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.lab.gcp.policies import Condition, Grant
from keycheck.model.drill import Change, Where
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import key_name
from probes.keys.drill import Sight
from probes.keys.drill.gcp_binding import Binding, binding
from probes.keys.drill.gcp_calls import GcpError, hand
from probes.keys.drill.gcp_policy import Marks, restricted
from probes.keys.drill.gcp_sentinel import Sentinel
from probes.keys.subjects import Agreed

TITLE = "keycheck-d-1"
UNTIL = 'request.time >= timestamp("2026-11-22T12:05:00Z")'
OTHER = "serviceAccount:batch@acme.iam.gserviceaccount.com"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-binding") as found:
        yield found


def drill(stage: Stage, **subject: object) -> Change:
    return binding("d-1", stage.subject(**subject), stage.key, stage.canary, stage.deadline())


def mechanism() -> Binding:
    return Binding(patient)


def sight(stage: Stage) -> Sight:
    return Sentinel(stage.io(), "control", key_name(stage.key), stage.canary).ask().sight


def acted(stage: Stage) -> tuple[Change, CanonicalJson]:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    mechanism().rehearse(change, before, stage.io())
    mechanism().act(change, before, stage.io())
    return change, before


def standing(stage: Stage, change: Change, before: CanonicalJson) -> Where:
    return mechanism().standing(change, before, stage.io()).where


def refused(stage: Stage, **subject: object) -> ProbeError:
    """Why looking refuses; nothing may have been changed."""
    policy = stage.cloud.iam.policy(stage.key)
    with pytest.raises(ProbeError) as caught:
        mechanism().look(drill(stage, **subject), stage.io())
    assert stage.cloud.iam.policy(stage.key) == policy
    return caught.value


def others(before: dict[str, object]) -> list[str]:
    found = before["others"]
    assert isinstance(found, list)
    return found


def test_it_bites_and_access_returns_at_the_deadline_by_itself(stage: Stage) -> None:
    original = stage.granted()
    change, before = acted(stage)
    assert (USE, VENDOR, UNTIL) in stage.granted()
    assert not stage.vendor_reads()
    assert sight(stage) is Sight.DENIED
    assert standing(stage, change, before) is Where.CHANGED
    stage.clock.forward(HOLD - timedelta(seconds=1))
    assert not stage.vendor_reads()
    stage.clock.forward(timedelta(seconds=1))
    assert stage.vendor_reads()
    assert sight(stage) is Sight.READABLE
    assert standing(stage, change, before) is Where.CHANGED  # ours is to be tidied away
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original
    assert standing(stage, change, before) is Where.RESTORED


def test_undone_before_the_deadline_by_fresh_objects_as_often_as_wanted(stage: Stage) -> None:
    original = stage.granted()
    change, before = acted(stage)
    change = Change.model_validate_json(change.model_dump_json())
    before = CanonicalJson.of(json.loads(before))
    for _ in range(2):
        mechanism().undo(change, before, stage.io())
        assert stage.granted() == original
        assert standing(stage, change, before) is Where.RESTORED
    assert stage.vendor_reads()


def test_what_is_looked_at_and_what_a_person_would_type(stage: Stage) -> None:
    stage.cloud.iam.bind(RING, USE, OTHER)
    change = drill(stage)
    before = mechanism().look(change, stage.io()).parsed()
    assert before["roles"] == [{"role": USE, "members": sorted([VENDOR, CONTROL])}]
    assert f"{OTHER} ({USE} on keyRing)" in others(before)
    assert not any(member in each for each in others(before) for member in (VENDOR, CONTROL))
    assert before["etag"]
    (command,) = change.by_hand
    assert TITLE in command
    assert "…" not in command
    assert stage.canary.ciphertext not in command


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq here")
def test_what_a_person_would_type_takes_the_condition_off(stage: Stage) -> None:
    theirs = 'request.time < timestamp("2027-01-01T00:00:00Z")'
    stage.cloud.iam.bind(stage.key, "roles/cloudkms.viewer", OTHER, condition=theirs)
    original = stage.granted()
    change, _ = acted(stage)
    script = change.by_hand[0].partition(" jq '")[2].partition("' >")[0]
    shown = json_format.MessageToJson(hand(stage.io(), "restore").policy(stage.key))
    typed = subprocess.run(["jq", script], input=shown, capture_output=True, text=True, check=True).stdout
    hand(stage.io(), "restore").put_policy(stage.key, json_format.Parse(typed, policy_pb2.Policy()))
    assert stage.granted() == original


def test_a_rehearsal_changes_nothing_and_shows_who_is_let(stage: Stage) -> None:
    original = stage.granted()
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.iam.forget()
    mechanism().rehearse(change, before, stage.io())
    assert stage.granted() == original
    wrote = {who for who, permission in stage.cloud.iam.asked() if permission.endswith("setIamPolicy")}
    assert len(wrote) == 2
    assert stage.vendor_reads()


@pytest.mark.parametrize("who", ["restore", "drill"])
def test_a_rehearsal_that_is_denied_leaves_nothing(stage: Stage, who: str) -> None:
    original = stage.granted()
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.iam.role(stage.role(who), ["cloudkms.cryptoKeys.getIamPolicy"])
    with pytest.raises(ProbeError) as caught:
        mechanism().rehearse(change, before, stage.io())
    assert caught.value.reason is Reason.PERMISSION_DENIED
    assert stage.granted() == original


def test_undo_keeps_what_somebody_else_added_and_changed(stage: Stage) -> None:
    stage.cloud.iam.audit(stage.key, "DATA_READ")
    change, before = acted(stage)
    stage.cloud.iam.bind(stage.key, USE, OTHER)
    stage.cloud.iam.bind(
        stage.key, "roles/cloudkms.viewer", OTHER, condition='request.time < timestamp("2027-01-01T00:00:00Z")'
    )
    stage.cloud.iam.unbind(stage.key, stage.role("drill"), "serviceAccount:drill@acme.iam.gserviceaccount.com")
    mechanism().undo(change, before, stage.io())
    assert {(USE, VENDOR, None), (USE, CONTROL, None), (USE, OTHER, None)} <= stage.granted()
    assert ("roles/cloudkms.viewer", OTHER, 'request.time < timestamp("2027-01-01T00:00:00Z")') in stage.granted()
    assert not any(role == stage.role("drill") for role, _, _ in stage.granted())
    assert stage.cloud.iam.policy(stage.key).audits
    found = mechanism().standing(change, before, stage.io())
    assert found.where is Where.RESTORED
    assert "somebody else" in found.words


def _without_vendor(stage: Stage) -> tuple[Grant, ...]:
    """The vendor is taken out of our binding: somebody revokes it for good."""
    return tuple(
        Grant(each.role, tuple(member for member in each.members if member != VENDOR), each.condition)
        for each in stage.cloud.iam.policy(stage.key).grants
    )


def _earlier(stage: Stage) -> tuple[Grant, ...]:
    return tuple(
        Grant(each.role, each.members, Condition('request.time >= timestamp("2026-11-22T13:00:00Z")', TITLE))
        if each.condition
        else each
        for each in stage.cloud.iam.policy(stage.key).grants
    )


def _gone(stage: Stage) -> tuple[Grant, ...]:
    return tuple(each for each in stage.cloud.iam.policy(stage.key).grants if each.condition is None)


@pytest.mark.parametrize("rewrite", [_without_vendor, _earlier, _gone])
def test_somebody_rewrites_ours_and_is_not_overwritten(stage: Stage, rewrite: object) -> None:
    change, before = acted(stage)
    policy = stage.cloud.iam.policy(stage.key)
    assert callable(rewrite)
    theirs = stage.cloud.iam.put(stage.key, type(policy)(rewrite(stage), policy.audits, policy.revision))
    with pytest.raises(ProbeError) as caught:
        mechanism().undo(change, before, stage.io())
    assert caught.value.reason is Reason.CONFLICTING
    assert stage.cloud.iam.policy(stage.key) == theirs
    assert standing(stage, change, before) is Where.FOREIGN


def test_granted_again_by_somebody_beside_ours_is_no_conflict(stage: Stage) -> None:
    original = stage.granted()
    change, before = acted(stage)
    stage.cloud.iam.bind(stage.key, USE, VENDOR)
    assert stage.vendor_reads()
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original


def test_a_stale_etag_is_read_and_decided_again(stage: Stage) -> None:
    original = stage.granted()
    change, before = acted(stage)
    stage.cloud.faults.fail("SetIamPolicy", grpc.StatusCode.ABORTED, "There were concurrent policy changes.", times=3)
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original


def test_an_act_under_a_stale_etag_is_refused(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.faults.fail("SetIamPolicy", grpc.StatusCode.ABORTED, "There were concurrent policy changes.", times=1)
    with pytest.raises(ProbeError) as caught:
        mechanism().act(change, before, stage.io())
    assert caught.value.reason is Reason.CONFLICTING
    assert not stage.titles()


@pytest.mark.slow
@pytest.mark.parametrize("step", ["act", "undo"])
def test_a_foreign_binding_added_between_any_two_steps_survives(stage: Stage, step: str) -> None:
    """Somebody else writes at each point where our process looks at its clock, which is around every call."""
    for point in range(1, 40):
        stage.monotonic = itertools.count(0.0, 0.001).__next__
        change = drill(stage)
        before = mechanism().look(change, stage.io())
        if step == "undo":
            mechanism().act(change, before, stage.io())
        ticks = itertools.count()
        done: list[int] = []

        def tick(at: int = point, ticks: Iterator[int] = ticks, done: list[int] = done) -> float:
            number = next(ticks)
            if number == at:
                stage.cloud.iam.bind(stage.key, USE, OTHER)
                done.append(number)
            return number / 1000

        stage.monotonic = tick
        if step == "act":
            with contextlib.suppress(ProbeError):
                mechanism().act(change, before, stage.io())
        else:
            mechanism().undo(change, before, stage.io())
        stage.monotonic = itertools.count(0.0, 0.001).__next__
        mechanism().undo(change, before, stage.io())
        assert ((USE, OTHER, None) in stage.granted()) == bool(done)
        assert {(USE, VENDOR, None), (USE, CONTROL, None)} <= stage.granted()
        assert not stage.titles()
        stage.cloud.iam.unbind(stage.key, USE, OTHER)
        if not done:
            assert point > 5
            return
    raise AssertionError("never came to an end")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["rehearse", "act", "undo"])
def test_killed_between_any_two_calls_and_undone_by_a_fresh_object(stage: Stage, step: str) -> None:
    original = stage.granted()
    for point in range(1, 80):
        change = drill(stage)
        before = mechanism().look(change, stage.io())
        if step == "undo":
            mechanism().act(change, before, stage.io())
        ticks = itertools.count()

        def tick(at: int = point, ticks: Iterator[int] = ticks) -> float:
            if (number := next(ticks)) == at:
                raise Killed
            return number / 1000

        stage.monotonic = tick
        call = {"rehearse": mechanism().rehearse, "act": mechanism().act, "undo": mechanism().undo}[step]
        try:
            call(change, before, stage.io())
            finished = True
        except Killed:
            finished = False
        stage.monotonic = itertools.count(0.0, 0.001).__next__
        for _ in range(2):
            mechanism().undo(change, before, stage.io())
            assert stage.granted() == original
        assert standing(stage, change, before) is Where.RESTORED
        if finished:
            assert point > 3
            return
    raise AssertionError("never came to an end")


def test_an_act_that_is_still_under_way_comes_too_late_after_the_undo(stage: Stage) -> None:
    """The undo writes although it finds nothing, so that the etag of the late write is stale."""
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    who = hand(stage.io(), "drill")
    pairs = frozenset({(USE, VENDOR), (USE, CONTROL)})
    late = restricted(who.policy(stage.key), Marks(TITLE, UNTIL), pairs)
    mechanism().undo(change, before, stage.io())
    with pytest.raises(GcpError) as caught:
        who.put_policy(stage.key, late)
    assert caught.value.status == "ABORTED"
    assert stage.vendor_reads()


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL],
)
def test_undo_is_stubborn_and_act_tries_once(stage: Stage, code: grpc.StatusCode) -> None:
    original = stage.granted()
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.cloud.faults.fail("SetIamPolicy", code, times=1)
    with pytest.raises(ProbeError):
        mechanism().act(change, before, stage.io())
    assert stage.granted() == original
    mechanism().act(change, before, stage.io())
    stage.cloud.faults.fail("SetIamPolicy", code, times=4)
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original


def test_a_change_of_access_takes_its_time_both_ways(stage: Stage) -> None:
    stage.cloud.faults.iam_lag = timedelta(seconds=120)
    change, before = acted(stage)
    assert sight(stage) is Sight.READABLE
    assert standing(stage, change, before) is Where.CHANGED
    stage.clock.forward(timedelta(seconds=121))
    assert sight(stage) is Sight.DENIED
    assert not stage.vendor_reads()
    mechanism().undo(change, before, stage.io())
    found = mechanism().standing(change, before, stage.io())
    assert found.where is Where.CHANGED
    assert "withheld" in found.words
    stage.clock.forward(timedelta(seconds=121))
    assert standing(stage, change, before) is Where.RESTORED


def test_a_vendor_with_a_grant_from_above_is_refused_at_every_level(stage: Stage) -> None:
    for level in (RING, "projects/acme", stage.folder, stage.organization):
        stage.cloud.iam.bind(level, "roles/cloudkms.cryptoKeyDecrypter", VENDOR)
        error = refused(stage)
        assert error.reason is Reason.UNSUPPORTED
        assert "inherits" in str(error)
        stage.cloud.iam.unbind(level, "roles/cloudkms.cryptoKeyDecrypter", VENDOR)
    assert mechanism().look(drill(stage), stage.io())


def test_our_own_control_principal_with_a_grant_from_above_is_refused(stage: Stage) -> None:
    stage.cloud.iam.bind("projects/acme", USE, CONTROL)
    assert refused(stage).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("where", ["key", "project"])
@pytest.mark.parametrize("member", ["group:crm@vendor.example", "domain:vendor.example", "allAuthenticatedUsers"])
def test_a_group_the_vendor_may_be_in_is_refused(stage: Stage, where: str, member: str) -> None:
    stage.cloud.iam.bind(stage.key if where == "key" else "projects/acme", USE, member)
    error = refused(stage)
    assert error.reason is Reason.UNSUPPORTED
    assert member in str(error)


def test_a_group_that_the_annex_calls_the_customers_own_is_not_refused(stage: Stage) -> None:
    stage.cloud.iam.bind("projects/acme", USE, "group:keys@acme.example")
    agreed = Agreed(vendor=(VENDOR,), users=("group:keys@acme.example",))
    before = mechanism().look(drill(stage, agreed=agreed), stage.io()).parsed()
    assert f"group:keys@acme.example ({USE} on projects/acme)" in others(before)


@pytest.mark.parametrize("role", ["roles/owner", "roles/editor", "roles/viewer"])
def test_a_vendor_with_a_basic_role_is_refused(stage: Stage, role: str) -> None:
    stage.cloud.iam.bind("projects/acme", role, VENDOR)
    error = refused(stage)
    assert error.reason is Reason.UNSUPPORTED
    assert "basic role" in str(error)


def test_a_custom_role_from_above_may_be_use(stage: Stage) -> None:
    custom = f"{stage.organization}/roles/app"
    stage.cloud.iam.role(custom, ["cloudkms.cryptoKeyVersions.useToDecrypt"])
    stage.cloud.iam.bind(stage.folder, custom, VENDOR)
    assert "custom role" in str(refused(stage))


def test_a_custom_role_on_the_key_is_restricted_for_the_vendor_and_nobody_else(stage: Stage) -> None:
    custom = f"{stage.organization}/roles/app"
    stage.cloud.iam.role(custom, ["cloudkms.cryptoKeyVersions.useToDecrypt"])
    stage.cloud.iam.bind(stage.key, custom, VENDOR, OTHER)
    original = stage.granted()
    change, before = acted(stage)
    assert {(custom, VENDOR, UNTIL), (custom, OTHER, None)} <= stage.granted()
    assert not stage.vendor_reads()
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original


@pytest.mark.parametrize(
    ("level", "permission"),
    [
        ("keyRing", "cloudkms.keyRings.getIamPolicy"),
        ("project", "resourcemanager.projects.getIamPolicy"),
        ("project", "resourcemanager.projects.get"),
        ("folder", "resourcemanager.folders.getIamPolicy"),
        ("organization", "resourcemanager.organizations.getIamPolicy"),
    ],
)
def test_a_level_that_cannot_be_read_is_refused(stage: Stage, level: str, permission: str) -> None:
    role = f"{stage.organization}/roles/above"
    stage.cloud.iam.role(role, stage.cloud.iam.custom_roles()[role] - {permission})
    error = refused(stage)
    assert error.reason is Reason.NOT_COVERED
    assert level in str(error)


def test_a_grant_that_comes_from_above_after_the_look_stops_the_act(stage: Stage) -> None:
    change = drill(stage)
    io = stage.io()
    before = mechanism().look(change, io)
    stage.cloud.iam.bind("projects/acme", USE, VENDOR)
    with pytest.raises(ProbeError):
        mechanism().act(change, before, io)
    assert not stage.titles()


def test_an_annex_without_a_vendor_and_a_vendor_without_a_grant(stage: Stage) -> None:
    assert refused(stage, agreed=Agreed()).reason is Reason.NOT_COVERED
    stage.cloud.iam.unbind(stage.key, USE, VENDOR)
    assert refused(stage).reason is Reason.NOT_COVERED


def test_a_control_principal_that_is_not_bound_as_the_vendor_is(stage: Stage) -> None:
    stage.cloud.iam.unbind(stage.key, USE, CONTROL)
    stage.cloud.iam.bind(stage.key, "roles/cloudkms.cryptoKeyDecrypter", CONTROL)
    assert refused(stage).reason is Reason.NOT_COVERED


def test_a_condition_of_another_drill_is_recovered_first(stage: Stage) -> None:
    other = binding("d-2", stage.subject(), stage.key, stage.canary, stage.deadline())
    before = mechanism().look(other, stage.io())
    mechanism().act(other, before, stage.io())
    error = refused(stage)
    assert error.reason is Reason.CONFLICTING
    assert "keycheck-d-2" in str(error)


def test_the_production_key_is_never_taken_away(stage: Stage) -> None:
    with pytest.raises(ValidationError):
        binding("d-1", stage.subject(), PRODUCTION, stage.canary, stage.deadline())
    declared = binding("d-1", stage.subject(), PRODUCTION, stage.canary, stage.deadline(), declared=True)
    project = stage.cloud.directory.node("projects/acme")
    assert project is not None
    by_number = declared.parameters.replace("projects/acme", f"projects/{project.number}")
    for change in (declared, declared.model_copy(update={"parameters": CanonicalJson(by_number)})):
        with pytest.raises(ProbeError) as caught:
            mechanism().look(change, stage.io())
        assert caught.value.reason is Reason.UNSUPPORTED


def test_an_act_after_the_deadline_is_refused(stage: Stage) -> None:
    change = drill(stage)
    before = mechanism().look(change, stage.io())
    stage.clock.now = START + HOLD
    with pytest.raises(ProbeError) as caught:
        mechanism().act(change, before, stage.io())
    assert caught.value.reason is Reason.NOT_COVERED
    assert not stage.titles()


def test_conditions_of_others_are_read_and_kept(stage: Stage) -> None:
    """Version 3 both ways: without it they would come back renamed, and go."""
    theirs = 'request.time < timestamp("2027-01-01T00:00:00Z")'
    stage.cloud.iam.bind(stage.key, "roles/cloudkms.viewer", "user:auditor@acme.example", condition=theirs)
    original = stage.granted()
    change, before = acted(stage)
    assert ("roles/cloudkms.viewer", "user:auditor@acme.example", theirs) in stage.granted()
    mechanism().undo(change, before, stage.io())
    assert stage.granted() == original


def test_a_journal_of_another_shape_is_malformed_and_quotes_nothing(stage: Stage) -> None:
    change = drill(stage)
    broken = change.model_copy(update={"parameters": CanonicalJson.of({"key": "secret-word"})})
    with pytest.raises(ProbeError) as caught:
        mechanism().undo(broken, CanonicalJson.of({}), stage.io())
    assert caught.value.reason is Reason.MALFORMED
    assert "secret-word" not in str(caught.value)

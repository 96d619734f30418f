"""Why a drill in Google Cloud does not start, and that nothing is changed to find out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from gcp_stage import CONTROL, HOLD, RING, START, USE, VENDOR, Stage, patient, staged

from keycheck.lab.gcp.store import State
from keycheck.model.drill import Change
from keycheck.model.verdict import Reason
from probes.keys.drill import Refusal
from probes.keys.drill.gcp_binding import Binding, binding
from probes.keys.drill.gcp_dead_man import ACTOR_NEEDS
from probes.keys.drill.gcp_dead_man import NEEDS as FOR_JOBS
from probes.keys.drill.gcp_disable import DisableVersion, disable
from probes.keys.drill.gcp_preflight import ABOVE, NEEDS, Preflight, preflight
from probes.keys.subjects import KeyModel, OnKeyLoss, Roles


@pytest.fixture(params=["gcp-binding", "gcp-disable"])
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, str(request.param)) as found:
        yield found


def drill(stage: Stage, **subject: object) -> Change:
    if stage.kind == "gcp-disable":
        about, until = stage.subject(**subject), stage.deadline()
        return disable("d-1", about, stage.key, ("1",), stage.canary, until, dead_man=stage.man, labelled=True)
    return binding("d-1", stage.subject(**subject), stage.key, stage.canary, stage.deadline())


def look(stage: Stage, **subject: object) -> Preflight:
    policy, versions = stage.cloud.iam.policy(stage.key), repr(stage.cloud.kms.store.keys[stage.key].versions)
    found = preflight(stage.subject(**subject), drill(stage, **subject), stage.io())
    assert stage.cloud.iam.policy(stage.key) == policy
    assert repr(stage.cloud.kms.store.keys[stage.key].versions) == versions
    return found


def reasons(refusals: tuple[Refusal, ...]) -> set[Reason]:
    return {refusal.reason for refusal in refusals}


def test_nothing_speaks_against_an_honest_one_and_what_was_not_checked_is_said(stage: Stage) -> None:
    found = look(stage)
    assert found.refusals == ()
    assert any("Date" in note for note in found.notes)


def test_exactly_the_permissions_that_are_listed_are_needed(stage: Stage) -> None:
    """Enough: the whole drill runs with them. Not too much: each of them is used."""
    change = drill(stage)
    mechanism = DisableVersion(patient) if stage.kind == "gcp-disable" else Binding(patient)
    stage.cloud.iam.forget()
    assert preflight(stage.subject(), change, stage.io()).refusals == ()
    before = mechanism.look(change, stage.io())
    mechanism.rehearse(change, before, stage.io())
    mechanism.act(change, before, stage.io())
    mechanism.undo(change, before, stage.io())
    mechanism.standing(change, before, stage.io())
    used: dict[str, set[str]] = {}
    for principal, permission in stage.cloud.iam.asked():
        used.setdefault(principal.removeprefix("serviceAccount:").partition("@")[0], set()).add(permission)
    wanted = {role: set(permissions) for role, permissions in NEEDS[stage.kind].items()}
    if stage.kind == "gcp-binding":
        wanted["drill"] |= set(ABOVE)
    else:
        wanted["restore"] |= set(FOR_JOBS)
        wanted["key-dead-man"] = set(ACTOR_NEEDS)
    assert used == wanted


@pytest.mark.parametrize("loss", [OnKeyLoss.DELETE, OnKeyLoss.UNKNOWN])
def test_a_vendor_that_deletes_or_does_not_say(stage: Stage, loss: OnKeyLoss) -> None:
    assert Reason.UNSUPPORTED in reasons(look(stage, on_key_loss=loss).refusals)


@pytest.mark.parametrize("model", [each for each in KeyModel if each is not KeyModel.DIRECT_KMS])
def test_models_that_a_canarys_key_proves_nothing_for(stage: Stage, model: KeyModel) -> None:
    assert Reason.UNSUPPORTED in reasons(look(stage, model=model).refusals)


@pytest.mark.parametrize("state", [State.DESTROY_SCHEDULED, State.DISABLED, State.PENDING_IMPORT])
def test_states_of_versions(stage: Stage, state: State) -> None:
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = state
    assert reasons(look(stage).refusals) & {Reason.CONFLICTING, Reason.UNSUPPORTED}


def test_a_rotation_that_falls_into_the_drill(stage: Stage) -> None:
    key = f"{RING}/cryptoKeys/keycheck-canary-2"
    stage.cloud.kms.seed_key(key, rotation_period=timedelta(days=30), next_rotation=START + HOLD)
    policy = stage.cloud.iam.policy(stage.key)
    stage.cloud.iam.put(key, policy)
    stage.key = key
    stage.__post_init__()
    assert reasons(look(stage).refusals) == {Reason.CONFLICTING}


@pytest.mark.parametrize("who", ["drill", "restore"])
def test_whoever_lacks_a_permission(stage: Stage, who: str) -> None:
    stage.cloud.iam.role(stage.role(who), ["cloudkms.cryptoKeys.get"])
    found = look(stage)
    assert any(who in each.words for each in found.refusals if each.reason is Reason.PERMISSION_DENIED)


def test_a_control_principal_that_cannot_read(stage: Stage) -> None:
    stage.cloud.iam.unbind(stage.key, USE, CONTROL)
    assert {Reason.NO_POSITIVE, Reason.PERMISSION_DENIED} <= reasons(look(stage).refusals)


def test_a_hierarchy_that_cannot_be_read_or_lets_the_vendor_in(stage: Stage) -> None:
    if stage.kind != "gcp-binding":
        pytest.skip("disabling a version hits everybody, whatever is granted")
    stage.cloud.iam.bind("projects/acme", USE, VENDOR)
    assert reasons(look(stage).refusals) == {Reason.UNSUPPORTED}
    stage.cloud.iam.role(f"{stage.organization}/roles/above", ["cloudkms.keyRings.getIamPolicy"])
    assert reasons(look(stage).refusals) == {Reason.NOT_COVERED}


def test_identities_that_are_not_declared_or_are_one(stage: Stage) -> None:
    found = look(stage, identities=Roles(drill="drill", restore="nobody", control="control"))
    assert any("nobody" in each.words for each in found.refusals)
    if stage.kind == "gcp-binding":
        found = look(stage, identities=Roles(drill="drill", restore="control", control="control"))
        assert any("another account" in each.words for each in found.refusals)


def test_a_deadline_that_is_over(stage: Stage) -> None:
    stage.clock.forward(HOLD)
    assert Reason.NOT_COVERED in reasons(look(stage).refusals)

"""Rotation in the lab's Google Cloud, by the real client over real sockets."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dying import KilledError, dying
from gcp_rotate_stage import ACCOUNTS, CANARY, NEEDS, PRODUCTION, RING, Stage, staged
from gcp_stage import VENDOR

from keycheck.errors import ProbeError
from keycheck.lab.gcp.store import State
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Where, Wish
from keycheck.model.facts import Unseen
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import key_name
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_import_job import ready
from probes.keys.drill.gcp_rotate import RotateVersion
from probes.keys.drill.gcp_rotate_cloud import GcpRotation
from probes.keys.drill.rotating import MaterialSeen, MaterialUses, Order, prepared
from probes.keys.drill_facts import Markers
from probes.keys.subjects import Incoming

KEY = Technique.ROTATE_KEY
FIRST, SECOND = f"{CANARY}/cryptoKeyVersions/1", f"{CANARY}/cryptoKeyVersions/2"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def owner() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def hands(stage: Stage, order: Order) -> tuple[GcpRotation, RotateVersion]:
    made = prepared(order, stage.io())
    assert isinstance(made, GcpRotation)
    assert isinstance(made.mechanism, RotateVersion)
    return made, RotateVersion(stage.sleep, order.workdir, made.mechanism._told)


def acted(stage: Stage, order: Order) -> tuple[GcpRotation, RotateVersion, CanonicalJson]:
    made, mechanism = hands(stage, order)
    before = mechanism.look(made.change, stage.io())
    mechanism.rehearse(made.change, before, stage.io())
    mechanism.act(made.change, before, stage.io())
    return made, mechanism, before


def refused(stage: Stage, order: Order) -> ProbeError:
    versions = {key: stage.states(key) for key in (PRODUCTION, CANARY)}
    with pytest.raises(ProbeError) as caught:
        prepared(order, stage.io())
    assert {key: stage.states(key) for key in (PRODUCTION, CANARY)} == versions
    return caught.value


def in_no_form(octets: bytes, written: str) -> None:
    for form in (octets.decode("latin-1"), octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode()):
        assert form not in written


def everything_written(stage: Stage, made: GcpRotation, *more: object) -> str:
    files = [path for path in stage.home.rglob("*") if path.is_file() and path.name != "new.bin"]
    kept = "".join(map(repr, more)) + repr(made) + made.change.model_dump_json()
    return kept + "".join(path.read_bytes().decode("latin-1") for path in files)


class TestCanaryKey:
    def test_a_new_version_is_primary_until_it_is_undone_by_a_fresh_object(self, stage: Stage) -> None:
        name, sealed = stage.vendor_writes(CANARY)
        assert name == FIRST
        made, mechanism, before = acted(stage, stage.order())
        assert (stage.primary(CANARY), stage.primary(PRODUCTION)) == (2, 1)
        assert stage.vendor_writes(CANARY)[0] == SECOND
        assert stage.vendor_reads(CANARY, sealed) == b"x"
        assert made.previous() == (FIRST,)
        seen = made.material_now()
        assert isinstance(seen, MaterialSeen)
        assert seen.settled == SECOND
        assert mechanism.standing(made.change, before, stage.io()).where is Where.CHANGED
        change = Change.model_validate_json(made.change.model_dump_json())
        before = CanonicalJson.of(json.loads(before))
        for _ in range(2):
            RotateVersion(stage.sleep).undo(change, before, stage.io())
            assert stage.primary(CANARY) == 1
            standing = RotateVersion(stage.sleep).standing(change, before, stage.io())
            assert (standing.where, "version 2 stays" in standing.words) == (Where.RESTORED, True)
        assert stage.states(CANARY) == {1: State.ENABLED, 2: State.ENABLED}
        assert (made.imported, made.escrow, made.room) == (False, (), None)
        assert made.claims == {CANARY}
        assert any("stays" in words for words in made.irreversible)

    def test_old_versions_are_used_for_a_while(self, stage: Stage) -> None:
        stage.cloud.faults.primary_lag = timedelta(minutes=1)
        made, _, _ = acted(stage, stage.order())
        seen = made.material_now()
        assert isinstance(seen, MaterialSeen)
        assert (seen.settled, seen.places[0].listed, seen.places[0].used) == (None, SECOND, FIRST)
        stage.clock.forward(timedelta(minutes=1))
        seen = made.material_now()
        assert isinstance(seen, MaterialSeen)
        assert seen.settled == SECOND

    def test_imported_material_made_here_is_sealed_to_its_owner_first(
        self, stage: Stage, owner: rsa.RSAPrivateKey
    ) -> None:
        key = f"{RING}/cryptoKeys/imported-keycheck"
        imported(stage, key)
        pem = owner.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (stage.home / "owner.pem").write_bytes(pem)
        order = stage.order(canary_key=key, incoming=Incoming(keep="owner.pem"))
        made, _, before = acted(stage, order)
        assert made.imported
        assert stage.primary(key) == 2
        sealed = (order.workdir / "material.sealed").read_bytes()
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        ephemeral = owner.decrypt(sealed[: owner.key_size // 8], oaep)
        assert aes_key_unwrap_with_padding(ephemeral, sealed[owner.key_size // 8 :]) == stage.octets(key, 2)
        in_no_form(stage.octets(key, 2), everything_written(stage, made, before))
        (proof,) = made.escrow
        assert proof.material == f"{key}/cryptoKeyVersions/1"
        assert isinstance(proof.proved, Unseen)
        assert proof.proved.reason is Reason.UNSUPPORTED

    def test_wrapped_beforehand_by_openssl(self, stage: Stage) -> None:
        key = f"{RING}/cryptoKeys/imported-keycheck"
        imported(stage, key)
        job = ready(hand(stage.io(), "drill"), key_name(key), "HSM", stage.sleep)
        fresh = os.urandom(32)
        (stage.home / "new.bin").write_bytes(fresh)
        (stage.home / "wrapping.pem").write_bytes(job.pem)
        command = (
            "openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in new.bin -out wrapped.bin "
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
        )
        subprocess.run(command.split(), cwd=stage.home, check=True, capture_output=True)
        incoming = Incoming(wrapped="wrapped.bin", import_job=job.id)
        made, _, before = acted(stage, stage.order(canary_key=key, incoming=incoming))
        assert stage.octets(key, stage.primary(key)) == fresh
        in_no_form(fresh, everything_written(stage, made, before))

    def test_octets_that_do_not_come_off_are_never_primary(self, stage: Stage) -> None:
        key = f"{RING}/cryptoKeys/imported-keycheck"
        imported(stage, key)
        job = ready(hand(stage.io(), "drill"), key_name(key), "HSM", stage.sleep)
        (stage.home / "wrapped.bin").write_bytes(b"junk" * 96)
        made, mechanism = hands(
            stage, stage.order(canary_key=key, incoming=Incoming(wrapped="wrapped.bin", import_job=job.id))
        )
        with pytest.raises(ProbeError, match="IMPORT_FAILED"):
            mechanism.look(made.change, stage.io())
        assert stage.primary(key) == 1

    def test_a_job_that_ends_soon_is_not_used(self, stage: Stage) -> None:
        key = f"{RING}/cryptoKeys/imported-keycheck"
        imported(stage, key)
        first = ready(hand(stage.io(), "drill"), key_name(key), "HSM", stage.sleep)
        assert ready(hand(stage.io(), "drill"), key_name(key), "HSM", stage.sleep).id == first.id
        assert ready(hand(stage.io(), "drill"), key_name(key), "SOFTWARE", stage.sleep).id != first.id
        stage.clock.forward(timedelta(days=2, hours=23, minutes=30))
        assert ready(hand(stage.io(), "drill"), key_name(key), "HSM", stage.sleep).id != first.id


def imported(stage: Stage, key: str) -> None:
    stage.seed(key, imported=True)
    for role in ("drill", "restore", "control"):
        stage.cloud.iam.bind(key, stage.role(role), f"serviceAccount:{ACCOUNTS[role]}")


class TestProductionKey:
    def test_confirmed_and_typed(self, stage: Stage) -> None:
        _, mechanism, _ = acted(stage, stage.order(KEY))
        assert (stage.primary(PRODUCTION), stage.primary(CANARY)) == (2, 1)
        assert mechanism.kind == "gcp-rotate"
        for wish in (Wish(KEY, typed=PRODUCTION), Wish(KEY, typed=CANARY, confirmed=True)):
            assert refused(stage, stage.order(KEY, wish)).reason is Reason.NOT_AUTHORIZED

    def test_imported_material_cannot_be_proved_to_lie_in_escrow(self, stage: Stage) -> None:
        stage.cloud.kms.seed_version(PRODUCTION, material=b"M" * 32, import_job=f"{RING}/importJobs/old")
        error = refused(stage, stage.order(KEY))
        assert (error.reason, "only after its version was destroyed" in str(error)) == (Reason.UNSUPPORTED, True)


class TestRefusals:
    def test_a_key_that_is_not_a_canarys(self, stage: Stage) -> None:
        other = f"{RING}/cryptoKeys/other"
        imported(stage, other)
        assert "keycheck" in str(refused(stage, stage.order(canary_key=other)))
        order = stage.order(canary_key=PRODUCTION, canary_declared=True)
        assert "key of the deployment itself" in str(refused(stage, order))

    def test_a_key_that_rotates_meanwhile(self, stage: Stage) -> None:
        settings = stage.cloud.kms.store.keys[CANARY].settings
        period, due = timedelta(days=30), stage.clock() + timedelta(minutes=15)
        stage.cloud.kms.store.keys[CANARY].settings = replace(settings, rotation_period=period, next_rotation=due)
        assert "rotates by itself" in str(refused(stage, stage.order()))

    @pytest.mark.parametrize("who", ["drill", "restore", "control"])
    def test_each_permission_is_needed_and_asked_for_first(self, stage: Stage, who: str) -> None:
        for permission in NEEDS[who]:
            stage.cloud.iam.role(stage.role(who), [each for each in NEEDS[who] if each != permission])
            error = refused(stage, stage.order())
            assert error.reason is Reason.PERMISSION_DENIED, permission

    def test_who_may_not_turn_it_back_is_found_before_the_act(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        stage.cloud.iam.role(stage.role("restore"), [each for each in NEEDS["restore"] if "update" not in each])
        with pytest.raises(ProbeError) as caught:
            mechanism.rehearse(made.change, before, stage.io())
        assert caught.value.reason is Reason.PERMISSION_DENIED
        assert stage.primary(CANARY) == 1

    def test_material_for_a_key_that_google_makes(self, stage: Stage) -> None:
        assert "drop `incoming`" in str(
            refused(stage, stage.order(incoming=Incoming(wrapped="wrapped.bin", import_job="j")))
        )


class TestCrash:
    def test_after_the_version_was_made_nothing_uses_it(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        assert (stage.primary(CANARY), len(stage.states(CANARY))) == (1, 2)
        RotateVersion(stage.sleep).undo(made.change, before, stage.io())
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED

    def test_the_answer_to_the_act_is_lost(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        stage.cloud.faults.garbage.add("UpdateCryptoKeyPrimaryVersion")
        with pytest.raises(ProbeError):
            mechanism.act(made.change, before, stage.io())
        stage.cloud.faults.clear()
        RotateVersion(stage.sleep).undo(made.change, before, stage.io())
        assert stage.primary(CANARY) == 1
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED

    def test_undo_is_stubborn_and_act_tries_once(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        stage.cloud.faults.throttle("UpdateCryptoKeyPrimaryVersion", times=1)
        with pytest.raises(ProbeError):
            mechanism.act(made.change, before, stage.io())
        assert stage.primary(CANARY) == 1
        mechanism.act(made.change, before, stage.io())
        stage.cloud.faults.fail("UpdateCryptoKeyPrimaryVersion", grpc.StatusCode.UNAVAILABLE, times=3)
        mechanism.undo(made.change, before, stage.io())
        assert stage.primary(CANARY) == 1

    @pytest.mark.slow
    def test_killed_before_any_call_a_fresh_process_restores(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        change, points = Change.model_validate_json(made.change.model_dump_json()), 0
        for phase in ("rehearse", "act", "undo"):
            alive, at = False, 0
            while not alive:
                at += 1
                if phase == "undo":
                    mechanism.act(change, before, stage.io())
                try:
                    getattr(RotateVersion(stage.sleep), phase)(change, before, stage.io(dying(at)))
                    alive = True
                except KilledError:
                    points += 1
                for _ in range(2):
                    RotateVersion(stage.sleep).undo(change, before, stage.io())
                assert stage.primary(CANARY) == 1, (phase, at)
                assert mechanism.standing(change, before, stage.io()).where is Where.RESTORED
        assert points > 10
        assert len(stage.states(CANARY)) == 2

    def test_somebody_elses_primary_is_left_alone(self, stage: Stage) -> None:
        made, mechanism, before = acted(stage, stage.order())
        stage.cloud.kms.seed_version(CANARY)
        assert stage.primary(CANARY) == 3
        with pytest.raises(ProbeError) as caught:
            mechanism.undo(made.change, before, stage.io())
        assert caught.value.reason is Reason.CONFLICTING
        assert stage.primary(CANARY) == 3
        assert mechanism.standing(made.change, before, stage.io()).where is Where.FOREIGN

    def test_somebody_disables_the_version_before(self, stage: Stage) -> None:
        made, mechanism, before = acted(stage, stage.order())
        stage.cloud.kms.version(FIRST).state = State.DISABLED
        with pytest.raises(ProbeError) as caught:
            mechanism.undo(made.change, before, stage.io())
        assert (caught.value.reason, "DISABLED" in str(caught.value)) == (Reason.CONFLICTING, True)
        assert stage.primary(CANARY) == 2

    def test_somebody_rotates_before_the_act(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        stage.cloud.kms.seed_version(CANARY)
        for step in (mechanism.rehearse, mechanism.act):
            with pytest.raises(ProbeError) as caught:
                step(made.change, before, stage.io())
            assert caught.value.reason is Reason.CONFLICTING
        assert stage.primary(CANARY) == 3


class TestLog:
    def test_uses_name_their_version_and_marks_arrive(self, stage: Stage) -> None:
        made, mechanism = hands(stage, stage.order())
        before = mechanism.look(made.change, stage.io())
        made.mark()
        stage.clock.forward(timedelta(seconds=5))
        at = {"intended": stage.clock()}
        mechanism.rehearse(made.change, before, stage.io())
        stage.vendor_writes(CANARY)
        stage.clock.forward(timedelta(seconds=5))
        mechanism.act(made.change, before, stage.io())
        at["acted"] = stage.clock()
        stage.clock.forward(timedelta(seconds=5))
        made.mark()
        stage.vendor_writes(CANARY)
        stage.vendor_writes(CANARY)
        stage.clock.forward(timedelta(seconds=5))
        at |= {"undo-intended": stage.clock(), "found-restored": stage.clock()}
        made.mark()
        uses, marks = made.log_uses(at)
        assert isinstance(uses, MaterialUses)
        assert [(use.material, use.count, len(use.times)) for use in uses.uses if use.principal == VENDOR] == [
            (FIRST, 1, 1),
            (SECOND, 2, 2),
        ]
        assert {use.principal for use in uses.uses} - {VENDOR} <= set(made.ours)
        assert (uses.complete, uses.muted, uses.why_not) == (True, (), "")
        assert marks == Markers(before="arrived", during="arrived", after="arrived")
        assert len(made.marks()) >= 3
        assert made.clock_us < 1_000_000

    def test_a_log_that_is_not_switched_on_says_so(self, stage: Stage) -> None:
        made, _ = hands(stage, stage.order())
        assert all(isinstance(each, Unseen) for each in made.log_uses({}))
        stage.cloud.iam.audit("projects/acme")
        stage.clock.forward(timedelta(seconds=5))
        made.mark()
        uses, _ = made.log_uses({"intended": stage.clock(), "acted": stage.clock()})
        assert isinstance(uses, Unseen)
        assert uses.reason is Reason.CLOCK_UNTRUSTED

    def test_whom_the_log_keeps_silent_about(self, stage: Stage) -> None:
        stage.cloud.iam.audit("projects/acme", "DATA_READ", exempted=(VENDOR,))
        made, _ = hands(stage, stage.order())
        made.mark()
        uses, _ = made.log_uses({"intended": stage.clock(), "acted": stage.clock()})
        assert isinstance(uses, MaterialUses)
        assert any(VENDOR in words for words in uses.muted)

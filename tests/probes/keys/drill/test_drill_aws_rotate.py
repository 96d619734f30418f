"""Rotation in the lab's AWS, by the real SDK over real sockets. Waiting turns the lab's clock and takes no time."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from aws_rotate_stage import CURRENT, NEEDS, NOON, OLD, REGION, SECOND, VENDOR, Stage, policy, staged, user
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dying import KilledError, dying

from keycheck.drill.home import Home
from keycheck.drill.kit import kit_for
from keycheck.drill.runner import Result, run
from keycheck.errors import ProbeError
from keycheck.lab.aws.kms.model import MaterialState, Origin
from keycheck.model.authorization import Technique
from keycheck.model.deployment import Deployment
from keycheck.model.drill import Change, Where, Wish
from keycheck.model.facts import Unseen
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_rotate import IN_FLIGHT, Rotate
from probes.keys.drill.aws_rotate_cloud import AwsRotation
from probes.keys.drill.rotating import MaterialSeen, MaterialUses, Order, prepared
from probes.keys.drill_facts import Markers
from probes.keys.subjects import Incoming

KEY, CANARY = Technique.ROTATE_KEY, Technique.ROTATE_CANARY


@pytest.fixture(scope="session")
def rotate_loader() -> object:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def stage(tmp_path: Path, rotate_loader: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with staged(tmp_path, rotate_loader) as found:
        yield found


@pytest.fixture(scope="session")
def owner() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def hands(stage: Stage, order: Order) -> tuple[AwsRotation, Rotate]:
    """With a mechanism that waits on the lab's clock."""
    made = prepared(order, stage.io())
    assert isinstance(made, AwsRotation)
    assert isinstance(made.mechanism, Rotate)
    return made, Rotate(stage.sleep, order.workdir, made.mechanism._told)


def acted(stage: Stage, order: Order) -> tuple[AwsRotation, Rotate, CanonicalJson]:
    made, mechanism = hands(stage, order)
    before = mechanism.look(made.change, stage.io())
    mechanism.rehearse(made.change, before, stage.io())
    mechanism.act(made.change, before, stage.io())
    return made, mechanism, before


def refused(stage: Stage, order: Order) -> ProbeError:
    writes = ("ImportKeyMaterial", "RotateKeyOnDemand", "DeleteImportedKeyMaterial")
    before = [stage.cloud.faults.calls[name] for name in writes]
    with pytest.raises(ProbeError) as caught:
        prepared(order, stage.io())
    assert [stage.cloud.faults.calls[name] for name in writes] == before
    return caught.value


def keep(stage: Stage, owner: rsa.RSAPrivateKey) -> Incoming:
    pem = owner.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (stage.home / "owner.pem").write_bytes(pem)
    return Incoming(keep="owner.pem")


def opened(owner: rsa.RSAPrivateKey, sealed: bytes) -> bytes:
    """As an HSM would: CKM_RSA_AES_KEY_WRAP."""
    size = owner.key_size // 8
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return aes_key_unwrap_with_padding(owner.decrypt(sealed[:size], oaep), sealed[size:])


def everything_written(stage: Stage, made: AwsRotation, *more: object) -> str:
    kept = "".join(map(repr, more)) + repr(made) + made.change.model_dump_json() + repr(made.change)
    skip = {"old.bin", "current.bin", "new.bin", "config"}
    files = [path for path in stage.home.rglob("*") if path.is_file() and path.name not in skip]
    return kept + "".join(path.read_bytes().decode("latin-1") for path in files)


def in_no_form(octets: bytes, written: str) -> None:
    for form in (octets.decode("latin-1"), octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode()):
        assert form not in written
    assert base64.urlsafe_b64encode(octets).decode() not in written


class TestCanaryKey:
    def test_new_material_is_made_brought_and_rotated_to(self, stage: Stage) -> None:
        key = stage.key()
        old, sealed = stage.current(key), stage.vendor_writes(key)
        made, mechanism, before = acted(stage, stage.order(key))
        fresh = stage.current(key)
        assert fresh != old
        assert made.previous()[0] == old
        assert made.key == key.arn
        assert made.places == (REGION,)
        assert made.room == (1, 25)
        seen = made.material_now()
        assert isinstance(seen, MaterialSeen)
        assert seen.settled == fresh
        assert stage.octets(key) not in (OLD, CURRENT)
        for _ in range(2):
            mechanism.undo(made.change, before, stage.io())
        assert stage.current(key) == fresh
        standing = mechanism.standing(made.change, before, stage.io())
        assert (standing.where, "rotated, for ever" in standing.words, fresh in standing.words) == (
            Where.RESTORED,
            True,
            True,
        )
        assert stage.waits == [0.0]  # nothing waited for a rotation, so nothing was waited for
        assert stage.do("Decrypt", key, CiphertextBlob=sealed, EncryptionContext=dict(CONTEXT_OF))["Plaintext"]
        in_no_form(stage.octets(key), everything_written(stage, made, before, standing))
        assert all("could not be proved" not in words for words in made.irreversible)
        assert [isinstance(proof.proved, Unseen) for proof in made.escrow] == [True, True]

    def test_escrow_that_is_declared_is_proved_for_a_canary_too(self, stage: Stage) -> None:
        key = stage.key()
        made, _, _ = acted(stage, stage.order(key, escrow=stage.escrow(key)))
        assert [proof.material for proof in made.escrow] == stage.ids(key)[:2]
        assert all(proof.proved == stage.now for proof in made.escrow)

    def test_material_that_aws_makes(self, stage: Stage) -> None:
        key = stage.key(origin=Origin.AWS_KMS)
        old = stage.current(key)
        made, mechanism, before = acted(stage, stage.order(key))
        assert stage.current(key) != old
        assert (made.imported, made.escrow) == (False, ())
        assert stage.cloud.faults.calls["ImportKeyMaterial"] == 0
        mechanism.undo(made.change, before, stage.io())
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED
        assert "rotated" in mechanism.standing(made.change, before, stage.io()).words

    def test_every_region_gets_the_same_octets(self, stage: Stage) -> None:
        key = stage.key(spread=True)
        made, mechanism, before = acted(stage, stage.order(key))
        assert made.places == (REGION, SECOND)
        assert made.claims == {key.arn, stage.replica(key).arn}
        seen = made.material_now()
        assert isinstance(seen, MaterialSeen)
        assert {place.used for place in seen.places} == {stage.current(key)}
        assert stage.do("DescribeKey", stage.replica(key))["KeyMetadata"]["KeyState"] == "Enabled"  # type: ignore[index]
        mechanism.undo(made.change, before, stage.io())
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED

    def test_wrapped_beforehand_by_openssl(self, stage: Stage) -> None:
        key = stage.key()
        fresh = os.urandom(32)
        (stage.home / "new.bin").write_bytes(fresh)
        given = stage.do(
            "GetParametersForImport", key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_4096"
        )
        assert isinstance(given["PublicKey"], bytes)
        assert isinstance(given["ImportToken"], bytes)
        (stage.home / "wrapping.der").write_bytes(given["PublicKey"])
        (stage.home / "token.bin").write_bytes(given["ImportToken"])
        command = (
            "openssl pkeyutl -encrypt -pubin -keyform DER -inkey wrapping.der -in new.bin -out wrapped.bin "
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
        )
        subprocess.run(command.split(), cwd=stage.home, check=True, capture_output=True)
        incoming = Incoming(wrapped="wrapped.bin", token="token.bin")
        made, _, before = acted(stage, stage.order(key, incoming=incoming))
        assert stage.octets(key) == fresh
        in_no_form(fresh, everything_written(stage, made, before))

    def test_it_must_be_declared_and_apart(self, stage: Stage) -> None:
        key = stage.key()
        order = stage.order(key)
        assert "canary_declared" in str(refused(stage, stage.order(key, canary_declared=False)))
        own = order.plan.model_copy(update={"canary_key": order.subject.resource})
        assert "key of the deployment itself" in str(refused(stage, replace(order, plan=own)))
        none = order.plan.model_copy(update={"canary_key": None})
        assert "canary_key" in str(refused(stage, replace(order, plan=none)))


CONTEXT_OF = {"tenant": "keycheck-acme", "record": "keycheck-7f3a"}


class TestProductionKey:
    def test_with_everything_proved(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key()
        order = stage.order(key, KEY, escrow=stage.escrow(key), incoming=keep(stage, owner))
        made, _, before = acted(stage, order)
        assert all(proof.proved == stage.now for proof in made.escrow)
        assert len(made.escrow) == 2
        kept = order.workdir / "material.sealed"
        assert kept.stat().st_mode & 0o777 == 0o600
        assert opened(owner, kept.read_bytes()) == stage.octets(key)
        in_no_form(stage.octets(key), everything_written(stage, made, before))
        in_no_form(OLD, everything_written(stage, made, before))

    def test_in_every_region(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key(spread=True)
        order = stage.order(key, KEY, escrow=stage.escrow(key), incoming=keep(stage, owner))
        made, _, _ = acted(stage, order)
        assert sorted(
            (proof.place, proof.material) for proof in made.escrow if not isinstance(proof.proved, Unseen)
        ) == (sorted((place, material) for place in (REGION, SECOND) for material in stage.ids(key)[:2]))

    @pytest.mark.parametrize(
        ("wish", "words"),
        [
            (Wish(KEY, confirmed=True), "type the key's own name"),
            (Wish(KEY, typed="arn:aws:kms:other", confirmed=True), "type the key's own name"),
        ],
    )
    def test_typed_and_confirmed(self, stage: Stage, owner: rsa.RSAPrivateKey, wish: Wish, words: str) -> None:
        key = stage.key()
        plan = {"escrow": stage.escrow(key), "incoming": keep(stage, owner)}
        assert words in str(refused(stage, stage.order(key, KEY, wish, **plan)))
        typed = Wish(KEY, typed=key.arn)
        error = refused(stage, stage.order(key, KEY, typed, **plan))
        assert (error.reason, "confirmed" in str(error)) == (Reason.NOT_AUTHORIZED, True)

    def test_escrow_of_every_material_or_none(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key()
        declared = stage.escrow(key)
        for some in ((), declared[:1], declared[1:]):
            error = refused(stage, stage.order(key, KEY, escrow=some, incoming=keep(stage, owner)))
            assert (error.reason, "escrow is not declared of every material" in str(error)) == (
                Reason.UNSUPPORTED,
                True,
            )
        assert stage.cloud.faults.calls["ImportKeyMaterial"] == 0

    def test_wrong_octets_in_escrow_change_nothing(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key()
        order = stage.order(key, KEY, escrow=stage.escrow(key), incoming=keep(stage, owner))
        (stage.home / "old.bin").write_bytes(b"X" * 32)
        made, mechanism = hands(stage, order)
        before = mechanism.look(made.change, stage.io())
        with pytest.raises(ProbeError, match="IncorrectKeyMaterial"):
            mechanism.rehearse(made.change, before, stage.io())
        assert mechanism.look(made.change, stage.io()) == before
        assert stage.cloud.faults.calls["RotateKeyOnDemand"] == 0
        assert not (order.workdir / "material.sealed").exists()

    def test_material_made_here_must_be_kept(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key()
        error = refused(stage, stage.order(key, KEY, escrow=stage.escrow(key)))
        assert "lost for ever" in str(error)
        weak = rsa.generate_private_key(65537, 2048).public_key()
        (stage.home / "weak.pem").write_bytes(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        error = refused(stage, stage.order(key, KEY, escrow=stage.escrow(key), incoming=Incoming(keep="weak.pem")))
        assert "3072" in str(error)

    def test_what_cannot_be_kept_is_not_used(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key = stage.key()
        order = stage.order(key, KEY, escrow=stage.escrow(key), incoming=keep(stage, owner))
        made, mechanism = hands(stage, order)
        before = mechanism.look(made.change, stage.io())
        mechanism.rehearse(made.change, before, stage.io())
        (order.workdir / "material.sealed").write_bytes(b"of another drill")
        with pytest.raises(ProbeError, match="cannot be written"):
            mechanism.act(made.change, before, stage.io())
        assert mechanism.look(made.change, stage.io()) == before


class TestWhole:
    def test_a_drill_by_the_runner_writes_no_secret_down(self, stage: Stage, owner: rsa.RSAPrivateKey) -> None:
        key, home = stage.key(), Home(stage.home / "drills")
        order = stage.order(key, KEY, escrow=stage.escrow(key), incoming=keep(stage, owner))
        order = replace(order, workdir=home.directory(order.drill))
        made, mechanism = hands(stage, order)
        io, seen = stage.io(), list[object]()
        deployment = Deployment(deployment="lab", identities=io.identities)
        kit = kit_for(deployment, stage.home / "deployment.yaml", "keys/contacts", io, made.claims)
        outcome = run(
            made.change,
            mechanism,
            io,
            home,
            kit,
            during=lambda held: seen.append(made.material_now()),
            settle=timedelta(0),
            stop=Event(),
            guarded=False,
        )
        assert (outcome.result, outcome.troubles) == (Result.RESTORED, ())
        assert "rotated, for ever" in outcome.words
        (now,) = seen
        assert isinstance(now, MaterialSeen)
        assert now.settled == stage.current(key)
        assert {path.name for path in order.workdir.iterdir()} >= {"material.sealed", "journal.jsonl"}
        written = everything_written(stage, made, outcome)
        for octets in (stage.octets(key), OLD, CURRENT):
            in_no_form(octets, written)


class TestRefusals:
    def test_the_twenty_sixth_rotation(self, stage: Stage) -> None:
        key = stage.key(origin=Origin.AWS_KMS)
        for _ in range(24):
            stage.do("RotateKeyOnDemand", key)
        made, _ = hands(stage, stage.order(key))
        assert made.room == (24, 25)
        stage.do("RotateKeyOnDemand", key)
        assert "may have 25" in str(refused(stage, stage.order(key)))

    def test_states_that_are_not_for_rotating(self, stage: Stage) -> None:
        key = stage.key()
        order = stage.order(key)
        stage.cloud.kms.import_material(key, b"P" * 32, new=True)
        assert "pending" in str(refused(stage, order))
        (pending,) = stage.ids(key, MaterialState.PENDING_ROTATION)
        stage.do("DeleteImportedKeyMaterial", key, KeyMaterialId=pending)
        stage.do("DisableKey", key)
        assert "Disabled" in str(refused(stage, order))
        stage.do("EnableKey", key)
        stage.do("DeleteImportedKeyMaterial", key, KeyMaterialId=stage.ids(key)[0])
        assert "not imported" in str(refused(stage, order))
        stage.cloud.kms.import_material(key, OLD, expires=stage.now + timedelta(minutes=12))
        assert "expires" in str(refused(stage, order))

    def test_what_aws_does_not_rotate(self, stage: Stage) -> None:
        order = stage.order(stage.key())
        for given in ({"spec": "RSA_2048"}, {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"}):
            made = stage.cloud.kms.create("111122223333", REGION, **given)  # type: ignore[arg-type]
            stage.cloud.kms.set_policy(made, policy())  # type: ignore[arg-type]
            plan = order.plan.model_copy(update={"canary_key": made.arn})
            assert refused(stage, replace(order, plan=plan)).reason is Reason.UNSUPPORTED
        store = stage.cloud.kms.store("111122223333", REGION, "hsm", external=True)
        held = stage.cloud.kms.create(
            "111122223333",
            REGION,
            origin=Origin.EXTERNAL_KEY_STORE,
            store=store,
            xks_key="k",
            policy=policy(),  # type: ignore[arg-type]
        )
        plan = order.plan.model_copy(update={"canary_key": held.arn})
        assert "custom key store" in str(refused(stage, replace(order, plan=plan)))

    def test_a_key_that_aws_rotates_meanwhile(self, stage: Stage) -> None:
        key = stage.key(origin=Origin.AWS_KMS)
        stage.do("EnableKeyRotation", key, RotationPeriodInDays=90)
        hands(stage, stage.order(key))
        stage.now += timedelta(days=90) - timedelta(minutes=12)
        assert "by itself" in str(refused(stage, stage.order(key)))

    def test_a_vendor_that_deletes_or_does_not_say(self, stage: Stage) -> None:
        order = stage.order(stage.key())
        subject = order.subject.model_copy(update={"on_key_loss": "unknown"})
        assert "on_key_loss" in str(refused(stage, replace(order, subject=subject)))

    @pytest.mark.parametrize(
        "action", sorted({*NEEDS["drill"], *NEEDS["restore"], *NEEDS["control"]} - {"kms:DeleteImportedKeyMaterial"})
    )
    def test_without_a_permission_nothing_is_rotated(self, stage: Stage, action: str) -> None:
        key = stage.key()
        order, old = stage.order(key, escrow=stage.escrow(key)), stage.current(key)
        stage.cloud.kms.set_policy(key, policy(without=action))  # type: ignore[arg-type]
        with pytest.raises(ProbeError, match=action):
            acted(stage, order)
        assert stage.current(key) == old

    def test_who_may_not_tidy_up_is_told_and_a_person_is(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.cloud.kms.set_policy(key, policy(without="kms:DeleteImportedKeyMaterial"))  # type: ignore[arg-type]
        stage.cloud.faults.fail("RotateKeyOnDemand", "KMSInternalException", "lost", times=1)
        with pytest.raises(ProbeError):
            mechanism.act(made.change, before, stage.io())
        with pytest.raises(ProbeError, match="DeleteImportedKeyMaterial"):
            mechanism.undo(made.change, before, stage.io())
        assert mechanism.standing(made.change, before, stage.io()).where is Where.CHANGED
        (command,) = made.change.by_hand
        assert "delete-imported-key-material" in command
        assert "keycheck drill kc-1" in command


class TestCrash:
    def test_between_import_and_rotation_the_pending_material_goes(self, stage: Stage) -> None:
        for spread in (False, True):
            key = stage.key(spread=spread)
            old = stage.ids(key)
            made, mechanism = hands(stage, stage.order(key))
            before = mechanism.look(made.change, stage.io())
            stage.cloud.faults.fail("RotateKeyOnDemand", "KMSInternalException", "lost", times=1)
            with pytest.raises(ProbeError):
                mechanism.act(made.change, before, stage.io())
            assert len(stage.ids(key)) == 3
            change = Change.model_validate_json(made.change.model_dump_json())
            fresh = Rotate(stage.sleep)
            assert fresh.standing(change, before, stage.io()).where is Where.CHANGED
            stage.waits.clear()
            fresh.undo(change, before, stage.io())
            assert stage.waits == [IN_FLIGHT]
            assert stage.ids(key) == old
            standing = fresh.standing(change, before, stage.io())
            assert (standing.where, "was not rotated" in standing.words) == (Where.RESTORED, True)
            fresh.undo(change, before, stage.io())
            assert stage.waits == [IN_FLIGHT]

    def test_between_two_regions(self, stage: Stage) -> None:
        key = stage.key(spread=True)
        old = stage.ids(key)
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.cloud.faults.fail("ImportKeyMaterial", "KMSInternalException", "lost", after=1, times=1)
        with pytest.raises(ProbeError):
            mechanism.act(made.change, before, stage.io())
        assert stage.ids(key, MaterialState.PENDING_MULTI_REGION)
        mechanism.undo(made.change, before, stage.io())
        assert stage.ids(key) == old
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED

    def test_a_rotation_that_lands_while_waiting_is_left_alone(self, stage: Stage) -> None:
        """The process died with its request under way: it is done after recovery looked for the first time."""
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.cloud.faults.fail("RotateKeyOnDemand", "KMSInternalException", "lost", times=1)
        with pytest.raises(ProbeError):
            mechanism.act(made.change, before, stage.io())
        Rotate(lambda _: stage.cloud.kms.rotate(key) and None).undo(made.change, before, stage.io())
        assert stage.cloud.faults.calls["DeleteImportedKeyMaterial"] == 0
        standing = mechanism.standing(made.change, before, stage.io())
        assert (standing.where, stage.current(key) in standing.words) == (Where.RESTORED, True)

    @pytest.mark.slow
    def test_killed_before_any_call_a_fresh_process_tidies_up(self, stage: Stage) -> None:
        points, alive, turned = 0, False, set[bool]()
        while not alive:
            key = stage.key(spread=True)
            old, current = stage.ids(key), stage.current(key)
            made, mechanism = hands(stage, stage.order(key))
            before = mechanism.look(made.change, stage.io())
            try:
                mechanism.act(made.change, before, stage.io(dying(points + 1)))
                alive = True
            except KilledError:
                points += 1
            change = Change.model_validate_json(made.change.model_dump_json())
            Rotate(stage.sleep).undo(change, before, stage.io())
            standing = Rotate(stage.sleep).standing(change, before, stage.io())
            assert standing.where is Where.RESTORED, (points, standing.words)
            rotated = stage.current(key) != current
            assert rotated or stage.ids(key) == old
            assert stage.ids(key, MaterialState.PENDING_ROTATION, MaterialState.PENDING_MULTI_REGION) == []
            turned.add(rotated)
        assert points > 8
        assert turned == {False, True}

    def test_after_the_rotation_there_is_nothing_to_undo(self, stage: Stage) -> None:
        key = stage.key()
        made, _, before = acted(stage, stage.order(key))
        change, materials = Change.model_validate_json(made.change.model_dump_json()), stage.ids(key)
        Rotate(stage.sleep).undo(change, before, stage.io())
        assert stage.ids(key) == materials
        assert stage.cloud.faults.calls["DeleteImportedKeyMaterial"] == 0

    def test_undo_without_an_act_changes_nothing(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        mechanism.undo(made.change, before, stage.io())
        assert mechanism.look(made.change, stage.io()) == before
        assert mechanism.standing(made.change, before, stage.io()).where is Where.RESTORED

    def test_somebody_elses_pending_material_is_left_alone(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.cloud.kms.import_material(key, b"P" * 32, new=True, description="keycheck drill kc-2")
        with pytest.raises(ProbeError, match="not as it was looked at"):
            mechanism.act(made.change, before, stage.io())
        mechanism.undo(made.change, before, stage.io())
        assert stage.ids(key, MaterialState.PENDING_ROTATION)
        standing = mechanism.standing(made.change, before, stage.io())
        assert (standing.where, "somebody else's material" in standing.words) == (Where.RESTORED, True)

    def test_somebody_takes_a_material_away(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism, before = acted(stage, stage.order(key))
        stage.do("DeleteImportedKeyMaterial", key, KeyMaterialId=stage.ids(key)[0])
        assert mechanism.standing(made.change, before, stage.io()).where is Where.FOREIGN
        stage.cloud.kms.import_material(key, OLD)
        stage.do("DeleteImportedKeyMaterial", key)
        standing = mechanism.standing(made.change, before, stage.io())
        assert (standing.where, "import it again" in standing.words) == (Where.CHANGED, True)

    def test_the_deadline(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.now = made.change.deadline
        with pytest.raises(ProbeError) as caught:
            mechanism.act(made.change, before, stage.io())
        assert caught.value.reason is Reason.NOT_COVERED
        assert len(stage.ids(key)) == 2


class TestLog:
    def test_uses_name_their_material_and_marks_arrive(self, stage: Stage) -> None:
        key = stage.key()
        made, mechanism = hands(stage, stage.order(key))
        before = mechanism.look(made.change, stage.io())
        stage.vendor_writes(key)
        made.mark()
        stage.now += timedelta(seconds=5)
        at = {"intended": stage.now}
        mechanism.rehearse(made.change, before, stage.io())
        old = stage.current(key)
        stage.vendor_writes(key)
        stage.now += timedelta(seconds=5)
        mechanism.act(made.change, before, stage.io())
        at["acted"] = stage.now
        stage.now += timedelta(seconds=5)
        made.mark()
        stage.vendor_writes(key)
        stage.now += timedelta(seconds=5)
        at |= {"undo-intended": stage.now, "found-restored": stage.now}
        made.mark()
        stage.now += timedelta(hours=1)
        uses, marks = made.log_uses(at)
        assert isinstance(uses, MaterialUses)
        theirs = [(use.material, use.count) for use in uses.uses if use.principal == VENDOR]
        assert sorted(theirs) == sorted([(old, 1), (stage.current(key), 1)])
        assert {use.principal for use in uses.uses} == {VENDOR, user("control")}
        assert all(len(use.times) == use.count for use in uses.uses)
        assert user("control") in made.ours
        assert (uses.complete, uses.muted) == (True, ())
        assert marks == Markers(before="arrived", during="arrived", after="arrived")
        assert len(made.marks()) == 3

    def test_without_a_log_it_is_unseen(self, stage: Stage) -> None:
        made, _ = hands(stage, stage.order(stage.key()))
        assert all(isinstance(each, Unseen) for each in made.log_uses({}))
        stage.cloud.faults.fail("LookupEvents", "AccessDeniedException", "no")
        uses, _ = made.log_uses({"intended": NOON, "acted": NOON})
        assert isinstance(uses, Unseen)

    def test_a_cloud_that_does_not_answer_names_no_material(self, stage: Stage) -> None:
        made, _ = hands(stage, stage.order(stage.key()))
        stage.cloud.faults.fail("Decrypt", "AccessDeniedException", "no")
        seen = made.material_now()
        assert isinstance(seen, Unseen)
        assert seen.reason is Reason.PERMISSION_DENIED

"""Whole runs on the practice vendor's exports: mute key services, interrupts, and bundles judged again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import grpc
import pytest
from fields_lab import ESDK, TINK, Whole, whole
from fields_whole import command

import keycheck.run
from keycheck.evidence.keys import public_path
from keycheck.evidence.reader import BundleReader
from keycheck.lab.aws.faults import Damage
from keycheck.lab.aws.faults import Faults as AwsFaults
from keycheck.lab.gcp.faults import Faults as GcpFaults
from keycheck.lab.world import Lab
from keycheck.model.verdict import ExitCode, Kind, Reason
from keycheck.units import Advance
from probes.fields import observe
from probes.fields.opening import unwrap

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("temporaries")]
NEED_THE_KEY = {f"fields.{name}" for name in ("encrypted", "algorithm", "key", "tag", "tamper")}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), sections=frozenset({"datasets"})) as up:
        yield up


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two attempts."""
    monkeypatch.setattr(unwrap, "_PAUSE", 0.01)


@pytest.fixture
def aws(lab: Lab) -> Iterator[AwsFaults]:
    assert lab.clouds is not None
    faults = lab.clouds.aws.cloud.faults
    sleep = faults.sleep
    yield faults
    faults.clear()
    faults.sleep = sleep


@pytest.fixture
def gcp(lab: Lab) -> Iterator[GcpFaults]:
    assert lab.clouds is not None
    yield lab.clouds.gcp.cloud.faults
    lab.clouds.gcp.cloud.faults.clear()


@pytest.fixture(scope="module")
def clean(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """An undisturbed run over both exports."""
    return whole(lab, tmp_path_factory.mktemp("clean"))


def test_the_honest_vendor_passes_everything(clean: Whole) -> None:
    for subject in (ESDK, TINK):
        found = dict(clean.verdicts(subject))
        revoked = found.pop("fields.revoked", None)  # which only the record of a drill can show
        assert revoked == (frozenset({Kind.NOT_TESTED}) if subject == ESDK else None)
        assert set().union(*found.values()) <= {Kind.PASS, Kind.NOT_APPLICABLE}
        assert clean.passed(subject) >= NEED_THE_KEY


def signer(clean: Whole) -> Path:
    """The public half of the key that signed."""
    return public_path(clean.prepared.request.deployment.with_name("signer.pem"))


def test_a_bundle_verifies_and_is_judged_again_to_the_same_bytes(clean: Whole) -> None:
    bundle = clean.outcome.bundle.path
    assert command("verify", str(bundle), "--key", str(signer(clean))).code == 0
    again = command("judge", str(bundle), "--key", str(signer(clean)), "--output", "json")
    assert again.out.encode() == clean.outcome.assessment_json + b"\n"
    assert again.code == clean.outcome.exit_code


def test_the_exports_digest_stands_before_its_columns(clean: Whole) -> None:
    with BundleReader.open(clean.outcome.bundle.path) as reader:
        seen = [json.loads(line) for line in reader.observations()]
    for subject in (ESDK, TINK):
        schemas = [each["schema"] for each in seen if each["subject"] == subject]
        assert schemas[:2] == ["keycheck.census/1", "fields.export/1"]
        assert set(schemas[2:]) == {"fields.column/1"}


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_bundle_with_one_byte_changed_does_not_verify(clean: Whole, tmp_path: Path, share: float) -> None:
    content = bytearray(clean.outcome.bundle.path.read_bytes())
    content[int(len(content) * share)] ^= 1
    changed = tmp_path / "changed.zip"
    changed.write_bytes(content)
    for verb in ("verify", "judge"):
        assert command(verb, str(changed), "--key", str(signer(clean))).code == ExitCode.EVIDENCE_BROKEN


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda faults: faults.fail("Decrypt", "AccessDeniedException", "no"), Reason.PERMISSION_DENIED),
        (lambda faults: faults.throttle("Decrypt"), Reason.THROTTLED),
        (lambda faults: faults.damage("Decrypt", Damage.RESET), Reason.UNREACHABLE),
    ],
    ids=["denied", "throttled", "reset"],
)
def test_a_key_service_in_aws_that_does_not_answer_is_a_doubt(
    lab: Lab, aws: AwsFaults, tmp_path: Path, fault: Callable[[AwsFaults], None], reason: Reason
) -> None:
    fault(aws)
    ran = whole(lab, tmp_path / "runs", ESDK)
    doubted(ran, ESDK, reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda faults: faults.fail("Decrypt", grpc.StatusCode.PERMISSION_DENIED, "no"), Reason.PERMISSION_DENIED),
        (lambda faults: faults.throttle("Decrypt"), Reason.THROTTLED),
        (lambda faults: faults.fail("Decrypt", grpc.StatusCode.UNAVAILABLE, "no"), Reason.UNREACHABLE),
    ],
    ids=["denied", "throttled", "unavailable"],
)
def test_a_key_service_in_google_cloud_that_does_not_answer_is_a_doubt(
    lab: Lab, gcp: GcpFaults, tmp_path: Path, fault: Callable[[GcpFaults], None], reason: Reason
) -> None:
    fault(gcp)
    ran = whole(lab, tmp_path / "runs", TINK)
    doubted(ran, TINK, reason)


def doubted(ran: Whole, subject: str, reason: Reason) -> None:
    assert not ran.passed(subject) & NEED_THE_KEY
    for control in NEED_THE_KEY:
        assert ran.verdicts(subject)[control] == {Kind.INCONCLUSIVE}, control
    assert reason in ran.reasons(subject, "fields.encrypted")
    assert ran.outcome.exit_code == ExitCode.INCOMPLETE


def test_a_few_lost_answers_are_asked_for_again(lab: Lab, aws: AwsFaults, tmp_path: Path) -> None:
    aws.throttle("Decrypt", times=2)
    assert whole(lab, tmp_path / "runs", ESDK).passed(ESDK) >= NEED_THE_KEY


def test_interrupted_in_mid_scan(lab: Lab, tmp_path: Path) -> None:
    stop = Event()
    told: list[Advance] = []

    def end(advance: Advance) -> None:
        told.append(advance)
        stop.set()

    ran = whole(lab, tmp_path / "runs", ESDK, each=end, stop=stop)
    assert told[0].done < told[0].units
    assert ran.outcome.exit_code == ExitCode.INTERRUPTED
    assert ran.passed(ESDK) == frozenset()
    messages = [each.message for each in ran.outcome.assessment.findings if each.subject == ESDK]
    assert any("interrupt" in message for message in messages), messages


def test_interrupted_in_mid_opening(lab: Lab, aws: AwsFaults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, calls = Event(), aws.calls["Decrypt"]
    monkeypatch.setattr(keycheck.run, "PATIENCE", 0.1)

    def end(seconds: float) -> None:
        stop.set()
        time.sleep(seconds)

    aws.sleep = end
    aws.delay("Decrypt", 0.3, after=10)
    ran = whole(lab, tmp_path / "runs", ESDK, stop=stop)
    assert aws.calls["Decrypt"] > calls
    time.sleep(0.4)  # what was asked when it happened may still be answered
    asked = aws.calls["Decrypt"]
    time.sleep(1)
    assert aws.calls["Decrypt"] == asked
    assert ran.outcome.exit_code == ExitCode.INTERRUPTED
    assert not ran.passed(ESDK) & NEED_THE_KEY
    assert Reason.INTERRUPTED in ran.reasons(ESDK, "fields.encrypted")


def test_an_opening_that_takes_too_long_is_no_pass(
    lab: Lab, aws: AwsFaults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "OPEN_LIMIT", 0.3)
    monkeypatch.setitem(keycheck.run.GRACE, "threads", 0.0)
    aws.delay("Decrypt", 0.2)
    ran = whole(lab, tmp_path / "runs", ESDK)
    aws.clear()
    assert not ran.passed(ESDK) & NEED_THE_KEY
    assert Reason.TIMEOUT in ran.reasons(ESDK, "fields.encrypted")

"""Stored evidence judged again, from a real run on the honest practice vendor: the same bytes, or a reason."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keycheck.assess import assessment_bytes
from keycheck.cli.root import main
from keycheck.errors import IntegrityError
from keycheck.evidence.keys import PublicKey, SigningKey
from keycheck.evidence.sign import WAIVER_TYPE, sign_file
from keycheck.evidence.standalone import verify as standalone
from keycheck.files.profile import load_profile
from keycheck.lab.matrix import Silent, world
from keycheck.lab.paperwork import CONTRACT, Papers, write_papers
from keycheck.lab.world import Lab
from keycheck.model.assessment import Assessment, Finding
from keycheck.model.verdict import ExitCode, Kind, Reason
from keycheck.registry import Registry, load_registry
from keycheck.rejudge import Amendments, Rejudged, rejudge
from keycheck.session import Outcome, Request, prepare, run_contract

NO_HYBRID = {"tls_groups": {"value": ["secp384r1"]}}
"""A tighter contract, which a vendor breaks that was seen to choose X25519MLKEM768."""
HYBRID_ONLY = {"tls_groups": {"value": ["X25519MLKEM768"]}}
"""One that forbids groups for which nobody asked, as they were allowed at the time."""


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over, its lab gone: only files are left."""

    papers: Papers
    outcome: Outcome
    registry: Registry
    started: datetime

    @property
    def path(self) -> Path:
        return self.outcome.bundle.path

    @property
    def trusted(self) -> tuple[PublicKey, ...]:
        return (PublicKey.load(self.papers.verifier),)

    def again(self, path: Path | None = None, **amendments: object) -> Rejudged:
        return rejudge(path or self.path, Amendments(**amendments), self.trusted, self.registry)  # type: ignore[arg-type]


def contract(source: Path, target: Path, parameters: Mapping[str, object]) -> Path:
    """The contract with parameters of its own, and the one that whoever extends base-saas must name."""
    stated = yaml.safe_load(source.read_text("utf-8"))
    stated["parameters"] = {"jurisdiction": {"value": ["EU"]}} | dict(parameters)
    target.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home, started = tmp_path_factory.mktemp("lab"), datetime.now(UTC)
    registry = load_registry()
    with Lab(home) as lab:
        papers = write_papers(lab, started, base="base-saas")
        contract(papers.profile, papers.profile, {})
        prepared = prepare(
            Request(papers.deployment, str(papers.profile), authorization=papers.authorization), registry
        )
        key = SigningKey.load(papers.signer)
        outcome = run_contract(prepared, registry, world(), home / "runs", key, Silent(), Event())
    return Done(papers, outcome, registry, started)


@pytest.fixture(scope="module")
def tighter(done: Done, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contract(done.papers.profile, tmp_path_factory.mktemp("tighter") / f"{CONTRACT}.yaml", NO_HYBRID)


def finding(assessment: Assessment, control: str, subject: str) -> Finding:
    (found,) = (
        one
        for one in assessment.findings
        if one.control.partition("@")[0] == control and one.subject == subject and one.clause == "ENC-TRANSIT"
    )
    return found


def stored(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as plain:
        return {name: plain.read(name) for name in plain.namelist()}


def test_the_run_was_a_whole_one(done: Done) -> None:
    verdicts = {one.verdict for one in done.outcome.assessment.findings}
    assert Kind.PASS in verdicts
    assert Kind.FAIL not in verdicts
    assert Kind.ERROR not in verdicts


def test_the_same_evidence_gives_the_same_bytes(done: Done, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    kept = stored(done.path)["assessment.json"]
    assert kept == done.outcome.assessment_json
    code = main(["judge", str(done.path), "--key", str(done.papers.verifier), "-o", "json"])
    assert capsysbinary.readouterr().out == kept + b"\n"
    assert code == done.outcome.assessment.exit_code
    again = done.again()
    assert assessment_bytes(again.assessment) == kept
    assert again.remarks == ()


def test_every_input_is_committed_to_under_a_salt(done: Done) -> None:
    files = stored(done.path)
    inputs = [name for name in files if name.startswith("inputs/") and not name.endswith(".salt")]
    record = json.loads(files["run-start.json"])["inputs"]
    assert [f"inputs/{one['name']}" for one in record] == sorted(inputs)
    assert {"deployment.json", "profile.json", "authorization.yaml"} <= {one["name"] for one in record}
    assert all(set(one) == {"name", "commitment"} for one in record)
    assert len({files[f"{name}.salt"] for name in inputs}) == len(inputs)


def test_both_verifiers_agree(done: Done, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    key = done.papers.verifier
    assert main(["verify", str(done.path), "--key", str(key), "-o", "json"]) == 0
    told = json.loads(capsysbinary.readouterr().out)
    public = load_pem_public_key(key.read_bytes())
    other = standalone.verify(
        io.BytesIO(done.path.read_bytes()),
        {done.trusted[0].key_id: public},  # type: ignore[dict-item]
    )
    for mine, its in (
        ("signers", "signers"), ("manifest_sha256", "manifest"), ("root", "root"), ("tree_size", "tree_size"),
        ("run", "run"), ("withheld", "withheld"),
    ):  # fmt: skip
        assert told[mine] == other[its], mine
    assert told["counts"] == {tag.removeprefix("bundle/"): count for tag, count in other["counts"].items() if count}
    shipped = tmp_path / "verify.py"
    shipped.write_bytes(stored(done.path)["verify.py"])
    program = [sys.executable, "-I", str(shipped), str(done.path), "--key", str(key)]
    ran = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert other["root"] in ran.stdout


def test_another_profile(done: Done, tighter: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    before = finding(done.outcome.assessment, "tls.groups", "endpoints/api")
    amended = load_profile(str(tighter), done.registry).profile
    judged = done.again(profile=amended)
    after = finding(judged.assessment, "tls.groups", "endpoints/api")
    assert (before.verdict, after.verdict) == (Kind.PASS, Kind.FAIL)
    assert after.id == before.id
    assert after.observations == before.observations
    assert after.deadline is not None
    assert judged.assessment.exit_code is ExitCode.CLAUSE_FAILS
    code = main(["judge", str(done.path), "--key", str(done.papers.verifier), "--profile", str(tighter), "-o", "json"])
    assert code == ExitCode.CLAUSE_FAILS
    assert capsysbinary.readouterr().out == assessment_bytes(judged.assessment) + b"\n"


def test_what_was_not_asked_then_is_not_known_now(done: Done, tmp_path: Path) -> None:
    amended = load_profile(str(contract(done.papers.profile, tmp_path / "new.yaml", HYBRID_ONLY)), done.registry)
    after = finding(done.again(profile=amended.profile).assessment, "tls.groups", "endpoints/api")
    assert after.verdict is Kind.INCONCLUSIVE


def test_passes_go_stale_and_stay_stale(done: Done) -> None:
    def demanded(days: int) -> Assessment:
        return done.again(as_of=done.started + timedelta(days=days)).assessment

    fresh, old, older = done.again().assessment, demanded(60), demanded(3650)
    passed = {one.id for one in fresh.findings if one.verdict is Kind.PASS}
    assert passed
    for late in (old, older):
        stale = {one.id for one in late.findings if Reason.STALE in one.reasons}
        assert passed <= stale
        assert all(one.verdict is Kind.INCONCLUSIVE for one in late.findings if one.id in passed)
        assert late.exit_code is not ExitCode.MET
        assert [one.id for one in late.findings] == [one.id for one in fresh.findings]


def write_waiver(path: Path, key: SigningKey, granted: datetime, **changed: object) -> Path:
    waiver = {
        "waiver": "classical-groups", "profile": CONTRACT, "clause": "ENC-TRANSIT", "control": "tls.groups",
        "subjects": ["endpoints"], "reason": "the vendor migrates", "requested_by": "Somebody else",
        "approved_by": "Practice customer", "granted": f"{granted:%Y-%m-%d}",
        "expires": f"{granted + timedelta(days=30):%Y-%m-%d}",
    } | changed  # fmt: skip
    path.write_text(yaml.safe_dump(waiver, sort_keys=False), encoding="utf-8")
    sign_file(path, key, WAIVER_TYPE)
    return path


def test_a_waiver_counts_only_with_the_signature_of_an_approver(done: Done, tighter: Path, tmp_path: Path) -> None:
    amended = load_profile(str(tighter), done.registry).profile
    approver, stranger = SigningKey.load(done.papers.approver), SigningKey.generate()

    def under(waiver: Path, **more: object) -> Rejudged:
        return done.again(profile=amended, waivers=(waiver,), **more)

    good = under(write_waiver(tmp_path / "good.yaml", approver, done.started))
    accepted = finding(good.assessment, "tls.groups", "endpoints/api")
    assert (accepted.verdict, accepted.waived, accepted.waiver) == (Kind.FAIL, True, "classical-groups")
    assert [remark.partition(" practice")[0] for remark in good.remarks] == ["judged under"]  # it is another profile
    assert good.assessment.exit_code is not ExitCode.CLAUSE_FAILS

    forged = under(write_waiver(tmp_path / "forged.yaml", stranger, done.started))
    assert not finding(forged.assessment, "tls.groups", "endpoints/api").waived
    assert forged.assessment.exit_code is ExitCode.CLAUSE_FAILS
    assert any("does not count" in remark for remark in forged.remarks)

    (tmp_path / "good.yaml").write_text((tmp_path / "good.yaml").read_text("utf-8") + "# more\n", encoding="utf-8")
    edited = under(tmp_path / "good.yaml")
    assert not finding(edited.assessment, "tls.groups", "endpoints/api").waived
    assert edited.remarks

    late = under(
        write_waiver(tmp_path / "late.yaml", approver, done.started), as_of=done.started + timedelta(days=31, hours=1)
    )
    assert not finding(late.assessment, "tls.groups", "endpoints/api").waived


def damage(name: str) -> Callable[[bytes], bytes]:
    """Change one byte in the middle of a file of the bundle."""

    def apply(data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as plain:
            item = next(item for item in plain.infolist() if item.filename.startswith(name))
        spot = item.header_offset + 30 + len(item.filename) + item.file_size // 2
        return data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]

    return apply


@pytest.mark.parametrize(
    "change",
    [
        *(damage(name) for name in (
            "observations.jsonl", "inputs/profile.json", "inputs/profile.json.salt", "inputs/authorization.yaml",
            "blobs/", "assessment.json", "run-start.json", "statement.dsse.json", "verify.py",
        )),
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: b"",
    ],
)  # fmt: skip
def test_damaged_evidence_is_not_judged(
    change: Callable[[bytes], bytes], done: Done, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(change(done.path.read_bytes()))
    with pytest.raises(IntegrityError) as caught:
        done.again(damaged)
    assert caught.value.advice
    for verb in ("judge", "verify"):
        assert main([verb, str(damaged), "--key", str(done.papers.verifier), "-o", "json"]) == 5
        told = capsysbinary.readouterr()
        assert told.out == b""
        assert b"Traceback" not in told.err
    with damaged.open("rb") as file, pytest.raises(standalone.NotVerifiedError):
        standalone.verify(file, {done.trusted[0].key_id: load_pem_public_key(done.papers.verifier.read_bytes())})  # type: ignore[dict-item]


def test_evidence_signed_by_a_stranger_is_not_judged(done: Done) -> None:
    with pytest.raises(IntegrityError):
        rejudge(done.path, Amendments(), [SigningKey.generate().public], done.registry)

"""The whole path with a stranger's plugin: files in, a signed verdict out, whatever the plugin does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from practice_plugin import Door, DoorFacts, DoorProbe
from practice_registry import practice_registry

from keycheck.errors import DeploymentError, ProfileError
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.sign import AUTHORIZATION_TYPE, WAIVER_TYPE, sign_file
from keycheck.evidence.verify import verify_bundle
from keycheck.executors import local
from keycheck.lab.matrix import Silent
from keycheck.model.authorization import Technique
from keycheck.model.drill import DRILL, Desk, DrillProbe, Wish
from keycheck.model.facts import Census
from keycheck.model.probe import Io, Observed, Touch
from keycheck.model.types import parse_instant
from keycheck.model.verdict import ExitCode, Kind, Reason, Tier
from keycheck.registry import Registry
from keycheck.session import Outcome, Request, World, prepare, run_contract

APPROVER = SigningKey.generate()
SIGNER = SigningKey.generate()


def no_dns(host: str, seconds: float) -> tuple[str, ...]:
    return ()


def world() -> World:
    import secrets

    return World(lambda: datetime.now(UTC), secrets.token_bytes, no_dns, local)


def public(key: SigningKey) -> str:
    der = load_pem_public_key(key.public.to_pem()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def profile(**clause: object) -> dict[str, object]:
    return {
        "profile": "doors",
        "version": 1,
        "title": "Doors",
        "approvers": [{"name": "Porter", "public_key": public(APPROVER)}],
        "clauses": [
            {
                "id": "DOOR",
                "text": "Every door is locked.",
                "tier": "must-have",
                "remedy": {"cure_within": "P30D"},
                "requires": [{"control": "door.locked@1", "for": "doors"}],
            }
            | clause
        ],
    }


def run(
    home: Path,
    doors: dict[str, list[str]],
    registry: Registry | None = None,
    contract: dict[str, object] | None = None,
    stop: Event | None = None,
    **request: object,
) -> Outcome:
    (home / "p.yaml").write_text(yaml.safe_dump(contract or profile()))
    deployment = {"deployment": "house", "doors": [{"id": name, "locks": locks} for name, locks in doors.items()]}
    (home / "d.yaml").write_text(yaml.safe_dump(deployment))
    registry = registry or practice_registry()
    prepared = prepare(Request(home / "d.yaml", str(home / "p.yaml"), **request), registry)  # type: ignore[arg-type]
    return run_contract(prepared, registry, world(), home / "out", SIGNER, Silent(), stop or Event())


def verdicts(outcome: Outcome) -> dict[str | None, tuple[Kind, tuple[Reason, ...]]]:
    return {f.subject: (f.verdict, f.reasons) for f in outcome.assessment.findings}


def test_a_locked_house_meets_the_contract_and_the_bundle_verifies(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["one", "two"], "back": ["one"]})
    assert outcome.exit_code is ExitCode.MET
    assert outcome.assessment.population.expected == outcome.assessment.population.observed == 3
    verified = verify_bundle(outcome.bundle.path, [SIGNER.public])
    assert verified.signers == (SIGNER.key_id,)


def test_an_open_lock_fails_the_clause_with_a_deadline(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["one", "open-two"]})
    assert outcome.exit_code is ExitCode.CLAUSE_FAILS
    (finding,) = outcome.assessment.findings
    assert [(str(p.part), p.verdict) for p in finding.parts] == [("one", Kind.PASS), ("open-two", Kind.FAIL)]
    assert finding.deadline is not None
    assert outcome.assessment.clauses[0].deadline == finding.deadline


@pytest.mark.parametrize(
    ("lock", "reason", "code"),
    [
        ("crash", Reason.PROBE_CRASHED, ExitCode.TOOL_FAILED),
        ("survey-denied", Reason.PERMISSION_DENIED, ExitCode.INCOMPLETE),
        ("survey-crash", Reason.PROBE_CRASHED, ExitCode.TOOL_FAILED),
    ],
)
def test_what_was_not_seen_never_meets_the_contract(tmp_path: Path, lock: str, reason: Reason, code: ExitCode) -> None:
    outcome = run(tmp_path, {"front": ["one"], "back": [lock]})
    assert verdicts(outcome)["doors/front"] == (Kind.PASS, ())
    assert verdicts(outcome)["doors/back"] == (reason.kind, (reason,))
    assert outcome.exit_code is code
    assert b"hunter2" not in outcome.bundle.path.read_bytes()


def test_no_subject_is_never_vacuously_true(tmp_path: Path) -> None:
    outcome = run(tmp_path, {})
    assert verdicts(outcome) == {None: (Kind.NOT_TESTED, (Reason.NO_SUBJECT,))}
    assert outcome.exit_code is ExitCode.INCOMPLETE


def broken() -> NoReturn:
    raise ImportError("password=hunter2")


@pytest.mark.parametrize("what", ["controls", "probes"])
def test_a_broken_plugin_is_a_visible_error_and_stops_nothing(tmp_path: Path, what: str) -> None:
    outcome = run(tmp_path, {"front": ["one"]}, practice_registry(**{what: broken}))
    assert verdicts(outcome)["doors/front"] == (Kind.ERROR, (Reason.PLUGIN_BROKEN,))
    assert outcome.exit_code is ExitCode.TOOL_FAILED
    assert b"hunter2" not in outcome.bundle.path.read_bytes()


def test_a_broken_subject_model_is_a_deployment_error(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="doors"):
        run(tmp_path, {"front": ["one"]}, practice_registry(subjects=broken))


def test_an_unknown_control_is_refused_before_anything_runs(tmp_path: Path) -> None:
    contract = profile(requires=[{"control": "door.lokced@1", "for": "doors"}])
    with pytest.raises(ProfileError, match=r"p\.yaml:\d+:\d+"):
        run(tmp_path, {"front": ["one"]}, contract=contract)
    assert not (tmp_path / "out").exists()


def test_planned_clauses_are_visible_and_never_pass(tmp_path: Path) -> None:
    contract = profile(requires=[{"planned": "somebody will look"}])
    outcome = run(tmp_path, {"front": ["one"]}, contract=contract)
    assert verdicts(outcome) == {None: (Kind.NOT_TESTED, (Reason.PLANNED,))}
    assert outcome.exit_code is ExitCode.INCOMPLETE


def test_only_never_shrinks_what_is_expected(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["one"], "back": ["one"]}, only=("doors/front",))
    assert verdicts(outcome) == {
        "doors/front": (Kind.PASS, ()),
        "doors/back": (Kind.NOT_TESTED, (Reason.NOT_SELECTED,)),
    }
    assert outcome.exit_code is ExitCode.INCOMPLETE


def test_an_interrupt_keeps_a_verifiable_bundle_and_says_incomplete(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    outcome = run(tmp_path, {"front": ["one"]}, stop=stop)
    assert outcome.exit_code is ExitCode.INTERRUPTED
    assert verdicts(outcome)["doors/front"] == (Kind.NOT_TESTED, (Reason.INTERRUPTED,))
    verify_bundle(outcome.bundle.path, [SIGNER.public])


def waiver(home: Path, key: SigningKey = APPROVER, **changes: object) -> Path:
    path = home / f"w{len(list(home.glob('w*.yaml')))}.yaml"
    content = {
        "waiver": "w-1",
        "profile": "doors",
        "clause": "DOOR",
        "control": "door.locked",
        "subjects": ["doors/front"],
        "reason": "being replaced",
        "requested_by": "Carpenter",
        "approved_by": "Porter",
        "granted": "2020-01-01" if "expires" in changes else f"{datetime.now(UTC):%Y-%m-%d}",
        "expires": f"{datetime.now(UTC):%Y-%m-%d}",
    } | changes
    path.write_text(yaml.safe_dump(content))
    sign_file(path, key, WAIVER_TYPE)
    return path


def test_a_waiver_leaves_the_verdict_and_changes_the_exit_code(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["open"]}, waivers=(waiver(tmp_path),))
    (finding,) = outcome.assessment.findings
    assert (finding.verdict, finding.waived, finding.waiver) == (Kind.FAIL, True, "w-1")
    assert outcome.assessment.clauses[0].waived
    assert outcome.assessment.verdict is Kind.FAIL
    assert outcome.exit_code is ExitCode.MET_WITH_WAIVERS


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": "2020-01-31"},
        {"expires": "2026-02-30"},
        {"subjects": ["doors/back"]},
        {"approved_by": "Somebody else"},
        {"verdicts": ["inconclusive"]},
    ],
)
def test_a_waiver_that_does_not_fit_does_not_count(tmp_path: Path, changes: dict[str, object]) -> None:
    outcome = run(tmp_path, {"front": ["open"]}, waivers=(waiver(tmp_path, **changes),))
    assert outcome.exit_code is ExitCode.CLAUSE_FAILS


def test_nobody_approves_their_own_waiver(tmp_path: Path) -> None:
    path = waiver(tmp_path, requested_by=" porter ")
    with pytest.raises(ProfileError, match="the approver is the one who asked"):
        run(tmp_path, {"front": ["open"]}, waivers=(path,))


def test_a_waiver_signed_by_a_stranger_does_not_count(tmp_path: Path) -> None:
    path = waiver(tmp_path, SigningKey.generate())
    assert run(tmp_path, {"front": ["open"]}, waivers=(path,)).exit_code is ExitCode.CLAUSE_FAILS


def test_a_waiver_changed_after_signing_does_not_count(tmp_path: Path) -> None:
    path = waiver(tmp_path)
    path.write_text(path.read_text().replace("doors/front", "doors/*"))
    assert run(tmp_path, {"front": ["open"]}, waivers=(path,)).exit_code is ExitCode.CLAUSE_FAILS


def test_a_waiver_covers_one_door_only(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["open"], "back": ["open"]}, waivers=(waiver(tmp_path),))
    assert not outcome.assessment.clauses[0].waived
    assert outcome.exit_code is ExitCode.CLAUSE_FAILS


def test_tiers_decide_what_gates(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    nice = profile(tier="nice-to-have")
    outcome = run(tmp_path / "a", {"front": ["open"]}, contract=nice)
    assert outcome.assessment.clauses[0].verdict is Kind.FAIL
    assert outcome.exit_code is ExitCode.INCOMPLETE  # nothing that gates is known, so nothing is met
    assert run(tmp_path / "b", {"front": ["open"]}, contract=nice, fail_on=Tier.NICE_TO_HAVE).exit_code == 1
    strong = profile(tier="strongly-preferred")
    assert run(tmp_path / "c", {"front": ["open"]}, contract=strong).exit_code is ExitCode.CLAUSE_FAILS


def test_a_declared_vantage_without_a_worker_is_said_and_takes_the_pass_away(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(profile()))
    deployment = {
        "deployment": "house",
        "vantages": [{"id": "here"}, {"id": "mars", "worker": "elsewhere"}],
        "doors": [{"id": "front", "locks": ["one"]}],
    }
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(deployment))
    registry = practice_registry()
    prepared = prepare(Request(tmp_path / "d.yaml", str(tmp_path / "p.yaml")), registry)
    outcome = run_contract(prepared, registry, world(), tmp_path / "out", SIGNER, Silent(), Event())
    assert outcome.assessment.findings[0].verdict is Kind.INCONCLUSIVE


def authorization(home: Path, key: SigningKey = APPROVER, **changes: object) -> Path:
    content = {
        "authorization": "a",
        "deployment": "house",
        "subjects": ["doors"],
        "techniques": ["active-tls"],
        "sources": ["192.0.2.0/24"],
        "windows": [{"start": "2020-01-01T00:00", "end": "2100-01-01T00:00", "zone": "Europe/Berlin"}],
        "stop_contacts": [{"name": "Porter", "reach": "bell"}],
    } | changes
    path = home / "a.yaml"
    path.write_text(yaml.safe_dump(content))
    sign_file(path, key, AUTHORIZATION_TYPE)
    return path


def test_an_authorization_must_be_signed_by_an_approver_for_this_deployment(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError):
        run(tmp_path, {"front": ["one"]}, authorization=authorization(tmp_path, SigningKey.generate()))
    (tmp_path / "a.yaml.dsse.json").unlink()
    with pytest.raises(DeploymentError, match="other"):
        run(tmp_path, {"front": ["one"]}, authorization=authorization(tmp_path, deployment="other"))
    assert not (tmp_path / "out").exists()


def test_techniques_reach_the_probe_only_when_source_and_window_fit(tmp_path: Path) -> None:
    seen: list[frozenset[object]] = []

    class Watching(DoorProbe):
        def survey(self, subject: Door, io: Io) -> Census:
            seen.append(frozenset(io.authorized))
            return super().survey(subject, io)

    registry = practice_registry(Watching)
    for number, (egress, window, allowed) in enumerate(
        [
            ("192.0.2.9", "2100-01-01T00:00", True),
            ("198.51.100.1", "2100-01-01T00:00", False),
            ("192.0.2.9", "2020-02-01T00:00", False),
        ]
    ):
        home = tmp_path / str(number)
        home.mkdir()
        (home / "p.yaml").write_text(yaml.safe_dump(profile()))
        deployment = {
            "deployment": "house",
            "vantages": [{"id": "here", "egress": egress}],
            "doors": [{"id": "front", "locks": ["one"]}],
        }
        (home / "d.yaml").write_text(yaml.safe_dump(deployment))
        windows = [{"start": "2020-01-01T00:00", "end": window, "zone": "Europe/Berlin"}]
        request = Request(home / "d.yaml", str(home / "p.yaml"), authorization=authorization(home, windows=windows))
        prepared = prepare(request, registry)
        run_contract(prepared, registry, world(), home / "out", SIGNER, Silent(), Event())
        assert bool(seen.pop()) is allowed, (egress, window)


@pytest.mark.parametrize(
    ("names", "allowed"),
    [((), False), (("Second",), True), (("Porter",), False), (("ＰＯＲＴＥＲ ",), False)],
    ids=["one", "two", "one-twice", "one-written-otherwise"],
)
def test_more_than_a_canary_needs_two_people(tmp_path: Path, names: tuple[str, ...], allowed: bool) -> None:
    contract, signers = profile(), [APPROVER]
    for name in names:
        signers.append(SigningKey.generate())
        contract["approvers"].append({"name": name, "public_key": public(signers[-1])})  # type: ignore[attr-defined]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(contract))
    deployment = {
        "deployment": "house",
        "vantages": [{"id": "here", "egress": "192.0.2.9"}],
        "doors": [{"id": "front", "locks": ["one"]}],
    }
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(deployment))
    paper = authorization(tmp_path, techniques=["drill", "disable-key"])
    for signer in signers[1:]:
        sign_file(paper, signer, AUTHORIZATION_TYPE)
    prepared = prepare(Request(tmp_path / "d.yaml", str(tmp_path / "p.yaml"), authorization=paper), practice_registry())
    techniques = prepared.allowed(prepared.tasks[0], datetime.now(UTC))
    assert techniques == ({Technique.DRILL, Technique.DISABLE_KEY} if allowed else {Technique.DRILL})


@pytest.mark.parametrize("may", [["authorization", "waiver"], ["waiver"]])
def test_one_key_under_two_names_is_one_person(tmp_path: Path, may: list[str]) -> None:
    contract = profile()
    contract["approvers"].append({"name": "Second", "public_key": public(APPROVER), "may": may})  # type: ignore[attr-defined]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(contract))
    (tmp_path / "d.yaml").write_text(yaml.safe_dump({"deployment": "house", "doors": []}))
    paper = authorization(tmp_path, techniques=["disable-key"])
    request = Request(tmp_path / "d.yaml", str(tmp_path / "p.yaml"), authorization=paper)
    given = prepare(request, practice_registry()).grant
    assert given is not None
    assert given.people == 1


class DoorDrill(DrillProbe[Door]):
    """Opens a door, and says so in the door's scratch file."""

    id, version, section, facts, limit = "door.lock", 1, "doors", DoorFacts, 3.0

    def touches(self, subject: Door, io: Io) -> Iterable[Touch]:
        return ()

    def drill(self, subject: Door, io: Io, desk: Desk) -> Iterable[Observed]:
        Path(subject.scratch).write_text("opened")
        return (Observed(DRILL, DoorFacts(locked=True)),)


@pytest.mark.parametrize("later", ["2026-01-01T11:59:59Z", "2026-01-01T12:00:00Z"], ids=["in-time", "too-late"])
def test_a_drill_is_authorized_when_it_begins_not_when_the_run_did(tmp_path: Path, later: str) -> None:
    moments = chain([parse_instant("2026-01-01T10:00:00Z")], repeat(parse_instant(later)))
    windows = [{"start": "2026-01-01T09:00", "end": "2026-01-01T12:00", "zone": "Etc/UTC"}]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(profile()))
    scratch = tmp_path / "scratch"
    door = {"id": "front", "locks": [], "scratch": str(scratch)}
    here = {"id": "here", "egress": "192.0.2.9"}
    (tmp_path / "d.yaml").write_text(yaml.safe_dump({"deployment": "house", "vantages": [here], "doors": [door]}))
    paper = authorization(tmp_path, techniques=["drill"], windows=windows)
    request = Request(tmp_path / "d.yaml", str(tmp_path / "p.yaml"), authorization=paper, drills=Wish())
    registry = practice_registry(DoorDrill)
    late = replace(world(), clock=lambda: next(moments))
    outcome = run_contract(prepare(request, registry), registry, late, tmp_path / "out", SIGNER, Silent(), Event())
    authorized = later < "2026-01-01T12"
    assert scratch.exists() is authorized
    reasons = () if authorized else (Reason.NOT_AUTHORIZED,)
    assert verdicts(outcome)["doors/front"] == (Kind.PASS if authorized else Kind.NOT_TESTED, reasons)


def test_the_assessment_has_the_published_shape(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"front": ["open"]})
    told = json.loads(outcome.assessment_json)
    assert told["schema"] == "keycheck.dev/assessment/v1"
    assert {"verdict", "exit_code", "as_of", "population", "clauses", "findings"} <= told.keys()
    assert told["exit_code"] == 1
    assert set(told["population"]) == {"expected", "observed"}
    assert {"id", "tier", "verdict", "waived", "deadline"} <= told["clauses"][0].keys()
    finding = told["findings"][0]
    assert {"id", "clause", "control", "subject", "verdict", "reasons", "parts", "message", "observations"} <= (
        finding.keys()
    )
    assert finding["parts"] == [{"part": "open", "verdict": "fail", "reasons": []}]
    assert finding["observations"] == [2]

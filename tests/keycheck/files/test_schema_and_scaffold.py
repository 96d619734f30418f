"""Schemas take what the loader takes and refuse what is plainly wrong; scaffolded files load back."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from keycheck.errors import DeploymentError, ProfileError
from keycheck.files.authorization import parse_authorization
from keycheck.files.chain import shipped_profiles, shipped_text
from keycheck.files.deployment import parse_deployment
from keycheck.files.located import parse, plain
from keycheck.files.profile import load_profile
from keycheck.files.scaffold import (
    AuthorizationAnswers,
    DeploymentAnswers,
    EndpointAnswer,
    authorization_text,
    child_profile_text,
    deployment_text,
)
from keycheck.files.schema import FileKind, file_schema
from keycheck.model.deployment import Subject
from keycheck.registry import Broken, Registry, load_registry

PROFILE = """\
profile: own
version: 1
title: Own
parameters: {wait: {value: PT15M}, many: {value: 3}}
clauses:
  - id: ONE
    text: t
    tier: must-have
    requires:
      - control: demo.only@1
        for: things
        with: {only: [red], within: $wait, at_least: $many}
        evidence: {samples: 11, coverage: [1, 2]}
      - planned: later
"""
DEPLOYMENT = """\
deployment: acme
vantages: [{id: here, egress: 198.51.100.7}]
things: [{id: api, url: u, port: 8443, vantages: [here]}]
ruins: [{id: x}]
"""


@pytest.fixture
def check(catalogue):
    def errors(kind: FileKind, text: str) -> list[str]:
        validator = Draft202012Validator(file_schema(kind, catalogue))
        typed = validator.iter_errors(json.loads(json.dumps(yaml.safe_load(text), default=str)))
        as_text = validator.iter_errors(plain(parse(text.encode(), "f", ProfileError)))
        return [error.message for error in (*typed, *as_text)]

    return errors


@pytest.mark.parametrize("kind", FileKind)
def test_schemas_are_schemas_with_an_address_and_words(kind, catalogue):
    schema = file_schema(kind, catalogue)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://keycheck.dev/schema/{kind}/1.json"
    assert schema["description"]
    json.dumps(schema)


def test_good_files_fit_typed_and_as_text(check):
    assert check(FileKind.PROFILE, PROFILE) == []
    assert check(FileKind.DEPLOYMENT, DEPLOYMENT) == []
    heir = "profile: h\nversion: 2\ntitle: t\nextends: own\nclauses: [{id: ONE, tier: must-have}]\n"
    assert check(FileKind.PROFILE, heir) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Own", "titel: Own"),
        ("tier: must-have", "tier: must"),
        ("demo.only@1", "demo.onyl@1"),
        ("only: [red]", "onyl: [red]"),
        ("only: [red]", "only: [pink]"),
        ("only: [red]", "only: red"),
        ("for: things", "for: boxes"),
        ("samples: 11", "samples: many"),
        ("within: $wait", "within: P1M"),
        ("- planned: later", "- {planned: later, for: things}"),
        ("    tier: must-have\n", ""),
        ("id: ONE", "id: one"),
    ],
)
def test_wrong_profiles_are_refused(check, old, new):
    assert old in PROFILE
    assert check(FileKind.PROFILE, PROFILE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [("things", "thinks"), ("port: 8443", "port: high"), ("url: u", "uri: u"), ("id: api", "id: API")],
)
def test_wrong_deployments_are_refused(check, old, new):
    assert check(FileKind.DEPLOYMENT, DEPLOYMENT.replace(old, new, 1))


def test_field_descriptions_come_from_the_source(catalogue):
    schema = file_schema(FileKind.PROFILE, catalogue)
    assert "may only tighten" in schema["properties"]["extends"]["description"]


@pytest.fixture(scope="module")
def installed() -> Registry:
    registry = load_registry()
    if "tls.protocols@1" not in registry.control_refs():
        pytest.skip("the TLS controls are not installed")
    return registry


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_load_with_the_installed_controls(name, installed):
    loaded = load_profile(name, installed)
    assert loaded.profile.profile == name
    assert not [ref for _, ref in _demands(loaded.profile) if isinstance(installed.control(ref), Broken)]
    validator = Draft202012Validator(file_schema(FileKind.PROFILE, installed))
    text = shipped_text(name)
    assert list(validator.iter_errors(plain(parse(text, name, ProfileError)))) == []
    assert list(validator.iter_errors(yaml.safe_load(text))) == []


def _demands(profile):
    return [(c.id, r.control) for c in profile.clauses for r in c.requires if hasattr(r, "control")]


def test_the_sovereign_profile_rules_out_a_dissenting_quarter(installed):
    transit = load_profile("eu-sovereign-crm", installed).profile.clauses[0]
    assert {r.control_id: r.evidence.samples for r in transit.requires} == {
        "tls.protocols": 11,
        "tls.suites": 11,
        "tls.groups": 11,
    }


def test_the_regulated_profile_approves_no_plain_x25519(installed):
    transit = load_profile("us-regulated", installed).profile.clauses[0]
    groups = next(r for r in transit.requires if r.control_id == "tls.groups").with_.parsed()["only"]
    assert "x25519" not in groups
    assert "secp384r1" in groups


def test_a_child_of_a_shipped_profile_changes_nothing(installed, tmp_path):
    base = load_profile("base-saas", installed).profile
    path = tmp_path / "own.yaml"
    path.write_text(child_profile_text("own", base), encoding="utf-8")
    assert load_profile(str(path), installed).profile.clauses == base.clauses


class Endpoint(Subject):
    url: str


class Endpoints:
    def control(self, ref: str) -> None:
        return None

    def control_refs(self) -> tuple[str, ...]:
        return ()

    def subject(self, section: str) -> type[Subject] | None:
        return Endpoint if section == "endpoints" else None

    def sections(self) -> tuple[str, ...]:
        return ("endpoints",)


def test_initial_files_load_back():
    answers = DeploymentAnswers(
        "acme",
        'Acme "CRM": #1',
        (EndpointAnswer("api", "https://api.acme.example"), EndpointAnswer("web", "https://x.example")),
        egress="198.51.100.7",
    )
    deployment, _ = parse_deployment(deployment_text(answers).encode(), "d.yaml", Endpoints())
    assert deployment.title == 'Acme "CRM": #1'
    assert [subject.id for subject in deployment.subjects] == ["endpoints/api", "endpoints/web"]
    assert deployment.vantages[0].egress == "198.51.100.7"
    text = authorization_text(
        AuthorizationAnswers(
            "poc",
            "acme",
            ("198.51.100.7",),
            datetime(2026, 12, 1, 8),  # noqa: DTZ001 - local time, the zone stands beside it
            datetime(2026, 12, 1, 18),  # noqa: DTZ001
            "Europe/Berlin",
            "Ada",
            "+49 1",
        )
    )
    assert parse_authorization(text.encode(), "a.yaml", "acme").subjects == ("endpoints",)


@given(st.text(max_size=40))
def test_no_answer_breaks_out_of_its_place(title):
    answers = DeploymentAnswers("acme", title, (EndpointAnswer("api", "https://a.example"),))
    try:
        text = deployment_text(answers).encode()
        deployment, _ = parse_deployment(text, "d.yaml", Endpoints())
    except DeploymentError:
        return
    assert deployment.title == title
    assert [subject.id for subject in deployment.subjects] == ["endpoints/api"]

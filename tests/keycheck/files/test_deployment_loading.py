"""Deployments from YAML: sections of areas, references, secrets, places."""

from __future__ import annotations

import pytest

from keycheck.errors import DeploymentError
from keycheck.files.deployment import load_deployment, parse_deployment

FULL = """\
deployment: acme-crm
title: Acme CRM, production
vantages:
  - {id: office, place: Frankfurt, egress: 198.51.100.7}
  - {id: cloud, worker: elsewhere}
identities:
  - {id: reader, provider: aws, role_arn: "arn:aws:iam::123456789012:role/audit", external_id: env:EXT}
witnesses:
  - {id: look, kind: command, argv: [./look.sh]}
things:
  - {id: api, url: "https://api.acme.example", reader: reader, token: file:token.txt}
  - {id: web, url: "https://www.acme.example", port: 8443, vantages: [office]}
boxes:
  - id: one
"""


def refused(catalogue, text: str) -> str:
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(text.encode(), "d.yaml", catalogue)
    return f"{caught.value}\n{caught.value.advice}"


def test_a_deployment_keeps_its_bytes_places_and_order(tmp_path, catalogue):
    path = tmp_path / "deployment.yaml"
    path.write_text(FULL, encoding="utf-8")
    loaded = load_deployment(path, catalogue)
    assert loaded.text == FULL.encode()
    ids = [subject.id for subject in loaded.deployment.subjects]
    assert ids == ["things/api", "things/web", "boxes/one"]
    assert loaded.deployment.subjects[0].vantages == ("office", "cloud")
    assert loaded.deployment.subjects[1].vantages == ("office",)
    assert loaded.deployment.subjects[1].body.parsed()["port"] == 8443
    assert str(loaded.places["things/web"]).endswith("deployment.yaml:12:5")


def test_the_smallest_deployment_is_seen_from_here(catalogue):
    deployment, _ = parse_deployment(b"deployment: acme\nthings: [{id: api, url: u}]\n", "d.yaml", catalogue)
    assert [vantage.id for vantage in deployment.vantages] == ["here"]
    assert deployment.subjects[0].vantages == ("here",)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("things:", "thinks:", "10:1", "did you mean `things`?"),
        ("things:", "ruins:", "10:1", "ImportError: no module ruins"),
        ("reader: reader", "reader: raeder", "11:56", "did you mean `reader`?"),
        ("vantages: [office]", "vantages: [offce]", "12:71", "did you mean `office`?"),
        ("vantages: [office]", "vantages: [office, office]", "12:70", "stands twice"),
        ("id: web", "id: api", "12:10", "same id"),
        ("id: web", "id: Web", "12:10", "is not a name"),
        ("port: 8443", "port: high", "12:54", "whole number"),
        ("  - id: one", "  id: one", "14:3", "must be a list"),
        ("id: cloud", "id: office", "5:10", "same id"),
        ("provider: aws", "provider: azure", "7:5", "aws"),
        ("egress: 198.51.100.7", "egress: my-house", "4:44", "not an IP address"),
        ("title: Acme CRM, production", "titel: x", "2:1", "unknown section"),
        ("deployment: acme-crm\n", "", "1:1", "`deployment` is missing"),
    ],
)
def test_every_error_has_its_place_and_a_mend(catalogue, old, new, place, words):
    assert old in FULL
    text = refused(catalogue, FULL.replace(old, new, 1))
    assert f"d.yaml:{place}: " in text, text
    assert words in text, text


@pytest.mark.parametrize(
    ("old", "new", "secret"),
    [
        ("token: file:token.txt", "token: hunter2hunter2", "hunter2"),
        ("external_id: env:EXT", "external_id: correct-horse", "correct-horse"),
        ("https://api.acme.example", "https://me:battery@api.acme.example", "battery"),
        ("title: Acme CRM, production", "title: AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("argv: [./look.sh]", 'argv: [./look.sh, "-----BEGIN PRIVATE KEY-----"]', "BEGIN"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(catalogue, old, new, secret):
    assert old in FULL
    text = refused(catalogue, FULL.replace(old, new, 1))
    assert "env:NAME" in text
    assert secret not in text


def test_problems_of_all_sections_are_told_together(catalogue):
    text = refused(catalogue, FULL.replace("port: 8443", "port: x").replace("boxes:", "boxs:"))
    assert "whole number" in text
    assert "unknown section" in text


def test_a_thousand_subjects_are_read_fast(catalogue):
    rows = "".join(f"  - {{id: t{n}, url: u}}\n" for n in range(1000))
    deployment, _ = parse_deployment(f"deployment: big\nthings:\n{rows}".encode(), "d.yaml", catalogue)
    assert len(deployment.subjects) == 1000

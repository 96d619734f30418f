"""Vendors that mishandle a rotation, and the view of one stored row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keycheck.lab.crm.contacts import Contact, Store
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import KeyUnavailable
from keycheck.lab.crm.keeping import OwnKey
from keycheck.lab.crm.service import Service
from keycheck.lab.crm.turning import Forgetting, Turning

CONTEXT = {"tenant": "acme"}


def zeros(length: int) -> bytes:
    return bytes(length)


def test_turning_seals_by_the_other_once_the_material_changed_and_opens_both() -> None:
    material = ["one"]
    first, other = OwnKey(lambda n: b"a" * n), OwnKey(lambda n: b"b" * n)
    turning = Turning(first, other, lambda: material[0])
    old = turning.seal(b"x", CONTEXT)
    assert first.open(old, CONTEXT) == b"x"
    material[0] = "two"
    new = turning.seal(b"y", CONTEXT)
    assert other.open(new, CONTEXT) == b"y"
    assert (turning.open(old, CONTEXT), turning.open(new, CONTEXT)) == (b"x", b"y")


def test_forgetting_opens_only_what_was_sealed_since() -> None:
    material = ["one"]
    forgetting = Forgetting(OwnKey(zeros), lambda: material[0])
    old = forgetting.seal(b"x", CONTEXT)
    assert forgetting.open(old, CONTEXT) == b"x"
    material[0] = "two"
    with pytest.raises(KeyUnavailable):
        forgetting.open(old, CONTEXT)
    assert forgetting.open(forgetting.seal(b"y", CONTEXT), CONTEXT) == b"y"


def test_one_stored_row_can_be_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    crm = Crm(OwnKey(zeros), store)
    for id in ("a", "b"):
        crm.put(Contact("acme", id, name=f"name {id}"))
    service = Service(crm, {"token": "acme"})
    whole = service.respond("GET", "/v1/export", authorization="Bearer token")
    assert len(whole.body.splitlines()) == 2
    one = service.respond("GET", "/v1/export?format=ndjson&id=b", authorization="Bearer token")
    assert json.loads(one.body)["id"] == "b"
    assert b"name b" not in one.body
    assert service.respond("GET", "/v1/export?id=c", authorization="Bearer token").status == 404
    assert service.respond("GET", "/v1/export?id=/", authorization="Bearer token").status == 400
    assert (
        len(service.respond("GET", "/v1/export?format=csv&id=a", authorization="Bearer token").body.splitlines()) == 2
    )
    store.close()

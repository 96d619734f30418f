"""Whom is asked, how fast, and how much: politely, within bounds, and only who belongs to the identity's cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from residency_gcp import Google, bucket, identity, world

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, text
from probes.clouds.gcp.pages import Bounds
from probes.residency import gcp
from probes.residency.gcp.asking import Asking, DisabledError, Door, asking


def asked(google: Google, home: Path, **more: object) -> Asking:
    return asking(bucket("crm"), world(home, identity(google, home, **more)))


def name(item: Answer) -> str:
    return text(item, "name")


def test_pages_to_the_end_and_to_the_bounds(google: Google, tmp_path: Path) -> None:
    def endless(query: Mapping[str, str], _body: object) -> object:
        number = int(query.get("pageToken", "0"))
        return {"items": [{"name": f"n{number}"}], "nextPageToken": str(number + 1)}

    google.says["/storage/v1/b"] = endless
    ask = asked(google, tmp_path)
    found = ask.listing("storage", "list", "b", "items", name, bounds=Bounds(pages=5, items=100))
    assert len(found.items) == 5
    assert found.rest is not None
    assert found.rest.reason is Reason.NOT_COVERED
    google.says["/storage/v1/b"] = lambda query, _: {"items": [{"name": "a"}], "nextPageToken": "again"}
    looped = ask.listing("storage", "list", "b", "items", name)
    assert looped.rest is not None
    assert looped.rest.reason is Reason.MALFORMED
    google.says["/storage/v1/b"] = lambda query, _: {"items": [], "nextPageToken": "x" * 9000}
    with pytest.raises(ProbeError) as caught:
        ask.listing("storage", "list", "b", "items", name)
    assert caught.value.reason is Reason.MALFORMED


def test_a_service_without_an_endpoint_is_not_asked_on_this_machine(google: Google, tmp_path: Path) -> None:
    ask = asked(google, tmp_path, endpoints=[], storage_endpoint=f"127.0.0.1:{google.port}")
    google.says["/storage/v1/b/x"] = {"name": "x"}
    assert ask.ask("storage", "get", "b/x") == {"name": "x"}
    with pytest.raises(ProbeError) as caught:
        ask.ask("bigquery", "get", "x")
    assert caught.value.reason is Reason.UNSUPPORTED


def test_no_token_leaves_its_universe(google: Google, tmp_path: Path) -> None:
    who = GcpIdentity.model_validate(
        {"id": "a", "provider": "gcp", "endpoints": [["storage", "storage.example.org"]], "api_endpoint": "kms.example"}
    )
    io = world(tmp_path, who)
    subject = bucket("crm", identity="a")
    ask = Asking(io, subject, Door("a", who, "a"), (), io.monotonic() + 10)
    for service in ("storage", "cloudkms"):
        with pytest.raises(ProbeError) as caught:
            ask.ask(service, "get", "x")
        assert caught.value.reason is Reason.UNSUPPORTED
    assert google.asked == []


def test_a_pace_of_its_own(tmp_path: Path) -> None:
    now, slept = [1000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    who = GcpIdentity(id="a", provider="gcp")
    io = replace(world(tmp_path, who), monotonic=lambda: now[0])
    ask = Asking(io, bucket("crm", identity="a"), Door("a", who, "a"), (), now[0] + 30, sleep)
    for _ in range(60):
        ask._queue(ask.door, "sqladmin", "x")
    assert sum(slept) == pytest.approx(20, abs=1)
    ask.until = now[0]  # the time is over, and the pace allows no call at once
    with pytest.raises(ProbeError) as caught:
        ask._queue(ask.door, "sqladmin", "x")
    assert caught.value.reason is Reason.THROTTLED


def test_disabled_is_told_apart_from_denied(google: Google, tmp_path: Path) -> None:
    ask = asked(google, tmp_path)
    google.says["/v1/x"] = (403, {"error": {"errors": [{"reason": "accessNotConfigured"}]}})
    with pytest.raises(DisabledError, match="enable it"):
        ask.ask("spanner", "get", "x")
    google.says["/v1/x"] = (403, {})
    with pytest.raises(ProbeError) as caught:
        ask.ask("spanner", "get", "x")
    assert not isinstance(caught.value, DisabledError)


def test_nobody_can_be_asked(google: Google, tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as caught:
        gcp.walk(bucket("crm", identity="nobody"), "whole", world(tmp_path, identity(google, tmp_path)))
    assert caught.value.reason is Reason.PERMISSION_DENIED
    facts, _ = gcp.walk(bucket("crm", others=["nobody"]), "whole", world(tmp_path, identity(google, tmp_path)))
    assert ("identity nobody", "copies") in {(end.at, end.matters) for end in facts.open}

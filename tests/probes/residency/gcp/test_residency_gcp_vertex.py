"""Vertex AI: an endpoint's location is told by Google; that of a model that Google publishes is only a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from residency_gcp import Google, identity, world

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind, Reason
from probes.residency.flow_controls import Inference as Inside
from probes.residency.flow_facts import InferenceFacts, Runs
from probes.residency.gcp import vertex
from probes.residency.gcp.names import endpoint_location
from probes.residency.gcp.vertex import Asked
from probes.residency.observe_inference import InferenceProbe
from probes.residency.subjects import Inference

ENDPOINT = "projects/acme/locations/europe-west3/endpoints/7"


def ask(google: Google, home: Path, model: str, **more: object) -> Asked:
    subject = Inference.model_validate({"id": "m", "provider": "gcp", "model": model, "identity": "auditor", **more})
    return vertex.ask(subject, world(home, identity(google, home)))


def test_an_endpoint_runs_where_it_is(google: Google, tmp_path: Path) -> None:
    told = {"name": "projects/4711/locations/europe-west3/endpoints/7", "deployedModels": [{"id": "1", "model": "m"}]}
    google.says[f"/v1/{ENDPOINT}"] = told
    asked = ask(google, tmp_path, ENDPOINT)
    assert isinstance(asked.runs, Runs)
    assert (asked.runs.regions, asked.runs.models) == (("europe-west3",), ("m",))
    assert b"deployedModels" in asked.blobs[0].content


@pytest.mark.parametrize(
    "model",
    [
        "gemini-2.5-pro",
        "projects/acme/locations/europe-west3/publishers/google/models/gemini-2.5-pro",
        f"{ENDPOINT}/../8",
    ],
)
def test_of_other_models_nobody_is_asked(google: Google, tmp_path: Path, model: str) -> None:
    assert endpoint_location(model) is None
    with pytest.raises(ProbeError) as caught:
        ask(google, tmp_path, model)
    assert caught.value.reason is Reason.NOT_COVERED
    assert google.asked == []


def test_the_probe_asks_about_endpoints(google: Google, tmp_path: Path) -> None:
    google.says[f"/v1/{ENDPOINT}"] = {"name": ENDPOINT, "deployedModels": [{"id": "1", "model": "m"}]}
    io = world(tmp_path, identity(google, tmp_path))
    given = {"id": "m", "provider": "gcp", "model": ENDPOINT, "identity": "auditor"}
    for more, kind in (({}, Kind.PASS), ({"region": "us-east4"}, Kind.FAIL)):
        subject = Inference.model_validate({**given, **more})
        facts = InferenceProbe().observe(subject, io).facts
        assert isinstance(facts, InferenceFacts)
        assert Inside.model_validate({"jurisdiction": ["EU"]}).judge(facts).kind is kind
    (touch,) = InferenceProbe().touches(Inference.model_validate(given), io)
    assert touch.calls == 1
    assert list(InferenceProbe().touches(Inference.model_validate({**given, "model": "gemini"}), io)) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"name": "projects/acme/locations/us-east4/endpoints/7"}, Reason.MALFORMED),
        ((403, {}), Reason.PERMISSION_DENIED),
        ((404, {}), Reason.UNREACHABLE),
        ({"name": ENDPOINT, "deployedModels": "x"}, Reason.MALFORMED),
    ],
)
def test_endpoints_that_are_not_told(google: Google, tmp_path: Path, said: object, reason: Reason) -> None:
    google.says[f"/v1/{ENDPOINT}"] = said
    with pytest.raises(ProbeError) as caught:
        ask(google, tmp_path, ENDPOINT)
    assert caught.value.reason is reason


def test_an_endpoint_without_a_model_and_one_in_two_places(google: Google, tmp_path: Path) -> None:
    google.says[f"/v1/{ENDPOINT}"] = {"name": ENDPOINT}
    asked = ask(google, tmp_path, ENDPOINT)
    assert isinstance(asked.runs, Unseen)
    assert asked.runs.reason is Reason.NO_POSITIVE
    with pytest.raises(ProbeError) as caught:
        ask(google, tmp_path, ENDPOINT, region="us-east4")
    assert caught.value.reason is Reason.CONFLICTING

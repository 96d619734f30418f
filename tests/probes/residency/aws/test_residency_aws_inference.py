"""Models of Bedrock over the wire, and names of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Unseen
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from probes.residency.endpoint_facts import NotAsked
from probes.residency.flow_facts import InferenceFacts, Runs
from probes.residency.observe_inference import InferenceProbe
from probes.residency.subjects import Inference

HOME = "eu-central-1"
EU = "eu.anthropic.claude-sonnet-4-20250514-v1:0"


def model(name: str, provider: str = "aws", **more: object) -> Inference:
    return Inference.model_validate(
        {"id": "m", "provider": provider, "model": name, "identity": "auditor" if provider == "aws" else None, **more}
    )


def profile(name: str, *regions: str) -> dict[str, object]:
    return {
        "inferenceProfileName": name,
        "inferenceProfileArn": f"arn:aws:bedrock:{HOME}:123456789012:inference-profile/{name}",
        "inferenceProfileId": name,
        "models": [{"modelArn": f"arn:aws:bedrock:{region}::foundation-model/anthropic.claude"} for region in regions],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def observed(subject: Inference, io) -> InferenceFacts:
    found = InferenceProbe().observe(subject, io).facts
    assert isinstance(found, InferenceFacts)
    return found


def test_a_profile_is_a_closed_set_of_regions(wire, make_io) -> None:
    wire.json("/inference-profiles/", profile(EU, HOME, "eu-west-1", "eu-north-1"))
    wire.json("/logging/modelinvocations", {"loggingConfig": {
        "s3Config": {"bucketName": "prompts"}, "cloudWatchConfig": {"logGroupName": "bedrock", "roleArn": "r"},
    }})  # fmt: skip
    facts = observed(model(EU), make_io(wire.url))
    assert facts.runs.regions == (HOME, "eu-north-1", "eu-west-1")
    assert facts.logging.targets == ("arn:aws:s3:::prompts", f"log group bedrock in {HOME}")
    assert facts.named == ()


@pytest.mark.parametrize("regions", [(HOME, "us-east-1"), (HOME, "")])
def test_a_global_profile_is_everywhere_whatever_it_lists(wire, make_io, regions) -> None:
    name = "global.anthropic.claude-sonnet-4-20250514-v1:0"
    wire.json("/inference-profiles/", profile(name, *regions))
    facts = observed(model(name), make_io(wire.url))
    assert "global" in facts.runs.regions
    assert facts.named == ("global",)


def test_a_model_without_a_region_is_everywhere_whatever_the_profile_is_called(wire, make_io) -> None:
    wire.json("/inference-profiles/", profile(EU, HOME, ""))
    assert "global" in observed(model(EU), make_io(wire.url)).runs.regions


def test_a_foundation_model_runs_where_it_is_asked(wire, make_io) -> None:
    arn = f"arn:aws:bedrock:{HOME}::foundation-model/amazon.nova-lite-v1:0"
    wire.json("/foundation-models/", {"modelDetails": {"modelArn": arn, "modelId": "amazon.nova-lite-v1:0"}})
    wire.json("/logging/modelinvocations", {})
    facts = observed(model("amazon.nova-lite-v1:0"), make_io(wire.url))
    assert facts.runs.regions == (HOME,)
    assert facts.logging.targets == ()
    facts = observed(model("amazon.nova-lite-v1:0", region="us-east-1"), make_io(wire.url))
    assert facts.runs.reason is Reason.MALFORMED


def test_dots_in_a_models_name_are_no_geography(wire, make_io) -> None:
    arn = f"arn:aws:bedrock:{HOME}::foundation-model/zai.glm-4.6"
    wire.json("/inference-profiles/", {"__type": "ValidationException", "message": "no"}, 400)
    wire.replies["/inference-profiles/"] = (400, b'{"message": "no"}', {"x-amzn-errortype": "ValidationException"})
    wire.json("/foundation-models/", {"modelDetails": {"modelArn": arn, "modelId": "zai.glm-4.6"}})
    assert observed(model("zai.glm-4.6"), make_io(wire.url)).runs.regions == (HOME,)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"message": "no"}),
        (200, {}),
        (200, {**profile(EU), "models": []}),
        (200, profile("eu.anthropic.another", HOME)),
        (200, {**profile(EU), "models": {"modelArn": "arn:aws:bedrock:eu-central-1::foundation-model/a"}}),
        (200, {**profile(EU), "models": [{}]}),
        (200, {**profile(EU), "models": [{"modelArn": "arn:aws:bedrock:here or there::foundation-model/a"}]}),
    ],
)
def test_what_is_not_told_is_not_known(wire, make_io, status: int, body: object) -> None:
    wire.json("/inference-profiles/", body, status)
    facts = observed(model(EU), make_io(wire.url))
    assert isinstance(facts.runs, Unseen)
    assert isinstance(facts.logging, Unseen)
    assert facts.named == ("eu",)


@pytest.mark.parametrize(
    ("provider", "name", "host", "named"),
    [
        ("gcp", "projects/p/locations/europe-west4/publishers/google/models/g", None, ("europe-west4",)),
        ("gcp", "gemini-2.5-pro", "aiplatform.googleapis.com", ("global",)),
        ("gcp", "gemini-2.5-pro", "europe-west4-aiplatform.googleapis.com", ("europe-west4",)),
        ("gcp", "projects/p/locations/global/publishers/google/models/g", None, ("global",)),
        ("openai", "gpt-5", "eu.api.openai.com", ()),
        ("azure", "gpt-5-deployment", None, ()),
    ],
)
def test_what_the_names_of_others_tell(make_io, provider, name, host, named) -> None:
    io = make_io("http://127.0.0.1:1")
    if host is not None:
        body = CanonicalJson.of({"id": "ai", "url": f"https://{host}/"})
        io = replace(io, subjects=(SubjectEntry(id="endpoints/ai", vantages=("here",), body=body),))
    facts = observed(model(name, provider, endpoint=None if host is None else "ai"), io)
    assert isinstance(facts.runs, NotAsked)
    assert facts.named == named
    assert facts.endpoint_host == host


def test_without_a_region_nobody_is_asked(make_io) -> None:
    io = make_io("http://127.0.0.1:1", fresh=True)
    io = replace(io, identities=tuple(each.model_copy(update={"region": None}) for each in io.identities))
    facts = observed(model(EU), io)
    assert isinstance(facts.runs, Unseen)
    assert not isinstance(facts.runs, Runs)
    assert facts.runs.reason is Reason.NOT_COVERED

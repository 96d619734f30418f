"""Vertex AI: in which location an endpoint serves a model.

Google tells it of endpoints that a project made and deployed a model to. Of the models that Google itself publishes no
method of the control plane tells where they run: what is left is the location in their name, which `global` gives up.
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/get.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.answers import Answers
from probes.clouds.aws.reading import MalformedError, children, parsing, text, text_or_none
from probes.clouds.gcp import clients
from probes.clouds.gcp.rest import Rest
from probes.residency.flow_facts import Runs
from probes.residency.gcp.asking import LARGE
from probes.residency.gcp.names import endpoint_location, located
from probes.residency.graph import unknown
from probes.residency.store_facts import NodePlace
from probes.residency.subjects import Inference

_OPERATION: Final = "aiplatform.endpoints.get"
_SERVICE: Final = "aiplatform"
_FIELDS: Final = "name,deployedModels(id,model,displayName),createTime"


@dataclass(frozen=True, slots=True)
class Asked:
    """What Vertex AI told."""

    runs: Runs | Unseen
    blobs: tuple[Blob, ...]


def ask(subject: Inference, io: Io) -> Asked:
    """Where the endpoint is. Raises ProbeError."""
    location = endpoint_location(subject.model)
    if location is None:
        raise ProbeError(Reason.NOT_COVERED, "not an endpoint of Vertex AI: projects/P/locations/L/endpoints/E")
    if subject.region is not None and subject.region != location:
        raise ProbeError(
            Reason.CONFLICTING, f"the endpoint is in {location} and declared in {subject.region}; correct one of them"
        )
    identity = clients.identity_of(subject.identity, io)
    named = dict(identity.endpoints).get(_SERVICE) or f"{location}-{_SERVICE}.{identity.universe_domain}"
    rest = Rest.of(_SERVICE, named, subject.identity, io, time.sleep, room=LARGE)
    answer = rest.ask("GET", f"{subject.model}?fields={_FIELDS}", None, _OPERATION)
    with parsing(_OPERATION):
        name = text(answer, "name")
        if name.partition("/locations/")[2] != subject.model.partition("/locations/")[2]:
            raise MalformedError("the answer is about another endpoint")
        deployed = children(answer, "deployedModels")
        models = sorted({vendor_text(text_or_none(each, "model") or text(each, "id")) for each in deployed})
    place = located(location)
    if not isinstance(place, NodePlace):
        return Asked(place, ())
    answers = Answers()
    answers.add(_OPERATION, rest.base, {"path": subject.model}, answer)
    blob = answers.blob()
    if clients.spoken(io).within(blob.content):
        raise ProbeError(Reason.MALFORMED, "the answer repeats the credential that it was asked with")
    if not models:
        return Asked(unknown("no model is deployed to the endpoint", Reason.NO_POSITIVE), (blob,))
    runs = Runs(regions=place.regions, profile=vendor_text(name), models=tuple(models[:200]), status=None)
    return Asked(runs, (blob,))

"""The probe of AI inference: where a model may run, as its provider's control plane and its own name tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar, Final
from urllib.parse import urlsplit

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.facts import Facts, Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import WHOLE, Io, Observed, SimpleProbe, Touch
from keycheck.model.types import vendor_text
from probes.clouds.whose import credential_of
from probes.places.hosts import region_named_by
from probes.residency.endpoint_facts import NotAsked
from probes.residency.flow_facts import InferenceFacts, InvocationLogging, Runs
from probes.residency.subjects import Inference

_GLOBAL: Final = "global"
_VERTEX: Final = re.compile(r"(?:^|/)locations/(?P<location>[a-z0-9-]{2,40})(?:/|$)", re.ASCII)
_VERTEX_HOST: Final = re.compile(r"(?:(?P<location>[a-z0-9-]{2,40})-)?aiplatform\.googleapis\.com", re.ASCII)
_BEDROCK_HOST: Final = re.compile(r"bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]{5,40})\.[a-z.]{5,40}", re.ASCII)


class InferenceProbe(SimpleProbe[Inference]):
    """A model, and where it may run.

    Amazon Bedrock tells the Regions of an inference profile and Vertex AI the location of an endpoint, with credentials
    (`configured`); elsewhere nothing is asked, and what is left is what names say. Nothing is proved about where the
    provider really computes, what it keeps, or who reads it.
    """

    id = "residency.inference"
    version = 1
    section = "inference"
    facts: ClassVar[type[Facts]] = InferenceFacts

    def touches(self, subject: Inference, io: Io) -> Iterable[Touch]:
        """Two read-only calls to Bedrock, one about an endpoint of Vertex AI; nothing elsewhere."""
        if subject.provider == "aws":
            yield Touch(
                what=f"{subject.model}: read where it may run, and where invocations are written down",
                credential=credential_of(subject.identity, io),
                changes=False,
                technique=Technique.PASSIVE,
                connections=1,
                seconds=int(self.limit),
                calls=2,
            )
        elif _asks_google(subject):
            yield Touch(
                what=f"{subject.model}: read where it is and what is deployed to it",
                credential=credential_of(subject.identity, io),
                changes=False,
                technique=Technique.PASSIVE,
                connections=1,
                seconds=int(self.limit),
                calls=1,
            )

    def observe(self, subject: Inference, io: Io) -> Observed:
        """What is told and what is named."""
        runs: Runs | NotAsked | Unseen = NotAsked()
        logging: InvocationLogging | NotAsked | Unseen = NotAsked()
        blobs: tuple[Blob, ...] = ()
        if subject.provider == "aws":
            from probes.residency.aws import inference

            try:
                asked = inference.ask(subject, io)
                runs, logging, blobs = asked.runs, asked.logging, asked.blobs
            except ProbeError as error:
                runs = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        elif _asks_google(subject):
            from probes.residency.gcp import vertex

            try:
                told = vertex.ask(subject, io)
                runs, blobs = told.runs, told.blobs
            except ProbeError as error:
                runs = Unseen(reason=error.reason, detail=vendor_text(str(error)))
        host = _host(subject, io)
        facts = InferenceFacts(
            declared=subject,
            runs=runs,
            named=tuple(sorted(vendor_text(each) for each in _named(subject, host, told=isinstance(runs, Runs)))),
            endpoint_host=None if host is None else vendor_text(host),
            logging=logging,
        )
        return Observed(WHOLE, facts, blobs=blobs)


def _asks_google(subject: Inference) -> bool:
    """Of Vertex AI, endpoints that a project made; models that Google publishes are named alone."""
    if subject.provider != "gcp":
        return False
    from probes.residency.gcp.names import endpoint_location

    return endpoint_location(subject.model) is not None


def _host(subject: Inference, io: Io) -> str | None:
    """Of the endpoint that the deployment declares for it."""
    entry = next((each for each in io.subjects if each.id == f"endpoints/{subject.endpoint}"), None)
    url = None if entry is None else entry.body.parsed().get("url")
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def _named(subject: Inference, host: str | None, *, told: bool) -> set[str]:
    """Regions and `global` that the model's name, or its endpoint's, carries. A geography (`eu`) is a set of Regions
    that only the provider can name: it is left out where the provider did."""
    found: set[str] = set()
    if subject.region == _GLOBAL:
        found.add(_GLOBAL)
    match subject.provider:
        case "aws":
            from probes.residency.aws.inference import geography

            if subject.model.startswith("arn:") and (region := subject.model.split(":")[3:4]) and region[0]:
                found.add(region[0])
            if host is not None and (match := _BEDROCK_HOST.fullmatch(host)) is not None:
                found.add(match["region"])
            elif host is not None and (other := region_named_by(host)) is not None:
                found.add(other.region)  # an endpoint of a private network, or another door of Bedrock's
            place = geography(subject.model)
            if place is not None and (place == _GLOBAL or not told):
                found.add(place)
        case "gcp":
            if (match := _VERTEX.search(subject.model)) is not None:
                found.add(match["location"])
            if host is not None and (match := _VERTEX_HOST.fullmatch(host)) is not None:
                found.add(match["location"] or _GLOBAL)
        case _:
            pass
    return {each for each in found if len(each) <= 40}

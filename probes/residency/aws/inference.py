"""Amazon Bedrock: the Regions that an inference profile sends requests on to, and where invocations are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.clients import Api, api, unspoken
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.reading import MalformedError, child, child_or_none, children, parsing, text, text_or_none
from probes.residency.aws.graph import seen_not, unknown
from probes.residency.aws.names import Arn, arn, is_bucket
from probes.residency.aws.operations import OPERATIONS
from probes.residency.flow_facts import InvocationLogging, Runs
from probes.residency.subjects import Inference

GLOBAL: Final = "global"
_PROFILE: Final = ("inference-profile/", "application-inference-profile/")
_NO_PROFILE: Final = ("ResourceNotFoundException", "ValidationException")
_MODEL: Final = "foundation-model/"
_PARTITIONS: Final = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc"))
_GEOGRAPHY: Final = re.compile(r"(?P<geography>[a-z]{2,8}(?:-gov)?)\.[a-z0-9-]+\.[a-z0-9]", re.ASCII)
"""A profile's id has a geography before the id of the model: `eu.anthropic.claude-…`, `global.amazon.nova-…`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What Bedrock told."""

    runs: Runs | Unseen
    logging: InvocationLogging | Unseen
    blobs: tuple[Blob, ...]


def geography(model: str) -> str | None:
    """The geography that a model's name carries, of a profile's id or in its ARN: `eu`, `global`. None: none."""
    match = _GEOGRAPHY.match(model.rpartition("/")[2])
    return None if match is None else match["geography"]


def ask(subject: Inference, io: Io) -> Asked:
    """Where the model may run, and where Bedrock writes invocations. Raises ProbeError where nobody can be asked."""
    found = _named(subject.model)
    region = (found and found.region) or subject.region or _ambient(subject, io)
    if region is None:
        raise ProbeError(Reason.NOT_COVERED, "in which Region it is asked is not declared; name the model's `region`")
    partition = found.partition if found else next((p for start, p in _PARTITIONS if region.startswith(start)), "aws")
    door = api(io, subject.identity, partition, region, OPERATIONS)
    runs: Runs | Unseen
    logging: InvocationLogging | Unseen
    try:
        runs = _runs(door, region, subject.model, found)
    except ProbeError as error:
        runs = seen_not(error)
    try:
        logging = _logging(door, region, partition)
    except ProbeError as error:
        logging = seen_not(error)
    answers = door.answers.blob()
    unspoken("inference", door, [runs.model_dump_json(), logging.model_dump_json(), answers.content])
    return Asked(runs, logging, (answers,))


def _named(model: str) -> Arn | None:
    if not model.startswith("arn:"):
        return None
    try:
        found = arn(model)
    except ValueError as error:
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(model, 200)}: {error}; check its spelling") from error
    if found.service != "bedrock":
        raise ProbeError(Reason.MALFORMED, f"{vendor_text(model, 200)} is no ARN of Bedrock; check its spelling")
    return found


def _ambient(subject: Inference, io: Io) -> str | None:
    identity = next((each for each in io.identities if each.id == subject.identity), None)
    return identity.region if identity is not None and identity.provider == "aws" else None


def _runs(door: Api, region: str, model: str, found: Arn | None) -> Runs | Unseen:
    resource = None if found is None else found.resource
    if resource is not None and not resource.startswith((*_PROFILE, _MODEL)):
        return unknown("of Bedrock, inference profiles and foundation models are covered")
    if resource is not None and resource.startswith(_PROFILE):
        return _profile(door, region, model)
    if resource is None and (place := geography(model)) is not None:
        try:
            return _profile(door, region, model)
        except AwsError as error:
            # Names of models may have dots in them, too.
            if place == GLOBAL or error.code not in _NO_PROFILE:
                raise
    return _foundation(door, region, model)


def _profile(door: Api, region: str, model: str) -> Runs:
    operation = "bedrock:GetInferenceProfile"
    answer = door.ask(operation, region, inferenceProfileIdentifier=model)
    with parsing(operation):
        own = text(answer, "inferenceProfileArn")
        if model not in (own, text(answer, "inferenceProfileId")):
            raise MalformedError("the answer is about another profile")
        models = sorted({text(item, "modelArn") for item in children(answer, "models", required=True)})
        if not models:
            raise MalformedError("a profile without models")
        return Runs(
            regions=_regions(models, geography(model) == GLOBAL),
            profile=vendor_text(own),
            models=tuple(vendor_text(each) for each in models[:200]),
            status=text_or_none(answer, "status"),
        )


def _regions(models: list[str], everywhere: bool) -> tuple[str, ...]:
    """A global profile has a model whose ARN names no Region."""
    found = {GLOBAL} if everywhere else set()
    for model in models:
        try:
            told = arn(model)
        except ValueError as error:
            raise MalformedError("a modelArn that is none") from error
        found.add(told.region or GLOBAL)
    if len(found) > 200:
        raise MalformedError("more Regions than there are")
    return tuple(sorted(found))


def _foundation(door: Api, region: str, model: str) -> Runs:
    """A foundation model that is asked by its own name runs where it is asked."""
    operation = "bedrock:GetFoundationModel"
    answer = door.ask(operation, region, modelIdentifier=model)
    with parsing(operation):
        details = child(answer, "modelDetails")
        own = text(details, "modelArn")
        if model not in (own, text(details, "modelId")):
            raise MalformedError("the answer is about another model")
        regions = _regions([own], False)
        if regions != (region,):
            raise MalformedError("a model of another Region than was asked")
        status = child_or_none(details, "modelLifecycle") or {}
        return Runs(regions=regions, profile=None, models=(vendor_text(own),), status=text_or_none(status, "status"))


def _logging(door: Api, region: str, partition: str) -> InvocationLogging:
    operation = "bedrock:GetModelInvocationLoggingConfiguration"
    answer = door.ask(operation, region)
    targets: list[str] = []
    with parsing(operation):
        configured = child_or_none(answer, "loggingConfig") or {}
        watched = child_or_none(configured, "cloudWatchConfig") or {}
        if (group := text_or_none(watched, "logGroupName")) is not None:
            targets.append(f"log group {group} in {region}")
        for each in (child_or_none(configured, "s3Config"), child_or_none(watched, "largeDataDeliveryS3Config")):
            if each is not None:
                bucket = text(each, "bucketName")
                if not is_bucket(bucket):
                    raise MalformedError("a bucketName that is none")
                targets.append(f"arn:{partition}:s3:::{bucket}")
    return InvocationLogging(targets=tuple(sorted({vendor_text(each) for each in targets})))

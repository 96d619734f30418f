"""The AWS side of the probes of keys: read-only calls to KMS, STS and CloudTrail, as facts.

Proves what AWS answers to our credentials, then and there. Every call is in `probes.keys.aspects.AWS_ACTIONS`. What was
denied, cut short or unreadable is `Unseen` with its reason, never empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keycheck.model.facts import Census, Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import PartName
from probes.clouds.aws.clients import api, unspoken
from probes.keys.aspects import Aspect
from probes.keys.aws import configuration, describe, trail
from probes.keys.aws.configuration import asked_or, fitting
from probes.keys.aws.operations import OPERATIONS, calls
from probes.keys.aws_facts import AwsKey, AwsPolicy
from probes.keys.facts import EventFacts, LoggingFacts
from probes.keys.subjects import Key

_GRANTS: Final = 512 * 1024
_POLICIES: Final = 192 * 1024
_SMALL: Final = 64 * 1024
"""Bytes, of the 1 MiB of one line of evidence."""


def key_calls(asked: frozenset[Aspect]) -> int:
    """About how many API calls `key` makes in one Region."""
    return calls(asked)


def log_calls(asked: frozenset[Aspect]) -> int:
    """About how many API calls `log` makes in one Region, besides one to learn who asks."""
    return calls(asked) + 1


def survey(subject: Key, io: Io) -> Census:
    """The Regions that the key and its replicas are in; open with a reason when AWS does not tell.

    Raises ProbeError(malformed) when the deployment's ARN is none.
    """
    return describe.survey(subject, io)


def key(subject: Key, part: PartName, asked: frozenset[Aspect], io: Io) -> tuple[AwsKey, tuple[Blob, ...]]:
    """The key in one Region. Raises ProbeError when it cannot be described; a question that fails is `Unseen`."""
    arn = describe.related(subject, part, io)
    door = api(io, subject.identities.inspect, arn.partition, arn.region, OPERATIONS)
    found = describe.describe(door, arn)
    texts: list[Blob] = []

    def policies() -> tuple[AwsPolicy, ...]:
        read, blobs = configuration.policies(door, arn)
        texts.extend(blobs)
        return read

    facts = AwsKey(
        arn=str(found.arn),
        partition=found.arn.partition,
        account=found.arn.account,
        region=found.arn.region,
        endpoint=door.endpoint("kms", found.arn.region),
        description=found.description,
        materials=asked_or(
            Aspect.MATERIALS in asked, fitting("materials", _SMALL, lambda: configuration.materials(door, arn))
        ),
        rotation=asked_or(Aspect.ROTATION in asked, lambda: configuration.rotation(door, arn)),
        policies=asked_or(Aspect.POLICIES in asked, fitting("policies", _POLICIES, policies)),
        grants=asked_or(Aspect.GRANTS in asked, fitting("grants", _GRANTS, lambda: configuration.grants(door, arn))),
        aliases=asked_or(Aspect.ALIASES in asked, fitting("aliases", _SMALL, lambda: configuration.aliases(door, arn))),
        tags=asked_or(Aspect.TAGS in asked, fitting("tags", _SMALL, lambda: configuration.tags(door, arn))),
        last_usage=asked_or(Aspect.LAST_USAGE in asked, lambda: configuration.last_usage(door, arn)),
        store=asked_or(Aspect.STORE in asked, lambda: configuration.store(door, arn, found.description)),
        # Last: another service, whose silence must not take the time of all others.
        caller=asked_or(Aspect.CALLER in asked, lambda: door.caller(arn.region)[0]),
    )
    blobs = (*texts, door.answers.blob())
    unspoken("kms", door, [facts.model_dump_json(), *(blob.content for blob in blobs)])
    return facts, blobs


def log(
    subject: Key, part: PartName, asked: frozenset[Aspect], window: tuple[datetime, datetime], io: Io
) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen, str, tuple[Blob, ...]]:
    """What is logged about the key in one Region, what the log says from `window[0]` to `window[1]`, and who answered.

    Raises ProbeError when it is not known which key an alias means.
    """
    arn = describe.related(subject, part, io)
    door = api(io, subject.identities.log, arn.partition, arn.region, OPERATIONS)
    bodies: list[Blob] = []

    def logging() -> LoggingFacts:
        trail.right_account(door, arn)
        return trail.logging(door, arn.region)

    def events() -> EventFacts:
        trail.right_account(door, arn)
        facts, blob = trail.events(door, arn, window)
        bodies.append(blob)
        return facts

    kept = asked_or(Aspect.LOGGING in asked, logging)
    said = asked_or(Aspect.EVENTS in asked, events)
    answers = door.answers.blob()
    unspoken("cloudtrail", door, [*(part.model_dump_json() for part in (kept, said)), answers.content])
    return kept, said, door.endpoint("cloudtrail", arn.region), (*bodies, answers)

"""What a log keeps silent about, by its own settings: excluded events and exempted principals.

An empty answer says that no setting that was read mutes anything, and no more: filters are not evaluated, and sinks
that the identity may not list are not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from probes.clouds.aws.arns import KmsArn
from probes.keys.subjects import Bucket, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.clouds.aws.clients import Api
    from probes.clouds.gcp.session import Session
    from probes.keys.facts import AwsTrail

_MOST: Final = 100


def gcp_muted(subject: Key, io: Io) -> tuple[str, ...]:
    """Data Access settings of Cloud KMS from the project up to the organization, as the identity that reads the log:
    uses are logged only where DATA_READ is on, and not for exempted members, wherever they are exempted. And what the
    project's sink keeps out of the log, where that identity may list sinks.

    Nothing is raised: settings that cannot be read may mute anything, and it says so.
    """
    from probes.clouds.gcp import clients
    from probes.clouds.gcp.names import key_name
    from probes.clouds.gcp.session import Session
    from probes.keys.drill.gcp_sinks import left_out

    named = subject.drill.canary_key if subject.drill is not None else None
    words: list[str] = []
    try:
        project = key_name(named or subject.resource).project
        session = Session(clients.identity_of(subject.identities.log, io), io)
        words += _of_settings(project, session)
        words += left_out(project, session)
    except ProbeError as error:
        words.append(f"what the log's settings mute is not known: {error}")
    return tuple(dict.fromkeys(vendor_text(each) for each in words))


def _of_settings(project: str, session: Session) -> list[str]:
    from probes.keys.gcp.audit import logging_facts
    from probes.keys.gcp.hierarchy import ancestry

    found = logging_facts(ancestry(project, session), session.identity.universe_domain)
    if isinstance(found, Unseen):
        return [f"what the audit settings mute is not known: {found.reason}: {found.detail}"]
    words = [
        f"uses by {member}, exempted at {level.resource}" for level in found.audit for member in level.exempted[:_MOST]
    ]
    if not any(level.data_read for level in found.audit):
        words.append("all uses: no DATA_READ audit log of Cloud KMS is switched on where it could be read")
    if not found.complete:
        words.append(f"who is exempted further up is not known: {found.why_not}")
    return words


def aws_muted(subject: Key, arns: Sequence[KmsArn], io: Io) -> tuple[str, ...]:
    """What the trails leave out whose buckets `drill.logs` names. The event history has no such settings: it holds
    management events, which calls to KMS are, whatever the trails exclude. Files in a folder say nothing of theirs.
    Nothing is raised: a trail that cannot be read may leave out anything."""
    from probes.clouds.aws.clients import api
    from probes.keys.aws.operations import OPERATIONS

    buckets = [source for source in subject.drill.logs if isinstance(source, Bucket)] if subject.drill else []
    words: list[str] = []
    for arn in arns if buckets else ():
        try:
            door = api(io, subject.identities.log, arn.partition, arn.region, OPERATIONS)
            words += _of_trails(door, arn.region, [bucket.bucket for bucket in buckets])
        except ProbeError as error:
            words.append(f"what the trails of {arn.region} leave out is not known: {error}")
    return tuple(dict.fromkeys(vendor_text(each) for each in words))


def _of_trails(door: Api, region: str, buckets: Sequence[str]) -> list[str]:
    from probes.clouds.aws.reading import children, parsing, text
    from probes.keys.aws.trail import logging

    known = logging(door, region)
    operation = "cloudtrail:DescribeTrails"
    answer = door.ask(operation, region, includeShadowTrails=True)
    with parsing(operation):
        into = {text(item, "TrailARN"): text(item, "S3BucketName") for item in children(answer, "trailList")}
    words: list[str] = []
    for bucket in buckets:
        trails = [trail for trail in known.trails or () if into.get(trail.arn) == bucket]
        if not trails:
            words.append(f"what the files in {bucket} leave out: no trail that could be read delivers there ({region})")
        words += [f"{what}, in the files of trail {trail.name}" for trail in trails for what in _left_out(trail)]
    return words


def _left_out(trail: AwsTrail) -> list[str]:
    if not trail.logging:
        return ["everything: it is switched off"]
    words = ["events of KMS that its selectors exclude"] if trail.excludes_kms else []
    match trail.management:
        case "all":
            pass
        case "read" | "write":
            words.append(f"all management events but those that {trail.management}")
        case "none":
            words.append("all management events")
        case "unknown":
            words.append("what its selectors leave out, which is not known")
        case _:
            assert_never(trail.management)
    if trail.delivery_error is not None:
        words.append(f"what could not be delivered ({trail.delivery_error})")
    return words

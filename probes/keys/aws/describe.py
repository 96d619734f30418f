"""DescribeKey: which key it is, where it and its replicas are, and what AWS says it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from keycheck.errors import ProbeError
from keycheck.model.facts import Census, Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.clients import Api, api
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child,
    child_or_none,
    children,
    count_or_none,
    flag,
    instant,
    instant_or_none,
    parsing,
    text,
    text_or_none,
)
from probes.keys.aws.operations import OPERATIONS
from probes.keys.aws_facts import AwsDescription, MultiRegion
from probes.keys.subjects import Key

MAX_REGIONS: Final = 100
_STORES: Final = ("AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")


@dataclass(frozen=True, slots=True)
class Described:
    """One answer to DescribeKey."""

    arn: KmsArn
    description: AwsDescription
    related: tuple[KmsArn, ...]
    """The key itself and its related multi-Region keys, one a Region."""


def named(subject: Key) -> KmsArn:
    """What the deployment names. Raises ProbeError(malformed)."""
    try:
        return kms_arn(subject.resource)
    except ValueError as error:
        raise ProbeError(
            Reason.MALFORMED, f"{vendor_text(subject.resource, 200)}: {error}; check its spelling"
        ) from error


def survey(subject: Key, io: Io) -> Census:
    """The Regions that the key is in. Where AWS does not say, the named Region alone, and the census is open: replicas
    may be missing."""
    asked = named(subject)
    try:
        found = located(subject, io)
    except ProbeError as error:
        return Census(parts=(asked.region,), open=(Unseen(reason=error.reason, detail=vendor_text(str(error))),))
    return Census(parts=tuple(sorted(arn.region for arn in found.related)))


def located(subject: Key, io: Io) -> Described:
    """The key as the identity that inspects sees it; asked once in a run. Raises ProbeError."""
    asked = named(subject)
    inspect = subject.identities.inspect

    def look() -> Described:
        return describe(api(io, inspect, asked.partition, asked.region, OPERATIONS), asked)

    return io.once.get(("aws", "located", io.vantage.id, inspect or "", str(asked)), look)


def related(subject: Key, part: str, io: Io) -> KmsArn:
    """The ARN of the key in one Region. Raises ProbeError."""
    asked = named(subject)
    try:
        found = located(subject, io)
    except ProbeError:
        # A key ARN says by itself which key it is; an alias does not.
        if asked.kind == "key" and asked.region == part:
            return asked
        raise
    arn = next((arn for arn in found.related if arn.region == part), None)
    if arn is None:
        raise ProbeError(Reason.UNREACHABLE, f"kms:DescribeKey: the key is no longer in {vendor_text(part, 50)}")
    return arn


def describe(door: Api, asked: KmsArn) -> Described:
    """What AWS answers about a key or alias, in its own Region. Raises ProbeError: malformed when the answer is about
    another key than the one that was asked about."""
    operation = "kms:DescribeKey"
    answer = door.ask(operation, asked.region, KeyId=str(asked))
    with parsing(operation):
        metadata = child(answer, "KeyMetadata")
        arn = _arn(metadata, "Arn")
        same = arn == asked if asked.kind == "key" else arn.home == asked.home
        if not same:
            raise MalformedError("the answer is about a key in another place than was asked about")
        if text(metadata, "KeyId") != arn.name or metadata.get("AWSAccountId", arn.account) != arn.account:
            raise MalformedError("the answer contradicts itself about the key's id or account")
        spread = _spread(metadata, arn)
        return Described(arn, _description(metadata, spread), _places(spread, arn))


def _arn(answer: Answer, name: str) -> KmsArn:
    try:
        arn = kms_arn(text(answer, name))
    except MalformedError:
        raise
    except ValueError as error:
        raise MalformedError(f"{name} is {error}") from error
    if arn.kind != "key":
        raise MalformedError(f"{name} is not the ARN of a key")
    return arn


def _spread(metadata: Answer, arn: KmsArn) -> MultiRegion | None:
    multi = flag(metadata, "MultiRegion", default=False)
    configuration = child_or_none(metadata, "MultiRegionConfiguration")
    if configuration is None:
        if multi or arn.name.startswith("mrk-"):
            raise MalformedError("a multi-Region key without its MultiRegionConfiguration")
        return None
    if not multi:
        raise MalformedError("a MultiRegionConfiguration of a key that is not multi-Region")
    kind: Literal["PRIMARY", "REPLICA"]
    match configuration.get("MultiRegionKeyType"):
        case "PRIMARY":
            kind = "PRIMARY"
        case "REPLICA":
            kind = "REPLICA"
        case _:
            raise MalformedError("a MultiRegionKeyType that is not known")
    primary = _place(child(configuration, "PrimaryKey"), arn)
    replicas = tuple(_place(item, arn) for item in children(configuration, "ReplicaKeys"))
    if (kind == "PRIMARY") != (primary == arn) or (kind == "REPLICA") != (arn in replicas):
        raise MalformedError("the answer contradicts itself about which key is the primary one")
    regions = {primary.region, *(replica.region for replica in replicas)}
    if len(regions) != 1 + len(replicas) or len(regions) > MAX_REGIONS:
        raise MalformedError("replicas that are too many, or twice in a Region")
    return MultiRegion(kind=kind, primary=str(primary), replicas=tuple(sorted(str(replica) for replica in replicas)))


def _place(answer: Answer, arn: KmsArn) -> KmsArn:
    place = _arn(answer, "Arn")
    if place.related != arn.related or text(answer, "Region") != place.region:
        raise MalformedError("a related key that is not this key in another Region")
    return place


def _places(spread: MultiRegion | None, arn: KmsArn) -> tuple[KmsArn, ...]:
    return (arn,) if spread is None else tuple(kms_arn(place) for place in (spread.primary, *spread.replicas))


def _description(metadata: Answer, spread: MultiRegion | None) -> AwsDescription:
    origin, store = text(metadata, "Origin"), text_or_none(metadata, "CustomKeyStoreId")
    if (origin in _STORES) != (store is not None):
        raise MalformedError("the answer contradicts itself about the custom key store")
    external = child_or_none(metadata, "XksKeyConfiguration")
    return AwsDescription(
        manager=text(metadata, "KeyManager"),
        state=text(metadata, "KeyState"),
        origin=origin,
        spec=text(metadata, "KeySpec" if "KeySpec" in metadata else "CustomerMasterKeySpec"),
        usage=text(metadata, "KeyUsage"),
        created=instant(metadata, "CreationDate"),
        deletion_date=instant_or_none(metadata, "DeletionDate"),
        pending_window_days=count_or_none(metadata, "PendingDeletionWindowInDays"),
        expiration_model=text_or_none(metadata, "ExpirationModel"),
        valid_to=instant_or_none(metadata, "ValidTo"),
        current_material=text_or_none(metadata, "CurrentKeyMaterialId"),
        multi_region=spread,
        store_id=store,
        xks_key_id=None if external is None else text(external, "Id"),
    )

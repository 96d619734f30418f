"""Everything that AWS tells about a key beside DescribeKey. Each function asks one question and raises ProbeError."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic_core import to_json

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.clients import Api
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.pages import Page, collect, whole
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    count_or_none,
    exact,
    flag,
    instant_or_none,
    pairs,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.keys.aws.policy_text import MAX_BYTES, parse_policy
from probes.keys.aws_facts import (
    AwsDescription,
    AwsGrant,
    AwsLastUsage,
    AwsMaterial,
    AwsPolicy,
    AwsRotation,
    AwsRotationUnsupported,
    AwsStore,
    NoStore,
    Statement,
)

T = TypeVar("T")

_PAGE: Final = 100
_KNOWN_CONSTRAINTS: Final = frozenset({"EncryptionContextEquals", "EncryptionContextSubset"})
KNOWN_POLICIES: Final = ("default", "AWS_RAM")
"""Asked for whether ListKeyPolicies names them or not. `AWS_RAM` shares the key through Resource Access Manager."""
UNLISTED: Final = "*"
"""Name of the policies that may exist beside those that were read, when AWS does not list them."""


def materials(door: Api, arn: KmsArn) -> tuple[AwsMaterial, ...]:
    """All key materials with their states, as AWS lists them."""

    def material(item: Answer) -> AwsMaterial:
        _about(item, arn)
        return AwsMaterial(
            id=text_or_none(item, "KeyMaterialId"),
            state=text_or_none(item, "KeyMaterialState"),
            import_state=text_or_none(item, "ImportState"),
            rotated=instant_or_none(item, "RotationDate"),
            rotation_type=text_or_none(item, "RotationType"),
            expiration_model=text_or_none(item, "ExpirationModel"),
            valid_to=instant_or_none(item, "ValidTo"),
        )

    return _listed(
        door, "kms:ListKeyRotations", arn, "Rotations", material, IncludeKeyMaterial="ALL_KEY_MATERIAL", Limit=_PAGE
    )


def rotation(door: Api, arn: KmsArn) -> AwsRotation | AwsRotationUnsupported:
    """Whether AWS rotates material that it makes; unsupported for imported and external material."""
    operation = "kms:GetKeyRotationStatus"
    try:
        answer = door.ask(operation, arn.region, KeyId=str(arn))
    except AwsError as error:
        if error.code == "UnsupportedOperationException":
            return AwsRotationUnsupported()
        raise
    with parsing(operation):
        _about(answer, arn)
        return AwsRotation(
            automatic=flag(answer, "KeyRotationEnabled"),
            period_days=count_or_none(answer, "RotationPeriodInDays"),
            next=instant_or_none(answer, "NextRotationDate"),
        )


def policies(door: Api, arn: KmsArn) -> tuple[tuple[AwsPolicy, ...], tuple[Blob, ...]]:
    """Every policy of the key, each statements or the reason why not, and their texts.

    When AWS does not list them, one more named `*` stands for those that may exist beside the known ones.
    """
    read: list[AwsPolicy] = []
    blobs: list[Blob] = []
    names = list(KNOWN_POLICIES)
    unlisted: tuple[AwsPolicy, ...] = ()
    try:
        names += sorted(set(_policy_names(door, arn)) - set(KNOWN_POLICIES))
    except ProbeError as error:
        unlisted = (AwsPolicy(name=UNLISTED, sha256=None, statements=_unseen(error)),)
    for number, name in enumerate(names):
        try:
            written = _policy(door, arn, name)
        except AwsError as error:
            if name == "AWS_RAM" and error.code == "NotFoundException":
                continue
            read.append(AwsPolicy(name=name, sha256=None, statements=_unseen(error)))
        except ProbeError as error:
            read.append(AwsPolicy(name=name, sha256=None, statements=_unseen(error)))
        else:
            content = written.encode("utf-8", "surrogatepass")
            read.append(
                AwsPolicy(name=name, sha256=hashlib.sha256(content).hexdigest(), statements=_statements(name, written))
            )
            if len(content) <= MAX_BYTES:
                blobs.append(Blob(_blob_name(name, number), content, "application/json"))
    return (*read, *unlisted), tuple(blobs)


def grants(door: Api, arn: KmsArn) -> tuple[AwsGrant, ...]:
    """Every grant, in AWS's order, duplicates and all."""

    def grant(item: Answer) -> AwsGrant:
        _about(item, arn)
        constraints = child_or_none(item, "Constraints") or {}
        return AwsGrant(
            id=text(item, "GrantId"),
            name=text_or_none(item, "Name"),
            grantee=_principal(item, "GranteePrincipal", "GranteeServicePrincipal"),
            retiring=text_or_none(item, "RetiringPrincipal") or text_or_none(item, "RetiringServicePrincipal"),
            issuer=text_or_none(item, "IssuingAccount"),
            operations=texts(item, "Operations"),
            created=instant_or_none(item, "CreationDate"),
            context_equals=pairs(constraints, "EncryptionContextEquals"),
            context_subset=pairs(constraints, "EncryptionContextSubset"),
            other_constraints=tuple(
                sorted(exact("a constraint", name) for name in constraints.keys() - _KNOWN_CONSTRAINTS)
            ),
        )

    return _listed(door, "kms:ListGrants", arn, "Grants", grant, Limit=_PAGE)


def aliases(door: Api, arn: KmsArn) -> tuple[str, ...]:
    """Names of the key's aliases, with `alias/`, sorted."""

    def alias(item: Answer) -> str:
        if text(item, "TargetKeyId") not in (arn.name, str(arn)):
            raise MalformedError("an alias of another key")
        return text(item, "AliasName")

    return tuple(sorted(_listed(door, "kms:ListAliases", arn, "Aliases", alias, Limit=_PAGE)))


def tags(door: Api, arn: KmsArn) -> tuple[tuple[str, str], ...]:
    """Tags, sorted."""

    def tag(item: Answer) -> tuple[str, str]:
        return text(item, "TagKey"), exact("TagValue", item.get("TagValue"))

    return tuple(sorted(_listed(door, "kms:ListResourceTags", arn, "Tags", tag)))


def last_usage(door: Api, arn: KmsArn) -> AwsLastUsage:
    """The last cryptographic use that AWS knows of."""
    operation = "kms:GetKeyLastUsage"
    answer = door.ask(operation, arn.region, KeyId=str(arn))
    with parsing(operation):
        _about(answer, arn)
        since = instant_or_none(answer, "TrackingStartDate")
        usage = child_or_none(answer, "KeyLastUsage") or {}
        if not usage and since is None:
            raise MalformedError("neither a use nor since when uses are tracked")
        return AwsLastUsage(
            operation=text(usage, "Operation") if usage else None,
            at=instant_or_none(usage, "Timestamp"),
            event_id=text_or_none(usage, "CloudTrailEventId"),
            tracking_since=since,
        )


def store(door: Api, arn: KmsArn, description: AwsDescription) -> AwsStore | NoStore:
    """The custom key store that holds the key. No call for a key that is in none."""
    if description.store_id is None:
        return NoStore()
    operation = "kms:DescribeCustomKeyStores"
    answer = door.ask(operation, arn.region, CustomKeyStoreId=description.store_id)
    with parsing(operation):
        found = children(answer, "CustomKeyStores", required=True)
        if len(found) != 1 or text(found[0], "CustomKeyStoreId") != description.store_id:
            raise MalformedError("the answer is not about the store that was asked about")
        proxy = child_or_none(found[0], "XksProxyConfiguration") or {}
        endpoint, path = text_or_none(proxy, "UriEndpoint"), text_or_none(proxy, "UriPath")
        return AwsStore(
            id=description.store_id,
            name=text(found[0], "CustomKeyStoreName"),
            # Answers from before external stores existed leave it out.
            type=text_or_none(found[0], "CustomKeyStoreType") or "AWS_CLOUDHSM",
            connection=text(found[0], "ConnectionState"),
            error=text_or_none(found[0], "ConnectionErrorCode"),
            xks_connectivity=text_or_none(proxy, "Connectivity"),
            xks_endpoint=None if endpoint is None else vendor_text(endpoint + (path or "")),
        )


def _policy_names(door: Api, arn: KmsArn) -> tuple[str, ...]:
    return _pages(
        door, "kms:ListKeyPolicies", arn, lambda answer: _required_texts(answer, "PolicyNames"), KeyId=str(arn)
    )


def _required_texts(answer: Answer, name: str) -> tuple[str, ...]:
    if answer.get(name) is None:
        raise MalformedError(f"{name} is missing")
    return texts(answer, name)


def _policy(door: Api, arn: KmsArn, name: str) -> str:
    operation = "kms:GetKeyPolicy"
    answer = door.ask(operation, arn.region, KeyId=str(arn), PolicyName=name)
    with parsing(operation):
        if answer.get("PolicyName", name) != name:
            raise MalformedError("the answer is about another policy")
        written = answer.get("Policy")
        if not isinstance(written, str) or not written:
            raise MalformedError("Policy is no text")
        return written


def _statements(name: str, written: str) -> tuple[Statement, ...] | Unseen:
    try:
        with parsing(f"policy {name}"):
            return parse_policy(written)
    except ProbeError as error:
        return _unseen(error)


def _blob_name(name: str, number: int) -> str:
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    return f"policy-{plain}" if name in KNOWN_POLICIES else f"policy-{plain[:40]}-{number}"


def _principal(item: Answer, *names: str) -> str:
    found = {value for name in names if (value := text_or_none(item, name))}
    if len(found) != 1:
        raise MalformedError(f"{' and '.join(names)} do not name exactly one principal")
    return found.pop()


def _about(answer: Answer, arn: KmsArn) -> None:
    if answer.get("KeyId", arn.name) not in (arn.name, str(arn)):
        raise MalformedError("the answer is about another key")


def _listed(
    door: Api, operation: str, arn: KmsArn, member: str, item: Callable[[Answer], T], **parameters: object
) -> tuple[T, ...]:
    def items(answer: Answer) -> tuple[T, ...]:
        # A list that is left out is no empty list: nothing may look as if there were none.
        return tuple(item(entry) for entry in children(answer, member, required=True))

    return _pages(door, operation, arn, items, KeyId=str(arn), **parameters)


def _pages(
    door: Api, operation: str, arn: KmsArn, items: Callable[[Answer], tuple[T, ...]], **parameters: object
) -> tuple[T, ...]:
    def fetch(token: str | None) -> Page[T]:
        answer = door.ask(operation, arn.region, **parameters, **({} if token is None else {"Marker": token}))
        with parsing(operation):
            marker = text_or_none(answer, "NextMarker") or None
            if flag(answer, "Truncated", default=False) and marker is None:
                raise MalformedError("more pages, and no marker to ask for them")
            return Page(items(answer), marker)

    return whole(collect(operation, fetch))


def fitting(what: str, limit: int, look: Callable[[], T]) -> Callable[[], T]:
    """As `look`, raising ProbeError(not-covered) when what it finds takes more than `limit` bytes: all that is known
    about a key stands in one line of evidence, and one long listing must not cost the rest."""

    def looked() -> T:
        found = look()
        size = len(to_json(found))
        if size > limit:
            number = f"{len(found)} of them, " if isinstance(found, tuple) else ""
            raise ProbeError(
                Reason.NOT_COVERED,
                f"{what}: {number}{size} bytes, and evidence of one key holds {limit} of them; remove what is no "
                "longer needed",
            )
        return found

    return looked


def _unseen(error: ProbeError) -> Unseen:
    return Unseen(reason=error.reason, detail=vendor_text(str(error)))


def asked_or(asked: bool, look: Callable[[], T]) -> T | Unseen:
    """What `look` finds, or why it is not known: not asked, or the reason of its ProbeError."""
    if not asked:
        return Unseen(reason=Reason.NOT_RECORDED, detail="not asked: no demanded control reads it")
    try:
        return look()
    except ProbeError as error:
        return _unseen(error)

"""CloudTrail: which trails keep what about KMS, and what the event history says about a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Final, Literal, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.observation import Blob, Disposition
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, is_region
from probes.clouds.aws.clients import Api
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    children,
    flag,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.keys.aws.events import Tally
from probes.keys.facts import AwsTrail, EventFacts, LoggingFacts

MAX_TRAILS: Final = 50
MAX_EVENTS: Final = 20_000
_PAGE: Final = 50
_KMS: Final = "kms.amazonaws.com"

Access: TypeAlias = Literal["read", "write"]
_ACCESSES: Final[tuple[Access, ...]] = ("read", "write")


class Keeps(Enum):
    """Whether events of one kind are kept."""

    NO = 0
    MAYBE = 1
    """A selector narrows them in a way that keycheck does not evaluate."""
    YES = 2


def right_account(door: Api, key: KmsArn) -> None:
    """Raises ProbeError(not-covered) when the identity sees the log of another account than the key's."""
    _, account = door.caller(key.region)
    if account != key.account:
        raise ProbeError(
            Reason.NOT_COVERED,
            vendor_text(
                f"{door.access.who} is of account {account} and sees the log of that account alone; the key is in "
                f"{key.account}: bind an identity of {key.account} as `identities: {{log: …}}`"
            ),
        )


def logging(door: Api, region: str) -> LoggingFacts:
    """The trails that cover a Region; asked once for all keys in it. Raises ProbeError."""
    return door.shared("trails", region, lambda inner: _logging(inner, region))


def _logging(door: Api, region: str) -> LoggingFacts:
    operation = "cloudtrail:DescribeTrails"
    answer = door.ask(operation, region, includeShadowTrails=True)
    with parsing(operation):
        described = children(answer, "trailList", required=True)
        if len(described) > MAX_TRAILS:
            raise MalformedError(f"more than {MAX_TRAILS} trails")
        covering = [item for item in described if _covers(item, region)]
    trails: list[AwsTrail] = []
    gaps: list[str] = []
    for item in covering:
        try:
            trails.append(_trail(door, item, region, gaps))
        except ProbeError as error:
            gaps.append(str(error))
    return LoggingFacts(trails=tuple(trails), complete=not gaps, why_not=vendor_text("; ".join(gaps)))


def _covers(item: Answer, region: str) -> bool:
    return flag(item, "IsMultiRegionTrail") or _home(item) == region


def _home(item: Answer) -> str:
    home = text(item, "HomeRegion")
    if not is_region(home):
        raise MalformedError("HomeRegion is no Region")
    return home


def _trail(door: Api, item: Answer, region: str, gaps: list[str]) -> AwsTrail:
    """One trail. What it keeps may stay unknown; whether it logs at all may not."""
    with parsing("cloudtrail:DescribeTrails"):
        arn, home = text(item, "TrailARN"), _home(item)
        name, multi = text(item, "Name"), flag(item, "IsMultiRegionTrail")
        validation = flag(item, "LogFileValidationEnabled", default=False)
    # A trail is asked about where it lives: elsewhere only its shadow is known.
    operation = "cloudtrail:GetTrailStatus"
    status = door.ask(operation, home, Name=arn)
    with parsing(operation):
        active = flag(status, "IsLogging")
        errors = {text_or_none(status, name) for name in ("LatestDeliveryError", "LatestDigestDeliveryError")}
    management: Literal["all", "read", "write", "none", "unknown"]
    try:
        operation = "cloudtrail:GetEventSelectors"
        answer = door.ask(operation, home, TrailName=arn)
        with parsing(operation):
            management, excludes = keeps(answer)
    except ProbeError as error:
        gaps.append(str(error))
        management, excludes = "unknown", False
    return AwsTrail(
        name=name,
        arn=arn,
        logging=active,
        multi_region=multi,
        validation=validation,
        management=management,
        excludes_kms=excludes,
        delivery_error=vendor_text(", ".join(sorted(error for error in errors if error))) or None,
    )


def keeps(answer: Answer) -> tuple[Literal["all", "read", "write", "none", "unknown"], bool]:
    """Which management events the selectors of a trail keep, and whether they leave out any of KMS among these.

    Raises MalformedError. A selector that narrows events by anything else than category, access and an excluded source
    leaves the answer `unknown`.
    """
    basic, advanced = children(answer, "EventSelectors"), children(answer, "AdvancedEventSelectors")
    if not basic and not advanced:
        raise MalformedError("no event selectors at all")
    everything = _union([*map(_basic, basic), *(_advanced(item, kms=False) for item in advanced)])
    of_kms = _union([*map(_basic_kms, basic), *(_advanced(item, kms=True) for item in advanced)])
    if Keeps.MAYBE in everything.values() or Keeps.MAYBE in of_kms.values():
        return "unknown", False
    kept = [access for access in _ACCESSES if everything[access] is Keeps.YES]
    excludes = any(of_kms[access] is Keeps.NO for access in kept)
    if len(kept) == len(_ACCESSES):
        return "all", excludes
    return (kept[0], excludes) if kept else ("none", excludes)


_Kept: TypeAlias = Mapping[Access, Keeps]


def _union(selectors: Iterable[_Kept]) -> _Kept:
    kept: dict[Access, Keeps] = dict.fromkeys(_ACCESSES, Keeps.NO)
    for selector in selectors:
        for access, how in selector.items():
            kept[access] = max(kept[access], how, key=lambda keeps: keeps.value)
    return kept


def _basic(selector: Answer) -> _Kept:
    if not flag(selector, "IncludeManagementEvents", default=True):
        return {}
    match selector.get("ReadWriteType", "All"):
        case "All":
            return dict.fromkeys(_ACCESSES, Keeps.YES)
        case "ReadOnly":
            return {"read": Keeps.YES}
        case "WriteOnly":
            return {"write": Keeps.YES}
        case _:
            raise MalformedError("a ReadWriteType that is not known")


def _basic_kms(selector: Answer) -> _Kept:
    return {} if _KMS in texts(selector, "ExcludeManagementEventSources") else _basic(selector)


def _advanced(selector: Answer, *, kms: bool) -> _Kept:
    """What one advanced selector keeps: all its fields must match."""
    fields = children(selector, "FieldSelectors", required=True)
    how = Keeps.NO
    accesses: list[Access] = list(_ACCESSES)
    for item in fields:
        name = text(item, "Field")
        equal, other = texts(item, "Equals"), _other_operators(item)
        match name:
            case "eventCategory":
                if other or not equal:
                    raise MalformedError("an eventCategory that is not tested for equality")
                how = Keeps.YES if "Management" in equal else Keeps.NO
                if how is Keeps.NO:
                    return {}
            case "readOnly" if equal and not other:
                accesses = [access for access in accesses if {"read": "true", "write": "false"}[access] in equal]
            case "eventSource" if other == {"NotEquals"} and not equal:
                if kms and _KMS in texts(item, "NotEquals"):
                    return {}
            case _:
                return dict.fromkeys(accesses, Keeps.MAYBE) if _is_management(fields) else {}
    return dict.fromkeys(accesses, how)


def _is_management(fields: tuple[Answer, ...]) -> bool:
    return any(item.get("Field") == "eventCategory" and "Management" in texts(item, "Equals") for item in fields)


def _other_operators(item: Answer) -> set[str]:
    return {name for name, value in item.items() if name not in ("Field", "Equals") and value}


def events(door: Api, key: KmsArn, window: tuple[datetime, datetime]) -> tuple[EventFacts, Blob]:
    """What the event history of the key's Region says about the key. Raises ProbeError when not even one page comes.

    Management events of at most 90 days, in the log of the key's own account: what a principal of another account was
    refused stands in that account's log alone.
    """
    operation = "cloudtrail:LookupEvents"
    since, until = window
    pages = Api(door.access, door.deadline, door.operations)  # its answers are log bodies: kept by digest only
    tally = Tally(key, since, until)

    def fetch(token: str | None) -> Page[None]:
        answer = pages.ask(
            operation,
            key.region,
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": str(key)}],
            StartTime=since,
            EndTime=until,
            MaxResults=_PAGE,
            **({} if token is None else {"NextToken": token}),
        )
        with parsing(operation):
            found = children(answer, "Events", required=True)
            for entry in found:
                tally.add(entry)
            return Page((None,) * len(found), text_or_none(answer, "NextToken") or None)

    listing = collect(operation, fetch, max_pages=MAX_EVENTS // _PAGE + 1, max_items=MAX_EVENTS)
    blob = Blob("events", b"\n".join(tally.kept), "application/x-ndjson", Disposition.DIGEST_ONLY)
    return tally.facts(listing.short), blob

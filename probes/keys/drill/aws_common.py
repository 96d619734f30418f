"""What the mechanisms of AWS share: reading a change, standings of many Regions, commands for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Model, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.keys.drill import Sight
from probes.keys.drill.aws_sentinel import Sentinel, Withholding
from probes.keys.drill.canary import Canary
from probes.keys.subjects import Key

M = TypeVar("M", bound=Model)
BY_HAND: Final = 16
"""Regions whose commands for a person are written out; a change holds no more."""
_ROW: Final = 28
"""Regions that fit into one line."""


def _key(value: str) -> str:
    if kms_arn(value).kind != "key":
        raise ValueError("the ARN of a key, not of an alias")
    return value


KeyArn: TypeAlias = Annotated[str, Field(max_length=400), AfterValidator(_key)]
KeyArns: TypeAlias = Annotated[tuple[KeyArn, ...], Field(min_length=1, max_length=100)]
"""The key in its Region and every replica: each has a policy and a state of its own."""


def read(model: type[M], text: CanonicalJson) -> M:
    """Parameters, or what was there before. Raises ProbeError(malformed), which quotes no value."""
    try:
        return model.model_validate(text.parsed())
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
        raise ProbeError(Reason.MALFORMED, f"the drill's own record is not readable at {place}") from error


def subject_of(change: Change) -> Key:
    """The key that a change is about. Raises ProbeError(malformed)."""
    return read(Key, change.body)


def written(model: Model) -> CanonicalJson:
    """A model for the journal."""
    return CanonicalJson.of(model.model_dump(mode="json"))


def whole_seconds(at: datetime) -> str:
    """As policies write times; what is after the full second is left off, so that nothing lasts longer."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def everywhere(arns: Iterable[KmsArn], work: Callable[[KmsArn], None]) -> None:
    """Do it in every Region, also when it fails in one. Raises ProbeError with what failed, the first reason first."""
    failed: list[tuple[KmsArn, ProbeError]] = []
    for arn in arns:
        try:
            work(arn)
        except ProbeError as error:
            failed.append((arn, error))
    if failed:
        words = "; ".join(f"{arn.region}: {error}" for arn, error in failed)
        raise ProbeError(failed[0][1].reason, vendor_text(words)) from failed[0][1]


_WORST: Final = (Where.FOREIGN, Where.CHANGED, Where.RESTORED)


def together(standings: Sequence[tuple[KmsArn, Standing]]) -> Standing:
    """Of many Regions: the worst, with everything said that is of that kind."""
    where = min((standing.where for _, standing in standings), key=_WORST.index)
    parts = [f"{arn.region}: {standing.words}" for arn, standing in standings if standing.where is where]
    return Standing(where, vendor_text("; ".join(parts)))


def felt(io: Io, subject: Key, arn: KmsArn, canary: Canary, withholding: Withholding) -> Standing:
    """Whether the canary decrypts for the control identity in one Region."""
    sample = Sentinel(io, subject.identities.control, arn, canary, withholding).ask()
    match sample.sight:
        case Sight.READABLE:
            return Standing(Where.RESTORED, "the canary decrypts")
        case Sight.DENIED:
            return Standing(Where.CHANGED, f"the canary is still withheld ({sample.words})")
        case Sight.UNAVAILABLE:
            return Standing(Where.CHANGED, f"not known whether the canary decrypts: {sample.words}")


def commands(arns: Sequence[KmsArn], one: Callable[[KmsArn], str]) -> tuple[str, ...]:
    """What a person types, Region by Region."""
    lines = [vendor_text(one(arn)) for arn in arns[:BY_HAND]]
    rest = arns[BY_HAND:]
    for start in range(0, len(rest), _ROW):
        row = " ".join(arn.region for arn in rest[start : start + _ROW])
        lines.append(vendor_text(f"the same for the replicas in {row}"))
    return tuple(lines)

"""Facts of a column, as a clean export yields them, and the changes that tests make to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from keycheck.model.control import Control
from keycheck.model.facts import Unseen
from keycheck.model.types import Model
from keycheck.model.verdict import Kind as VerdictKind
from keycheck.model.verdict import Reason
from probes.fields.controls import CONTROLS
from probes.fields.facts import (
    CipherCount,
    ColumnFacts,
    ContextCount,
    Contexts,
    DataKeys,
    Export,
    Hunt,
    Kind,
    LeftOut,
    Lengths,
    Opened,
    Refusals,
    Tally,
    Test,
    Units,
    WrappedCount,
)
from probes.fields.subjects import ContextRule, FieldRule, Limits, Origin

M = TypeVar("M", bound=Model)
ROWS = 10_000
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ABROAD = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
VENDORS = "arn:aws:kms:eu-central-1:999988887777:key/99999999-12ab-34cd-56ef-1234567890ab"
ROTATED = datetime(2026, 6, 1, tzinfo=UTC)
OLD, NEW = "aa" * 32, "bb" * 32
PLACE = "contacts.parquet[group 0]:row 3"
TALLY = Tally(count=3, places=(PLACE,))
DENIED = Unseen(reason=Reason.PERMISSION_DENIED, detail="not allowed to decrypt")


def but(model: M, **changes: object) -> M:
    """The model with other fields, validated."""
    return type(model).model_validate({**dict(model), **changes})


def rule(**changes: object) -> FieldRule:
    return FieldRule.model_validate(
        {
            "column": "email",
            "class": "email",
            "format": "esdk",
            "key": "contacts",
            "context": (ContextRule(name="id", column="id"),),
            **changes,
        }
    )


def wrapped(fingerprint: str, first: datetime, last: datetime, count: int = ROWS // 2) -> WrappedCount:
    return WrappedCount(
        provider="aws-kms",
        key=KEY,
        length=32,
        expected=32,
        fingerprint=fingerprint,
        count=count,
        first_written=first,
        last_written=last,
    )


EXPORT = Export(
    manifest="1" * 64,
    files=2,
    rows=ROWS,
    origin=Origin(made_by="vendor", method="a raw export", digests=("2" * 64,), rows=ROWS),
    origin_digests="match",
    canaries="tied",
    limits=Limits(uses_per_data_key=1_000, rotated=ROTATED),
)
OPENED = Opened(
    seed="3" * 64,
    strata=4,
    population=ROWS,
    drawn=300,
    calls=360,
    unwrapped=300,
    refused=Tally(),
    unanswered=0,
    lengths=((32, 300),),
    ciphers=(("AES-256-GCM", 300),),
    headers=300,
    tags=300,
    opened=300,
    fitting=300,
    canaries=5,
    refusals=tuple(
        Refusals(name=name, tried=30, opened=Tally())
        for name in ("context-swapped", "row-swapped", "ciphertext-flipped", "tag-flipped", "wrapped-flipped")
    ),
    key_ids=(KEY,),
)
HUNT = Hunt(canaries=5, truths=300, bytes=5_000_000, present=5)
TESTS = (
    Test(name="position-chi-square", samples=ROWS, statistic=310_000, log10=2_100, alarm=False),
    Test(name="top-bit", samples=ROWS, statistic=4_000, log10=1_300, alarm=False),
    Test(name="repeated-blocks", samples=20_000, statistic=0, log10=0, alarm=False),
    Test(name="unit-chi-square", samples=ROWS, statistic=300_000, log10=1_900, alarm=False),
)
UNITS = Units(compared=ROWS, hidden=0, reused=Tally(), copies=Tally(), unit_bits=256)
CLEAN = ColumnFacts(
    export=EXPORT,
    column="email",
    role="sensitive",
    rule=rule(values=4),
    key_resource=KEY,
    tenants_declared=True,
    rows=ROWS,
    nulls=0,
    empties=0,
    kinds=(Kind(kind="esdk", variant="v2", encoding="base64", count=ROWS),),
    evidence_bits=2_550_000,
    ciphers=(CipherCount(name="AES-256-GCM", family="AES", bits=256, authenticated=True, count=ROWS),),
    wrapped=(
        wrapped(OLD, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)),
        wrapped(NEW, datetime(2026, 6, 2, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)),
    ),
    wraps=(1, 1),
    committed=(ROWS, 0, 0),
    units=UNITS,
    data_keys=DataKeys(visible=ROWS, distinct=ROWS, most_uses=1, tenants_sharing=Tally(), tenants=3),
    contexts=Contexts(
        shown=ROWS,
        hidden=0,
        rules=(ContextCount(name="id", equal=ROWS, differs=Tally(), absent=Tally()),),
        distinct=ROWS,
    ),
    lengths=Lengths(distinct=1, rows=ROWS, smallest=ROWS, values=4),
    tests=TESTS,
    hunt=HUNT,
    opened=OPENED,
)
"""A column that every control passes."""
PLAIN = but(
    CLEAN,
    column="notes",
    role="plain",
    rule=FieldRule.model_validate({"column": "notes", "class": "none"}),
    key_resource="",
    kinds=(Kind(kind="plaintext", count=ROWS),),
    evidence_bits=0,
    ciphers=(),
    wrapped=(),
    wraps=(0, 0),
    committed=(0, 0, 0),
    units=None,
    data_keys=None,
    contexts=None,
    lengths=None,
    tests=(),
    opened=Unseen(reason=Reason.NOT_SELECTED, detail="not sensitive"),
)
LOST = LeftOut(why="not valid UTF-8", rows=3, places=(PLACE,))


def opened(**changes: object) -> ColumnFacts:
    """The clean column with another sample."""
    return but(CLEAN, opened=but(OPENED, **changes))


def kinds(**counts: int) -> tuple[Kind, ...]:
    return tuple(Kind(kind=kind, count=count, places=(PLACE,)) for kind, count in counts.items())


BY_ID = {each.id: each for each in CONTROLS}
PASS, FAIL, NA = (VerdictKind.PASS, ()), (VerdictKind.FAIL, ()), (VerdictKind.NOT_APPLICABLE, ())


def unsure(*reasons: Reason) -> tuple[VerdictKind, tuple[Reason, ...]]:
    """Inconclusive, for want of coverage unless something else is said."""
    return VerdictKind.INCONCLUSIVE, tuple(sorted(reasons or (Reason.NOT_COVERED,)))


def control(name: str, **parameters: object) -> Control:
    """`fields.NAME` with these parameters."""
    return BY_ID[f"fields.{name}"].model_validate(parameters)


Case: TypeAlias = tuple[str, dict[str, object], ColumnFacts, tuple[VerdictKind, tuple[Reason, ...]], str]
"""What was changed, the control's parameters, the facts, the verdict that is due, and words of its message."""


def case_id(value: object) -> str:
    """The name of the control, or of the case."""
    return value if isinstance(value, str) else str(value[0]) if isinstance(value, tuple) else ""


def judged_as(name: str, case: Case) -> None:
    """The control gives the case the verdict that is due."""
    _, parameters, facts, expected, said = case
    verdict = control(name, **parameters).judge(facts)
    assert (verdict.kind, verdict.reasons) == expected, verdict
    assert said in verdict.message

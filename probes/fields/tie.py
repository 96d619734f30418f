"""Whether our own key's log ties planted canaries to the live system.

A vendor can encrypt while it exports. What it cannot do later is to have asked our key for a data key at the moment of
planting. Tied therefore shows that the vendor's principal had data keys made for each record while it was being
written. It does not show that the value was sealed under that key: the export's own bytes do.

AWS CloudTrail shows encryption contexts, so that the calls name the very record: its id was drawn at random just
before, so nobody knew it earlier, and the log's times are the cloud's. Google Cloud's log shows none: there only the
moments of the calls tell, and only where chance would hardly have put them there (`tie_by_time`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from probes.fields.canaries import CanaryFile, Record
from probes.fields.subjects import Dataset, FieldRule
from probes.keys.principals import account_of, aws_named
from probes.keys.subjects import Agreed, Key

if TYPE_CHECKING:
    from probes.keys.drill.aws_log import RawLog

MAKES: Final = frozenset({"GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Encrypt"})
"""How a data key comes under a key: made by it, or wrapped by it."""
SLACK: Final = timedelta(seconds=60)
"""What the two clocks may differ, and a vendor that writes behind its answer may take."""
KEPT: Final = timedelta(days=90)
"""How long CloudTrail's event history goes back."""


@dataclass(frozen=True, slots=True)
class Tie:
    """The answer, and why it is not `tied`."""

    state: Literal["tied", "untied"]
    why: str = ""
    """Or, of a tie, how it was found."""


@dataclass(frozen=True, slots=True)
class Made:
    """One successful call of the vendor's that made or wrapped a data key."""

    at: datetime
    contexts: tuple[Mapping[str, str], ...]


def tied(file: CanaryFile, dataset: Dataset, io: Io) -> Tie:
    """Whether the log of every key that the canaries' columns are declared under ties every planted record to it.

    The log is read as the key's own `identities.log`, from `io.subjects` and `io.identities`. Raises nothing: what
    cannot be read leaves canaries untied.
    """
    records = [record for record in file.records if record.sealed and record.planted is not None]
    rules = [rule for rule in dataset.fields if rule.column in {v.column for r in records for v in r.values}]
    if not records or not rules:
        return Tie("untied", "no canary was planted in a column of the field map")
    if file.dataset != dataset.id:
        return Tie("untied", f"the canaries were planted for the data set {file.dataset}")
    if keyless := [rule.column for rule in rules if rule.key is None]:
        return Tie("untied", f"the field map names no key for {keyless[0]}")
    how: list[str] = []
    for name in sorted({rule.key for rule in rules if rule.key is not None}):
        subject = _key(name, io)
        if subject is None:
            return Tie("untied", f"the deployment declares no key {name}")
        own = [rule for rule in rules if rule.key == name]
        try:
            answer = _by_key(subject, records, own, io)
        except ProbeError as error:
            return Tie("untied", f"the log of key {name} cannot be read: {error}")
        if answer.state == "untied":
            return answer
        how.append(f"keys/{name} {answer.why}")
    return Tie("tied", "; ".join(how))


def _by_key(subject: Key, records: Sequence[Record], rules: Sequence[FieldRule], io: Io) -> Tie:
    """By the log of one key. Raises ProbeError."""
    if subject.provider == "aws":
        return judged(records, rules, _read(subject, min(record.began for record in records), io))
    from probes.fields.tie_by_time import judged_by_time, read_calls

    columns = {rule.column for rule in rules}
    written = [
        (record.began, record.planted, len({value.column for value in record.values} & columns))
        for record in records
        if record.planted is not None and {value.column for value in record.values} & columns
    ]
    return judged_by_time(written, *read_calls(subject, written, io))


def judged(records: Sequence[Record], rules: Sequence[FieldRule], made: Sequence[Made]) -> Tie:
    """Whether each rule's context, filled from each record's row, was asked for while the record was written. Pure."""
    for record in records:
        row = dict(record.row)
        for rule in rules:
            expected = {
                entry.name: entry.value if entry.value is not None else row.get(entry.column or "")
                for entry in rule.context
            }
            ids = {value for _, value in record.named}
            if None in expected.values() or not ids & set(expected.values()):
                return Tie("untied", f"the context of {rule.column} does not name the record that we planted")
            if not any(_ties(record, expected, each) for each in made):
                return Tie("untied", f"no data key was made for {rule.column} of {record.id} while it was planted")
    return Tie("tied", "by the contexts in the log, which name each record")


def _ties(record: Record, expected: Mapping[str, str | None], made: Made) -> bool:
    if record.planted is None or not record.began - SLACK <= made.at <= record.planted + SLACK:
        return False
    return any(all(context.get(name) == value for name, value in expected.items()) for context in made.contexts)


def _key(name: str, io: Io) -> Key | None:
    for entry in io.subjects:
        if entry.id == f"keys/{name}":
            return Key.model_validate(entry.body.parsed())
    return None


def _read(subject: Key, since: datetime, io: Io) -> Sequence[Made]:
    """The vendor's calls since then. Raises ProbeError."""
    from keycheck.model.verdict import Reason
    from probes.clouds.aws.arns import kms_arn
    from probes.keys.drill.aws_log import recent

    arn = kms_arn(subject.resource)
    if arn.kind == "alias":
        raise ProbeError(Reason.UNSUPPORTED, "the deployment names an alias, and the log names keys")
    span = io.clock() - since + SLACK
    if span > KEPT:
        raise ProbeError(Reason.NOT_COVERED, "the planting is longer ago than the event history goes back")
    return tuple(makes(recent(subject, arn, span, io), subject.agreed))


def makes(log: RawLog, agreed: Agreed) -> Iterable[Made]:
    """The vendor's successful calls in a log that made or wrapped a data key."""
    from probes.keys.drill.aws_log import contexts, uses_of

    for written, event in uses_of([log], []):
        alike = event.alike
        if alike.error is None and alike.operation in MAKES and _is_vendor(alike.principal, agreed, log.arn.account):
            yield Made(event.at, tuple(contexts(written)))


def _is_vendor(principal: str, agreed: Agreed, owner: str) -> bool:
    """A caller of another account may stand in the log with its account alone."""
    if aws_named(principal, agreed.vendor):
        return True
    return principal.isdecimal() and principal != owner and principal in {account_of(name) for name in agreed.vendor}

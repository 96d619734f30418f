"""The pure parts of drills in AWS: policies as text, canaries, what a log says about a context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from probes.clouds.aws.arns import kms_arn
from probes.clouds.aws.reading import MalformedError
from probes.keys.aws.events import MAX_EVENT
from probes.keys.drill.aws_deny import DenyParameters, deny, sid_of
from probes.keys.drill.aws_edit import added, loaded, meaning, removed, same, with_sid
from probes.keys.drill.aws_log import RawLog, context_use
from probes.keys.drill.aws_rotate_log import material_uses
from probes.keys.drill.canary import Canary
from probes.keys.subjects import Agreed, Key, KeyModel

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAIRS = (("tenant", "acme"), ("record", "c-7"))


def canary(**changed: object) -> Canary:
    plain = {"pairs": PAIRS, "context": PAIRS, "planted": NOON, "ciphertext": "QQ==", "sha256": "0" * 64}
    return Canary.model_validate(plain | changed)


def test_the_statement_is_limited_in_time_and_to_the_canary() -> None:
    deadline = NOON + timedelta(minutes=5, microseconds=7)
    parameters = DenyParameters(keys=(ARN,), canary=canary(), sid=sid_of("d"), deadline=deadline)
    assert parameters.statement() == {
        "Sid": sid_of("d"),
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:Encrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "DateLessThan": {"aws:CurrentTime": "2026-11-22T12:05:00Z"},
            "StringEquals": {"kms:EncryptionContext:tenant": "acme", "kms:EncryptionContext:record": "c-7"},
        },
    }
    rehearsed = json.dumps(parameters.statement(rehearsed=True))
    assert len(rehearsed) >= len(json.dumps(parameters.statement()))  # proves that there is room


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": ()},
        {"pairs": (("tenant", "${aws:username}"),)},
        {"pairs": (("a b", "x"),)},
        {"pairs": (("tenant", "acme"), ("Tenant", "acme"))},
        {"pairs": (("elsewhere", "x"),)},
        {"varies": ("Record",)},
        {"context": (*PAIRS, ("aws-crypto-public-key", "x"))},
    ],
)
def test_a_canary_that_no_deny_could_be_limited_to(wrong: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError):
        canary(**wrong)


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-(10**20), 10**20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
STATEMENTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=4)
OURS = {"Sid": sid_of("x"), "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}


@given(STATEMENTS, st.integers(0, 4))
def test_putting_in_and_taking_out_changes_nothing_else(listed: list[dict[str, object]], indent: int) -> None:
    document = {"Version": "2012-10-17", "Id": "é", "Statement": listed}
    text = json.dumps(document, indent=indent)
    put = loaded(added(loaded(text), OURS))
    assert with_sid(put, sid_of("x"))
    assert meaning(put, [sid_of("x")]) == meaning(loaded(text))
    assert meaning(put) != meaning(loaded(text))
    assert json.loads(removed(put, [sid_of("x")])) == document


def test_spellings_that_say_the_same() -> None:
    one = {**OURS, "Condition": {"StringEquals": {"kms:EncryptionContext:A": ["x"]}}}
    other = {
        **OURS,
        "Principal": {"AWS": "*"},
        "Action": ["kms:decrypt"],
        "Condition": {"StringEquals": {"kms:encryptioncontext:a": "x"}},
    }
    assert same(one, other)
    assert not same(one, {**other, "Condition": {"StringEquals": {"kms:encryptioncontext:a": "X"}}})
    assert not same(one, {**one, "Effect": "Allow"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"Statement": 7}',
        '{"Statement": [7]}',
        '{"Statement": []}',
        '{"Statement": {"A": 1.5}}',
        '{"Statement": {"A": 1, "A": 2}}',
        "[" * 100_000,
        '{"Statement": {"A": NaN}}',
        '{"Statement": {"A": 1}}' + " " * 70_000,
        '{"Statement": {"A": ' + "9" * 5000 + "}}",
    ],
)
def test_policies_that_are_not_touched(text: str) -> None:
    with pytest.raises(MalformedError):
        loaded(text)


def test_the_last_statement_is_not_taken_out_and_a_long_policy_not_written() -> None:
    with pytest.raises(MalformedError):
        removed({"Statement": OURS}, [sid_of("x")])
    with pytest.raises(MalformedError, match="make room"):
        added({"Statement": {"Sid": "é" * 16_350}}, OURS)


def test_a_hundred_replicas_have_commands_that_fit() -> None:
    keys = [ARN.replace("central-1", f"central-{n}").replace("key/", "key/mrk-") for n in range(1, 100)]
    subject = Key(id="k", provider="aws", resource=ARN, model=KeyModel.DIRECT_KMS)
    change = deny("d", subject, keys, canary(), NOON)
    assert len(change.by_hand) == 19
    assert "eu-central-99" in change.by_hand[-1]


def entry(number: int, context: object, at: datetime = NOON, **changed: object) -> str:
    event = {
        "eventID": f"e-{number}",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "awsRegion": "eu-central-1",
        "recipientAccountId": "111122223333",
        "userIdentity": {"type": "AWSAccount", "accountId": "444455556666"},
        "requestParameters": {"encryptionContext": context},
        "resources": [{"ARN": ARN}],
    }
    return json.dumps(event | changed)


AGREED = Agreed(vendor=("arn:aws:iam::444455556666:role/crm",), users=("arn:aws:iam::111122223333:user/me",))


def read(*entries: str) -> RawLog:
    return RawLog(kms_arn(ARN), NOON - timedelta(days=1), NOON, entries, True, "")


def test_what_counts_as_the_canary_in_a_log() -> None:
    canary_ = canary(varies=("field",))
    seen = context_use(
        read(
            entry(1, {"Tenant": "acme", "record": "c-7", "field": "name", "aws-crypto-public-key": "AB"}),
            entry(1, {"Tenant": "acme", "record": "c-7"}),  # the same event twice
            entry(2, {"tenant": "acme", "record": "C-7"}),
            entry(3, {"tenant": "acme", "record": "c-7"}, errorCode="AccessDenied"),
            entry(4, {"tenant": "acme", "record": "c-7"}, userIdentity={"arn": "arn:aws:iam::111122223333:user/me"}),
            entry(5, "HIDDEN_DUE_TO_SECURITY_REASONS"),
            entry(6, {"tenant": "acme", "record": "c-7", "version": "2"}),
            entry(7, {"tenant": "acme", "record": "c-7"}, at=NOON - timedelta(hours=2)),
            entry(8, {}, userIdentity={"type": "AWSAccount", "accountId": "999988887777"}),
            "{",
        ),
        AGREED,
        canary_,
    )
    assert (seen.reads, seen.shared, seen.bare, seen.calls, seen.unreadable) == (2, 1, 1, 5, 1)
    assert (seen.further, seen.strangers) == (("version",), ("999988887777",))


def test_an_entry_too_long_to_be_read_never_vanishes() -> None:
    """It may be the one use that matters."""
    long = read(entry(1, {"tenant": "acme", "record": "c-7", "padding": "x" * MAX_EVENT}))
    assert context_use(long, AGREED, canary()).unreadable == 1
    found = material_uses([long], NOON, ())
    assert (found.complete, "an entry cannot be read" in found.why_not) == (False, True)
    whole = material_uses([read(entry(1, {"tenant": "acme", "record": "c-7"}))], NOON, ())
    assert (whole.complete, len(whole.uses)) == (True, 1)

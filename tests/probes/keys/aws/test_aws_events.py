"""CloudTrail events: counted in groups, verified to be about the key, and hostile ones bounded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import kms_arn
from probes.clouds.aws.reading import MalformedError
from probes.keys.aws.events import MAX_GROUPS, MORE, Tally, parse_event, principal_of

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = kms_arn(ARN)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROLE = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:session",
    "arn": "arn:aws:sts::444455556666:assumed-role/app/session-7",
    "accountId": "444455556666",
}


def event(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": ROLE,
        "eventTime": "2026-11-20T11:00:00Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "203.0.113.7",
        "requestParameters": {
            "encryptionContext": {"tenant": "acme-secret"},
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        },
        "eventID": "e-1",
        "readOnly": True,
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": ARN}],
        "recipientAccountId": "111122223333",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "keyExchange": "X25519MLKEM768"},
    }
    return {**base, **changes}


def tally() -> Tally:
    return Tally(KEY, NOON - timedelta(days=30), NOON)


def add(into: Tally, *events: dict[str, object]) -> Tally:
    for one in events:
        into.add({"CloudTrailEvent": json.dumps(one)})
    return into


def test_alike_events_are_one_use() -> None:
    times = ["2026-11-20T11:00:00Z", "2026-11-20T09:00:00Z", "2026-11-20T10:00:00Z"]
    facts = add(tally(), *(event(eventID=f"e{n}", eventTime=time) for n, time in enumerate(times))).facts(None)
    (use,) = facts.uses
    assert (facts.complete, facts.why_not, facts.entries, use.count) == (True, "", 3, 3)
    assert (use.first.hour, use.last.hour) == (9, 11)
    assert use.operation == "Decrypt"
    assert use.principal == "arn:aws:iam::444455556666:role/app"
    assert (use.account, use.source, use.tls_version) == ("444455556666", "203.0.113.7", "TLSv1.3")
    assert (use.key_exchange, use.error, use.via) == ("X25519MLKEM768", None, None)
    assert facts.until == NOON - timedelta(minutes=15)


def test_values_of_encryption_contexts_are_not_kept() -> None:
    facts = add(tally(), event()).facts(None)
    assert facts.uses[0].context_keys == ("tenant",)
    assert "acme-secret" not in facts.model_dump_json()


@pytest.mark.parametrize(
    "different",
    [
        {"eventName": "GenerateDataKey"},
        {"sourceIPAddress": "198.51.100.1"},
        {"errorCode": "AccessDenied"},
        {"tlsDetails": {"tlsVersion": "TLSv1.2"}},
        {"tlsDetails": None},
        {"requestParameters": None},
        {"userIdentity": {"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"}},
        {"userIdentity": {**ROLE, "invokedBy": "s3.amazonaws.com"}},
    ],
)
def test_what_differs_is_another_use(different: dict[str, object]) -> None:
    assert len(add(tally(), event(), event(eventID="e-2", **different)).facts(None).uses) == 2


def test_the_same_event_twice_counts_once() -> None:
    facts = add(tally(), event(), event()).facts(None)
    assert facts.entries == facts.uses[0].count == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": [{"ARN": ARN.replace("1234abcd", "99999999")}]},
        {"resources": []},
        {"resources": None},
        {"resources": [ARN]},
        {"awsRegion": "eu-west-1"},
        {"recipientAccountId": "444455556666"},
        {"recipientAccountId": None},
        {"eventID": None},
        {"eventName": {"a": 1}},
        {"eventName": "x" * 1000},
        {"eventTime": "2026-11-20 11:00"},
        {"eventTime": 17},
        {"eventTime": "2025-11-20T11:00:00Z"},
        {"eventTime": "2027-11-20T11:00:00Z"},
        {"userIdentity": {}},
        {"userIdentity": "root"},
        {"sourceIPAddress": "\u202e1.2.3.4\x00"},
    ],
)
def test_an_event_that_is_not_surely_about_the_key_leaves_the_log_incomplete(wrong: dict[str, object]) -> None:
    facts = add(tally(), event(), event(**{"eventID": "e-2", **wrong})).facts(None)
    assert not facts.complete
    assert "1 entries" in facts.why_not
    assert facts.entries == 1


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"CloudTrailEvent": None},
        {"CloudTrailEvent": ""},
        {"CloudTrailEvent": "[" * 100_000},
        {"CloudTrailEvent": '{"a":' * 50_000},
        {"CloudTrailEvent": " " * 600_000},
        {"CloudTrailEvent": "9" * 400_000},
        {"CloudTrailEvent": json.dumps(event()).replace('"eventName"', '"eventName": "Encrypt", "eventName"')},
    ],
)
def test_a_hostile_entry_is_counted_and_never_more(entry: dict[str, object]) -> None:
    into = tally()
    into.add(entry)
    facts = into.facts(None)
    assert (facts.complete, facts.entries) == (False, 0)


def test_events_of_other_services_are_no_uses() -> None:
    facts = add(tally(), event(eventSource="s3.amazonaws.com", eventName="PutBucketEncryption")).facts(None)
    assert (facts.complete, facts.entries, facts.uses) == (True, 0, ())


@pytest.mark.parametrize(
    "context",
    [
        {f"k{n}": "v" for n in range(100)},
        {"a\nb": "v"},
        {"\u202e": "v"},
        {"x" * 10_000: "v"},
        {"\ud800": "v"},
        {"": 7},
    ],
)
def test_no_name_in_a_context_hides_a_use(context: dict[str, object]) -> None:
    facts = add(tally(), event(requestParameters={"encryptionContext": context})).facts(None)
    (use,) = facts.uses
    assert (facts.complete, use.principal) == (True, "arn:aws:iam::444455556666:role/app")
    assert len(use.context_keys) <= 65
    assert (use.context_keys[-1] == MORE) == (len(context) > 64)
    assert max(map(len, use.context_keys)) <= 101


STRANGER = {"arn": "arn:aws:iam::666666666666:user/stranger", "accountId": "666666666666"}


def test_a_flood_of_contexts_hides_nobody() -> None:
    flood = [
        event(eventID=f"e{n}", requestParameters={"encryptionContext": {f"k{n}": "v"}}) for n in range(MAX_GROUPS + 3)
    ]
    facts = add(tally(), *flood, event(eventID="last", userIdentity=STRANGER)).facts(None)
    assert (len(facts.uses), facts.entries, facts.complete) == (MAX_GROUPS + 2, MAX_GROUPS + 4, False)
    assert "4 entries" in facts.why_not
    (stranger,) = (use for use in facts.uses if use.principal == STRANGER["arn"])
    assert (stranger.source, stranger.tls_version, stranger.error) == ("203.0.113.7", "TLSv1.3", None)
    assert stranger.context_keys == (MORE,)
    assert sum(use.count for use in facts.uses) == facts.entries


def test_a_flood_of_kinds_hides_nobody_either() -> None:
    flood = [event(eventID=f"e{n}", sourceIPAddress=f"10.0.{n // 256}.{n % 256}") for n in range(2 * MAX_GROUPS + 3)]
    facts = add(tally(), *flood, event(eventID="last", userIdentity=STRANGER)).facts(None)
    assert facts.entries == 2 * MAX_GROUPS + 4
    assert not facts.complete
    assert "3 entries are of more kinds" in facts.why_not
    assert STRANGER["arn"] in {use.principal for use in facts.uses}


def test_all_kinds_together_fit_into_a_line_of_evidence() -> None:
    def wide(number: int) -> dict[str, object]:
        who = {"arn": f"arn:aws:iam::444455556666:user/{number}-" + "\u00e9" * 400, "accountId": "444455556666"}
        context = {f"{number}-{n}-" + "\u4e2d" * 90: "v" for n in range(60)}
        return event(
            eventID=f"e{number}",
            userIdentity=who,
            errorCode="\u4e2d" * 500,
            requestParameters={"encryptionContext": context},
        )

    facts = add(tally(), *map(wide, range(600))).facts(None)
    assert not facts.complete
    assert len(facts.model_dump_json().encode()) < 900_000


def test_one_id_for_two_events_is_unreadable() -> None:
    facts = add(tally(), event(), event(userIdentity=STRANGER), event()).facts(None)
    assert (facts.entries, facts.complete) == (1, False)
    assert "1 entries could not be read" in facts.why_not


def test_a_short_listing_is_incomplete() -> None:
    facts = tally().facts(Unseen(reason=Reason.NOT_COVERED, detail="more than 400 pages"))
    assert (facts.complete, facts.why_not) == (False, "not-covered: more than 400 pages")


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        (ROLE, "arn:aws:iam::444455556666:role/app"),
        (
            {
                **ROLE,
                "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::444455556666:role/team/app"}},
            },
            "arn:aws:iam::444455556666:role/team/app",
        ),
        # An issuer that does not fit the session is not believed.
        (
            {**ROLE, "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/app"}}},
            "arn:aws:iam::444455556666:role/app",
        ),
        (
            {**ROLE, "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::444455556666:role/app/admin"}}},
            "arn:aws:iam::444455556666:role/app",
        ),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/x"}, "arn:aws:iam::1:user/x"),
        (
            {"arn": "arn:aws-eusc:sts::444455556666:assumed-role/r/s"},
            "arn:aws-eusc:iam::444455556666:role/r",
        ),
        ({"type": "AWSService", "invokedBy": "kms.amazonaws.com"}, "kms.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AROA:x", "accountId": "444455556666"}, "444455556666"),
        # A service that calls for another account does not hide it.
        (
            {"type": "AWSAccount", "accountId": "444455556666", "invokedBy": "dynamodb.amazonaws.com"},
            "444455556666",
        ),
    ],
)
def test_the_principal_is_named_as_policies_name_it(identity: dict[str, object], principal: str) -> None:
    assert principal_of(identity) == principal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(event())), JSON, max_size=5))
def test_any_event_is_read_or_malformed(changes: dict[str, object]) -> None:
    into = add(tally(), event(**changes))
    assert into.entries + into.unreadable + into.elsewhere == 1
    into.facts(None)


@given(st.text(max_size=200))
def test_any_text_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_event(text, KEY)

"""What goes wrong on the way to AWS: each failure its reason and advice, bounded, and without a secret."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.canonical import loads
from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.answers import Answers
from probes.clouds.aws.errors import safe
from probes.keys import aws
from probes.keys.aspects import Aspect
from probes.keys.subjects import Key

NAME = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{NAME}"
ALIAS = "arn:aws:kms:eu-central-1:111122223333:alias/app"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY77"
TOKEN = "FwoGZXIvYXdzEBYaDkexampletokenexampletokenexampletokenexample0123456789"
KEYS = ("AKIAIOSFODNN7EXAMPLE", SECRET, TOKEN)


def subject(resource: str = ARN, **more: object) -> Key:
    return Key.model_validate({"id": "k", "provider": "aws", "resource": resource, "model": "direct-kms", **more})


def metadata(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "AWSAccountId": "111122223333",
        "KeyId": NAME,
        "Arn": ARN,
        "CreationDate": 1_700_000_000.5,
        "Enabled": True,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "EXTERNAL",
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "MultiRegion": False,
    }
    return {"KeyMetadata": {name: value for name, value in {**base, **changes}.items() if value != "drop"}}


CODES = [
    ("AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized", Reason.PERMISSION_DENIED, "permissions"),
    ("UnrecognizedClientException", "The security token is invalid", Reason.PERMISSION_DENIED, "does not know"),
    ("ExpiredTokenException", "expired", Reason.PERMISSION_DENIED, "sign in again"),
    ("InvalidSignatureException", "Signature expired: 2026 is now earlier", Reason.CLOCK_UNTRUSTED, "clock"),
    ("InvalidSignatureException", "Signature not yet current: 2026", Reason.CLOCK_UNTRUSTED, "clock"),
    ("InvalidSignatureException", "The request signature we calculated", Reason.PERMISSION_DENIED, "secret access key"),
    ("RequestTimeTooSkewed", "x", Reason.CLOCK_UNTRUSTED, "clock"),
    ("RequestExpired", "x", Reason.CLOCK_UNTRUSTED, "clock"),
    ("NotFoundException", "Key does not exist", Reason.UNREACHABLE, "account, Region and spelling"),
    ("InvalidArnException", "x", Reason.MALFORMED, "spelling"),
    ("ThrottlingException", "Rate exceeded", Reason.THROTTLED, "fewer calls"),
    ("LimitExceededException", "x", Reason.THROTTLED, "fewer calls"),
    ("KMSInternalException", "x", Reason.UNREACHABLE, "later"),
    ("UnknownOperationException", "", Reason.UNSUPPORTED, "not offered"),
    ("SomethingNew", "x", Reason.NOT_COVERED, "does not know"),
]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's pauses between its attempts take seconds that no test needs."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)


@pytest.fixture
def io(script, configure, make_io):
    configure(script.url, default=KEYS)
    return make_io()


@pytest.mark.parametrize(("code", "message", "reason", "advice"), CODES)
def test_every_error_of_aws_has_its_reason_and_advice(script, io, code, message, reason, advice) -> None:
    script.error("DescribeKey", code, message)
    census = aws.survey(subject(), io)
    (gap,) = census.open
    assert census.parts == ("eu-central-1",)
    assert gap.reason is reason
    assert code in gap.detail
    assert advice in gap.detail
    with pytest.raises(ProbeError) as caught:
        aws.key(subject(), "eu-central-1", frozenset({Aspect.DESCRIPTION}), io)
    assert caught.value.reason is reason


def test_throttled_calls_are_repeated_politely_and_not_for_ever(script, io) -> None:
    script.error("DescribeKey", "ThrottlingException")
    aws.survey(subject(), io)
    assert len(script.asked) == 3


def test_no_secret_comes_back_in_a_message(script, io) -> None:
    echo = (
        f"The Canonical String should have been 'x-amz-security-token:{TOKEN}' Credential=AKIAIOSFODNN7EXAMPLE/2026 "
        f"Signature={'ab' * 32} secret {SECRET} token={TOKEN}"
    )
    for code in ("InvalidSignatureException", "AccessDeniedException", "Whatever", "ExpiredTokenException", SECRET):
        script.error("DescribeKey", code, echo)
        (gap,) = aws.survey(subject(), io).open
        for secret in (SECRET, TOKEN, "ab" * 32, "AKIAIOSFODNN7EXAMPLE"):
            assert secret not in gap.detail


def test_an_ordinary_message_survives() -> None:
    said = f"User: arn:aws:sts::111122223333:assumed-role/app/s is not authorized to perform: kms:X on resource: {ARN}"
    assert safe(said) == said


BODIES: list[bytes] = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"<html>",
    b'{"KeyMetadata": []}',
    b'{"KeyMetadata": null}',
    b'{"KeyMetadata": {}}',
    b"[" * 200_000,
    b'{"KeyMetadata":' * 100_000,
    json.dumps(metadata(KeyId=7)).encode(),
    json.dumps(metadata(Arn="arn:aws:kms:eu-west-1:111122223333:key/" + NAME)).encode(),
    json.dumps(metadata(Arn=ARN.replace("1111", "9999"))).encode(),
    json.dumps(metadata(Arn=ARN.replace("arn:aws:", "arn:aws-cn:"))).encode(),
    json.dumps(metadata(Arn=ALIAS)).encode(),
    json.dumps(metadata(KeyId="other", Arn=ARN.replace(NAME, "other"))).encode(),
    json.dumps(metadata(AWSAccountId="444455556666")).encode(),
    json.dumps(metadata(CreationDate="yesterday")).encode(),
    json.dumps(metadata(CreationDate=1e300)).encode(),
    json.dumps(metadata(CreationDate="drop")).encode(),
    json.dumps(metadata(KeyState={"a": 1})).encode(),
    json.dumps(metadata(KeyState="drop")).encode(),
    json.dumps(metadata(KeyState="x" * 1000)).encode(),
    json.dumps(metadata(Origin="AWS_CLOUDHSM")).encode(),
    json.dumps(metadata(PendingDeletionWindowInDays=-1)).encode(),
    json.dumps(metadata(MultiRegion=True)).encode(),
    json.dumps(metadata(MultiRegion="yes")).encode(),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_an_answer_that_is_not_surely_about_the_key_is_malformed(script, io, body: bytes) -> None:
    script.replies["DescribeKey"] = (200, body)
    (gap,) = aws.survey(subject(), io).open
    assert gap.reason is Reason.MALFORMED
    with pytest.raises(ProbeError):
        aws.key(subject(), "eu-central-1", frozenset(), io)


def test_an_answer_without_end_is_cut(script, io) -> None:
    script.replies["DescribeKey"] = (200, b" " * (2**20 + 1))
    (gap,) = aws.survey(subject(), io).open
    assert gap.reason is Reason.MALFORMED
    assert len(script.asked) == 1


def multi(
    *regions: str, kind: str = "PRIMARY", primary: str = "eu-central-1", name: str = "mrk-1"
) -> dict[str, object]:
    def place(region: str) -> dict[str, str]:
        return {"Arn": f"arn:aws:kms:{region}:111122223333:key/{name}", "Region": region}

    return metadata(
        KeyId="mrk-1",
        Arn=ARN.replace(NAME, "mrk-1"),
        MultiRegion=True,
        MultiRegionConfiguration={
            "MultiRegionKeyType": kind,
            "PrimaryKey": place(primary),
            "ReplicaKeys": [place(region) for region in regions],
        },
    )


def test_every_replica_is_a_part(script, io) -> None:
    script.replies["DescribeKey"] = multi("us-east-1", "eu-west-1")
    census = aws.survey(subject(ARN.replace(NAME, "mrk-1")), io)
    assert census.parts == ("eu-central-1", "eu-west-1", "us-east-1")
    assert census.open == ()


def test_a_replica_knows_its_primary(script, io) -> None:
    script.replies["DescribeKey"] = multi("eu-central-1", kind="REPLICA", primary="us-west-2")
    assert aws.survey(subject(ARN.replace(NAME, "mrk-1")), io).parts == ("eu-central-1", "us-west-2")


@pytest.mark.parametrize(
    "answer",
    [
        multi("eu-west-1", "eu-west-1"),
        multi("eu-central-1"),
        multi("eu-west-1", kind="REPLICA"),
        multi("eu-west-1", kind="OTHER"),
        multi("evil.example.org/"),
        multi("eu-west-1", name="mrk-2"),
        multi(*(f"eu-west-{n}" for n in range(10)), *(f"us-east-{n}" for n in range(99))),
    ],
)
def test_replicas_that_cannot_be_leave_the_census_open(script, io, answer) -> None:
    script.replies["DescribeKey"] = answer
    (gap,) = aws.survey(subject(ARN.replace(NAME, "mrk-1")), io).open
    assert gap.reason is Reason.MALFORMED


ANSWERS: dict[str, object] = {
    "ListKeyRotations": {"Rotations": [], "Truncated": False},
    "GetKeyRotationStatus": {"KeyRotationEnabled": True},
    "ListKeyPolicies": {"PolicyNames": ["default"], "Truncated": False},
    "GetKeyPolicy": {"Policy": '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*"}}'},
    "ListGrants": {"Grants": [], "Truncated": False},
    "ListAliases": {"Aliases": [], "Truncated": False},
    "ListResourceTags": {"Tags": [], "Truncated": False},
    "GetKeyLastUsage": {"TrackingStartDate": 1.7e9},
}
EVERYTHING = frozenset(Aspect)
FIELDS = {
    "ListKeyRotations": "materials",
    "GetKeyRotationStatus": "rotation",
    "ListGrants": "grants",
    "ListAliases": "aliases",
    "ListResourceTags": "tags",
    "GetKeyLastUsage": "last_usage",
}


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"x": ', b'{"Grants": 1, "Aliases": {}, "Tags": "", "Rotations": [1]}']
)
@pytest.mark.parametrize("operation", sorted(FIELDS))
def test_garbage_is_never_an_empty_fact(script, io, operation: str, body: bytes) -> None:
    script.replies |= {"DescribeKey": metadata(), **ANSWERS, operation: (200, body)}
    facts, _ = aws.key(subject(), "eu-central-1", EVERYTHING, io)
    seen = getattr(facts, FIELDS[operation])
    assert isinstance(seen, Unseen)
    assert seen.reason is Reason.MALFORMED


@pytest.mark.parametrize("operation", ["ListKeyRotations", "ListGrants", "ListAliases", "ListResourceTags"])
@pytest.mark.parametrize(
    ("token", "reason"), [(lambda n: "same", Reason.MALFORMED), (lambda n: f"t{n}", Reason.NOT_COVERED)]
)
def test_pages_that_never_end_are_never_a_fact(
    script, io, operation: str, token: Callable[[int], str], reason: Reason
) -> None:
    member = {"ListKeyRotations": "Rotations", "ListGrants": "Grants", "ListAliases": "Aliases"}.get(operation, "Tags")
    count = iter(range(10_000))
    script.replies |= {"DescribeKey": metadata(), **ANSWERS}
    script.replies[operation] = lambda body: {member: [], "Truncated": True, "NextMarker": token(next(count))}
    facts, _ = aws.key(subject(), "eu-central-1", EVERYTHING, io)
    seen = getattr(facts, FIELDS[operation])
    assert isinstance(seen, Unseen)
    assert seen.reason is reason
    assert next(count) <= 201


def test_another_policy_than_the_default_is_read_and_one_that_is_cut_off_is_malformed(script, io) -> None:
    def policy(body):
        return {"Policy": ANSWERS["GetKeyPolicy"]["Policy"]} if body["PolicyName"] == "AWS_RAM" else {"Policy": "{"}

    script.replies |= {"DescribeKey": metadata(), **ANSWERS, "GetKeyPolicy": policy}
    facts, blobs = aws.key(subject(), "eu-central-1", frozenset({Aspect.POLICIES}), io)
    assert not isinstance(facts.policies, Unseen)
    default, shared = facts.policies
    assert (default.name, shared.name) == ("default", "AWS_RAM")
    assert isinstance(default.statements, Unseen)
    assert default.statements.reason is Reason.MALFORMED
    assert not isinstance(shared.statements, Unseen)
    assert {blob.name for blob in blobs} == {"policy-default", "policy-aws-ram", "answers"}


def test_policies_that_are_not_listed_may_exist(script, io) -> None:
    script.replies |= {"DescribeKey": metadata(), **ANSWERS}
    script.error("ListKeyPolicies", "AccessDeniedException")
    facts, _ = aws.key(subject(), "eu-central-1", frozenset({Aspect.POLICIES}), io)
    assert not isinstance(facts.policies, Unseen)
    assert [policy.name for policy in facts.policies] == ["default", "AWS_RAM", "*"]
    unlisted = facts.policies[-1].statements
    assert isinstance(unlisted, Unseen)
    assert unlisted.reason is Reason.PERMISSION_DENIED


def test_the_answers_are_kept_without_headers_tokens_and_policy_texts(script, io) -> None:
    script.replies |= {"DescribeKey": metadata(), **ANSWERS}
    _, blobs = aws.key(subject(), "eu-central-1", EVERYTHING, io)
    (answers,) = (blob for blob in blobs if blob.name == "answers")
    calls = json.loads(answers.content)["calls"]
    assert {call["operation"] for call in calls} >= {"kms:DescribeKey", "kms:ListGrants", "sts:GetCallerIdentity"}
    assert all(call["endpoint"] == script.url for call in calls)
    for absent in (b"ResponseMetadata", b"kms:*", SECRET.encode(), TOKEN.encode(), KEYS[0].encode(), b"date"):
        assert absent not in answers.content


def test_no_credentials_and_no_profile_say_what_to_do(configure, script, make_io) -> None:
    configure(script.url)
    (gap,) = aws.survey(subject(), make_io()).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "sign in" in gap.detail
    identity = AwsIdentity(id="inspector", provider="aws", profile="absent")
    (gap,) = aws.survey(subject(identities={"inspect": "inspector"}), make_io(identity)).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "identity inspector (profile absent)" in gap.detail
    assert script.asked == []


def test_a_credential_process_that_fails_keeps_its_words_to_itself(make_io, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = sh -c 'echo hunter2 >&2; exit 1'\n")
    (gap,) = aws.survey(subject(), make_io()).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "hunter2" not in gap.detail


def test_a_broken_configuration_file_is_named(make_io, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default\nregion")
    (gap,) = aws.survey(subject(), make_io()).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "configuration" in gap.detail


def test_nobody_listens(configure, make_io) -> None:
    configure("http://127.0.0.1:1", default=KEYS)
    (gap,) = aws.survey(subject(), make_io()).open
    assert gap.reason is Reason.UNREACHABLE


def test_a_server_that_says_nothing_is_a_timeout(script, io, make_io) -> None:
    def hang(body: object) -> tuple[int, bytes]:
        time.sleep(1.5)
        return 200, b"{}"

    script.replies["DescribeKey"] = hang
    (gap,) = aws.survey(subject(), make_io(budget=1.0)).open
    assert gap.reason is Reason.TIMEOUT


def test_an_identity_of_another_cloud_is_refused(io) -> None:
    (gap,) = aws.survey(subject(identities={"inspect": "elsewhere"}), io).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "elsewhere" in gap.detail


def test_a_role_is_assumed_with_its_external_id(script, configure, make_io, monkeypatch) -> None:
    configure(script.url, base=KEYS)
    monkeypatch.setenv("EXTERNAL_ID", "between-us-only")
    role = AwsIdentity(
        id="inspector",
        provider="aws",
        profile="base",
        role_arn="arn:aws:iam::111122223333:role/inspector",
        external_id="env:EXTERNAL_ID",
    )
    asked = subject(identities={"inspect": "inspector"})
    denied = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied'
        "</Code><Message>not authorized with ExternalId=between-us-only</Message></Error></ErrorResponse>"
    )
    script.replies["AssumeRole"] = (403, denied.encode())
    (gap,) = aws.survey(asked, make_io(role)).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "sts:AssumeRole" in gap.detail
    assert "between-us-only" not in gap.detail
    script.replies["AssumeRole"] = (
        200,
        b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        b"<AccessKeyId>ASIAROLEROLEROLEROLE</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>t-1"
        b"</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
        b"</AssumeRoleResponse>",
    )
    script.replies["DescribeKey"] = metadata()
    script.asked.clear()
    assert aws.survey(asked, make_io(role)).open == ()
    assert "ExternalId=between-us-only" in str(script.asked[0][1]["raw"])
    assert "ASIAROLEROLEROLEROLE" in script.headers[-1]["Authorization"]


@pytest.mark.parametrize("reference", ["env:NOWHERE_TO_BE_FOUND", "file:absent", "file:."])
def test_an_external_id_that_is_not_there_is_said(script, configure, make_io, reference: str) -> None:
    configure(script.url, default=KEYS)
    role = AwsIdentity(
        id="r", provider="aws", role_arn="arn:aws:iam::1:role/r".replace(":1:", ":111122223333:"), external_id=reference
    )
    (gap,) = aws.survey(subject(identities={"inspect": "r"}), make_io(role)).open
    assert reference in gap.detail
    assert script.asked == []


@pytest.mark.parametrize(
    ("arn", "host"),
    [
        (ARN, "kms.eu-central-1.amazonaws.com"),
        (ARN.replace("arn:aws:kms:eu-central-1", "arn:aws-eusc:kms:eusc-de-east-1"), "kms.eusc-de-east-1.amazonaws.eu"),
        (ARN.replace("arn:aws:kms:eu-central-1", "arn:aws-cn:kms:cn-north-1"), "kms.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_region_and_partition_come_from_the_arn(make_io, monkeypatch, arn: str, host: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    from probes.clouds.aws.arns import kms_arn
    from probes.clouds.aws.clients import api

    asked = kms_arn(arn)
    client = api(make_io(), None, asked.partition, asked.region).access.client("kms", asked.region)
    assert client.meta.endpoint_url == f"https://{host}"


def test_a_region_of_another_partition_is_refused_before_anything_is_sent(script, io) -> None:
    (gap,) = aws.survey(subject(ARN.replace("eu-central-1", "cn-north-1")), io).open
    assert gap.reason is Reason.MALFORMED
    assert script.asked == []


def test_the_endpoint_variable_of_the_sdk_is_followed(script, configure, make_io, monkeypatch) -> None:
    configure("http://127.0.0.1:1", default=KEYS)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", script.url)
    script.replies["DescribeKey"] = metadata()
    assert aws.survey(subject(), make_io()).open == ()


def test_answers_beyond_the_bound_are_counted_and_not_kept() -> None:
    answers = Answers()
    for _ in range(30):
        answers.add("kms:ListGrants", "http://127.0.0.1", {}, {"Grants": [{"Name": "x" * 19_000}] * 30})
    kept = json.loads(answers.blob().content)
    assert len(kept["calls"]) + kept["dropped"] == 30
    assert kept["dropped"] > 0
    assert len(answers.blob().content) < 9 * 2**20


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_answer_can_be_kept(answer: object) -> None:
    answers = Answers()
    answers.add("kms:DescribeKey", "http://127.0.0.1", {"KeyId": "x"}, {"x": answer})
    assert loads(answers.blob().content, max_bytes=10**7)

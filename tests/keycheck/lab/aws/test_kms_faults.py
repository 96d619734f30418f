"""What can be made to go wrong, and what the server does with bad requests."""

from __future__ import annotations

import http.client
import json
import socket
from datetime import timedelta
from itertools import islice

import pytest
from botocore.exceptions import BotoCoreError

from keycheck.lab.aws.faults import Damage, Endless, Faults
from keycheck.lab.aws.wire import BODY_BYTES, HEADER_BYTES, scope_of


@pytest.fixture
def key(kms) -> str:
    return kms.create_key()["KeyMetadata"]["KeyId"]


def test_a_disabled_key_goes_on_for_a_while(aws, kms, key, tools) -> None:
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    aws.cloud.faults.lags.state = timedelta(seconds=30)
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    aws.clock.pass_(seconds=29)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    aws.clock.pass_(seconds=1)
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "DisabledException"
    kms.enable_key(KeyId=key)
    assert tools.code(kms.decrypt, CiphertextBlob=sealed) == "DisabledException"
    aws.clock.pass_(seconds=30)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_a_policy_takes_its_time(aws, kms, key, tools) -> None:
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"})
    aws.cloud.faults.lags.policy = timedelta(minutes=2)
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == policy
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "NoError"
    aws.clock.pass_(minutes=2)
    assert tools.code(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_grants_take_their_time_and_tokens_do_not(aws, kms, key, tools) -> None:
    who = aws.user(f"arn:aws:iam::{tools.ACCOUNT}:user/grantee")
    theirs = aws.client(who=who)
    aws.cloud.faults.lags.grants = timedelta(minutes=5)
    grant = kms.create_grant(KeyId=key, GranteePrincipal=who, Operations=["Encrypt"])
    given = {"KeyId": key, "Plaintext": b"x"}
    assert tools.code(theirs.encrypt, **given) == "AccessDeniedException"
    assert tools.code(theirs.encrypt, **given, GrantTokens=[grant["GrantToken"]]) == "NoError"
    assert tools.code(theirs.encrypt, **given, GrantTokens=["junk"]) == "InvalidGrantTokenException"
    aws.clock.pass_(minutes=5)
    assert tools.code(theirs.encrypt, **given) == "NoError"
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert tools.code(theirs.encrypt, **given) == "NoError"
    aws.clock.pass_(minutes=5)
    assert tools.code(theirs.encrypt, **given) == "AccessDeniedException"


def test_throttling_by_turns_and_by_rate(kms, aws, tools) -> None:
    faults = aws.cloud.faults
    faults.throttle("ListKeys", every=3)
    assert [tools.code(kms.list_keys) for _ in range(4)] == [
        "ThrottlingException",
        *["NoError"] * 2,
        "ThrottlingException",
    ]
    assert tools.code(kms.list_aliases) == "NoError"
    assert faults.calls["ListKeys"] == 4
    clock = iter([0.0, 0.5, 0.9, 1.0])
    rated = Faults(monotonic=lambda: next(clock))
    rated.throttle(per_second=2)
    assert [rated.next("Decrypt").failure is not None for _ in range(4)] == [False, False, True, False]


def test_errors_once_and_after_a_while(kms, aws, tools) -> None:
    aws.cloud.faults.fail("ListKeys", "KMSInternalException", status=500, times=1, after=1)
    assert [tools.code(kms.list_keys) for _ in range(3)] == ["NoError", "KMSInternalException", "NoError"]


def test_latency_is_slept(aws, kms) -> None:
    slept: list[float] = []
    aws.cloud.faults.sleep = slept.append
    aws.cloud.faults.delay("ListKeys", 1.5, times=1)
    kms.list_keys()
    kms.list_keys()
    assert slept == [1.5]


@pytest.mark.parametrize("kind", Endless)
def test_lists_that_never_end(aws, kms, key, kind) -> None:
    aws.cloud.faults.never_end("ListKeys", kind)
    markers = []
    marker: dict[str, str] = {}
    for _ in range(5):
        page = kms.list_keys(**marker)
        assert (len(page["Keys"]), page["Truncated"]) == (1, True)
        markers.append(page["NextMarker"])
        marker = {"Marker": page["NextMarker"]}
    assert len(set(markers)) == (1 if kind is Endless.REPEATING else 5)
    pages = kms.get_paginator("list_keys").paginate()
    if kind is Endless.FRESH:
        assert len(list(islice(pages, 20))) == 20


@pytest.mark.parametrize(("kind", "error"), [(Damage.RESET, BotoCoreError), (Damage.GARBAGE, UnicodeDecodeError)])
def test_spoilt_answers(aws, kms, kind, error) -> None:
    aws.cloud.faults.damage("ListKeys", kind, times=1)
    with pytest.raises(error):
        kms.list_keys()
    assert kms.list_keys()["Keys"] == []


@pytest.mark.parametrize("kind", [Damage.TRUNCATED, Damage.PAGE])
def test_spoilt_answers_that_look_like_empty_ones(aws, kms, kind) -> None:
    """The SDK raises nothing: who takes a missing member for an empty list finds no grants and no keys."""
    aws.cloud.faults.damage("ListKeys", kind, times=1)
    assert kms.list_keys().keys() == {"ResponseMetadata"}


def test_an_oversized_answer(aws, kms) -> None:
    aws.cloud.faults.damage("ListKeys", Damage.OVERSIZED, times=1)
    size = kms.list_keys()["ResponseMetadata"]["HTTPHeaders"]["content-length"]
    assert int(size) == 32 * 1_048_576


def test_clock_skew(aws, kms, tools) -> None:
    aws.cloud.faults.skew = timedelta(hours=1)
    assert tools.code(kms.list_keys) == "InvalidSignatureException"
    assert tools.code(aws.client("sts").get_caller_identity) == "SignatureDoesNotMatch"
    aws.cloud.faults.clear()
    assert tools.code(kms.list_keys) == "NoError"


def send(aws, body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, str]]:
    host = aws.cloud.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else {}


@pytest.fixture
def signed(aws, tools) -> str:
    access_key, _ = aws.credentials[f"arn:aws:iam::{tools.ACCOUNT}:user/admin"]
    return f"AWS4-HMAC-SHA256 Credential={access_key}/20260601/{tools.REGION}/kms/aws4_request, Signature=0"


def test_requests_that_kms_cannot_read(aws, signed) -> None:
    known = {"Authorization": signed, "X_Amz_Target": "TrentService.ListKeys"}
    assert send(aws, **known)[0] == 200
    assert send(aws, X_Amz_Target="TrentService.ListKeys")[1]["__type"] == "MissingAuthenticationTokenException"
    unknown = known | {"X_Amz_Target": "TrentService.NoSuchThing"}
    assert send(aws, **unknown) == (400, {"__type": "UnknownOperationException"})
    assert send(aws, **known | {"X_Amz_Target": "Other.ListKeys"})[1]["__type"] == "UnknownOperationException"
    for body in (b"{", b"[]", b"\xff", b'{"Limit": "a"}', b"[" * 100_000, b'{"Limit": true}'):
        assert send(aws, body, **known)[1]["__type"] == "SerializationException"
    describe = known | {"X_Amz_Target": "TrentService.DescribeKey"}
    missing = send(aws, **describe)[1]
    assert missing["__type"] == "ValidationException"
    assert "Value null at 'keyId'" in missing["message"]
    decrypt = known | {"X_Amz_Target": "TrentService.Decrypt"}
    assert send(aws, b'{"CiphertextBlob": "?"}', **decrypt)[1]["__type"] == "SerializationException"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nNoColon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nA: " + b"a" * HEADER_BYTES, 400),
    ],
)
def test_the_wire_is_bounded(aws, kms, data, status) -> None:
    host, _, port = aws.cloud.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(data)
        answer = sock.recv(4096)
        assert int(answer.split()[1]) == status
        assert b"Connection: close" in answer
        assert sock.recv(1) == b""
    assert kms.list_keys()["Keys"] == []


def test_credential_scopes() -> None:
    good = "AWS4-HMAC-SHA256 Credential=AKIA/20260601/eu-west-1/sts/aws4_request, SignedHeaders=h, Signature=s"
    scope = scope_of({"authorization": good})
    assert scope is not None
    assert (scope.access_key_id, scope.region, scope.service) == ("AKIA", "eu-west-1", "sts")
    for bad in ("", "Basic x", "AWS4-HMAC-SHA256 Credential=AKIA/x", "AWS4-HMAC-SHA256 Credential=//a/b/aws4_request"):
        assert scope_of({"authorization": bad}) is None


def test_a_closed_cloud_is_gone(aws, kms) -> None:
    kms.list_keys()
    aws.cloud.close()
    with pytest.raises(BotoCoreError):
        kms.list_keys()

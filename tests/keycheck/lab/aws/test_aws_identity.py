"""Principals of the lab and STS, also through the real client over a socket."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws import sts
from keycheck.lab.aws.identity import Credentials, Directory, Refusal, Session
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import Caller, Document

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

OWNER, VENDOR = "111122223333", "444455556666"
ALICE = f"arn:aws:iam::{OWNER}:user/ops/alice"
ROOT = f"arn:aws:iam::{OWNER}:root"
ROLE = f"arn:aws:iam::{VENDOR}:role/audit/reader"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
MAY_ASSUME: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
}


def known(directory: Directory, given: Credentials, now: datetime = NOW) -> Caller:
    found = directory.caller_of(given.access_key_id, given.session_token, now)
    assert isinstance(found, Caller)
    return found


def opened(directory: Directory, caller: Caller, external_id: str | None = "x-7", seconds: int = 900) -> Session:
    session = directory.assume(caller, ROLE, "keycheck", external_id, NOW, seconds)
    assert isinstance(session, Session)
    return session


@pytest.fixture
def directory() -> Directory:
    made = Directory()
    made.add_role(ROLE, trusts=[ALICE], external_id="x-7")
    return made


def test_a_key_leads_to_its_user(directory: Directory) -> None:
    caller = known(directory, directory.add_user(ALICE, source="198.51.100.7", tls_version="TLSv1.2"))
    assert (caller.account, caller.arn, caller.principal) == (OWNER, ALICE, ALICE)
    assert (caller.source, caller.tls_version) == ("198.51.100.7", "TLSv1.2")


def test_new_policies_hold_at_once_for_open_sessions_too(directory: Directory) -> None:
    session = opened(directory, known(directory, directory.add_user(ALICE, policies=[MAY_ASSUME])))
    assert known(directory, session.credentials).policies == ()
    directory.set_policies(ROLE, [MAY_ASSUME])
    assert known(directory, session.credentials).policies == (MAY_ASSUME,)


def test_unknown_keys_are_refused_per_protocol(directory: Directory) -> None:
    message = "The security token included in the request is invalid."
    assert directory.caller_of("AKIAUNKNOWN", None, NOW) == Refusal("UnrecognizedClientException", message, 400)
    refused = directory.caller_of("AKIAUNKNOWN", None, NOW, protocol="query")
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.status) == ("InvalidClientTokenId", 403)


def test_a_session_needs_its_token_and_ends(directory: Directory) -> None:
    given = directory.add_user(ALICE, policies=[MAY_ASSUME])
    session = opened(directory, known(directory, given))
    assert session.arn == f"arn:aws:sts::{VENDOR}:assumed-role/reader/keycheck"
    caller = known(directory, session.credentials)
    assert (caller.arn, caller.principal, caller.account) == (session.arn, ROLE, VENDOR)
    key = session.credentials.access_key_id
    for token in (None, "", "other", "\udc80"):
        assert isinstance(directory.caller_of(key, token, NOW), Refusal)
    assert isinstance(directory.caller_of(given.access_key_id, "token", NOW), Refusal)
    late = directory.caller_of(key, session.credentials.session_token, NOW + timedelta(seconds=900))
    assert isinstance(late, Refusal)
    assert late.code == "ExpiredTokenException"


@pytest.mark.parametrize(
    ("arn", "policies", "external_id", "seconds", "code"),
    [
        (ALICE, (MAY_ASSUME,), "x-7", 900, None),
        (ALICE, (), "x-7", 900, "AccessDenied"),
        (ALICE, (MAY_ASSUME,), None, 900, "AccessDenied"),
        (ALICE, (MAY_ASSUME,), "x-8", 900, "AccessDenied"),
        (f"arn:aws:iam::{OWNER}:user/bob", (MAY_ASSUME,), "x-7", 900, "AccessDenied"),
        (ALICE, (MAY_ASSUME,), "x-7", 899, "ValidationError"),
        (ALICE, (MAY_ASSUME,), "x-7", 3601, "ValidationError"),
    ],
)
def test_who_may_assume(
    directory: Directory,
    arn: str,
    policies: tuple[Document, ...],
    external_id: str | None,
    seconds: int,
    code: str | None,
) -> None:
    caller = known(directory, directory.add_user(arn, policies=policies))
    outcome = directory.assume(caller, ROLE, "keycheck", external_id, NOW, seconds)
    assert (outcome.code if isinstance(outcome, Refusal) else None) == code


def test_in_one_account_trust_in_the_user_is_enough(directory: Directory) -> None:
    near = f"arn:aws:iam::{OWNER}:role/near"
    caller = known(directory, directory.add_user(ALICE))
    directory.add_role(near, trusts=[ALICE])
    assert isinstance(directory.assume(caller, near, "keycheck", None, NOW, 900), Session)
    directory.add_role(near, trusts=[ROOT])
    assert isinstance(directory.assume(caller, near, "keycheck", None, NOW, 900), Refusal)


def test_roles_out_of_roles_last_an_hour(directory: Directory) -> None:
    session = opened(directory, known(directory, directory.add_user(ALICE, policies=[MAY_ASSUME])))
    far = f"arn:aws:iam::{VENDOR}:role/far"
    directory.add_role(far, trusts=[ROLE], longest=7200)
    caller = known(directory, session.credentials)
    outcome = directory.assume(caller, far, "keycheck", None, NOW, 7200)
    assert isinstance(outcome, Refusal)
    assert "role chaining" in outcome.message


def test_who_exists(directory: Directory) -> None:
    directory.add_user(ALICE)
    for there in (ALICE, ROLE, ROOT, OWNER, f"arn:aws:sts::{VENDOR}:assumed-role/reader/any"):
        assert directory.exists(there)
    for gone in (f"{ALICE}2", f"arn:aws:sts::{VENDOR}:assumed-role/writer/any", "AIDAEXAMPLE"):
        assert not directory.exists(gone)
    assert directory.exists("arn:aws:iam::999988887777:role/of-an-account-the-lab-does-not-know")
    directory.remove(ALICE)
    directory.add_user(f"{ALICE}3")
    assert not directory.exists(ALICE)


def test_removing_a_principal_ends_its_keys(directory: Directory) -> None:
    given = directory.add_user(ALICE)
    directory.remove(ALICE)
    assert isinstance(directory.caller_of(given.access_key_id, None, NOW), Refusal)


@pytest.mark.parametrize("arn", ["alice", ROLE, f"arn:aws:iam::1:user/{'a' * 10}", "arn:aws:iam::111122223333:user/"])
def test_what_is_no_user_is_refused(arn: str) -> None:
    with pytest.raises(ValueError, match="not an ARN of the wanted kind"):
        Directory().add_user(arn)


def test_nothing_secret_is_shown(directory: Directory) -> None:
    given = directory.add_user(ALICE, policies=[MAY_ASSUME])
    session = opened(directory, known(directory, given))
    shown = f"{given!r} {given} {session!r} {session} {directory!r} {known(directory, given)!r}"
    for secret in (given.secret, session.credentials.secret, session.credentials.session_token or ""):
        assert secret
        assert secret not in shown
    assert given.secret != directory.add_user(ALICE).secret


class Service:
    """STS alone on a loopback port."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.ledger = Ledger()
        self.now = NOW
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = dict(parse_qsl(body, keep_blank_values=True))
                found = re.search(r"Credential=([^/]+)/", self.headers["Authorization"])
                key = found.group(1) if found else ""
                token = self.headers.get("X-Amz-Security-Token")
                caller = service.directory.caller_of(key, token, service.now, protocol="query")
                if isinstance(caller, Refusal):
                    status, answer = sts.error(caller)
                else:
                    status, answer = sts.handle(
                        parameters["Action"], parameters, caller, service.directory, service.now, ledger=service.ledger
                    )
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def client(self, given: Credentials) -> STSClient:
        return boto3.client(
            "sts",
            region_name="eu-central-1",
            endpoint_url=f"http://127.0.0.1:{self.server.server_port}",
            aws_access_key_id=given.access_key_id,
            aws_secret_access_key=given.secret,
            aws_session_token=given.session_token,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_real_client_assumes_a_role_and_asks_who_it_is(service: Service) -> None:
    service.directory.add_role(ROLE, trusts=[ALICE], external_id="x-7")
    client = service.client(service.directory.add_user(ALICE, policies=[MAY_ASSUME]))
    assert client.get_caller_identity()["Arn"] == ALICE
    answer = client.assume_role(RoleArn=ROLE, RoleSessionName="keycheck", ExternalId="x-7", DurationSeconds=900)
    given = answer["Credentials"]
    assert given["Expiration"] == NOW + timedelta(seconds=900)
    session = service.client(Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]))
    told = session.get_caller_identity()
    assert told["Arn"] == answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{VENDOR}:assumed-role/reader/keycheck"
    assert told["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert told["Account"] == VENDOR
    assert service.ledger.asked() == {(ALICE, "sts:AssumeRole")}
    logged = service.ledger.events(VENDOR, "us-east-1", NOW)
    assert [event.name for event in logged] == ["AssumeRole", "GetCallerIdentity"]
    assert given["SecretAccessKey"] not in repr(logged)
    service.now += timedelta(seconds=900)
    with pytest.raises(ClientError) as caught:
        session.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "ExpiredToken"


def test_the_real_client_sees_the_refusals(service: Service) -> None:
    service.directory.add_role(ROLE, trusts=[ALICE], external_id="x-7")
    given = service.directory.add_user(ALICE, policies=[MAY_ASSUME])
    with pytest.raises(ClientError) as caught:
        service.client(given).assume_role(RoleArn=ROLE, RoleSessionName="keycheck")
    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "AccessDenied",
        "Message": f"User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {ROLE}",
    }
    with pytest.raises(ClientError) as caught:
        service.client(Credentials("AKIAUNKNOWN", "x" * 40)).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("parameters", [{}, {"RoleArn": "x", "RoleSessionName": "n<&>", "DurationSeconds": "9e9"}])
def test_bad_parameters_get_an_error(directory: Directory, parameters: dict[str, str]) -> None:
    caller = known(directory, directory.add_user(ALICE))
    status, body = sts.handle("AssumeRole", parameters, caller, directory, NOW)
    assert status == 400
    assert b"<Code>ValidationError</Code>" in body
    assert sts.handle("GetFederationToken", {}, caller, directory, NOW)[0] == 400

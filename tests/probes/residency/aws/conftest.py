"""moto's server for what it does faithfully, and small answers over the wire for what it does not."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest

from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.resolve import system_resolver

SERVICES = (
    "account", "backup", "bedrock", "dynamodb", "ec2", "ecr", "efs", "elasticache", "fsx", "glacier", "kinesis", "kms",
    "cloudwatch_logs", "opensearch", "organizations", "rds", "redshift", "s3", "sqs", "sts",
)  # fmt: skip
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWN, THEIRS = "123456789012", "444455556666"
HOME = "eu-central-1"

Reply: TypeAlias = "tuple[int, bytes, Mapping[str, str]]"
MakeIo: TypeAlias = Callable[..., Io]


@pytest.fixture(autouse=True)
def _no_ambient_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)


@dataclass
class Wire:
    """Answers by what is asked: a key is part of `METHOD /path?query body`, tried in order; the first that fits is it.

    What nothing fits goes to `behind`, as it came.
    """

    url: str
    behind: str | None = None
    replies: dict[str, Reply | Callable[[str], Reply]] = field(default_factory=dict)
    regional: dict[tuple[str, str], Callable[[str], Reply]] = field(default_factory=dict)
    """The same for one Region alone, which stands in the signature."""
    asked: list[str] = field(default_factory=list)

    def json(self, pattern: str, body: object, status: int = 200) -> None:
        self.replies[pattern] = (status, json.dumps(body).encode(), {"content-type": "application/json"})

    def xml(self, pattern: str, body: str, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[pattern] = (status, body.encode(), {"content-type": "text/xml", **named})

    def reply(self, method: str, line: str, headers: Mapping[str, str], body: bytes) -> Reply:
        # DynamoDB's and KMS's own way to say which operation it is.
        target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
        said = f"{method} {line} {target} {body.decode('utf-8', 'replace')}"
        self.asked.append(said)
        signed = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        for (region, pattern), answer in self.regional.items():
            if f"/{region}/" in signed and pattern in said:
                return answer(said)
        for pattern, found in self.replies.items():
            if pattern in said:
                return found(said) if callable(found) else found
        if self.behind is None:
            return (403, _refusal(said), {})
        return self._forward(method, line, headers, body)

    def _forward(self, method: str, line: str, headers: Mapping[str, str], body: bytes) -> Reply:
        import http.client
        from urllib.parse import urlsplit

        parts = urlsplit(str(self.behind))
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=30)
        connection.putrequest(method, line, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        connection.close()
        return (answer.status, content, kept)


def _refusal(said: str) -> bytes:
    """AccessDenied, as each protocol says it."""
    plain = "<Code>AccessDenied</Code><Message>no</Message>"
    if "Version=2016-11-15" in said:
        return f"<Response><Errors><Error>{plain}</Error></Errors></Response>".encode()
    if "Action=" in said:
        return f"<ErrorResponse><Error><Type>Sender</Type>{plain}</Error></ErrorResponse>".encode()
    if "x-amz-target" in said.lower() or "Amz" in said or "Service." in said or "DynamoDB" in said:
        return b'{"__type": "AccessDeniedException", "message": "no"}'
    return f"<Error>{plain}</Error>".encode()


_HOP = ("content-length", "connection", "transfer-encoding", "date", "server")


@pytest.fixture(scope="session")
def wired() -> Iterator[Wire]:
    """A server on this machine that says what a test tells it to."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, content, headers = made.reply(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = do_PUT = answer

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Wire(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wire(wired: Wire) -> Wire:
    """The server, which has been told nothing."""
    wired.behind = None
    wired.replies.clear()
    wired.regional.clear()
    wired.asked.clear()
    return wired


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(moto: str, sdk: boto3.Session, made: dict[tuple[str, str], Any]) -> Callable[..., Any]:
    """Clients of moto, emptied."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=30)

    def client(service: str, region: str = HOME, account: str | None = None) -> Any:
        if account is not None:
            sts = client("sts", region)
            given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/r", RoleSessionName="test")["Credentials"]
            return sdk.client(service, endpoint_url=moto, region_name=region,
                              aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
                              aws_session_token=given["SessionToken"])  # fmt: skip
        if (service, region) not in made:
            made[service, region] = sdk.client(
                service, endpoint_url=moto, region_name=region, aws_access_key_id="AKIATEST", aws_secret_access_key="x"
            )
        return made[service, region]

    return client


@pytest.fixture(scope="session")
def made() -> dict[tuple[str, str], Any]:
    """Clients of moto, which are slow to make."""
    return {}


@pytest.fixture(scope="session")
def sdk(loader: object) -> boto3.Session:
    from botocore.session import Session

    core = Session()
    core.register_component("data_loader", loader)
    return boto3.Session(botocore_session=core)


@pytest.fixture(scope="session")
def loader() -> object:
    """The SDK's service descriptions, read once for all tests."""
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture(scope="session")
def clients() -> dict[str, Once]:
    """What runs share, by whom they ask: clients are slow to make."""
    return {}


@pytest.fixture
def make_io(tmp_path: Path, loader: object, clients: dict[str, Once]) -> MakeIo:
    """What the engine hands a probe: identity `auditor` (and others by their role's account) at `url`."""

    def make(url: str, *accounts: str, fresh: bool = False) -> Io:
        services = "".join(f"{name} =\n  endpoint_url = {url}\n" for name in SERVICES)
        (tmp_path / "aws.ini").write_text(
            f"[services own]\n{services}[default]\nservices = own\nregion = {HOME}\naws_access_key_id = AKIATEST\n"
            "aws_secret_access_key = s3cr3t-of-the-identity\n"
        )
        own = AwsIdentity(id="auditor", provider="aws", config_file="aws.ini", region=HOME)
        others = [
            own.model_copy(update={"id": f"in-{account}", "role_arn": f"arn:aws:iam::{account}:role/auditor"})
            for account in accounts
        ]
        once = Once() if accounts or fresh else clients.setdefault(url, Once())
        once.get(("aws", "loader"), lambda: loader)
        return Io(
            once=once,
            vantage=HERE,
            budget=60.0,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=tmp_path,
            environment={},
            resolver=system_resolver,
            clock=lambda: NOON,
            entropy=os.urandom,
            identities=(own, *others),
        )

    return make


@pytest.fixture
def sts(wire: Wire) -> None:
    """Who asks, told over the wire."""
    wire.xml(
        "Action=GetCallerIdentity",
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>arn:aws:iam::{OWN}:user/auditor</Arn><UserId>A</UserId><Account>{OWN}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>",
    )

"""Real boto3 pointed at a server on loopback, as anyone would do it: by an AWS configuration file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

import pytest

from keycheck.model.deployment import HERE, Identity, Vantage
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.resolve import system_resolver

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

Configure: TypeAlias = Callable[..., None]
MakeIo: TypeAlias = Callable[..., Io]


@pytest.fixture(autouse=True)
def _no_ambient_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration, credentials or proxies, and no metadata service."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Write the SDK's files: endpoints of the services, and profiles with their keys."""

    def write(endpoint: str, **profiles: tuple[str, str, str | None]) -> None:
        services = "".join(f"{service} =\n  endpoint_url = {endpoint}\n" for service in ("kms", "sts", "cloudtrail"))
        config, credentials = [f"[services lab]\n{services}"], []
        for name, (access_key, secret, token) in profiles.items():
            section = "default" if name == "default" else f"profile {name}"
            config.append(f"[{section}]\nservices = lab\n")
            lines = [f"[{name}]", f"aws_access_key_id = {access_key}", f"aws_secret_access_key = {secret}"]
            credentials.append("\n".join(lines + ([f"aws_session_token = {token}"] if token else [])) + "\n")
        if "default" not in profiles:
            config.append("[default]\nservices = lab\n")
        (tmp_path / "config").write_text("\n".join(config))
        (tmp_path / "credentials").write_text("\n".join(credentials))

    return write


@pytest.fixture(scope="session")
def loader() -> object:
    """The SDK's service descriptions, read once for all tests: they take most of the time of a first client."""
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def make_io(tmp_path: Path, loader: object) -> MakeIo:
    """What the engine hands a probe."""

    def make(*identities: Identity, budget: float = 20.0, vantage: Vantage = HERE) -> Io:
        once = Once()
        once.get(("aws", "loader"), lambda: loader)
        return Io(
            once=once,
            vantage=vantage,
            budget=budget,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=tmp_path,
            environment={},
            resolver=system_resolver,
            clock=lambda: NOON,
            entropy=os.urandom,
            identities=identities,
        )

    return make


Reply: TypeAlias = "tuple[int, bytes] | Mapping[str, object]"


@dataclass
class Script:
    """A server that says what the test tells it to, by operation (`DescribeKey`)."""

    url: str = ""
    replies: dict[str, Callable[[Mapping[str, object]], Reply] | Reply] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def error(self, operation: str, code: str, message: str = "no", status: int = 400) -> None:
        self.replies[operation] = (status, json.dumps({"__type": code, "message": message}).encode())

    def answer(self, operation: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        self.asked.append((operation, body))
        reply = self.replies.get(operation, (400, b'{"__type": "AccessDeniedException", "message": "not scripted"}'))
        if callable(reply):
            reply = reply(body)
        return reply if isinstance(reply, tuple) else (200, json.dumps(reply).encode())


@pytest.fixture
def script() -> Iterator[Script]:
    """A scripted server on loopback."""
    told = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            told.headers.append(dict(self.headers.items()))
            target = self.headers.get("X-Amz-Target", "")
            if target:
                status, content = told.answer(target.rpartition(".")[2], json.loads(raw or b"{}"))
            else:
                action = raw.decode().partition("Action=")[2].partition("&")[0]
                status, content = told.answer(action, {"raw": raw.decode()})
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that go away in the middle are what some tests are about."""

    server = Quiet(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()

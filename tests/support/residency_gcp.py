"""A Google that says over the wire what a test tells it to, and what tests of the walk through it share."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from probes.residency.store_facts import ClosureFacts, EdgeKind, Node
from probes.residency.subjects import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok"
OTHER_KEY = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/old"
SERVICES = (
    "storage",
    "bigquery",
    "sqladmin",
    "compute",
    "file",
    "firestore",
    "spanner",
    "backupdr",
    "cloudkms",
    "storagetransfer",
    "bigquerydatatransfer",
    "cloudresourcemanager",
    "orgpolicy",
    "serviceusage",
    "cloudasset",
    "aiplatform",
)

Reply: TypeAlias = "tuple[int, object]"


@dataclass
class Google:
    """Answers by path, or by `METHOD /path`; an answer may be a function of the query and the body. What nothing is
    said about is denied."""

    port: int = 0
    says: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def reply(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(target)
        self.asked.append(f"{method} {target}")
        said = self.says.get(f"{method} {parts.path}", self.says.get(parts.path))
        if parts.path == "/token":
            said = {"access_token": "ya29.lab-" + "a" * 48, "expires_in": 3600, "token_type": "Bearer"}
        if callable(said):
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            said = said(query, json.loads(body) if body else None)
        if said is None:
            return 403, json.dumps(
                {"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}
            ).encode()
        status, content = said if isinstance(said, tuple) else (200, said)
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()

    def key(self, name: str = KEY, level: str = "HSM", **more: object) -> None:
        self.says[f"/v1/{name}"] = {"name": name, "versionTemplate": {"protectionLevel": level}, **more}

    def bucket(self, name: str, location: str = "EUROPE-WEST3", *objects: object, **more: object) -> dict[str, object]:
        made: dict[str, object] = {
            "name": name,
            "projectNumber": "4711",
            "location": location,
            "locationType": "region",
            "timeCreated": "2026-01-02T03:04:05.678Z",
            **more,
        }
        self.says[f"/storage/v1/b/{name}"] = made
        self.says[f"/storage/v1/b/{name}/o"] = {"items": list(objects)}
        return made


def disabled(service: str = "sqladmin.googleapis.com") -> Reply:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
    }
    said = f"{service} has not been used in project 4711 before or it is disabled."
    return 403, {"error": {"code": 403, "message": said, "status": "PERMISSION_DENIED", "details": [detail]}}


def stored(name: str, key: str | None = None, at: str = "2026-03-04T05:06:07Z", **more: object) -> dict[str, object]:
    made: dict[str, object] = {"name": name, "timeCreated": at, "generation": "1", **more}
    return made if key is None else {**made, "kmsKeyName": f"{key}/cryptoKeyVersions/1"}


@contextmanager
def running() -> Iterator[Google]:
    """A Google that answers the transfer jobs and the project of a bucket: everything else is for tests to say."""
    made = Google()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, content = made.reply(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    made.says["/v3/projects/4711"] = {"name": "projects/4711", "projectId": "acme"}
    made.says["/v1/transferJobs"] = {}
    made.says["/v2/projects/4711/policies/gcp.resourceLocations:getEffectivePolicy"] = {"spec": {}}
    made.says["/v2/projects/acme/policies/gcp.resourceLocations:getEffectivePolicy"] = {"spec": {}}
    made.key()
    made.key(OTHER_KEY, "SOFTWARE")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@cache
def _pem() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def identity(google: Google, home: Path, name: str = "auditor", **more: object) -> GcpIdentity:
    """A service account whose tokens Google gives out, for all services at one address."""
    authority = f"127.0.0.1:{google.port}"
    document = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "1",
        "private_key": _pem(),
        "client_email": f"{name}@acme.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"http://{authority}/token",
    }
    (home / f"{name}.json").write_text(json.dumps(document))
    return GcpIdentity.model_validate(
        {
            "id": name,
            "provider": "gcp",
            "credentials": f"file:{name}.json",
            "endpoints": [[service, authority] for service in SERVICES],
            "unsafe_plaintext_to_loopback": True,
            **more,
        }
    )


def world(home: Path, *identities: GcpIdentity, budget: float = 30.0, **more: Any) -> Io:
    def no_names(host: str, seconds: float) -> tuple[str, ...]:
        raise AssertionError(f"looked up {host}")

    return Io(
        vantage=HERE,
        budget=budget,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=home,
        environment={},
        resolver=no_names,
        clock=lambda: NOON,
        entropy=lambda count: b"e" * count,
        identities=identities,
        once=Once(),
        **more,
    )


def resource(name: str, **more: object) -> Store:
    return Store.model_validate(
        {"id": "s", "provider": "gcp", "what": {"kind": "resource", "name": name}, "identity": "auditor", **more}
    )


def bucket(name: str, **more: object) -> Store:
    return resource(f"//storage.googleapis.com/projects/_/buckets/{name}", **more)


def account(project: str = "acme", **more: object) -> Store:
    what = {"kind": "account", "account": project}
    return Store.model_validate({"id": "s", "provider": "gcp", "what": what, "identity": "auditor", **more})


def node(facts: ClosureFacts, end: str) -> Node:
    """The one node whose id ends so."""
    (found,) = [each for each in facts.nodes if each.id.endswith(f"/{end}") or each.id == end]
    return found


def regions(facts: ClosureFacts, end: str) -> tuple[str, ...]:
    """Of the one node; none where its place is not known."""
    return tuple(getattr(node(facts, end).place, "regions", ()))


def edges(facts: ClosureFacts, kind: EdgeKind) -> list[tuple[str, str]]:
    short = {each.id: each.id.rpartition("/")[2] for each in facts.nodes}
    return [(short[edge.source], short[edge.target]) for edge in facts.edges if edge.kind is kind]


def opened(facts: ClosureFacts) -> list[tuple[str, str, str]]:
    """What is open: where, for which question, why."""
    return [(end.at.rpartition("/")[2], end.matters, end.why.reason.value) for end in facts.open]


def page(query: Mapping[str, str], *pages: object) -> object:
    """The page that is asked for, of several, each with the token of the next."""
    number = int(query.get("pageToken", "0"))
    more = {} if number + 1 == len(pages) else {"nextPageToken": str(number + 1)}
    found = pages[number]
    assert isinstance(found, dict)
    return {**found, **more}

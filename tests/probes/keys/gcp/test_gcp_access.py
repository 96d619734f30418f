"""Credentials, endpoints and a cloud that misbehaves: a reason each time, bounded work, and no secret told."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Protocol

import grpc
import pytest
from gcp_company import KEY_ASPECTS, LOG_ASPECTS, NOW, Company, founded

from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE, AwsIdentity, GcpIdentity
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.pace import Api
from probes.keys import gcp
from probes.keys.aspects import ALWAYS
from probes.keys.gcp_facts import GcpKey


class Authority(Protocol):
    pem: bytes

    def leaf(self, name: str) -> tuple[bytes, bytes]: ...


PLANTED = "planted-secret-93c1"


def look(company: Company, io: Io, resource: str) -> GcpKey:
    return gcp.key(company.subject(resource), "europe-west3", KEY_ASPECTS, io)[0]


def refused(company: Company, identity: GcpIdentity, resolver: object = None) -> ProbeError:
    io = company.io(identity)
    if resolver is not None:
        io = replace(io, resolver=resolver)  # type: ignore[arg-type]
    with pytest.raises(ProbeError) as caught:
        look(company, io, company.seed())
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        f'["{PLANTED}"]',
        f'{{"type": "{PLANTED}"}}',
        f'{{"type": "service_account", "private_key": "{PLANTED}", "client_email": "a@b", "token_uri": "x"}}',
        f'{{"type": "authorized_user", "refresh_token": "{PLANTED}"}}',
        f'{{"type": "external_account", "audience": "{PLANTED}"}}',
        f'{{"type": "external_account", "credential_source": {{"file": "{PLANTED}"}}}}',
        f'{{"type": "external_account", "credential_source": {{"executable": {{"command": "{PLANTED}"}}}}}}',
        f'{{"type": "impersonated_service_account", "source_credentials": "{PLANTED}"}}',
        "[" * 30_000,
        f'{{"a": "{PLANTED * 5_000}"}}',
    ],
    ids=["empty", "cut", "list", "kind", "key", "user", "external", "pool", "program", "impersonated", "deep", "long"],
)
def test_a_credential_that_is_none_is_denied_without_showing_it(
    company: Company, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (company.home / "bad.json").write_text(text)
    monkeypatch.setenv("KEYCHECK_TEST_CREDENTIAL", text)
    for reference in ("file:bad.json", "env:KEYCHECK_TEST_CREDENTIAL"):
        error = refused(company, company.named(credentials=reference))
        assert error.reason is Reason.PERMISSION_DENIED
        assert "inspector" in str(error)
        assert PLANTED not in str(error)
        assert "a@b" not in str(error)


@pytest.mark.parametrize("reference", ["file:gone.json", "file:.", "env:KEYCHECK_NOT_SET"])
def test_a_credential_that_is_not_there_is_denied(company: Company, reference: str) -> None:
    assert refused(company, company.named(credentials=reference)).reason is Reason.PERMISSION_DENIED


def test_without_any_credential_the_advice_says_what_to_do(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(company.home / "nothing"))
    error = refused(company, company.named(credentials=None))
    assert error.reason is Reason.PERMISSION_DENIED
    assert "gcloud auth application-default login" in str(error)


def test_application_default_credentials_are_used(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    file = company.home / str(company.identity.credentials).removeprefix("file:")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert look(company, company.io(company.named(credentials=None)), company.seed()).purpose == "ENCRYPT_DECRYPT"


def test_a_credential_in_the_environment_is_used(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    file = company.home / str(company.identity.credentials).removeprefix("file:")
    monkeypatch.setenv("KEYCHECK_TEST_CREDENTIAL", file.read_text())
    identity = company.named(credentials="env:KEYCHECK_TEST_CREDENTIAL")
    assert look(company, company.io(identity), company.seed()).purpose == "ENCRYPT_DECRYPT"


def test_expired_tokens_are_denied_with_the_identity(tmp_path: Path) -> None:
    with founded(tmp_path, wall=lambda: datetime.now(UTC) + timedelta(days=1)) as company:
        error = refused(company, company.identity)
        assert error.reason is Reason.PERMISSION_DENIED
        assert "inspector" in str(error)


def test_a_credential_of_another_universe_is_not_sent_there(company: Company) -> None:
    error = refused(company, company.named(universe_domain="s3nsapis.fr"))
    assert error.reason is Reason.PERMISSION_DENIED
    assert "universe" in str(error)


def test_identities_of_other_clouds_and_of_none_are_denied(company: Company) -> None:
    name = company.seed()
    for identities in ((AwsIdentity(id="inspector", provider="aws"),), (company.named(id="somebody"),)):
        with pytest.raises(ProbeError) as caught:
            look(company, replace(company.io(), identities=identities), name)
        assert caught.value.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize("endpoint", ["192.0.2.7:443", "cloudkms.googleapis.com", "128.0.0.1:8080", "0.0.0.0:80", None])
def test_plaintext_to_anywhere_else_is_refused_before_a_token_is_sent(company: Company, endpoint: str | None) -> None:
    def resolver(host: str, seconds: float) -> Sequence[str]:
        return ("142.250.1.1",)

    error = refused(company, company.named(api_endpoint=endpoint), resolver)
    assert error.reason is Reason.UNSUPPORTED
    assert "unsafe_plaintext_to_loopback" in str(error)


@pytest.mark.parametrize("answers", [(), ("127.0.0.1", "192.0.2.1"), ("10.0.0.1",), ("::ffff:192.0.2.1",)])
def test_a_name_is_this_machine_only_when_all_its_addresses_are(company: Company, answers: tuple[str, ...]) -> None:
    error = refused(company, company.named(api_endpoint="emulator.test:80"), lambda host, seconds: answers)
    assert error.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "emulator.test"])
def test_names_of_this_machine_are_dialled_by_address(company: Company, host: str) -> None:
    port = company.cloud.address.rpartition(":")[2]
    io = replace(company.io(), resolver=lambda host, seconds: ("127.0.0.1",))
    identity = company.named(api_endpoint=f"{host}:{port}")
    assert clients.plaintext_target(identity, Api.KMS, io) == f"127.0.0.1:{port}"


def of_google(company: Company, file: str = "google.json", **changes: object) -> str:
    """The company's key file, its tokens from Google's own service: as nobody but the lab has it otherwise."""
    document = json.loads((company.home / str(company.identity.credentials).removeprefix("file:")).read_text())
    changed = {**document, "token_uri": "https://oauth2.googleapis.com/token", **changes}
    (company.home / file).write_text(json.dumps(changed))
    return f"file:{file}"


def test_an_ordinary_endpoint_is_spoken_to_with_tls_only(company: Company) -> None:
    # the lab speaks no TLS: an identity without the unsafe setting gets nowhere, and its token with it
    company.seed()
    identity = company.named(
        unsafe_plaintext_to_loopback=False, unsafe_foreign_endpoints=True, credentials=of_google(company)
    )
    with pytest.raises(ProbeError) as caught:
        look(company, company.io(identity, budget=4.0), f"{company.ring}/cryptoKeys/byok")
    assert caught.value.reason in (Reason.UNREACHABLE, Reason.TIMEOUT)
    assert company.cloud.iam.asked() == frozenset()


def test_nobody_at_the_port_is_unreachable(company: Company) -> None:
    error = refused(company, company.named(api_endpoint="127.0.0.1:1"))
    assert error.reason is Reason.UNREACHABLE


def test_throttling_is_tried_again_and_then_told(company: Company) -> None:
    name = company.seed()
    company.cloud.faults.throttle("GetCryptoKey", times=1)
    assert look(company, company.io(), name).name == name
    company.cloud.faults.throttle("ListCryptoKeyVersions")
    key = look(company, company.io(), name)
    assert isinstance(key.versions, Unseen)
    assert key.versions.reason is Reason.THROTTLED


def test_a_slow_cloud_is_a_timeout_within_the_budget(company: Company) -> None:
    name = company.seed()
    company.cloud.faults.latency_s = 5.0
    began = time.monotonic()
    with pytest.raises(ProbeError) as caught:
        look(company, company.io(budget=2.0), name)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - began < 4
    company.cloud.faults.clear()


@pytest.mark.parametrize("method", ["ListCryptoKeyVersions", "GetIamPolicy"])
def test_garbage_is_malformed(company: Company, method: str) -> None:
    name = company.seed()
    company.cloud.faults.garbage.add(method)
    key = look(company, company.io(), name)
    if method == "GetIamPolicy":
        assert not isinstance(key.hierarchy, Unseen)
        reasons = {level.bindings.reason for level in key.hierarchy.levels if isinstance(level.bindings, Unseen)}
        assert reasons == {Reason.MALFORMED}
        assert not key.hierarchy.complete
    else:
        assert isinstance(key.versions, Unseen)
        assert key.versions.reason is Reason.MALFORMED


def test_versions_that_never_end_are_no_versions(company: Company) -> None:
    name = company.seed()
    company.cloud.faults.endless.add("ListCryptoKeyVersions")
    key = look(company, company.io(), name)
    assert isinstance(key.versions, Unseen)
    assert key.versions.reason in (Reason.NOT_COVERED, Reason.MALFORMED)


@pytest.mark.parametrize(
    "method", ["GetCryptoKey", "ListCryptoKeyVersions", "GetIamPolicy", "GetProject", "GetFolder", "ListLogEntries"]
)
@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_no_failing_call_leaves_an_empty_fact(company: Company, method: str, code: grpc.StatusCode) -> None:
    name = company.seed()
    company.cloud.faults.fail(method, code, f"because {PLANTED[:4]}")
    io = company.io()
    window = (NOW - timedelta(days=1), NOW)
    try:
        key = look(company, io, name)
    except ProbeError:
        assert method == "GetCryptoKey"
        return
    logging, events, _, _ = gcp.log(company.subject(name), "europe-west3", LOG_ASPECTS, window, io)
    hierarchy = key.hierarchy
    assert not isinstance(hierarchy, Unseen)
    match method:
        case "ListCryptoKeyVersions":
            assert isinstance(key.versions, Unseen)
        case "ListLogEntries":
            assert isinstance(events, Unseen)
        case "GetIamPolicy":
            assert not hierarchy.complete
            assert isinstance(logging, Unseen)
        case _:
            assert not hierarchy.complete
            assert not isinstance(logging, Unseen)
            assert not logging.complete


def test_a_passing_failure_is_not_remembered_and_a_denial_is(company: Company) -> None:
    name = company.seed()
    io = company.io()
    company.cloud.faults.fail("GetProject", grpc.StatusCode.INTERNAL)
    first = look(company, io, name)
    assert not isinstance(first.hierarchy, Unseen)
    assert not first.hierarchy.complete
    company.cloud.faults.clear()
    second = look(company, io, name)
    assert not isinstance(second.hierarchy, Unseen)
    assert second.hierarchy.complete


def test_a_cloud_that_echoes_the_token_does_not_put_it_into_a_message(company: Company) -> None:
    company.seed()
    file = company.home / str(company.identity.credentials).removeprefix("file:")
    secret = json.loads(file.read_text())["private_key"]
    company.cloud.faults.fail("GetCryptoKey", grpc.StatusCode.PERMISSION_DENIED, f"you sent Bearer {PLANTED} {secret}")
    with pytest.raises(ProbeError) as caught:
        look(company, company.io(), f"{company.ring}/cryptoKeys/byok")
    assert PLANTED not in str(caught.value)
    assert "MII" not in str(caught.value)


def test_an_emulators_token_goes_through_no_proxy(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    name = company.seed()
    # nobody listens there: whoever followed it would get nowhere
    for variable in ("grpc_proxy", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert look(company, company.io(), name).name == name


def test_an_emulators_token_goes_nowhere_else(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    name = company.seed()
    looked_up: list[object] = []
    real = socket.getaddrinfo

    def watched(host: object, *rest: object, **named: object) -> object:
        looked_up.append(host)
        return real(host, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    assert look(company, company.io(), name).name == name
    time.sleep(0.2)  # google-auth does some things behind our back
    assert set(looked_up) <= {"127.0.0.1", "localhost"}


@contextmanager
def token_service(answer: dict[str, object]) -> Iterator[str]:
    """A token endpoint that refuses everybody with the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": "invalid_grant", "error_description": PLANTED}, Reason.PERMISSION_DENIED),
        (
            {
                "error": "invalid_grant",
                "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                f"timeframe. Check your iat and exp values in the JWT claim. {PLANTED}",
            },
            Reason.CLOCK_UNTRUSTED,
        ),
    ],
    ids=["refused", "clock"],
)
def test_a_token_service_that_refuses(
    company: Company, caplog: pytest.LogCaptureFixture, answer: dict[str, object], reason: Reason
) -> None:
    (company.home / "subject.txt").write_text(PLANTED)
    with token_service(answer) as address:
        document = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": address,
            "credential_source": {"file": str(company.home / "subject.txt")},
        }
        (company.home / "pool.json").write_text(json.dumps(document))
        error = refused(company, company.named(credentials="file:pool.json"))
    assert error.reason is reason
    assert PLANTED not in str(error) + caplog.text


def test_connections_go_through_the_vantages_proxy(company: Company) -> None:
    company.seed()
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            try:
                connection, _ = proxy.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(200))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        identity = company.named(
            unsafe_plaintext_to_loopback=False,
            api_endpoint="europe-west3-cloudkms.googleapis.com:443",
            credentials=of_google(company),
        )
        vantage = HERE.model_copy(update={"proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"})
        with pytest.raises(ProbeError):
            look(company, replace(company.io(identity, budget=4.0), vantage=vantage), f"{company.ring}/cryptoKeys/byok")
        thread.join(5)
    assert heard[0].startswith(b"CONNECT europe-west3-cloudkms.googleapis.com:443 ")


def test_tls_to_a_cloud_of_another_universe_works_with_its_trust_store(company: Company, authority: Authority) -> None:
    from google.cloud.kms_v1.types import CryptoKey

    key = f"{company.ring}/cryptoKeys/byok"
    seen: list[str] = []

    class Kms(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            seen.append(dict(details.invocation_metadata or ()).get("authorization", "")[:7])
            answer = CryptoKey.serialize(CryptoKey(name=key, purpose=1, create_time=NOW))
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    leaf = authority.leaf("localhost")
    server = grpc.server(ThreadPoolExecutor(2), handlers=(Kms(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([leaf]))
    server.start()
    try:
        (company.home / "ca.pem").write_bytes(authority.pem)
        identity = company.named(
            unsafe_plaintext_to_loopback=False,
            universe_domain="partner.test",
            unsafe_foreign_endpoints=True,
            credentials=of_google(company, universe_domain="partner.test"),
            api_endpoint=f"localhost:{port}",
        )
        io = replace(company.io(identity), vantage=HERE.model_copy(update={"ca_bundle": "ca.pem"}))
        found, _ = gcp.key(company.subject(key), "europe-west3", ALWAYS, io)
        assert (found.name, found.universe) == (key, "partner.test")
        assert set(seen) == {"Bearer "}
        untrusting = replace(company.io(identity, budget=4.0), vantage=HERE)
        with pytest.raises(ProbeError) as caught:
            gcp.key(company.subject(key), "europe-west3", ALWAYS, untrusting)
        assert caught.value.reason in (Reason.UNREACHABLE, Reason.TIMEOUT)
    finally:
        server.stop(None).wait(5)


def test_importing_the_package_imports_nothing_of_google() -> None:
    import subprocess
    import sys

    check = "import sys, probes.keys.gcp; sys.exit(any(m.split('.')[0] in ('google', 'grpc') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

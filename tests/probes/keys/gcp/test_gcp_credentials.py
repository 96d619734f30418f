"""Whose word a credential document is, and to whom it is shown: refused before anything is read or sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import grpc
import pytest
from gcp_company import KEY_ASPECTS, Company

from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE, GcpIdentity
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.documents import SubjectFile, credential
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.universes import UNIVERSES, check_endpoint, check_universe, issues_tokens, of_metadata
from probes.keys import gcp

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"
STS = "https://sts.googleapis.com/v1/token"


class Authority(Protocol):
    pem: bytes

    def leaf(self, name: str) -> tuple[bytes, bytes]: ...


def identity(**changes: object) -> GcpIdentity:
    return GcpIdentity.model_validate({"id": "inspector", "provider": "gcp", **changes})


def pool(**changes: object) -> dict[str, object]:
    return {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": STS,
        "credential_source": {"file": "subject.txt"},
        **changes,
    }


def load(home: Path, document: object, **changes: object) -> object:
    (home / "pool.json").write_text(json.dumps(document))
    return credential(identity(**changes), "file:pool.json", home)


def refused(home: Path, document: object, **changes: object) -> str:
    with pytest.raises(ProbeError) as caught:
        load(home, document, **changes)
    assert caught.value.reason is Reason.PERMISSION_DENIED
    return str(caught.value)


ELSEWHERE = (
    "http://sts.googleapis.com/v1/token",
    "https://evil.example/v1/token",
    "https://sts.googleapis.com.evil.example/",
    "https://evil.example#sts.googleapis.com",
    "https://sts.googleapis.com@evil.example/",
    "https://evil.example\\@sts.googleapis.com/",
    "https://evilsts.googleapis.com/",
    "http://127.0.0.1:80/token",
    "https://sts.s3nsapis.fr/v1/token",
    "file:///etc/passwd",
    "https://sts.googleapis.com:x/",
    "",
    None,
    7,
)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_tokens_are_exchanged_at_the_universes_own_service_only(tmp_path: Path, url: object) -> None:
    assert "token_url" in refused(tmp_path, pool(token_url=url))


@pytest.mark.parametrize("url", ELSEWHERE[:-2])
def test_impersonation_is_asked_of_the_universe_only(tmp_path: Path, url: object) -> None:
    refused(tmp_path, pool(service_account_impersonation_url=url))
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    refused(
        tmp_path,
        {
            "type": "impersonated_service_account",
            "source_credentials": user,
            "service_account_impersonation_url": url,
        },
    )


@pytest.mark.parametrize(
    "source",
    [
        {"url": "http://10.0.0.1/token"},
        {"url": "https://169.254.169.254/token"},
        {"url": "http://169.254.169.254.evil.example/token"},
        {"executable": {"command": "/bin/true"}},
        {"file": "subject.txt", "executable": {"command": "/bin/true"}},
        {"file": "subject.txt", "url": "http://169.254.169.254/"},
        {"certificate": {"use_default_certificate_config": True}},
        {"environment_id": "aws1", "regional_cred_verification_url": "https://sts.evil.example"},
        {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity",
            "url": "http://evil.example/latest",
        },
        {"file": "subject.txt", "format": {"type": "xml"}},
        [],
        None,
    ],
)
def test_subject_tokens_come_from_beside_the_deployment_or_the_metadata_service(tmp_path: Path, source: object) -> None:
    assert "credential_source" in refused(tmp_path, pool(credential_source=source))


@pytest.mark.parametrize(
    "document",
    [
        pool(),
        pool(token_url="https://sts.europe-west3.rep.googleapis.com/v1/token"),
        pool(credential_source={"url": "http://169.254.169.254/metadata/identity/oauth2/token?resource=x"}),
        pool(
            credential_source={
                "environment_id": "aws1",
                "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity",
                "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
                "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
            }
        ),
        {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
    ],
)
def test_documents_as_google_writes_them_are_read(tmp_path: Path, document: object) -> None:
    assert load(tmp_path, document) is not None


def test_an_emulators_token_service_is_this_machines(tmp_path: Path) -> None:
    allowed = identity(unsafe_plaintext_to_loopback=True)
    for url, good in {
        "http://127.0.0.1:9/token": True,
        "http://localhost/token": True,
        "http://[::1]:9/token": True,
        "http://10.0.0.1/token": False,
        "http://localhost.evil.example/token": False,
    }.items():
        assert issues_tokens(url, allowed, "sts") is good
        assert not issues_tokens(url, identity(), "sts")


def test_a_subject_file_elsewhere_on_this_machine_is_not_read(tmp_path: Path) -> None:
    from google.auth.exceptions import RefreshError

    home = tmp_path / "deployment"
    home.mkdir()
    (tmp_path / "victim").write_text("victim")
    (home / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(home / "pipe")
    (home / "huge").write_text("x" * 100_000)
    (home / "token").write_text("subject")
    (home / "token.json").write_text('{"id_token": "subject", "other": 7}')
    for name in (str(tmp_path / "victim"), "../victim", "link", "pipe", "huge", "gone", ".", "nul\0"):
        with pytest.raises(RefreshError) as caught:
            SubjectFile(home, name, None).get_subject_token(None, None)
        assert "victim" not in str(caught.value)
    assert SubjectFile(home, "token", None).get_subject_token(None, None) == "subject"
    assert SubjectFile(home, "token.json", "id_token").get_subject_token(None, None) == "subject"
    with pytest.raises(RefreshError):
        SubjectFile(home, "token.json", "other").get_subject_token(None, None)


def test_a_credential_file_is_a_regular_one_below_the_deployment(tmp_path: Path) -> None:
    home = tmp_path / "deployment"
    home.mkdir()
    (tmp_path / "adc.json").write_text(json.dumps(pool()))
    (home / "link.json").symlink_to(tmp_path / "adc.json")
    os.mkfifo(home / "pipe.json")
    for name, why in {"../adc.json": "below", "link.json": "below", "pipe.json": "regular"}.items():
        with pytest.raises(ProbeError) as caught:
            credential(identity(), f"file:{name}", home)
        assert why in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "good"),
    [
        ("cloudkms.googleapis.com", True),
        ("europe-west3-cloudkms.googleapis.com:443", True),
        ("CloudKMS.europe-west3.rep.GoogleAPIs.com", True),
        ("evil.example:443", False),
        ("googleapis.com.evil.example", False),
        ("evilgoogleapis.com", False),
        ("cloudkms.googleapis.com.", False),
        ("127.0.0.1:8080", False),
        ("unix:1", False),
    ],
)
def test_endpoints_are_below_the_universe(endpoint: str, good: bool) -> None:
    check_endpoint(identity(unsafe_foreign_endpoints=True), endpoint)
    if good:
        check_endpoint(identity(), endpoint)
        return
    with pytest.raises(ProbeError) as caught:
        check_endpoint(identity(), endpoint)
    assert caught.value.reason is Reason.UNSUPPORTED
    assert "unsafe_foreign_endpoints" in str(caught.value)


def test_only_known_universes_are_believed() -> None:
    for universe in UNIVERSES:
        check_universe(identity(universe_domain=universe))
    check_universe(identity(universe_domain="evil.example", unsafe_foreign_endpoints=True))
    with pytest.raises(ProbeError) as caught:
        check_universe(identity(universe_domain="evil.example"))
    assert caught.value.reason is Reason.UNSUPPORTED


def test_metadata_services_are_named_exactly() -> None:
    assert of_metadata("http://metadata.google.internal/computeMetadata/v1/")
    assert not of_metadata("http://metadata.google.internal.evil.example/")


@pytest.mark.parametrize("changes", [{}, {"universe_domain": "localhost"}])
def test_no_token_goes_to_a_stranger(
    company: Company, authority: Authority, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a deployment that somebody else wrote names its own server, its own authority and its own universe
    heard: list[object] = []

    class Stranger(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            heard.append(details.invocation_metadata)
            return None

    server = grpc.server(ThreadPoolExecutor(2), handlers=(Stranger(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([authority.leaf("localhost")]))
    server.start()
    try:
        (company.home / "ca.pem").write_bytes(authority.pem)
        document = json.loads((company.home / str(company.identity.credentials).removeprefix("file:")).read_text())
        document.update(token_uri="https://oauth2.googleapis.com/token", **changes)
        (company.home / "sa.json").write_text(json.dumps(document))
        named = company.named(
            unsafe_plaintext_to_loopback=False, credentials="file:sa.json", api_endpoint=f"localhost:{port}", **changes
        )
        io = replace(company.io(named), vantage=HERE.model_copy(update={"ca_bundle": "ca.pem"}))
        with pytest.raises(ProbeError) as caught:
            gcp.key(company.subject(company.seed()), "europe-west3", KEY_ASPECTS, io)
        assert caught.value.reason is Reason.UNSUPPORTED
        assert heard == []
    finally:
        server.stop(None).wait(5)


def test_odd_answers_of_a_resolver_are_no_address_of_this_machine(company: Company) -> None:
    odd: Callable[[str, float], tuple[str, ...]] = lambda host, seconds: ("127.0.0.1", "not an address")  # noqa: E731
    io = replace(company.io(), resolver=odd)
    with pytest.raises(ProbeError):
        clients.plaintext_target(company.named(api_endpoint="emulator.test:80"), Api.KMS, io)

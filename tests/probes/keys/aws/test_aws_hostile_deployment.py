"""A deployment that somebody else wrote: it runs no program, reads no file and takes no credential of this machine."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, Vantage
from keycheck.model.verdict import Reason
from probes.clouds.aws.bounded import _is_here
from probes.clouds.aws.clients import api
from probes.clouds.aws.config_file import read_config
from probes.keys import aws
from probes.keys.aspects import Aspect
from probes.keys.subjects import Key

NAME = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{NAME}"
KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n"
TOKEN = "FwoGZXIvYXdzEBYaDkexampletokenexampletokenexampletokenexample0123456789"
ROLE = "arn:aws:iam::111122223333:role/inspector"
DESCRIBED = {
    "KeyMetadata": {
        "AWSAccountId": "111122223333",
        "KeyId": NAME,
        "Arn": ARN,
        "CreationDate": 1_700_000_000,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "MultiRegion": False,
    }
}


def subject(*identities: str) -> Key:
    bound = {"inspect": identities[0]} if identities else {}
    return Key.model_validate(
        {"id": "k", "provider": "aws", "resource": ARN, "model": "direct-kms", "identities": bound}
    )


def services(url: str) -> str:
    return "[services own]\n" + "".join(f"{name} =\n  endpoint_url = {url}\n" for name in ("kms", "sts", "cloudtrail"))


def identity(**more: object) -> AwsIdentity:
    return AwsIdentity.model_validate({"id": "a", "provider": "aws", "config_file": "aws.config", **more})


def gap(io) -> tuple[Reason, str]:
    (found,) = aws.survey(subject("a"), io).open
    return found.reason, found.detail


@pytest.mark.parametrize(
    "setting",
    [
        "credential_process = touch {0}/ran",
        "web_identity_token_file = {0}/private\nrole_arn = " + ROLE,
        "role_arn = " + ROLE + "\nsource_profile = default",
        "role_arn = " + ROLE + "\ncredential_source = Environment",
        "sso_session = x",
        "sso_start_url = http://127.0.0.1:1/",
        "login_session = x",
        "data_path = {0}",
        "ca_bundle = {0}/private",
        "s3 =\n  endpoint_url = http://127.0.0.1:1",
        "unheard_of = 1",
    ],
)
@pytest.mark.parametrize("keys", ["", KEYS])
def test_a_configuration_that_could_run_or_read_anything_is_refused(
    script, make_io, tmp_path: Path, setting: str, keys: str
) -> None:
    (tmp_path / "private").write_text("hunter2-hunter2")
    text = f"{services(script.url)}[default]\nservices = own\n{keys}{setting.format(tmp_path)}\n"
    (tmp_path / "aws.config").write_text(text)
    script.replies["DescribeKey"] = DESCRIBED
    reason, detail = gap(make_io(identity()))
    assert reason is Reason.PERMISSION_DENIED
    assert "is not allowed there" in detail
    assert "unheard_of" not in detail
    assert script.asked == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[plugins]\nx = os\n",
        "[sso-session x]\nsso_region = eu-central-1\n",
        "[DEFAULT]\ncredential_process = false\n[default]\n" + KEYS,
        "[profile 'x]\n",
        "[services x]\nkms =\n  endpoint_url = http://127.0.0.1:1\n  credential_process = false\n",
        "[services x]\nkms = false\n",
        "no section = 1\n",
        "[default]\n[default]\n",
        "[default]\nregion\n",
        "\x00\xff",
    ],
)
def test_what_is_no_such_configuration_is_refused_without_its_words(make_io, tmp_path: Path, text: str) -> None:
    (tmp_path / "aws.config").write_bytes(text.encode("latin-1"))
    reason, detail = gap(make_io(identity()))
    assert reason is Reason.PERMISSION_DENIED
    assert "config_file aws.config" in detail
    assert "no section" not in detail


def test_a_configuration_without_keys_gets_none_of_this_machine(script, make_io, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-this-machine")
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    (tmp_path / "credentials").write_text(f"[default]\n{KEYS}[p]\n{KEYS}")
    (tmp_path / "aws.config").write_text(f"{services(script.url)}[default]\nservices = own\n[profile p]\nservices=own")
    for profile in (None, "p"):
        reason, detail = gap(make_io(identity(profile=profile)))
        assert reason is Reason.PERMISSION_DENIED
        assert "no usable credentials" in detail
    assert script.headers == []


def test_the_configuration_that_comes_along_is_used_as_it_is(script, make_io, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-this-machine")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHISMACHINE000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-this-machine")
    profiles = f"[default]\nservices = own\n{KEYS}[profile p]\nservices = own\n{KEYS.replace('IOSFODNN', 'IOSFODNP')}"
    (tmp_path / "aws.config").write_text(services(script.url) + profiles)
    script.replies["DescribeKey"] = DESCRIBED
    for profile, id in ((None, "AKIAIOSFODNN7EXAMPLE"), ("p", "AKIAIOSFODNP7EXAMPLE")):
        assert aws.survey(subject("a"), make_io(identity(profile=profile))).open == ()
        assert id in script.headers[-1]["Authorization"]
    assert "profile absent" in gap(make_io(identity(profile="absent")))[1]


@pytest.mark.parametrize("what", ["config", "external_id", "ca_bundle"])
@pytest.mark.parametrize("kind", ["pipe", "directory", "device"])
def test_only_regular_files_are_opened(script, make_io, tmp_path: Path, what: str, kind: str) -> None:
    named = {"pipe": "pipe", "directory": ".", "device": "/dev/zero"}[kind]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "aws.config").write_text(f"{services(script.url)}[default]\nservices = own\n{KEYS}")
    vantage = Vantage(id="here", ca_bundle=named if what == "ca_bundle" else None)
    more = {"config": {"config_file": named}, "external_id": {"role_arn": ROLE, "external_id": f"file:{named}"}}
    reason, detail = gap(make_io(identity(**more.get(what, {})), vantage=vantage))
    assert reason is Reason.PERMISSION_DENIED
    assert "is no regular file" in detail or "lies outside" in detail
    assert script.asked == []


def test_a_large_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aws.config").write_text("# " + "x" * 65_536)
    with pytest.raises(ProbeError, match="larger than 65536"):
        read_config(tmp_path / "aws.config", "aws.config", None)


def test_an_external_id_is_no_file_from_elsewhere_and_no_key_file(script, make_io, tmp_path: Path) -> None:
    outside = tmp_path / "users"
    base = tmp_path / "deployment"
    outside.mkdir()
    base.mkdir()
    (outside / "token").write_text("hunter2")
    (base / "link").symlink_to(outside / "token")
    (base / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    (base / "good").write_text("hunter2\n")
    (base / "aws.config").write_text(f"{services(script.url)}[default]\nservices = own\n{KEYS}")
    for reference in ("../users/token", str(outside / "token"), "link", "key.pem", "good"):
        io = make_io(identity(role_arn=ROLE, external_id=f"file:{reference}"))
        object.__setattr__(io, "base", base)
        aws.survey(subject("a"), io)
        assert ("hunter2" in str(script.asked)) == (reference == "good")


@pytest.mark.parametrize("endpoint", ["http://kms.example.org", "http://127.0.0.1.example.org", "http://192.0.2.1:1"])
@pytest.mark.parametrize("proxied", [True, False])
def test_nothing_signed_goes_out_unencrypted(script, configure, make_io, endpoint: str, proxied: bool) -> None:
    configure(endpoint, default=("AKIAIOSFODNN7EXAMPLE", "x", TOKEN))
    vantage = Vantage(id="office", proxy=script.url if proxied else None)
    (found,) = aws.survey(subject(), make_io(vantage=vantage)).open
    assert found.reason is Reason.PERMISSION_DENIED
    assert "https://" in found.detail
    role = AwsIdentity(id="a", provider="aws", role_arn=ROLE)
    assert gap(make_io(role, vantage=vantage))[0] is Reason.PERMISSION_DENIED
    assert script.headers == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "127.255.0.9", "0x7f.1", "2130706433", "::1", "localhost"])
def test_this_machine_by_its_numbers(host: str) -> None:
    assert _is_here(host)


@pytest.mark.parametrize(
    "host", ["", "0", "10.0.0.1", "127.1.example.org", "localhost.example.org", "fe80::1", "1.127"]
)
def test_other_machines(host: str) -> None:
    assert not _is_here(host)


def test_the_vantages_proxy_gets_no_plaintext_even_to_this_machine(script, configure, make_io) -> None:
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "x", None))
    script.replies["DescribeKey"] = DESCRIBED
    assert aws.survey(subject(), make_io(vantage=Vantage(id="o", proxy="http://127.0.0.1:1"))).open == ()


def test_the_vantages_proxy_is_used(make_io, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    lines: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(3):
                with listening.accept()[0] as connection:
                    lines.append(connection.recv(4096).splitlines()[0].rpartition(b" ")[0])
                    connection.sendall(b"HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        proxy = f"http://127.0.0.1:{listening.getsockname()[1]}"
        (found,) = aws.survey(subject(), make_io(vantage=Vantage(id="o", proxy=proxy), budget=4.0)).open
    assert found.reason in (Reason.UNREACHABLE, Reason.TIMEOUT)
    assert set(lines) == {b"CONNECT kms.eu-central-1.amazonaws.com:443"}


def test_one_identitys_descriptions_are_not_anothers(make_io, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[default]\ndata_path = {tmp_path}/evil\n{KEYS}")
    io = make_io()
    object.__setattr__(io, "once", type(io.once)())
    access = api(io, None, "aws", "eu-central-1").access
    loader = access.session._session.get_component("data_loader")
    assert not [path for path in loader.search_paths if "evil" in path]


def test_credentials_that_hang_stop_their_own_identity_alone(script, make_io, configure, tmp_path: Path) -> None:
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "x", None))
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "config").open("a") as config:
        config.write(f"[profile slow]\ncredential_process = cat {tmp_path}/pipe\nservices = lab\n")
    script.replies["DescribeKey"] = DESCRIBED
    io = make_io(AwsIdentity(id="a", provider="aws", profile="slow"), AwsIdentity(id="b", provider="aws"))
    slow = threading.Thread(target=lambda: aws.survey(subject("a"), io))
    slow.start()
    done = threading.Event()
    quick = threading.Thread(target=lambda: (aws.survey(subject("b"), io), done.set()))
    quick.start()
    assert done.wait(5)
    assert slow.is_alive()
    (tmp_path / "pipe").write_text("{}")
    slow.join()
    quick.join()


def test_an_answer_that_says_our_token_back_is_not_recorded(script, make_io, configure) -> None:
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", TOKEN))
    script.replies["DescribeKey"] = DESCRIBED
    tags = lambda said: {"Tags": [{"TagKey": "t", "TagValue": said}]}  # noqa: E731
    script.replies["ListResourceTags"] = tags(TOKEN[:20])
    facts, blobs = aws.key(subject(), "eu-central-1", frozenset({Aspect.TAGS}), make_io())
    assert facts.tags == (("t", TOKEN[:20]),)
    assert blobs
    escaped = b'{"Tags": [{"TagKey": "t", "TagValue": "\\u0046' + TOKEN[1:].encode() + b'"}]}'
    for reply in (tags(f"x{TOKEN}x"), (200, escaped)):
        script.replies["ListResourceTags"] = reply
        with pytest.raises(ProbeError) as caught:
            aws.key(subject(), "eu-central-1", frozenset({Aspect.TAGS}), make_io())
        assert caught.value.reason is Reason.MALFORMED
        assert TOKEN not in str(caught.value)


def test_an_answer_does_not_lead_to_another_cloud(script, make_io, configure) -> None:
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "x", None))
    access = api(make_io(), None, "aws", "eu-central-1").access
    for region in ("cn-north-1", "us-gov-west-1", "eusc-de-east-1", "xx-nowhere-1"):
        with pytest.raises(ProbeError) as caught:
            access.client("cloudtrail", region)
        assert caught.value.reason is Reason.MALFORMED
    assert access.client("cloudtrail", "eu-west-1")


@pytest.mark.parametrize(
    ("arn", "account", "fine"),
    [
        ("arn:aws:iam::111122223333:user/x", "111122223333", True),
        ("arn:aws:iam::111122223333:user/x", "444455556666", False),
        ("nobody", "111122223333", False),
    ],
)
def test_who_asks_is_of_one_account(script, make_io, configure, arn: str, account: str, fine: bool) -> None:
    configure(script.url, default=("AKIAIOSFODNN7EXAMPLE", "x", None))
    script.replies["GetCallerIdentity"] = (
        200,
        f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>'
        f"{arn}</Arn><UserId>A</UserId><Account>{account}</Account></GetCallerIdentityResult>"
        f"</GetCallerIdentityResponse>".encode(),
    )
    script.replies["DescribeKey"] = DESCRIBED
    facts, _ = aws.key(subject(), "eu-central-1", frozenset({Aspect.CALLER}), make_io())
    assert (facts.caller == arn) is fine
    assert fine or facts.caller.reason is Reason.MALFORMED

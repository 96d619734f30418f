"""keycheck against an emulator of AWS that is not its own: ministack 1.5.33 (MIT), with its authorization switched on.

Keys are made there with the real SDK. What the emulator answers must be judged; what it does not implement must come
out as `unsupported`, and never as a pass. Its own liberties are named where they are met.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from keycheck.cli.root import main
from keycheck.evidence.keys import SigningKey

pytestmark = pytest.mark.slow

PYTHON = Path(__file__).parents[3] / ".crosscheck" / "bin" / "python"
OWNER, VENDOR, REGION, ABROAD = "111122223333", "444455556666", "eu-central-1", "us-east-1"
ROOT, APP = f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{VENDOR}:role/crm-app"
ADMIN, INSPECTOR = f"arn:aws:iam::{OWNER}:role/key-admin", f"arn:aws:iam::{OWNER}:user/inspector"
USES = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
READS = ["kms:DescribeKey", "kms:Get*", "kms:List*", "cloudtrail:*"]

DESCRIBED = ("customer-managed", "origin", "algorithm", "protection", "location", "deletion-window")
"""Controls that DescribeKey alone decides."""


def allow(principal: str, actions: Sequence[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": "*"}


def document(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


HONEST = (
    allow(ROOT, ["kms:*"]),
    allow(APP, USES),
    allow(ADMIN, ["kms:Put*", "kms:ScheduleKeyDeletion"]),
)


@dataclass(frozen=True)
class Emulator:
    """A running ministack. Its root user signs with the account's number."""

    url: str

    def client(self, service: str, region: str = REGION, access_key: str = OWNER, secret: str = "test") -> Any:
        make: Any = boto3.client
        return make(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def user(self, name: str, actions: Sequence[str]) -> tuple[str, str]:
        """Access key and secret of a new user who may do that and nothing else."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        policy = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document(policy))
        given = iam.create_access_key(UserName=name)["AccessKey"]
        return given["AccessKeyId"], given["SecretAccessKey"]


@contextmanager
def running(home: Path) -> Iterator[Emulator]:
    """ministack, given its socket, so that it listens on 127.0.0.1 and nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "TMPDIR": str(home),
            "AUTH": "true",
            "CLOUDTRAIL_RECORDING": "1",
            "SERVICES": "kms,iam,sts,cloudtrail",
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            # Both would listen on all addresses, on ports of their own; and containers of this machine are not its own.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{home / 'no-docker.sock'}",
        }
        bind = f"fd://{listening.fileno()}"
        with (home / "ministack.log").open("wb") as log:
            server = subprocess.Popen(
                [str(PYTHON), "-m", "hypercorn", "ministack.app:app", "--workers", "0", "--bind", bind],
                cwd=home,
                env=environment,
                pass_fds=(listening.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    try:
        deadline = time.monotonic() + 30
        while b"Ready" not in (home / "ministack.log").read_bytes():
            assert server.poll() is None, (home / "ministack.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "ministack did not start"
            time.sleep(0.05)
        yield Emulator(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


def bring(kms: Any, key: str, expires: datetime | None = None) -> None:
    """Import 32 bytes."""
    given = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    ends: dict[str, object] = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    if expires is not None:
        ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": expires}
    kms.import_key_material(
        KeyId=key, ImportToken=given["ImportToken"], EncryptedKeyMaterial=public.encrypt(b"1" * 32, oaep), **ends
    )


def made(emulator: Emulator) -> dict[str, str]:
    """Keys by name: what a deployment file calls each."""
    kms, elsewhere = emulator.client("kms"), emulator.client("kms", ABROAD)

    def key(**shape: object) -> str:
        arn: str = kms.create_key(Policy=document(*HONEST), **shape)["KeyMetadata"]["Arn"]
        return arn

    keys = {name: key() for name in ("generated", "disabled", "deleted", "public", "granted")}
    keys |= {name: key(Origin="EXTERNAL") for name in ("imported", "expiring", "pending")}
    keys["spread"] = key(MultiRegion=True)
    kms.create_alias(AliasName="alias/crm", TargetKeyId=keys["generated"])
    keys["alias"] = f"arn:aws:kms:{REGION}:{OWNER}:alias/crm"
    keys["unknown"] = f"arn:aws:kms:{REGION}:{OWNER}:key/0b2fdd2e-5cf6-4a4f-8ba5-7f1b1ec8d6a4"
    bring(kms, keys["imported"])
    bring(kms, keys["expiring"], datetime.now(UTC) + timedelta(days=10))
    kms.disable_key(KeyId=keys["disabled"])
    kms.schedule_key_deletion(KeyId=keys["deleted"], PendingWindowInDays=7)
    kms.put_key_policy(KeyId=keys["public"], Policy=document(*HONEST, allow("*", ["kms:Decrypt"])))
    for name in ("new", "old"):
        kms.create_grant(KeyId=keys["granted"], GranteePrincipal=APP, Operations=["Decrypt"], Name=name)
    kms.replicate_key(KeyId=keys["spread"], ReplicaRegion=ABROAD, Policy=document(*HONEST))
    assert kms.encrypt(KeyId=keys["imported"], Plaintext=b"x")["CiphertextBlob"]
    assert elsewhere.describe_key(KeyId=keys["spread"].rpartition("/")[2])["KeyMetadata"]["MultiRegion"]
    for region in (REGION, ABROAD):
        trail = emulator.client("cloudtrail", region)
        trail.create_trail(Name=f"all-{region}", S3BucketName="logs", EnableLogFileValidation=True)
        trail.start_logging(Name=f"all-{region}")
    return keys


def written(emulator: Emulator, keys: Mapping[str, str], home: Path) -> Path:
    """A deployment whose identities and endpoints are in its own configuration file."""
    identities = {"inspector": emulator.user("inspector", READS), "blind": emulator.user("blind", ["kms:DescribeKey"])}
    profiles = "".join(
        f"[profile {name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\nservices = foreign\n\n"
        for name, (id, secret) in identities.items()
    )
    services = "".join(f"{name} =\n  endpoint_url = {emulator.url}\n" for name in ("kms", "sts", "cloudtrail"))
    (home / "aws.config").write_text(f"{profiles}[services foreign]\n{services}")
    agreed = {
        "owner": OWNER,
        "vendor": [APP],
        "administrators": [ADMIN],
        "users": [ROOT],
        "readers": [INSPECTOR],
        "sources": ["127.0.0.0/8"],
    }

    def entry(id: str, resource: str, identity: str) -> dict[str, object]:
        bound = {"inspect": identity, "log": identity}
        shared = {"provider": "aws", "model": "direct-kms", "agreed": agreed, "identities": bound}
        return {"id": id, "resource": resource, **shared}

    entries = [entry(name, resource, "inspector") for name, resource in keys.items()]
    entries.append(entry("unseen", keys["imported"], "blind"))
    deployment = {
        "deployment": "foreign",
        "title": "Keys in somebody else's emulator",
        "vantages": [{"id": "here", "place": "loopback", "egress": "127.0.0.1"}],
        "identities": [
            {"id": name, "provider": "aws", "config_file": "aws.config", "profile": name} for name in identities
        ],
        "keys": entries,
    }
    path = home / "deployment.yaml"
    path.write_text(json.dumps(deployment))  # YAML as well
    SigningKey.generate().save(home / "signer.pem")
    return path


@dataclass(frozen=True)
class Shown:
    """What one run said. `exit_code`: as a shell sees it."""

    exit_code: int
    findings: Mapping[tuple[str, str], Mapping[str, Any]]
    """By key and control, without `keys.`."""

    def verdict(self, key: str, control: str) -> str:
        return str(self.findings[key, control]["verdict"])

    def verdicts(self, control: str, *keys: str) -> set[str]:
        return {self.verdict(key, control) for key in keys}

    def reasons(self, key: str, control: str) -> list[str]:
        return list(self.findings[key, control]["reasons"])

    def message(self, key: str, control: str) -> str:
        return str(self.findings[key, control]["message"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if not PYTHON.exists():
        pytest.skip("no .crosscheck environment with ministack: `make test` makes it")
    home = tmp_path_factory.mktemp("foreign")
    with pytest.MonkeyPatch.context() as patch, running(home) as emulator:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        deployment = written(emulator, made(emulator), home)
        command = ["run", str(deployment), "--profile", "eu-sovereign-crm", "--key", str(home / "signer.pem")]
        code = main([*command, "--out", str(home / "runs")])
        (bundle,) = (home / "runs").glob("*.zip")
        assert main(["verify", str(bundle), "--key", str(home / "signer.pem.pub")]) in (0, 1, 3)
        with zipfile.ZipFile(bundle) as opened:
            assessment = json.loads(opened.read("assessment.json"))
        yield Shown(
            code,
            {
                (
                    found["subject"].removeprefix("keys/"),
                    found["control"].partition("@")[0].removeprefix("keys."),
                ): found
                for found in assessment["findings"]
                if found["subject"]
            },
        )


WHOLE = ("generated", "alias", "granted", "public", "imported", "expiring", "spread", "disabled", "deleted", "pending")
"""Keys that exist, as the identity that may read everything sees them."""


def test_nothing_crashes(shown: Shown) -> None:
    assert shown.exit_code == 1, "a clause fails, and nothing worse"
    drills = ("revocation", "recovery", "availability-copy", "rotation")  # nobody asked for one
    assert {found["verdict"] for (_, control), found in shown.findings.items() if control not in drills} == {
        "pass", "fail", "inconclusive", "not-applicable"
    }  # fmt: skip
    assert {found["verdict"] for (_, control), found in shown.findings.items() if control in drills} == {"not-tested"}
    assert {key for key, _ in shown.findings} == {*WHOLE, "unknown", "unseen"}


@pytest.mark.parametrize(
    ("control", "passes", "fails"),
    [
        ("customer-managed", ("generated", "alias", "imported", "spread"), ("disabled", "deleted", "pending")),
        ("origin", ("imported", "expiring"), ("generated", "alias", "spread")),
        ("algorithm", ("generated", "alias", "imported", "spread"), ()),
        ("protection", ("generated", "alias", "imported", "spread"), ()),
        ("deletion-window", ("generated", "alias", "imported", "spread"), ("deleted",)),
        ("location", ("generated", "alias", "imported"), ("spread",)),
        ("grants", ("generated", "alias", "imported", "spread"), ("granted",)),
        ("logging", ("generated", "alias", "imported", "spread"), ()),
    ],
)
def test_what_it_implements_is_judged(
    shown: Shown, control: str, passes: tuple[str, ...], fails: tuple[str, ...]
) -> None:
    assert {key: shown.verdict(key, control) for key in passes} == dict.fromkeys(passes, "pass")
    assert {key: shown.verdict(key, control) for key in fails} == dict.fromkeys(fails, "fail")


def test_a_replica_is_found_and_placed(shown: Shown) -> None:
    parts = {part["part"]: part["verdict"] for part in shown.findings["spread", "location"]["parts"]}
    assert parts == {REGION: "fail", ABROAD: "fail"}
    assert ABROAD in shown.message("spread", "location")


def test_what_it_does_not_implement_never_passes(shown: Shown) -> None:
    """It has no ListKeyRotations, which alone tells the dates of materials."""
    for key in WHOLE:
        assert shown.verdict(key, "material-age") == "inconclusive"
        assert shown.reasons(key, "material-age") == ["unsupported"]
        assert "ListKeyRotations" in shown.message(key, "material-age")
    assert shown.verdict("imported", "material-expiry") == "inconclusive"
    assert shown.reasons("imported", "material-expiry") == ["unsupported"]
    # Material that AWS made does not expire, whatever lists of materials say.
    assert shown.verdicts("material-expiry", "generated", "alias", "spread") == {"not-applicable"}


def test_an_answer_about_another_policy_is_none_about_the_one_asked_for(shown: Shown) -> None:
    """It answers every question for a policy with `default`, also that for AWS_RAM: the second one stays unknown."""
    for key in ("generated", "alias", "imported", "spread"):
        for control in ("policy", "separation"):
            assert shown.verdict(key, control) == "inconclusive"
            assert shown.reasons(key, control) == ["malformed"]
    assert shown.verdict("public", "policy") == "fail", "what the first one says counts all the same"


def test_a_use_that_is_not_in_the_log_is_no_proof_that_all_is_well(shown: Shown) -> None:
    """Its events name no key, so that none is found by the key."""
    assert shown.verdicts("use", *WHOLE) == {"inconclusive"}


def test_a_key_that_is_not_there(shown: Shown) -> None:
    for control in (*DESCRIBED, "policy", "grants", "separation", "material-age", "material-expiry"):
        assert shown.verdict("unknown", control) == "inconclusive"
        assert shown.reasons("unknown", control) == ["open-census", "unreachable"]


def test_denied_is_no_pass(shown: Shown) -> None:
    """The same imported key, as somebody who may only describe it."""
    for control in DESCRIBED:
        assert shown.verdict("unseen", control) == shown.verdict("imported", control)
    for control in ("policy", "separation", "grants", "material-age", "material-expiry", "logging", "use"):
        assert shown.verdict("unseen", control) == "inconclusive"
        assert shown.reasons("unseen", control) == ["permission-denied"]

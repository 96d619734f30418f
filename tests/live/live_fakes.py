"""Fakes of both clouds, and the scripts run against them in processes of their own, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import grpc
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from recording import read

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.seams import Document
from keycheck.lab.gcp.cloud import GcpCloud

HERE = Path(__file__).parent
ACCOUNT = "111122223333"
USER = "marker-of-a-person"
PROJECT = "marker-project-7731"
ADMIN = f"marker-admin@{PROJECT}.iam.gserviceaccount.com"
SUBJECT = f"marker-subject@{PROJECT}.iam.gserviceaccount.com"
QUICK = ("--window", "2", "--pause", "0.05", "--confirm", "1", "--patience", "4", "--log-patience", "4")
WHOLE_AWS = ("--yes", "--multi-region", "--wait-for-logs")
WHOLE_GCP = ("--yes", "--hsm", "--global-ring", "--wait-for-logs")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Aws:
    """A fake account, and the script run against it as a user runs it."""

    cloud: AwsCloud
    home: Path
    secret: str

    def start(self, *more: str, account: str = ACCOUNT) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "live_aws.py"), "--account", account, "--profile", "scratch"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {"AWS_CONFIG_FILE": str(self.home / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "none")}
        return _started([*command, "--home", str(self.home / "out"), *QUICK, *more], env)

    def run(self, *more: str, account: str = ACCOUNT) -> tuple[int, str]:
        return _ended(self.start(*more, account=account))

    def client(self, region: str = "eu-central-1") -> Any:
        user = self.cloud.directory.add_user(f"arn:aws:iam::{ACCOUNT}:root")
        return boto3.client(
            "kms",
            region_name=region,
            endpoint_url=self.cloud.url,
            aws_access_key_id=user.access_key_id,
            aws_secret_access_key=user.secret,
        )

    def states(self) -> Mapping[str, str]:
        found = {}
        for region in ("eu-central-1", "eu-west-1"):
            client = self.client(region)
            for each in client.list_keys()["Keys"]:
                about = client.describe_key(KeyId=each["KeyId"])["KeyMetadata"]
                found[about["Arn"]] = about["KeyState"]
        return found


@dataclass
class Gcp:
    """A fake project, likewise."""

    cloud: GcpCloud
    home: Path
    admin: Path
    subject: Path

    def start(self, *more: str, project: str = PROJECT) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "live_gcp.py"), "--project", project, "--credentials", str(self.admin)]
        command += ["--unsafe-plaintext-endpoint", self.cloud.address, "--home", str(self.home / "out")]
        return _started([*command, *QUICK, *more], dict(os.environ))

    def run(self, *more: str, project: str = PROJECT) -> tuple[int, str]:
        return _ended(self.start(*more, project=project))

    def held(self) -> Mapping[str, Sequence[str]]:
        """Key -> states of its versions, in the locations that the cases use."""
        token = self.cloud.token(f"serviceAccount:{ADMIN}")
        told: Any = {"metadata": [("authorization", f"Bearer {token}")], "retry": None}
        found: dict[str, Sequence[str]] = {}
        with grpc.insecure_channel(self.cloud.address) as channel:
            client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            for location in ("europe-west3", "global"):
                where = f"projects/{PROJECT}/locations/{location}"
                for ring in client.list_key_rings(parent=where, **told):
                    for key in client.list_crypto_keys(parent=ring.name, **told):
                        versions = client.list_crypto_key_versions(parent=key.name, **told)
                        found[key.name] = [version.state.name for version in versions]
                    found.setdefault(ring.name, [])
        return found

    def states(self) -> Sequence[str]:
        """Of all versions of all keys."""
        return [state for states in self.held().values() for state in states]


def _started(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        told, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    return process.returncode, told


def stopped_at(process: subprocess.Popen[str], line: str) -> tuple[int, str]:
    """SIGTERM as soon as a case has begun."""
    assert process.stdout is not None
    for each in process.stdout:
        if each.startswith(line):
            process.send_signal(signal.SIGTERM)
            break
    return _ended(process)


def fake_aws(home: Path) -> Iterator[Aws]:
    whole: Document = {"Effect": "Allow", "Action": ["kms:*", "cloudtrail:LookupEvents"], "Resource": "*"}
    policy: Document = {"Version": "2012-10-17", "Statement": [whole]}
    with AwsCloud(clock=now) as cloud:
        user = cloud.directory.add_user(f"arn:aws:iam::{ACCOUNT}:user/{USER}", policies=[policy])
        (home / "config").write_text(
            f"[profile scratch]\nendpoint_url = {cloud.url}\naws_access_key_id = {user.access_key_id}\n"
            f"aws_secret_access_key = {user.secret}\n"
        )
        yield Aws(cloud, home, user.secret)


def fake_gcp(home: Path) -> Iterator[Gcp]:
    with GcpCloud(clock=now) as cloud:
        project = cloud.directory.project(PROJECT)
        admin, subject = cloud.service_account(ADMIN, home), cloud.service_account(SUBJECT, home)
        for role in ("cloudkms.admin", "cloudkms.cryptoOperator", "cloudkms.importer", "logging.privateLogViewer"):
            cloud.iam.bind(project, f"roles/{role}", f"serviceAccount:{ADMIN}")
        cloud.iam.audit(project, "ADMIN_READ", "DATA_READ", "DATA_WRITE")
        yield Gcp(cloud, home, admin, subject)


@dataclass
class Whole:
    """A run of all cases."""

    code: int
    told: str
    recording: Mapping[str, Any]
    text: str
    journal: Sequence[Mapping[str, str]]
    states: Sequence[str]
    names: Sequence[str]
    """Of the keys that there are in the fake, and of whom they belong to: none may be written down."""


def whole_of(code: int, told: str, out: Path, states: Sequence[str], names: Sequence[str]) -> Whole:
    (path,) = (each for each in out.glob("*.json") if not each.name.startswith("journal"))
    (journal,) = out.glob("journal-*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return Whole(code, told, read(path), path.read_text(), lines, states, names)

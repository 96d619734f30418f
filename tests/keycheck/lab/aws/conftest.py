"""The lab's AWS on its port, and real boto3 clients for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws.cloud import AwsCloud

ACCOUNT = "111111111111"
OTHER = "222222222222"
REGION = "eu-central-1"
NEIGHBOUR = "eu-west-1"
START = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
FULL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class World:
    """A cloud with two administrators, and clients by user and Region."""

    cloud: AwsCloud
    clock: Clock
    session: boto3.Session
    credentials: dict[str, tuple[str, str]] = field(default_factory=dict)
    clients: dict[tuple[str, str, str], BaseClient] = field(default_factory=dict)

    def user(self, arn: str, *policies: Mapping[str, object], **more: object) -> str:
        made = self.cloud.directory.add_user(arn, policies=policies, **more)
        self.credentials[arn] = (made.access_key_id, made.secret)
        return arn

    def client(self, service: str = "kms", *, who: str | None = None, region: str = REGION) -> BaseClient:
        who = who or f"arn:aws:iam::{ACCOUNT}:user/admin"
        place = (service, who, region)
        if place not in self.clients:
            key, secret = self.credentials[who]
            self.clients[place] = self.session.client(
                service,
                region_name=region,
                endpoint_url=self.cloud.url,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(
                    retries={"total_max_attempts": 1}, parameter_validation=False, connect_timeout=5, read_timeout=20
                ),
            )
        return self.clients[place]


@pytest.fixture(scope="session")
def aws_session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture
def aws(aws_session: boto3.Session) -> Iterator[World]:
    clock = Clock()
    with AwsCloud(clock=clock) as cloud:
        world = World(cloud, clock, aws_session)
        for account in (ACCOUNT, OTHER):
            world.user(f"arn:aws:iam::{account}:user/admin", FULL)
        yield world
        for client in world.clients.values():
            client.close()


@pytest.fixture
def kms(aws: World) -> BaseClient:
    """KMS for the first account's administrator."""
    return aws.client()


def code(call, /, *args, **parameters) -> str:
    """The error code a call ends with, or `NoError`."""
    try:
        call(*args, **parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "NoError"


@dataclass(frozen=True)
class Tools:
    code = staticmethod(code)
    ACCOUNT = ACCOUNT
    OTHER = OTHER
    REGION = REGION
    NEIGHBOUR = NEIGHBOUR
    START = START
    FULL = FULL


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Where recorded answers and test vectors lie; skips where they do not."""
    root = Path(os.environ.get("KEYCHECK_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
    if not (root / "vectors").is_dir():
        pytest.skip(f"no recordings in {root}: set KEYCHECK_DATA")
    return root / "vectors"

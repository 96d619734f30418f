"""The stores of the lab's AWS by themselves, with real boto3 clients for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
import pytest
from botocore.config import Config

from keycheck.lab.aws.identity import Credentials, Directory
from keycheck.lab.aws_stores.plan import AwsPlan
from keycheck.lab.aws_stores.service import StoresCloud
from keycheck.lab.store_estate import clean_clouds
from keycheck.lab.store_sites import ACCOUNT, HOME

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
READER = f"arn:aws:iam::{ACCOUNT}:user/reader"


def full() -> dict[str, object]:
    """A policy that lets everything."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def arn_of(ref: str, region: str) -> str:
    """Stands for the lab's KMS."""
    id, _, where = ref.partition("@")
    return f"arn:aws:kms:{where or region}:{ACCOUNT}:key/{id}"


@dataclass
class Stores:
    """One estate that is served."""

    cloud: StoresCloud
    directory: Directory
    credentials: Credentials

    def client(self, service: str, region: str = HOME):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.cloud.url,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def forbid(self, *actions: str, resource: str = "*") -> None:
        """The reader may no longer do these."""
        deny = {"Effect": "Deny", "Action": list(actions), "Resource": resource}
        self.directory.set_policies(READER, (full(), {"Version": "2012-10-17", "Statement": [deny]}))


@pytest.fixture
def serve() -> Iterator[Callable[..., Stores]]:
    """Serve a plan."""
    served: list[StoresCloud] = []

    def make(plan: AwsPlan | None = None, *, page_size: int | None = None) -> Stores:
        directory = Directory()
        credentials = directory.add_user(READER, policies=(full(),))
        cloud = StoresCloud(
            plan or clean_clouds().aws,
            directory=directory,
            clock=lambda: NOW,
            arn_of=arn_of,
            page_size=page_size,
        ).start()
        served.append(cloud)
        return Stores(cloud, directory, credentials)

    yield make
    for cloud in served:
        cloud.close()


@pytest.fixture
def stores(serve: Callable[..., Stores]) -> Stores:
    return serve()

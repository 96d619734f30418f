"""The clouds' control planes that the residency section asks: stores and inference, up.

Who looks is the role that looks at the keys, with what it needs for stores besides. What is agreed is always the honest
plan's; a defect changes only what the clouds hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from keycheck.lab.aws.identity import Credentials
from keycheck.lab.aws.seams import Document
from keycheck.lab.aws_estate import EXTERNAL_ID_FILE
from keycheck.lab.aws_stores.service import HANDLERS as AWS_HANDLERS
from keycheck.lab.aws_stores.service import StoresCloud
from keycheck.lab.clouds import Clouds
from keycheck.lab.defects import Choice
from keycheck.lab.gcp_stores.roles import READERS
from keycheck.lab.gcp_stores.service import SERVICES, GcpStores
from keycheck.lab.key_sites import AUDITOR, G_INSPECTOR, INSPECTOR, READS
from keycheck.lab.residency_parts import Added, Entry, Part
from keycheck.lab.store_estate import clean_clouds
from keycheck.lab.store_keys import KeyBook
from keycheck.lab.store_sites import (
    INFERENCE,
    STORES,
    CloudPlan,
    InferenceDefect,
    InferenceSite,
    StoreDefect,
    StoreSite,
)

CONFIG_FILE: Final = "aws-stores.config"
AWS_IDENTITY: Final = "res-aws"
GCP_IDENTITY: Final = "res-gcp"
PAGE: Final = 5
"""Entries that a list has at once, so that many have several pages."""
_IN_KMS: Final = ("kms", "sts")
"""Services that the lab's KMS answers for."""
_SECTIONS: Final = {"logs": "cloudwatch_logs"}
"""Of services whose section in the SDK's configuration has another name, by their id."""
_READS: Final = (
    "s3:List*", "s3:Get*", "s3express:List*", "backup:List*", "backup:Get*", "backup:Describe*", "rds:Describe*",
    "dynamodb:Describe*", "dynamodb:List*", "ec2:Describe*", "ec2:Get*", "elasticfilesystem:Describe*",
    "account:ListRegions", "account:GetRegionOptStatus", "organizations:Describe*", "organizations:List*",
    "bedrock:Get*", "bedrock:List*", "ecr:Describe*", "elasticache:Describe*", "es:List*", "fsx:Describe*",
    "glacier:List*", "kinesis:List*", "logs:Describe*", "redshift:Describe*", "sqs:List*",
)  # fmt: skip
"""What whoever looks at stores needs: reading alone, but s3:GetObject, without which no object's key is told."""


class StoreClouds:
    """Both clouds' stores, up once it is made."""

    def __init__(self, home: Path, plan: CloudPlan, only: Collection[str] | None, clouds: Clouds) -> None:
        self._home = home
        self._clouds = clouds
        self._book = KeyBook(clouds)
        for ref, region in plan.aws.key_replicas:
            self._book.replicate(ref, region)
        with ExitStack() as held:
            self.aws = StoresCloud(
                plan.aws,
                directory=clouds.aws.cloud.directory,
                clock=clouds.clock,
                arn_of=self._book.arn,
                page_size=PAGE,
            ).start()
            held.callback(self.aws.close)
            self._open_aws(plan)
            self._open_gcp(plan)
            self.gcp = GcpStores(
                plan.gcp, cloud=clouds.gcp.cloud, clock=clouds.clock, key_of=self._book.resource, page_size=PAGE
            ).start()
            stores = [site for site in STORES if only is None or f"stores/{site.id}" in only]
            models = [site for site in INFERENCE if only is None or f"inference/{site.id}" in only]
            self.added = Added(
                (_AWS_ENTRY, self._gcp_entry()),
                {"stores": tuple(map(_store, stores)), "inference": tuple(map(_model, models))},
            )
            held.pop_all()

    def close(self) -> None:
        """End the servers."""
        self.aws.close()
        self.gcp.close()

    def _open_gcp(self, plan: CloudPlan) -> None:
        """Let the inspecting service account look at stores, in every project."""
        cloud = self._clouds.gcp.cloud
        (organization,) = cloud.directory.nodes("organizations/")
        for project in sorted(_projects(plan)):
            if cloud.directory.node(f"projects/{project}") is None:
                cloud.directory.project(project, organization.name)
        for role, permissions in READERS.items():
            cloud.iam.role(role, permissions - set(plan.gcp.denied))
            cloud.iam.bind(organization.name, role, G_INSPECTOR)

    def _gcp_entry(self) -> Entry:
        (inspector,) = (each for each in self._clouds.identities if each["id"] == "inspector-g")
        return {
            **inspector,
            "id": GCP_IDENTITY,
            "storage_endpoint": self.gcp.address("storage"),
            "endpoints": [[name, self.gcp.address(name)] for name in SERVICES],
        }

    def _open_aws(self, plan: CloudPlan) -> None:
        """Let the inspecting role look at stores, and write the configuration that names where they are."""
        directory = self._clouds.aws.cloud.directory
        keys = _allow(*READS, "kms:ListAliases", "kms:DescribeCustomKeyStores")
        denials = tuple(_deny(action, resource) for action, resource in plan.aws.denied)
        directory.set_policies(INSPECTOR, (keys, _allow(*_READS), *denials))
        auditor = directory.add_user(AUDITOR, policies=(_allow("sts:AssumeRole"),))
        stores = {_SECTIONS.get(name, name): self.aws.url for name in AWS_HANDLERS}
        services = {**stores, **dict.fromkeys(_IN_KMS, self._clouds.aws.cloud.url)}
        path = self._home / CONFIG_FILE
        path.write_text(_config(auditor, services), encoding="ascii")
        path.chmod(0o600)


_AWS_ENTRY: Final[Entry] = {
    "id": AWS_IDENTITY,
    "provider": "aws",
    "config_file": CONFIG_FILE,
    "profile": "auditor",
    "role_arn": INSPECTOR,
    "external_id": f"file:{EXTERNAL_ID_FILE}",
}


def make_clouds(home: Path, only: Collection[str] | None, choices: Sequence[Choice], clouds: Clouds) -> Part:
    """Serve the stores and models whose subject (`stores/ID`, `inference/ID`) is in `only` (None: all of them), as the
    defects chosen among them have it. `clouds` hold their keys. Raises LabError when a server does not start."""
    plan = clean_clouds()
    for choice in choices:
        if isinstance(choice.defect, StoreDefect | InferenceDefect):
            plan = choice.defect.change(plan)
    return StoreClouds(home, plan, only, clouds)


def _store(site: StoreSite) -> Entry:
    entry: dict[str, object] = {
        "id": site.id,
        "provider": site.provider,
        "what": dict(site.what),
        "identity": AWS_IDENTITY if site.provider == "aws" else GCP_IDENTITY,
        "agreed": {"keys": list(site.keys)},
    }
    return entry if site.region is None else {**entry, "region": site.region}


def _model(site: InferenceSite) -> Entry:
    entry: dict[str, object] = {
        "id": site.id,
        "provider": site.provider,
        "model": site.model,
        "region": site.region,
        "scope": site.scope,
        "identity": AWS_IDENTITY if site.provider == "aws" else GCP_IDENTITY,
    }
    return entry if site.zone is None else {**entry, "zone": site.zone}


def _projects(plan: CloudPlan) -> set[str]:
    held = (
        plan.gcp.buckets,
        plan.gcp.datasets,
        plan.gcp.databases,
        plan.gcp.disks,
        plan.gcp.snapshots,
        plan.gcp.images,
    )
    return {each.project for kind in held for each in kind}


def _allow(*actions: str) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def _deny(action: str, resource: str) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": resource}]}


def _config(credentials: Credentials, services: Mapping[str, str]) -> str:
    places = "".join(f"{name} =\n  endpoint_url = {url}\n" for name, url in sorted(services.items()))
    return (
        f"[profile auditor]\naws_access_key_id = {credentials.access_key_id}\n"
        f"aws_secret_access_key = {credentials.secret}\nservices = stores\n\n[services stores]\n{places}"
    )

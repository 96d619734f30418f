"""The practice customer's stores and models as a plan, before any cloud exists. Defects go from a plan to a plan.

What is declared as agreed never changes with a defect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from keycheck.lab.aws_stores.plan import AwsPlan, Bucket, Sse
from keycheck.lab.defect import Defect
from keycheck.lab.gcp_stores.plan import GcpPlan
from keycheck.lab.key_sites import (
    CUSTOMER,
    HONEST,
    HONEST_BINDINGS,
    VENDOR,
    AwsSite,
    GcpSite,
    KeySite,
    Material,
    clean_keys,
)
from keycheck.lab.residency_parts import RESIDENCY

HOME: Final = "eu-central-1"
ACCOUNT: Final = CUSTOMER
PROJECT: Final = "acme-contacts"
AWS_KEYS: Final = ("contacts", "archive", "backups")
GCP_KEYS: Final = ("contacts-g", "notes-g", "exports-g")
CUSTOMER_KEY: Final = "other"
"""A key of the customer's that is not among those agreed; there is one in every Region."""
VENDOR_KEY: Final = "vendor"
"""A key of the vendor's."""
EXPORTS: Final = "acme-crm-exports"
EXPORTS_G: Final = "acme-exports-g"
STRANGERS_BUCKET: Final = Bucket("vendor-crm-analytics", "us-west-2", VENDOR, Sse("aws:kms", VENDOR_KEY))
"""In the vendor's own account: of it nothing but its Region is told."""
PROFILE: Final = "a1b2c3d4e5f6"
"""Id of the customer's own inference profile."""
MODEL: Final = "anthropic.claude-sonnet-4-5-20250929-v1:0"
EMBEDDING: Final = "amazon.titan-embed-text-v2:0"
GEMINI: Final = "gemini-2.5-flash"


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """Both clouds."""

    aws: AwsPlan
    gcp: GcpPlan


@dataclass(frozen=True, slots=True)
class StoreSite:
    """One store of the deployment."""

    id: str
    provider: str
    what: Mapping[str, object] = field(hash=False)
    keys: tuple[str, ...]
    """Ids of those agreed."""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class InferenceSite:
    """One model that data is sent to."""

    id: str
    provider: str
    model: str
    region: str
    scope: str = "region"
    zone: str | None = None


class StoreDefect(Defect[CloudPlan]):
    """A defect of one store."""

    __slots__ = ()
    section = "stores"
    served = RESIDENCY


class InferenceDefect(Defect[CloudPlan]):
    """A defect of one inference endpoint."""

    __slots__ = ()
    section = "inference"
    served = RESIDENCY


def arn(service: str, rest: str, region: str = HOME, account: str = ACCOUNT) -> str:
    """Of something of the customer's."""
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def vault(name: str, region: str) -> str:
    """ARN of one of the customer's vaults."""
    return arn("backup", f"backup-vault:{name}", region)


def _resource(name: str) -> Mapping[str, object]:
    return {"kind": "resource", "name": name}


STORES: Final = (
    StoreSite("exports", "aws", _resource(f"arn:aws:s3:::{EXPORTS}"), AWS_KEYS, HOME),
    StoreSite("crm-db", "aws", _resource(arn("rds", "db:crm")), AWS_KEYS),
    StoreSite("sessions", "aws", _resource(arn("dynamodb", "table/sessions")), AWS_KEYS),
    StoreSite("estate", "aws", {"kind": "account", "account": ACCOUNT, "home": HOME}, AWS_KEYS),
    StoreSite("exports-g", "gcp", _resource(f"//storage.googleapis.com/projects/_/buckets/{EXPORTS_G}"), GCP_KEYS),
    StoreSite(
        "analytics-g",
        "gcp",
        _resource(f"//bigquery.googleapis.com/projects/{PROJECT}/datasets/crm"),
        GCP_KEYS,
    ),
    StoreSite("project-g", "gcp", {"kind": "account", "account": PROJECT}, GCP_KEYS),
)
INFERENCE: Final = (
    InferenceSite("assistant", "aws", arn("bedrock", f"application-inference-profile/{PROFILE}"), HOME, "unknown"),
    InferenceSite("search", "aws", EMBEDDING, HOME),
    InferenceSite("chat", "aws", f"eu.{MODEL}", HOME, "zone", "EU"),
)
CLOUD_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "stores": tuple(site.id for site in STORES),
    "inference": tuple(site.id for site in INFERENCE),
}
"""Section to the ids of its subjects in the honest plan."""
EXTRA_KEYS: Final[tuple[KeySite, ...]] = (
    AwsSite("backups", "eu-north-1", materials=(Material(100),), statements=HONEST),
    GcpSite("exports-g", "eur4", PROJECT, on_key=HONEST_BINDINGS),
)
"""Keys that only stores need: copies of backups, and a bucket in a dual-region, want their key where they are."""


def store_keys(only: Collection[str] | None) -> tuple[KeySite, ...]:
    """The keys that these stores (`stores/ID`; None: all) are agreed to lie under, without their canaries' keys. Where
    stores are chosen, nothing is asked about the keys themselves, and nobody has used them."""
    agreed = {key for site in STORES if only is None or f"stores/{site.id}" in only for key in site.keys}
    keys = tuple(replace(site, canary=None) for site in (*clean_keys(), *EXTRA_KEYS) if site.id in agreed)
    return keys if only is None else tuple(replace(site, uses=()) for site in keys)


def in_clouds(only: Collection[str] | None) -> bool:
    """Whether any of these subjects is a store or a model."""
    return only is None or any(one.startswith(("stores/", "inference/")) for one in only)

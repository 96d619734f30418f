"""The customer's keys as a plan: what each is, before any cloud exists. Defects are functions from a site to a site.

Two accounts and two projects of the customer, one of the vendor, and strangers. What is declared as agreed never
changes with a defect: only what the clouds really hold does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from keycheck.lab.aws.seams import Document
from keycheck.lab.defect import Defect

CUSTOMER: Final = "111122223333"
VENDOR: Final = "444455556666"
STRANGER: Final = "999988887777"
INSPECTOR: Final = f"arn:aws:iam::{CUSTOMER}:role/keycheck-inspect"
AUDITOR: Final = f"arn:aws:iam::{CUSTOMER}:user/keycheck-auditor"
LOG_READER: Final = f"arn:aws:iam::{CUSTOMER}:user/keycheck-log"
ADMIN: Final = f"arn:aws:iam::{CUSTOMER}:role/key-admin"
APP: Final = f"arn:aws:iam::{VENDOR}:role/crm-app"
OPERATOR: Final = f"arn:aws:iam::{CUSTOMER}:user/keycheck-operator"
"""Whose long-term key assumes the roles of a drill."""
DRILL: Final = f"arn:aws:iam::{CUSTOMER}:role/key-drill"
CONTROL: Final = f"arn:aws:iam::{CUSTOMER}:role/key-control"
RESTORE: Final = f"arn:aws:iam::{CUSTOMER}:role/key-restore"
DEAD_MAN: Final = f"arn:aws:iam::{CUSTOMER}:role/key-dead-man"
"""Whose schedule in the cloud puts the key back."""
OPENER: Final = f"arn:aws:iam::{CUSTOMER}:role/sample-opener"
"""Who opens samples of exports: may decrypt, and nothing else."""
SUPPORT: Final = f"arn:aws:iam::{VENDOR}:role/crm-support"
"""A principal of the vendor that nobody declared."""

ORGANIZATION: Final = "organizations/700100200300"
FOLDER: Final = "folders/700400500600"
G_ADMIN: Final = "user:key-admin@acme.example"
G_INSPECTOR: Final = "serviceAccount:keycheck@acme-audit.iam.gserviceaccount.com"
G_APP: Final = "serviceAccount:crm-app@vendor-prod.iam.gserviceaccount.com"
G_DRILL: Final = "serviceAccount:key-drill@acme-audit.iam.gserviceaccount.com"
G_CONTROL: Final = "serviceAccount:key-control@acme-audit.iam.gserviceaccount.com"
G_RESTORE: Final = "serviceAccount:key-restore@acme-audit.iam.gserviceaccount.com"
G_OPENER: Final = "serviceAccount:sample-opener@acme-audit.iam.gserviceaccount.com"
G_DEAD_MAN: Final = "serviceAccount:key-dead-man@acme-audit.iam.gserviceaccount.com"
"""As whom a schedule in the cloud puts the canary's key back."""
G_SUPPORT: Final = "serviceAccount:crm-support@vendor-prod.iam.gserviceaccount.com"
OFFICE: Final = "203.0.113.0/24"
"""Where uses are agreed to come from (RFC 5737)."""

USES: Final = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey")
ADMINISTERS: Final = (
    "kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*",
    "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion", "kms:ImportKeyMaterial", "kms:RotateKeyOnDemand", "kms:ReplicateKey",
)  # fmt: skip
READS: Final = (
    "kms:DescribeKey", "kms:ListKeyRotations", "kms:GetKeyRotationStatus", "kms:ListKeyPolicies", "kms:GetKeyPolicy",
    "kms:ListGrants", "kms:ListResourceTags", "kms:GetKeyLastUsage",
)  # fmt: skip
RESTORES: Final = (
    "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:PutKeyPolicy", "kms:EnableKey",
    "kms:ListKeyRotations", "kms:GetParametersForImport", "kms:ImportKeyMaterial", "kms:ListGrants", "kms:CreateGrant",
    "kms:ListResourceTags", "kms:UntagResource",
)  # fmt: skip
"""What puts back whatever a drill takes away."""
DRILLS: Final = (
    *RESTORES, "kms:DisableKey", "kms:RevokeGrant", "kms:DeleteImportedKeyMaterial", "kms:RotateKeyOnDemand",
    "kms:GetKeyRotationStatus", "kms:TagResource",
)  # fmt: skip
"""What a drill takes away, and its own undo. Neither of the two can decrypt."""
REVIVES: Final = ("kms:EnableKey", "kms:ImportKeyMaterial")
"""What the dead-man may, and nothing else."""
SCHEDULES: Final = ("scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule", "iam:PassRole")
"""What whoever restores may do with the dead-man."""
CONTROLS: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
CANARIES: Final = "keycheck-"
"""How ids of canary records, and of workspaces (tenants) of canaries alone, begin. The control principal may use the
key for these and no others."""


@dataclass(frozen=True, slots=True)
class Material:
    """One material of an imported key. The last one is current."""

    age_days: int
    expires_in_days: int | None = None
    missing: bool = False
    """Deleted again, so that it is pending import."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant to be made by the key's administrator."""

    name: str
    grantee: str = APP
    operations: tuple[str, ...] = ("Decrypt", "GenerateDataKey")
    context: Mapping[str, str] = field(default_factory=lambda: {"tenant": "acme"})
    days_ago: int = 90


@dataclass(frozen=True, slots=True)
class Trail:
    """What CloudTrail keeps in the key's Region."""

    logging: bool = True
    excludes_kms: bool = False
    write_only: bool = False
    validation: bool = True
    delivery_error: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Some calls, made by a principal over the wire."""

    principal: str = APP
    tls: str = "TLSv1.3"
    source: str = "203.0.113.10"
    records: int = 2


@dataclass(frozen=True, slots=True)
class AwsSite:
    """One AWS key to be made."""

    id: str
    region: str
    account: str = CUSTOMER
    origin: str = "EXTERNAL"
    spec: str = "SYMMETRIC_DEFAULT"
    aws_managed: bool = False
    materials: tuple[Material, ...] = (Material(400), Material(100))
    replicas: tuple[str, ...] = ()
    statements: tuple[Document, ...] = ()
    shared: tuple[Document, ...] = ()
    """Statements of the second policy, which Resource Access Manager writes."""
    grants: tuple[Grant, ...] = ()
    copied_under: str = ""
    """Id of a key under which the vendor says that it keeps a copy readable."""
    connected: bool = True
    """Of an external key store."""
    pending_deletion: bool = False
    trail: Trail = Trail()
    uses: tuple[Use, ...] = (Use(),)
    held_in: str | None = None
    model: str = "direct-kms"
    """How the vendor says that it uses the key."""
    canary: str | None = None
    """Id of a second key beside it, with the same policy and two materials of the customer's that lie in escrow, which
    seals canaries and nothing else."""


class Attested(StrEnum):
    """What hangs on the versions of a Google key."""

    RIGHT = "right"
    NOT_CHAINED = "not-chained"
    ANOTHER_KEY = "another-key"
    EXPIRED_ROOT = "expired-root"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bound:
    """One IAM binding."""

    role: str
    members: tuple[str, ...]
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class GcpSite:
    """One Cloud KMS key to be made, in a project of its own."""

    id: str
    location: str
    project: str
    purpose: str = "ENCRYPT_DECRYPT"
    algorithm: str = "GOOGLE_SYMMETRIC_ENCRYPTION"
    protection: str = "HSM"
    imported: bool = True
    ages_days: tuple[int, ...] = (400, 100)
    """Of the versions; the last is primary."""
    attested: Attested = Attested.RIGHT
    destroy_days: int = 30
    refused_reasons: tuple[str, ...] = ()
    justified: tuple[str, ...] = ("CUSTOMER_INITIATED_ACCESS", "CUSTOMER_INITIATED_SUPPORT")
    """Reasons that the key's justifications policy allows; empty: no policy."""
    on_key: tuple[Bound, ...] = ()
    on_project: tuple[Bound, ...] = ()
    data_read: bool = True
    exempted: tuple[str, ...] = ()
    uses: tuple[Use, ...] = (Use(G_APP),)
    model: str = "direct-kms"
    """How the vendor says that it uses the key."""
    canary: str | None = None
    """Id of a second key beside it, bound like it, which seals canaries and nothing else."""


KeySite: TypeAlias = AwsSite | GcpSite


class KeyDefect(Defect[KeySite]):
    """A defect of one key."""

    __slots__ = ()
    section = "keys"


def allow(sid: str, principal: str | tuple[str, ...], actions: tuple[str, ...], **conditions: Document) -> Document:
    """One Allow statement of a key policy."""
    statement: dict[str, object] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": principal},
        "Action": list(actions),
        "Resource": "*",
    }
    if conditions:
        statement["Condition"] = conditions
    return statement  # type: ignore[return-value]


HONEST: Final = (
    allow("Administrators", ADMIN, ADMINISTERS),
    allow("Inspection", INSPECTOR, READS),
    allow("Application", APP, USES),
    allow("Drill", DRILL, DRILLS),
    allow("Restore", RESTORE, RESTORES),
    allow("DeadMan", DEAD_MAN, REVIVES),
    allow("Control", CONTROL, CONTROLS, StringLike={"kms:EncryptionContext:record": f"{CANARIES}*"}),
    allow("ControlWorkspace", CONTROL, CONTROLS, StringLike={"kms:EncryptionContext:tenant": f"{CANARIES}*"}),
    allow("ControlDescribes", CONTROL, ("kms:DescribeKey",)),
    allow("Opening", OPENER, ("kms:Decrypt",)),
)
"""The policy of an honest key: administrators who cannot decrypt, drill and restore neither, an application that can do
nothing else, a control principal that can use it for canaries alone, and one that opens samples of exports."""


HONEST_BINDINGS: Final = (
    Bound("roles/cloudkms.cryptoKeyEncrypterDecrypter", (G_APP, G_CONTROL)),
    Bound("roles/cloudkms.cryptoKeyDecrypter", (G_OPENER,)),
    Bound("roles/cloudkms.admin", (G_ADMIN, G_DRILL, G_RESTORE)),
)
"""Bindings of an honest Google key."""
REGIONS: Final = ("eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1", "eu-south-1")


def fleet_keys(number: int) -> tuple[KeySite, ...]:
    """That many plain keys, half of them in each cloud, spread over Regions, each used once; for benchmarks."""
    aws = (
        AwsSite(
            f"fleet-{n:04d}",
            REGIONS[n % len(REGIONS)],
            materials=(Material(100),),
            statements=HONEST,
            grants=(Grant("crm"),),
            uses=(Use(records=1),),
        )
        for n in range(number - number // 2)
    )
    gcp = (
        GcpSite(
            f"fleet-g-{n:04d}",
            "europe-west3",
            "acme-fleet",
            on_key=HONEST_BINDINGS,
            ages_days=(100,),
            uses=(Use(G_APP, records=1),),
        )
        for n in range(number // 2)
    )
    return (*aws, *gcp)


def clean_keys() -> tuple[KeySite, ...]:
    """Every key of the honest customer and vendor."""
    return (
        AwsSite(
            "contacts",
            "eu-central-1",
            statements=HONEST,
            grants=(Grant("crm-export"),),
            canary="keycheck-canary",
        ),
        AwsSite("archive", "eu-west-1", replicas=("eu-west-3",), statements=HONEST),
        AwsSite("hold", "eu-north-1", origin="EXTERNAL_KEY_STORE", materials=(), statements=HONEST, held_in="DE"),
        GcpSite(
            "contacts-g",
            "europe-west3",
            "acme-contacts",
            on_key=HONEST_BINDINGS,
            on_project=(Bound("roles/cloudkms.importer", (G_DRILL,)),),
            canary="crm-keycheck-canary",
        ),
        GcpSite(
            "notes-g",
            "europe-west4",
            "acme-notes",
            on_key=HONEST_BINDINGS,
        ),
    )

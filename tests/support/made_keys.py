"""Hand-made facts of keys: a healthy key in each cloud, and small changes to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import (
    AwsDescription,
    AwsGrant,
    AwsKey,
    AwsLastUsage,
    AwsMaterial,
    AwsPolicy,
    AwsRotationUnsupported,
    Condition,
    NoStore,
    PrincipalPattern,
    Statement,
)
from probes.keys.facts import AwsTrail, EventFacts, GcpAuditLevel, KeyFacts, KeyLogFacts, KeyUse, LoggingFacts
from probes.keys.gcp_facts import (
    Attestation,
    Binding,
    Chain,
    ChainStatus,
    GcpHierarchy,
    GcpKey,
    GcpVersion,
    Justifications,
    PolicyLevel,
)
from probes.keys.subjects import Agreed, KeyModel

LOOKED = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWNER, VENDOR, STRANGER = "111122223333", "444455556666", "999988887777"
KEY_ARN = f"arn:aws:kms:eu-central-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT = f"arn:aws:iam::{OWNER}:root"
ADMIN = f"arn:aws:iam::{OWNER}:role/key-admin"
READER = f"arn:aws:iam::{OWNER}:role/keycheck"
DRILL = f"arn:aws:iam::{OWNER}:role/drill"
APP = f"arn:aws:iam::{VENDOR}:role/crm-app"
OTHER = f"arn:aws:iam::{STRANGER}:role/other"
AGREED = Agreed(
    owner=OWNER,
    vendor=(APP,),
    users=(DRILL,),
    administrators=(ADMIN,),
    readers=(READER,),
    sources=("203.0.113.0/24", "2001:db8::/32"),
)
G_APP = "serviceAccount:crm-app@vendor-prod.iam.gserviceaccount.com"
G_ADMIN = "user:key-admin@acme.example"
G_READER = "serviceAccount:keycheck@acme.iam.gserviceaccount.com"
G_AGREED = Agreed(
    owner="acme-contacts",
    vendor=(G_APP,),
    administrators=(G_ADMIN,),
    readers=(G_READER,),
    sources=("203.0.113.0/24",),
)
DENIED = Unseen(reason=Reason.PERMISSION_DENIED, detail="AccessDeniedException")
LOST = Unseen(reason=Reason.PROBE_CRASHED, detail="")
USES = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey")
MANAGES = (
    "kms:Create*",
    "kms:Put*",
    "kms:Enable*",
    "kms:Disable*",
    "kms:Delete*",
    "kms:ScheduleKeyDeletion",
    "kms:Get*",
)


def ago(days: float) -> datetime:
    return LOOKED - timedelta(days=days)


def principals(*values: str) -> tuple[PrincipalPattern, ...]:
    return tuple(
        PrincipalPattern(
            type="*" if value == "*" else "Service" if value.endswith(".amazonaws.com") else "AWS", value=value
        )
        for value in values
    )


def when(operator: str, key: str, *values: str) -> Condition:
    return Condition(operator=operator, key=key, values=values)


def statement(
    who: str | tuple[str, ...],
    actions: tuple[str, ...],
    *conditions: Condition,
    effect: str = "Allow",
    sid: str | None = None,
    not_principals: tuple[str, ...] = (),
    not_actions: tuple[str, ...] = (),
    resources: tuple[str, ...] = ("*",),
    not_resources: tuple[str, ...] = (),
) -> Statement:
    named = (who,) if isinstance(who, str) else who
    return Statement(
        sid=sid,
        effect="Deny" if effect == "Deny" else "Allow",
        principals=principals(*named),
        not_principals=principals(*not_principals),
        actions=actions,
        not_actions=not_actions,
        resources=resources if not not_resources else (),
        not_resources=not_resources,
        conditions=conditions,
    )


HONEST = (
    statement(ADMIN, MANAGES, sid="Administrators"),
    statement(READER, ("kms:DescribeKey", "kms:List*", "kms:GetKeyPolicy"), sid="Inspection"),
    statement(APP, USES, sid="Application"),
    statement(DRILL, ("kms:Decrypt", "kms:DescribeKey"), sid="Drill"),
)


def policies(*statements: Statement, ram: tuple[Statement, ...] | None = None) -> tuple[AwsPolicy, ...]:
    default = AwsPolicy(name="default", sha256=None, statements=(*HONEST, *statements))
    return (default,) if ram is None else (default, AwsPolicy(name="AWS_RAM", sha256=None, statements=ram))


def only(*statements: Statement) -> tuple[AwsPolicy, ...]:
    return (AwsPolicy(name="default", sha256=None, statements=statements),)


def material(state: str = "CURRENT", **changes: object) -> AwsMaterial:
    fields: dict[str, object] = {
        "id": f"{state.lower():x<64}",
        "state": state,
        "import_state": "IMPORTED",
        "rotated": ago(100) if state == "CURRENT" else None,
        "rotation_type": "ON_DEMAND" if state == "CURRENT" else None,
        "expiration_model": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        "valid_to": None,
    }
    return AwsMaterial.model_validate({**fields, **changes})


def description(**changes: object) -> AwsDescription:
    fields: dict[str, object] = {
        "manager": "CUSTOMER",
        "state": "Enabled",
        "origin": "EXTERNAL",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT",
        "created": ago(500),
        "deletion_date": None,
        "pending_window_days": None,
        "expiration_model": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        "valid_to": None,
        "current_material": f"{'current':x<64}",
        "multi_region": None,
        "store_id": None,
        "xks_key_id": None,
    }
    return AwsDescription.model_validate({**fields, **changes})


def grant(**changes: object) -> AwsGrant:
    fields: dict[str, object] = {
        "id": "a" * 64,
        "name": "crm",
        "grantee": APP,
        "retiring": None,
        "issuer": ROOT,
        "operations": ("Decrypt", "GenerateDataKey"),
        "created": ago(50),
        "context_equals": (("tenant", "acme"),),
        "context_subset": (),
        "other_constraints": (),
    }
    return AwsGrant.model_validate({**fields, **changes})


def aws_key(about: AwsDescription | None = None, **changes: object) -> AwsKey:
    """The healthy imported key: two materials, none rotated automatically. CIS-based tools fail it."""
    key = AwsKey(
        arn=KEY_ARN,
        partition="aws",
        account=OWNER,
        region="eu-central-1",
        endpoint="https://kms.eu-central-1.amazonaws.com",
        caller=READER,
        description=about or description(),
        materials=(material("NON_CURRENT"), material("CURRENT")),
        rotation=AwsRotationUnsupported(),
        policies=policies(),
        grants=(grant(),),
        aliases=(),
        tags=(),
        last_usage=AwsLastUsage(operation=None, at=None, event_id=None, tracking_since=None),
        store=NoStore(),
    )
    return key.model_copy(update=changes)


def chain(status: ChainStatus = ChainStatus.VERIFIED) -> Chain:
    return Chain(status=status, root="CN=root", root_sha256=None, root_until=ago(-100), detail="")


def attestation(**changes: object) -> Attestation:
    fields: dict[str, object] = {
        "format": "CAVIUM_V2_COMPRESSED",
        "sha256": "0" * 64,
        "maker": chain(),
        "cloud": chain(),
        "statement": "signed",
        "names": "this-version",
        "extractable": "no",
        "detail": "",
    }
    return Attestation.model_validate({**fields, **changes})


def version(id: str = "2", **changes: object) -> GcpVersion:
    fields: dict[str, object] = {
        "id": id,
        "state": "ENABLED",
        "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
        "protection": "HSM",
        "created": ago(100),
        "generated": None,
        "imported": ago(100),
        "import_job": "projects/p/locations/l/keyRings/r/importJobs/j",
        "import_failure": None,
        "destroy_time": None,
        "external_uri": None,
        "attestation": attestation(),
    }
    return GcpVersion.model_validate({**fields, **changes})


def binding(role: str, *members: str, condition: str | None = None) -> Binding:
    return Binding(role=f"roles/{role}" if "/" not in role else role, members=members, condition=condition)


ON_KEY = (binding("cloudkms.cryptoKeyEncrypterDecrypter", G_APP), binding("cloudkms.admin", G_ADMIN))


def hierarchy(
    *on_key: Binding, project: tuple[Binding, ...] | Unseen = (), complete: bool = True, honest: bool = True
) -> GcpHierarchy:
    return GcpHierarchy(
        levels=(
            PolicyLevel(resource="cryptoKey", bindings=(*(ON_KEY if honest else ()), *on_key)),
            PolicyLevel(resource="keyRing", bindings=()),
            PolicyLevel(resource="projects/acme-contacts", bindings=project),
            PolicyLevel(resource="organizations/1", bindings=(binding("iam.securityReviewer", G_READER),)),
        ),
        complete=complete,
        why_not="" if complete else "folders/7: PERMISSION_DENIED",
    )


def gcp_key(*versions: GcpVersion, **changes: object) -> GcpKey:
    key = GcpKey(
        name="projects/acme-contacts/locations/europe-west3/keyRings/r/cryptoKeys/k",
        project="acme-contacts",
        location="europe-west3",
        universe="googleapis.com",
        endpoint="cloudkms.googleapis.com",
        project_number=None,
        caller=G_READER,
        purpose="ENCRYPT_DECRYPT",
        created=ago(500),
        primary="2",
        rotation_period_s=None,
        next_rotation=None,
        destroy_scheduled_s=30 * 86400,
        import_only=True,
        backend=None,
        versions=versions or (version("1", imported=ago(400)), version("2")),
        hierarchy=hierarchy(),
        justifications=Justifications(allowed=("CUSTOMER_INITIATED_ACCESS", "CUSTOMER_INITIATED_SUPPORT")),
    )
    return key.model_copy(update=changes)


def facts(key: AwsKey | GcpKey, agreed: Agreed | None = None, **declared: object) -> KeyFacts:
    base = agreed or (AGREED if isinstance(key, AwsKey) else G_AGREED)
    return KeyFacts(
        agreed=base.model_copy(update=declared),
        model=KeyModel.DIRECT_KMS,
        named="",
        looked=LOOKED,
        asked=tuple(sorted(Aspect)),
        key=key,
    )


def trail(**changes: object) -> AwsTrail:
    fields: dict[str, object] = {
        "name": "org-trail",
        "arn": "",
        "logging": True,
        "multi_region": True,
        "validation": True,
        "management": "all",
        "excludes_kms": False,
        "delivery_error": None,
    }
    return AwsTrail.model_validate({**fields, **changes})


def audit(
    resource: str = "projects/acme-contacts", data_read: bool = True, exempted: tuple[str, ...] = ()
) -> GcpAuditLevel:
    return GcpAuditLevel(resource=resource, data_read=data_read, exempted=exempted)


def logging(*levels: AwsTrail | GcpAuditLevel, complete: bool = True) -> LoggingFacts:
    return LoggingFacts(
        trails=tuple(level for level in levels if isinstance(level, AwsTrail)),
        audit=tuple(level for level in levels if isinstance(level, GcpAuditLevel)),
        complete=complete,
        why_not="" if complete else "AccessDenied",
    )


def use(**changes: object) -> KeyUse:
    fields: dict[str, object] = {
        "operation": "Decrypt",
        "principal": f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/pod-1",
        "account": VENDOR,
        "source": "203.0.113.10",
        "via": None,
        "tls_version": "TLSv1.3",
        "key_exchange": "X25519MLKEM768",
        "error": None,
        "justification": None,
        "context_keys": ("tenant",),
        "count": 7,
        "first": ago(5),
        "last": ago(1),
    }
    return KeyUse.model_validate({**fields, **changes})


def events(*uses: KeyUse, complete: bool = True, since: datetime | None = None) -> EventFacts:
    return EventFacts(
        since=since or ago(30),
        until=LOOKED,
        complete=complete,
        why_not="" if complete else "200 pages were not enough",
        entries=sum(u.count for u in uses),
        uses=uses,
    )


def log(
    logged: LoggingFacts | Unseen | None = None,
    seen: EventFacts | Unseen | None = None,
    provider: str = "aws",
    agreed: Agreed | None = None,
) -> KeyLogFacts:
    aws = provider == "aws"
    return KeyLogFacts(
        agreed=agreed or (AGREED if aws else G_AGREED),
        provider="aws" if aws else "gcp",
        place="eu-central-1" if aws else "europe-west3",
        endpoint="https://cloudtrail.eu-central-1.amazonaws.com" if aws else "logging.googleapis.com",
        looked=LOOKED,
        asked=(Aspect.EVENTS, Aspect.LOGGING),
        logging=logged if logged is not None else logging(trail() if aws else audit()),
        events=seen if seen is not None else events(use()),
    )

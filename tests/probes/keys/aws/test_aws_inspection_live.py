"""Keys of the lab's AWS, inspected by the real SDK over real sockets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from keycheck.errors import ProbeError
from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.faults import Damage, Endless
from keycheck.lab.aws.identity import Credentials
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.aws.seams import Caller, Document
from keycheck.model.deployment import AwsIdentity, Identity
from keycheck.model.facts import Unseen
from keycheck.model.observation import Disposition
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.keys import aws
from probes.keys.aspects import AWS_ACTIONS, Aspect
from probes.keys.aws_facts import AwsKey, AwsRotation, AwsRotationUnsupported, AwsStore, NoStore
from probes.keys.facts import EventFacts, LoggingFacts
from probes.keys.subjects import Key

CUSTOMER, VENDOR = "111122223333", "444455556666"
REGION = "eu-central-1"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = (NOON - timedelta(days=90), NOON)
EVERYTHING = frozenset(Aspect)
APP = f"arn:aws:iam::{VENDOR}:role/app"
INSPECTOR = f"arn:aws:iam::{CUSTOMER}:user/inspector"
DELEGATES: Document = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "Vendor",
            "Effect": "Allow",
            "Principal": {"AWS": APP},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
    ],
}


def allow(*actions: str) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


ALL_ACTIONS = sorted({action for actions in AWS_ACTIONS.values() for action in actions})


@dataclass
class Lab:
    cloud: AwsCloud
    configure: Callable[..., None]
    make_io: Callable[..., Io]
    inspector: Credentials
    now: datetime = NOON

    def sign_in(self, credentials: Credentials) -> None:
        self.configure(
            self.cloud.url,
            default=(credentials.access_key_id, credentials.secret, credentials.session_token),
        )

    def io(self, *identities: Identity, budget: float = 20.0) -> Io:
        return self.make_io(*identities, budget=budget)

    def vendor(self) -> Caller:
        return Caller(
            VENDOR,
            f"arn:aws:sts::{VENDOR}:assumed-role/app/i-1",
            APP,
            "ASIAAPPAPPAPPAPPAPPA",
            (allow("kms:Decrypt", "kms:GenerateDataKey"),),
        )

    def owner(self) -> Caller:
        root = f"arn:aws:iam::{CUSTOMER}:root"
        return Caller(CUSTOMER, root, root, "AKIAROOTROOTROOTROOT", (allow("*"),))


@pytest.fixture
def lab(configure: Callable[..., None], make_io: Callable[..., Io]) -> Iterator[Lab]:
    with AwsCloud(clock=lambda: lab.now) as cloud:
        inspector = cloud.directory.add_user(INSPECTOR, policies=[allow(*ALL_ACTIONS)])
        lab = Lab(cloud, configure, make_io, inspector)
        lab.sign_in(inspector)
        yield lab


@pytest.fixture
def imported(lab: Lab) -> LabKey:
    """A healthy imported key: two materials, a grant, an alias, tags."""
    key = lab.cloud.kms.create(
        CUSTOMER,
        REGION,
        origin=Origin.EXTERNAL,
        policy=DELEGATES,
        alias="alias/app",
        tags={"owner": "acme", "team": "größe"},
        material=b"1" * 32,
        created=NOON - timedelta(days=700),
    )
    lab.cloud.kms.import_material(key, b"2" * 32, new=True, at=NOON - timedelta(days=30))
    lab.cloud.kms.rotate(key, at=NOON - timedelta(days=20))
    lab.cloud.kms.call(
        lab.owner(),
        REGION,
        "CreateGrant",
        KeyId=key.arn,
        GranteePrincipal=APP,
        Operations=["Decrypt"],
        Name="app",
        Constraints={"EncryptionContextSubset": {"tenant": "acme"}},
    )
    return key


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's pauses between its attempts take seconds that no test needs."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)


def subject(resource: str, **more: object) -> Key:
    return Key.model_validate({"id": "k", "provider": "aws", "resource": resource, "model": "direct-kms", **more})


def look(lab: Lab, key: LabKey, asked: frozenset[Aspect] = EVERYTHING) -> AwsKey:
    facts, _ = aws.key(subject(key.arn), key.region, asked, lab.io())
    return facts


def test_an_imported_key_is_read_whole(lab: Lab, imported: LabKey) -> None:
    facts = look(lab, imported)
    assert (facts.arn, facts.account, facts.region, facts.partition) == (imported.arn, CUSTOMER, REGION, "aws")
    assert facts.caller == INSPECTOR
    assert facts.description.origin == "EXTERNAL"
    assert facts.description.manager == "CUSTOMER"
    assert facts.description.state == "Enabled"
    assert facts.description.created == NOON - timedelta(days=700)
    assert facts.rotation == AwsRotation(automatic=False, period_days=None, next=None)
    assert not isinstance(facts.materials, Unseen)
    assert sorted(material.state or "" for material in facts.materials) == ["CURRENT", "NON_CURRENT"]
    (current,) = (material for material in facts.materials if material.state == "CURRENT")
    assert current.id == facts.description.current_material
    assert current.rotated == NOON - timedelta(days=20)
    assert current.import_state == "IMPORTED"
    assert not isinstance(facts.policies, Unseen)
    assert [policy.name for policy in facts.policies] == ["default"]
    statements = facts.policies[0].statements
    assert not isinstance(statements, Unseen)
    assert [statement.sid for statement in statements] == ["Account", "Vendor"]
    assert not isinstance(facts.grants, Unseen)
    (grant,) = facts.grants
    assert (grant.grantee, grant.name, grant.operations) == (APP, "app", ("Decrypt",))
    assert (grant.context_equals, grant.context_subset) == ((), (("tenant", "acme"),))
    assert facts.aliases == ("alias/app",)
    assert facts.tags == (("owner", "acme"), ("team", "größe"))
    assert not isinstance(facts.last_usage, Unseen)
    assert facts.last_usage.operation is None
    assert facts.store == NoStore()


def test_the_raw_policy_is_kept_beside_its_digest(lab: Lab, imported: LabKey) -> None:
    lab.cloud.kms.set_policy(imported, DELEGATES, name="AWS_RAM")
    facts, blobs = aws.key(subject(imported.arn), REGION, EVERYTHING, lab.io())
    assert not isinstance(facts.policies, Unseen)
    texts = {blob.name: blob.content for blob in blobs}
    assert [policy.name for policy in facts.policies] == ["default", "AWS_RAM"]
    for policy, name in zip(facts.policies, ("policy-default", "policy-aws-ram"), strict=True):
        assert policy.sha256 == hashlib.sha256(texts[name]).hexdigest()
    assert json.loads(texts["answers"])["dropped"] == 0


def test_an_alias_is_resolved(lab: Lab, imported: LabKey) -> None:
    io, asked = lab.io(), subject(f"arn:aws:kms:{REGION}:{CUSTOMER}:alias/app")
    assert aws.survey(asked, io).parts == (REGION,)
    facts, _ = aws.key(asked, REGION, EVERYTHING, io)
    assert facts.arn == imported.arn


def test_a_key_of_aws_own_material_tells_its_rotation(lab: Lab) -> None:
    key = lab.cloud.kms.create(CUSTOMER, REGION, policy=DELEGATES)
    lab.cloud.kms.call(lab.owner(), REGION, "EnableKeyRotation", KeyId=key.arn, RotationPeriodInDays=180)
    facts = look(lab, key)
    assert isinstance(facts.rotation, AwsRotation)
    assert (facts.rotation.automatic, facts.rotation.period_days) == (True, 180)


def test_a_key_whose_material_never_rotates_says_so(lab: Lab) -> None:
    facts = look(lab, lab.cloud.kms.create(CUSTOMER, REGION, policy=DELEGATES, spec="RSA_2048"))
    assert isinstance(facts.rotation, AwsRotationUnsupported)
    assert facts.description.spec == "RSA_2048"


def test_replicas_are_read_in_their_own_regions(lab: Lab) -> None:
    key = lab.cloud.kms.create(CUSTOMER, REGION, policy=DELEGATES, multi_region=True)
    lab.cloud.kms.call(
        lab.owner(), REGION, "ReplicateKey", KeyId=key.arn, ReplicaRegion="us-east-1", Policy=json.dumps(DELEGATES)
    )
    io, asked = lab.io(), subject(key.arn)
    assert aws.survey(asked, io).parts == (REGION, "us-east-1")
    replica, _ = aws.key(asked, "us-east-1", EVERYTHING, io)
    assert replica.region == "us-east-1"
    assert replica.description.multi_region is not None
    assert (replica.description.multi_region.kind, replica.description.multi_region.primary) == ("REPLICA", key.arn)


def test_the_custom_key_store_is_read(lab: Lab) -> None:
    store = lab.cloud.kms.store(CUSTOMER, REGION, "own", external=True, connected=False)
    key = lab.cloud.kms.create(
        CUSTOMER, REGION, origin=Origin.EXTERNAL_KEY_STORE, policy=DELEGATES, store=store, xks_key="x-1"
    )
    facts = look(lab, key)
    assert isinstance(facts.store, AwsStore)
    assert (facts.store.id, facts.store.connection) == (store.id, "DISCONNECTED")
    assert facts.store.xks_endpoint == "https://xks.example.com/lab/kms/xks/v1"
    assert facts.description.xks_key_id == "x-1"


def test_only_what_is_asked_is_asked(lab: Lab, imported: LabKey) -> None:
    facts = look(lab, imported, frozenset({Aspect.DESCRIPTION, Aspect.GRANTS}))
    assert set(lab.cloud.faults.calls) == {"DescribeKey", "ListGrants"}
    assert isinstance(facts.policies, Unseen)
    assert facts.policies.reason is Reason.NOT_RECORDED


def test_every_call_is_one_that_permissions_names_and_none_is_named_in_vain(lab: Lab, imported: LabKey) -> None:
    store = lab.cloud.kms.store(CUSTOMER, REGION, "own", external=False)
    stored = lab.cloud.kms.create(CUSTOMER, REGION, origin=Origin.AWS_CLOUDHSM, policy=DELEGATES, store=store)
    lab.cloud.trails.add(CUSTOMER, REGION, "audit")
    for key in (imported, stored):
        look(lab, key)
    aws.log(subject(imported.arn), REGION, EVERYTHING, WINDOW, lab.io())
    used = {action.rpartition(":")[2] for action in ALL_ACTIONS}
    assert set(lab.cloud.faults.calls) - {"GetCallerIdentity"} == used
    assert {action for who, action in lab.cloud.ledger.asked() if who == INSPECTOR} == set(ALL_ACTIONS)


FIELDS = {
    "kms:ListKeyRotations": "materials",
    "kms:GetKeyRotationStatus": "rotation",
    "kms:ListGrants": "grants",
    "kms:ListAliases": "aliases",
    "kms:ListResourceTags": "tags",
    "kms:GetKeyLastUsage": "last_usage",
}


@pytest.mark.parametrize("action", sorted(FIELDS))
def test_a_denied_call_is_never_an_empty_fact(lab: Lab, imported: LabKey, action: str) -> None:
    lab.sign_in(
        lab.cloud.directory.add_user(
            f"arn:aws:iam::{CUSTOMER}:user/less", policies=[allow(*(set(ALL_ACTIONS) - {action}))]
        )
    )
    facts = look(lab, imported)
    seen = getattr(facts, FIELDS[action])
    assert isinstance(seen, Unseen)
    assert seen.reason is Reason.PERMISSION_DENIED
    assert "keycheck permissions" in seen.detail
    others = [getattr(facts, name) for name in {*FIELDS.values(), "policies"} - {FIELDS[action]}]
    assert not any(isinstance(other, Unseen) for other in others)


@pytest.mark.parametrize("action", ["kms:GetKeyPolicy", "kms:ListKeyPolicies"])
def test_a_denied_policy_is_unseen(lab: Lab, imported: LabKey, action: str) -> None:
    lab.sign_in(
        lab.cloud.directory.add_user(
            f"arn:aws:iam::{CUSTOMER}:user/less", policies=[allow(*(set(ALL_ACTIONS) - {action}))]
        )
    )
    facts = look(lab, imported)
    assert not isinstance(facts.policies, Unseen)
    denied = [policy.statements for policy in facts.policies if isinstance(policy.statements, Unseen)]
    assert denied
    assert {statements.reason for statements in denied} == {Reason.PERMISSION_DENIED}


@pytest.mark.parametrize("fault", [Damage.GARBAGE, Damage.TRUNCATED, Damage.OVERSIZED, Damage.RESET])
@pytest.mark.parametrize("operation", ["DescribeKey", "ListGrants", "GetKeyPolicy"])
def test_a_spoilt_answer_is_never_a_fact(lab: Lab, imported: LabKey, operation: str, fault: Damage) -> None:
    lab.cloud.faults.damage(operation, fault)
    if operation == "DescribeKey":
        (gap,) = aws.survey(subject(imported.arn), lab.io()).open
    else:
        facts = look(lab, imported, frozenset({Aspect.POLICIES, Aspect.GRANTS}))
        if operation == "ListGrants":
            assert isinstance(facts.grants, Unseen)
            gap = facts.grants
        else:
            assert not isinstance(facts.policies, Unseen)
            assert isinstance(facts.policies[0].statements, Unseen)
            gap = facts.policies[0].statements
    assert gap.reason in (Reason.MALFORMED, Reason.UNREACHABLE)


@pytest.mark.parametrize(
    ("how", "reason"), [(Endless.REPEATING, Reason.MALFORMED), (Endless.FRESH, Reason.NOT_COVERED)]
)
def test_grants_without_end(lab: Lab, imported: LabKey, how: Endless, reason: Reason) -> None:
    lab.cloud.faults.never_end("ListGrants", how)
    facts = look(lab, imported, frozenset({Aspect.GRANTS}))
    assert isinstance(facts.grants, Unseen)
    assert facts.grants.reason is reason


def test_many_grants_are_paged_through_duplicates_and_all(lab: Lab, imported: LabKey) -> None:
    for number in range(120):
        lab.cloud.kms.call(
            lab.owner(),
            REGION,
            "CreateGrant",
            KeyId=imported.arn,
            GranteePrincipal=APP,
            Operations=["Decrypt"],
            Name=f"n{number % 60}-{number}",
        )
    facts = look(lab, imported, frozenset({Aspect.GRANTS}))
    assert not isinstance(facts.grants, Unseen)
    assert len(facts.grants) == 121
    assert lab.cloud.faults.calls["ListGrants"] == 2


def test_a_throttled_call_is_tried_again(lab: Lab, imported: LabKey) -> None:
    lab.cloud.faults.throttle("ListGrants", times=1)
    assert not isinstance(look(lab, imported, frozenset({Aspect.GRANTS})).grants, Unseen)
    lab.cloud.faults.throttle("ListGrants")
    grants = look(lab, imported, frozenset({Aspect.GRANTS})).grants
    assert isinstance(grants, Unseen)
    assert grants.reason is Reason.THROTTLED


def test_a_clock_that_is_off_is_said(lab: Lab, imported: LabKey) -> None:
    lab.cloud.faults.skew = timedelta(hours=1)
    (gap,) = aws.survey(subject(imported.arn), lab.io()).open
    assert gap.reason is Reason.CLOCK_UNTRUSTED


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (f"arn:aws:kms:{REGION}:{CUSTOMER}:key/00000000-0000-0000-0000-000000000000", Reason.UNREACHABLE),
        (f"arn:aws:kms:{REGION}:{CUSTOMER}:alias/nothing", Reason.UNREACHABLE),
        ("arn:aws:kms:eu-west-1:{account}:key/{id}", Reason.UNREACHABLE),
        (f"arn:aws:kms:{REGION}:999999999999:key/{{id}}", None),
    ],
)
def test_a_wrong_arn_leaves_the_census_open(lab: Lab, imported: LabKey, resource: str, reason: Reason | None) -> None:
    census = aws.survey(subject(resource.format(account=CUSTOMER, id=imported.id)), lab.io())
    (gap,) = census.open
    assert gap.reason in ((reason,) if reason else (Reason.UNREACHABLE, Reason.PERMISSION_DENIED))


def test_an_alias_that_moves_to_another_account_is_never_followed(lab: Lab, imported: LabKey) -> None:
    with pytest.raises(ProbeError):
        aws.key(subject(f"arn:aws:kms:{REGION}:{CUSTOMER}:alias/nothing"), REGION, EVERYTHING, lab.io())


def test_expired_and_unknown_credentials(lab: Lab, imported: LabKey) -> None:
    lab.sign_in(Credentials("AKIAUNKNOWNUNKNOWN00", "x" * 40))
    (gap,) = aws.survey(subject(imported.arn), lab.io()).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "does not know" in gap.detail


def test_the_named_identity_inspects_in_its_role(lab: Lab, imported: LabKey, monkeypatch: pytest.MonkeyPatch) -> None:
    role = f"arn:aws:iam::{CUSTOMER}:role/audit"
    lab.cloud.directory.add_role(role, trusts=[INSPECTOR], external_id="between-us", policies=[allow(*ALL_ACTIONS)])
    monkeypatch.setenv("EXTERNAL_ID", "between-us")
    identity = AwsIdentity(id="auditor", provider="aws", role_arn=role, external_id="env:EXTERNAL_ID")
    asked = subject(imported.arn, identities={"inspect": "auditor"})
    lab.now = datetime.now(UTC) - timedelta(hours=3)
    (gap,) = aws.survey(asked, lab.io(identity)).open
    assert gap.reason is Reason.CLOCK_UNTRUSTED
    lab.now = datetime.now(UTC)
    facts, _ = aws.key(asked, REGION, EVERYTHING, lab.io(identity))
    assert facts.caller == f"arn:aws:sts::{CUSTOMER}:assumed-role/audit/keycheck"
    wrong = identity.model_copy(update={"external_id": None})
    (gap,) = aws.survey(asked, lab.io(wrong)).open
    assert gap.reason is Reason.PERMISSION_DENIED
    assert "sts:AssumeRole" in gap.detail


def uses(lab: Lab, key: LabKey) -> None:
    """The vendor's application uses the key, and is refused once for the wrong context."""
    sealed = lab.cloud.kms.call(
        lab.vendor(), REGION, "GenerateDataKey", KeyId=key.arn, KeySpec="AES_256", EncryptionContext={"tenant": "acme"}
    )
    for _ in range(3):
        lab.cloud.kms.call(
            lab.vendor(),
            REGION,
            "Decrypt",
            CiphertextBlob=sealed["CiphertextBlob"],
            EncryptionContext={"tenant": "acme"},
        )


def log(
    lab: Lab, key: LabKey, io: Io | None = None, **more: object
) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen]:
    logging, events, _, _ = aws.log(subject(key.arn, **more), REGION, EVERYTHING, WINDOW, io or lab.io())
    return logging, events


def test_the_log_tells_who_used_the_key(lab: Lab, imported: LabKey) -> None:
    lab.cloud.trails.foreign_identity = "full"
    uses(lab, imported)
    _, events, _, blobs = aws.log(subject(imported.arn), REGION, EVERYTHING, WINDOW, lab.io())
    assert isinstance(events, EventFacts)
    assert (events.complete, events.why_not) == (True, "")
    (decrypts,) = (use for use in events.uses if use.operation == "Decrypt")
    assert (decrypts.count, decrypts.principal, decrypts.context_keys) == (3, APP, ("tenant",))
    assert (decrypts.tls_version, decrypts.source) == ("TLSv1.3", "203.0.113.10")
    bodies = next(blob for blob in blobs if blob.name == "events")
    assert bodies.disposition is Disposition.DIGEST_ONLY
    assert bodies.content.count(b'"Decrypt"') >= 3
    answers = next(blob for blob in blobs if blob.name == "answers")
    assert b"acme" not in answers.content


def test_a_caller_of_another_account_may_appear_as_its_account_alone(lab: Lab, imported: LabKey) -> None:
    lab.cloud.trails.foreign_identity = "account"
    uses(lab, imported)
    _, events = log(lab, imported)
    assert isinstance(events, EventFacts)
    assert {use.principal for use in events.uses if use.operation == "Decrypt"} == {VENDOR}


def test_the_log_of_another_account_is_no_log_of_the_key(lab: Lab, imported: LabKey) -> None:
    lab.sign_in(lab.cloud.directory.add_user(f"arn:aws:iam::{VENDOR}:user/x", policies=[allow("cloudtrail:*")]))
    for seen in log(lab, imported):
        assert isinstance(seen, Unseen)
        assert seen.reason is Reason.NOT_COVERED
        assert CUSTOMER in seen.detail


@pytest.mark.parametrize(
    ("selectors", "management", "excludes"),
    [
        ({}, "all", False),
        ({"event_selectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]}, "write", False),
        ({"event_selectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]}, "read", False),
        ({"event_selectors": [{"ReadWriteType": "All", "IncludeManagementEvents": False}]}, "none", False),
        (
            {
                "event_selectors": [
                    {
                        "ReadWriteType": "All",
                        "IncludeManagementEvents": True,
                        "ExcludeManagementEventSources": ["kms.amazonaws.com"],
                    }
                ]
            },
            "all",
            True,
        ),
        (
            {"advanced_event_selectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]},
            "all",
            False,
        ),
        (
            {
                "advanced_event_selectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Management"]},
                            {"Field": "readOnly", "Equals": ["false"]},
                        ]
                    }
                ]
            },
            "write",
            False,
        ),
        (
            {
                "advanced_event_selectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Management"]},
                            {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]},
                        ]
                    }
                ]
            },
            "all",
            True,
        ),
        (
            {
                "advanced_event_selectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Management"]},
                            {"Field": "eventName", "NotEquals": ["Decrypt"]},
                        ]
                    }
                ]
            },
            "unknown",
            False,
        ),
        (
            {"advanced_event_selectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]},
            "none",
            False,
        ),
    ],
)
def test_what_a_trail_keeps(
    lab: Lab, imported: LabKey, selectors: dict[str, list[Document]], management: str, excludes: bool
) -> None:
    lab.cloud.trails.add(CUSTOMER, "eu-west-1", "audit", **selectors)
    logging, _ = log(lab, imported)
    assert isinstance(logging, LoggingFacts)
    (trail,) = logging.trails
    assert (trail.management, trail.excludes_kms) == (management, excludes)
    assert (trail.logging, trail.multi_region, trail.validation, logging.complete) == (True, True, True, True)


def test_a_trail_that_cannot_deliver_says_why(lab: Lab, imported: LabKey) -> None:
    lab.cloud.trails.add(CUSTOMER, REGION, "well")
    lab.cloud.trails.add(CUSTOMER, REGION, "lost", delivery_error="NoSuchBucket")
    logging, _ = log(lab, imported)
    assert isinstance(logging, LoggingFacts)
    told = {trail.name: (trail.logging, trail.delivery_error) for trail in logging.trails}
    assert told == {"well": (True, None), "lost": (True, "NoSuchBucket")}


def test_trails_that_do_not_cover_the_region_are_left_out(lab: Lab, imported: LabKey) -> None:
    lab.cloud.trails.add(CUSTOMER, "eu-west-1", "elsewhere", multi_region=False)
    lab.cloud.trails.add(CUSTOMER, REGION, "stopped", multi_region=False, logging=False)
    logging, _ = log(lab, imported)
    assert isinstance(logging, LoggingFacts)
    assert [(trail.name, trail.logging) for trail in logging.trails] == [("stopped", False)]


@pytest.mark.parametrize("action", ["DescribeTrails", "GetTrailStatus", "GetEventSelectors", "LookupEvents"])
def test_a_denied_look_at_the_log_is_never_silent(lab: Lab, imported: LabKey, action: str) -> None:
    lab.cloud.trails.add(CUSTOMER, REGION, "audit")
    denied = allow(*(set(ALL_ACTIONS) - {f"cloudtrail:{action}"}))
    lab.sign_in(lab.cloud.directory.add_user(f"arn:aws:iam::{CUSTOMER}:user/less", policies=[denied]))
    logging, events = log(lab, imported)
    if action == "LookupEvents":
        assert isinstance(events, Unseen)
        assert events.reason is Reason.PERMISSION_DENIED
        return
    if action == "DescribeTrails":
        assert isinstance(logging, Unseen)
        assert logging.reason is Reason.PERMISSION_DENIED
        return
    assert isinstance(logging, LoggingFacts)
    assert not logging.complete
    assert action in logging.why_not
    assert [trail.management for trail in logging.trails] == (["unknown"] if action == "GetEventSelectors" else [])


def test_trails_are_asked_for_once_for_all_keys_of_a_region(lab: Lab, imported: LabKey) -> None:
    lab.cloud.trails.add(CUSTOMER, REGION, "audit")
    io = lab.io()
    for key in (imported, lab.cloud.kms.create(CUSTOMER, REGION, policy=DELEGATES)):
        log(lab, key, io)
    assert lab.cloud.faults.calls["DescribeTrails"] == 1
    assert lab.cloud.faults.calls["LookupEvents"] == 2
    assert lab.cloud.faults.calls["GetCallerIdentity"] == 1


def test_many_pages_of_events_are_read(lab: Lab, imported: LabKey) -> None:
    for _ in range(40):
        uses(lab, imported)
    _, events = log(lab, imported)
    assert isinstance(events, EventFacts)
    assert events.complete
    assert sum(use.count for use in events.uses if use.operation == "Decrypt") == 120
    assert lab.cloud.faults.calls["LookupEvents"] >= 4


def test_a_log_that_fails_on_a_later_page_is_incomplete(lab: Lab, imported: LabKey) -> None:
    for _ in range(40):
        uses(lab, imported)
    lab.cloud.faults.throttle("LookupEvents", after=1)
    _, events = log(lab, imported)
    assert isinstance(events, EventFacts)
    assert not events.complete
    assert "throttled" in events.why_not
    assert events.entries > 0


def test_the_log_of_a_key_that_may_not_be_described_is_still_read(lab: Lab, imported: LabKey) -> None:
    lab.sign_in(lab.cloud.directory.add_user(f"arn:aws:iam::{CUSTOMER}:user/less", policies=[allow("cloudtrail:*")]))
    _, events = log(lab, imported)
    assert isinstance(events, EventFacts)


def test_a_shadow_of_time_stops_the_work_by_itself(lab: Lab, imported: LabKey) -> None:
    lab.cloud.faults.delay(None, 0.3)
    facts, _ = aws.key(subject(imported.arn), REGION, EVERYTHING, lab.io(budget=1.0))
    late = [value for value in (facts.tags, facts.last_usage) if isinstance(value, Unseen)]
    assert {value.reason for value in late} == {Reason.TIMEOUT}


def test_threads_share_clients(lab: Lab) -> None:
    keys = [lab.cloud.kms.create(CUSTOMER, REGION, policy=DELEGATES) for _ in range(24)]
    io = lab.io()
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda key: aws.key(subject(key.arn), REGION, EVERYTHING, io)[0], keys))
    assert [facts.arn for facts in found] == [key.arn for key in keys]
    assert not any(isinstance(facts.grants, Unseen) for facts in found)
    assert lab.cloud.faults.calls["GetCallerIdentity"] == 1


def test_no_credential_is_written_anywhere(lab: Lab, imported: LabKey, caplog: pytest.LogCaptureFixture) -> None:
    store = lab.cloud.kms.store(CUSTOMER, REGION, "own", external=True)
    key = lab.cloud.kms.create(
        CUSTOMER, REGION, origin=Origin.EXTERNAL_KEY_STORE, policy=DELEGATES, store=store, xks_key="x-1"
    )
    uses(lab, imported)
    lab.cloud.trails.add(CUSTOMER, REGION, "audit")
    io, written = lab.io(), ""
    for one in (imported, key):
        facts, blobs = aws.key(subject(one.arn), REGION, EVERYTHING, io)
        logging, events, _, more = aws.log(subject(one.arn), REGION, EVERYTHING, WINDOW, io)
        written += facts.model_dump_json() + logging.model_dump_json() + events.model_dump_json()
        public = [blob for blob in (*blobs, *more) if blob.disposition is Disposition.PUBLIC]
        written += "".join(blob.content.decode() for blob in public)
    written += caplog.text + repr(io)
    for secret in (lab.inspector.secret, lab.inspector.access_key_id, str(store.access_key), "ASIAAPPAPPAPPAPPAPPA"):
        assert secret not in written

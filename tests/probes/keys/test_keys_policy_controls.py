"""Who may do what: statements, grants and bindings that are right, wrong and doubtful."""

from __future__ import annotations

import time

import pytest
from made_keys import (
    ADMIN,
    AGREED,
    APP,
    DENIED,
    DRILL,
    G_ADMIN,
    G_APP,
    HONEST,
    KEY_ARN,
    LOOKED,
    MANAGES,
    OTHER,
    OWNER,
    READER,
    ROOT,
    STRANGER,
    USES,
    VENDOR,
    ago,
    aws_key,
    binding,
    facts,
    gcp_key,
    grant,
    hierarchy,
    only,
    policies,
    statement,
    when,
)

from keycheck.model.control import Control
from probes.keys.aws_actions import matches
from probes.keys.aws_facts import AwsPolicy, Condition, PrincipalPattern, Statement
from probes.keys.gcp_roles import only_in_time
from probes.keys.grant_control import Grants
from probes.keys.policy_controls import Policy, Separation
from probes.keys.subjects import Agreed

TRUSTED = Policy(account_iam="trusted")
APART = Separation(account_iam="trusted")
NOBODY = Agreed(owner=OWNER)
DECRYPT = ("kms:Decrypt",)
SERVICES = ("kms:CreateGrant", "kms:RevokeGrant")
FOR_SERVICES = when("Bool", "kms:GrantIsForAWSResource", "true")
MAYBE_FOR_SERVICES = when("BoolIfExists", "kms:GrantIsForAWSResource", "true")
VARIABLE = "arn:aws:kms:eu-central-1:${aws:ResourceAccount}:key/*"
X_MANAGES = statement(
    "*", ("kms:PutKeyPolicy",), when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{STRANGER}:role/x-*")
)
ENDED = 'request.time < timestamp("2020-01-01T00:00:00Z")'
ANY_APP = when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/crm-app")


def verdict(control: Control, key: object, agreed: Agreed | None = None) -> tuple[str, str, str]:
    judged = control.judge(facts(key, agreed))  # type: ignore[arg-type]
    return judged.kind.value, ",".join(judged.reasons), judged.message


def with_(*statements: Statement, ram: tuple[Statement, ...] | None = None) -> object:
    return aws_key(policies=policies(*statements, ram=ram), grants=())


def test_the_honest_policy_passes() -> None:
    for control in (Policy(), TRUSTED, Separation(), APART, Grants()):
        assert verdict(control, aws_key())[0] == "pass", verdict(control, aws_key())


@pytest.mark.parametrize(
    "bad",
    [
        statement("*", DECRYPT),
        statement("*", ("kms:DescribeKey",)),
        statement("*", ("*",)),
        statement("*", DECRYPT, when("StringEquals", "kms:ViaService", "s3.eu-central-1.amazonaws.com")),
        statement("*", DECRYPT, when("StringEquals", "kms:EncryptionContext:tenant", "acme")),
        statement("*", DECRYPT, when("IpAddress", "aws:SourceIp", "203.0.113.0/24")),
        statement("*", DECRYPT, when("StringNotEquals", "aws:PrincipalAccount", STRANGER)),
        statement("*", DECRYPT, when("StringLike", "aws:PrincipalAccount", "*")),
        statement("*", DECRYPT, when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/crm-app")),
        statement("*", DECRYPT, when("StringEquals", "aws:PrincipalOrgID", "o-abc123")),
        statement("*", DECRYPT, when("StringEquals", "kms:CallerAccount", STRANGER)),
        statement("*", DECRYPT, when("StringEquals", "kms:CallerAccount", VENDOR)),
        statement("*", DECRYPT, when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{VENDOR}:role/crm-*")),
        statement((), DECRYPT, not_principals=(OTHER,)),
        statement(OTHER, DECRYPT),
        statement(OTHER, ("kms:DescribeKey",)),
        statement(f"arn:aws:iam::{STRANGER}:root", DECRYPT),
        statement(STRANGER, DECRYPT),
        statement(f"arn:aws:iam::{VENDOR}:root", DECRYPT),
        statement("AROAEXAMPLEID", DECRYPT),
        statement("logs.eu-central-1.amazonaws.com", DECRYPT),
        statement(APP, ("kms:PutKeyPolicy",)),
        statement(APP, ("kms:put*",)),
        statement(APP, ("kms:CreateGrant",)),
        statement(APP, ("kms:CreateGrant",), when("Bool", "kms:GrantIsForAWSResource", "false")),
        statement(APP, ("kms:ScheduleKeyDeletion",)),
        statement(APP, ("kms:ImportKeyMaterial",)),
        statement(APP, ("kms:DeleteImportedKeyMaterial",)),
        statement(APP, ("kms:ReplicateKey",)),
        statement(APP, ("kms:TagResource",)),
        statement(APP, (), not_actions=("kms:Decrypt",)),
        statement(APP, ("kms:PutKeyPolicy",), when("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z")),
        statement(f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/pod-1", ("kms:DisableKey",)),
        statement(DRILL, ("kms:DisableKey",)),
        statement(ADMIN, DECRYPT),
        statement(READER, DECRYPT),
        # grants for AWS services only: the vendor's affair and a user's, nobody else's
        statement("*", SERVICES, FOR_SERVICES),
        statement("*", SERVICES, MAYBE_FOR_SERVICES),
        statement(f"arn:aws:iam::{STRANGER}:root", ("kms:CreateGrant",), FOR_SERVICES),
        statement(READER, ("kms:CreateGrant",), FOR_SERVICES),
        statement(APP, ("kms:RetireGrant",), MAYBE_FOR_SERVICES),
        statement("*", ("**",)),
        statement(f"arn:aws:iam::{STRANGER}:root", DECRYPT, ANY_APP),
        statement(OTHER, DECRYPT, when("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", "2030-01-01T00:00Z")),
        statement(OTHER, DECRYPT, when("DateLessThan", "aws:CurrentTime", f"{LOOKED:%Y-%m-%dT%H:%M:%SZ}")),
        statement(OTHER, DECRYPT, when("DateLessThan", "aws:CurrentTime", "soon")),
        statement(OTHER, DECRYPT, when("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z")),
    ],
)  # fmt: skip
def test_a_policy_that_allows_too_much_fails_in_either_policy(bad: Statement) -> None:
    assert verdict(TRUSTED, with_(bad))[0] == "fail"
    assert verdict(TRUSTED, with_(ram=(bad,)))[0] == "fail"


@pytest.mark.parametrize(
    "fine",
    [
        statement(APP, ("kms:CreateGrant", "kms:ListGrants"), when("Bool", "kms:GrantIsForAWSResource", "true")),
        statement("*", DECRYPT, when("ArnEquals", "aws:PrincipalArn", APP)),
        statement("*", DECRYPT, when("StringEquals", "aws:PrincipalArn", APP), when("Bool", "aws:Unheard", "true")),
        statement(f"arn:aws:iam::{VENDOR}:root", DECRYPT, when("ArnEquals", "aws:PrincipalArn", APP)),
        statement(f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/pod-1", DECRYPT),
        statement(APP, ("s3:*",)),
        statement(OTHER, DECRYPT, resources=("arn:aws:kms:eu-central-1:111122223333:key/another",)),
        statement(ROOT, ("kms:*",)),
        statement(ROOT, ("kms:Describe*",)),
        statement(OTHER, DECRYPT, effect="Deny"),
        statement(DRILL, ("kms:Encrypt",), resources=(KEY_ARN,)),
        statement(DRILL, SERVICES, FOR_SERVICES),
        statement(APP, ("kms:*",), FOR_SERVICES),
        # the account's own root, however narrowed, is no more than the root
        statement(ROOT, ("kms:*",), when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Key*")),
        statement(ROOT, ("kms:*",), when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OWNER}:role/Key*")),
        # conditions that only together say who
        statement("*", DECRYPT, ANY_APP, when("StringEquals", "aws:PrincipalAccount", VENDOR)),
        statement("*", DECRYPT, ANY_APP, when("StringEquals", "aws:PrincipalArn", APP)),
        statement("*", DECRYPT, when("StringEquals", "aws:PrincipalArn", APP, OTHER),
                  when("StringNotEquals", "aws:PrincipalAccount", STRANGER)),
        statement("*", DECRYPT, when("StringEqualsIgnoreCase", "aws:PrincipalArn", APP.replace("crm-app", "CRM-App"))),
        statement(OTHER, DECRYPT, when("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z")),
    ],
)  # fmt: skip
def test_a_policy_that_allows_what_was_agreed_passes(fine: Statement) -> None:
    assert verdict(TRUSTED, with_(fine))[0] == "pass", verdict(TRUSTED, with_(fine))


@pytest.mark.parametrize(
    "doubtful",
    [
        statement("*", DECRYPT, when("StringEquals", "aws:PrincipalTag/team", "crm")),
        statement("*", DECRYPT, when("StringEquals", "aws:NeverHeardOf", "x")),
        statement("*", DECRYPT, when("StringEqualsIfExists", "aws:PrincipalAccount", OWNER)),
        statement("*", DECRYPT, when("ForAllValues:StringEquals", "aws:PrincipalArn", APP)),
        statement(APP, ("kms:FutureAction",)),
        statement(APP, ("kms:CreateGrant",), MAYBE_FOR_SERVICES),
        statement("*", ("kms:*",), resources=(VARIABLE,)),
        # a wildcard over all of an ARN may reach past the account
        statement("*", DECRYPT, when("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/crm-app"),
                  when("StringEquals", "aws:PrincipalAccount", VENDOR)),
        statement("*", DECRYPT, ANY_APP, when("StringEquals", "aws:PrincipalOrgID", "o-1")),
        statement("*", DECRYPT, ANY_APP, when("StringEquals", "aws:PrincipalTag/team", "crm")),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_inconclusive(doubtful: Statement) -> None:
    assert verdict(TRUSTED, with_(doubtful))[0] == "inconclusive"


def test_the_root_delegates_to_iam_that_is_not_read() -> None:
    delegating = with_(statement(ROOT, ("kms:*",), sid="Enable IAM"))
    assert verdict(Policy(), delegating)[:2] == ("inconclusive", "not-covered")
    assert "trusted, not read" in verdict(TRUSTED, delegating)[2]
    assert verdict(Separation(), delegating)[0] == "inconclusive"
    assert verdict(APART, delegating)[0] == "pass"
    assert verdict(TRUSTED, delegating, AGREED.model_copy(update={"owner": None}))[0] == "inconclusive"
    assert verdict(TRUSTED, delegating, AGREED.model_copy(update={"owner": STRANGER}))[0] == "fail"
    assert verdict(Policy(), with_(statement(ROOT, ("kms:*",)), statement(OTHER, DECRYPT)))[0] == "fail"


def test_another_accounts_root_is_everybody_in_it_unless_declared() -> None:
    shared = with_(statement(f"arn:aws:iam::{VENDOR}:root", USES))
    declared = AGREED.model_copy(update={"vendor": (f"arn:aws:iam::{VENDOR}:root",)})
    assert verdict(TRUSTED, shared)[0] == "fail"
    assert verdict(TRUSTED, shared, declared)[0] == "pass"
    everybody = with_(statement("*", USES, when("StringEquals", "kms:CallerAccount", VENDOR)))
    assert verdict(TRUSTED, everybody, declared)[0] == "pass"


def test_services_count_only_as_declared() -> None:
    service = with_(statement("logs.eu-central-1.amazonaws.com", DECRYPT))
    declared = AGREED.model_copy(update={"users": (DRILL, "logs.eu-central-1.amazonaws.com")})
    assert verdict(TRUSTED, service, declared)[0] == "pass"


def test_nobody_declared_is_not_everybody_unknown() -> None:
    assert verdict(TRUSTED, aws_key(), NOBODY)[:2] == ("inconclusive", "not-covered")
    assert verdict(TRUSTED, with_(statement("*", DECRYPT)), NOBODY)[0] == "fail"
    assert verdict(Grants(), aws_key(), NOBODY)[:2] == ("inconclusive", "not-covered")


@pytest.mark.parametrize(
    ("denied", "kind"),
    [
        (statement(OTHER, ("kms:*",), effect="Deny"), "pass"),
        (statement("*", DECRYPT, effect="Deny"), "pass"),
        (statement(f"arn:aws:iam::{STRANGER}:root", DECRYPT, effect="Deny"), "pass"),
        (statement((), DECRYPT, effect="Deny", not_principals=(APP, DRILL)), "pass"),
        (statement("*", DECRYPT, when("ArnEquals", "aws:PrincipalArn", OTHER), effect="Deny"), "pass"),
        (statement("*", DECRYPT, when("StringNotEquals", "aws:PrincipalAccount", OWNER), effect="Deny"), "pass"),
        (statement("*", (), not_actions=("kms:DescribeKey",), effect="Deny"), "pass"),
        (statement("*", DECRYPT, when("StringNotEquals", "aws:PrincipalOrgID", "o-1"), effect="Deny"), "inconclusive"),
        (statement("*", DECRYPT, when("StringEquals", "aws:PrincipalTag/x", "1"), effect="Deny"), "inconclusive"),
        (statement("*", DECRYPT, when("Null", "aws:NeverHeardOf", "true"), effect="Deny"), "inconclusive"),
        (statement("*", DECRYPT, when("Bool", "aws:SecureTransport", "false"), effect="Deny"), "fail"),
        (statement("*", DECRYPT, when("StringEquals", "kms:EncryptionContext:t", "x"), effect="Deny"), "fail"),
        (statement("*", DECRYPT, when("StringEquals", "aws:PrincipalAccount", VENDOR), effect="Deny"), "fail"),
        (statement(APP, DECRYPT, effect="Deny"), "fail"),
        (statement("*", ("kms:Encrypt",), effect="Deny"), "fail"),
        (statement("*", DECRYPT, effect="Deny", resources=("arn:aws:kms:*:*:key/x",)), "fail"),
        (statement("*", DECRYPT, effect="Deny", not_resources=("arn:aws:kms:*:*:key/x",)), "pass"),
        (statement("*", DECRYPT, effect="Deny", not_resources=(VARIABLE,)), "inconclusive"),
        (statement("*", DECRYPT, effect="Deny", resources=(VARIABLE,)), "inconclusive"),
    ],
)  # fmt: skip
def test_allow_minus_deny(denied: Statement, kind: str) -> None:
    key = aws_key(policies=only(statement(OTHER, DECRYPT), denied), grants=())
    assert verdict(TRUSTED, key)[0] == kind, verdict(TRUSTED, key)


def test_a_deny_that_says_who_not_narrows_everybody_in_a_way_that_is_not_resolved() -> None:
    allow = statement("*", DECRYPT, when("StringEquals", "kms:ViaService", "s3.eu-central-1.amazonaws.com"))
    deny = statement("*", ("kms:*",), when("StringNotEquals", "aws:PrincipalAccount", OWNER), effect="Deny")
    assert verdict(TRUSTED, aws_key(policies=only(allow, deny)))[0] == "inconclusive"
    some = statement("*", ("kms:*",), when("ArnEquals", "aws:PrincipalArn", OTHER), effect="Deny")
    assert verdict(TRUSTED, aws_key(policies=only(allow, some)))[0] == "fail"


def test_an_allow_in_any_case_outlives_a_deny_in_one() -> None:
    loud = OTHER.replace("other", "OTHER")
    allow = statement("*", DECRYPT, when("StringEqualsIgnoreCase", "aws:PrincipalArn", loud))
    deny = statement("*", DECRYPT, when("StringEquals", "aws:PrincipalArn", loud), effect="Deny")
    assert verdict(TRUSTED, aws_key(policies=only(allow), grants=()))[0] == "fail"
    assert verdict(TRUSTED, aws_key(policies=only(allow, deny), grants=()))[0] == "inconclusive"
    named = statement(OTHER, DECRYPT, effect="Deny")
    lower = statement("*", DECRYPT, when("StringEqualsIgnoreCase", "aws:PrincipalArn", OTHER.replace("other", "Other")))
    assert verdict(TRUSTED, aws_key(policies=only(lower, named), grants=()))[0] == "pass"


def test_a_service_is_asked_for_whom_it_acts() -> None:
    service = "logs.eu-central-1.amazonaws.com"
    declared = AGREED.model_copy(update={"users": (DRILL, service)})
    bare = verdict(TRUSTED, with_(statement(service, DECRYPT)), declared)
    assert bare[0] == "pass"
    assert "aws:SourceAccount" in bare[2]
    for key, value, lean in (("aws:SourceAccount", OWNER, False), ("aws:SourceArn", "*", True)):
        bound = with_(statement(service, DECRYPT, when("StringLike", key, value)))
        assert ("aws:SourceAccount" in verdict(TRUSTED, bound, declared)[2]) is lean


def test_policies_that_cannot_be_read() -> None:
    closed = AwsPolicy(name="AWS_RAM", sha256=None, statements=DENIED)
    assert verdict(TRUSTED, aws_key(policies=DENIED))[1] == "permission-denied"
    assert verdict(TRUSTED, aws_key(policies=(*policies(), closed)))[1] == "permission-denied"
    assert verdict(TRUSTED, aws_key(policies=(*policies(statement("*", DECRYPT)), closed)))[0] == "fail"
    assert verdict(TRUSTED, aws_key(policies=()))[1] == "malformed"
    # What the second policy allows, the first may deny.
    shared = AwsPolicy(name="AWS_RAM", sha256=None, statements=(statement(OTHER, DECRYPT),))
    hidden = AwsPolicy(name="default", sha256=None, statements=DENIED)
    assert verdict(TRUSTED, aws_key(policies=(hidden, shared)))[0] == "inconclusive"


def test_a_federated_principal_is_unknown() -> None:
    federated = HONEST[2].model_copy(
        update={"principals": (PrincipalPattern(type="Federated", value="cognito-identity.amazonaws.com"),)}
    )
    assert verdict(TRUSTED, with_(federated))[0] == "fail"


@pytest.mark.parametrize(
    ("statements", "grants", "kind"),
    [
        ((statement(ADMIN, DECRYPT),), (), "fail"),
        ((statement(APP, ("kms:PutKeyPolicy",)),), (), "fail"),
        ((statement(APP, ("kms:CreateGrant",)),), (), "pass"),
        ((), (grant(grantee=ADMIN, operations=("Decrypt",)),), "fail"),
        ((), (grant(grantee=ADMIN, operations=("DescribeKey",)),), "pass"),
        ((), (grant(grantee=f"arn:aws:sts::{OWNER}:assumed-role/key-admin/me", operations=("Decrypt",)),), "fail"),
        ((statement("*", DECRYPT),), (), "fail"),
        ((statement("*", DECRYPT, when("StringEquals", "aws:PrincipalAccount", OWNER)),), (), "fail"),
        ((statement("*", DECRYPT, when("StringEquals", "aws:PrincipalTag/a", "b")),), (), "inconclusive"),
        ((statement("*", DECRYPT, when("StringEquals", "aws:PrincipalOrgID", "o-1")),), (), "inconclusive"),
        ((statement("*", DECRYPT, when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OWNER}:role/k*")),), (), "fail"),
        ((statement(f"arn:aws:iam::{STRANGER}:root", ("kms:*",)),), (), "fail"),
        ((statement(ADMIN, DECRYPT), statement("*", DECRYPT, effect="Deny")), (), "pass"),
        ((statement(ADMIN, DECRYPT, effect="Deny"),), (grant(grantee=ADMIN, operations=("Decrypt",)),), "pass"),
        ((statement("*", DECRYPT, when("StringEqualsIgnoreCase", "aws:PrincipalArn", ADMIN.replace("key", "KEY"))),),
         (), "fail"),
        # which path the role of a session has is not known
        ((X_MANAGES,),
         (grant(grantee=f"arn:aws:sts::{STRANGER}:assumed-role/x-1/pod", operations=("Decrypt",)),), "inconclusive"),
        ((X_MANAGES,),
         (grant(grantee=f"arn:aws:sts::{VENDOR}:assumed-role/x-1/pod", operations=("Decrypt",)),), "pass"),
        ((statement(ROOT, ("kms:*",), when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Key*")),), (), "pass"),
    ],
)  # fmt: skip
def test_separation_over_all_ways(statements: tuple[Statement, ...], grants: tuple[object, ...], kind: str) -> None:
    key = aws_key(policies=policies(*statements), grants=grants)
    assert verdict(APART, key)[0] == kind, verdict(APART, key)
    assert verdict(APART, aws_key(policies=policies(ram=statements), grants=grants))[0] == kind


def test_separation_needs_grants_and_policies() -> None:
    assert verdict(APART, aws_key(grants=DENIED))[1] == "permission-denied"
    assert verdict(APART, aws_key(policies=DENIED))[1] == "permission-denied"
    assert verdict(APART, aws_key(policies=policies(statement(ADMIN, DECRYPT)), grants=DENIED))[0] == "fail"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "pass"),
        ({"grantee": f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/x"}, "pass"),
        ({"grantee": OTHER}, "fail"),
        ({"grantee": ADMIN}, "fail"),
        ({"grantee": f"arn:aws:iam::{VENDOR}:root"}, "fail"),
        ({"grantee": "AROAEXAMPLEID"}, "fail"),
        ({"operations": ("Decrypt", "CreateGrant")}, "fail"),
        ({"operations": ("RetireGrant",)}, "fail"),
        ({"operations": ("Sign",)}, "fail"),
        ({"retiring": ADMIN}, "pass"),
        ({"retiring": OTHER}, "fail"),
        ({"context_equals": ()}, "pass"),
    ],
)
def test_grants(change: dict[str, object], kind: str) -> None:
    assert verdict(Grants(), aws_key(grants=(grant(**change),)))[0] == kind


def test_grants_that_are_alike_bound_or_absent() -> None:
    older = grant(id="b" * 64, name="old", created=ago(300))
    kind, _, message = verdict(Grants(), aws_key(grants=(grant(), older)))
    assert kind == "fail"
    assert "bbbbbbbbbbbb… of 2026-01-26 beside aaaaaaaaaaaa…" in message
    assert verdict(Grants(), aws_key(grants=(grant(), grant(id="b", context_equals=(("tenant", "x"),)))))[0] == "pass"
    bound = Grants(context_required=True)
    assert verdict(bound, aws_key(grants=(grant(context_equals=()),)))[0] == "fail"
    assert verdict(bound, aws_key())[0] == "pass"
    assert verdict(Grants(), aws_key(grants=()))[0] == "pass"
    assert verdict(Grants(), aws_key(grants=DENIED))[1] == "permission-denied"
    assert verdict(Grants(), gcp_key())[0] == "not-applicable"


@pytest.mark.parametrize(
    ("bound", "policy", "apart"),
    [
        (binding("cloudkms.cryptoKeyDecrypter", "allUsers"), "fail", "fail"),
        (binding("cloudkms.viewer", "allAuthenticatedUsers"), "fail", "pass"),
        (binding("cloudkms.cryptoKeyDecrypter", "user:former@vendor.example"), "fail", "pass"),
        (binding("cloudkms.cryptoKeyDecrypter", "group:crm@vendor.example"), "fail", "pass"),
        (binding("cloudkms.cryptoKeyDecrypter", "domain:vendor.example"), "fail", "pass"),
        (binding("owner", G_APP), "fail", "fail"),
        (binding("editor", G_APP), "fail", "fail"),
        (binding("cloudkms.admin", G_APP), "fail", "fail"),
        (binding("resourcemanager.projectIamAdmin", G_APP), "fail", "fail"),
        (binding("cloudkms.cryptoKeyDecrypter", G_ADMIN), "fail", "fail"),
        (binding("owner", G_ADMIN), "fail", "fail"),
        (binding("cloudkms.viewer", G_APP), "pass", "pass"),
        (binding("storage.admin", "user:somebody@acme.example"), "pass", "pass"),
        (binding("projects/acme-contacts/roles/crypto", G_APP), "inconclusive", "inconclusive"),
        (binding("cloudkms.newRole", G_APP), "inconclusive", "inconclusive"),
        (binding("cloudkms.admin", G_APP, condition='request.time < timestamp("2027-01-01T00:00Z")'), "fail", "fail"),
        (binding("cloudkms.admin", G_APP, condition='resource.name.endsWith("other")'), "inconclusive", "inconclusive"),
        (binding("cloudkms.admin", G_APP, condition=ENDED), "pass", "pass"),
        (binding("cloudkms.admin", G_APP, condition=ENDED.replace("<", ">")), "fail", "fail"),
        (binding("cloudkms.admin", G_APP, condition=ENDED.replace("Z", "")), "fail", "fail"),
        (binding("privilegedaccessmanager.projectServiceAgent", G_APP), "fail", "fail"),
        (binding("privilegedaccessmanager.serviceAgent", "user:ops@vendor.example"), "fail", "pass"),
        (binding("gkehub.crossProjectServiceAgent", "user:ops@vendor.example"), "fail", "pass"),
        (binding("cloudkms.cryptoKeyDecrypter", "deleted:user:x@acme.example?uid=1"), "inconclusive", "pass"),
    ],
)  # fmt: skip
def test_bindings_on_the_key_and_inherited(bound: object, policy: str, apart: str) -> None:
    for levels in (hierarchy(bound), hierarchy(project=(bound,))):  # type: ignore[arg-type]
        key = gcp_key(hierarchy=levels)
        assert verdict(Policy(), key)[0] == policy, verdict(Policy(), key)
        assert verdict(Separation(), key)[0] == apart, verdict(Separation(), key)


def test_hierarchies_that_are_not_whole() -> None:
    bad = binding("owner", G_APP)
    for control in (Policy(), Separation()):
        assert verdict(control, gcp_key())[0] == "pass"
        assert verdict(control, gcp_key(hierarchy=hierarchy(complete=False)))[1] == "not-covered"
        assert verdict(control, gcp_key(hierarchy=hierarchy(bad, complete=False)))[0] == "fail"
        assert verdict(control, gcp_key(hierarchy=hierarchy(project=DENIED)))[1] == "permission-denied"
        assert verdict(control, gcp_key(hierarchy=DENIED))[1] == "permission-denied"


@pytest.mark.parametrize(
    ("condition", "only_time"),
    [
        (None, True),
        ('request.time < timestamp("2027-01-01T00:00:00Z")', True),
        (
            'request.time > timestamp("2026-01-01T00:00:00Z") && request.time < timestamp("2027-01-01T00:00:00.5Z")',
            True,
        ),
        ('request.time < timestamp("2027-01-01T00:00:00Z") || true', False),
        ('request.time.getHours("Europe/Berlin") < 9', False),
        ('resource.type == "cloudkms.googleapis.com/CryptoKey"', False),
        ("(" * 400, False),
        (" " * 499, False),
    ],
)
def test_conditions_that_only_end_in_time(condition: str | None, only_time: bool) -> None:
    assert only_in_time(condition) is only_time


def test_wildcards() -> None:
    assert matches("kms:*Key*", "kms:DescribeKey")
    assert matches("*", "")
    assert matches("a?c", "abc")
    assert not matches("a?c", "ac")
    assert not matches("Decrypt", "decrypt")
    assert matches("decrypt", "Decrypt", any_case=True)
    assert not matches("a*b", "acbd")


def test_hostile_patterns_cost_little() -> None:
    begun = time.perf_counter()
    hostile = tuple(statement("*", ("kms:" + "*?" * 240 + "x",), resources=("*?" * 240 + "z",)) for _ in range(200))
    names = Condition(operator="ArnNotLike", key="aws:PrincipalArn", values=("*?" * 240,) * 20)
    denies = tuple(statement("*", ("kms:*",), names, effect="Deny") for _ in range(20))
    verdict(TRUSTED, with_(*hostile, *denies))
    assert time.perf_counter() - begun < 2


def test_administrators_may_do_all_that_administration_is() -> None:
    assert (
        verdict(Policy(), aws_key(policies=only(statement(ADMIN, (*MANAGES, "kms:*Alias", "kms:Revoke*")))))[0]
        == "pass"
    )

"""The lab's policy evaluation against what AWS documents: who may use a key, and what wins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.lab.aws.conditions import context_of, glob, holds, instant_of
from keycheck.lab.aws.policy import FULL_ACCESS, PolicyError, check_document, decide, decide_identity, locks_out
from keycheck.lab.aws.seams import Access, Caller, Document, GrantView, Json

OWNER, VENDOR = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-central-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT = f"arn:aws:iam::{OWNER}:root"
ALICE = f"arn:aws:iam::{OWNER}:user/alice"
ROLE = f"arn:aws:iam::{VENDOR}:role/app/crm"
SESSION = f"arn:aws:sts::{VENDOR}:assumed-role/crm/worker-1"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def caller(arn: str = ALICE, principal: str | None = None, *policies: Document, **more: str) -> Caller:
    return Caller(arn.split(":")[4], arn, principal or arn, "AKIAEXAMPLE", policies, **more)


def vendor(*policies: Document) -> Caller:
    return caller(SESSION, ROLE, *policies)


def access(
    who: Caller, action: str = "kms:Decrypt", *, context: Mapping[str, str] | None = None, **conditions: str
) -> Access:
    keys = {name.replace("_", ":", 1): tuple(value.split("|")) for name, value in conditions.items()}
    return Access(who, action, KEY, OWNER, "eu-central-1", NOW, context or {}, keys)


def statement(effect: str, principal: Json = None, action: Json = "kms:Decrypt", **more: Json) -> dict[str, Json]:
    told: dict[str, Json] = {"Effect": effect, "Action": action, "Resource": "*", **more}
    return told if principal is None else {**told, "Principal": principal}


def policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def aws(*names: str) -> Json:
    return {"AWS": list(names) if len(names) != 1 else names[0]}


ALLOWS = policy(statement("Allow", action="kms:*"))
DELEGATES = policy(statement("Allow", aws(ROOT), "kms:*"))


def allowed(
    asked: Access, *policies: Document, grants: Sequence[GrantView] = (), organization: Sequence[Document] = ()
) -> bool:
    return decide(asked, key_policies=policies, grants=grants, organization=organization).allowed


class TestOwnAccount:
    def test_named_in_the_key_policy_needs_no_identity_policy(self) -> None:
        assert allowed(access(caller()), policy(statement("Allow", aws(ALICE))))

    def test_an_identity_policy_alone_does_nothing(self) -> None:
        assert not allowed(access(caller(ALICE, None, ALLOWS)), policy(statement("Allow", aws(f"{ALICE}2"))))
        assert not allowed(access(caller(ALICE, None, ALLOWS)))

    @pytest.mark.parametrize("name", [ROOT, OWNER])
    def test_the_account_delegates_to_identity_policies(self, name: str) -> None:
        delegation = policy(statement("Allow", aws(name), "kms:*"))
        assert allowed(access(caller(ALICE, None, ALLOWS)), delegation)
        refused = decide(access(caller()), key_policies=[delegation], grants=[])
        assert not refused.allowed
        assert refused.why == (
            f"User: {ALICE} is not authorized to perform: kms:Decrypt on resource: {KEY} "
            "because no identity-based policy allows the kms:Decrypt action"
        )

    def test_the_root_user_is_meant_directly(self) -> None:
        assert allowed(access(caller(ROOT)), DELEGATES)

    def test_everyone_means_everyone_in_the_account(self) -> None:
        assert allowed(access(caller()), policy(statement("Allow", "*")))
        assert allowed(access(caller()), policy(statement("Allow", aws("*"))))

    def test_the_second_policy_counts(self) -> None:
        assert allowed(
            access(caller()), policy(statement("Allow", aws(ROOT + "x"))), policy(statement("Allow", aws(ALICE)))
        )
        assert not allowed(access(caller()), policy(statement("Allow", aws(ALICE))), policy(statement("Deny", "*")))


class TestOtherAccount:
    @pytest.mark.parametrize("name", [ROLE, SESSION, VENDOR, f"arn:aws:iam::{VENDOR}:root", "*"])
    def test_needs_both_policies(self, name: str) -> None:
        key_policy = policy(statement("Allow", aws(name)))
        assert allowed(access(vendor(ALLOWS)), key_policy)
        assert not allowed(access(vendor()), key_policy)
        assert not allowed(access(vendor(ALLOWS)), DELEGATES)

    def test_what_cannot_cross_accounts_has_no_effect(self) -> None:
        key_policy = policy(statement("Allow", aws(ROLE), "kms:*"))
        assert allowed(access(vendor(ALLOWS), "kms:CreateGrant"), key_policy)
        assert not allowed(access(vendor(ALLOWS), "kms:PutKeyPolicy"), key_policy)

    def test_is_not_told_which_policy_denies(self) -> None:
        key_policy = policy(statement("Allow", aws(ROLE)), statement("Deny", "*"))
        refused = decide(access(vendor(ALLOWS)), key_policies=[key_policy], grants=[])
        assert refused.why == (
            f"User: {SESSION} is not authorized to perform: kms:Decrypt on this resource because the resource does "
            "not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
            "denies access"
        )

    def test_another_role_of_the_vendor_is_not_meant(self) -> None:
        other = caller(SESSION.replace("crm", "batch"), ROLE.replace("crm", "batch"), ALLOWS)
        assert not allowed(access(other), policy(statement("Allow", aws(ROLE))))


class TestExplicitDeny:
    @pytest.mark.parametrize("where", ["key", "identity", "organization", "ram"])
    def test_wins_wherever_it_stands(self, where: str) -> None:
        allow, deny = policy(statement("Allow", aws(ALICE))), policy(statement("Deny"))
        key_deny = policy(statement("Deny", "*"))
        who = caller(ALICE, None, ALLOWS, *([deny] if where == "identity" else []))
        policies = [allow, *([key_deny] if where in ("key", "ram") else [])]
        organization = [FULL_ACCESS, *([deny] if where == "organization" else [])]
        grants = [GrantView(ALICE, frozenset({"Decrypt"}))]
        assert not allowed(access(who), *policies, grants=grants, organization=organization)
        assert allowed(access(caller(ALICE, None, ALLOWS)), allow, grants=grants, organization=[FULL_ACCESS])

    def test_scoped_to_a_canary_leaves_other_records_alone(self) -> None:
        deny = statement("Deny", "*", Condition={"StringEquals": {"kms:EncryptionContext:Canary": "drill-7"}})
        key_policy = policy(statement("Allow", aws(ALICE)), deny)
        assert not allowed(access(caller(), context={"canary": "drill-7"}), key_policy)
        assert allowed(access(caller(), context={"canary": "drill-8"}), key_policy)
        assert allowed(access(caller()), key_policy)

    def test_that_expires_by_itself(self) -> None:
        until = {"DateLessThan": {"aws:CurrentTime": "2026-11-22T10:15:00Z"}}
        key_policy = policy(statement("Allow", aws(ALICE)), statement("Deny", "*", Condition=until))
        asked = access(caller())
        assert not allowed(asked, key_policy)
        assert allowed(replace(asked, now=datetime(2026, 11, 22, 10, 15, tzinfo=UTC)), key_policy)

    @pytest.mark.parametrize(
        "condition",
        [
            {"StringSoundsLike": {"aws:PrincipalArn": "x"}},
            {"StringEquals": {"aws:MoonPhase": "full"}},
            {"ForSomeValues:StringEquals": {"aws:PrincipalArn": "x"}},
            {"StringEqualsIfExists": {"kms:NotYetInvented": "x"}},
        ],
    )
    def test_unknown_conditions_deny_and_never_allow(self, condition: dict[str, Json]) -> None:
        assert not allowed(access(caller()), policy(statement("Allow", aws(ALICE), Condition=condition)))
        denies = policy(statement("Allow", aws(ALICE)), statement("Deny", "*", Condition=condition))
        assert not allowed(access(caller()), denies)
        known = {**condition, "Bool": {"aws:SecureTransport": "false"}}
        assert allowed(
            access(caller()), policy(statement("Allow", aws(ALICE)), statement("Deny", "*", Condition=known))
        )

    def test_not_principal_spares_only_who_is_named_with_the_account(self) -> None:
        allow = statement("Allow", "*")
        named: dict[str, Json] = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        spared = {**named, "NotPrincipal": aws(VENDOR, ROLE, SESSION)}
        assert allowed(access(vendor(ALLOWS)), policy(allow, spared))
        assert not allowed(access(vendor(ALLOWS)), policy(allow, {**named, "NotPrincipal": aws(ROLE)}))
        assert not allowed(access(caller()), policy(allow, spared))

    def test_not_principal_never_allows(self) -> None:
        odd: dict[str, Json] = {"Effect": "Allow", "Action": "*", "Resource": "*", "NotPrincipal": aws(ROLE)}
        assert not allowed(access(caller(ALICE, None, ALLOWS)), policy(odd))


class TestOrganization:
    def test_limits_and_never_grants(self) -> None:
        key_policy = policy(statement("Allow", aws(ALICE)))
        assert not allowed(access(caller()), key_policy, organization=[policy(statement("Allow", action="s3:*"))])
        assert allowed(access(caller()), key_policy, organization=[FULL_ACCESS])
        assert not allowed(access(caller()), policy(statement("Allow", aws(ROLE))), organization=[FULL_ACCESS])


class TestGrants:
    def test_outlive_the_key_policy_statement(self) -> None:
        grant = GrantView(ALICE, frozenset({"Decrypt"}))
        assert allowed(access(caller()), grants=[grant])
        assert not allowed(access(caller(), "kms:Encrypt"), grants=[grant])
        assert not allowed(access(caller(f"{ALICE}2")), grants=[grant])

    def test_of_a_role_cover_its_sessions(self) -> None:
        assert allowed(access(vendor(ALLOWS)), grants=[GrantView(ROLE, frozenset({"Decrypt"}))])

    @pytest.mark.parametrize(
        ("constraint", "context", "yes"),
        [
            ({"context_equals": {"Tenant": "a"}}, {"tenant": "a"}, True),
            ({"context_equals": {"tenant": "a"}}, {"tenant": "A"}, False),
            ({"context_equals": {"tenant": "a"}}, {"tenant": "a", "more": "b"}, False),
            ({"context_subset": {"tenant": "a"}}, {"tenant": "a", "more": "b"}, True),
            ({"context_subset": {"tenant": "a"}}, {}, False),
        ],
    )
    def test_constraints(self, constraint: dict[str, dict[str, str]], context: dict[str, str], yes: bool) -> None:
        grant = GrantView(ALICE, frozenset({"Decrypt", "DescribeKey"}), **constraint)
        assert allowed(access(caller(), context=context), grants=[grant]) is yes
        assert allowed(access(caller(), "kms:DescribeKey"), grants=[grant])

    def test_pass_on_only_what_they_hold(self) -> None:
        grant = GrantView(ALICE, frozenset({"Decrypt", "CreateGrant"}))
        assert allowed(access(caller(), "kms:CreateGrant", kms_GrantOperations="Decrypt"), grants=[grant])
        assert not allowed(access(caller(), "kms:CreateGrant", kms_GrantOperations="Decrypt|Encrypt"), grants=[grant])


class TestElements:
    @pytest.mark.parametrize(
        ("element", "yes"),
        [
            ({"Action": "KMS:decrypt"}, True),
            ({"Action": ["kms:De*", "s3:*"]}, True),
            ({"Action": "kms:Decryp?"}, True),
            ({"Action": "kms:Encrypt*"}, False),
            ({"NotAction": "kms:Encrypt"}, True),
            ({"NotAction": "kms:D*"}, False),
        ],
    )
    def test_action(self, element: dict[str, Json], yes: bool) -> None:
        body: dict[str, Json] = {"Effect": "Allow", "Principal": "*", "Resource": "*", **element}
        assert allowed(access(caller()), policy(body)) is yes

    @pytest.mark.parametrize(
        ("element", "yes"),
        [
            ({"Resource": KEY}, True),
            ({"Resource": f"arn:aws:kms:*:{OWNER}:key/*"}, True),
            ({"Resource": KEY.upper()}, False),
            ({"Resource": "arn:aws:kms:*:${aws:PrincipalAccount}:key/*"}, True),
            ({"NotResource": KEY}, False),
            ({"NotResource": f"{KEY}0"}, True),
        ],
    )
    def test_resource(self, element: dict[str, Json], yes: bool) -> None:
        body: dict[str, Json] = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", **element}
        assert allowed(access(caller()), policy(body)) is yes

    def test_service_principals(self) -> None:
        service = Caller(OWNER, "cloudtrail.amazonaws.com", "cloudtrail.amazonaws.com", "")
        assert allowed(access(service), policy(statement("Allow", {"Service": ["cloudtrail.amazonaws.com"]})))
        assert not allowed(access(service), policy(statement("Allow", {"Service": "s3.amazonaws.com"})))

    def test_hostile_patterns_end(self) -> None:
        assert not glob("*a" * 40 + "b", "a" * 3000)


CONDITIONS: list[tuple[Json, bool]] = [
    ({"StringEquals": {"aws:PrincipalAccount": [VENDOR, OWNER]}}, True),
    ({"StringNotEquals": {"aws:PrincipalAccount": [VENDOR, OWNER]}}, False),
    ({"StringEquals": {"AWS:principalaccount": OWNER}}, True),
    ({"StringEqualsIgnoreCase": {"kms:EncryptionContext:tenant": "ACME"}}, True),
    ({"StringEquals": {"kms:EncryptionContext:TENANT": "acme"}}, True),
    ({"StringEquals": {"kms:EncryptionContext:tenant": "ACME"}}, False),
    ({"StringLike": {"kms:EncryptionContext:tenant": "ac*"}}, True),
    ({"StringEquals": {"kms:EncryptionContext:none": "x"}}, False),
    ({"StringNotEquals": {"kms:EncryptionContext:none": "x"}}, True),
    ({"StringEqualsIfExists": {"kms:EncryptionContext:none": "x"}}, True),
    ({"Null": {"kms:EncryptionContext:none": "true"}}, True),
    ({"Null": {"kms:EncryptionContext:tenant": True}}, False),
    ({"Null": {"kms:EncryptionContext:tenant": "false"}}, True),
    ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant", "field"]}}, True),
    ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": "tenant"}}, False),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["field", "x"]}}, True),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["Tenant"]}}, False),
    ({"ForAnyValue:StringNotEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, True),
    ({"ForAllValues:StringEquals": {"kms:ResourceAliases": "alias/x"}}, True),
    ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/x"}}, False),
    ({"ForAnyValue:StringNotEquals": {"kms:ResourceAliases": "alias/x"}}, False),
    ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWNER}:user/*"}}, True),
    ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:user/al?ce"}}, True),
    ({"ArnLike": {"aws:PrincipalArn": "arn:*"}}, False),
    ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, True),
    ({"Bool": {"aws:SecureTransport": True}}, True),
    ({"Bool": {"aws:SecureTransport": "false"}}, False),
    ({"Bool": {"kms:GrantIsForAWSResource": "true"}}, False),
    ({"BoolIfExists": {"kms:GrantIsForAWSResource": "true"}}, True),
    ({"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}}, True),
    ({"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": 7.0}}, True),
    ({"NumericEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "seven"}}, False),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-22T09:59:59Z"}}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2026-11-22T11:00:00+02:00"}}, False),
    ({"DateLessThan": {"aws:EpochTime": str(int(NOW.timestamp()) + 1)}}, True),
    ({"DateEquals": {"aws:CurrentTime": "soon"}}, False),
    ({"IpAddress": {"aws:SourceIp": ["198.51.100.0/24", "203.0.113.0/24"]}}, True),
    ({"NotIpAddress": {"aws:SourceIp": "203.0.113.10"}}, False),
    ({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, False),
    ({"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}, False),
    ({"StringEquals": {"kms:CallerAccount": OWNER}, "Bool": {"aws:ViaAWSService": "false"}}, True),
    ({"StringEquals": {"aws:username": "${aws:username}"}}, True),
    ({"StringEquals": {"aws:PrincipalAccount": "${aws:SourceVpc, '111122223333'}"}}, True),
    ({"StringLike": {"kms:EncryptionContext:tenant": "${*}"}}, False),
    ({"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}, True),
]


@pytest.mark.parametrize(("condition", "yes"), CONDITIONS, ids=[json.dumps(item[0])[:70] for item in CONDITIONS])
def test_condition(condition: Json, yes: bool) -> None:
    asked = access(
        caller(),
        context={"tenant": "acme", "field": "phone"},
        kms_ScheduleKeyDeletionPendingWindowInDays="7",
        kms_KeyOrigin="EXTERNAL",
    )
    assert holds(condition, context_of(asked)) is yes
    assert allowed(asked, policy(statement("Allow", "*", Condition=condition))) is yes


def test_a_call_through_a_service_shows_the_service_and_not_the_address() -> None:
    through = access(caller(via="s3.eu-central-1.amazonaws.com"))
    assert holds({"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}, context_of(through)) is True
    assert holds({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, context_of(through)) is False


def test_variables_are_text_in_the_old_version() -> None:
    body = statement("Allow", "*", Condition={"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}})
    assert allowed(access(caller()), {"Version": "2012-10-17", "Statement": body})
    assert not allowed(access(caller()), {"Version": "2008-10-17", "Statement": body})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-11", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-22T10:00Z", NOW),
        ("2026-11-22T12:00:00+02:00", NOW),
        ("1795341600", NOW),
        ("never", None),
    ],
)
def test_dates(text: str, moment: datetime | None) -> None:
    assert instant_of(text) == moment


class TestIdentityOnly:
    def test_needs_an_allow(self) -> None:
        lookup = replace(access(caller(), "cloudtrail:LookupEvents"), resource="*")
        refused = decide_identity(lookup)
        assert refused.why == (
            f"User: {ALICE} is not authorized to perform: cloudtrail:LookupEvents "
            "because no identity-based policy allows the cloudtrail:LookupEvents action"
        )
        reader = policy(statement("Allow", action="cloudtrail:LookupEvents"))
        assert decide_identity(replace(lookup, caller=caller(ALICE, None, reader))).allowed
        assert not decide_identity(
            replace(lookup, caller=caller(ALICE, None, reader, policy(statement("Deny", action="*"))))
        ).allowed
        assert decide_identity(replace(lookup, caller=caller(ROOT))).allowed


class TestDocuments:
    def test_a_good_one_comes_back_parsed(self) -> None:
        good = policy(statement("Allow", aws(ROOT), "kms:*", Sid="Enable IAM"))
        assert check_document(json.dumps(good)) == good

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"Principal": None}, "no principal"),
            ({"Principal": aws("alice")}, "invalid principals"),
            ({"Principal": aws(f"arn:aws:iam::{OWNER}:user/*")}, "invalid principals"),
            ({"Principal": {"Person": "x"}}, "invalid principals"),
            ({"Principal": {"AWS": []}}, "invalid principals"),
            ({"Action": None}, "Missing required field Action"),
            ({"Action": "s3:GetObject"}, "invalid actions"),
            ({"Resource": None}, "Missing required field Resource"),
            ({"Effect": "Maybe"}, "effect"),
            ({"NotAction": "kms:*"}, "Syntax errors"),
            ({"Condition": {"StringEquals": "x"}}, "conditions"),
            ({"Colour": "red"}, "Syntax errors"),
        ],
    )
    def test_malformed_ones_are_refused(self, change: dict[str, Json], message: str) -> None:
        body = {**statement("Allow", aws(ROOT), "kms:*"), **change}
        text = json.dumps(policy({key: value for key, value in body.items() if value is not None}))
        with pytest.raises(PolicyError, match=message):
            check_document(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{",
            '{"Statement": []}',
            '{"Version": "2020-01-01", "Statement": {}}',
            "[" * 20_000,
            '{"Id": "1", "Id": "2"}',
            " " * 33_000,
        ],
    )
    def test_no_document(self, text: str) -> None:
        with pytest.raises(PolicyError):
            check_document(text)

    def test_vanished_principals_are_refused(self) -> None:
        text = json.dumps(policy(statement("Allow", aws(ALICE, ROOT))))
        check_document(text, exists=lambda arn: True)
        with pytest.raises(PolicyError, match="invalid principals"):
            check_document(text, exists=lambda arn: arn != ALICE)

    def test_lock_out(self) -> None:
        who = caller(ALICE, None, ALLOWS)
        assert not locks_out(DELEGATES, OWNER, who)
        assert not locks_out(policy(statement("Allow", aws(ALICE), "kms:PutKeyPolicy")), OWNER, who)
        assert locks_out(policy(statement("Allow", aws(ALICE), "kms:Decrypt")), OWNER, who)
        assert locks_out(policy(statement("Allow", aws(f"{ALICE}2"), "kms:*")), OWNER, who)
        assert locks_out(policy(statement("Allow", aws(ROOT), "kms:*"), statement("Deny", "*", "kms:Put*")), OWNER, who)


# Properties over generated policies.

principals = st.sampled_from(
    ["*", aws("*"), aws(ROOT), aws(ALICE), aws(ROLE, SESSION), aws(VENDOR), {"Service": "s3.amazonaws.com"}]
)
actions = st.sampled_from(["*", "kms:*", "kms:Decrypt", "KMS:de*", "kms:Encrypt", ["kms:Encrypt", "kms:Decrypt"]])
resources = st.sampled_from(["*", KEY, f"{KEY}0", "arn:aws:kms:*:*:key/*"])
blocks = st.sampled_from([None, *(item[0] for item in CONDITIONS), {"StringEquals": {"aws:MoonPhase": "full"}}])


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None, named: bool = True) -> dict[str, Json]:
    told: dict[str, Json] = {"Effect": effect or draw(st.sampled_from(["Allow", "Deny"]))}
    told[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(actions)
    told[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(resources)
    if named:
        told[draw(st.sampled_from(["Principal", "Principal", "Principal", "NotPrincipal"]))] = draw(principals)
    condition = draw(blocks)
    return told if condition is None else {**told, "Condition": condition}


key_policies = st.lists(statements(), max_size=5)
identity_policies = st.lists(statements(named=False), max_size=3)
callers = st.sampled_from([(ALICE, ALICE), (ROOT, ROOT), (SESSION, ROLE)])
contexts = st.sampled_from([{}, {"tenant": "acme"}, {"Tenant": "ACME", "field": "x"}])
grant_lists = st.lists(
    st.builds(
        GrantView,
        st.sampled_from([ALICE, ROLE, ROOT]),
        st.sets(st.sampled_from(["Decrypt", "Encrypt"])).map(frozenset),
        st.sampled_from([None, {"tenant": "acme"}]),
    ),
    max_size=2,
)


@settings(max_examples=150, deadline=None)
@given(key_policies, identity_policies, callers, contexts, grant_lists)
def test_laws(
    key: list[Document],
    identity: list[Document],
    who: tuple[str, str],
    context: dict[str, str],
    grants: list[GrantView],
) -> None:
    """An explicit Deny always wins; order never matters; removing an Allow or a grant never grants."""

    def ask(key: Sequence[Document], identity: Sequence[Document], grants: Sequence[GrantView]) -> bool:
        asked = access(caller(*who, policy(*identity)), context=context)
        return allowed(asked, policy(*key), grants=grants)

    before = ask(key, identity, grants)
    assert ask(key[::-1], identity[::-1], grants[::-1]) is before
    assert not ask([*key, statement("Deny", "*", "kms:*")], identity, grants)
    assert not ask(key, [*identity, statement("Deny", action="*")], grants)
    if not before:
        for index, item in enumerate(key):
            if item["Effect"] == "Allow":
                assert not ask(key[:index] + key[index + 1 :], identity, grants)
        for index, item in enumerate(identity):
            if item["Effect"] == "Allow":
                assert not ask(key, identity[:index] + identity[index + 1 :], grants)
        for index in range(len(grants)):
            assert not ask(key, identity, grants[:index] + grants[index + 1 :])
    if who[0] == SESSION and before:
        assert not ask(key, [], grants)  # across accounts the identity policies are always needed


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Version", "Statement", "Effect", "Principal", "AWS", "Action", "Resource", "Condition"]
                ),
                inner,
                max_size=4,
            )
        ),
    ).map(json.dumps)
)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        document = check_document(text)
    except PolicyError:
        return
    decide(access(caller()), key_policies=[document], grants=[])

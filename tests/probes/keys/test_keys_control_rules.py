"""What holds for every control over keys, whatever the facts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_keys import (
    ADMIN,
    APP,
    DENIED,
    HONEST,
    OTHER,
    ROOT,
    aws_key,
    binding,
    events,
    facts,
    gcp_key,
    grant,
    hierarchy,
    log,
    logging,
    only,
    statement,
    trail,
    use,
    when,
)

from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind, Reason
from probes.keys.aspects import Aspect, Reads
from probes.keys.aws_facts import AwsKey, AwsStore, Statement
from probes.keys.controls import CONTROLS
from probes.keys.drill_facts import RevocationFacts
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey
from probes.keys.policy_controls import Policy, Separation
from probes.keys.rotation_facts import RotationFacts

PARAMETERS: dict[str, dict[str, object]] = {
    "keys.origin": {"only": ["imported", "external"]},
    "keys.protection": {"only": ["hsm", "external"]},
    "keys.location": {"jurisdiction": ["EU"]},
    "keys.material-age": {"max_age": "P365D"},
    "keys.material-expiry": {"horizon": "P30D"},
    "keys.deletion-window": {"at_least": "P14D"},
    "keys.use": {"over": "P30D"},
}
RULES = [
    control.model_validate(PARAMETERS.get(control.id, {}))
    for control in CONTROLS
    # test_keys_drill_controls.py and test_keys_rotation_controls.py have those
    if not {RevocationFacts, RotationFacts} & set(control.needs)
]
OF_KEYS = [rule for rule in RULES if KeyFacts in rule.needs]
ROOT_DIR = Path(__file__).resolve().parents[3]
ASPECTS: dict[Aspect, tuple[str, ...]] = {
    Aspect.MATERIALS: ("materials",),
    Aspect.ROTATION: ("rotation",),
    Aspect.POLICIES: ("policies", "hierarchy"),
    Aspect.GRANTS: ("grants",),
    Aspect.ALIASES: ("aliases",),
    Aspect.TAGS: ("tags",),
    Aspect.LAST_USAGE: ("last_usage",),
    Aspect.STORE: ("store",),
    Aspect.JUSTIFICATIONS: ("justifications",),
    Aspect.CALLER: ("caller",),
}
"""Fields of facts that answer an aspect."""


def blind(key: AwsKey | GcpKey, aspects: frozenset[Aspect], unseen: Unseen) -> AwsKey | GcpKey:
    """The key as it looks when nothing was answered about some aspects."""
    fields = {f for aspect in aspects for f in ASPECTS.get(aspect, ()) if f in type(key).model_fields}
    if isinstance(key, GcpKey) and Aspect.ATTESTATION in aspects and isinstance(key.versions, tuple):
        versions = tuple(v.model_copy(update={"attestation": unseen}) for v in key.versions)
        key = key.model_copy(update={"versions": versions})
    return key.model_copy(update=dict.fromkeys(fields, unseen))


def held_outside() -> AwsKey:
    store = AwsStore(
        id="c", name="c", type="EXTERNAL_KEY_STORE", connection="CONNECTED",
        error=None, xks_connectivity=None, xks_endpoint=None,
    )  # fmt: skip
    about = aws_key().description.model_copy(update={"origin": "EXTERNAL_KEY_STORE"})
    return aws_key(about, store=store)


def long_window() -> AwsKey:
    limit = when("NumericLessThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "14")
    return aws_key(policies=only(*HONEST, statement("*", ("kms:ScheduleKeyDeletion",), limit, effect="Deny")))


KEYS = (aws_key(), long_window(), held_outside(), gcp_key())
DEMANDED = [(rule, key) for rule in OF_KEYS for key in KEYS]


@pytest.mark.parametrize(("rule", "key"), DEMANDED)
def test_a_control_judges_what_it_says_it_reads_and_nothing_else(rule: Control, key: AwsKey | GcpKey) -> None:
    assert isinstance(rule, Reads)
    others = frozenset(Aspect) - rule.reads
    assert rule.judge(facts(blind(key, others, DENIED))) == rule.judge(facts(key))


UNSEEN = st.builds(Unseen, reason=st.sampled_from(Reason), detail=st.just("said why"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DEMANDED), st.sampled_from(Aspect), UNSEEN, st.booleans())
def test_what_was_not_seen_never_passes(
    demanded: tuple[Control, AwsKey | GcpKey], aspect: Aspect, unseen: Unseen, versions: bool
) -> None:
    rule, key = demanded
    full = rule.judge(facts(key))
    hidden = blind(key, frozenset({aspect}), unseen)
    if versions and isinstance(hidden, GcpKey):
        hidden = hidden.model_copy(update={"versions": unseen})
    seen = rule.judge(facts(hidden))
    if seen != full:
        assert seen.kind is not Kind.PASS
        assert seen.kind is not Kind.FAIL or full.kind is Kind.FAIL
        if seen.kind is not Kind.FAIL and full.kind is Kind.PASS:
            assert (seen.kind, seen.reasons) == (unseen.reason.kind, (unseen.reason,))


def test_each_aspect_that_is_read_matters() -> None:
    for rule in OF_KEYS:
        for aspect in rule.reads:  # type: ignore[attr-defined]
            changed = [
                k for k in KEYS if rule.judge(facts(blind(k, frozenset({aspect}), DENIED))) != rule.judge(facts(k))
            ]
            assert changed, (rule.id, aspect)


@given(UNSEEN)
def test_a_log_that_was_not_seen_never_passes(unseen: Unseen) -> None:
    for rule in RULES:
        if rule not in OF_KEYS:
            judged = rule.judge(log(unseen, unseen))
            assert (judged.kind, judged.reasons) == (unseen.reason.kind, (unseen.reason,))


WHO = st.sampled_from(("*", APP, ADMIN, OTHER, ROOT, "arn:aws:iam::999988887777:root", "logs.amazonaws.com"))
WHAT = st.lists(
    st.sampled_from(("kms:*", "kms:Decrypt", "kms:Put*", "kms:CreateGrant", "kms:DescribeKey", "*", "kms:Schedule*")),
    min_size=1,
    max_size=3,
).map(tuple)
CONDITIONS = st.lists(
    st.sampled_from(
        (
            when("StringEquals", "aws:PrincipalAccount", "444455556666"),
            when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/crm-app"),
            when("ArnNotEquals", "aws:PrincipalArn", APP),
            when("StringEquals", "aws:PrincipalOrgID", "o-1"),
            when("StringEquals", "kms:ViaService", "s3.eu-central-1.amazonaws.com"),
            when("Bool", "kms:GrantIsForAWSResource", "true"),
            when("StringEquals", "aws:PrincipalTag/x", "y"),
        )
    ),
    max_size=2,
).map(tuple)


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> Statement:
    chosen = effect or draw(st.sampled_from(("Allow", "Deny")))
    if draw(st.booleans()):
        return statement((), draw(WHAT), *draw(CONDITIONS), effect=chosen, not_principals=(draw(WHO),))
    return statement(draw(WHO), draw(WHAT), *draw(CONDITIONS), effect=chosen)


POLICY_RULES = st.sampled_from(
    [kind(account_iam=iam) for kind in (Policy, Separation) for iam in ("unread", "trusted")]
)
RANK = {Kind.FAIL: 0, Kind.INCONCLUSIVE: 1, Kind.PASS: 2}


@settings(max_examples=300, deadline=None)
@given(POLICY_RULES, st.lists(statements(), max_size=5), statements(effect="Deny"))
def test_a_deny_never_makes_things_worse(rule: Control, given_: list[Statement], deny: Statement) -> None:
    before = rule.judge(facts(aws_key(policies=only(*given_))))
    after = rule.judge(facts(aws_key(policies=only(*given_, deny))))
    assert RANK[after.kind] >= RANK[before.kind]


@settings(max_examples=300, deadline=None)
@given(POLICY_RULES, st.lists(statements(), max_size=5), statements(effect="Allow"))
def test_an_allow_never_makes_things_better(rule: Control, given_: list[Statement], allow: Statement) -> None:
    before = rule.judge(facts(aws_key(policies=only(*given_))))
    after = rule.judge(facts(aws_key(policies=only(*given_, allow))))
    assert RANK[after.kind] <= RANK[before.kind]


@settings(max_examples=200, deadline=None)
@given(st.lists(statements(), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_statements_changes_nothing(given_: list[Statement], random: object) -> None:
    shuffled = list(given_)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for rule in OF_KEYS:
        one, other = (facts(aws_key(policies=only(*each))) for each in (given_, shuffled))
        assert rule.judge(one) == rule.judge(other)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_grants_bindings_versions_and_uses_changes_nothing(order: list[int]) -> None:
    grants = (grant(), grant(id="b"), grant(id="c", grantee=OTHER), grant(id="d", operations=("CreateGrant",)))
    bindings = (binding("owner", APP), binding("viewer", OTHER), binding("x/y", APP), binding("cloudkms.admin", ADMIN))
    uses = (use(), use(tls_version="TLSv1.2"), use(principal=OTHER), use(source=None))
    trails = (
        trail(logging=False),
        trail(name="b", excludes_kms=True),
        trail(name="c", validation=False),
        trail(name="d", management="none"),
    )

    def mixed(items: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(items[index] for index in order)

    for rule in RULES:
        if rule in OF_KEYS:
            pairs = [
                (aws_key(grants=grants), aws_key(grants=mixed(grants))),
                (gcp_key(hierarchy=hierarchy(*bindings)), gcp_key(hierarchy=hierarchy(*mixed(bindings)))),  # type: ignore[arg-type]
            ]
            assert all(rule.judge(facts(one)) == rule.judge(facts(other)) for one, other in pairs)
        else:
            one = log(logging(*trails), events(*uses))
            other = log(logging(*mixed(trails)), events(*mixed(uses)))  # type: ignore[arg-type]
            assert rule.judge(one) == rule.judge(other)


def descriptions() -> Iterator[tuple[type[Control], str]]:
    for control in CONTROLS:
        for name in ("proves", "does_not_prove", "example", "__doc__"):
            yield control, name


@pytest.mark.parametrize(("control", "name"), list(descriptions()))
def test_every_control_says_what_it_proves_and_what_not(control: type[Control], name: str) -> None:
    assert getattr(control, name)
    assert control.sources
    assert control.section == "keys"


def test_twenty_controls_by_the_names_that_were_promised() -> None:
    assert {control.id for control in CONTROLS} == {
        "keys.customer-managed", "keys.origin", "keys.algorithm", "keys.protection", "keys.attestation",
        "keys.location", "keys.material-age", "keys.material-expiry", "keys.policy", "keys.grants",
        "keys.separation", "keys.deletion-window", "keys.logging", "keys.use", "keys.justifications",
        "keys.revocation", "keys.recovery", "keys.availability-copy", "keys.rotation", "keys.escrow",
    }  # fmt: skip
    assert len(CONTROLS) == 20


def test_every_parameter_can_be_tightened() -> None:
    for control in CONTROLS:
        assert set(control.tighteners()) == set(control.model_fields), control.id


def test_a_union_is_tightened_by_its_members() -> None:
    narrower = Tighter("subset")
    eu, de = (rule.model_validate({"jurisdiction": [code]}) for rule in (type(RULES[5]),) for code in ("EU", "DE"))
    assert narrower.allows(eu.jurisdiction, de.jurisdiction)  # type: ignore[attr-defined]


def test_controls_load_no_sdk_and_no_network_code() -> None:
    code = (
        "import sys; import probes.keys.controls; heavy = ('boto3', 'botocore', 'google', 'grpc', 'socket'); "
        "print([m for m in sys.modules if m.split('.')[0] in heavy[:4] or m.startswith(('probes.keys.aws.', "
        "'probes.keys.gcp.')) or m in ('probes.keys.aws', 'probes.keys.gcp')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT_DIR)
    assert done.stdout.strip() == "[]"

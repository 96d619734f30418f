"""The texts of key policies: everything is read as written, or the policy is refused whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.clouds.aws.reading import MalformedError
from probes.keys.aws.policy_text import MAX_BYTES, parse_policy
from probes.keys.aws_facts import Condition, PrincipalPattern

ALLOW = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}


def policy(*statements: object, **more: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def changed(**changes: object) -> dict[str, object]:
    return {name: value for name, value in {**ALLOW, **changes}.items() if value != "drop"}


def test_every_element_is_kept_as_written() -> None:
    (statement,) = parse_policy(
        policy(
            {
                "Sid": "Vendor",
                "Effect": "Deny",
                "Principal": {
                    "AWS": ["111122223333", "arn:aws:iam::111122223333:role/x"],
                    "Service": "s3.amazonaws.com",
                },
                "NotAction": ["kms:Describe*"],
                "NotResource": "*",
                "Condition": {
                    "StringEquals": {"kms:ViaService": ["s3.eu-central-1.amazonaws.com"], "kms:CallerAccount": "1"},
                    "Bool": {"aws:SecureTransport": False},
                    "NumericLessThan": {"kms:x": 5.50},
                },
            },
            Id="x",
        )
    )
    assert statement.sid == "Vendor"
    assert statement.effect == "Deny"
    assert statement.principals == (
        PrincipalPattern(type="AWS", value="111122223333"),
        PrincipalPattern(type="AWS", value="arn:aws:iam::111122223333:role/x"),
        PrincipalPattern(type="Service", value="s3.amazonaws.com"),
    )
    assert (statement.actions, statement.not_actions) == ((), ("kms:Describe*",))
    assert (statement.resources, statement.not_resources) == ((), ("*",))
    assert statement.conditions == (
        Condition(operator="StringEquals", key="kms:ViaService", values=("s3.eu-central-1.amazonaws.com",)),
        Condition(operator="StringEquals", key="kms:CallerAccount", values=("1",)),
        Condition(operator="Bool", key="aws:SecureTransport", values=("false",)),
        Condition(operator="NumericLessThan", key="kms:x", values=("5.5",)),
    )


@pytest.mark.parametrize(
    ("written", "type_"), [("*", "*"), ({"AWS": "*"}, "AWS"), ({"AWS": ["*"]}, "AWS"), ({"Service": "*"}, "Service")]
)
def test_anybody_is_recognisable_in_every_spelling(written: object, type_: str) -> None:
    (statement,) = parse_policy(policy(changed(Principal=written)))
    assert statement.principals == (PrincipalPattern(type=type_, value="*"),)


def test_a_single_statement_needs_no_list_and_no_resource() -> None:
    (statement,) = parse_policy(json.dumps({"Statement": changed(Resource="drop")}))
    assert statement.resources == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"Statement": []}',
        '{"Statement": [1]}',
        policy(ALLOW, Vesion="x"),
        policy(ALLOW, Version="2030-01-01"),
        policy(ALLOW, Id=["x"]),
        policy(changed(Effect="allow")),
        policy(changed(Effect="drop")),
        policy(changed(Principal="drop")),
        policy(changed(Principal=None)),
        policy(changed(Principal={})),
        policy(changed(Principal={"AWS": []})),
        policy(changed(Principal={"aws": "*"})),
        policy(changed(Principal={"AWS": {"a": "b"}})),
        policy(changed(Principal="arn:aws:iam::111122223333:root")),
        policy(changed(NotPrincipal={"AWS": "*"})),
        policy(changed(NotAction="kms:*")),
        policy(changed(NotResource="*")),
        policy(changed(Action="drop")),
        policy(changed(Action=[])),
        policy(changed(Action=["kms:*", ["kms:*"]])),
        policy(changed(Action="kms:\u0000*")),
        policy(changed(Resource="x" * 501)),
        policy(changed(Principals="*")),
        policy(changed(Sid=["x"])),
        policy(changed(Condition=[])),
        policy(changed(Condition={"StringEquals": {}})),
        policy(changed(Condition={"StringEquals": {"a": None}})),
        policy(changed(Condition={"StringEquals": {"a": {"b": "c"}}})),
        policy(ALLOW)[:-1],
        policy(ALLOW) + "x",
        policy(ALLOW).replace('"Effect"', '"Effect": "Deny", "Effect"'),
        policy(changed(Condition={"NumericEquals": {"a": float("nan")}})),
        policy(ALLOW) + " " * MAX_BYTES,
        "[" * 30_000,
        '{"Statement":' * 2_000,
    ],
)
def test_what_the_grammar_does_not_know_is_refused_whole(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_policy(text)


def test_a_refusal_never_quotes_a_value() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_policy(policy(changed(Action="hunter2" * 100)))
    assert "hunter2" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "X"]
)
VALUES = st.sampled_from(["Allow", "Deny", "*", {"AWS": "*"}, ["kms:*"], "kms:Decrypt", {"StringEquals": {"a": ["b"]}}])


@given(st.text(max_size=300))
def test_any_text_is_statements_or_malformed(text: str) -> None:
    with_reason(text)


@given(st.lists(st.dictionaries(KEYS, VALUES | JSON, max_size=6), max_size=3))
def test_any_document_is_statements_or_malformed(statements: list[object]) -> None:
    with_reason(policy(*statements))


def with_reason(text: str) -> None:
    try:
        statements = parse_policy(text)
    except MalformedError:
        pass
    else:
        assert statements
        assert all(statement.principals or statement.not_principals for statement in statements)
        assert all(statement.actions or statement.not_actions for statement in statements)

"""Random key policies: whoever the lab's evaluator lets in, the upper bound that keycheck reads from the policy names.

The two sides share no code: `keycheck.lab` decides one request at a time, `probes.keys` says who may ever do what.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Final

import pytest
from made_keys import LOOKED

from keycheck.lab.aws.policy import PolicyError, check_document, decide
from keycheck.lab.aws.seams import Access as Request
from keycheck.lab.aws.seams import Caller, Document
from probes.clouds.aws.reading import MalformedError
from probes.keys.aws.policy_text import parse_policy
from probes.keys.aws_actions import matches
from probes.keys.aws_facts import AwsPolicy
from probes.keys.aws_policy import Access, accesses
from probes.keys.aws_who import Sort
from probes.keys.principals import identity

CUSTOMER, VENDOR, STRANGER = "111122223333", "444455556666", "999988887777"
REGION: Final = "eu-central-1"
KEY: Final = f"arn:aws:kms:{REGION}:{CUSTOMER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PEOPLE: Final = (
    f"arn:aws:iam::{VENDOR}:role/crm-app",
    f"arn:aws:iam::{VENDOR}:role/team/crm-two",
    f"arn:aws:iam::{CUSTOMER}:role/key-admin",
    f"arn:aws:iam::{STRANGER}:role/thief",
    f"arn:aws:iam::{CUSTOMER}:user/bob",
)
ACTIONS: Final = (
    "kms:Decrypt", "kms:PutKeyPolicy", "kms:CreateGrant", "kms:GenerateDataKey", "kms:DescribeKey",
    "kms:ScheduleKeyDeletion",
)  # fmt: skip
SERVICE: Final = f"s3.{REGION}.amazonaws.com"
ANYTHING: Final[Document] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
SPELLED: Final = (
    *(("kms:*",), ("*",), ("kms:Dec*",), ("KMS:decrypt",), ("kms:Put*", "kms:Describe?ey"), ("kms:*Key*",)),
    *(("k*s:Decrypt",), ("*:*",), ACTIONS, *((action,) for action in ACTIONS)),
)
VALUES: Final = {
    "aws:PrincipalArn": (
        *PEOPLE,
        f"arn:aws:iam::{VENDOR}:role/*",
        "arn:aws:iam::*:role/crm-app",
        f"arn:aws:iam::{VENDOR}:role/*/crm-two",
        "*",
        "arn:aws:iam::${aws:PrincipalAccount}:role/crm-app",
        f"arn:aws:iam::{VENDOR}:role/CRM-app",
        f"arn:aws:iam::{STRANGER}:role/THIEF",
        f"arn:*:iam::{VENDOR}:role/crm-app",
    ),
    "aws:PrincipalAccount": (CUSTOMER, VENDOR, STRANGER, "4444*", "${aws:PrincipalAccount}", "*"),
    "kms:CallerAccount": (CUSTOMER, VENDOR, STRANGER, "*"),
    "kms:ViaService": (SERVICE, "*"),
    "aws:SourceIp": ("203.0.113.0/24",),
    "kms:EncryptionContext:tenant": ("acme", "*", "${aws:PrincipalAccount}"),
    "aws:CurrentTime": ("2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
    "kms:GrantIsForAWSResource": ("true", "false"),
    "aws:PrincipalTag/x": ("1",),
    "aws:userid": ("AROA:*",),
}
TEXT: Final = ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "StringEqualsIgnoreCase")
ARN: Final = ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike")
CONTEXTS: Final[tuple[dict[str, str], ...]] = ({}, {"tenant": "acme"}, {"tenant": CUSTOMER})


class Policies:
    """A source of random key policies."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def document(self) -> Document:
        version = self._one("2012-10-17", "2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17")
        return {"Version": version, "Statement": [self._statement() for _ in range(self._random.randint(1, 4))]}

    def _one(self, *items: str) -> str:
        return self._random.choice(items)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _statement(self) -> Document:
        resources = ("*",) * 8 + (KEY, "arn:aws:kms:*:*:key/*", f"arn:aws:kms:us-east-1:{CUSTOMER}:key/*")
        resource = "arn:aws:kms:*:${aws:PrincipalAccount}:key/*" if self._chance(0.08) else self._one(*resources)
        who = self._principal()
        spared = isinstance(who, dict) and who["AWS"] != "*" and self._chance(0.1)
        made: dict[str, object] = {
            "Effect": self._one("Allow", "Allow", "Deny"),
            "NotPrincipal" if spared else "Principal": who,
            "NotAction" if self._chance(0.12) else "Action": list(self._random.choice(SPELLED)),
            "NotResource" if self._chance(0.05) else "Resource": resource,
        }
        if self._chance(0.55):
            made["Condition"] = self._conditions()
        return made  # type: ignore[return-value]

    def _principal(self) -> object:
        if self._chance(0.3):
            return "*" if self._chance(0.6) else {"AWS": "*"}
        accounts = (CUSTOMER, VENDOR, STRANGER)
        sessions = (f"arn:aws:sts::{VENDOR}:assumed-role/crm-app/{name}" for name in "st")
        everyone = [*PEOPLE, *accounts, *(f"arn:aws:iam::{account}:root" for account in accounts), *sessions]
        return {"AWS": self._random.sample(everyone, self._random.choice((1, 1, 2)))}

    def _conditions(self) -> object:
        made: dict[str, dict[str, list[str]]] = {}
        for _ in range(self._random.choice((1, 1, 2, 3))):
            key = self._one(*VALUES)
            values = self._random.sample(VALUES[key], self._random.choice((1, 1, min(2, len(VALUES[key])))))
            operator, values = self._operator(key, values)
            made.setdefault(operator, {})[key] = values
        return made

    def _operator(self, key: str, values: list[str]) -> tuple[str, list[str]]:
        if self._chance(0.06):
            return "Null", [self._one("true", "false")]
        match key:
            case "aws:SourceIp":
                return self._one("IpAddress", "NotIpAddress"), values
            case "aws:CurrentTime":
                return self._one("DateLessThan", "DateGreaterThan"), values[:1]
            case "kms:GrantIsForAWSResource":
                return self._one("Bool", "BoolIfExists"), values
        operator = self._one(*TEXT, *(ARN if key == "aws:PrincipalArn" else ()))
        if self._chance(0.15):
            return f"{operator}IfExists", values
        many = self._one("ForAnyValue:", "ForAllValues:") if self._chance(0.12) else ""
        return f"{many}{operator}", values


def requests(document: Document) -> Iterator[tuple[Request, bool]]:
    """Every request that is tried, and whether the lab lets it."""
    for arn in PEOPLE:
        account, name = arn.split(":")[4], arn.rpartition("/")[2]
        session = f"arn:aws:sts::{account}:assumed-role/{name}/s" if ":role/" in arn else arn
        for via in (None, SERVICE):
            caller = Caller(account, session, arn, "AKIALAB", (ANYTHING,), via=via)
            for action in ACTIONS:
                told = (
                    {"kms:GrantIsForAWSResource": (str(via is not None).lower(),)} if action.endswith("Grant") else {}
                )
                for context in CONTEXTS:
                    request = Request(caller, action, KEY, CUSTOMER, REGION, LOOKED, context, told)
                    yield request, decide(request, key_policies=(document,), grants=()).allowed


def covers(access: Access, request: Request) -> bool:
    who, caller = access.who, request.caller
    if request.action.removeprefix("kms:") not in access.actions:
        return False
    if access.for_services == "yes" and caller.via is None:
        return False
    match who.sort:
        case Sort.EVERYBODY | Sort.UNCLEAR | Sort.ORGANIZATION:
            return True
        case Sort.ACCOUNT | Sort.WHOLE_ACCOUNT:
            return who.account == caller.account
        case Sort.MATCHING:
            return matches(who.value, caller.principal, any_case=True)
        case Sort.NAMED:
            return identity(who.value) == identity(caller.principal)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_let_in_who_is_not_named(seed: int) -> None:
    policies, let_in, named = Policies(seed), 0, 0
    for _ in range(150):
        document = policies.document()
        text = json.dumps(document)
        try:
            check_document(text)
            statements = parse_policy(text)
        except (PolicyError, MalformedError):
            continue
        found = accesses((AwsPolicy(name="default", sha256=None, statements=statements),), KEY, LOOKED)
        for request, allowed in requests(document):
            covered = any(covers(access, request) for access in found)
            assert covered or not allowed, (request, text, [str(access.who) for access in found])
            let_in, named = let_in + allowed, named + covered
    # Naming everybody always would pass too.
    assert let_in > 500
    assert named < 6 * let_in

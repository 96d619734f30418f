"""The lab's policy evaluation against ministack's with its authorization switched on, on generated policies.

ministack 1.5.33 (MIT) enforces IAM and key policies under AUTH=true, and KMS calls go through the same function as all
others (`iam_evaluator.enforce`, with a key policy marked as required). It is asked twice:

- broadly, by calling `enforce` in its own interpreter with the caller, the policies and the time put in its place. That
  compares the evaluation of statements and conditions and how key policy, identity policies and organization join.
- narrowly, as a server on 127.0.0.1, beside the lab's cloud: the same users, roles, policies and boto3 calls to both.
  That compares the way from a signed request to an action, a resource and condition keys as well.

Not compared, because ministack does not have it: grants, condition keys of KMS as a server fills them in, and keys that
another account calls (each of its accounts is a separate KMS; `enforce` itself knows of owners and is asked).

Every disagreement must be explained by a named exception, and is asked again without what the exception is about.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.conditions import context_of
from keycheck.lab.aws.policy import FULL_ACCESS, decide
from keycheck.lab.aws.seams import Access, Caller, Document, Json

from .generated_policies import (
    ALICE,
    CALLERS,
    CONTEXTS,
    KEY,
    NOW,
    OWNER,
    PRINCIPALS,
    RESOURCES,
    ROLE,
    ROOT,
    SESSION,
    TESTS,
    VENDOR,
    Words,
    crosscheck_python,
    some_access,
    some_policy,
)

OPS, OPS_SESSION = f"arn:aws:iam::{OWNER}:role/ops", f"arn:aws:sts::{OWNER}:assumed-role/ops/keycheck"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Asked:
    """One question to both: may the caller of `access` do that under this key policy?"""

    key_policy: Document
    access: Access
    organization: tuple[Document, ...] = ()


Evaluator: TypeAlias = Callable[[Sequence[Asked]], list[bool]]


# Comparison: agreement, or an exception by name.


def _keys(statement: Mapping[str, Any]) -> set[str]:
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


ABOUT_STATEMENTS: Mapping[str, Callable[[Mapping[str, Any], Access], bool]] = {
    # "For IAM roles, the request context returns the ARN of the role, not the ARN of the user that assumed the role"
    # (Global condition context keys, aws:PrincipalArn). ministack gives the ARN of the session. The lab is right.
    "aws:PrincipalArn of a session": lambda statement, access: (
        "aws:PrincipalArn" in _keys(statement) and access.caller.arn != access.caller.principal
    ),
    # "You can use policy variables in the Resource element and in string comparisons in the Condition element" (Policy
    # elements: Variables and tags). ministack takes them for text. The lab is right.
    "policy variables": lambda statement, access: "${" in json.dumps(statement),
    # "Each of the six colon-delimited components of the ARN is checked separately" (Condition operators, Arn).
    # ministack's `*` runs across colons. The lab is right.
    "ArnLike with fewer than six parts": lambda statement, access: any(
        str(value).count(":") < 5
        for operator, keys in statement.get("Condition", {}).items()
        for value in keys.values()
        if operator.startswith("Arn")
    ),
    # A Deny with NotPrincipal applies to all but the named (Policy elements: NotPrincipal). ministack never matches
    # one, by its own account because it does not support the form. The lab is right.
    "NotPrincipal": lambda statement, access: "NotPrincipal" in statement,
    # Neither knows the operator or key; AWS refuses such operators when the policy is put. ministack's statement does
    # not match, the lab's denies: it must never be more generous than what it cannot judge.
    "unknown operators and keys": lambda statement, access: (
        "aws:MoonPhase" in _keys(statement) or "StringSoundsLike" in statement.get("Condition", {})
    ),
    # "One of the W3C implementations of the ISO 8601 date formats or in epoch (UNIX) time" (Condition operators, Date):
    # four digits are both a year and seconds of 1970. The lab assumes the year, ministack the seconds.
    "a date that is a year": lambda statement, access: any(
        value == "2027" for keys in statement.get("Condition", {}).values() for value in keys.values()
    ),
}


def _names(asked: Asked) -> bool:
    """Whether the key policy names the very user or session that calls."""
    names = [json.dumps(statement.get("Principal")) for statement in _statements(asked.key_policy)]
    return any(f'"{asked.access.caller.arn}"' in name for name in names)


ABOUT_CALLS: Mapping[str, Callable[[Asked], bool]] = {
    # A key policy must let even the root user in, and an explicit Deny stops it (Key policies in AWS KMS). ministack
    # lets a root user pass before it looks at any policy. The lab is right.
    "root user": lambda asked: asked.access.caller.arn.endswith(":root"),
    # "Cross-account use: No" on the API page of PutKeyPolicy. ministack has no such list. The lab is right.
    "an action that no other account may call": lambda asked: (
        asked.access.action == "kms:PutKeyPolicy" and asked.access.caller.account != OWNER
    ),
    # ministack models no organization, so its policies are handed over as a permissions boundary, and a key policy that
    # names the user or session goes past a boundary. It cannot go past an organization: SCPs limit all principals of
    # the account. The lab is right.
    "organization taken for a boundary": lambda asked: bool(asked.organization) and _names(asked),
}
"""Here the lab is the narrower of the two: a disagreement the other way is not explained."""


def _statements(document: Document) -> list[Mapping[str, Any]]:
    return list(document["Statement"])  # type: ignore[arg-type]


def _stripped(asked: Asked) -> tuple[Asked, list[str]]:
    """The question without the statements that exceptions are about, and the names of those."""
    names: list[str] = []

    def strip(document: Document) -> Document:
        kept = []
        for statement in _statements(document):
            about = [name for name, applies in ABOUT_STATEMENTS.items() if applies(statement, asked.access)]
            names.extend(about)
            if not about:
                kept.append(statement)
        nothing = {"Effect": "Deny", "Action": "kms:TagResource", "Resource": "*"}  # a policy needs a statement
        told = [{**nothing, "Principal": "*"}] if document is asked.key_policy else [nothing]
        return {**document, "Statement": kept or told}

    caller = replace(asked.access.caller, policies=tuple(map(strip, asked.access.caller.policies)))
    organization = tuple(map(strip, asked.organization))
    return Asked(strip(asked.key_policy), replace(asked.access, caller=caller), organization), names


def compare(asked: Sequence[Asked], ours: Evaluator, theirs: Evaluator) -> Counter[str]:
    """Outcomes by name. Raises AssertionError on a disagreement that no exception explains."""
    outcomes: Counter[str] = Counter()
    again: list[Asked] = []

    def tally(asked: Sequence[Asked]) -> Iterator[tuple[Asked, bool]]:
        for question, mine, other in zip(asked, ours(asked), theirs(asked), strict=True):
            if mine == other:
                outcomes[f"agree: {'allowed' if mine else 'denied'}"] += 1
                continue
            calls = [name for name, applies in ABOUT_CALLS.items() if applies(question)]
            if calls and other and not mine:
                outcomes[f"disagree: {calls[0]}"] += 1
                continue
            yield question, mine

    for question, mine in tally(asked):
        rest, names = _stripped(question)
        assert names, f"unexplained: the lab says {mine} to {question}"
        outcomes[f"disagree: {names[0]}"] += 1
        again.append(rest)
    before = Counter(outcomes)
    for question, mine in tally(again):
        raise AssertionError(f"unexplained by what was left out: the lab says {mine} to {question}")
    outcomes = before
    outcomes["no exception applies, all agree"] = sum(
        not _stripped(question)[1] and not any(applies(question) for applies in ABOUT_CALLS.values())
        for question in asked
    )
    return outcomes


def _report(outcomes: Counter[str], record_property: Callable[[str, object], None]) -> None:
    for name, count in sorted(outcomes.items()):
        record_property(name, count)
    print(dict(sorted(outcomes.items())))


@pytest.fixture(scope="module")
def interpreter() -> str:
    found = crosscheck_python()
    if found is None:
        pytest.skip("no .crosscheck environment with ministack: `make test` makes it")
    return found


# Broadly: the evaluator by itself.

RARE: Sequence[tuple[str, str, Json]] = (
    ("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}"),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:*"),
    ("StringSoundsLike", "aws:PrincipalAccount", OWNER),
    ("StringEqualsIfExists", "aws:MoonPhase", "full"),
    ("DateGreaterThan", "aws:CurrentTime", "2027"),
    ("ArnEquals", "aws:PrincipalArn", ALICE),
)
MORE: Sequence[tuple[str, str, Json]] = (
    *(item for item in TESTS if item[1] != "aws:PrincipalArn"),
    ("StringNotEqualsIgnoreCase", "kms:EncryptionContext:TENANT", ["ACME", "x"]),
    ("ForAnyValue:StringNotEquals", "kms:EncryptionContextKeys", ["tenant"]),
    ("ForAllValues:StringLike", "kms:EncryptionContextKeys", ["t*", "f????"]),
    ("ForAllValues:StringNotEquals", "kms:EncryptionContextKeys", ["field"]),
    ("ForAnyValue:StringLikeIfExists", "kms:EncryptionContextKeys", ["fie*"]),
    ("NumericNotEquals", "aws:EpochTime", ["1", "1795341600.0"]),
    ("NumericGreaterThan", "aws:EpochTime", 1795341599),
    ("NumericLessThanEqualsIfExists", "kms:ScheduleKeyDeletionPendingWindowInDays", "7"),
    ("DateEquals", "aws:CurrentTime", "2026-11-22T12:00:00+02:00"),
    ("DateNotEquals", "aws:CurrentTime", ["2026-11-22T10:00:00Z", "2026-11-23"]),
    ("DateGreaterThanEquals", "aws:CurrentTime", "2026-11-22"),
    ("DateLessThan", "aws:EpochTime", "1795341601"),
    ("DateLessThan", "aws:CurrentTime", "2026-11-22T09:45:00Z"),
    ("Bool", "aws:SecureTransport", False),
    ("BoolIfExists", "kms:GrantIsForAWSResource", "true"),
    ("NotIpAddress", "aws:SourceIp", ["2001:db8::/32", "198.51.100.1"]),
    ("IpAddress", "aws:SourceIp", "203.0.113.10"),
    ("StringEquals", "aws:PrincipalType", ["User", "Account"]),
    ("StringLike", "aws:PrincipalType", "AssumedRole"),
    ("StringEquals", "aws:username", ["alice", "Bob"]),
    ("StringNotLikeIfExists", "aws:username", "ali*"),
    ("StringEquals", "aws:RequestedRegion", REGION),
    ("StringNotEquals", "aws:ResourceAccount", VENDOR),
    ("StringEquals", "AWS:principalaccount", [VENDOR, "x"]),
    ("StringEquals", "kms:ViaService", "s3.eu-central-1.amazonaws.com"),
    ("Null", "kms:ViaService", "true"),
    ("Null", "aws:username", "false"),
)
BROAD = Words(
    plain=MORE,
    tests=RARE,
    principals=(*PRINCIPALS, {"AWS": [SESSION, OPS]}, {"AWS": OPS_SESSION}, {"AWS": VENDOR}, {"AWS": [ALICE, ROOT]}),
    actions=("*", "kms:*", "kms:Decrypt", "KMS:De*", ["kms:CreateGrant", "kms:?ecrypt"], "kms:*Key*", "s3:*"),
    resources=(*RESOURCES, KEY.upper()),
)
EVERYONE = (*CALLERS * 5, *((OPS_SESSION, OPS),) * 8, (ROOT, ROOT))
ACTIONS = ("kms:Decrypt", "kms:Decrypt", "kms:Decrypt", "kms:CreateGrant", "kms:PutKeyPolicy")
BROAD_CASES = 2000

CHILD = r"""
import datetime, json, sys, types
from ministack.core import iam_evaluator as ev

given = json.load(sys.stdin)

class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromisoformat(given["now"]).astimezone(tz)

ev._dt = types.SimpleNamespace(datetime=Clock, timezone=datetime.timezone)
ev.pin_request_origin(given["source"], True)
ev.authenticate = lambda access_key_id, account_id: None
exec(given["doctor"])
answers = []
for case in given["cases"]:
    parsed = [ev.parse_policy_document(document) for document in case["identity"]]
    limits = [[ev.parse_policy_document(document) for document in case["organization"]]] if case["organization"] else []
    caller = ev.PrincipalInfo(case["arn"], case["type"], case["account"], parsed, case["keys"], limits)
    if case["type"] == "Root":
        caller.policies = None
    ev.resolve_principal = lambda *_: caller
    ev._resource_policy = lambda service, arn: (json.dumps(case["key_policy"]), case["owner"])
    refused = ev.enforce("AKIAEXAMPLE", case["action"], "kms", case["region"], case["resource"], case["context"])
    answers.append(refused is None)
json.dump(answers, sys.stdout)
"""


def _kind(caller: Caller) -> str:
    if ":assumed-role/" in caller.arn:
        return "AssumedRole"
    return "Root" if caller.arn.endswith(":root") else "User"


def _case(asked: Asked) -> dict[str, object]:
    access, caller = asked.access, asked.access.caller
    # What the service and the caller's credentials say; what ministack derives by itself is left to it.
    told = context_of(access)
    context = {
        key: list(values) if key == "kms:encryptioncontextkeys" else values[0]
        for key, values in told.values.items()
        if key.startswith("kms:") or key == "aws:viaawsservice"
    }
    return {
        "key_policy": asked.key_policy,
        "organization": asked.organization,
        "identity": caller.policies,
        "arn": caller.arn,
        "type": _kind(caller),
        "account": caller.account,
        "keys": {"aws:username": told.get("aws:username")[0]} if told.get("aws:username") else {},
        "action": access.action,
        "resource": access.resource,
        "owner": access.account,
        "region": access.region,
        "context": context,
    }


def _evaluator(interpreter: str, doctor: str = "") -> Evaluator:
    def ask(asked: Sequence[Asked]) -> list[bool]:
        told = {
            "now": NOW.isoformat(),
            "source": Caller("", "", "", "").source,
            "doctor": doctor,
            "cases": [_case(item) for item in asked],
        }
        run = subprocess.run(
            [interpreter, "-c", CHILD], check=False, input=json.dumps(told), capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stderr[-2000:]
        return list(json.loads(run.stdout))

    return ask


def _decide(asked: Sequence[Asked]) -> list[bool]:
    return [
        decide(item.access, key_policies=[item.key_policy], grants=[], organization=item.organization).allowed
        for item in asked
    ]


def _spare(chance: random.Random, document: Document) -> Document:
    """`document`, where one Deny in six names whom it spares instead."""
    told = []
    for statement in _statements(document):
        if statement["Effect"] == "Deny" and chance.random() < 1 / 6:
            statement = {key: value for key, value in statement.items() if key != "Principal"}
            statement = {**statement, "NotPrincipal": {"AWS": [ALICE, OWNER, ROLE, SESSION]}}
        told.append(statement)
    return {**document, "Statement": told}


def _broad(count: int) -> list[Asked]:
    chance = random.Random(20261122)
    asked = []
    for _ in range(count):
        identity = [some_policy(chance, 2, False, BROAD) for _ in range(chance.choice((0, 1, 1, 2)))]
        identity += chance.choice(((), (), (FULL_ACCESS,)))
        access = some_access(chance, *identity, callers=EVERYONE, action=chance.choice(ACTIONS))
        key_policy = _spare(chance, some_policy(chance, 4, True, BROAD))
        limits = chance.choice(((), (), (), (FULL_ACCESS,), (some_policy(chance, 2, False, BROAD),)))
        asked.append(Asked(key_policy, access, limits))
    return asked


def _single() -> list[Asked]:
    """Every condition by itself, as what an Allow and what a Deny depends on."""
    asked = []
    everybody: dict[str, Json] = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    for (arn, principal), context, (operator, key, value) in product(CALLERS[::2], CONTEXTS, (*MORE, *RARE)):
        who = Caller(principal.split(":")[4], arn, principal, "", (FULL_ACCESS,))
        access = Access(who, "kms:Decrypt", KEY, OWNER, REGION, NOW, context)
        block: dict[str, Json] = {"Condition": {operator: {key: value}}}
        policies = [{**everybody, **block}], [everybody, {**everybody, **block, "Effect": "Deny"}]
        asked += [Asked({"Version": "2012-10-17", "Statement": listed}, access) for listed in policies]
    return asked


def test_generated_policies_against_the_evaluator(
    interpreter: str, record_property: Callable[[str, object], None]
) -> None:
    theirs = _evaluator(interpreter)
    asked = _single()
    single = compare(asked, _decide, theirs)
    assert min(single["agree: allowed"], single["agree: denied"]) >= 0.4 * len(asked)
    broad = compare(_broad(BROAD_CASES), _decide, theirs)
    assert broad["no exception applies, all agree"] >= 0.5 * BROAD_CASES
    assert broad["agree: allowed"] >= 0.1 * BROAD_CASES
    assert broad["agree: allowed"] + broad["agree: denied"] >= 0.9 * BROAD_CASES
    print("every condition by itself:", dict(sorted(single.items())))
    _report(single + broad, record_property)
    unused = {name for name in (*ABOUT_STATEMENTS, *ABOUT_CALLS) if not (single + broad)[f"disagree: {name}"]}
    assert not unused, "an exception that explains nothing has to go"


@pytest.mark.parametrize(
    "doctor",
    [
        pytest.param(
            "first = ev._first_match\n"
            "ev._first_match = lambda ctx, stmts, effect: first(ctx, stmts, effect) if effect == 'Allow' else None",
            id="no-deny",
        ),
        pytest.param("ev._POLICY_REQUIRED = frozenset()", id="identity-policies-suffice"),
        pytest.param("ev._names_caller = lambda principal, caller: True", id="accounts-need-no-identity-policy"),
        pytest.param("ev._NEGATED_OPS = frozenset()", id="negation-of-any-value"),
        pytest.param("ev.fnmatch_iam_cs = ev.fnmatch_iam", id="resources-ignore-case"),
        pytest.param("ev._CONDITION_OPS['datelessthan'] = lambda a, e: True", id="no-expiry"),
        pytest.param(
            "found = ev._resolve_condition_key\n"
            "ev._resolve_condition_key = lambda k, c: None if 'context:tenant' in k.lower() else found(k, c)",
            id="no-encryption-context",
        ),
    ],
)
def test_a_doctored_evaluator_is_noticed(interpreter: str, doctor: str) -> None:
    with pytest.raises(AssertionError, match="unexplained"):
        compare([*_single(), *_broad(BROAD_CASES // 2)], _decide, _evaluator(interpreter, doctor))


# Narrowly: the running services, asked by boto3.

NARROW = Words(
    plain=(
        ("StringEquals", "aws:PrincipalAccount", [OWNER]),
        ("StringNotEquals", "aws:PrincipalAccount", OWNER),
        ("StringEquals", "aws:username", ["alice", "x"]),
        ("StringNotLike", "aws:username", "ali*"),
        ("StringLike", "aws:PrincipalType", "Assumed*"),
        ("StringEquals", "aws:RequestedRegion", REGION),
        ("IpAddress", "aws:SourceIp", ["198.51.100.0/24", "127.0.0.0/8"]),
        ("NotIpAddress", "aws:SourceIp", "127.0.0.1/32"),
        ("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
        ("DateGreaterThan", "aws:CurrentTime", "2020-01-01"),
        ("NumericGreaterThan", "aws:EpochTime", "1600000000"),
        ("Null", "aws:username", "true"),
    ),
    tests=(
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*"),
        ("ArnNotEquals", "aws:PrincipalArn", [ALICE, OPS]),
    ),
    principals=(
        "*",
        {"AWS": ROOT},
        {"AWS": ROOT},
        {"AWS": OWNER},
        {"AWS": [ALICE, OPS]},
        {"AWS": OPS},
        {"AWS": ALICE},
        {"AWS": [OPS_SESSION, f"arn:aws:iam::{VENDOR}:root"]},
        {"Service": "s3.amazonaws.com"},
    ),
    actions=("*", "kms:*", "kms:Decrypt", "KMS:De*", ["kms:Encrypt", "kms:?ecrypt"], "kms:GenerateDataKey*"),
    resources=("*", f"arn:aws:kms:{REGION}:{OWNER}:key/*", "arn:aws:kms:*:*:*", "arn:aws:kms:us-east-1:*:key/*"),
)
CALLS = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:ListKeys")
NARROW_CASES = 40
CONTEXT = {"tenant": "canary-7"}
ADMIN = f"arn:aws:iam::{OWNER}:user/admin"


class Service:
    """A cloud under test: alice and a session of the role ops, whose policies change, and an administrator."""

    def __init__(self, url: str, admin: tuple[str, str], keys: Mapping[str, tuple[str, str]]) -> None:
        self._url = url
        self._stack = ExitStack()
        self.admin = self.client("kms", *admin)
        self._sealed: dict[str, tuple[str, bytes]] = {}
        role = self.client("sts", *keys[ADMIN]).assume_role(RoleArn=OPS, RoleSessionName="keycheck")["Credentials"]
        self.callers = {
            ALICE: self.client("kms", *keys[ALICE]),
            OPS_SESSION: self.client("kms", role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"]),
        }

    def client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:  # a client of any service
        made = boto3.client(  # type: ignore[call-overload]
            service,
            region_name=REGION,
            endpoint_url=self._url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )
        self._stack.callback(made.close)
        return made

    def close(self) -> None:
        self._stack.close()

    def put_identity(self, arn: str, policy: Document) -> None:
        """Make `policy` the only identity policy of alice or of the role."""
        raise NotImplementedError

    def _key(self, policy: Document) -> tuple[str, bytes]:
        """A key with this policy and a ciphertext of it."""
        text = json.dumps(policy)
        if text not in self._sealed:
            key = self.admin.create_key()["KeyMetadata"]["Arn"]
            sealed = self.admin.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
            self.admin.put_key_policy(KeyId=key, Policy=text, BypassPolicyLockoutSafetyCheck=True)
            self._sealed[text] = key, sealed
        return self._sealed[text]

    def __call__(self, asked: Sequence[Asked]) -> list[bool]:
        return [self._ask(item) for item in asked]

    def _ask(self, asked: Asked) -> bool:
        who = asked.access.caller
        key, sealed = self._key(asked.key_policy)
        self.put_identity(who.principal, who.policies[0])
        kms = self.callers[who.arn]
        try:
            match asked.access.action:
                case "kms:Decrypt":
                    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)["Plaintext"] == b"x"
                case "kms:Encrypt":
                    kms.encrypt(KeyId=key, Plaintext=b"x")
                case "kms:GenerateDataKey":
                    kms.generate_data_key(KeyId=key, KeySpec="AES_256")
                case "kms:DescribeKey":
                    kms.describe_key(KeyId=key)
                case _:
                    kms.list_keys()
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            return False
        return True


class Ours(Service):
    def __init__(self, cloud: AwsCloud) -> None:
        self._directory = cloud.directory
        made = {
            arn: cloud.directory.add_user(arn, policies=[FULL_ACCESS], source="127.0.0.1") for arn in (ADMIN, ALICE)
        }
        cloud.directory.add_role(OPS, trusts=[ADMIN], source="127.0.0.1")
        keys = {arn: (given.access_key_id, given.secret) for arn, given in made.items()}
        super().__init__(cloud.url, keys[ADMIN], keys)

    def put_identity(self, arn: str, policy: Document) -> None:
        self._directory.set_policies(arn, [policy])


class Theirs(Service):
    def __init__(self, url: str) -> None:
        self._url, self._stack = url, ExitStack()
        root = (OWNER, "test")  # ministack takes an account's number for the key of its root user
        self._iam = self.client("iam", *root)
        keys = {}
        for arn in (ADMIN, ALICE):
            name = arn.rpartition("/")[2]
            self._iam.create_user(UserName=name)
            given = self._iam.create_access_key(UserName=name)["AccessKey"]
            keys[arn] = given["AccessKeyId"], given["SecretAccessKey"]
        self.put_identity(ADMIN, FULL_ACCESS)
        trust = {"Effect": "Allow", "Principal": {"AWS": ADMIN}, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        self._iam.create_role(RoleName="ops", AssumeRolePolicyDocument=json.dumps(document))
        super().__init__(url, root, keys)

    def put_identity(self, arn: str, policy: Document) -> None:
        name, text = arn.rpartition("/")[2], json.dumps(policy)
        if ":role/" in arn:
            self._iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=text)
        else:
            self._iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=text)


@contextmanager
def _ministack(interpreter: str, home: Path, *, authorization: bool = True) -> Iterator[str]:
    """The URL of a server that is given its socket, so that it listens on 127.0.0.1 and nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "TMPDIR": str(home),
            "AUTH": str(authorization).lower(),
            "MINISTACK_ACCOUNT_ID": OWNER,
            "SERVICES": "kms,iam,sts",
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            # Both would listen on all addresses, on ports of their own; and containers of this machine are not its own.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{home / 'no-docker.sock'}",
        }
        bind = f"fd://{listening.fileno()}"
        with (home / "ministack.log").open("wb") as log:
            server = subprocess.Popen(
                [interpreter, "-m", "hypercorn", "ministack.app:app", "--workers", "0", "--bind", bind],
                cwd=home,
                env=environment,
                pass_fds=(listening.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    try:
        deadline = time.monotonic() + 15
        while b"Ready" not in (home / "ministack.log").read_bytes():
            assert server.poll() is None, (home / "ministack.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "ministack did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


def _narrow(count: int) -> list[Asked]:
    chance = random.Random(20261122)
    asked = []
    for _ in range(count):
        key_policy = some_policy(chance, 4, True, NARROW)
        for arn, principal in ((ALICE, ALICE), (OPS_SESSION, OPS)):
            identity = chance.choice((FULL_ACCESS, some_policy(chance, 2, False, NARROW)))
            who = Caller(OWNER, arn, principal, "", (identity,))
            asked += [Asked(key_policy, Access(who, call, KEY, OWNER, REGION, NOW)) for call in CALLS]
    return asked


@contextmanager
def _both(interpreter: str, home: Path, *, authorization: bool = True) -> Iterator[tuple[Service, Service]]:
    with (
        _ministack(interpreter, home, authorization=authorization) as url,
        AwsCloud(clock=lambda: datetime.now(UTC)) as cloud,
        ExitStack() as stack,
    ):
        ours, theirs = Ours(cloud), Theirs(url)
        stack.callback(ours.close)
        stack.callback(theirs.close)
        yield ours, theirs


@pytest.mark.slow
def test_generated_policies_against_the_server(
    interpreter: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    asked = _narrow(NARROW_CASES)
    with _both(interpreter, tmp_path) as (ours, theirs):
        outcomes = compare(asked, ours, theirs)
    _report(outcomes, record_property)
    assert outcomes["no exception applies, all agree"] >= 0.7 * len(asked)
    assert outcomes["agree: allowed"] >= 0.15 * len(asked)
    assert outcomes["agree: allowed"] + outcomes["agree: denied"] >= 0.9 * len(asked)


@pytest.mark.slow
def test_a_server_that_authorizes_nothing_is_noticed(interpreter: str, tmp_path: Path) -> None:
    with (
        _both(interpreter, tmp_path, authorization=False) as (ours, theirs),
        pytest.raises(AssertionError, match="unexplained: the lab says False"),
    ):
        compare(_narrow(4), ours, theirs)

"""Generated key policies, identity policies and questions to them, for tests that ask several evaluators."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keycheck.lab.aws.seams import Access, Caller, Document, Json

OWNER, VENDOR = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-central-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT, ALICE = f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{OWNER}:user/alice"
ROLE, SESSION = f"arn:aws:iam::{VENDOR}:role/app/crm", f"arn:aws:sts::{VENDOR}:assumed-role/crm/worker-1"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CALLERS = ((ALICE, ALICE), (f"{ALICE}2", f"{ALICE}2"), (SESSION, ROLE))
PRINCIPALS: Sequence[Json] = (
    "*",
    {"AWS": "*"},
    {"AWS": ROOT},
    {"AWS": OWNER},
    {"AWS": [ALICE, ROLE]},
    {"AWS": ROLE},
    {"AWS": f"arn:aws:iam::{VENDOR}:root"},
    {"Service": "s3.amazonaws.com"},
)
ACTIONS: Sequence[Json] = (
    "*",
    "kms:*",
    "kms:Decrypt",
    "KMS:De*",
    "kms:Encrypt",
    ["kms:Encrypt", "kms:?ecrypt"],
    "s3:*",
)
RESOURCES: Sequence[Json] = ("*", KEY, f"{KEY}0", "arn:aws:kms:*:*:key/*", [f"{KEY}0", f"arn:aws:kms:*:{OWNER}:*"])
TENANT, NONE = "kms:EncryptionContext:tenant", "kms:EncryptionContext:none"
TESTS: Sequence[tuple[str, str, Json]] = (
    ("StringEquals", TENANT, "acme"),
    ("StringEquals", TENANT, ["ACME", "other"]),
    ("StringNotEquals", TENANT, ["acme", "other"]),
    ("StringLike", TENANT, "ac*"),
    ("StringNotLike", TENANT, "a?me"),
    ("StringEqualsIgnoreCase", TENANT, "ACME"),
    ("StringEquals", NONE, "x"),
    ("StringNotEquals", NONE, "x"),
    ("StringEqualsIfExists", NONE, "x"),
    ("StringNotLikeIfExists", TENANT, "b*"),
    ("ArnLike", "aws:PrincipalArn", ["arn:aws:iam::*:user/*", "arn:aws:iam::*:group/*"]),
    ("ArnEquals", "aws:PrincipalArn", ALICE),
    ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*"),
    ("Bool", "aws:SecureTransport", "true"),
    ("Bool", "aws:ViaAWSService", "true"),
    ("Null", NONE, "true"),
    ("Null", TENANT, "true"),
    ("NumericLessThan", "aws:EpochTime", "1795341601"),
    ("NumericGreaterThanEquals", "aws:EpochTime", "1795341601"),
    ("NumericEquals", "aws:EpochTime", ["1", "1795341600"]),
    ("DateLessThan", "aws:CurrentTime", "2026-11-22T10:15:00Z"),
    ("DateGreaterThan", "aws:CurrentTime", "2026-11-22T10:15:00Z"),
    ("DateLessThanEquals", "aws:CurrentTime", "2026-11-22T11:00:00+01:00"),
    ("IpAddress", "aws:SourceIp", ["198.51.100.0/24", "203.0.113.0/24"]),
    ("NotIpAddress", "aws:SourceIp", "203.0.113.0/28"),
    ("StringEquals", "kms:CallerAccount", [OWNER]),
    ("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", ["tenant", "x"]),
    ("ForAllValues:StringEquals", "kms:EncryptionContextKeys", ["tenant"]),
)
CONTEXTS: Sequence[Mapping[str, str]] = ({}, {"tenant": "acme"}, {"tenant": "acme", "field": "phone"}, {"tenant": "b"})


@dataclass(frozen=True)
class Words:
    """What policies are made of: most conditions come from `plain`, one in ten statements draws from `tests`."""

    plain: Sequence[tuple[str, str, Json]]
    tests: Sequence[tuple[str, str, Json]] = TESTS
    principals: Sequence[Json] = PRINCIPALS
    actions: Sequence[Json] = ACTIONS
    resources: Sequence[Json] = RESOURCES


def crosscheck_python() -> str | None:
    """The interpreter of the environment with programs that are not ours."""
    python = Path(__file__).parents[4] / ".crosscheck" / "bin" / "python"
    return str(python) if python.exists() else None


def some_block(chance: random.Random, tests: Sequence[tuple[str, str, Json]]) -> dict[str, dict[str, Json]]:
    block: dict[str, dict[str, Json]] = {}
    for operator, key, value in chance.sample(tests, chance.choice((0, 0, 1, 1, 2))):
        block.setdefault(operator, {})[key] = value
    return block


def some_statement(chance: random.Random, named: bool, words: Words) -> dict[str, Json]:
    """A statement of a key policy (`named`: with a principal) or of an identity policy."""
    told: dict[str, Json] = {"Effect": chance.choice(("Allow", "Allow", "Allow", "Allow", "Deny"))}
    told[chance.choice(("Action", "Action", "Action", "NotAction"))] = chance.choice(words.actions)
    told[chance.choice(("Resource", "Resource", "Resource", "NotResource"))] = chance.choice(words.resources)
    if named:
        told["Principal"] = chance.choice(words.principals)
    block = some_block(chance, words.plain if chance.random() < 0.9 else words.tests)
    return {**told, "Condition": block} if block else told


def some_policy(chance: random.Random, most: int, named: bool, words: Words) -> Document:
    """A policy of one to `most` statements."""
    return {
        "Version": "2012-10-17",
        "Statement": [some_statement(chance, named, words) for _ in range(chance.randint(1, most))],
    }


def some_access(
    chance: random.Random,
    *policies: Document,
    callers: Sequence[tuple[str, str]] = CALLERS,
    action: str = "kms:Decrypt",
) -> Access:
    """A question by one of `callers` (ARN, and what policies name) with these identity policies."""
    arn, principal = chance.choice(callers)
    who = Caller(principal.split(":")[4], arn, principal, "AKIAEXAMPLE", policies)
    return Access(who, action, KEY, OWNER, "eu-central-1", NOW, chance.choice(CONTEXTS))

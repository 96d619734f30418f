"""The lab's policy evaluation against evaluators that are not ours, on generated policies.

What ministack says to whole calls is compared in test_aws_policy_ministack.py. Asked here, for smaller parts:

- `zeuscloud-iamspy` 0.8 (Apache-2.0) for whole statements: effect, principal, action, resource, condition, as formulas
  for z3. It needs pydantic 1, so it runs in the environment `.crosscheck` that `make test` makes.
- `pycfmodel` 2.1 (Apache-2.0) for condition blocks, in this interpreter where it is installed.

How KMS joins key policy and identity policies (delegation by the account, both across accounts) is ours in both.
Every disagreement must be explained by a named exception, with what AWS's pages say (or what is assumed) beside it.
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from keycheck.lab.aws.conditions import RequestContext, context_of, holds
from keycheck.lab.aws.policy import decide
from keycheck.lab.aws.seams import Access, Document, Json

from .generated_policies import (
    NONE,
    NOW,
    OWNER,
    ROOT,
    TESTS,
    VENDOR,
    Words,
    crosscheck_python,
    some_access,
    some_block,
    some_policy,
)

ACCOUNTS = ({"AWS": ROOT}, {"AWS": OWNER}, {"AWS": f"arn:aws:iam::{VENDOR}:root"})
CASES = 600
PLAIN = tuple(test for test in TESTS if not re.search("Not|IgnoreCase|IfExists|Null|:", test[0]) and test[1] != NONE)
"""Conditions that none of the named exceptions is about, so that most generated policies owe full agreement."""
WORDS = Words(PLAIN)


CHILD = r"""
import json, logging, sys
import z3
from z3.z3util import get_vars
from zeuscloud_iamspy.iam import Document
from zeuscloud_iamspy.parse import _parse_document
logging.disable(logging.CRITICAL)

def value(name, sort, case):
    plain = {"a": case["action"], "r": case["resource"], "s": case["principal"], "s_account": case["account"]}
    if name in plain:
        return z3.StringVal(plain[name].lower())
    if name == "identity":
        return z3.BoolVal(case["identity"])
    context, key = case["context"], name[len("condition_"):]
    if key.endswith("_exists"):
        return z3.BoolVal(key[: -len("_exists")] in context)
    if key in context:
        text = context[key]
        if sort.kind() == z3.Z3_BOOL_SORT:
            return z3.BoolVal(text == "true")
        if sort.kind() == z3.Z3_INT_SORT:
            return z3.IntVal(int(text) if text.isdigit() else case["now"])
        if sort.kind() == z3.Z3_BV_SORT:
            return z3.BitVecVal(case["address"], sort.size())
        return z3.StringVal(text)
    base, _, part = key.rpartition("_")
    parts = ["arn", "partition", "service", "region", "account", "resource"]
    if base in context and part in parts:
        return z3.StringVal(context[base].split(":", 5)[parts.index(part)].lower())
    return None

def truth(formula, case):
    if isinstance(formula, bool):
        return formula
    known = [(var, value(str(var), var.sort(), case)) for var in get_vars(formula)]
    closed = z3.simplify(z3.substitute(formula, *[(var, val) for var, val in known if val is not None]))
    if z3.is_true(closed) or z3.is_false(closed):
        return z3.is_true(closed)
    solver = z3.Solver()
    solver.add(closed)
    return solver.check() == z3.sat

def both(document, case):
    for statement in document["Statement"]:
        if isinstance(statement.get("NotResource"), str):
            statement["NotResource"] = [statement["NotResource"]]  # it would go through the letters
    _, allow, deny = _parse_document(Document(**document), "d")
    return truth(allow.arg(1), case), truth(deny.arg(1), case)

results = []
for case in json.load(sys.stdin):
    case["identity"] = False
    allowed, undenied = both(case["identity_policy"], case)
    case["identity"] = allowed
    key_allowed, key_undenied = both(case["key_policy"], case)
    same = case["account"] == case["owner"]
    results.append(bool(key_allowed and undenied and key_undenied and (same or allowed)))
json.dump(results, sys.stdout)
"""


def _statements(documents: Sequence[Document]) -> list[Mapping[str, Any]]:
    return [item for document in documents for item in document["Statement"]]  # type: ignore[misc,union-attr]


def _operators(documents: Sequence[Document]) -> set[tuple[str, str]]:
    blocks = [item.get("Condition", {}) for item in _statements(documents)]
    return {(operator, key) for block in blocks for operator, keys in block.items() for key in keys}


def _absent(key: str, access: Access) -> bool:
    return not context_of(access).get(key)


IAMSPY_EXCEPTIONS: Mapping[str, Callable[[Sequence[Document], Access], bool]] = {
    # "If the key is not present … and the condition is negated, it is true" (Condition operators): iamspy says false.
    "negated operator on an absent key": lambda documents, access: any(
        "Not" in operator and _absent(key, access) for operator, key in _operators(documents)
    ),
    # It binds a Deny of an account to the identity policies, as it does an Allow. Assumed here: it means all of them.
    "Deny that names an account": lambda documents, access: any(
        item["Effect"] == "Deny" and item.get("Principal") in ACCOUNTS for item in _statements(documents)
    ),
    # It demands that the key be there before it asks whether it is not, so `true` never holds.
    "Null": lambda documents, access: any(operator == "Null" for operator, _ in _operators(documents)),
    # It asks for a key named in lower case, which no request has.
    "StringEqualsIgnoreCase": lambda documents, access: any(
        operator == "StringEqualsIgnoreCase" for operator, _ in _operators(documents)
    ),
    # Its log says "currently not supported, skipping condition": the statement then applies to all.
    "set operators": lambda documents, access: any(":" in operator for operator, _ in _operators(documents)),
    # It leaves the value of the absent key open, so that a Deny may or may not match; AWS: "the condition is true".
    "IfExists on an absent key": lambda documents, access: any(
        operator.endswith("IfExists") and _absent(key, access) for operator, key in _operators(documents)
    ),
    # It spares a resource only if all entries of the list match; AWS spares it if any does.
    "NotResource with several entries": lambda documents, access: any(
        len(item.get("NotResource", "")) == 2 and isinstance(item.get("NotResource"), list)
        for item in _statements(documents)
    ),
}


@pytest.mark.slow
def test_whole_policies_against_iamspy(record_property: Callable[[str, object], None]) -> None:
    interpreter = crosscheck_python()
    if not interpreter:
        pytest.skip("no .crosscheck environment with zeuscloud-iamspy: `make test` makes it")
    chance = random.Random(20261122)
    asked = [
        (some_policy(chance, 4, True, WORDS), some_access(chance, some_policy(chance, 2, False, WORDS)))
        for _ in range(CASES)
    ]
    cases = [
        {
            "key_policy": key_policy,
            "identity_policy": access.caller.policies[0],
            "action": access.action,
            "resource": access.resource,
            "principal": access.caller.principal,
            "account": access.caller.account,
            "owner": OWNER,
            "now": int(NOW.timestamp()),
            "address": int(ipaddress.ip_address(access.caller.source)),
            "context": _spelt(access),
        }
        for key_policy, access in asked
    ]
    run = subprocess.run(
        [interpreter, "-W", "ignore", "-c", CHILD],
        check=False,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    outcomes: Counter[str] = Counter()
    owed = 0
    for (key_policy, access), theirs in zip(asked, json.loads(run.stdout), strict=True):
        ours = decide(access, key_policies=[key_policy], grants=[]).allowed
        documents = [key_policy, *access.caller.policies]
        named = [name for name, explains in IAMSPY_EXCEPTIONS.items() if explains(documents, access)]
        owed += not named
        if ours == theirs:
            outcomes[f"agree: {'allowed' if ours else 'denied'}"] += 1
            continue
        assert named, f"unexplained: ours {ours}, theirs {theirs}: {json.dumps(documents)} for {access.caller.arn}"
        outcomes[f"disagree: {named[0]}"] += 1
    for name, count in sorted(outcomes.items()):
        record_property(name, count)
    print({**dict(sorted(outcomes.items())), "no exception applies, all agree": owed})
    assert owed >= 0.5 * CASES
    assert outcomes["agree: allowed"] >= 0.1 * CASES
    assert outcomes["agree: allowed"] + outcomes["agree: denied"] >= 0.8 * CASES


def _spelt(access: Access) -> dict[str, str]:
    """The request context under the names that the generated policies use: iamspy minds their case."""
    context = context_of(access)
    return {key: context.get(key)[0] for _, key, _ in TESTS if context.get(key)}


PYCFMODEL_EXCEPTIONS: Mapping[str, Callable[[Mapping[str, Mapping[str, Json]], RequestContext], bool]] = {
    # It raises KeyError inside and answers None.
    "absent key": lambda block, context: any(
        not context.get(key) and "IfExists" not in operator for operator, keys in block.items() for key in keys
    ),
    # It takes `true` to mean that the key is there; AWS: that it is not.
    "Null": lambda block, context: "Null" in block,
    # A negated operator with a list is true if any entry differs; AWS: if all do ("evaluated as NOR").
    "negated operator with a list": lambda block, context: any(
        "Not" in operator and any(isinstance(value, list) for value in keys.values())
        for operator, keys in block.items()
    ),
    # It compares ArnEquals literally; AWS: "ArnEquals and ArnLike behave identically".
    "ArnEquals with wildcards": lambda block, context: any(
        "*" in str(value) for value in block.get("ArnEquals", {}).values()
    ),
    # One closure for all keys of an IfExists or quantified operator, so the last key answers for all.
    "several keys in one operator": lambda block, context: any(len(keys) > 1 for keys in block.values()),
}


def test_condition_blocks_against_pycfmodel() -> None:
    module = pytest.importorskip(
        "pycfmodel.model.resources.properties.statement_condition", reason="pycfmodel is not installed"
    )
    chance = random.Random(20261122)
    outcomes: Counter[str] = Counter()
    for _ in range(2000):
        block = some_block(chance, TESTS)
        if not block:
            continue
        context = context_of(some_access(chance))
        ours = holds(block, context)
        theirs = module.StatementCondition(**block)(_typed(block, context))
        if ours == theirs:
            outcomes[f"agree: {ours}"] += 1
            continue
        named = [name for name, explains in PYCFMODEL_EXCEPTIONS.items() if explains(block, context)]
        assert named, f"unexplained: ours {ours}, theirs {theirs}: {json.dumps(block)}"
        outcomes[f"disagree: {named[0]}"] += 1
    print(dict(sorted(outcomes.items())))
    assert outcomes["agree: True"] >= 400
    assert outcomes["agree: False"] >= 400


def _typed(block: Mapping[str, Mapping[str, Json]], context: RequestContext) -> dict[str, object]:
    """The request context in pycfmodel's types, which depend on the operator that asks."""
    told: dict[str, object] = {}
    for operator, keys in block.items():
        for key in keys:
            values = context.get(key)
            if not values:
                continue
            if ":" in operator:
                told[key] = list(values)
            elif operator.startswith("Date"):
                told[key] = datetime.fromisoformat(values[0])
            elif operator.startswith("Numeric"):
                told[key] = int(values[0])
            elif operator == "Bool":
                told[key] = values[0] == "true"
            elif "IpAddress" in operator:
                told[key] = ipaddress.ip_network(values[0])
            else:
                told[key] = values[0]
    return told

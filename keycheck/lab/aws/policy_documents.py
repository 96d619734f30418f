"""Reading a key policy as PutKeyPolicy does: what is malformed is refused before it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from keycheck.lab.aws.conditions import values_of
from keycheck.lab.aws.seams import Document, Json

SIZE_LIMIT: Final = 32 * 1024
"""Bytes of a key policy document (KMS Developer Guide, "Resource quotas")."""
_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_TOP: Final = frozenset({"Version", "Id", "Statement"})
_ELEMENTS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_PRINCIPAL: Final = re.compile(
    r"\*|\d{12}|AIDA[A-Z0-9]{8,}|AROA[A-Z0-9]{8,}"
    r"|arn:aws[a-z-]*:(iam::\d{12}:(root|(user|role)/[^*?]+)|sts::\d{12}:(assumed-role|federated-user)/[^*?]+)"
)
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazonaws\.eu|internal)")
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")


class PolicyError(ValueError):
    """A policy that PutKeyPolicy refuses with MalformedPolicyDocumentException; the message is safe to answer."""


def check_document(text: str, *, exists: Callable[[str], bool] | None = None) -> Document:
    """The parsed policy; raises PolicyError where PutKeyPolicy refuses it.

    `exists` tells whether an AWS principal (an ARN or account id) is there: KMS refuses policies that name vanished
    users and roles. That the caller would lock itself out is `policy.locks_out`'s to say.
    """
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT:
        raise PolicyError("The policy is too large: a key policy has at most 32768 bytes.")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise PolicyError("This policy contains invalid Json") from error
    except ValueError as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not document.keys() <= _TOP:
        raise PolicyError("Syntax errors in policy.")
    if document.get("Version", "2008-10-17") not in _VERSIONS:
        raise PolicyError("Policy contains an invalid version.")
    listed = document.get("Statement")
    statements = [listed] if isinstance(listed, dict) else listed
    if not isinstance(statements, list) or not statements:
        raise PolicyError("Policy must contain at least one statement.")
    sids: set[str] = set()
    for statement in statements:
        _check_statement(statement, sids, exists)
    return document


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    # Condition operators and keys may not repeat either: the last would silently win over the first.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError("Syntax errors in policy.")
    return found


def _check_statement(statement: Json, sids: set[str], exists: Callable[[str], bool] | None) -> None:
    if not isinstance(statement, Mapping) or not statement.keys() <= _ELEMENTS:
        raise PolicyError("Syntax errors in policy.")
    sid = statement.get("Sid")
    if sid is not None:
        if not isinstance(sid, str) or (sid and sid in sids):
            raise PolicyError("Statement IDs (SID) in a single policy must be unique.")
        sids.add(sid)
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("Policy contains a statement with an invalid effect.")
    if "Principal" not in statement and "NotPrincipal" not in statement:
        raise PolicyError("Policy contains a statement with no principal.")
    _exclusive(statement, "Principal", "NotPrincipal")
    _exclusive(statement, "Action", "NotAction")
    _exclusive(statement, "Resource", "NotResource")
    if "NotPrincipal" in statement and statement["Effect"] == "Allow":
        raise PolicyError("Policy contains a statement with one or more invalid principals.")
    _check_principals(statement.get("Principal", statement.get("NotPrincipal")), exists)
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if one not in statement and other not in statement:
            raise PolicyError(f"Missing required field {one}")
    actions = _texts(statement.get("Action", statement.get("NotAction")))
    if not actions or not all(_ACTION.fullmatch(action) for action in actions):
        raise PolicyError("Policy contains a statement with one or more invalid actions.")
    if not all(action == "*" or action.lower().startswith("kms:") for action in actions):
        raise PolicyError("Policy contains a statement with one or more invalid actions.")
    if not _texts(statement.get("Resource", statement.get("NotResource"))):
        raise PolicyError("Policy contains a statement with no resource.")
    _check_condition(statement.get("Condition"))


def _exclusive(statement: Mapping[str, Json], one: str, other: str) -> None:
    if one in statement and other in statement:
        raise PolicyError("Syntax errors in policy.")


def _texts(value: Json) -> tuple[str, ...]:
    """A text or a list of texts, none empty; otherwise nothing."""
    items = value if isinstance(value, list) else [value]
    return values_of(value) if items and all(isinstance(item, str) and item for item in items) else ()


def _check_principals(element: Json, exists: Callable[[str], bool] | None) -> None:
    wrong = PolicyError("Policy contains a statement with one or more invalid principals.")
    if element == "*":
        return
    if not isinstance(element, Mapping) or not element or not element.keys() <= _KINDS:
        raise wrong
    for kind, value in element.items():
        names = _texts(value)
        if not names:
            raise wrong
        for name in names:
            match kind:
                case "AWS":
                    known = _PRINCIPAL.fullmatch(name) is not None and (exists is None or name == "*" or exists(name))
                case "Service":
                    known = _SERVICE.fullmatch(name) is not None
                case _:
                    known = True
            if not known:
                raise wrong


def _check_condition(block: Json) -> None:
    if block is None:
        return
    wrong = PolicyError("Policy contains a statement with one or more invalid conditions.")
    if not isinstance(block, Mapping):
        raise wrong
    for keys in block.values():
        if not isinstance(keys, Mapping) or not keys:
            raise wrong
        for value in keys.values():
            items = value if isinstance(value, list) else [value]
            if not items or not all(isinstance(item, str | bool | int | float) for item in items):
                raise wrong

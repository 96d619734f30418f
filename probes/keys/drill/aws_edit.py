"""Key policies as text: one statement put in, or taken out, and everything else kept as it is. Pure.

KMS may answer a policy in other words than were put (white space, a list of one as its member), so statements are
compared by what they say. Source: KMS developer guide, "Key policies"; IAM user guide, "Grammar of the IAM JSON policy
language".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from probes.clouds.aws.reading import MalformedError
from probes.keys.aws.policy_text import MAX_BYTES

Statement: TypeAlias = Mapping[str, object]
_LONGEST_NUMBER: Final = 30
_DEPTH: Final = 12


def loaded(text: str) -> dict[str, object]:
    """The policy, so that writing it again loses nothing. Raises MalformedError."""
    if len(text) > 2 * MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > 2 * MAX_BYTES:
        raise MalformedError("the policy is longer than KMS takes")  # twice: KMS answers with more white space
    try:
        value: object = json.loads(
            text, object_pairs_hook=_members, parse_int=_whole, parse_float=_broken, parse_constant=_broken
        )
    except RecursionError as error:
        raise MalformedError("the policy is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"the policy is not JSON at character {error.pos}") from error
    if not isinstance(value, dict) or not statements(value):
        raise MalformedError("the policy has no statement")
    return value


def statements(document: Mapping[str, object]) -> tuple[Statement, ...]:
    """Its statements. Raises MalformedError where one is no object."""
    written = document.get("Statement")
    listed = written if isinstance(written, list) else [] if written is None else [written]
    if not all(isinstance(item, dict) for item in listed):
        raise MalformedError("a statement is no object")
    return tuple(listed)


def with_sid(document: Mapping[str, object], sid: str) -> tuple[Statement, ...]:
    """The statements of that Sid: none or one in a policy that AWS made sure of."""
    return tuple(item for item in statements(document) if item.get("Sid") == sid)


def added(document: Mapping[str, object], statement: Statement) -> str:
    """The text of the policy with one statement more. Raises MalformedError where that is too long for KMS."""
    return _written({**document, "Statement": [*statements(document), statement]})


def removed(document: Mapping[str, object], sids: Collection[str]) -> str:
    """The text of the policy without the statements of these Sids. Raises MalformedError where nothing would be
    left."""
    kept = [item for item in statements(document) if item.get("Sid") not in sids]
    if not kept:
        raise MalformedError("the policy would have no statement left")
    return _written({**document, "Statement": kept})


def same(one: Statement, other: Statement) -> bool:
    """Whether two statements say the same."""
    return _said(one) == _said(other)


def meaning(document: Mapping[str, object], without: Collection[str] = ()) -> str:
    """SHA-256 of what the policy says without the statements of some Sids, however KMS writes it."""
    said = sorted(_text(_said(item)) for item in statements(document) if item.get("Sid") not in without)
    rest = {name: value for name, value in document.items() if name != "Statement"}
    return hashlib.sha256(_text([rest, said]).encode("utf-8", "surrogatepass")).hexdigest()


def digest(text: str) -> str:
    """SHA-256 of the text as it is."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _said(statement: Statement) -> object:
    told = {name: _plain(value, _DEPTH) for name, value in statement.items()}
    for element in ("Principal", "NotPrincipal"):
        if statement.get(element) == "*":
            told[element] = {"AWS": ["*"]}
    for element in ("Action", "NotAction"):
        if isinstance(found := told.get(element), list):
            told[element] = sorted(str(item).lower() for item in found)
    condition = statement.get("Condition")
    if isinstance(condition, dict):
        told["Condition"] = {str(name): _lowered(tests) for name, tests in condition.items()}
    return told


def _lowered(tests: object) -> object:
    """The keys of conditions do not depend on case."""
    if not isinstance(tests, dict):
        return _plain(tests, _DEPTH)
    return sorted([str(key).lower(), _plain(value, _DEPTH)] for key, value in tests.items())


def _plain(value: object, room: int) -> object:
    """A list in the order of its members, and one member as a list."""
    if room == 0:
        raise MalformedError("the policy is nested too deeply")
    if isinstance(value, dict):
        return {str(key): _plain(item, room - 1) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_member(item, room - 1) for item in value), key=_text)
    return [_member(value, room)]


def _member(value: object, room: int) -> object:
    if isinstance(value, dict | list):
        return _plain(value, room)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _written(document: Mapping[str, object]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise MalformedError("the policy holds half of a surrogate pair") from error
    if size > MAX_BYTES:
        raise MalformedError(f"the policy would have {size} bytes and KMS takes {MAX_BYTES}: make room in it first")
    return text


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("the policy names the same key twice")
    return members


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise MalformedError("the policy holds a number that is too long")
    return int(text)


def _broken(text: str) -> object:
    raise MalformedError("the policy holds a number with a fraction, which could not be written back as it was")

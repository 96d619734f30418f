"""An IAM policy as single grants, and the changes that a drill makes of it. Pure: policies in, policies out.

A policy means the set of its (role, member, condition); which of them share a binding, and in what order they stand,
means nothing, and IAM changes both. What a policy holds beside its bindings is kept as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Binding, Policy  # type: ignore[import-untyped]

PREFIX: Final = "keycheck-"
"""What the titles of a drill's conditions begin with, so that they are found again without a journal."""
ALWAYS: Final = 'request.time >= timestamp("2001-01-01T00:00:00Z")'
"""A condition that is already true."""
_VERSION: Final = 3
_WORDS: Final = "Set by a drill of keycheck; access returns by itself at the time stated."

Pairs = frozenset[tuple[str, str]]
"""(role, member)."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One member's role, and on what condition."""

    role: str
    member: str
    expression: str | None = None
    """None: unconditional."""
    title: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Role and member."""
        return (self.role, self.member)


@dataclass(frozen=True, slots=True)
class Marks:
    """How a drill's conditions are recognised."""

    title: str
    expression: str

    @property
    def rehearsal(self) -> str:
        """Title of the copies that a rehearsal adds. No id of a drill can end so."""
        return f"{self.title} (rehearsal)"

    def is_ours(self, grant: Grant) -> bool:
        """Whether the grant carries a title of this drill, whatever else it says."""
        return grant.expression is not None and grant.title in (self.title, self.rehearsal)


def grants(policy: Policy) -> tuple[Grant, ...]:
    """Everything that the policy grants."""
    return tuple(
        Grant(binding.role, member, *_condition(binding)) for binding in policy.bindings for member in binding.members
    )


def meaning(policy: Policy, marks: Marks) -> str:
    """SHA-256 of what the policy grants, this drill's conditions thought away: the same before, during and after."""
    meant = {Grant(*grant.pair) if marks.is_ours(grant) else grant for grant in grants(policy)}
    rows = [[each.role, each.member, each.expression, each.title] for each in sorted(meant, key=repr)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def rewritten(policy: Policy, marks: Marks, base: Pairs) -> tuple[str, ...]:
    """This drill's titles on grants that are not what it wrote: other members, roles or conditions."""
    found = grants(policy)
    wrong: list[str] = []
    for title, expression in ((marks.title, marks.expression), (marks.rehearsal, ALWAYS)):
        titled = [grant for grant in found if grant.expression is not None and grant.title == title]
        pairs = frozenset(grant.pair for grant in titled)
        if titled and (pairs != base or any(grant.expression != expression for grant in titled)):
            wrong.append(title)
    return tuple(wrong)


def missing(policy: Policy, base: Pairs) -> Pairs:
    """What was granted without condition before, and is not now."""
    return base - {grant.pair for grant in grants(policy) if grant.expression is None}


def restricted(policy: Policy, marks: Marks, base: Pairs) -> Policy:
    """The policy with those grants on the drill's condition instead of none."""
    made = _copy(policy)
    for binding in made.bindings:
        if not binding.HasField("condition"):
            kept = [member for member in binding.members if (binding.role, member) not in base]
            if len(kept) != len(binding.members):
                binding.members[:] = kept
    _add(made, base, marks.title, marks.expression)
    return _tidy(made)


def rehearsed(policy: Policy, marks: Marks, base: Pairs) -> Policy:
    """The policy with copies of those grants, on a condition that is true: nobody gains or loses anything."""
    made = _copy(policy)
    _add(made, base, marks.rehearsal, ALWAYS)
    return made


def lifted(policy: Policy, marks: Marks) -> Policy:
    """The policy with this drill's conditions taken off; what they were on is granted without condition. With none of
    them there, the same policy."""
    made = _copy(policy)
    back = frozenset(
        grant.pair for grant in grants(made) if grant.expression is not None and grant.title == marks.title
    )
    for binding in made.bindings:
        _, title = _condition(binding)
        if binding.HasField("condition") and title in (marks.title, marks.rehearsal):
            del binding.members[:]
    for role, members in _by_role(missing(made, back)).items():
        home = next((each for each in made.bindings if each.role == role and not each.HasField("condition")), None)
        if home is None:
            made.bindings.add(role=role, members=members)
        else:
            home.members.extend(members)
    return _tidy(made)


def unchanged(policy: Policy) -> Policy:
    """The policy as it is written back."""
    return _copy(policy)


def _copy(policy: Policy) -> Policy:
    made = type(policy)()
    made.CopyFrom(policy)  # with its etag, and with fields that the installed client does not know
    made.version = _VERSION
    return made


def _tidy(policy: Policy) -> Policy:
    for index in reversed(range(len(policy.bindings))):
        if not policy.bindings[index].members:
            del policy.bindings[index]
    return policy


def _add(policy: Policy, pairs: Pairs, title: str, expression: str) -> None:
    for role, members in _by_role(pairs).items():
        binding = policy.bindings.add(role=role, members=members)
        binding.condition.title = title
        binding.condition.expression = expression
        binding.condition.description = _WORDS


def _by_role(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for role, member in sorted(pairs):
        found.setdefault(role, []).append(member)
    return found


def _condition(binding: Binding) -> tuple[str | None, str]:
    if not binding.HasField("condition"):
        return None, ""
    return binding.condition.expression, binding.condition.title

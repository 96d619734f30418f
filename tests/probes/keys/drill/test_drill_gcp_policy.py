"""Changes of IAM policies, for any policy: what is put on is taken off, and everything else is kept."""

from __future__ import annotations

from itertools import groupby

from google.iam.v1 import policy_pb2  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from probes.keys.drill.gcp_policy import (
    Grant,
    Marks,
    grants,
    lifted,
    meaning,
    missing,
    rehearsed,
    restricted,
    rewritten,
    unchanged,
)

MARKS = Marks("keycheck-d-1", 'request.time >= timestamp("2026-11-22T12:05:00Z")')
ROLES = st.sampled_from(["roles/cloudkms.cryptoKeyDecrypter", "roles/cloudkms.viewer", "projects/p/roles/r"])
MEMBERS = st.sampled_from([f"user:{name}@example.com" for name in "abcd"])
CONDITIONS = st.sampled_from([(None, ""), ("true", "x"), ("true", ""), ("", "y"), ("false", "keycheck-d-10")])
GRANTS = st.frozensets(
    st.builds(lambda role, member, on: Grant(role, member, *on), ROLES, MEMBERS, CONDITIONS), max_size=12
)


def policy(held: frozenset[Grant], together: bool) -> policy_pb2.Policy:
    """The grants in bindings: one each, or as few as can be."""
    made = policy_pb2.Policy(version=1, etag=b"etag")
    made.audit_configs.add(service="cloudkms.googleapis.com")
    rows = sorted(held, key=repr)
    for (role, expression, title), group in groupby(
        sorted(rows, key=lambda each: repr((each.role, each.expression, each.title))),
        key=lambda each: (each.role, each.expression, each.title),
    ):
        members = [each.member for each in group]
        for part in [members] if together else [[member] for member in members]:
            binding = made.bindings.add(role=role, members=part)
            if expression is not None:
                binding.condition.expression, binding.condition.title = expression, title
                binding.condition.SetInParent()
    return made


@given(GRANTS, st.booleans(), st.data())
def test_what_is_put_on_is_taken_off(held: frozenset[Grant], together: bool, data: st.DataObject) -> None:
    before = policy(held, together)
    free = sorted(each.pair for each in held if each.expression is None)
    base = frozenset(data.draw(st.sets(st.sampled_from(free)))) if free else frozenset()
    on = restricted(before, MARKS, base)
    assert set(grants(before)) == held  # pure
    assert missing(on, base) == base
    assert set(grants(on)) == {each for each in held if each.pair not in base or each.expression is not None} | {
        Grant(role, member, MARKS.expression, MARKS.title) for role, member in base
    }
    tried = rehearsed(before, MARKS, base)
    assert set(grants(tried)) > held or not base
    for changed in (on, tried, before):
        assert not rewritten(changed, MARKS, base)
        assert meaning(changed, MARKS) == meaning(before, MARKS)
        off = lifted(changed, MARKS)
        assert set(grants(off)) == held
        assert (off.version, off.etag, off.audit_configs) == (3, b"etag", before.audit_configs)
    assert set(grants(unchanged(before))) == held


@given(GRANTS, st.booleans(), st.builds(Grant, ROLES, MEMBERS))
def test_a_foreign_grant_shows_and_is_kept(held: frozenset[Grant], together: bool, more: Grant) -> None:
    base = frozenset(each.pair for each in held if each.expression is None) - {more.pair}
    on = restricted(policy(held - {more}, together), MARKS, base)
    on.bindings.add(role=more.role, members=[more.member])
    assert meaning(on, MARKS) != meaning(policy(held - {more}, together), MARKS)
    assert set(grants(lifted(on, MARKS))) == held | {more}


def test_what_is_rewritten_shows() -> None:
    held = frozenset({Grant("roles/r", "user:a@x"), Grant("roles/r", "user:b@x")})
    base = frozenset(each.pair for each in held)
    on = restricted(policy(held, True), MARKS, base)
    (binding,) = on.bindings
    binding.condition.description = "somebody's words"
    assert not rewritten(on, MARKS, base)
    binding.condition.expression = "true"
    assert rewritten(on, MARKS, base) == (MARKS.title,)
    binding.condition.expression = MARKS.expression
    binding.members.append("user:c@x")
    assert rewritten(on, MARKS, base) == (MARKS.title,)


def test_fields_that_this_client_does_not_know_are_kept() -> None:
    raw = policy(frozenset({Grant("roles/r", "user:a@x")}), True).SerializeToString() + b"\xca\x3e\x03new"
    before = policy_pb2.Policy.FromString(raw)
    base = frozenset({("roles/r", "user:a@x")})
    on = restricted(before, MARKS, base)
    assert b"\xca\x3e\x03new" in lifted(on, MARKS).SerializeToString()

"""Shards in any order give the same facts; samples are drawn by a seed, value by value."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from scan_stage import ARN, OTHER_ARN, MemoryExport, esdk, kms_blob, plan, rule, told, vault

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering

PLAN = plan(rule("mail"), rule("phone"), tenant="tenant", written="at")


def _export() -> MemoryExport:
    rng = random.Random(11)
    blob = kms_blob(rng)
    shards: dict[str, dict[str, list[bytes | None]]] = {}
    for name in "abcdef":
        mail: list[bytes | None] = [
            esdk(
                rng, 20 + number % 3, keys=(OTHER_ARN if number == 5 else ARN,), blob=blob if number % 4 == 0 else None
            )
            for number in range(24)
        ]
        mail[3] = b"anna@example.org"
        mail[4] = mail[8]
        shards[name] = {
            "mail": mail,
            "phone": [vault(rng, 12, nonce=b"\7" * 12 if number == 7 else None) for number in range(24)],
            "tenant": [f"t{rng.randrange(4)}".encode() for _ in range(24)],
            "at": [str(1_700_000_000 + 86_400 * rng.randrange(100)).encode() for _ in range(24)],
        }
    return MemoryExport(shards)


EXPORT = _export()
RESULTS = {shard.name: (shard, scan_shard(EXPORT, shard, PLAN)) for shard in EXPORT.listing().shards}


def _facts(order: list[str], lost: str, memory: int) -> list[str]:
    with TemporaryDirectory() as spill:
        gathering = Gathering(PLAN, EXPORT.listing().columns, Path(spill), memory)
        for name in order:
            shard, result = RESULTS[name]
            if name == lost:
                gathering.lose(shard, Unseen(reason=Reason.WORKER_LOST, detail="gone"))
            else:
                gathering.add(shard, result)
        draw = gathering.draw("mail", b"seed", 20)
        facts = [one.model_dump_json() for one in gathering.facts(told(gathering.rows), {})]
        return [*facts, repr(draw), repr(gathering.left_out), str(gathering.rows)]


@settings(max_examples=20, deadline=None)
@given(st.permutations(list("abcdef")), st.sampled_from(["", "a", "d"]), st.sampled_from([1, 1 << 28]))
def test_any_order_gives_the_same_facts(order: list[str], lost: str, memory: int) -> None:
    assert _facts(order, lost, memory) == _facts(list("abcdef"), lost, 1 << 28)


def test_a_draw_is_of_values_each_once_and_another_seed_draws_others(tmp_path: Path) -> None:
    gathering = Gathering(PLAN, EXPORT.listing().columns, tmp_path)
    for shard, result in RESULTS.values():
        gathering.add(shard, result)
    draw = gathering.draw("mail", b"seed", 90)
    assert len({(pick.shard, pick.row) for pick in draw.picks}) == 90
    assert draw.strata >= len({pick.stratum for pick in draw.picks}) > 6
    assert all(pick.row != 3 for pick in draw.picks)  # the plaintext is not drawn
    facts = {one.column: one for one in gathering.facts(told(gathering.rows), {})}
    assert facts["mail"].data_keys is not None
    assert draw.population >= facts["mail"].data_keys.visible > facts["mail"].data_keys.distinct
    other = gathering.draw("mail", b"another", 90)
    assert {(pick.shard, pick.row) for pick in other.picks} != {(pick.shard, pick.row) for pick in draw.picks}
    everything = gathering.draw("mail", b"seed", 10_000)
    assert len(everything.picks) == everything.population
    assert gathering.draw("phone", b"seed", 10_000).population == 6 * 24


def test_every_value_is_as_likely_as_any_other(tmp_path: Path) -> None:
    gathering = Gathering(PLAN, EXPORT.listing().columns, tmp_path)
    for shard, result in RESULTS.values():
        gathering.add(shard, result)
    population = gathering.draw("mail", b"", 1).population
    drawn = Counter((pick.shard, pick.row) for n in range(400) for pick in gathering.draw("mail", b"%d" % n, 30).picks)
    expected = 400 * 30 / population
    assert len(drawn) == population
    assert max(abs(count - expected) for count in drawn.values()) < 6 * expected**0.5


def test_a_lost_shard_is_left_out_and_not_forgotten(tmp_path: Path) -> None:
    gathering = Gathering(PLAN, EXPORT.listing().columns, tmp_path)
    shard, result = RESULTS["a"]
    gathering.add(shard, result)
    gathering.lose(RESULTS["b"][0], Unseen(reason=Reason.TIMEOUT, detail="too slow"))
    assert [(one.why, one.places) for one in gathering.left_out] == [("timeout: too slow", ("b",))]
    assert all(one.left_out > 0 for one in gathering.facts(told(24), {}))

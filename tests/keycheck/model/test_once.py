"""What a run shares is made once, also when many ask together, and a failed maker poisons nothing."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keycheck.model.once import Once


def test_many_threads_get_the_one_thing_that_was_made() -> None:
    once, made, gate = Once(), [], threading.Barrier(8)

    def make() -> object:
        made.append(1)
        return object()

    def ask() -> object:
        gate.wait(5)
        return once.get("client", make)

    with ThreadPoolExecutor(8) as pool:
        results = {id(future.result()) for future in [pool.submit(ask) for _ in range(8)]}
    assert len(results) == 1
    assert made == [1]


def test_keys_do_not_wait_for_each_other() -> None:
    once = Once()
    assert once.get("outer", lambda: once.get("inner", lambda: 1) + 1) == 2


def test_a_maker_that_raises_leaves_nothing_behind() -> None:
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once.get("x", lambda: 1 // 0)
    assert once.get("x", lambda: 7) == 7


def test_a_maker_that_asks_for_itself_is_told_so() -> None:
    once = Once()
    with pytest.raises(RuntimeError, match="waits for itself"):
        once.get("x", lambda: once.get("x", lambda: 1))
    assert once.get("x", lambda: 2) == 2


def test_two_makers_that_wait_for_each_other_do_not_hang() -> None:
    once, gate = Once(), threading.Barrier(2)

    def first() -> int:
        gate.wait(5)
        return once.get("b", lambda: 1)

    def second() -> int:
        gate.wait(5)
        return once.get("a", lambda: 2)

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(once.get, "a", first), pool.submit(once.get, "b", second)]
        errors = [end.exception(10) for end in ends]
    assert any(isinstance(error, RuntimeError) for error in errors)


def test_another_process_starts_with_nothing() -> None:
    once = Once()
    once.get("x", threading.Lock)
    assert pickle.loads(pickle.dumps(once)).get("x", lambda: "fresh") == "fresh"

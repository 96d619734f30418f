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


def test_another_process_starts_with_nothing() -> None:
    once = Once()
    once.get("x", threading.Lock)
    assert pickle.loads(pickle.dumps(once)).get("x", lambda: "fresh") == "fresh"

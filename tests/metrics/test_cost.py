from __future__ import annotations

import time

import numpy as np
import pytest

from sparcode.data.interactions import Histories
from sparcode.metrics.cost import Latency, measure_latency

QUERIES = Histories.from_lists([[0], [1], [2]], 3)


def test_only_the_call_is_timed_and_all_figures_come_from_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0]
    called: list[int] = []

    def call(query: Histories) -> None:
        called.append(int(query[0][0]))
        clock[0] += 1_000_000 * (1 + called[-1])

    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock[0])
    latency = measure_latency(call, QUERIES, repeats=10, warm_up=4, seed=1, threads=2)
    assert latency == Latency(2.0, 3.0, 3.0, 2.0, 30, 2)
    assert len(called) == 34
    assert np.bincount(called[4:]).tolist() == [10, 10, 10]
    assert called[4:] != sorted(called[4:])


def test_the_order_is_seeded() -> None:
    def order(seed: int) -> list[int]:
        called: list[int] = []
        measure_latency(lambda query: called.append(int(query[0][0])), QUERIES, seed=seed)
        return called

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize(("options", "message"), [({"repeats": 0}, "repeats"), ({"warm_up": -1}, "warm_up"), ({"threads": 0}, "threads")])
def test_counts_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} must be at least"):
        measure_latency(len, QUERIES, **options)


def test_there_must_be_a_query() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        measure_latency(len, Histories.from_lists([], 3))

"""Latency of single calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sparcode.data.interactions import Histories


class Latency(NamedTuple):
    """Percentiles and mean of single calls, in milliseconds; `threads` is as stated by the caller."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    n_calls: int
    threads: int


def measure_latency(
    call: Callable[[Histories], object],
    queries: Histories,
    repeats: int = 3,
    warm_up: int = 10,
    seed: int = 0,
    threads: int = 1,
) -> Latency:
    """Time one query at a time: every query `repeats` times, in a seeded random order, after `warm_up` untimed calls.

    `call` takes a single query (one row); only the call is timed. `threads` is recorded, not enforced: set the libraries' own limits first.
    ValueError if there is no query, or a count is too small.
    """
    if len(queries) == 0:
        raise ValueError("queries must have at least one row")
    for name, value, lowest in (("repeats", repeats, 1), ("warm_up", warm_up, 0), ("threads", threads, 1)):
        if value < lowest:
            raise ValueError(f"{name} must be at least {lowest}; got {value}")
    rng = np.random.default_rng(seed)
    singles = [queries.take(np.array([row])) for row in range(len(queries))]
    for row in rng.integers(len(singles), size=warm_up):
        call(singles[row])
    order = rng.permutation(np.repeat(np.arange(len(singles)), repeats))
    elapsed_ns = np.empty(len(order), dtype=np.int64)
    for at, row in enumerate(order):
        query = singles[row]
        start = time.perf_counter_ns()
        call(query)
        elapsed_ns[at] = time.perf_counter_ns() - start
    elapsed_ms = elapsed_ns / 1e6
    p50, p95, p99 = np.percentile(elapsed_ms, [50, 95, 99])
    return Latency(float(p50), float(p95), float(p99), float(elapsed_ms.mean()), len(order), threads)

"""Single-query latency of several retrievers in turn, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparcode.data.interactions import Histories


def _go_on() -> None:
    """The default check: never raises."""


class Call(NamedTuple):
    """One retriever as two calls: `encode` takes a query (one row), `retrieve` takes its result and the query."""

    encode: Callable[[Histories], object]
    retrieve: Callable[[object, Histories], object]


class Timing(NamedTuple):
    """Microseconds per query, (n,) float64 each, the median over rounds."""

    encode_us: np.ndarray
    retrieve_us: np.ndarray
    total_us: np.ndarray

    def total_ms(self, percentile: float) -> float:
        """A percentile over queries of the total, in milliseconds."""
        return float(np.percentile(self.total_us, percentile)) / 1e3


def interleaved(
    calls: Mapping[str, Call], queries: Histories | Sequence[Any], rounds: int, run_length: int = 25, seed: int = 0
) -> dict[str, Timing]:
    """Time every retriever with `timed_rounds`; a query's time is its median over rounds."""
    parts = list(timed_rounds(calls, queries, rounds, run_length, seed))
    taken = {name: np.stack([part[name] for part in parts], axis=1) for name in calls}
    return {name: Timing(*(np.median(part, axis=0) / 1e3 for part in (*values, values.sum(0)))) for name, values in taken.items()}


def timed_rounds(
    calls: Mapping[str, Call],
    queries: Histories | Sequence[Any],
    rounds: int,
    run_length: int = 25,
    seed: int = 0,
    check: Callable[[], None] = _go_on,
) -> Iterator[dict[str, np.ndarray]]:
    """Time every retriever on every query, round by round.

    The retrievers take turns after a few queries each, in an order drawn anew for every turn. After a change of retriever one query goes
    untimed, because the other's memory fills the caches.

    Parameters
    ----------
    queries
        At least one row; or anything that the calls' `encode` takes, one per query.
    rounds, run_length
        Times that each query is timed, and queries per turn; at least 1.
    check
        Called before every call, outside the time taken; raises to end the work.

    Yields
    ------
    dict
        After every round: name -> (2, n) int64 nanoseconds of encoding and of retrieving each query.

    Raises
    ------
    ValueError
        If there is no query, no retriever, or a count is below 1.
    """
    if len(queries) == 0 or not calls:
        raise ValueError(f"at least one query and one retriever are needed; got {len(queries)} and {len(calls)}")
    for name, value in (("rounds", rounds), ("run_length", run_length)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    rng, names = np.random.default_rng(seed), list(calls)
    whole = isinstance(queries, Histories)
    singles = [queries.take(np.array([row])) for row in range(len(queries))] if whole else list(queries)
    for _ in range(rounds):
        taken = {name: np.empty((2, len(singles)), dtype=np.int64) for name in names}
        order = rng.permutation(len(singles))
        for start in range(0, len(order), run_length):
            for name in rng.permutation(names):
                call = calls[str(name)]
                check()
                call.retrieve(call.encode(singles[order[start - 1]]), singles[order[start - 1]])
                for row in order[start : start + run_length]:
                    check()
                    taken[str(name)][:, row] = _timed(call, singles[row])
        yield taken


def _timed(call: Call, query: Histories) -> tuple[int, int]:
    """Nanoseconds of encoding and of retrieving one query."""
    at_start = time.perf_counter_ns()
    encoded = call.encode(query)
    at_encoded = time.perf_counter_ns()
    call.retrieve(encoded, query)
    return at_encoded - at_start, time.perf_counter_ns() - at_encoded


def queries_per_second(call: Call, queries: Histories, rounds: int = 3) -> float:
    """Queries per second of one batch, encoding included; the median over rounds."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        call.retrieve(call.encode(queries), queries)
        seconds.append(time.perf_counter() - started)
    return len(queries) / float(np.median(seconds[1:]))  # the first warms up

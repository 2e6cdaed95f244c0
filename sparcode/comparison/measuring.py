"""Accuracy, latency and bytes of several retrievers on the same queries, all timed in turn, one figure after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sparcode.comparison.interleaved_timing import timed_rounds
from sparcode.comparison.serving_peers import ALL_TO_ALL, K, Peer
from sparcode.data.split import EvaluationSet
from sparcode.metrics.accuracy import accuracy_by_query

# Scoring every item of a large catalogue by a network takes so long that fewer queries must do.
SLOW_KINDS, SLOW_ITEMS = (ALL_TO_ALL,), 5_000
# Queries that are retrieved between two questions whether to go on.
_BATCH = 32


class Band(NamedTuple):
    """A figure that noise moves: its median over rounds, and the quartiles around it; NaN before the first round."""

    middle: float
    low: float
    high: float

    def overlaps(self, other: Band) -> bool:
        """Whether the two cannot be told apart by their quartiles; always false for NaN."""
        return self.low <= other.high and other.low <= self.high


UNTIMED = Band(float("nan"), float("nan"), float("nan"))


class ServingPoint(NamedTuple):
    """A retriever at one setting, as far as it is measured.

    Attributes
    ----------
    kind, setting
        What it is, and what was set, in words.
    recall, ndcg
        Means over the test queries, at `K`.
    recall_by_query
        (n,) float64, read-only; NaN where a query has no target.
    size_bytes
        Arrays that serving holds of items and codes; the query encoder comes on top.
    p50_ms, p95_ms
        Percentiles over single queries, encoding included, and how they move between rounds.
    n_timed, n_rounds
        Queries timed, and how often so far; 0 rounds where nothing is timed yet.
    busy
        Whether other jobs ran beside a timed round, which makes the times an upper bound.
    """

    kind: str
    setting: str
    recall: float
    ndcg: float
    recall_by_query: np.ndarray
    size_bytes: int
    p50_ms: Band = UNTIMED
    p95_ms: Band = UNTIMED
    n_timed: int = 0
    n_rounds: int = 0
    busy: bool = False

    @property
    def name(self) -> str:
        """Kind and setting."""
        return f"{self.kind}, {self.setting}" if self.setting else self.kind


class TimingPlan(NamedTuple):
    """How much is timed.

    Attributes
    ----------
    n_queries
        Queries, drawn once with the seed, the same for all; all of them if there are fewer.
    slow_queries
        The first of them, for `SLOW_KINDS` where the catalogue has more than `SLOW_ITEMS`.
    rounds
        How often; quartiles want a handful.
    seed
        Of the draw and of the order in turns.
    """

    n_queries: int = 100
    slow_queries: int = 20
    rounds: int = 11
    seed: int = 0

    def n_steps(self, n_peers: int) -> int:
        """How many points `measure_serving` yields for so many retrievers."""
        return n_peers * (1 + self.rounds)


def measure_serving(
    peers: Sequence[Peer], test: EvaluationSet, plan: TimingPlan, check: Callable[[], None], is_busy: Callable[[], bool]
) -> Iterator[ServingPoint]:
    """Measure retrievers beside each other.

    First the accuracy of each, then round after round of single queries in which the retrievers take turns, so that whatever else the
    machine does meets all of them alike.

    Parameters
    ----------
    peers
        At least one, no two of one name.
    test
        Queries and targets.
    plan
        How much is timed.
    check
        Called between calls of a retriever; raises to end the work.
    is_busy
        Whether other work runs beside this; asked before and after each round.

    Yields
    ------
    ServingPoint
        Every retriever untimed, in order; then every retriever again after each round, with all rounds so far.

    Raises
    ------
    ValueError
        If there is no retriever or no query, or the plan has a count below 1.
    """
    points = []
    for peer in peers:
        points.append(_accuracy_of(peer, test, check))
        yield points[-1]
    taken: dict[str, list[np.ndarray]] = {point.name: [] for point in points}
    busy = False
    for times in _rounds(peers, test, plan, check, is_busy):
        busy = busy or times.busy
        for point in points:
            taken[point.name].append(times.milliseconds[point.name])
            yield _timed(point, taken[point.name], busy)


class _Round(NamedTuple):
    milliseconds: dict[str, np.ndarray]
    busy: bool


def _rounds(
    peers: Sequence[Peer], test: EvaluationSet, plan: TimingPlan, check: Callable[[], None], is_busy: Callable[[], bool]
) -> Iterator[_Round]:
    order = np.random.default_rng(plan.seed).permutation(len(test.queries))[: plan.n_queries]
    groups, large = [], test.queries.n_items > SLOW_ITEMS
    for is_slow, rows in ((False, order), (True, order[: plan.slow_queries])):
        calls = {peer.name: peer.call for peer in peers if (large and peer.kind in SLOW_KINDS) == is_slow}
        if calls:
            groups.append(timed_rounds(calls, test.queries.take(rows), plan.rounds, seed=plan.seed, check=check))
    busy = is_busy()
    for parts in zip(*groups, strict=True):
        after = is_busy()
        yield _Round({name: values.sum(0) / 1e6 for part in parts for name, values in part.items()}, busy or after)
        busy = is_busy()


def _accuracy_of(peer: Peer, test: EvaluationSet, check: Callable[[], None]) -> ServingPoint:
    found = []
    for start in range(0, len(test.queries), _BATCH):
        check()
        rows = np.arange(start, min(start + _BATCH, len(test.queries)))
        found.append(peer.retriever.retrieve(test.queries.take(rows), K).item_ids)
    item_ids = np.concatenate(found) if found else np.empty((0, K), dtype=np.int32)
    recall, ndcg, _ = accuracy_by_query(item_ids, test.targets, K, test.protocol)
    recall.setflags(write=False)
    size = sum(peer.retriever.size_bytes().values())
    return ServingPoint(peer.kind, peer.setting, float(np.nanmean(recall)), float(np.nanmean(ndcg)), recall, size)


def _timed(point: ServingPoint, rounds: Sequence[np.ndarray], busy: bool) -> ServingPoint:
    table = np.stack(rounds)  # (rounds, n) ms
    p50, p95 = (_band(np.percentile(table, percentile, axis=1)) for percentile in (50, 95))
    return point._replace(p50_ms=p50, p95_ms=p95, n_timed=table.shape[1], n_rounds=len(table), busy=busy)


def _band(values: np.ndarray) -> Band:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return Band(float(middle), float(low), float(high))

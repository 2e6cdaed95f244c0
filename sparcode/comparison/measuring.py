"""Accuracy, latency and bytes of peers on the same queries: one peer after the other, or all timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparcode.comparison.interleaved_timing import timed_rounds
from sparcode.comparison.peers import CannotRun, Peer, PeerAtSetting, Sweep, runnable
from sparcode.comparison.training import Models
from sparcode.config import DEFAULT_K
from sparcode.data.split import EvaluationSet
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.metrics.evaluation import evaluate

# Slow peers of a catalogue with more items are timed on fewer queries.
SLOW_ITEMS = 5_000
# Queries retrieved between two calls of `check`.
_BATCH = 32


class Band(NamedTuple):
    """Median and quartiles over rounds; NaN before the first round."""

    middle: float
    low: float
    high: float

    def overlaps(self, other: Band) -> bool:
        """Whether the quartiles overlap; false for NaN."""
        return self.low <= other.high and other.low <= self.high


UNTIMED = Band(float("nan"), float("nan"), float("nan"))


class Measurement(NamedTuple):
    """A peer at one setting, as far as it is measured: the row of every table, the point of every chart.

    Attributes
    ----------
    setting
        What was set, in words; empty where there is nothing to set.
    recall, ndcg, precision
        Means over the `n_queries` test queries, at `k` items each.
    size_bytes
        Arrays of items and codes; the query encoder comes on top.
    p50_ms, p95_ms
        Percentiles over single queries, encoding included; quartiles are between rounds, equal to the median after one round.
    n_timed, n_rounds
        Queries timed, and rounds so far.
    busy
        Whether other jobs ran beside a timed round, which makes the times an upper bound.
    train_seconds
        Wall time from the split data to a model that can serve; NaN where not measured.
    epochs
        Epochs trained, all stages; 0 for closed forms.
    trained_where
        When and where it was trained, in words; empty for this machine.
    recall_by_query
        (n,) float64, read-only, NaN where a query has no target; None where it was not kept.
    """

    name: str
    setting: str
    recall: float
    ndcg: float
    precision: float
    k: int
    n_queries: int
    size_bytes: int
    p50_ms: Band = UNTIMED
    p95_ms: Band = UNTIMED
    n_timed: int = 0
    n_rounds: int = 0
    busy: bool = False
    train_seconds: float = float("nan")
    epochs: int = 0
    trained_where: str = ""
    recall_by_query: np.ndarray | None = None

    @property
    def label(self) -> str:
        """Name and setting."""
        return f"{self.name}, {self.setting}" if self.setting else self.name

    def record(self) -> dict[str, Any]:
        """Plain numbers, as a run keeps them."""
        names = ("name", "recall", "ndcg", "precision")
        times = {"p50_ms": self.p50_ms.middle, "p95_ms": self.p95_ms.middle}
        rest = ("size_bytes", "train_seconds", "epochs")
        return {name: getattr(self, name) for name in names} | times | {name: getattr(self, name) for name in rest}


class TimingPlan(NamedTuple):
    """How much is timed.

    Attributes
    ----------
    n_queries
        Queries, drawn once with the seed, the same for all; all of them if there are fewer.
    slow_queries
        The first of them, for slow peers where the catalogue has more than `SLOW_ITEMS`.
    seed
        Of the draw and of the order in turns.
    """

    n_queries: int = 100
    slow_queries: int = 20
    rounds: int = 11
    seed: int = 0

    def n_steps(self, n_peers: int) -> int:
        """How many results `measure_in_turn` yields for this many retrievers."""
        return n_peers * (1 + self.rounds)


def compare_peers(
    peers: Sequence[Peer], models: Models, k: int = DEFAULT_K, on_row: Callable[[Measurement], None] = lambda row: None
) -> tuple[list[Measurement], dict[str, str]]:
    """Train and measure peers on the test users, one after the other, each at its default setting.

    `on_row` is called with every row as it is ready.

    Returns
    -------
    tuple
        The rows, and name -> reason of peers that are left out.

    Raises
    ------
    ComparisonStopped, DivergenceError
        As for `Models.get`.
    """
    found, left_out = runnable(peers, models.split)
    rows: list[Measurement] = []
    for peer in found:
        try:
            trained = peer.train(models)
            started = time.perf_counter()
            retriever = peer.retriever(trained, models)
        except CannotRun as reason:
            left_out[peer.name] = str(reason)
            continue
        seconds = trained.seconds + time.perf_counter() - started
        models.start(f"measuring {peer.name}")
        result = evaluate(retriever, models.split.test, k)
        p50, p95 = (Band(value, value, value) for value in (result.latency.p50_ms, result.latency.p95_ms))
        size, n_timed = sum(result.size_bytes.values()), result.latency.n_calls
        accuracy = (result.recall, result.ndcg, result.precision, k, result.n_queries)
        rows.append(Measurement(peer.name, "", *accuracy, size, p50, p95, n_timed, 1, False, seconds, trained.epochs, trained.where))
        on_row(rows[-1])
    return rows, left_out


def at_settings(
    peers: Sequence[Peer], models: Models, sweep: Sweep, on_peer: Callable[[PeerAtSetting], None] = lambda peer: None
) -> tuple[list[PeerAtSetting], dict[str, str]]:
    """Train peers and build their retrievers at every setting of a sweep; `on_peer` is called with each.

    Returns
    -------
    tuple
        Retrievers, and name -> reason of peers that are left out.
    """
    found, left_out = runnable(peers, models.split)
    ready: list[PeerAtSetting] = []
    for peer in found:
        of_peer: list[PeerAtSetting] = []
        try:
            for one in peer.at_settings(peer.train(models), models, sweep):
                models.check(one.label)
                of_peer.append(one)
                on_peer(one)
        except CannotRun as reason:
            left_out[peer.name] = str(reason)
        else:
            ready += of_peer
    return ready, left_out


def measure_in_turn(
    peers: Sequence[PeerAtSetting], test: EvaluationSet, plan: TimingPlan, check: Callable[[], None], is_busy: Callable[[], bool]
) -> Iterator[Measurement]:
    """Measure retrievers at `DEFAULT_K`: the accuracy of each, then rounds of single queries in which the retrievers take turns.

    Parameters
    ----------
    peers
        At least one, no two of one label.
    check
        Called between calls of a retriever; raises to end the work.
    is_busy
        Whether other work runs beside this; asked before and after each round.

    Yields
    ------
    Measurement
        Every retriever untimed, in order; then every retriever again after each round, with all rounds so far.

    Raises
    ------
    ValueError
        If there is no retriever or no query, or the plan has a count below 1.
    """
    if not peers:
        raise ValueError("at least one retriever is needed; got none")
    points = []
    for peer in peers:
        points.append(_untimed(peer, test, check))
        yield points[-1]
    taken: dict[str, list[np.ndarray]] = {point.label: [] for point in points}
    busy = False
    for milliseconds, beside in _rounds(peers, test, plan, check, is_busy):
        busy = busy or beside
        for point in points:
            taken[point.label].append(milliseconds[point.label])
            yield _timed(point, taken[point.label], busy)


def _rounds(
    peers: Sequence[PeerAtSetting], test: EvaluationSet, plan: TimingPlan, check: Callable[[], None], is_busy: Callable[[], bool]
) -> Iterator[tuple[Mapping[str, np.ndarray], bool]]:
    """Label -> milliseconds per query of one round, and whether other work ran beside it."""
    order = np.random.default_rng(plan.seed).permutation(len(test.queries))[: plan.n_queries]
    groups, large = [], test.queries.n_items > SLOW_ITEMS
    for is_slow, rows in ((False, order), (True, order[: plan.slow_queries])):
        calls = {peer.label: peer.call for peer in peers if (large and peer.slow) == is_slow}
        if calls:
            groups.append(timed_rounds(calls, test.queries.take(rows), plan.rounds, seed=plan.seed, check=check))
    busy = is_busy()
    for parts in zip(*groups, strict=True):
        after = is_busy()
        yield {label: values.sum(0) / 1e6 for part in parts for label, values in part.items()}, busy or after
        busy = is_busy()


def _untimed(peer: PeerAtSetting, test: EvaluationSet, check: Callable[[], None]) -> Measurement:
    found, k = [np.empty((0, DEFAULT_K), dtype=np.int32)], DEFAULT_K
    for start in range(0, len(test.queries), _BATCH):
        check()
        rows = np.arange(start, min(start + _BATCH, len(test.queries)))
        found.append(peer.retriever.retrieve(test.queries.take(rows), k).item_ids)
    by_query = accuracy_by_query(np.concatenate(found), test.targets, k, test.protocol)
    by_query.recall.setflags(write=False)
    size = sum(peer.retriever.size_bytes().values())
    return Measurement(peer.name, peer.setting, *by_query.means(), k, len(test.queries), size, recall_by_query=by_query.recall)


def _timed(point: Measurement, rounds: Sequence[np.ndarray], busy: bool) -> Measurement:
    table = np.stack(rounds)  # (rounds, n) ms
    p50, p95 = (_band(np.percentile(table, percentile, axis=1)) for percentile in (50, 95))
    return point._replace(p50_ms=p50, p95_ms=p95, n_timed=table.shape[1], n_rounds=len(table), busy=busy)


def _band(values: np.ndarray) -> Band:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return Band(float(middle), float(low), float(high))

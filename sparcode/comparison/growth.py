"""Every way to serve a trained model, measured on catalogues grown from its real one: time per query, bytes, build time, share found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import faiss
import numpy as np

from sparcode.comparison.grown_ways import Built, GrownWays, LeftOut, ServedModels, WayPlan
from sparcode.comparison.interleaved_timing import Call, timed_rounds
from sparcode.data.interactions import Histories


class GrowthPlan(NamedTuple):
    """How much is timed, and of which ways.

    Attributes
    ----------
    ways
        How the ways are built and what they may take.
    slow_queries
        Queries timed of ways that score every item by a network or by counts: the first of those that all others are timed on.
    rounds, most_rounds, seconds
        Times that each query is timed at least, and at most: more than the least until so many seconds are spent on a size.
    seed
        Of the order in turns.
    """

    ways: WayPlan = WayPlan()
    slow_queries: int = 6
    rounds: int = 5
    most_rounds: int = 12
    seconds: float = 1.0
    seed: int = 0


class GrowthPoint(NamedTuple):
    """One way to serve at one catalogue size: a point of every chart.

    Attributes
    ----------
    setting
        What was set, in words; empty where there is nothing to set.
    n_items
        Size of the catalogue.
    share
        Share of all (code, item) scores that SparCode keeps; NaN for other ways.
    found
        Mean share found of the exact best `k` items of the same model; 1 for exact ways.
    size_bytes
        Arrays of items and codes, without the query encoder.
    build_seconds
        NaN where nothing is built.
    p50_ms, encode_ms
        Median over queries of one query's time, encoding included, and of its encoding alone (NaN where that is not a step of its own); a
        query's time is that of its fastest round, which other work on the machine disturbs least.
    n_timed
        Queries timed.
    """

    name: str
    setting: str
    n_items: int
    share: float
    found: float
    size_bytes: int
    build_seconds: float
    p50_ms: float
    encode_ms: float
    n_timed: int


def no_step(step: str) -> None:
    """Tell nobody."""


class GrowthMeasurement:
    """Measures one size after the other; remembers how long a graph took to build, to tell what the next one would take.

    Parameters
    ----------
    check
        Called between steps and timed calls; raises to end the work.
    on_step
        Called with every step of a size, in words.
    """

    def __init__(
        self,
        models: ServedModels,
        plan: GrowthPlan,
        check: Callable[[], None] = lambda: None,
        on_step: Callable[[str], None] = no_step,
    ) -> None:
        self.models, self.plan = models, plan
        self._check, self._on_step = check, on_step
        self._ways = GrownWays(models, plan.ways, check, on_step)

    def measure(self, n_items: int) -> Iterator[GrowthPoint | LeftOut]:
        """Build and time every way on a catalogue of `n_items`; what would not fit is told before it is built.

        Single queries go to one thread, all fast ways in turn, and all slow ones. Nothing is left out of a result, because a grown
        catalogue's queries are histories of the trained items.
        """
        # Limits the calling thread only.
        faiss.omp_set_num_threads(1)
        built: list[Built] = []
        for one in self._ways.build(n_items):
            if isinstance(one, LeftOut):
                yield one
            else:
                built.append(one)
        self._on_step("timing queries, all ways in turn")
        queries, plan = self._ways.asked, self.plan
        for slow in (False, True):
            ways = [one for one in built if one.slow == slow]
            if ways:
                asked = queries.take(np.arange(min(len(queries), plan.slow_queries))) if slow else queries
                calls = {one.label: one.call for one in ways}
                rounds = self._rounds(calls, asked)
                for one in ways:
                    yield _point(one, n_items, _fastest(np.stack([part[one.label] for part in rounds])) / 1e6)

    def _rounds(self, calls: Mapping[str, Call], asked: Histories) -> list[dict[str, np.ndarray]]:
        """As many rounds as the plan allows; see `timed_rounds`."""
        plan, started, rounds = self.plan, time.perf_counter(), []
        for part in timed_rounds(calls, asked, max(plan.rounds, plan.most_rounds), seed=plan.seed, check=self._check):
            rounds.append(part)
            if len(rounds) >= plan.rounds and time.perf_counter() - started >= plan.seconds:
                break
        return rounds


def _fastest(taken: np.ndarray) -> np.ndarray:
    """(2, n) of (rounds, 2, n): encoding and retrieving of each query in the round in which both together took least."""
    return taken[taken.sum(1).argmin(0), :, np.arange(taken.shape[2])].T


def _point(one: Built, n_items: int, taken: np.ndarray) -> GrowthPoint:
    encode_ms = float(np.median(taken[0])) if one.encodes else float("nan")
    p50_ms = float(np.median(taken.sum(0)))
    return GrowthPoint(
        one.name, one.setting, n_items, one.share, one.found, one.size_bytes, one.build_seconds, p50_ms, encode_ms, taken.shape[1]
    )

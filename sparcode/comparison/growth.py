"""Every way to serve a trained model, measured on catalogues grown from its real one: time per query, bytes, build time, share found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import faiss
import numpy as np

from sparcode.comparison.grown_ways import Built, GrownWays, LeftOut, ServedModels, WayPlan
from sparcode.comparison.interleaved_timing import timed_rounds


class GrowthPlan(NamedTuple):
    """How much is timed, and of which ways.

    Attributes
    ----------
    ways
        How the ways are built and what they may take.
    slow_queries
        Queries timed of ways that score every item by a network or by counts: the first of those that all others are timed on.
    rounds
        Times that each query is timed.
    seed
        Of the order in turns.
    """

    ways: WayPlan = WayPlan()
    slow_queries: int = 6
    rounds: int = 3
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
        query's time is its median over rounds.
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
                rounds = list(timed_rounds(calls, asked, plan.rounds, seed=plan.seed, check=self._check))
                for one in ways:
                    taken = np.median(np.stack([part[one.label] for part in rounds]), axis=0) / 1e6  # (2, n) ms
                    yield _point(one, n_items, taken)


def _point(one: Built, n_items: int, taken: np.ndarray) -> GrowthPoint:
    encode_ms = float(np.median(taken[0])) if one.encodes else float("nan")
    p50_ms = float(np.median(taken.sum(0)))
    return GrowthPoint(
        one.name, one.setting, n_items, one.share, one.found, one.size_bytes, one.build_seconds, p50_ms, encode_ms, taken.shape[1]
    )

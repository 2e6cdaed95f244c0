"""Background measurements of every way to serve on catalogues grown from the real one; results are kept until they are measured again."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot
from app.jobs.scoped import Jobs
from app.measured.measured_index import Kind, MeasuredIndex
from app.measured.serving import LANE, ServingMeasurements, best_measured
from app.measured.threshold_stops import SCALE_MEASURED, share_of
from app.models.backbones import Backbones
from app.models.trained import Recording
from sparcode.baselines.cooccurrence import Cooccurrence, Exponents
from sparcode.comparison.grown_ways import GRAPH_EXPONENT, LeftOut, ServedModels, WayPlan
from sparcode.comparison.growth import GrowthMeasurement, GrowthPlan, GrowthPoint
from sparcode.comparison.peers import HNSW
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.runs.machine import BUSY_LOAD, machine_facts, machine_load

LADDER: Final = (3_000, 10_000, 30_000, 100_000)
LARGEST: Final = 1_000_000
# A ladder is answered within 20 s on two cores, so a graph that takes longer to build is left to the long measurement.
GRAPH_SECONDS: Final = 8.0
# They change neither time nor bytes of co-occurrence, so none are searched for.
EXPONENTS: Final = Exponents(0.6, 0.4, 0.7)
RESULTS_BYTES: Final = 2**20
# Sizes nearer to the real one than this factor are not measured beside it.
_APART: Final = 1.5
_STEPS: Final = 7
# Bytes of a point in memory, roughly.
_POINT_BYTES: Final = 400


class ScaleProgress(NamedTuple):
    """A step of a measurement in words, the share done, and what was just measured or left out, if anything."""

    step: str
    done: float
    found: GrowthPoint | LeftOut | None = None


class ScaleResult(NamedTuple):
    """A finished measurement, with what its figures depend on.

    Attributes
    ----------
    points, left_out
        In order of sizes.
    seconds
        Size -> wall seconds it took.
    n_items
        Of the real catalogue, the least size.
    n_lists
        Codes in use.
    kind
        What pages call the SparCode model; see `app.measured.measured_index.MeasuredIndex.called`.
    measured_at
        Local time, ISO 8601.
    load
        Of the machine, per core: that before it began, or if more, what it was beyond own threads after a size; NaN where it is unknown.
    recording
        When and where it was recorded; None: it was measured here.
    version
        Of the index, see `MeasuredIndex.version`; empty for a recorded one.
    """

    points: tuple[GrowthPoint, ...]
    left_out: tuple[LeftOut, ...]
    seconds: dict[int, float]
    n_items: int
    n_lists: int
    kind: Kind
    data_name: str
    machine: str
    measured_at: str
    load: float = math.nan
    recording: Recording | None = None
    version: str = ""

    @property
    def load_words(self) -> str:
        """What other work on the machine means for the times; empty up to `BUSY_LOAD`."""
        if math.isnan(self.load):
            return "at a load of the machine that is not known"
        if self.load <= BUSY_LOAD:
            return ""
        return f"beside other work (load {self.load:.1f} per core, more than {BUSY_LOAD:g}), so neither times nor their ratios are exact"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Catalogue sizes measured, ascending."""
        return tuple(sorted(self.seconds))

    def expected_seconds(self, n_items: int) -> float:
        """What a larger size would take: a graph by the largest one built, the rest in proportion to the largest size; NaN without any."""
        if not self.seconds:
            return math.nan
        largest = self.sizes[-1]
        graphs = {point.n_items: point.build_seconds for point in self.points if point.name == HNSW}
        rest = (self.seconds[largest] - graphs.get(largest, 0.0)) * n_items / largest
        built = max(graphs, default=n_items)
        return rest + graphs.get(built, 0.0) * (n_items / built) ** GRAPH_EXPONENT


def sizes_for(n_items: int) -> tuple[int, ...]:
    """The real size, and the sizes of `LADDER` beyond it."""
    return (n_items, *(size for size in LADDER if size >= _APART * n_items))


def plan_for(sizes: Sequence[int]) -> GrowthPlan:
    """What may be built for sizes: within `LADDER` only what the wait at a click allows."""
    limit = GRAPH_SECONDS if max(sizes) <= LADDER[-1] else math.inf
    shares = tuple(map(share_of, SCALE_MEASURED))
    return GrowthPlan(WayPlan(shares=shares, max_build_seconds=limit, n_threads=os.cpu_count() or 1))


class ScaleMeasurements:
    """Measurements of one data set: at most one at a time, and never beside training. Safe to share between threads.

    `seen_indexes` gives the measured indexes in memory, `recorded` the recorded measurement of a setting.
    """

    def __init__(
        self,
        split: Split,
        data_name: str,
        jobs: Jobs,
        backbones: Backbones,
        serving: ServingMeasurements,
        seen_indexes: Callable[[], list[MeasuredIndex]],
        recorded: Callable[[RunConfig], ScaleResult | None] = lambda config: None,
    ) -> None:
        self._split, self._data_name, self._jobs, self._backbones = split, data_name, jobs, backbones
        self._serving, self._seen_indexes, self._recorded = serving, seen_indexes, recorded
        self._results: ByteCache[ScaleResult] = ByteCache(RESULTS_BYTES, lambda result: _POINT_BYTES * len(result.points))

    def start(self, config: RunConfig, owner: str, sizes: Sequence[int]) -> JobSnapshot:
        """Measure a setting's best index at these sizes in the background, or join the measurement under way.

        Figures of other sizes that were measured here, of the same model, stay.
        """
        label = f"measurement of catalogues of up to {max(sizes):,} items"
        return self._jobs.submit(scale_key(config), label, lambda handle: self._measure(config, tuple(sizes), handle), owner, LANE)

    def job(self, config: RunConfig) -> JobSnapshot | None:
        """The last measurement of a setting; None if there is none (any more)."""
        return self._jobs.get(scale_key(config))

    def result(self, config: RunConfig) -> ScaleResult | None:
        """The last finished measurement of a setting, else the recorded one."""
        return self._results.get(config.content_hash()) or self._recorded(config)

    def widest(self, config: RunConfig) -> ScaleResult | None:
        """The result of a setting that reaches the largest catalogue, measured here or recorded; of equals, the one measured here."""
        both = [result for result in (self.result(config), self._recorded(config)) if result is not None]
        return max(both, key=lambda result: result.sizes[-1], default=None)

    def _measure(self, config: RunConfig, sizes: tuple[int, ...], handle: JobHandle) -> None:
        started = datetime.datetime.now().astimezone()
        measured = best_measured(self._seen_indexes(), config)
        if measured is None:
            raise ValueError("there is no whole index of this setting yet; wait for its first figures and start again")
        progress, plan, loads = _Progress(sizes, handle), plan_for(sizes), [machine_load()]
        measuring = GrowthMeasurement(self._models(measured, config, handle), plan, handle.check, progress.step)
        found: list[GrowthPoint | LeftOut] = []
        seconds: dict[int, float] = {}
        for n_items in sizes:
            at_start = time.perf_counter()
            progress.begin(n_items)
            for one in measuring.measure(n_items):
                found.append(one)
                progress.tell(one)
            seconds[n_items] = time.perf_counter() - at_start
            loads.append(machine_load(plan.ways.n_threads))
        handle.check()
        result = ScaleResult(
            points=tuple(one for one in found if isinstance(one, GrowthPoint)),
            left_out=tuple(one for one in found if isinstance(one, LeftOut)),
            seconds=seconds,
            n_items=self._split.train.n_items,
            n_lists=measured.explorer.index.n_lists,
            kind=measured.called,
            data_name=self._data_name,
            machine=machine_facts(),
            measured_at=started.isoformat(timespec="seconds"),
            load=max(loads),
            version=measured.version,
        )
        self._results.put(config.content_hash(), _with_earlier(result, self._results.get(config.content_hash())))

    def _models(self, measured: MeasuredIndex, config: RunConfig, handle: JobHandle) -> ServedModels:
        explorer = measured.explorer
        handle.publish(ScaleProgress("Getting two-tower and the all-to-all model ready", 0.0))
        return ServedModels(
            sparcode=explorer.model,
            codes=explorer.index.codes,
            postings=config.index.postings,
            two_tower=self._serving.two_tower(
                config, handle, lambda record: handle.publish(ScaleProgress(f"Training two-tower, epoch {record.epoch}", 0.0))
            ).model,
            backbone=self._backbones.train(config, handle).model,
            cooccurrence=Cooccurrence(EXPONENTS).fit(self._split.train),
            queries=self._split.test.queries,
        )


class _Progress:
    """Publishes what goes on; the share done counts a size by its items, and every step of it alike."""

    def __init__(self, sizes: Sequence[int], handle: JobHandle) -> None:
        self._handle, self._all = handle, sum(map(_weight, sizes))
        self._before, self._size, self._steps = 0.0, 0, 0

    def begin(self, n_items: int) -> None:
        self._before += _weight(self._size) if self._size else 0.0
        self._size, self._steps = n_items, 0

    def step(self, words: str) -> None:
        self._handle.publish(ScaleProgress(f"{self._size:,} items: {words}", self._done()))
        self._steps += 1

    def tell(self, found: GrowthPoint | LeftOut) -> None:
        self._handle.publish(ScaleProgress(f"{self._size:,} items", self._done(), found))

    def _done(self) -> float:
        return min(1.0, (self._before + _weight(self._size) * min(1.0, self._steps / _STEPS)) / self._all)


def _weight(n_items: int) -> float:
    # Small sizes take some time, too.
    return n_items + 5_000.0


def _with_earlier(result: ScaleResult, earlier: ScaleResult | None) -> ScaleResult:
    if earlier is None or (earlier.version, earlier.n_lists) != (result.version, result.n_lists):
        return result
    kept = {size: seconds for size, seconds in earlier.seconds.items() if size not in result.seconds}
    return result._replace(
        points=_ordered([*(one for one in earlier.points if one.n_items in kept), *result.points]),
        left_out=_ordered([*(one for one in earlier.left_out if one.n_items in kept), *result.left_out]),
        seconds=kept | result.seconds,
        load=max(earlier.load, result.load),
    )


def _ordered(found: list) -> tuple:
    return tuple(sorted(found, key=lambda one: one.n_items))


def found_so_far(job: JobSnapshot | None) -> tuple[tuple[GrowthPoint, ...], tuple[LeftOut, ...]]:
    """What a measurement has published so far."""
    found = [record.found for record in (() if job is None else job.records) if isinstance(record, ScaleProgress)]
    return tuple(one for one in found if isinstance(one, GrowthPoint)), tuple(one for one in found if isinstance(one, LeftOut))


def scale_key(config: RunConfig) -> str:
    """Key of the job that measures a setting on growing catalogues."""
    return f"scale/{config.content_hash()}"

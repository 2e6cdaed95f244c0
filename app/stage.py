"""One model with its index, measured: what the Index Explorer shows. Published again and again while more of it becomes known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import numpy as np

from app.bounded_cache import BoundedCache
from app.threshold_stops import coarse_to_fine, threshold_stops
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.evaluation import CodeUsage, Explorer, ExplorerPoint
from sparcode.index.inverted_index import build_index
from sparcode.index.pruning import floor_for_density
from sparcode.metrics.cost import Latency
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.pipeline import build_run_index
from sparcode.training import EpochRecord

Kind = Literal["preview", "fine-tuned", "trained from scratch", "recorded"]

# More codes than this take too long to index before the first figures are shown.
FIRST_LOOK_CODES: Final = 4096
FLOOR_SAMPLE: Final = 256
TIMED_CALLS: Final = 100
_POINT_BYTES: Final = 8 * 2**20

# Two measurements at the same time would time each other.
_timing = threading.Lock()


class Curve(NamedTuple):
    """Figures at the stops measured so far, ascending by stop.

    Attributes
    ----------
    stops
        (n,) int64, positions in `KEPT_PERCENTS`.
    tau, density, recall, ndcg
        (n,) float64.
    size_bytes
        (n,) int64.
    """

    stops: np.ndarray
    tau: np.ndarray
    density: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    size_bytes: np.ndarray

    @classmethod
    def empty(cls) -> Curve:
        """Nothing is measured yet."""
        return cls(np.zeros(0, dtype=np.int64), *(np.zeros(0) for _ in range(4)), np.zeros(0, dtype=np.int64))

    def with_points(self, points: Mapping[int, ExplorerPoint]) -> Curve:
        """The curve with more stops; none of them may be in it already.

        Parameters
        ----------
        points
            Position in `KEPT_PERCENTS` -> figures.
        """
        rows = [(stop, row.tau, row.density, row.recall, row.ndcg, row.total_bytes) for stop, row in points.items()]
        columns = [np.append(old, np.array(new, dtype=old.dtype)) for old, new in zip(self, zip(*rows, strict=True), strict=True)]
        order = np.argsort(columns[0])
        return Curve(*(column[order] for column in columns))


class TimedLatency(NamedTuple):
    """A latency, and whether jobs were running beside the measurement (which makes it an upper bound)."""

    latency: Latency
    busy: bool


@dataclass(frozen=True, eq=False)
class Stage:
    """A model and its index, with what is measured of them.

    Attributes
    ----------
    kind
        How the model came about.
    config
        The settings behind it.
    explorer
        Measures at any threshold.
    usage
        Code usage of the training queries.
    stops
        (len(KEPT_PERCENTS),) float64 thresholds.
    complete
        False for the first look: the index then holds only the codes that the test queries use. Accuracy is exact all the same.
    curve
        Stops measured so far.
    records
        Epochs of the training behind it.
    seconds
        What it took: until the first figures for a preview, the training for a trained model.
    cut_short
        Whether the clock ended the training before the settings did.
    """

    kind: Kind
    config: RunConfig
    explorer: Explorer
    usage: CodeUsage
    stops: np.ndarray
    complete: bool
    curve: Curve
    records: tuple[EpochRecord, ...]
    seconds: float
    cut_short: bool
    _points: BoundedCache = field(default_factory=lambda: BoundedCache(_POINT_BYTES), repr=False)

    @property
    def presentable(self) -> bool:
        """Whether its whole index is measured at some stops at least."""
        return self.complete and len(self.curve.stops) > 0

    @property
    def finished(self) -> bool:
        """Whether everything about it is measured."""
        return self.complete and len(self.curve.stops) == len(self.stops)

    @property
    def n_bytes(self) -> int:
        """Memory it takes."""
        index = self.explorer.index
        return sum(array.nbytes for array in (index.codes, index.indptr, index.item_ids, index.scores))

    def point(self, stop: int) -> ExplorerPoint:
        """Figures at one stop; the last ones asked for are kept.

        Parameters
        ----------
        stop
            Position in `KEPT_PERCENTS`.
        """
        known = self._points.get(stop)
        if known is None:
            known = self.explorer.at(float(self.stops[stop]))
            self._points.put(stop, known, known.list_lengths.nbytes)
        return known

    def latency(self, stop: int, busy: bool) -> TimedLatency:
        """Time of single queries at one stop. A measurement made beside running jobs is repeated once there are none.

        Parameters
        ----------
        stop
            Position in `KEPT_PERCENTS`.
        busy
            Whether jobs are running now.
        """
        key = ("latency", stop)
        known = self._points.get(key)
        if known is None or (known.busy and not busy):
            with _timing:
                known = TimedLatency(self.explorer.latency(float(self.stops[stop]), TIMED_CALLS), busy)
            self._points.put(key, known, 0)
        return known


class Origin(NamedTuple):
    """What a stage says about where its model comes from; see `Stage`."""

    kind: Kind
    config: RunConfig
    records: tuple[EpochRecord, ...]
    seconds: Callable[[], float]
    cut_short: bool


def measure(model: SparCodeModel, origin: Origin, split: Split, keep: Callable[[Stage], None], check: Callable[[], None]) -> Stage:
    """Index a model and measure it: first figures as soon as they exist, then the whole index, then a coarse curve.

    Parameters
    ----------
    model
        A trained or previewed model.
    origin
        Where it comes from.
    split
        Training queries for the index, test queries for the figures.
    keep
        Takes every stage on the way, each knowing more than the one before.
    check
        Called between steps; raises to end the work.

    Returns
    -------
    Stage
        The last one; `refine` measures what is left of its curve.
    """
    codes = np.unique(model.encode(split.train)[0])
    if len(codes) > FIRST_LOOK_CODES:
        keep(_stage(origin, _first_look(model, split, origin.config), complete=False))
        check()
    index = build_run_index(model, split.train, origin.config.index, lambda: _asked(check))
    stage = _stage(origin, Explorer(model, index, split.test, split.train), complete=True)
    keep(stage)
    return refine(stage, keep, check, rounds=1)


def refine(stage: Stage, keep: Callable[[Stage], None], check: Callable[[], None], rounds: int | None = None) -> Stage:
    """Measure more stops of a stage's curve.

    Parameters
    ----------
    stage
        A complete one.
    keep, check
        As for `measure`.
    rounds
        How many rounds of `coarse_to_fine` to do at most, those that are done already included; None does all.
    """
    points: dict[int, ExplorerPoint] = {}
    for positions in coarse_to_fine(len(stage.stops))[:rounds]:
        left = [stop for stop in positions.tolist() if stop not in stage.curve.stops]
        for stop in left:
            check()
            points[stop] = stage.explorer.at(float(stage.stops[stop]))
        if left:
            stage = replace(stage, curve=stage.curve.with_points(points))
            points.clear()
            keep(stage)
    return stage


def _asked(check: Callable[[], None]) -> bool:
    # The index builder wants a yes or no; `check` ends the work by raising, which passes through it.
    check()
    return False


def _first_look(model: SparCodeModel, split: Split, config: RunConfig) -> Explorer:
    codes = np.unique(model.encode(split.test.queries)[0])
    sample = codes[:: max(1, len(codes) // FLOOR_SAMPLE)]
    floor = floor_for_density(model, sample, config.index.floor_density, config.index.block_codes)
    index = build_index(model, codes, min(floor, model.threshold), config.index.block_codes)
    return Explorer(model, index, split.test, split.train)


def _stage(origin: Origin, explorer: Explorer, complete: bool) -> Stage:
    # The first retrieval computes the lists of codes that no training query uses; visitors should not wait for that.
    explorer.at(explorer.default_threshold)
    return Stage(
        kind=origin.kind,
        config=origin.config,
        explorer=explorer,
        usage=explorer.usage,
        stops=threshold_stops(explorer.index, explorer.default_threshold),
        complete=complete,
        curve=Curve.empty(),
        records=origin.records,
        seconds=origin.seconds(),
        cut_short=origin.cut_short,
    )

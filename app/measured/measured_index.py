"""One model with its measured index, as the Index Explorer shows it; published repeatedly while more of it becomes known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import numpy as np
import torch

from app.jobs.byte_cache import ByteCache
from app.measured.curve import Curve, TimedLatency
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS, coarse_to_fine, threshold_stops
from app.models.trained import Recording
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import floor_for_density
from sparcode.metrics.evaluation import CodeUsage, Explorer, ExplorerPoint
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import build_run_index

Kind = Literal["preview", "fine-tuned", "trained from scratch", "recorded"]

# More codes than this take too long to index before the first figures are shown.
FIRST_LOOK_CODES: Final = 4096
FLOOR_SAMPLE: Final = 256
TIMED_CALLS: Final = 100
# Each takes as long as two to three queries.
PARTS_CALLS: Final = 25
# Stops whose latency is always measured: every `TIMED_STEP`-th, the default one, and the last.
TIMED_STEP: Final = 12
SCORE_BINS: Final = 60
# A fine-tuning that the clock ended before so many epochs is called a preview still.
LEAST_EPOCHS: Final = 5
_POINT_BYTES: Final = 8 * 2**20

# Concurrent measurements would slow each other down.
_timing = threading.Lock()


class ScoreHistogram(NamedTuple):
    """Stored scores by value: (n,) bin edges float64 and (n - 1,) int64 counts."""

    edges: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class MeasuredIndex:
    """A model and its index, with what is measured of them.

    Attributes
    ----------
    kind
        How the model came about.
    usage
        Code usage of the training queries.
    stops
        (len(KEPT_PERCENTS),) float64 thresholds.
    complete
        False for the first look, whose index holds only the codes that the test queries use; its accuracy is exact all the same.
    curve
        Stops measured so far.
    records
        Epochs of the training behind it.
    seconds
        Time until the first figures for a preview, training time for a trained model.
    cut_short
        Whether the time limit ended the training.
    recording
        When and where its model was trained, if not here; all its figures are computed and measured here.
    """

    kind: Kind
    config: RunConfig
    explorer: Explorer
    usage: CodeUsage
    scores: ScoreHistogram
    stops: np.ndarray
    complete: bool
    curve: Curve
    records: tuple[EpochRecord, ...]
    seconds: float
    cut_short: bool
    recording: Recording | None = None
    _points: ByteCache[ExplorerPoint] = field(default_factory=lambda: ByteCache(_POINT_BYTES, _point_bytes), repr=False)
    _latencies: dict[int, TimedLatency] = field(default_factory=dict, repr=False)

    @property
    def is_preview(self) -> bool:
        """Whether its codes are untrained."""
        return self.kind == "preview"

    @property
    def n_epochs(self) -> int:
        """Epochs of fine-tuning."""
        return max(0, len(self.records) - 1)

    @property
    def least_epochs(self) -> int:
        """Epochs from which on a fine-tuning is called one: `LEAST_EPOCHS`, or all if its settings have fewer."""
        return min(LEAST_EPOCHS, self.config.training.joint_epochs)

    @property
    def is_barely_tuned(self) -> bool:
        """Whether the time limit ended its fine-tuning before `least_epochs`."""
        return self.cut_short and self.n_epochs < self.least_epochs

    @property
    def called(self) -> Kind:
        """What pages call it: `kind`, but "preview" for one that is barely fine-tuned."""
        return "preview" if self.is_barely_tuned else self.kind

    @property
    def presentable(self) -> bool:
        """Whether its whole index is measured at some stops at least."""
        return self.complete and len(self.curve.stops) > 0

    @property
    def finished(self) -> bool:
        """Whether everything about it is measured."""
        return self.complete and len(self.curve.stops) == len(self.stops)

    @property
    def training_text(self) -> str:
        """Its epochs of fine-tuning in words."""
        n_epochs = self.n_epochs
        few = f", which is fewer than the {self.least_epochs} that count as fine-tuning" if self.is_barely_tuned else ""
        if n_epochs == 1:
            return f"the 1 epoch that fit{few}" if self.cut_short else "1 epoch"
        return f"best of the {n_epochs} epochs that fit{few}" if self.cut_short else f"best of {n_epochs} epochs"

    @property
    def version(self) -> str:
        """An opaque version key of its index."""
        extent = f"{len(self.records)} epochs" + (", cut short" if self.cut_short else "") + ("" if self.complete else ", first look")
        return f"{self.config.content_hash()} {self.kind} {extent}"

    @property
    def n_bytes(self) -> int:
        """Its memory in bytes."""
        index = self.explorer.index
        return sum(array.nbytes for array in (index.codes, index.indptr, index.item_ids, index.scores))

    @property
    def n_lists(self) -> int:
        """Lists of its index."""
        return self.explorer.index.n_lists

    def point(self, stop: int) -> ExplorerPoint:
        """Figures at one stop, a position in `KEPT_PERCENTS`; recent ones are cached."""
        known = self._points.get(stop)
        if known is None:
            known = self.explorer.at(float(self.stops[stop]))
            self._points.put(stop, known)
        return known

    def latency(self, stop: int, busy: bool) -> TimedLatency | None:
        """Time of single queries at one stop; None until the whole index is there. One measured beside running jobs is measured again.

        `stop` is a position in `KEPT_PERCENTS`; `busy` says whether jobs are running now.
        """
        if not self.complete:
            # The first look holds only the test queries' lists, whose search is faster.
            return None
        known = self._latencies.get(stop)
        if known is None or (known.busy and not busy):
            with _timing:
                threads = torch.get_num_threads()
                # A single query needs no more, and jobs and pages would otherwise measure with different numbers of threads.
                torch.set_num_threads(1)
                try:
                    tau = float(self.stops[stop])
                    known = TimedLatency(self.explorer.latency(tau, TIMED_CALLS), busy, self.explorer.latency_parts(tau, PARTS_CALLS))
                finally:
                    torch.set_num_threads(threads)
            self._latencies[stop] = known
        return known

    def latencies(self) -> dict[int, TimedLatency]:
        """Measured latencies by stop, ascending."""
        return dict(sorted(self._latencies.copy().items()))


class ModelFacts(NamedTuple):
    """How a model to be measured came about, as in `MeasuredIndex`; `seconds` is called when the first figures are there."""

    kind: Kind
    config: RunConfig
    records: tuple[EpochRecord, ...]
    seconds: Callable[[], float]
    cut_short: bool
    recording: Recording | None = None


def measure(
    model: SparCodeModel, facts: ModelFacts, split: Split, publish: Callable[[MeasuredIndex], None], check: Callable[[], None]
) -> MeasuredIndex:
    """Index a model and measure it: first figures as soon as they exist, then the whole index, then a coarse curve.

    Parameters
    ----------
    split
        Training queries for the index, test queries for the figures.
    publish
        Takes every intermediate result, each with more figures than the one before.
    check
        Called between steps; raises to end the work.

    Returns
    -------
    MeasuredIndex
        The last one; `refine` measures the rest of its curve.
    """
    codes = np.unique(model.encode(split.train)[0])
    if len(codes) > FIRST_LOOK_CODES:
        publish(measured_index(facts, _first_look(model, split, facts.config), complete=False))
        check()
    index = build_run_index(model, split.train, facts.config.index, lambda: _asked(check))
    whole = measured_index(facts, Explorer(model, index, split.test, split.train, unseen=facts.config.index.unseen), complete=True)
    publish(whole)
    return refine(whole, publish, check, rounds=1)


def measured_index(facts: ModelFacts, explorer: Explorer, complete: bool = True) -> MeasuredIndex:
    """A model and its index before any stop of the curve is measured; `complete` as in `MeasuredIndex`."""
    # The first retrieval computes the lists of codes that no training query uses; visitors should not wait for that.
    explorer.at(explorer.default_threshold)
    return MeasuredIndex(
        kind=facts.kind,
        config=facts.config,
        explorer=explorer,
        usage=explorer.usage,
        scores=_histogram(explorer.index.scores),
        stops=threshold_stops(explorer.index, explorer.default_threshold),
        complete=complete,
        curve=Curve.empty(),
        records=facts.records,
        seconds=facts.seconds(),
        cut_short=facts.cut_short,
        recording=facts.recording,
    )


def refine(
    measured: MeasuredIndex, publish: Callable[[MeasuredIndex], None], check: Callable[[], None], rounds: int | None = None
) -> MeasuredIndex:
    """Measure more stops of a complete index's curve, up to so many rounds of `coarse_to_fine` in all (None: all); see `measure`."""
    points: dict[int, ExplorerPoint] = {}
    for positions in coarse_to_fine(len(measured.stops))[:rounds]:
        left = [stop for stop in positions.tolist() if stop not in measured.curve.stops]
        for stop in left:
            check()
            points[stop] = measured.explorer.at(float(measured.stops[stop]))
        if left:
            measured = replace(measured, curve=measured.curve.with_points(points, measured.explorer.index.n_items))
            points.clear()
            publish(measured)
    return measured


def time_stops(measured: MeasuredIndex, busy: Callable[[], bool], check: Callable[[], None]) -> None:
    """Measure the missing latencies at some stops of a complete index; `busy` says whether other jobs are running now."""
    for stop in sorted({*range(0, len(measured.stops), TIMED_STEP), KEPT_PERCENTS.index(DEFAULT_PERCENT), len(measured.stops) - 1}):
        check()
        measured.latency(stop, busy())


def _asked(check: Callable[[], None]) -> bool:
    # The index builder expects a boolean; `check` ends the work by raising.
    check()
    return False


def _first_look(model: SparCodeModel, split: Split, config: RunConfig) -> Explorer:
    codes = np.unique(model.encode(split.test.queries)[0])
    of_heads = model.without_lists(codes)
    sample = of_heads[:: max(1, len(of_heads) // FLOOR_SAMPLE)]
    floor = floor_for_density(model, sample, config.index.floor_density, config.index.block_codes)
    index = build_index(model, codes, min(floor, model.threshold), config.index.block_codes)
    return Explorer(model, index, split.test, split.train)


def _histogram(scores: np.ndarray) -> ScoreHistogram:
    if len(scores) == 0:
        return ScoreHistogram(np.array([0.0, 1.0]), np.zeros(1, dtype=np.int64))
    lowest, highest = float(scores.min()), float(scores.max())
    # Scores of an exponential output span orders of magnitude.
    edges = np.geomspace(lowest, highest, SCORE_BINS + 1) if lowest > 0 else np.linspace(lowest, highest, SCORE_BINS + 1)
    # Rounding must not exclude the first or last score, and equal scores need bins of some width.
    edges[0], edges[-1] = lowest, np.nextafter(max(highest, lowest), np.inf)
    return ScoreHistogram(edges, np.histogram(scores, bins=np.maximum.accumulate(edges))[0])


def _point_bytes(point: ExplorerPoint) -> int:
    return point.list_lengths.nbytes

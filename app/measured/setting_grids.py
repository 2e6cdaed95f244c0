"""Background searches over M, K, P and the threshold, on previews of one backbone; results are kept with their jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.scoped import Jobs
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS, threshold_stops
from app.models.backbones import Backbones
from sparcode.comparison.setting_grid import Grid, GridPoint, grid_points
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.index.inverted_index import InvertedIndex

GRIDS: Final = "grids"
GRID: Final = Grid(n_codebooks=(1, 2, 4), codebook_sizes=(8, 16, 32, 64, 128, 256), n_nearest=(1, 2, 4, 8))
# Every eighth stop; at the default one an index is cut at the tau of training, which a search does not know.
PLACES: Final = tuple(stop for stop in range(0, len(KEPT_PERCENTS), 8) if KEPT_PERCENTS[stop] != DEFAULT_PERCENT)


class GridProgress(NamedTuple):
    """Settings of M, K and P measured so far, and all of them."""

    done: int
    total: int


class SearchedGrid(NamedTuple):
    """A finished search.

    Attributes
    ----------
    points
        Every setting at every threshold; a point's `place` is a position in `KEPT_PERCENTS`.
    left_out
        Settings of M, K and P with too many codes.
    seconds
        Time it took, the training of a missing backbone included.
    """

    points: tuple[GridPoint, ...]
    left_out: int
    seconds: float


class SettingGrids:
    """Searches by everything but M, K and P of a setting. Safe to share between threads; `jobs` has the lane `GRIDS`."""

    def __init__(self, split: Split, jobs: Jobs, backbones: Backbones) -> None:
        self._split, self._jobs, self._backbones = split, jobs, backbones

    def start(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Search in the background, or join the search under way."""
        label = f"search of {GRID.n_settings} settings"
        return self._jobs.submit(grid_key(config), label, lambda handle: self._search(config, handle), owner, GRIDS)

    def job(self, config: RunConfig) -> JobSnapshot | None:
        """The last search over a setting's M, K and P; None if there is none (any more)."""
        return self._jobs.get(grid_key(config))

    def found(self, config: RunConfig) -> SearchedGrid | None:
        """What the last search found; None before its end."""
        job = self.job(config)
        return job.result if job is not None and job.state is JobState.DONE else None

    def _search(self, config: RunConfig, handle: JobHandle) -> SearchedGrid:
        started = time.perf_counter()
        backbone = self._backbones.train(config, handle).model
        points: list[GridPoint] = []
        left_out = 0
        settings = grid_points(backbone, self._split, config, GRID, searched_thresholds, handle.check)
        for done, found in enumerate(settings, start=1):
            left_out += not found
            points += placed(found)
            handle.publish(GridProgress(done, GRID.n_settings))
        return SearchedGrid(tuple(points), left_out, time.perf_counter() - started)


def grid_key(config: RunConfig) -> str:
    """Key of the search over a setting's M, K and P; settings that differ only in these share it."""
    quantizer = config.quantizer.model_copy(update={"n_codebooks": 1, "codebook_size": 2, "n_nearest": 1})
    return f"grid/{config.model_copy(update={'quantizer': quantizer}).content_hash()}"


def placed(points: Sequence[GridPoint]) -> list[GridPoint]:
    """Points at `searched_thresholds`, with positions in `KEPT_PERCENTS`."""
    return [point._replace(place=PLACES[point.place]) for point in points]


def progress_of(job: JobSnapshot) -> GridProgress:
    """How far a search has come."""
    return next((record for record in reversed(job.records) if isinstance(record, GridProgress)), GridProgress(0, GRID.n_settings))


def searched_thresholds(index: InvertedIndex) -> Sequence[float]:
    """The thresholds of `PLACES` in an index, ascending."""
    return threshold_stops(index, index.floor)[list(PLACES)].tolist()

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from app.measured.threshold_stops import KEPT_PERCENTS, threshold_stops
from sparcode.comparison.pareto import best_under, smallest_within
from sparcode.comparison.setting_grid import Grid, GridPoint, grid_points
from sparcode.metrics.evaluation import Explorer
from sparcode.training.pipeline import build_run_index, preview
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_split

GRID = Grid((1, 2), (3, 6), (1, 2, 4))
PLACES = list(range(0, len(KEPT_PERCENTS), 25))


def go_on() -> None:
    """The work is not stopped."""


def searched(grid: Grid = GRID) -> list[tuple[GridPoint, ...]]:
    """The grid over the tiny backbone."""
    return list(grid_points(tiny_backbone(), tiny_split(), CONFIG, grid, lambda index: threshold_stops(index, index.floor)[PLACES], go_on))


def by_brute_force() -> list[GridPoint]:
    """Every setting made, indexed and measured as the studio makes and measures one."""
    split, points = tiny_split(), []
    for n_codebooks, size, n_nearest in product(*GRID[:3]):
        config = changed(quantizer={"n_codebooks": n_codebooks, "codebook_size": size, "n_nearest": n_nearest})
        model = preview(tiny_backbone(), split, config)
        explorer = Explorer(model, build_run_index(model, split.train, config.index), split.validation, split.train)
        stops = threshold_stops(explorer.index, explorer.default_threshold)
        for place, stop in enumerate(PLACES):
            point = explorer.at(float(stops[stop]))
            points.append(GridPoint(n_codebooks, size, n_nearest, place, point.recall, point.total_bytes))
    return points


def test_every_point_is_that_of_the_setting_made_by_itself() -> None:
    found, expected = [point for setting in searched() for point in setting], by_brute_force()
    assert [point[:4] for point in found] == [point[:4] for point in expected]
    np.testing.assert_allclose([point.recall for point in found], [point.recall for point in expected], atol=1e-12)
    assert [point.size_bytes for point in found] == [point.size_bytes for point in expected]


@pytest.mark.parametrize("budget", [2_000, 4_000, 10_000, 10**9])
def test_the_best_under_a_budget_is_that_of_a_brute_force_grid(budget: int) -> None:
    found = best_under([point for setting in searched() for point in setting], budget)
    fitting = [point for point in by_brute_force() if point.size_bytes <= budget]
    assert found.size_bytes <= budget
    assert found.recall == pytest.approx(max(point.recall for point in fitting))


def test_the_smallest_within_a_share_is_that_of_a_brute_force_grid() -> None:
    found, every = smallest_within([point for setting in searched() for point in setting], 0.9), by_brute_force()
    good = [point for point in every if point.recall >= 0.9 * max(point.recall for point in every)]
    assert found.size_bytes == min(point.size_bytes for point in good)


def test_settings_of_too_many_codes_and_of_codebooks_that_do_not_divide_are_left_out() -> None:
    settings = searched(Grid((1, 3), (3, 6), (1, 4), max_codes=5))
    # One codebook of 6 words is used with up to 6 codes; tokens of 8 dimensions have no thirds.
    assert [len(setting) > 0 for setting in settings] == [True, True, False, False, False, False, False, False]
    assert len(settings) == 8


def test_nothing_fits_no_budget_and_nothing_is_best_of_nothing() -> None:
    point = GridPoint(1, 8, 1, 0, 0.5, 100)
    assert best_under([point], 99) is None
    assert best_under([point, point._replace(size_bytes=90)], 100).size_bytes == 90
    assert smallest_within([], 0.99) is None


def test_the_work_can_be_stopped() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        next(grid_points(tiny_backbone(), tiny_split(), CONFIG, GRID, lambda index: [index.floor], stop))

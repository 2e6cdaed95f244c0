from __future__ import annotations

import math

import numpy as np
import pytest

from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import Crossing, Line, at_enough, at_share, crossing, line_of
from sparcode.comparison.peers import FLAT, SPARCODE

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def power(factor: float, exponent: float, sizes: tuple[int, ...] = SIZES) -> Line:
    n_items = np.array(sizes, dtype=np.float64)
    return Line(n_items, factor * n_items**exponent)


def point(name: str, n_items: int, p50_ms: float, share: float = math.nan, found: float = 1.0, size_bytes: int = 8) -> GrowthPoint:
    return GrowthPoint(name, "", n_items, share, found, size_bytes, 2.0, p50_ms, 0.1, 24)


def test_values_between_points_lie_on_the_power_and_there_are_none_outside() -> None:
    line = power(2.0, 0.5)
    assert line.at(5_000) == pytest.approx(2 * 5_000**0.5)
    assert [line.at(size) for size in (1_000, 1_000_000)] == pytest.approx([line.values[0], line.values[-1]])
    assert all(math.isnan(line.at(size)) for size in (999, 1_000_001))
    assert math.isnan(Line(np.zeros(0), np.zeros(0)).at(10))


def test_the_slope_is_the_exponent() -> None:
    assert power(3.0, 0.7).slope() == pytest.approx(0.7)
    bent = Line(np.array([1e3, 1e4, 1e5]), np.array([1.0, 1.0, 10.0]))
    assert bent.slope(1e4) == pytest.approx(1.0)
    assert 0 < bent.slope() < 1
    assert math.isnan(bent.slope(1e5))


def test_a_planted_crossing_is_found_between_measured_sizes() -> None:
    # 10 n^0.25 and n^0.5 meet at n^0.25 = 10.
    found = crossing(power(10.0, 0.25), power(1.0, 0.5))
    assert found is not None
    assert found.n_items == pytest.approx(10_000)
    assert crossing(power(30.0, 0.25), power(1.0, 0.5)).n_items == pytest.approx(30**4)


def test_lines_of_other_sizes_cross_on_what_both_have() -> None:
    ours, theirs = power(10.0, 0.25, (3_000, 30_000, 300_000)), power(1.0, 0.5)
    assert crossing(ours, theirs).n_items == pytest.approx(10_000)
    assert crossing(power(1.0, 1.0, (10, 20)), theirs) is None


def test_a_line_that_does_not_end_below_does_not_cross() -> None:
    assert crossing(power(1.0, 0.5), power(1.0, 0.5)) is None
    assert crossing(power(1.0, 1.0), power(10.0, 0.5)) is None
    back_again = Line(np.array([1e3, 1e4, 1e5]), np.array([2.0, 0.5, 2.0]))
    assert crossing(back_again, Line(back_again.n_items, np.ones(3))) is None


def test_of_several_crossings_the_last_counts_and_one_below_everywhere_is_so_from_the_start() -> None:
    sizes = np.array([1.0, 10.0, 100.0, 1000.0])
    wavy = Line(sizes, np.array([2.0, 0.5, 2.0, 0.5]))
    assert crossing(wavy, Line(sizes, np.ones(4))).n_items == pytest.approx(10**2.5)
    assert crossing(Line(sizes, np.full(4, 0.5)), Line(sizes, np.ones(4))) == Crossing(1.0, True)


def test_points_between_measured_shares_are_interpolated_and_marked() -> None:
    points = [
        point(SPARCODE, 1_000, 1.0, 0.01, 0.8, 100),
        point(SPARCODE, 1_000, 4.0, 0.16, 1.0, 1600),
        point(SPARCODE, 10_000, 2.0, 0.01, 0.9),
        point(FLAT, 1_000, 3.0),
    ]
    ours, flat = at_share(points, 0.04)
    assert (ours.n_items, ours.share, ours.setting) == (1_000, 0.04, "≈ 4% of scores")
    assert (ours.p50_ms, ours.size_bytes, ours.found) == pytest.approx((2.0, 400, 0.9))
    assert flat is points[-1]
    assert at_share(points, 0.01)[:2] == [points[0], points[2]]
    assert at_share(points, 0.5) == [points[-1]]


def test_the_fewest_scores_that_find_enough_are_read_off_at_every_size() -> None:
    points = [
        point(SPARCODE, 1_000, 1.0, 0.01, 0.8, 100),
        point(SPARCODE, 1_000, 4.0, 0.16, 1.0, 1600),
        point(SPARCODE, 10_000, 2.0, 0.01, 0.9),
        point(SPARCODE, 10_000, 3.0, 0.16, 0.95),
        point(SPARCODE, 100, 5.0, 0.01, 0.2),
        point(SPARCODE, 100, 6.0, 0.16, 0.6),
        point(FLAT, 1_000, 3.0),
    ]
    # At 100 items none finds enough.
    between, large, flat = at_enough(points, 0.9)
    assert (between.share, between.p50_ms, between.found) == pytest.approx((0.04, 2.0, 0.9))
    assert between.setting.startswith("≈")
    assert large is points[2]
    assert flat is points[-1]
    assert at_enough(points, 0.95)[1].share == pytest.approx(0.16)


def test_a_line_takes_one_way_and_only_values_above_zero() -> None:
    points = [point(FLAT, 100, 2.0), point(FLAT, 10, 1.0), point(FLAT, 1_000, 0.0), point(SPARCODE, 10, 5.0)]
    line = line_of(points, FLAT, lambda one: one.p50_ms)
    assert (line.n_items.tolist(), line.values.tolist()) == ([10, 100], [1.0, 2.0])
    with pytest.raises(ValueError, match="more than one point"):
        line_of([point(SPARCODE, 10, 1.0, 0.1), point(SPARCODE, 10, 1.0, 0.2)], SPARCODE, lambda one: one.p50_ms)

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from sparcode.comparison.pareto import pareto_front


class At(NamedTuple):
    recall: float
    cost: float


def cost(point: At) -> float:
    return point.cost


def test_of_equals_the_first_stays() -> None:
    points = [At(0.5, 1), At(0.5, 1), At(0.5, 2), At(0.4, 1)]
    assert pareto_front(points, cost) == [At(0.5, 1)]
    assert pareto_front(points, cost)[0] is points[0]


@given(st.lists(st.builds(At, st.integers(0, 9), st.integers(0, 9))))
def test_every_point_is_on_the_front_or_beaten_by_one_that_is(points: list[At]) -> None:
    front = pareto_front(points, cost)
    assert all(any(one.recall >= point.recall and one.cost <= point.cost for one in front) for point in points)
    assert front == sorted(front)
    assert len({one.cost for one in front}) == len(front)

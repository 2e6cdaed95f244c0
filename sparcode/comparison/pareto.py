"""Pareto front of accuracy and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class HasRecall(Protocol):
    """Anything with an accuracy."""

    @property
    def recall(self) -> float:
        """Higher is better."""
        ...


Point = TypeVar("Point", bound=HasRecall)


def pareto_front(points: Iterable[Point], cost: Callable[[Point], float]) -> list[Point]:
    """The points that no other beats in recall at the same or less cost, cheapest first; of equals the first stays."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (cost(point), -point.recall)):
        if not front or point.recall > front[-1].recall:
            front.append(point)
    return front

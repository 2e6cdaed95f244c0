"""Pareto front of accuracy and cost, and points chosen on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np


class HasRecall(Protocol):
    """Anything with an accuracy."""

    @property
    def recall(self) -> float:
        """Higher is better."""
        ...


class HasSize(HasRecall, Protocol):
    """Anything with an accuracy and the bytes of an index."""

    @property
    def size_bytes(self) -> int:
        """Lower is better."""
        ...


Point = TypeVar("Point", bound=HasRecall)
Sized = TypeVar("Sized", bound=HasSize)


def pareto_front(points: Iterable[Point], cost: Callable[[Point], float]) -> list[Point]:
    """The points that no other beats in recall at the same or less cost, cheapest first; of equals the first stays."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (cost(point), -point.recall)):
        if not front or point.recall > front[-1].recall:
            front.append(point)
    return front


def undominated(costs: np.ndarray) -> np.ndarray:
    """Rows of (n, d) numbers, lower is better in each, that no other row beats: int64 positions, by the first number, then the next.

    A row is beaten by one that is nowhere higher, and lower somewhere; of equal rows the first stays. ValueError if a number is NaN.
    """
    if np.isnan(costs).any():
        raise ValueError("costs must be numbers; got NaN")
    front: list[int] = []
    # In this order no row is beaten by a later one.
    for row in np.lexsort(costs.T[::-1]):
        if not front or not (costs[front] <= costs[row]).all(axis=1).any():
            front.append(int(row))
    return np.array(front, dtype=np.int64)


def best_under(points: Sequence[Sized], size_bytes: float) -> Sized | None:
    """The point of best recall (ties: the smallest) of at most so many bytes; None if there is none."""
    fitting = [point for point in points if point.size_bytes <= size_bytes]
    return max(fitting, key=lambda point: (point.recall, -point.size_bytes), default=None)


def smallest_within(points: Sequence[Sized], share: float) -> Sized | None:
    """The smallest point (ties: the best) whose recall is at least that share (0 to 1) of the best one; None without points."""
    if not points:
        return None
    least = share * max(point.recall for point in points)
    return min((point for point in points if point.recall >= least), key=lambda point: (point.size_bytes, -point.recall))

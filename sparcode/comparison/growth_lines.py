"""Lines through points of growing catalogues: values between measured ones, slopes, and where one line crosses another.

Everything is read off straight lines between measured points on logarithmic axes; beyond the outermost points nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.peers import SPARCODE

# Shares and sizes that differ by rounding only are the same.
_SAME = 1e-9


class Line(NamedTuple):
    """A way's values, (n,) float64 above 0, over catalogue sizes, (n,) float64 ascending."""

    n_items: np.ndarray
    values: np.ndarray

    def at(self, n_items: float) -> float:
        """The value at a size, on the line between measured ones; NaN outside them."""
        if not len(self.n_items) or not self.n_items[0] * (1 - _SAME) <= n_items <= self.n_items[-1] * (1 + _SAME):
            return float("nan")
        return float(np.exp(np.interp(np.log(n_items), np.log(self.n_items), np.log(self.values))))

    def slope(self, least: float = 0.0) -> float:
        """The exponent b of values ~ items^b, by least squares over sizes of at least `least`; NaN below two of them."""
        rows = self.n_items >= least
        if rows.sum() < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.n_items[rows]), np.log(self.values[rows]), 1)[0])


class Crossing(NamedTuple):
    """From how many items on a line stays below another, to the last size that both have.

    `from_start` says that it is below at every common size; `n_items` is then the smallest of them.
    """

    n_items: float
    from_start: bool


def line_of(points: Iterable[GrowthPoint], name: str, value: Callable[[GrowthPoint], float]) -> Line:
    """The line of one way; points without a value above 0 are left out. SparCode's points must be of one share."""
    found = sorted((point.n_items, value(point)) for point in points if point.name == name and value(point) > 0)
    sizes = [n_items for n_items, _ in found]
    if len(set(sizes)) != len(sizes):
        raise ValueError(f"{name} has more than one point at a size; choose a share of scores first")
    return Line(*(np.array(part, dtype=np.float64) for part in (sizes, [number for _, number in found])))


def crossing(ours: Line, theirs: Line) -> Crossing | None:
    """Where our line falls below theirs for good; None if it is not below at the last common size, or no size is common."""
    if not len(ours.n_items) or not len(theirs.n_items):
        return None
    low, high = max(ours.n_items[0], theirs.n_items[0]), min(ours.n_items[-1], theirs.n_items[-1])
    sizes = np.unique(np.concatenate([ours.n_items, theirs.n_items]))
    sizes = sizes[(sizes >= low) & (sizes <= high)]
    if not len(sizes):
        return None
    gaps = np.array([np.log(ours.at(size) / theirs.at(size)) for size in sizes])
    if gaps[-1] >= 0:
        return None
    above = np.flatnonzero(gaps >= 0)
    if not len(above):
        return Crossing(float(sizes[0]), True)
    last = int(above[-1])
    x, y = np.log(sizes[last : last + 2]), gaps[last : last + 2]
    return Crossing(float(np.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]))), False)


def at_share(points: Sequence[GrowthPoint], share: float) -> list[GrowthPoint]:
    """The points with SparCode's at one share of scores kept: as measured there, or between the two nearest measured shares.

    Between shares, time, bytes and build time lie on lines between the logarithms of both, the share found on one over the logarithm of the
    share; such a point's `setting` starts with an approximate sign. Sizes without measured shares on both sides have no point.
    """
    others = [point for point in points if point.name != SPARCODE]
    ours = [point for point in points if point.name == SPARCODE]
    chosen = (_between([point for point in ours if point.n_items == size], share) for size in sorted({point.n_items for point in ours}))
    return [*(point for point in chosen if point is not None), *others]


def at_enough(points: Sequence[GrowthPoint], enough: float) -> list[GrowthPoint]:
    """The points with SparCode's, at every size, at the fewest scores that find a share `enough` of the exact best.

    As HNSW and IVF are set. Read off between measured shares as in `at_share`; a size at which no share finds enough has no point.
    """
    others = [point for point in points if point.name != SPARCODE]
    ours = [point for point in points if point.name == SPARCODE]
    found = (_enough([point for point in ours if point.n_items == size], enough) for size in sorted({point.n_items for point in ours}))
    return [*(point for point in found if point is not None), *others]


def _enough(points: Sequence[GrowthPoint], enough: float) -> GrowthPoint | None:
    points = sorted(points, key=lambda point: point.share)
    if points[0].found >= enough:
        return points[0]
    for low, high in pairwise(points):
        if low.found < enough <= high.found:
            weight = (enough - low.found) / (high.found - low.found)
            return _between(points, low.share ** (1 - weight) * high.share**weight) or high
    return None


def _between(points: Sequence[GrowthPoint], share: float) -> GrowthPoint | None:
    points = sorted(points, key=lambda point: point.share)
    for point in points:
        if abs(point.share / share - 1) < _SAME:
            return point
    below, above = [point for point in points if point.share < share], [point for point in points if point.share > share]
    if not below or not above:
        return None
    low, high = below[-1], above[0]
    weight = np.log(share / low.share) / np.log(high.share / low.share)

    def scaled(field: str) -> float:
        one, other = getattr(low, field), getattr(high, field)
        return float(one ** (1 - weight) * other**weight) if min(one, other) > 0 else float("nan")

    return low._replace(
        setting=f"≈ {100 * share:.3g}% of scores",
        share=share,
        found=float((1 - weight) * low.found + weight * high.found),
        size_bytes=round(scaled("size_bytes")),
        **{field: scaled(field) for field in ("build_seconds", "p50_ms", "encode_ms")},
    )

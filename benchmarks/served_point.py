"""One retriever at one setting as a point between accuracy and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class ServedPoint(NamedTuple):
    """What was measured of a retriever at one setting.

    Attributes
    ----------
    kind, setting
        What it is, and how it was set.
    recall
        Mean Recall@50 over the users it was measured on.
    p50_ms, p95_ms, p99_ms
        Single queries, encoding included.
    encode_ms, retrieve_ms
        Medians of the two parts; NaN for encoding where the two are not apart.
    size_bytes
        Arrays that serving holds of items and codes; the query encoder comes on top.
    queries_per_second
        All their queries as one batch, encoding included.
    recall_error
        Standard error, over those users, of the difference between its recall and that of exact two-tower search; 0 for the latter.
    """

    kind: str
    setting: str
    recall: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    encode_ms: float
    retrieve_ms: float
    size_bytes: int
    queries_per_second: float
    recall_error: float = 0.0


def latency(point: ServedPoint) -> float:
    """Cost of a point: its median latency."""
    return point.p50_ms


def size(point: ServedPoint) -> float:
    """Cost of a point: its bytes."""
    return float(point.size_bytes)


def fastest(points: Sequence[ServedPoint], kind: str, least_recall: float, errors: float = 0.0) -> ServedPoint:
    """The fastest setting of a kind whose recall, less so many standard errors, is at least so high; else the most accurate one.

    Raises
    ------
    ValueError
        If there is no point of that kind.
    """
    of_kind = [point for point in points if point.kind == kind]
    if not of_kind:
        raise ValueError(f"no point is of kind {kind!r}; got {sorted({point.kind for point in points})}")
    enough = [point for point in of_kind if point.recall - errors * point.recall_error >= least_recall]
    return min(enough, key=latency) if enough else max(of_kind, key=lambda point: point.recall)

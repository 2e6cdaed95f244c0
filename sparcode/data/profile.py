"""What a data set looks like before anything is trained on it: sizes, how long histories are, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sparcode.data.interactions import Interactions


class Profile(NamedTuple):
    """Figures of a data set.

    Attributes
    ----------
    density
        Share of all (user, item) pairs that are interactions.
    shortest, median, mean, longest
        Items in a history.
    edges, counts
        Users by length of history: bin i holds ``edges[i] <= length < edges[i + 1]``, edges doubling from 1; (n + 1,) and (n,) int64.
    top_share
        Share of all interactions that the most popular tenth of the items has.
    time_span
        First and last time in words; None without times.
    dropped
        Reason -> rows or users left out.
    """

    n_users: int
    n_items: int
    n_interactions: int
    density: float
    shortest: int
    median: float
    mean: float
    longest: int
    edges: np.ndarray
    counts: np.ndarray
    top_share: float
    time_span: tuple[str, str] | None
    dropped: Mapping[str, int]


def profile_of(data: Interactions, dropped: Mapping[str, int] | None = None) -> Profile:
    """Profile a data set; `dropped` in place of what the data itself knows, such as users whom a split left out as well."""
    lengths = data.histories.lengths
    n_bins = int(lengths.max()).bit_length()
    edges = 2 ** np.arange(n_bins + 1, dtype=np.int64)
    uses = np.sort(np.bincount(data.histories.items, minlength=data.n_items))[::-1]
    return Profile(
        n_users=data.n_users,
        n_items=data.n_items,
        n_interactions=data.n_interactions,
        density=data.n_interactions / (data.n_users * data.n_items),
        shortest=int(lengths.min()),
        median=float(np.median(lengths)),
        mean=float(lengths.mean()),
        longest=int(lengths.max()),
        edges=edges,
        counts=np.histogram(lengths, edges)[0].astype(np.int64),
        top_share=float(uses[: max(1, data.n_items // 10)].sum() / data.n_interactions),
        time_span=data.time_span,
        dropped=dict(data.dropped if dropped is None else dropped),
    )

"""Over-representation: how much more often a label occurs among some items than in the catalogue, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri

SEPARATOR: Final = "|"
CONFIDENCE: Final = 0.95


class Lift(NamedTuple):
    """How often a label occurs among n of the I items of a catalogue.

    Attributes
    ----------
    label
        The label.
    count, n
        Items with the label among the chosen ones, and how many were chosen.
    in_catalogue, n_items
        The same of the whole catalogue.
    low, high
        Ends of the interval of the lift.
    """

    label: str
    count: int
    n: int
    in_catalogue: int
    n_items: int
    low: float
    high: float

    @property
    def lift(self) -> float:
        """Share among the chosen items over the share in the catalogue; 1 is as expected."""
        return (self.count / self.n) / (self.in_catalogue / self.n_items)

    @property
    def verdict(self) -> str:
        """Whether the interval lies above, below or across 1: ``"more"``, ``"less"`` or ``"unclear"``."""
        return "more" if self.low > 1 else "less" if self.high < 1 else "unclear"


def wilson_interval(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share, both ends in [0, 1]; ValueError unless 0 <= count <= n, n >= 1 and 0 < confidence < 1.

    E. B. Wilson: Probable inference, the law of succession, and statistical inference. JASA 22(158), 1927.
    """
    if not 0 <= count <= n or n < 1 or not 0 < confidence < 1:
        raise ValueError(f"count must lie in [0, n] with n >= 1, and confidence in (0, 1); got {count}, {n}, {confidence}")
    z = float(ndtri(0.5 + confidence / 2))
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if count == 0 else max(0.0, centre - half)), (1.0 if count == n else min(1.0, centre + half))


class Labels:
    """Labels of a catalogue's items, each item with any number of them, as texts like ``Drama|War``."""

    def __init__(self, texts: Sequence[str]) -> None:
        sets = [dict.fromkeys(word for word in map(str.strip, text.split(SEPARATOR)) if word) for text in texts]
        self.names = sorted({word for words in sets for word in words})
        place = {name: at for at, name in enumerate(self.names)}
        columns = [place[word] for words in sets for word in words]
        indptr = np.concatenate([[0], np.cumsum([len(words) for words in sets])]).astype(np.int64)
        self._has = csr_array((np.ones(len(columns), np.int64), np.array(columns, np.int64), indptr), shape=(len(texts), len(self.names)))

    def counts(self, items: np.ndarray | None = None) -> np.ndarray:
        """(n_labels,) int64 items with each label; of all items, or of some, each given once."""
        chosen = self._has if items is None else self._has[np.asarray(items, np.int64)]
        return np.bincount(chosen.indices, minlength=len(self.names))

    def lifts(self, items: np.ndarray, confidence: float = CONFIDENCE) -> list[Lift]:
        """Lift of every label among some items, each given once, the most over-represented (by the lower end) first; empty without items.

        The catalogue's share is known exactly, so the interval is Wilson's of the share among the chosen items, divided by it.
        """
        n, n_items = len(items), self._has.shape[0]
        if n == 0:
            return []
        found = []
        for name, count, whole in zip(self.names, self.counts(items).tolist(), self.counts().tolist(), strict=True):
            low, high = (end * n_items / whole for end in wilson_interval(count, n, confidence))
            found.append(Lift(name, count, n, whole, n_items, low, high))
        return sorted(found, key=lambda one: (-one.low, -one.lift, one.label))

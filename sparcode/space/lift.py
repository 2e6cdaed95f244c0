"""Over-representation: how much more often a label occurs among some items than in the catalogue, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import betaincinv, gammaln

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


def exact_interval(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share, both ends in [0, 1]; ValueError unless 0 <= count <= n, n >= 1 and 0 < confidence < 1.

    It holds with at least `confidence`, also for rare labels, where others are too short. C. J. Clopper, E. S. Pearson: The use of
    confidence or fiducial limits illustrated in the case of the binomial. Biometrika 26(4), 1934.
    """
    if not 0 <= count <= n or n < 1 or not 0 < confidence < 1:
        raise ValueError(f"count must lie in [0, n] with n >= 1, and confidence in (0, 1); got {count}, {n}, {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))
    return low, high


def chance_of_overlap(both: np.ndarray, first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """How likely two independent sets of `first` and `second` among n things share at least `both` of them; arrays of one shape, float64.

    The upper tail of the hypergeometric distribution, as in Fisher's exact test. All counts are between 0 and n.
    """
    tails = [_tail(*counts, n) for counts in zip(*(np.ravel(part).tolist() for part in (both, first, second)), strict=True)]
    return np.array(tails, dtype=np.float64).reshape(np.shape(both))


def _tail(both: int, first: int, second: int, n: int) -> float:
    shared = np.arange(max(both, first + second - n), min(first, second) + 1)
    logs = _log_choices(first, shared) + _log_choices(n - first, second - shared) - _log_choices(n, np.array([second]))
    return min(1.0, float(np.exp(logs).sum()))


def _log_choices(n: int, chosen: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(chosen + 1) - gammaln(n - chosen + 1)


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

        The catalogue's share is known exactly, so the interval is the exact one of the share among the chosen items, divided by it. All
        intervals together hold with `confidence`: each is as wide as Bonferroni's correction for the number of labels asks.
        """
        n, n_items = len(items), self._has.shape[0]
        if n == 0:
            return []
        found, each = [], 1 - (1 - confidence) / max(1, len(self.names))
        for name, count, whole in zip(self.names, self.counts(items).tolist(), self.counts().tolist(), strict=True):
            low, high = (end * n_items / whole for end in exact_interval(count, n, each))
            found.append(Lift(name, count, n, whole, n_items, low, high))
        return sorted(found, key=lambda one: (-one.low, -one.lift, one.label))

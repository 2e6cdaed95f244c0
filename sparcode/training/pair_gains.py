"""Learns how much every code and every item count in the pair features (`sparcode.model.pair_features`), where codes are items.

A history predicts each of its items from its others: ``s(j) = sum over its items i of exp(a(i)) * f(i, j) * exp(b(j))``, and the loss is
the cross entropy of a softmax over all items at logits ``gamma * log s(j)``. Gains a and b and the temperature gamma are learnt by Adam.
The history's own share is taken out of the counts, or the loss would look itself up. Gains are pulled towards 0, for most items are rare.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from sparcode.data.interactions import Histories
from sparcode.model.pair_features import PairShape, matrix_of, powers_of
from sparcode.training.epoch_record import ShouldStop

EPOCHS: Final = 10
USUAL_EPOCHS: Final = 4
# Epochs without a better recall after which it ends.
PATIENCE: Final = 2
STEP_SIZE: Final = 0.02
BATCH: Final = 512
WARM_UP: Final = 10
# Of half a gain's square, beside the cross entropy of all histories, in histories per item.
DECAY: Final = 6.0
# Pairs of items that histories hold, most of which are stored: 12 bytes each, 16 while they are counted.
MOST_PAIRS: Final = 200_000_000
_MOMENTS: Final = (0.9, 0.999)


class Gains(NamedTuple):
    """Logarithms of the factors on f: of an item as a code, and as an item, (I,) float32 each."""

    codes: np.ndarray
    items: np.ndarray

    def factors(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of (n,) codes, and those of all items."""
        return np.exp(self.codes[codes]), np.exp(self.items)

    @classmethod
    def none(cls, n_items: int) -> Gains:
        """Factors of 1."""
        return cls(np.zeros(n_items, np.float32), np.zeros(n_items, np.float32))


def learn_gains(
    train: Histories, shape: PairShape, recalls: Callable[[Gains], np.ndarray], seed: int, should_stop: ShouldStop
) -> tuple[Gains, np.ndarray, np.ndarray]:
    """The gains of the epoch with the best mean of `recalls`, (n,) validation users; these, and those without gains.

    No gains are an epoch, too. Nothing is learnt where no history has two items, or histories hold more than `MOST_PAIRS` pairs.
    """
    best = Gains.none(train.n_items)
    start = found = recalls(best)
    if _has_nothing_to_do(train):
        return best, found, start
    trained, since = _Training(train, shape, seed), 0
    for _ in range(EPOCHS):
        if since == PATIENCE or not trained.epoch(should_stop):
            break
        gains, since = trained.gains, since + 1
        reached = recalls(gains)
        if np.mean(reached) > np.mean(found):
            best, found, since = gains, reached, 0
    return best, found, start


def probe_gains(train: Histories, shape: PairShape, seed: int) -> float:
    """Seconds that `learn_gains` usually takes, without the recalls, from one of its batches; 0 where it has nothing to do."""
    if _has_nothing_to_do(train):
        return 0.0
    started = time.perf_counter()
    trained = _Training(train, shape, seed)
    # Its code is compiled or loaded once.
    trained._step(trained._rows[:1])
    counted = time.perf_counter()
    some = trained._rng.permutation(trained._rows)[:BATCH]
    trained._step(some)
    return counted - started + USUAL_EPOCHS * (time.perf_counter() - counted) * len(trained._rows) / max(1, len(some))


def _has_nothing_to_do(train: Histories) -> bool:
    return not np.any(np.diff(matrix_of(train).indptr) > 1) or int((train.lengths.astype(np.int64) ** 2).sum()) > MOST_PAIRS


class _Training:
    """Gains and temperature, with what Adam remembers of them."""

    def __init__(self, train: Histories, shape: PairShape, seed: int) -> None:
        self._holds = matrix_of(train)
        lengths = np.diff(self._holds.indptr)
        self._rows = np.flatnonzero(lengths > 1)
        self._rng, self._shrink = np.random.default_rng(seed), np.float32(shape.shrink)
        shares = powers_of(lengths, -shape.query)
        degrees = np.bincount(self._holds.indices, minlength=train.n_items)
        of_codes, of_items = powers_of(degrees, -shape.code), powers_of(degrees, -shape.item)
        users = self._holds.T.tocsr()
        self._together = users @ self._holds
        counts = users @ csr_array((np.repeat(shares, lengths), self._holds.indices, self._holds.indptr), shape=self._holds.shape)
        # In place of the counts: f without its shrinkage.
        _scale(counts.indptr, counts.indices, counts.data, of_codes, of_items)
        self._arrays = (self._together.indptr, self._together.indices, counts.data, self._together.data)
        self._own = (shares, of_codes, of_items, self._shrink)
        self._values = np.zeros(2 * train.n_items + 1)
        self._values[-1] = 1.0
        self._moments = [np.zeros_like(self._values), np.zeros_like(self._values)]
        self._steps = 0

    @property
    def gains(self) -> Gains:
        codes, items = np.split(self._values[:-1].astype(np.float32), 2)
        return Gains(codes, items)

    def epoch(self, should_stop: ShouldStop) -> bool:
        """Go once over all histories; returns whether it came to the end."""
        order = self._rng.permutation(self._rows)
        for start in range(0, len(order), BATCH):
            if should_stop():
                return False
            self._step(order[start : start + BATCH])
        return True

    def _step(self, rows: np.ndarray) -> None:
        gradient = np.zeros_like(self._values)
        _gradient(rows, self._holds.indptr, self._holds.indices, *self._arrays, *self._own, self._values, gradient)
        gradient /= len(rows)
        gradient[:-1] += DECAY * self._values[:-1] / (len(self._values) // 2)
        self._steps += 1
        steps = []
        for moment, rate, power in zip(self._moments, _MOMENTS, (gradient, gradient**2), strict=True):
            moment += (1 - rate) * (power - moment)
            steps.append(moment / (1 - rate**self._steps))
        self._values -= STEP_SIZE * min(1.0, self._steps / WARM_UP) * steps[0] / (np.sqrt(steps[1]) + 1e-8)


@njit(cache=True, nogil=True, fastmath=False)
def _scale(starts, items, counts, of_codes, of_items):
    """Counts to counts times the powers of their code and item, in place."""
    for code in range(len(starts) - 1):
        for at in range(starts[code], starts[code + 1]):
            counts[at] *= of_codes[code] * of_items[items[at]]


@njit(cache=True, nogil=True, fastmath=False)
def _gradient(rows, holds_starts, held, starts, items, counts, together, shares, of_codes, of_items, shrink, values, gradient):
    """Add up the gradient of the cross entropy of some histories with respect to `values`: gains of codes, of items, and gamma."""
    n_items, gamma = len(of_items), values[-1]
    factors = np.exp(values[:n_items]).astype(np.float32)
    held_here = np.zeros(n_items, np.bool_)
    sums, errors = np.zeros(n_items, np.float32), np.zeros(n_items, np.float32)
    met, logits = np.empty(n_items, np.int32), np.empty(n_items, np.float32)
    for row in rows:
        history, share = held[holds_starts[row] : holds_starts[row + 1]], shares[row]
        held_here[history] = True
        n_met = 0
        for code in history:
            for at in range(starts[code], starts[code + 1]):
                item = items[at]
                value = _value(held_here[item], code == item, counts[at], together[at], share * of_codes[code] * of_items[item], shrink)
                if value > 0:
                    if sums[item] == 0:
                        met[n_met] = item
                        n_met += 1
                    sums[item] += factors[code] * value
        highest, n_targets = np.float32(-np.inf), 0
        for place in range(n_met):
            item = met[place]
            logits[place] = np.log(sums[item]) + np.float32(values[n_items + item])
            highest = max(highest, logits[place])
            n_targets += held_here[item]
        if n_targets > 0:
            total = 0.0
            for place in range(n_met):
                errors[met[place]] = np.exp(np.float32(gamma) * (logits[place] - highest))
                total += errors[met[place]]
            for place in range(n_met):
                item = met[place]
                error = errors[item] / total - held_here[item] / n_targets
                gradient[2 * n_items] += error * logits[place]
                gradient[n_items + item] += gamma * error
                errors[item] = gamma * error / sums[item]
            for code in history:
                added = 0.0
                for at in range(starts[code], starts[code + 1]):
                    item = items[at]
                    own = share * of_codes[code] * of_items[item]
                    added += errors[item] * _value(held_here[item], code == item, counts[at], together[at], own, shrink)
                gradient[code] += factors[code] * added
        for place in range(n_met):
            sums[met[place]] = errors[met[place]] = 0
        held_here[history] = False


@njit(cache=True, nogil=True, inline="always")
def _value(is_held, is_same, count, together, own, shrink):
    """Value f of a pair for a history; of one that it holds both of, without the history's own share."""
    if is_held:
        if is_same or together < 1.5:
            return np.float32(0)
        count, together = max(count - own, np.float32(0)), together - 1
    return count * (together / (together + shrink))

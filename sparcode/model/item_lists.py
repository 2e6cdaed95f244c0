"""Item lists beside the heads' codes: every history item is a code of its own, whose list holds weights of (item, item) pairs.

With B(j, item), EASE's weights (`sparcode.baselines.ease`) or counts (`sparcode.model.pair_features`), a query's score is

``y = sum over heads' codes of w * ReLU(E - tau) + alpha * sum over history items j of B(j, item)``,

where the highest values of each j are kept. One index with one threshold serves both: a list stores ``E(j, item) = tau + s * B(j, item)``
for the threshold tau that the heads were given, with s such that values are about as high as the heads', and j has the weight ``alpha / s``
each time it occurs. At tau the sums are those above; a higher threshold cuts both kinds of lists. What a list does not hold has E = -inf.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from scipy.sparse import csr_array
from torch import Tensor

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories
from sparcode.model.sparse_rows import SparseRows


class ListChoice(NamedTuple):
    """What a fit chose: `alpha` on B beside the heads' scores (0: no lists), values `per_code`, and `shape`.

    `shape` is EASE's penalty, or the exponent of an item's users in counts.
    """

    alpha: float = 0.0
    per_code: int = 0
    shape: float = 0.0


class ItemLists(SparseRows):
    """Lists of items, as codes from `first_code` on; item i is the code ``first_code + i``.

    Empty until `set`. An item without a list is no code of any query.
    """

    def __init__(self, n_items: int, first_code: int) -> None:
        super().__init__(n_items)
        self.first_code = first_code
        self.register_buffer("weight", torch.zeros((), dtype=torch.float32))
        # Of the fit, for people; nothing is computed from it any more.
        self.register_buffer("choice", torch.tensor(ListChoice(), dtype=torch.float64))
        self.hold(csr_array((n_items, n_items), dtype=np.float32))

    def set(self, weights: csr_array, choice: ListChoice, tau: float, scale: float) -> None:
        """Take B, (I, I) float32, of which only what is above 0 counts, for heads with threshold tau; `scale` is s.

        An `alpha` of 0 leaves no lists.
        """
        device = self.weight.device
        if choice.alpha == 0:
            weights = csr_array(weights.shape, dtype=np.float32)
        scores = np.float32(tau) + np.float32(scale) * weights.data.astype(np.float32)
        keep = scores > np.float32(tau)
        indptr = np.concatenate([[0], np.cumsum(keep)])[weights.indptr]
        self.hold(csr_array((scores[keep], weights.indices[keep], indptr), shape=weights.shape))
        self.weight.fill_(choice.alpha / scale)
        self.choice.copy_(torch.tensor(choice, dtype=torch.float64))
        self.to(device)

    def hold(self, rows: csr_array) -> None:
        """As `SparseRows.hold`."""
        super().hold(rows)
        self._served: tuple[np.ndarray, np.float32, bool] | None = None

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        super()._load_from_state_dict(state, prefix, *rest)
        self._served = None

    def listed(self) -> np.ndarray:
        """Codes of the items that have a list, ascending int64."""
        return self.first_code + np.flatnonzero(np.diff(self.arrays[0]))

    def beside(self, codes: np.ndarray, weights: np.ndarray, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Codes (B, S) int64 and weights of the heads, followed by the queries' listed items, each once, with its number times the weight.

        Short rows are filled up with their first code at weight 0.
        """
        # Kept, because every query of a service asks.
        if self._served is None:
            self._served = np.diff(self.arrays[0]) > 0, np.float32(self.weight.item()), len(self.values) > 0
        has_list, weight, any_list = self._served
        if len(codes) == 0 or not any_list:
            return codes, weights
        items, indptr = contiguous(queries.items, np.int32), contiguous(queries.indptr, np.int64)
        width = codes.shape[1] + int(indptr[1] - indptr[0] if len(codes) == 1 else np.diff(indptr).max())
        both = np.empty((len(codes), width), np.int64), np.empty((len(codes), width), np.float32)
        used = _append(codes, weights, items, indptr, has_list, np.int64(self.first_code), weight, *both)
        return both if used == width else tuple(np.ascontiguousarray(part[:, :used]) for part in both)

    def write_scores(self, scores: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> None:
        """Write E of (m,) int64 item codes into these rows of (n, I) float32 scores."""
        scores[rows] = -np.inf
        _write(scores, rows, codes - self.first_code, *self.arrays)

    def add_to(self, sums: np.ndarray, codes: np.ndarray, weights: np.ndarray, tau: np.float32) -> None:
        """Add ``w * ReLU(E - tau)`` of the item codes among (B, S) codes to (B, I) float32 sums, in place."""
        _add_above(sums, codes - self.first_code, weights, tau, *self.arrays)

    def check(self) -> None:
        """ValueError if the arrays, read from a file, do not belong together."""
        if not self.belong_together(self.n_items) or self.weight < 0:
            raise ValueError("the item lists' arrays do not belong together")


@njit(cache=True, nogil=True, fastmath=False)
def _append(codes, weights, items, indptr, has_list, first_code, weight, all_codes, all_weights):
    """The columns that any row uses; see `ItemLists.beside`."""
    n_heads, used = codes.shape[1], codes.shape[1]
    for row in range(len(codes)):
        all_codes[row, :n_heads], all_weights[row, :n_heads] = codes[row], weights[row]
        place, before = n_heads - 1, -1
        for item in np.sort(items[indptr[row] : indptr[row + 1]]):
            if item >= len(has_list) or not has_list[item]:
                continue
            if item != before:
                place, before = place + 1, item
                all_codes[row, place], all_weights[row, place] = first_code + item, np.float32(0)
            all_weights[row, place] += weight
        used = max(used, place + 1)
        all_codes[row, place + 1 :], all_weights[row, place + 1 :] = all_codes[row, 0], 0
    return used


@njit(cache=True, nogil=True, fastmath=False)
def _write(scores, rows, items_of_codes, indptr, items, values):
    for at in range(len(rows)):
        row, number = rows[at], items_of_codes[at]
        if number < len(indptr) - 1:
            for place in range(indptr[number], indptr[number + 1]):
                scores[row, items[place]] = values[place]


@njit(cache=True, nogil=True, fastmath=False)
def _add_above(sums, numbers, weights, tau, indptr, items, values):
    for row in range(len(numbers)):
        for slot in range(numbers.shape[1]):
            number, weight = numbers[row, slot], weights[row, slot]
            if weight > 0 and 0 <= number < len(indptr) - 1:
                for place in range(indptr[number], indptr[number + 1]):
                    if values[place] > tau:
                        sums[row, items[place]] += weight * (values[place] - tau)

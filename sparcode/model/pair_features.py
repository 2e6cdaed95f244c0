"""Pair features: what training counted of a (code, item) pair, beside the interaction network.

A code knows which training queries fall on it, so ``C(code, item)``, how often these queries hold an item, may enter E: no dot product
expresses it on large, sparse catalogues. With d(code), the queries that fall on a code, and d(item), the users of an item,

``f(code, item) = C * d(code)^-a * d(item)^-b * n / (n + shrink)``,

where a query of length l counts ``l^-c`` in C and 1 in n, which tells rare coincidences from evidence. The exponents and the shrinkage are
learnt from validation users (`sparcode.training.pair_fit`). With the linear link ``E = weight * network + f``, with the exp link
``E = exp(weight * network + log(1 + f))``. A pair that was never counted, a new item's say, has f = 0 and is left to the network.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from scipy.sparse import csr_array

from sparcode.data.interactions import Histories, offsets
from sparcode.model.sparse_rows import SparseRows

# Values of so many pairs are made at a time: 64 MiB of float32.
_CHUNK_VALUES = 1 << 24


class PairShape(NamedTuple):
    """What f makes of the counts: exponents of code, item and query, `shrink`, and the highest values that are kept per code."""

    code: float = 0.65
    item: float = 0.2
    query: float = 0.7
    shrink: float = 0.5
    per_code: int = 400


class CodeUse(NamedTuple):
    """Which of B queries fall on which codes, and what the queries hold.

    `codes` (n,) int64 ascending; `uses` (n, B) and `holds` (B, I) float32 in CSR form: weights of a code, and ones. `are_items`: a code is
    an item, which is not counted with itself.
    """

    codes: np.ndarray
    uses: csr_array
    holds: csr_array
    are_items: bool

    @classmethod
    def of_items(cls, histories: Histories) -> CodeUse:
        """Codes are the items of the histories, each history uses those it holds."""
        holds = matrix_of(histories)
        codes = np.unique(histories.items).astype(np.int64)
        return cls(codes, holds.T.tocsr()[codes], holds, True)

    @classmethod
    def of_codes(cls, codes: np.ndarray, weights: np.ndarray, histories: Histories) -> CodeUse:
        """Codes (B, S) int64 of the histories as queries, with float32 weights; codes of weight 0 are not in use."""
        distinct = np.unique(codes[weights > 0])
        used = weights.ravel() > 0
        rows = np.repeat(np.arange(len(codes)), codes.shape[1])[used]
        places = np.searchsorted(distinct, codes.ravel()[used])
        uses = csr_array((weights.ravel()[used], (places, rows)), shape=(len(distinct), len(codes)))  # repeated entries are added up
        return cls(distinct, uses, matrix_of(histories), False)

    def values(self, shape: PairShape, rows: np.ndarray | None = None, factors: tuple[np.ndarray, np.ndarray] | None = None) -> csr_array:
        """Values f of all pairs that are counted, the `per_code` highest of each code (ties to the lower item), items ascending.

        (n, I) float32; of the given rows, (m,) integers, only: (m, I). `factors` on f: of all codes (n,) and items (I,), float32.
        """
        uses, n_items = (self.uses if rows is None else self.uses[rows]), self.holds.shape[1]
        own = (self.codes if rows is None else self.codes[rows]) if self.are_items else np.full(uses.shape[0], -1)
        degrees = np.bincount(self.holds.indices, minlength=n_items)
        shares = powers_of(np.diff(self.holds.indptr), -shape.query)
        of_codes, of_items = powers_of(np.asarray(uses.sum(axis=1)).ravel(), -shape.code), powers_of(degrees, -shape.item)
        if factors is not None:
            of_codes, of_items = of_codes * (factors[0] if rows is None else factors[0][rows]), of_items * factors[1]
        step = max(1, _CHUNK_VALUES // shape.per_code)
        parts = []
        for start in range(0, max(1, uses.shape[0]), step):
            block = slice(start, min(start + step, uses.shape[0]))
            parts.append(
                _values(
                    *(uses.indptr[start : block.stop + 1].astype(np.int64), uses.indices, uses.data),
                    *(self.holds.indptr.astype(np.int64), self.holds.indices, shares),
                    *(own[block], of_codes[block], of_items, np.float32(shape.shrink), shape.per_code),
                )
            )
        lengths, items, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return csr_array((values, items, offsets(lengths)), shape=(uses.shape[0], n_items))


class PairFeatures(SparseRows):
    """f of the codes that training queries use, and the network's weight beside it.

    Empty until `set`; a code without a row has f = 0 for every item.
    """

    resized = ("codes", *SparseRows.resized)

    def __init__(self, n_items: int) -> None:
        super().__init__(n_items)
        self.register_buffer("network_weight", torch.ones((), dtype=torch.float32))
        # Of the fit, for people: exponents and shrinkage; nothing is computed from them any more.
        self.register_buffer("shape", torch.tensor(PairShape(), dtype=torch.float64))
        self._hold(np.zeros(0, np.int64), csr_array((0, n_items), dtype=np.float32))

    def set(self, codes: np.ndarray, values: csr_array, shape: PairShape, network_weight: float) -> None:
        """Take the rows of (n,) int64 codes, ascending, from (n, I) float32 values."""
        device = self.network_weight.device
        self._hold(codes, values)
        self.shape.copy_(torch.tensor(shape, dtype=torch.float64))
        self.network_weight.fill_(network_weight)
        self.to(device)

    def _hold(self, codes: np.ndarray, values: csr_array) -> None:
        self.register_buffer("codes", torch.from_numpy(np.ascontiguousarray(codes, np.int64)))
        self.hold(values)

    @property
    def has_network(self) -> bool:
        """Whether the network has a part in E."""
        return bool(self.network_weight != 0)

    def add_to(self, raw: np.ndarray, codes: np.ndarray, link: str) -> None:
        """Add f, or log(1 + f) for the exp link, to (n, I) float32 outputs of the network for (n,) int64 codes, in place."""
        rows = np.searchsorted(known := self.codes.numpy(force=True), codes)
        rows[rows == len(known)] = 0
        found = known[rows] == codes if len(known) else np.zeros(len(codes), bool)
        _add(raw, np.where(found, rows, -1), *self.arrays, link == "exp")

    def check(self) -> None:
        """ValueError if the arrays, read from a file, do not belong together."""
        codes, values = self.codes.numpy(force=True), self.values.numpy(force=True)
        fit = self.belong_together(len(codes)) and np.all(np.diff(codes) > 0) and np.all(codes >= 0)
        if not fit or np.any(values < 0):
            raise ValueError("the pair features' arrays do not belong together")


def matrix_of(histories: Histories) -> csr_array:
    """(B, I) float32, 1 where a history holds the item."""
    ones = np.ones(len(histories.items), np.float32)
    users = csr_array((ones, histories.items, histories.indptr), shape=(len(histories), histories.n_items), copy=True)
    users.sum_duplicates()
    users.data[:] = 1
    return users


def powers_of(numbers: np.ndarray, exponent: float) -> np.ndarray:
    """Float32; 0 where the number is 0."""
    powers = np.zeros(len(numbers), np.float32)
    powers[numbers > 0] = numbers[numbers > 0].astype(np.float64) ** exponent
    return powers


@njit(cache=True, nogil=True, fastmath=False)
def _values(starts, users, weights, holds_starts, held, shares, own, of_codes, of_items, shrink, per_code):
    """Values f row by row, as (lengths, items, values) of all rows in one; see `CodeUse.values`."""
    n_rows, n_items = len(starts) - 1, len(of_items)
    counted, plain = np.zeros(n_items, np.float32), np.zeros(n_items, np.float32)
    met, found = np.empty(n_items, np.int32), np.empty(n_items, np.float32)
    lengths = np.zeros(n_rows, np.int64)
    items, values = np.empty(n_rows * per_code, np.int32), np.empty(n_rows * per_code, np.float32)
    place = 0
    for row in range(n_rows):
        n_met = 0
        for at in range(starts[row], starts[row + 1]):
            user, weight = users[at], weights[at]
            counts = weight * shares[user]
            for item in held[holds_starts[user] : holds_starts[user + 1]]:
                if plain[item] == 0:
                    met[n_met] = item
                    n_met += 1
                plain[item] += weight
                counted[item] += counts
        if own[row] >= 0:
            # The code's own item is met by all of its users.
            counted[own[row]] = 0
        for at in range(n_met):
            item = met[at]
            found[at] = counted[item] * of_codes[row] * of_items[item] * (plain[item] / (plain[item] + shrink))
        lowest, ties = np.float32(0), 0
        if n_met > per_code:
            lowest = np.partition(found[:n_met], n_met - per_code)[n_met - per_code]
            ties = per_code
            for value in found[:n_met]:
                ties -= value > lowest
        start = place
        # Ascending items, so that ties go to the lower one.
        ordered = np.sort(met[:n_met]) if ties else met[:n_met]
        for at in range(n_met):
            item = ordered[at]
            value = counted[item] * of_codes[row] * of_items[item] * (plain[item] / (plain[item] + shrink))
            if value > lowest or (value == lowest and value > 0 and ties > 0):
                ties -= value == lowest
                items[place], values[place] = item, value
                place += 1
        for item in met[:n_met]:
            plain[item] = counted[item] = 0
        order = np.argsort(items[start:place])
        items[start:place], values[start:place] = items[start:place][order], values[start:place][order]
        lengths[row] = place - start
    return lengths, items[:place].copy(), values[:place].copy()


@njit(cache=True, nogil=True, fastmath=False)
def _add(raw, rows, indptr, items, values, as_logarithm):
    for at in range(len(rows)):
        if rows[at] >= 0:
            for place in range(indptr[rows[at]], indptr[rows[at] + 1]):
                value = values[place]
                raw[at, items[place]] += np.float32(np.log1p(value)) if as_logarithm else value

"""Which users carry which codes, how many tokens take each, and which codes are carried together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array

from sparcode.data.interactions import Histories
from sparcode.model.query_batch import QueryBatch, query_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.space.units import CodeUnits


class CodeUse(NamedTuple):
    """Use of U units by B users. A user carries a unit if it is, or is part of, the nearest code of one of the user's tokens.

    Attributes
    ----------
    units
        (U,) int64, ascending: the units that tokens give any weight. One that is never nearest has no carrier.
    tokens
        (U,) float64: weight that the users' tokens give each unit. A token is divided among its several nearest codes, as in serving.
    carried
        (B, U) sparse bool: which user carries which unit.
    """

    units: np.ndarray
    tokens: np.ndarray
    carried: csr_array

    @property
    def n_users(self) -> int:
        """B."""
        return self.carried.shape[0]

    @property
    def n_carriers(self) -> np.ndarray:
        """(U,) int64, users who carry each unit."""
        return np.bincount(self.carried.indices, minlength=len(self.units))

    @property
    def order(self) -> np.ndarray:
        """(U,) int64 places of the units, those with most tokens first, ties to the lower unit."""
        return np.argsort(-self.tokens, kind="stable")

    def by(self, units: CodeUnits) -> CodeUse:
        """The same uses, of whole codes, seen as those of other units."""
        found, columns = np.unique(units.of(self.units), return_inverse=True)
        rows = np.repeat(np.arange(self.n_users), np.diff(self.carried.indptr))
        pairs = np.unique(rows * max(1, len(found)) + columns[self.carried.indices])
        users, places = np.divmod(pairs, max(1, len(found)))
        carried = csr_array((np.ones(len(pairs), bool), (users, places)), shape=(self.n_users, len(found)))
        return CodeUse(found.astype(np.int64), np.bincount(columns, self.tokens, minlength=len(found)), carried)

    def places(self, units: np.ndarray) -> np.ndarray:
        """Places of units among `units`; those that nobody carries are left out."""
        wanted = np.asarray(units, np.int64)
        if len(self.units) == 0:
            return np.zeros(0, np.int64)
        found = np.minimum(np.searchsorted(self.units, wanted), len(self.units) - 1)
        return found[self.units[found] == wanted]

    def carriers(self, units: np.ndarray) -> np.ndarray:
        """Users who carry at least one of some units, ascending int64."""
        chosen = np.zeros(len(self.units), bool)
        chosen[self.places(units)] = True
        rows = np.repeat(np.arange(self.n_users), np.diff(self.carried.indptr))
        return np.unique(rows[chosen[self.carried.indices]])

    def together(self, units: np.ndarray) -> np.ndarray:
        """(n, n) int64: users who carry both units; on the diagonal those who carry the one. All must be in use, else ValueError."""
        places = self.places(units)
        if len(places) < len(units):
            raise ValueError(f"all {len(units)} units must be in use; {len(places)} are")
        columns = self.carried.tocsc()[:, places].astype(np.int64)
        return (columns.T @ columns).toarray()

    def partners(self, units: np.ndarray) -> np.ndarray:
        """(U,) int64: of the users who carry at least one of some units, how many carry each unit."""
        rows = self.carriers(units)
        return np.bincount(self.carried[rows].indices, minlength=len(self.units))


@torch.inference_mode()
def code_use(model: SparCodeModel, users: Histories) -> CodeUse:
    """Use of whole codes by the queries of users, see `CodeUse`; `CodeUse.by` gives that of codewords. Item lists do not count."""
    model.eval()
    parts, before = [], 0
    for block in query_blocks(users):
        rows, *rest = (_item_uses if model.has_item_codes else _token_uses)(model, block)
        parts.append((rows + before, *rest))
        before += len(block)
    rows, codes, weights, carried = (np.concatenate(same) for same in zip(*parts, strict=True))
    return _use(rows, codes, weights, carried, len(users))


def _token_uses(model: SparCodeModel, block: Histories) -> tuple[np.ndarray, ...]:
    """Every (token, code) of some users: the user, the code, its weight, and whether it is the token's nearest code."""
    tokens = model.backbone.tokenizer.query_tokens(QueryBatch.from_histories(block, model.tau.device))
    codes, shares = model.quantizer.codes_and_weights(tokens.vectors)
    codes, weights = codes[tokens.weights.columns], tokens.weights.weights[:, None] * shares[tokens.weights.columns]
    rows = tokens.weights.rows[:, None].expand_as(codes)
    nearest = torch.zeros_like(codes, dtype=torch.bool)
    nearest[:, 0] = True
    return tuple(part.flatten().cpu().numpy() for part in (rows, codes, weights, nearest))


def _item_uses(model: SparCodeModel, block: Histories) -> tuple[np.ndarray, ...]:
    """The same where codes are items."""
    codes, weights = model.encode(block)
    used = weights > 0
    return np.nonzero(used)[0], codes[used], weights[used], used[used]


def _use(rows: np.ndarray, units: np.ndarray, weights: np.ndarray, carried: np.ndarray, n_users: int) -> CodeUse:
    """Use of units by n uses of them: the user, the unit and the weight of each, and whether the user carries the unit."""
    found, columns = np.unique(units, return_inverse=True)
    tokens = np.bincount(columns, weights.astype(np.float64), minlength=len(found))
    width = max(1, len(found))
    users, places = np.divmod(np.unique(rows[carried] * width + columns[carried]), width)
    return CodeUse(found.astype(np.int64), tokens, csr_array((np.ones(len(users), bool), (users, places)), shape=(n_users, len(found))))


def share_of_most_used(tokens: np.ndarray, n_possible: int, share: float = 0.25) -> tuple[int, float]:
    """How many units a share of all possible ones is, at least one, and which share of all token weight the most used of them have."""
    count = max(1, round(share * n_possible))
    total = float(tokens.sum())
    return count, float(np.sort(tokens)[::-1][:count].sum()) / total if total else 0.0

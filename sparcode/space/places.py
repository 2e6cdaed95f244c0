"""What one picture of the code space holds: codes, items and tokens as vectors of one space.

Items have no tokens. An item stands at the mean of the vectors of the codes whose lists hold it, each weighted by what its list adds to the
item, E(code, item) - tau: in the middle of the codes that recommend it. An item that no list holds has no place.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch

from sparcode.data.interactions import Histories
from sparcode.model.query_batch import QueryBatch, query_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.space.ranked import CodeLists
from sparcode.space.units import CodeUnits

CODE, ITEM, TOKEN = 0, 1, 2
# Of all points, codes and items have at most this share each; tokens take the rest.
_SHARE: Final = 0.25


class SpacePoints(NamedTuple):
    """N points of one space: codes first, then items, then tokens.

    Attributes
    ----------
    vectors
        (N, D) float32.
    kinds
        (N,) int8: `CODE`, `ITEM` or `TOKEN`.
    numbers
        (N,) int64: the unit, the item, or the user that the token is of.
    units
        (N,) int64: the unit itself, the unit whose list holds the item highest, or the unit nearest to the token.
    n_codes, n_items, n_tokens
        How many there are in all, of which the points are a sample.
    """

    vectors: np.ndarray
    kinds: np.ndarray
    numbers: np.ndarray
    units: np.ndarray
    n_codes: int
    n_items: int
    n_tokens: int

    def of_kind(self, kind: int) -> np.ndarray:
        """Places of the points of a kind, ascending int64."""
        return np.flatnonzero(self.kinds == kind)


class Places(NamedTuple):
    """Vectors of one kind, with what they stand for; see `SpacePoints`."""

    vectors: np.ndarray
    numbers: np.ndarray
    units: np.ndarray

    def take(self, chosen: np.ndarray) -> Places:
        """Some of them."""
        return Places(*(part[chosen] for part in self))


def space_points(
    model: SparCodeModel, lists: CodeLists, units: CodeUnits, used: tuple[np.ndarray, np.ndarray], users: Histories, limit: int, seed: int
) -> SpacePoints:
    """Points of the code space, at most `limit`.

    Parameters
    ----------
    lists
        Place the items.
    used
        Whole codes in use, (n,) int64, and the weight that tokens give each, (n,) float64; the most used ones are shown first.
    users
        Whose tokens are shown.
    limit, seed
        Above the limit, the most used codes, and items and tokens drawn with the seed.

    Raises
    ------
    ValueError
        If the model's codes have no vectors, or `limit` is below 3.
    """
    if limit < 3:
        raise ValueError(f"limit must be at least 3, one point of each kind; got {limit}")
    if model.has_item_codes:
        raise ValueError("this model's codes are items, which have no place among tokens")
    generator, most = np.random.default_rng(seed), max(1, int(_SHARE * limit))
    vectors_of_codes = _CodeVectors(model, units)
    codes = _codes(vectors_of_codes, units, *used)
    items = _items(vectors_of_codes, lists, units)
    # The most used ones come first.
    shown_codes, shown_items = codes.take(np.arange(min(most, len(codes.numbers)))), items.take(_drawn(len(items.numbers), most, generator))
    rest = limit - len(shown_codes.numbers) - len(shown_items.numbers)
    tokens, n_tokens = _tokens(model, units, users, rest, generator)
    parts = (shown_codes, shown_items, tokens)
    kinds = np.repeat(np.array([CODE, ITEM, TOKEN], np.int8), [len(part.numbers) for part in parts])
    vectors, numbers, of_units = (np.concatenate(same) for same in zip(*parts, strict=True))
    return SpacePoints(np.ascontiguousarray(vectors), kinds, numbers, of_units, len(codes.numbers), len(items.numbers), n_tokens)


class _CodeVectors(NamedTuple):
    """Vectors of whole codes in the space that is looked at: whole tokens, or the part of them that one codebook quantizes."""

    model: SparCodeModel
    units: CodeUnits

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        book = self.units.book
        if book is None:
            return self.model.code_vectors(codes)
        words = codes // self.units.codebook_size**book % self.units.codebook_size
        return self.model.quantizer.codebooks[book].detach().cpu().numpy()[words]


def _codes(vectors: _CodeVectors, units: CodeUnits, codes: np.ndarray, weights: np.ndarray) -> Places:
    found, first, places = np.unique(units.of(codes), return_index=True, return_inverse=True)
    order = np.argsort(-np.bincount(places, weights, minlength=len(found)), kind="stable")
    # Any whole code of a codeword has the codeword's vector.
    return Places(vectors(codes[first])[order], found[order], found[order])


def _items(vectors: _CodeVectors, lists: CodeLists, units: CodeUnits) -> Places:
    strongest = lists.strongest()
    placed = np.flatnonzero(strongest >= 0)
    added = lists.added.tocsc()[:, placed]
    mean = (added.T @ vectors(lists.codes)) / np.asarray(added.sum(axis=0))[:, None]
    return Places(mean.astype(np.float32), placed, units.of(lists.codes[strongest[placed]]))


def _drawn(n: int, most: int, generator: np.random.Generator) -> np.ndarray:
    return np.arange(n) if n <= most else np.sort(generator.choice(n, most, replace=False))


@torch.inference_mode()
def _tokens(model: SparCodeModel, units: CodeUnits, users: Histories, most: int, generator: np.random.Generator) -> tuple[Places, int]:
    """At most so many tokens of users, and how many there are; a history token once for each user who has it."""
    model.eval()
    tokenizer, quantizer, device = model.backbone.tokenizer, model.quantizer, model.tau.device
    latest = 0 if tokenizer.history is None else tokenizer.history.latest
    counts = tokenizer.n_tokens + np.minimum(users.lengths, latest)
    ends = np.cumsum(counts)
    chosen = _drawn(int(ends[-1]) if len(ends) else 0, most, generator)
    # Only the users who have one of the chosen tokens are encoded.
    owners = np.searchsorted(ends, chosen, side="right")
    rows, at = np.unique(owners, return_inverse=True)
    within = chosen - (ends - counts)[owners]
    parts, before = [], 0
    for block in query_blocks(users.take(rows)):
        tokens = tokenizer.query_tokens(QueryBatch.from_histories(block, device))
        here = (at >= before) & (at < before + len(block))
        columns = tokens.weights.columns[tokens.weights.offsets[at[here] - before] + torch.from_numpy(within[here]).to(device)]
        parts.append(_parts(quantizer, units, tokens.vectors[columns]))
        before += len(block)
    vectors, nearest = (np.concatenate(same) for same in zip(*parts, strict=True))
    return Places(vectors, owners, units.of(nearest)), int(ends[-1]) if len(ends) else 0


def _parts(quantizer: torch.nn.Module, units: CodeUnits, tokens: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Tokens in the space that is looked at, and their nearest whole codes."""
    nearest = quantizer.nearest_codes(tokens)[:, 0]
    shown = tokens if units.book is None else quantizer.part(tokens, nearest, units.book)
    return shown.cpu().numpy(), nearest.cpu().numpy()

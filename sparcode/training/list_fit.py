"""Fits the item lists (`sparcode.model.item_lists`) of a SparCode model: what they hold, how long they are and how much they count.

Validation users choose, by recall at the depth that the split is measured at; their targets are counted nowhere meanwhile. In a ready-made
split, where these targets are training interactions, the chosen lists are then made again with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from sparcode.baselines.ease import EASE
from sparcode.config import RunConfig
from sparcode.data.interactions import Histories, offsets
from sparcode.data.split import EvaluationSet, Split
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.item_lists import ListChoice
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.top_k import top_k
from sparcode.training.epoch_record import ShouldStop, never_stop
from sparcode.training.pair_fit import USERS, some_users, surely, with_targets

# EASE's matrix of (item, item) weights, float32; beyond it lists hold counts.
MAX_EASE_BYTES: Final = 2**30
PENALTIES: Final = (100.0, 300.0, 1000.0)
# Exponents of an item's users in counts; the other numbers are as a search on a large catalogue found them.
EXPONENTS: Final = (0.2, 0.5, 0.8)
LENGTHS: Final = (10, 30, 100)
# Times the ratio of what the heads and the lists usually give (`_typical`); 0 leaves the lists out.
FACTORS: Final = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 10.0)
# Taken unless validation users surely like another choice better: this factor, the middle one of `shapes` and the longest lists.
USUAL_FACTOR: Final = 0.7
# Shorter lists are taken if their recall is surely at least this share of the choice's.
NEARLY: Final = 0.99
# Standard errors of a mean difference that make it sure: the best of some ninety choices is two errors ahead by chance.
SURE: Final = 3.0
SAMPLED_CODES: Final = 256
# Users scored at a time, and rows of EASE's matrix cut at a time.
_BLOCK, _ROWS = 400, 256


class _Tried(NamedTuple):
    """B, the choices that it stands for, one per factor, and whether the usual choice is among them."""

    values: csr_array
    choices: list[ListChoice]
    is_usual: bool = False


def fit_lists(model: SparCodeModel, split: Split, config: RunConfig, should_stop: ShouldStop = never_stop) -> None:
    """Set the model's item lists, in place; nothing happens where it has none. Its threshold stays.

    Once `should_stop` returns true, the choice is made on what was scored until then.
    """
    if model.lists is None or not split.protocol.shows_history:
        return
    nothing = csr_array((model.n_items,) * 2, dtype=np.float32)
    model.lists.set(nothing, ListChoice(), 0.0, 1.0)
    users = some_users(split.validation, np.flatnonzero(split.validation.targets.lengths), config.training.seed)
    tried = list(_candidates(model, split.train, users, should_stop))
    choice = _best(model, users, tried, should_stop)
    values, everything = next((one.values for one in tried if choice in one.choices), nothing), with_targets(split)
    if choice.alpha and everything is not split.train:
        values = shortened(made(model, everything, choice.shape), choice.per_code)
    model.lists.set(values, choice, model.threshold, _scale(model, users.queries, values))


def probe_lists(model: SparCodeModel, split: Split) -> float:
    """Seconds that `fit_lists` takes, from one of its lists and a block of its users; 0 where it has nothing to do."""
    if model.lists is None or not split.protocol.shows_history:
        return 0.0
    users = split.validation
    rows = np.arange(min(_BLOCK, len(users.queries)))
    block = users._replace(queries=users.queries.take(rows), targets=users.targets.take(rows))
    started = time.perf_counter()
    values, n_made = made(model, split.train, shapes(model)[0]), len(shapes(model)) + 1
    counted = time.perf_counter()
    _best(model, block, [_Tried(values, [ListChoice(factor, LENGTHS[0]) for factor in FACTORS])], never_stop)
    n_blocks = min(USERS, len(users.queries)) / max(1, len(block.queries))
    return n_made * (counted - started) + n_blocks * len(LENGTHS) * len(shapes(model)) * (time.perf_counter() - counted)


def uses_ease(model: SparCodeModel) -> bool:
    """Whether lists hold EASE's weights; else counts."""
    return model.backbone.config.item_lists == "ease" and 4 * model.n_items**2 <= MAX_EASE_BYTES


def shapes(model: SparCodeModel) -> tuple[float, ...]:
    """EASE's penalties, or the counts' exponents, to try."""
    return PENALTIES if uses_ease(model) else EXPONENTS


def made(model: SparCodeModel, histories: Histories, shape: float) -> csr_array:
    """B of these histories for a penalty or an exponent, the longest lists that are tried: (I, I) float32, nothing at or below 0."""
    if uses_ease(model):
        return _cut_rows(EASE(shape, max_bytes=MAX_EASE_BYTES).fit(histories).weights_, max(LENGTHS))
    use = CodeUse.of_items(histories)
    values = use.values(PairShape(item=shape, per_code=max(LENGTHS)))
    # Of items that nobody has, no row was made.
    lengths = np.zeros(histories.n_items, np.int64)
    lengths[use.codes] = np.diff(values.indptr)
    return csr_array((values.data, values.indices, offsets(lengths)), shape=(histories.n_items,) * 2)


def shortened(values: csr_array, per_code: int) -> csr_array:
    """The `per_code` highest values of every row, ties to the lower item, items ascending."""
    lengths = np.diff(values.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((values.indices, -values.data, rows))
    places = np.arange(len(order)) - np.repeat(values.indptr[:-1], lengths)
    kept = np.sort(order[places < per_code])
    return csr_array((values.data[kept], values.indices[kept], offsets(np.minimum(lengths, per_code))), shape=values.shape)


def _candidates(model: SparCodeModel, train: Histories, users: EvaluationSet, should_stop: ShouldStop) -> Iterator[_Tried]:
    some = users.queries.take(np.arange(min(_BLOCK, len(users.queries))))
    if len(some) == 0:
        return
    # Where no item passes the heads' threshold, lists rank alone, and any factor ranks alike.
    heads = _typical(model.score(some), users.protocol.default_k) or 1.0
    for shape in shapes(model):
        if should_stop():
            return
        longest = made(model, train, shape)
        for per_code in LENGTHS:
            values = shortened(longest, per_code)
            of_lists = _typical(_list_scores(some, values), users.protocol.default_k)
            if of_lists > 0:
                choices = [ListChoice(factor * heads / of_lists, per_code, shape) for factor in FACTORS]
                yield _Tried(values, choices, shape == shapes(model)[1] and per_code == max(LENGTHS))


def _best(model: SparCodeModel, users: EvaluationSet, tried: list[_Tried], should_stop: ShouldStop) -> ListChoice:
    """The usual choice or a surely better one; shorter lists where surely nearly as good. No lists where none is better."""
    k, recalls = users.protocol.default_k, {choice: [] for one in tried for choice in one.choices}
    for start in range(0, len(users.queries), _BLOCK):
        if start and should_stop():
            break
        rows = np.arange(start, min(start + _BLOCK, len(users.queries)))
        queries, targets = users.queries.take(rows), users.targets.take(rows)
        heads = model.score(queries)
        for values, choices, _ in tried:
            of_lists = _list_scores(queries, values)
            for choice in choices:
                scores = heads + np.float32(choice.alpha) * of_lists
                scores[scores == 0] = -np.inf
                recalls[choice].append(recall_at_k(top_k(scores, k, queries).item_ids, targets, k))
    found = {choice: np.concatenate(parts) for choice, parts in recalls.items() if parts}
    return _chosen([one for one in tried if one.choices[0] in found], found)


def _chosen(tried: list[_Tried], found: dict[ListChoice, np.ndarray]) -> ListChoice:
    """As `_best`, from each choice's recall of every user."""
    means = {choice: float(np.mean(recalls)) for choice, recalls in found.items()}
    best = max(means, key=means.__getitem__, default=ListChoice())
    if means.get(best, 0.0) <= max((recall for choice, recall in means.items() if choice.alpha == 0), default=0.0):
        return ListChoice()
    chosen = best
    for one in tried:
        if one.is_usual and not surely(found[best], found[usual := one.choices[FACTORS.index(USUAL_FACTOR)]], 0.0, SURE):
            chosen = usual
    # Of the same shape and factor: the best of many short lists often looks better than it is.
    factor = next(one.choices.index(chosen) for one in tried if chosen in one.choices)
    shorter = [one.choices[factor] for one in tried if one.choices[factor].shape == chosen.shape]
    for rival in sorted(shorter, key=lambda choice: choice.per_code):
        if rival.per_code < chosen.per_code and surely(found[rival], found[chosen], (NEARLY - 1) * means[chosen], SURE):
            return rival
    return chosen


def _typical(scores: np.ndarray, k: int) -> float:
    """Mean over queries of the k-th highest score; of the median of the scores above 0 where fewer than 2 k are, 0 where none is.

    The k-th alone is next to nothing where about k items pass the threshold, and 0 where fewer do or the catalogue is no larger.
    """
    n = min(2 * k, scores.shape[1])
    highest = -np.sort(np.partition(-scores, n - 1, axis=1)[:, :n], axis=1)
    n_above = np.count_nonzero(highest > 0, axis=1)
    rows = np.flatnonzero(n_above)
    return float(np.mean(highest[rows, np.minimum(k - 1, n_above[rows] // 2)])) if len(rows) else 0.0


def _scale(model: SparCodeModel, queries: Histories, values: csr_array) -> float:
    """How far heads' highest scores stand above the threshold, over the highest values of lists."""
    rows = np.flatnonzero(np.diff(values.indptr))
    if len(rows) == 0:
        return 1.0
    codes = model.without_lists(model.distinct_codes(queries))
    scores = model.score_codes(codes[:: max(1, len(codes) // SAMPLED_CODES)])
    highest = float(np.mean(np.maximum.reduceat(values.data, values.indptr[rows])))
    return max(float(np.mean(scores.max(axis=1))) - model.threshold, 1e-6) / highest


def _list_scores(queries: Histories, values: csr_array) -> np.ndarray:
    """Sums of the rows of a query's items, (B, I) float32."""
    sums = np.zeros((len(queries), values.shape[1]), np.float32)
    _add_rows(sums, queries.indptr, queries.items, values.indptr, values.indices, values.data)
    return sums


def _cut_rows(weights: np.ndarray, n: int) -> csr_array:
    """The n highest weights above 0 of every row of (I, I) float32."""
    n_items, n = len(weights), min(n, weights.shape[1])
    parts = []
    for start in range(0, n_items, _ROWS):
        rows = weights[start : start + _ROWS]
        lowest = -np.partition(-rows, n - 1, axis=1)[:, n - 1 : n]
        parts.append(shortened(csr_array(np.where((rows >= lowest) & (rows > 0), rows, np.float32(0))), n))
    data, items, lengths = ([one(part) for part in parts] for one in (lambda p: p.data, lambda p: p.indices, lambda p: np.diff(p.indptr)))
    return csr_array((np.concatenate(data), np.concatenate(items), offsets(np.concatenate(lengths))), shape=(n_items, n_items))


@njit(cache=True, nogil=True, fastmath=False)
def _add_rows(sums, indptr, items, starts, indices, data):
    for query in range(len(sums)):
        for item in items[indptr[query] : indptr[query + 1]]:
            for place in range(starts[item], starts[item + 1]):
                sums[query, indices[place]] += data[place]

"""Fits the pair features (`sparcode.model.pair_features`) of a SparCode model: exponents and shrinkage by what validation users like best.

Where codes are items, factors of every code and item are learnt besides (`sparcode.training.pair_gains`). Validation users decide. Their
targets are counted nowhere meanwhile, so nothing has to be taken out of the counts; in a ready-made split, where validation users are
training users, they are counted in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from sparcode.config import RunConfig
from sparcode.data.evaluation_protocol import FIXED_SPLIT
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.top_k import top_k
from sparcode.training.epoch_record import ShouldStop, never_stop
from sparcode.training.pair_gains import USUAL_EPOCHS, Gains, learn_gains, probe_gains

# The first steps of the search, halved in every round; ends at the last.
STEPS = PairShape(code=0.2, item=0.15, query=0.2, shrink=0.4, per_code=0)
ROUNDS = 3
LENGTHS = (100, 200, 400, 800)
# Shapes that a search usually looks at.
USUAL_STEPS = 45
# Choices are made on at most so many users.
USERS = 6_000
# Users scored at a time: 64 MiB of float32 for 40,000 items.
_BLOCK = 400
# Factors on f beside a network, times the ratio of their typical highest values, read off so many codes; 0 leaves the counts out.
FACTORS = (0.0, 0.1, 0.3, 1.0, 3.0)
SAMPLED_CODES = 256
# Standard errors by which validation users must gain. They choose among a few epochs, not among dozens of shapes.
GAIN_ERRORS = 2.0


def probe_fit(model: SparCodeModel, split: Split, config: RunConfig) -> float:
    """Seconds that `fit_pairs` takes, from one step of its search; 0 where it has nothing to do."""
    if model.pairs is None or not split.protocol.shows_history:
        return 0.0
    started = time.perf_counter()
    search = _Search(model, split, config.training.seed)
    search.recall(PairShape())
    counted = time.perf_counter()
    search.recall(PairShape(shrink=2 * PairShape().shrink))
    step = time.perf_counter() - counted
    of_gains = probe_gains(split.train, PairShape(), config.training.seed) if search.use.are_items and not model.has_network else 0.0
    return counted - started + USUAL_STEPS * step + of_gains + (USUAL_EPOCHS + 1) * step * (of_gains > 0)


def fit_pairs(model: SparCodeModel, split: Split, config: RunConfig, should_stop: ShouldStop = never_stop) -> None:
    """Set the model's pair features, in place, and its threshold anew; nothing happens where it has none.

    By coordinate search on validation recall, at the depth that the split is measured at; once `should_stop` returns true, with what it
    found until then. Beside a network, validation users also decide how much f counts, and whether the network does.
    """
    if model.pairs is None or not split.protocol.shows_history:
        return
    search = _Search(model, split, config.training.seed)
    shape = _searched(search.recall, should_stop)
    factor, weight = _beside_network(model, search, shape, config) if model.has_network else (1.0, 0.0)
    # Beside a network they would move what was just weighed against it.
    gains = None if weight else _sure_gains(search, split, shape, config.training.seed, should_stop)
    use = _use(model, with_targets(split))
    values = use.values(shape, factors=None if gains is None else gains.factors(use.codes))
    # Alone, any factor ranks alike; with this one thresholds are shares of a list's usual highest score.
    values.data *= np.float32(factor if weight else 1 / max(_highest(values), 1e-12))
    model.pairs.set(use.codes, values, shape, weight)
    model.set_density(split.train_queries, config.training.density, config.training.seed)


class _Search:
    """Recall of validation users by f alone, for every shape."""

    def __init__(self, model: SparCodeModel, split: Split, seed: int) -> None:
        self.users = some_users(split.validation, np.flatnonzero(split.validation.targets.lengths), seed)
        self.k, self.use = split.protocol.default_k, _use(model, split.train)
        codes, weights = model.encode(self.users.queries)
        # Of the codes that nobody asks for nothing is made.
        self.asked = np.intersect1d(codes[weights > 0], self.use.codes)
        self._weights = np.where(np.isin(codes, self.asked), weights, 0)
        self._rows = np.searchsorted(self.asked, codes)
        self._known: dict[PairShape, float] = {}

    def values(self, shape: PairShape, gains: Gains | None = None) -> csr_array:
        """Values f of the codes that are `asked` for."""
        factors = None if gains is None else gains.factors(self.use.codes)
        return self.use.values(shape, np.searchsorted(self.use.codes, self.asked), factors)

    def recall(self, shape: PairShape) -> float:
        """Mean recall; 0 without users."""
        if len(self.users.queries) == 0:
            return 0.0
        if shape not in self._known:
            self._known[shape] = float(np.mean(self.recalls(shape)))
        return self._known[shape]

    def recalls(self, shape: PairShape, gains: Gains | None = None) -> np.ndarray:
        """Recall of every user, float64."""
        values = self.values(shape, gains)
        arrays = values.indptr.astype(np.int64), values.indices, values.data
        return _recalls(self.users, self.k, lambda block: _scores(self._rows[block], self._weights[block], *arrays, values.shape[1]))


def _searched(recall: Callable[[PairShape], float], should_stop: ShouldStop) -> PairShape:
    """One number after the other, up or down as long as recall rises, with steps that halve from round to round; then the lists' length.

    A stop ends it with the best shape so far.
    """
    best, score = PairShape(), recall(PairShape())
    for round_ in range(ROUNDS):
        for name in ("code", "item", "shrink", "query"):
            step = getattr(STEPS, name) / 2**round_
            for direction in (step, -step):
                before = score
                while not should_stop():
                    tried = best._replace(**{name: max(0.0, round(getattr(best, name) + direction, 4))})
                    if tried == best or recall(tried) <= score:
                        break
                    best, score = tried, recall(tried)
                if score > before:
                    break
    if should_stop():
        return best
    return max((best._replace(per_code=length) for length in LENGTHS), key=recall)


def _use(model: SparCodeModel, histories: Histories) -> CodeUse:
    """The codes that histories use."""
    return CodeUse.of_items(histories) if model.has_item_codes else CodeUse.of_codes(*model.encode(histories), histories)


def sure_gains(model: SparCodeModel, split: Split, shape: PairShape, seed: int) -> Gains | None:
    """Gains as `fit_pairs` learns them for this shape, again; None without item codes, beside a network, and where users may not gain."""
    return None if model.has_network else _sure_gains(_Search(model, split, seed), split, shape, seed, never_stop)


def _sure_gains(search: _Search, split: Split, shape: PairShape, seed: int, should_stop: ShouldStop) -> Gains | None:
    if not search.use.are_items or len(search.users.queries) == 0 or should_stop():
        return None
    gains, reached, before = learn_gains(split.train, shape, lambda tried: search.recalls(shape, tried), seed, should_stop)
    return gains if surely(reached, before, 0.0, GAIN_ERRORS) else None


def surely(recalls: np.ndarray, others: np.ndarray, least: float, errors: float) -> bool:
    """Whether recalls of the same users are higher by more than `least`, by so many standard errors."""
    differences = recalls - others
    return bool(np.mean(differences) - errors * np.std(differences) / np.sqrt(len(differences)) > least)


def _recalls(users: EvaluationSet, k: int, scores: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Recall at k of users whose scores, (n, I) float32, are made block by block."""
    found = []
    for start in range(0, len(users.queries), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(users.queries)))
        found.append(top_k(scores(slice(start, rows[-1] + 1)), k, users.queries.take(rows)).item_ids)
    return recall_at_k(np.concatenate(found), users.targets, k)


@njit(cache=True, nogil=True, fastmath=False)
def _scores(rows, weights, indptr, items, values, n_items):
    """Weighted sums of rows of sparse values: (n, S) rows and weights to (n, I) float32, -inf where nothing was added."""
    scores = np.zeros((len(rows), n_items), np.float32)
    for query in range(len(rows)):
        for slot in range(rows.shape[1]):
            weight = weights[query, slot]
            if weight > 0:
                for at in range(indptr[rows[query, slot]], indptr[rows[query, slot] + 1]):
                    scores[query, items[at]] += weight * values[at]
        for item in range(n_items):
            if scores[query, item] == 0:
                scores[query, item] = -np.inf
    return scores


def _beside_network(model: SparCodeModel, search: _Search, shape: PairShape, config: RunConfig) -> tuple[float, float]:
    """The factor on f and the network's weight that validation users like best: f alone, the network alone, or both.

    The network alone where they use no code that is counted.
    """
    if len(search.asked) == 0:
        return 0.0, 1.0
    users, values, best = search.users, search.values(shape), (search.recall(shape), 1.0, 0.0)
    model.pairs.set(search.asked, csr_array(values.shape, dtype=np.float32), shape, 1.0)
    some = model.score_codes(search.asked[:: max(1, len(search.asked) // SAMPLED_CODES)])
    # How far the network's best stand out of its middle, over f's highest.
    scale = float(np.mean(some.max(axis=1) - np.median(some, axis=1))) / max(_highest(values), 1e-12)
    for factor in FACTORS:
        scaled = csr_array((values.data * np.float32(factor * scale), values.indices, values.indptr), shape=values.shape)
        model.pairs.set(search.asked, scaled, shape, 1.0)
        model.set_density(users.queries, config.training.density, config.training.seed)
        recalls = _recalls(users, search.k, lambda block: model.servable_scores(users.queries.take(np.arange(block.start, block.stop))))
        best = max(best, (float(np.mean(recalls)), factor * scale, 1.0))
    return best[1], best[2]


def _highest(values: csr_array) -> float:
    """Mean over rows of their highest value."""
    rows = np.flatnonzero(np.diff(values.indptr))
    return float(np.mean(np.maximum.reduceat(values.data, values.indptr[rows]))) if len(rows) else 0.0


def some_users(users: EvaluationSet, rows: np.ndarray, seed: int) -> EvaluationSet:
    """At most `USERS` of these rows, a seeded choice."""
    if len(rows) > USERS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, USERS, replace=False))
    return users._replace(queries=users.queries.take(rows), targets=users.targets.take(rows), users=users.users[rows])


def with_targets(split: Split) -> Histories:
    """Training histories; where validation users are training users, with their targets."""
    train, validation = split.train, split.validation
    if split.protocol.name != FIXED_SPLIT.name:
        return train
    rows = np.concatenate([train.rows, validation.users[validation.targets.rows]])
    return Histories.from_pairs(rows, np.concatenate([train.items, validation.targets.items]), len(train), train.n_items)

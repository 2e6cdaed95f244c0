"""Previews of one backbone over a grid of M, K, P and thresholds: recall of validation users and bytes of each, without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.split import Split
from sparcode.device import device_of
from sparcode.index.coded_model import CodedModel
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import floor_for_density
from sparcode.index.score_table import iter_score_blocks
from sparcode.metrics.accuracy import recall_by_query
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.query_batch import query_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever

# An index takes longer to build and has more lists than any of a good size.
MAX_CODES = 10_000
# 64 MiB; scores of a larger table are computed for each index anew.
MAX_TABLE_SCORES = 1 << 24


class Grid(NamedTuple):
    """Values of M, K and P, each ascending; settings whose training users need more than `max_codes` codes are left out."""

    n_codebooks: tuple[int, ...]
    codebook_sizes: tuple[int, ...]
    n_nearest: tuple[int, ...]
    max_codes: int = MAX_CODES

    @property
    def n_settings(self) -> int:
        """Settings of M, K and P."""
        return len(self.n_codebooks) * len(self.codebook_sizes) * len(self.n_nearest)


class GridPoint(NamedTuple):
    """A setting at one threshold: M, K, P, the threshold's position, recall at `DEFAULT_K` of validation users, bytes of the index."""

    n_codebooks: int
    codebook_size: int
    n_nearest: int
    place: int
    recall: float
    size_bytes: int

    @property
    def codes(self) -> tuple[int, int, int]:
        """M, K and P."""
        return self.n_codebooks, self.codebook_size, self.n_nearest


Thresholds = Callable[[InvertedIndex], Sequence[float]]


def grid_points(
    backbone: AllToAllModel, split: Split, config: RunConfig, grid: Grid, thresholds: Thresholds, check: Callable[[], None]
) -> Iterator[tuple[GridPoint, ...]]:
    """Measure the preview of every setting, as `sparcode.training.pipeline.preview` makes it, one after the other.

    Parameters
    ----------
    backbone
        Trained, in evaluation mode; it is not changed.
    config
        Everything but M, K and P.
    thresholds
        The thresholds to measure in an index, none below its floor.
    check
        Called between steps; raises to end the work.

    Yields
    ------
    tuple
        The points of a setting, one for each threshold in order; none for a setting left out: too many codes, or M codebooks do not
        divide the token. There are `grid.n_settings` in all.
    """
    for n_codebooks, size in product(grid.n_codebooks, grid.codebook_sizes):
        if backbone.config.token_dim % n_codebooks and config.quantizer.kind == "product":
            yield from [()] * len(grid.n_nearest)
            continue
        fitted = _model(backbone, config, (n_codebooks, size, 1))
        fitted.fit_codebooks(split.train_queries, config.training.seed)
        check()
        codes_of = _codes_by_nearest(fitted, split, config, grid)
        scored = _Scored.of(fitted, max(codes_of.values(), key=len, default=np.zeros(0, dtype=np.int64)), config.index.block_codes)
        for n_nearest in grid.n_nearest:
            check()
            codes = codes_of.get(n_nearest)
            yield (
                () if codes is None else _points(_with_nearest(fitted, config, n_nearest), codes, scored, split, config, thresholds, check)
            )


def _model(backbone: AllToAllModel, config: RunConfig, books: tuple[int, int, int]) -> SparCodeModel:
    """A model of M, K and P that shares the backbone, its codebooks still empty."""
    names = ("n_codebooks", "codebook_size", "n_nearest")
    quantizer = config.quantizer.model_copy(update=dict(zip(names, books, strict=True)))
    return SparCodeModel(backbone, quantizer).to(device_of(backbone)).eval()


def model_points(
    model: SparCodeModel, split: Split, config: RunConfig, thresholds: Thresholds, check: Callable[[], None], max_codes: int = MAX_CODES
) -> tuple[GridPoint, ...] | None:
    """The points of one model, a preview or a fine-tuned one, at its thresholds; None if training users need too many codes.

    Parameters as for `grid_points`; M, K and P are the model's own.
    """
    codes = model.distinct_codes(split.train_queries)
    if len(codes) > max_codes:
        return None
    check()
    return _points(model, codes, _Scored.of(model, codes, config.index.block_codes), split, config, thresholds, check)


class _Scored:
    """A model whose scores of some codes, at least one, are known: an index of these is built without its network."""

    def __init__(self, model: SparCodeModel, codes: np.ndarray, table: np.ndarray) -> None:
        self.encode, self.code_vectors, self.n_items = model.encode, model.code_vectors, model.n_items
        self._model, self._codes, self._table = model, codes, table

    @classmethod
    def of(cls, model: SparCodeModel, codes: np.ndarray, block_codes: int) -> CodedModel:
        """Of ascending codes (n,) int64; the model itself without any, or if the table would take too much memory."""
        if not 0 < len(codes) * model.n_items <= MAX_TABLE_SCORES:
            return model
        table = np.empty((len(codes), model.n_items), dtype=np.float32)
        done = 0
        for block, scores in iter_score_blocks(model, codes, block_codes):
            table[done : done + len(block)] = scores
            done += len(block)
        return cls(model, codes, table)

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """See `CodedModel`."""
        rows = np.minimum(np.searchsorted(self._codes, codes), max(0, len(self._codes) - 1))
        return self._table[rows] if np.array_equal(self._codes[rows], codes) else self._model.score_codes(codes)


def _with_nearest(fitted: SparCodeModel, config: RunConfig, n_nearest: int) -> SparCodeModel:
    """The same model with another P: codebooks do not depend on it."""
    books = fitted.quantizer.config
    model = _model(fitted.backbone, config, (books.n_codebooks, books.codebook_size, n_nearest))
    model.quantizer.load_state_dict(fitted.quantizer.state_dict())
    return model


def _codes_by_nearest(fitted: SparCodeModel, split: Split, config: RunConfig, grid: Grid) -> dict[int, np.ndarray]:
    """P -> the codes that training users need, ascending; without those P that need too many.

    The nearest codes of a token come first among its more nearest ones, so they are searched for once.
    """
    most = _with_nearest(fitted, config, grid.n_nearest[-1])
    found: dict[int, np.ndarray] = {}
    parts: dict[int, list[np.ndarray]] = {n_nearest: [] for n_nearest in grid.n_nearest}
    is_rectangular = fitted.backbone.tokenizer.history is None and fitted.lists is None
    for block in query_blocks(split.train_queries) if is_rectangular else ():
        codes = most.encode(block)[0]
        # K codewords of one codebook may be fewer than P.
        by_token = codes.reshape(len(codes) * fitted.backbone.config.n_tokens, -1)
        for n_nearest in grid.n_nearest:
            parts[n_nearest].append(np.unique(by_token[:, :n_nearest]))
    for n_nearest in grid.n_nearest:
        whole = parts[n_nearest]
        codes = np.unique(np.concatenate(whole)) if whole else _with_nearest(fitted, config, n_nearest).distinct_codes(split.train_queries)
        if len(codes) > grid.max_codes:
            break
        found[n_nearest] = codes
    return found


def _points(
    model: SparCodeModel,
    codes: np.ndarray,
    scored: CodedModel,
    split: Split,
    config: RunConfig,
    thresholds: Thresholds,
    check: Callable[[], None],
) -> tuple[GridPoint, ...]:
    """The points of a model whose training users need `codes`, which `scored` scores as the model does."""
    books, block_codes = model.quantizer.config, config.index.block_codes
    index = build_index(scored, codes, floor_for_density(scored, codes, config.index.floor_density, block_codes), block_codes)
    retriever = SparseRetriever(model, index, index.floor, config.index.unseen)
    evaluation, encoded = split.validation, model.encode(split.validation.queries)
    points = []
    for place, threshold in enumerate(thresholds(index)):
        check()
        found = retriever.with_threshold(float(threshold)).retrieve_codes(*encoded, evaluation.queries, DEFAULT_K).item_ids
        recall = float(np.nanmean(recall_by_query(found, evaluation.targets, DEFAULT_K, evaluation.protocol)))
        size = sum(index.size_bytes(float(threshold)).values())
        points.append(GridPoint(books.n_codebooks, books.codebook_size, books.n_nearest, place, recall, size))
    return tuple(points)

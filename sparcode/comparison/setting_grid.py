"""Previews of one backbone over a grid of M, K, P and thresholds: recall of validation users and bytes of each, without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.split import Split
from sparcode.device import device_of
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import floor_for_density
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever

# An index takes longer to build and has more lists than any of a good size.
MAX_CODES = 10_000


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
        fitted, too_many = _model(backbone, config, (n_codebooks, size, 1)), False
        fitted.fit_codebooks(split.train_queries, config.training.seed)
        for n_nearest in grid.n_nearest:
            check()
            # The nearest codes of a token are among its more nearest ones.
            points = None if too_many else _setting(fitted, n_nearest, split, config, grid.max_codes, thresholds, check)
            too_many = points is None
            yield points or ()


def best_under(points: Sequence[GridPoint], size_bytes: float) -> GridPoint | None:
    """The point of best recall (ties: the smallest) of at most so many bytes; None if there is none."""
    fitting = [point for point in points if point.size_bytes <= size_bytes]
    return max(fitting, key=lambda point: (point.recall, -point.size_bytes), default=None)


def smallest_within(points: Sequence[GridPoint], share: float) -> GridPoint | None:
    """The smallest point (ties: the best) whose recall is at least that share (0 to 1) of the best one; None without points."""
    if not points:
        return None
    least = share * max(point.recall for point in points)
    return min((point for point in points if point.recall >= least), key=lambda point: (point.size_bytes, -point.recall))


def _model(backbone: AllToAllModel, config: RunConfig, books: tuple[int, int, int]) -> SparCodeModel:
    """A model of M, K and P that shares the backbone, its codebooks still empty."""
    names = ("n_codebooks", "codebook_size", "n_nearest")
    quantizer = config.quantizer.model_copy(update=dict(zip(names, books, strict=True)))
    return SparCodeModel(backbone, quantizer).to(device_of(backbone)).eval()


def _setting(
    fitted: SparCodeModel,
    n_nearest: int,
    split: Split,
    config: RunConfig,
    max_codes: int,
    thresholds: Thresholds,
    check: Callable[[], None],
) -> tuple[GridPoint, ...] | None:
    """The points of one setting, whose codebooks are those of a fitted model; None for one of too many codes."""
    books = fitted.quantizer.config
    model = _model(fitted.backbone, config, (books.n_codebooks, books.codebook_size, n_nearest))
    # Codebooks do not depend on P.
    model.quantizer.load_state_dict(fitted.quantizer.state_dict())
    return model_points(model, split, config, thresholds, check, max_codes)


def model_points(
    model: SparCodeModel, split: Split, config: RunConfig, thresholds: Thresholds, check: Callable[[], None], max_codes: int = MAX_CODES
) -> tuple[GridPoint, ...] | None:
    """The points of one model, a preview or a fine-tuned one, at its thresholds; None if training users need too many codes.

    Parameters as for `grid_points`; M, K and P are the model's own.
    """
    books, codes = model.quantizer.config, model.distinct_codes(split.train_queries)
    if len(codes) > max_codes:
        return None
    floor = floor_for_density(model, codes, config.index.floor_density, config.index.block_codes)
    check()
    index = build_index(model, codes, floor, config.index.block_codes)
    retriever = SparseRetriever(model, index, index.floor, config.index.unseen)
    evaluation, encoded = split.validation, model.encode(split.validation.queries)
    points = []
    for place, threshold in enumerate(thresholds(index)):
        check()
        found = retriever.with_threshold(float(threshold)).retrieve_codes(*encoded, evaluation.queries, DEFAULT_K).item_ids
        recall = float(np.nanmean(accuracy_by_query(found, evaluation.targets, DEFAULT_K, evaluation.protocol).recall))
        size = sum(index.size_bytes(float(threshold)).values())
        points.append(GridPoint(books.n_codebooks, books.codebook_size, books.n_nearest, place, recall, size))
    return tuple(points)

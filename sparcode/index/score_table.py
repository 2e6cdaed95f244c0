"""The score table E(code, item), scored block by block and never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sparcode.data.contiguous import contiguous
from sparcode.index.coded_model import CodedModel

# A block is cut down to this many scores (128 MiB), however many codes were asked for.
MAX_BLOCK_SCORES = 1 << 25


def distinct_code_list(codes: np.ndarray) -> np.ndarray:
    """The distinct codes, sorted: integers of any shape -> (n,) int64; ValueError if they are no integers, or one is negative."""
    codes = np.asarray(codes)
    if codes.size == 0:
        return np.zeros(0, dtype=np.int64)
    if codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers; got dtype {codes.dtype}")
    distinct = np.unique(codes).astype(np.int64)
    if distinct[0] < 0:
        raise ValueError(f"codes must not be negative; got {distinct[0]}")
    return distinct


def iter_score_blocks(model: CodedModel, codes: np.ndarray, block_codes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the codes of a block, (n,) int64, and their scores against every item, (n, I) float32 before the threshold.

    `block_codes` are scored at a time, fewer where a block would exceed 2**25 scores; errors as in `block_step` and `code_scores`.
    """
    codes = np.asarray(codes, dtype=np.int64)
    step = block_step(model.n_items, block_codes)
    for start in range(0, len(codes), step):
        block = codes[start : start + step]
        yield block, code_scores(model, block)


def block_step(n_items: int, block_codes: int) -> int:
    """Codes to score at a time: `block_codes`, fewer where a block would exceed 2**25 scores; ValueError if below 1."""
    if block_codes < 1:
        raise ValueError(f"block_codes must be at least 1; got {block_codes}")
    return max(1, min(block_codes, MAX_BLOCK_SCORES // max(n_items, 1)))


def code_scores(model: CodedModel, codes: np.ndarray) -> np.ndarray:
    """Scores of codes (n,) int64 against every item: (n, I) float32, contiguous and writeable.

    ValueError if the model returns another shape, NaN or +inf.
    """
    scores, expected = np.asarray(model.score_codes(codes), dtype=np.float32), (len(codes), model.n_items)
    if scores.shape != expected:
        raise ValueError(f"score_codes must return {expected} scores for {len(codes)} codes; got {scores.shape}")
    # The largest score is NaN if any is, so one pass finds both.
    if scores.size and not np.max(scores) < np.inf:
        raise ValueError("score_codes returned NaN or +inf; scores must be finite (or -inf)")
    return contiguous(scores, np.float32)

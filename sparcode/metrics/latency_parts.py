"""Where the time of a single query goes: encoding it, finding its codes, adding up their lists, and taking the best."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch

from sparcode.data.interactions import Histories
from sparcode.model.compiled_encoder import compiled_tokens
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever


class LatencyParts(NamedTuple):
    """Medians over single queries, in milliseconds.

    Attributes
    ----------
    encode
        From the history to its tokens.
    codes
        From the tokens to weighted codes.
    lists
        Adding up the lists of these codes.
    top_k
        The rest of the search: looking the lists up, and taking the best items that were not seen.
    """

    encode: float
    codes: float
    lists: float
    top_k: float


def measure_parts(
    model: SparCodeModel, retriever: SparseRetriever, queries: Histories, k: int, n_calls: int = 100, seed: int = 0
) -> LatencyParts:
    """Time the parts of at most `n_calls` single queries, drawn with the seed; a few calls before are not timed.

    The encoding and the search of a query are timed as they are served. Then each is repeated, and its first part done alone, to tell in
    which proportion it splits; so a query's parts add up to its time, their medians nearly. ValueError if there is no query.
    """
    if len(queries) == 0:
        raise ValueError("queries must have at least one row")
    rows = np.random.default_rng(seed).permutation(len(queries))[:n_calls]
    singles = [queries.take(np.array([row])) for row in rows]
    for query in singles[:5]:
        _parts(model, retriever, query, k)
    taken = np.array([_parts(model, retriever, query, k) for query in singles], dtype=np.float64)
    return LatencyParts(*(np.median(taken, axis=0) / 1e6).tolist())


def _parts(model: SparCodeModel, retriever: SparseRetriever, query: Histories, k: int) -> tuple[float, float, float, float]:
    """Nanoseconds of the four parts of one query."""
    codes, weights, encoding = _encoded(model, query)
    searching = _searched(retriever, codes, weights, query, k)
    of_tokens = 0.0 if model.has_item_codes else min(1.0, _tokens_alone(model, query) / _encoded(model, query)[2])
    of_lists = min(1.0, retriever.time_of_adding(codes, weights) / _searched(retriever, codes, weights, query, k))
    return encoding * of_tokens, encoding * (1 - of_tokens), searching * of_lists, searching * (1 - of_lists)


def _encoded(model: SparCodeModel, query: Histories) -> tuple[np.ndarray, np.ndarray, int]:
    """Codes and weights, and the nanoseconds it took."""
    started = time.perf_counter_ns()
    codes, weights = model.encode(query)
    return codes, weights, max(1, time.perf_counter_ns() - started)


def _searched(retriever: SparseRetriever, codes: np.ndarray, weights: np.ndarray, query: Histories, k: int) -> int:
    started = time.perf_counter_ns()
    retriever.retrieve_codes(codes, weights, query, k)
    return max(1, time.perf_counter_ns() - started)


def _tokens_alone(model: SparCodeModel, query: Histories) -> int:
    tokenizer = model.backbone.tokenizer
    out = np.empty((1, tokenizer.n_tokens * tokenizer.token_dim), dtype=np.float32)
    started = time.perf_counter_ns()
    if not compiled_tokens(tokenizer, query, out):
        with torch.inference_mode():
            tokenizer.query_tokens(QueryBatch.from_histories(query, model.tau.device))
    return time.perf_counter_ns() - started

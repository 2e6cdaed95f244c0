"""The path of one query through the model: its tokens, their nearest codes with distances and weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from sparcode.data.interactions import Histories
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel

# Stands for a head where a token of the history has its item.
HEAD = -1


class QueryTrace(NamedTuple):
    """N tokens of a query with their P nearest codes, and the item lists it uses.

    A code's weight in the query is the sum of ``token_weights * shares`` over the places where it stands, as `SparCodeModel.encode` gives
    it, up to rounding. A model whose codes are items has a row per item, at distance 0.

    Attributes
    ----------
    items
        (N,) int64: the history item of a history token, `HEAD` for a token of a head. Heads come first.
    token_weights
        (N,) float32: 1 for heads, the gate of a history item.
    vectors
        (N, D) float32, the tokens; (N, 0) for a model whose codes are items.
    codes, codewords
        (N, P) int64, nearest first, and (N, P, M) int64, the codeword that each code has in every codebook.
    distances, shares
        (N, P) float32: squared distance of the token and the code's vector, and the weight of the code for the token; shares of a token
        add up to 1.
    list_items, list_codes, list_weights
        (L,) int64, int64 and float32: history items whose own list is used beside those of the codes.
    """

    items: np.ndarray
    token_weights: np.ndarray
    vectors: np.ndarray
    codes: np.ndarray
    codewords: np.ndarray
    distances: np.ndarray
    shares: np.ndarray
    list_items: np.ndarray
    list_codes: np.ndarray
    list_weights: np.ndarray

    @property
    def n_heads(self) -> int:
        """How many tokens are of heads."""
        return int((self.items == HEAD).sum())


def trace_query(model: SparCodeModel, query: Histories) -> QueryTrace:
    """Follow a query of one row; ValueError if there is not exactly one."""
    if len(query) != 1:
        raise ValueError(f"query must be one row; got {len(query)}")
    codes, weights = (part[0] for part in model.encode(query))
    codes, weights = codes[weights > 0], weights[weights > 0]
    first_list = np.iinfo(np.int64).max if model.lists is None else model.lists.first_code
    is_list = codes >= first_list
    lists = codes[is_list] - first_list, codes[is_list], weights[is_list]
    if model.has_item_codes:
        items, alone = codes[~is_list], np.ones((int((~is_list).sum()), 1), np.float32)
        return QueryTrace(items, weights[~is_list], alone[:, :0], items[:, None], items[:, None, None], 0 * alone, alone, *lists)
    return QueryTrace(*_tokens(model, query), *lists)


@torch.inference_mode()
def _tokens(model: SparCodeModel, query: Histories) -> tuple[np.ndarray, ...]:
    """Everything of a trace up to its item lists."""
    tokenizer, quantizer = model.backbone.tokenizer, model.quantizer
    tokens = tokenizer.query_tokens(QueryBatch.from_histories(query, model.tau.device))
    # A token for each use: history items come in the order of the history, latest last.
    vectors = tokens.vectors[tokens.weights.columns]
    codes, shares = quantizer.codes_and_weights(vectors)
    distances = (vectors[:, None] - quantizer.vectors(codes)).square().sum(-1)
    latest = 0 if tokenizer.history is None else tokenizer.history.latest
    items = np.concatenate([np.full(tokenizer.n_tokens, HEAD), query[0][max(0, len(query[0]) - latest) :]]).astype(np.int64)
    found = (tokens.weights.weights, vectors, codes, quantizer.decompose(codes), distances, shares)
    return items, *(part.cpu().numpy() for part in found)

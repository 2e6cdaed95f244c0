"""The cost model: bytes from the layouts of the arrays, counts and processor seconds from laws fitted to measured runs.

Bytes are not fitted. A count is a product of powers, fitted by least squares on logarithms. Seconds of one thread are a sum of terms that
are each proportional to work that the code does; their factors are not negative, with the least squared relative errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls

from sparcode.comparison.grown_index import whole_bytes
from sparcode.config import ModelConfig, PostingsKind, QuantizerConfig
from sparcode.index.block_index import MAX_SHIFT, n_blocks_of, shift_for
from sparcode.index.index_builder import codes_at_a_time
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel

BLOCK_CODES: Final = 64
# Sums of more items do not fit a core's first cache (a few thousand) or its second (1 MiB of float32, as on many processors).
NEAR_ITEMS, FAR_ITEMS = 1_000, 1 << 18


class Size(NamedTuple):
    """How large a run is; letters as in the documents.

    Attributes
    ----------
    n_items, n_users, n_lists
        I, users trained on, and codes in use: lists of the index.
    density
        Share of (code, item) scores kept.
    n_tokens, n_nearest, n_codebooks, codebook_size, token_dim
        T, P, M, K and D.
    interaction_dim, hidden_dim
        Width of the interaction network, and of the query encoder `mean`.
    history
        Items of a mean history.
    batch_size, n_negatives
        Of training; 0 negatives: every item is scored.
    lists_read, postings_read
        Distinct lists of a mean query and their postings; from the laws of counts where nothing is measured.
    """

    n_items: int
    n_users: int = 0
    n_lists: int = 1
    density: float = 0.01
    n_tokens: int = 4
    n_nearest: int = 1
    n_codebooks: int = 1
    codebook_size: int = 256
    token_dim: int = 16
    interaction_dim: int = 8
    hidden_dim: int = 256
    history: float = 50.0
    batch_size: int = 128
    n_negatives: int = 0
    lists_read: float = 0.0
    postings_read: float = 0.0

    @property
    def n_postings(self) -> int:
        """Postings of the whole index."""
        return round(self.density * self.n_lists * self.n_items)

    @property
    def n_codes(self) -> int:
        """C, all codes there are."""
        return self.codebook_size**self.n_codebooks

    @property
    def model(self) -> ModelConfig:
        """Settings of the networks."""
        return ModelConfig(
            n_tokens=self.n_tokens, token_dim=self.token_dim, hidden_dim=self.hidden_dim, interaction_dim=self.interaction_dim
        )

    @property
    def quantizer(self) -> QuantizerConfig:
        """Settings of the quantizer."""
        return QuantizerConfig(n_codebooks=self.n_codebooks, codebook_size=self.codebook_size, n_nearest=self.n_nearest)


Terms = dict[str, float]


def index_bytes(size: Size, postings: PostingsKind) -> int:
    """Bytes of the arrays of an index in a layout."""
    return whole_bytes(size.n_lists, size.n_items, size.density, postings)


def model_bytes(size: Size) -> int:
    """Bytes of all weights and buffers of a SparCode model, which is laid out without memory."""
    with torch.device("meta"):
        model = SparCodeModel(AllToAllModel(size.n_items, size.model), size.quantizer)
    return sum(value.nbytes for value in model.state_dict().values())


def graph_bytes(size: Size, n_links: int) -> float:
    """Bytes of an HNSW graph over item vectors with one dimension more: vectors, two times the links below, some above, two tables.

    One item in `n_links` stands on the next layer too, each with so many links.
    """
    return size.n_items * (4 * (size.token_dim + 1) + 4 * n_links * (2 + 1 / (n_links - 1)) + 8 + 4)


def build_flops(size: Size) -> int:
    """Floating-point operations of E over all lists and items: dot product, and hidden units of the mlp (add, ReLU, multiply, add)."""
    return size.n_lists * size.n_items * (2 * size.token_dim + 4 * size.interaction_dim)


def codes_in_use(size: Size, law: Terms) -> float:
    """Distinct codes that the users' queries name: ``C * (1 - exp(-x))``, x the product of powers that `fit_codes_in_use` found."""
    return size.n_codes * -math.expm1(-multiplied(law, _in_use(size)))


def fit_codes_in_use(sizes: Sequence[Size], counts: Sequence[float]) -> Terms:
    """The law of `codes_in_use`, by least squares on logarithms; sizes at which every code is in use say nothing."""
    rows = [(_in_use(size), -math.log1p(-count / size.n_codes)) for size, count in zip(sizes, counts, strict=True) if count < size.n_codes]
    return fit_product(*zip(*rows, strict=True))


def _in_use(size: Size) -> Terms:
    return {"tokens": size.n_users * size.n_tokens, "P": size.n_nearest, "C": size.n_codes}


def _lists_read(size: Size) -> Terms:
    return {"T": size.n_tokens, "P": size.n_nearest, "K": size.codebook_size}


def _postings_read(size: Size) -> Terms:
    return {"lists": size.lists_read, "density": size.density, "I": size.n_items}


def _build(size: Size) -> Terms:
    pairs, postings = size.n_lists * size.n_items, size.n_postings
    calls = -(-size.n_lists // codes_at_a_time(size.n_items, BLOCK_CODES))
    return {
        "pairs": pairs,
        "pairs x D": pairs * size.token_dim,
        "pairs x H": pairs * size.interaction_dim,
        # The items' part of the first layer is computed once per call.
        "calls x items x D x H": calls * size.n_items * size.token_dim * size.interaction_dim,
        "postings x log2 of a list": postings * math.log2(2 + postings / size.n_lists),
        "calls": calls,
    }


def _arrange(size: Size) -> Terms:
    shift = shift_for(size.n_items, size.n_lists, size.n_postings)
    n_blocks, is_reordered = n_blocks_of(size.n_items, shift), shift < MAX_SHIFT
    return {
        "index": 1,
        "postings": size.n_postings,
        "postings of ordered items": size.n_postings * is_reordered,
        "items x levels": size.n_items * math.log2(max(1, n_blocks)) * is_reordered,
        "lists x blocks": size.n_lists * n_blocks,
        "lists": size.n_lists,
    }


def _encode(size: Size) -> Terms:
    return {
        "query": 1,
        "history x H": size.history * size.hidden_dim,
        "H x (H + T D)": size.hidden_dim * (size.hidden_dim + size.n_tokens * size.token_dim),
        "T x K x D": size.n_tokens * size.codebook_size * size.token_dim,
        "T x K x M": size.n_tokens * size.codebook_size * size.n_codebooks,
        "T x P": size.n_tokens * size.n_nearest,
    }


def _search_lists(size: Size) -> Terms:
    return {
        "query": 1,
        "lists": size.lists_read,
        "postings": size.postings_read,
        "postings x log2 of items": size.postings_read * math.log2(max(1, size.n_items / NEAR_ITEMS)),
        "postings x log2 of items beyond 2^18": size.postings_read * math.log2(max(1, size.n_items / FAR_ITEMS)),
        "items scanned": size.n_items * (size.postings_read > size.n_items),
    }


def _search_blocks(size: Size) -> Terms:
    shift = shift_for(size.n_items, size.n_lists, size.n_postings)
    n_blocks, is_small = n_blocks_of(size.n_items, shift), shift < MAX_SHIFT
    return {
        "query": 1,
        "lists": size.lists_read,
        "lists x blocks": size.lists_read * n_blocks,
        "postings of large blocks": size.postings_read * (not is_small),
        # Of small blocks most are skipped.
        "root of postings of small blocks": math.sqrt(size.postings_read) * is_small,
        "postings of small blocks": size.postings_read * is_small,
    }


def _flat(size: Size) -> Terms:
    return {"query": 1, "items": size.n_items, "items x D": size.n_items * size.token_dim}


def _graph(size: Size) -> Terms:
    return {"query": 1, "log2 of items": math.log2(size.n_items)}


def candidates(size: Size) -> float:
    """Items that a batch is scored on: all, or the negatives and the distinct targets (of uniform draws)."""
    if not 0 < size.n_negatives < size.n_items:
        return size.n_items
    return size.n_negatives - size.n_items * math.expm1(-size.batch_size * size.history / size.n_items)


def touched(size: Size) -> float:
    """Numbers of embedding tables that a step moves: all, or, where negatives are sampled, those of candidates and shown items."""
    if not 0 < size.n_negatives < size.n_items:
        return size.n_items * (size.token_dim + size.hidden_dim)
    found = candidates(size)
    return found * size.token_dim + (found - size.n_negatives) * size.hidden_dim


# Terms that are computed once a step, whatever share of a batch a process has.
OF_STEPS: Final = ("steps", "steps x candidates x D", "steps x numbers moved")


def _training(size: Size, rows: float) -> Terms:
    """Terms of an epoch in which `rows` vectors, over all steps, meet the candidates."""
    steps, found = math.ceil(size.n_users / size.batch_size), candidates(size)
    return {
        "steps": steps,
        "steps x candidates x D": steps * found * size.token_dim,
        "steps x numbers moved": steps * touched(size),
        "rows x candidates": rows * found,
        "rows x candidates x D": rows * found * size.token_dim,
        "rows x candidates x H": rows * found * size.interaction_dim,
        "users x H x (H + T D)": size.n_users * size.hidden_dim * (size.hidden_dim + size.n_tokens * size.token_dim),
        "users x history x H": size.n_users * size.history * size.hidden_dim,
    }


def _backbone(size: Size) -> Terms:
    return _training(size, size.n_users * size.n_tokens)


def _joint(size: Size) -> Terms:
    named = size.n_tokens * size.n_nearest
    # With several nearest codes, each distinct one of a batch is scored once; with one, every token.
    distinct = -size.n_codes * math.expm1(-size.batch_size * named / size.n_codes)
    rows = size.n_users * size.n_tokens if size.n_nearest == 1 else math.ceil(size.n_users / size.batch_size) * distinct
    return _training(size, rows) | {
        "users x T x P x candidates": size.n_users * named * candidates(size),
        "users x T x K x D": size.n_users * size.n_tokens * size.codebook_size * size.token_dim,
    }


IN_USE: Final = "codes in use"
COUNTS: Final[Mapping[str, Callable[[Size], Terms]]] = {"lists per query": _lists_read, "postings per query": _postings_read}
SECONDS: Final[Mapping[str, Callable[[Size], Terms]]] = {
    "build of lists": _build,
    "blocks of 16 bits": _arrange,
    "encoding a query": _encode,
    "search in lists": _search_lists,
    "search in blocks": _search_blocks,
    "brute force": _flat,
    "HNSW": _graph,
    "backbone epoch": _backbone,
    "joint epoch": _joint,
}


def fit_sum(terms: Sequence[Terms], measured: Sequence[float]) -> Terms:
    """The factor of every term, not negative, with the least squared relative errors of the sums, scaled to a mean logarithm of 0.

    All `measured` must be above 0.
    """
    names, values = list(terms[0]), np.array(measured, dtype=np.float64)
    rows = np.array([[row[name] for name in names] for row in terms], dtype=np.float64) / values[:, None]
    # Equal scales, for terms differ by many powers of ten.
    scale = np.maximum(np.linalg.norm(rows, axis=0), np.finfo(np.float64).tiny)
    found = nnls(rows / scale, np.ones(len(rows)))[0] / scale
    # Least squares of ratios lie low: what is said too high by a factor counts more than what is said too low by it.
    found *= np.exp(-np.log(rows @ found).mean())
    return dict(zip(names, found.tolist(), strict=True))


def fit_product(terms: Sequence[Terms], measured: Sequence[float]) -> Terms:
    """The exponent of every term, and the factor (``"factor"``), of a product of powers, by least squares on logarithms."""
    names = list(terms[0])
    rows = np.array([[0.0, *(math.log(row[name]) for name in names)] for row in terms])
    rows[:, 0] = 1
    found = np.linalg.lstsq(rows, np.log(np.array(measured, dtype=np.float64)), rcond=None)[0]
    return {"factor": math.exp(found[0])} | dict(zip(names, found[1:].tolist(), strict=True))


def summed(factors: Terms, terms: Terms) -> float:
    """The value of a `fit_sum`."""
    return sum(factors[name] * value for name, value in terms.items())


def multiplied(exponents: Terms, terms: Terms) -> float:
    """The value of a `fit_product`."""
    return exponents["factor"] * math.prod(value ** exponents[name] for name, value in terms.items())


class CostModel(NamedTuple):
    """All fitted laws.

    Attributes
    ----------
    counts, seconds
        Law -> what `fit_product` and `fit_sum` found.
    in_use
        What `fit_codes_in_use` found.
    """

    counts: Mapping[str, Terms]
    seconds: Mapping[str, Terms]
    in_use: Terms

    def with_reads(self, size: Size) -> Size:
        """The size with the lists and postings that a query reads; no more lists than codes named or lists there are."""
        lists = multiplied(self.counts["lists per query"], _lists_read(size))
        size = size._replace(lists_read=min(lists, size.n_tokens * size.n_nearest, size.n_codes))
        return size._replace(postings_read=multiplied(self.counts["postings per query"], _postings_read(size)))

    def of(self, law: str, size: Size) -> float:
        """What a law says of a size: a count, or processor seconds."""
        if law == IN_USE:
            return codes_in_use(size, self.in_use)
        size = self.with_reads(size)
        if law in COUNTS:
            return size.lists_read if law == "lists per query" else size.postings_read
        return summed(self.seconds[law], SECONDS[law](size))

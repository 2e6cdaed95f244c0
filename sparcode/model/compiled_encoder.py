"""Queries of a `mean` encoder on the CPU without PyTorch: of single queries its calls take longer than the work, many are as fast."""

from __future__ import annotations

import numpy as np
import torch

from sparcode.data.contiguous import contiguous
from sparcode.data.interactions import Histories, offsets
from sparcode.device import in_chunks
from sparcode.model import encoding_kernels
from sparcode.model.encoding_kernels import Gates, Network
from sparcode.model.quantizer_base import Quantizer
from sparcode.model.query_batch import query_blocks
from sparcode.model.query_encoder import MeanEncoder, check_features
from sparcode.model.tokenizer import LARGEST_GATE, Tokenizer

# Encoding so many queries takes a thread longer than waking it.
QUERIES_PER_THREAD = 64
_NO_FEATURES = np.empty((1, 0), dtype=np.float32)


def compiled_tokens(tokenizer: Tokenizer, queries: Histories, tokens: np.ndarray) -> bool:
    """Write the heads' tokens of queries into the first T * D of each row of (B, W) float32; false where PyTorch must encode them."""
    network = _network(tokenizer, queries)
    if network is None:
        return False
    _encode_tokens(queries, network, np.empty((1, len(network.hidden)), dtype=np.float32), tokens)
    return True


def compiled_codes(tokenizer: Tokenizer, quantizer: Quantizer, queries: Histories) -> tuple[np.ndarray, np.ndarray] | None:
    """Codes and weights of queries, (B, S) int64 and float32, as `SparCodeModel.encode` gives them; None where PyTorch must encode them.

    Large codebooks are met by PyTorch's matrix products here too.
    """
    network = _network(tokenizer, queries)
    if network is None:
        return None
    if tokenizer._modules.get("history") is not None:
        return _codes_with_history(tokenizer, quantizer, queries, network)
    n_queries, n_tokens = len(queries), tokenizer.n_tokens
    codes, weights = quantizer.empty_codes(n_queries, n_tokens)
    books = quantizer.served_codebooks()
    if books is None:
        start = 0
        for block in query_blocks(queries):
            part = slice(start, start + len(block))
            found = quantizer.code_arrays(torch.from_numpy(_heads(tokenizer, block, network)[0]))
            codes[part], weights[part] = (values.reshape(len(block), -1) for values in found)
            start = part.stop
        return codes, weights
    items, indptr, features = _arrays(queries)
    network, books = tuple(network), tuple(books)
    if n_queries < 2 * QUERIES_PER_THREAD:
        encoding_kernels.encode_codes(items, indptr, features, network, books, n_tokens, codes, weights)
        return codes, weights

    def encode(start: int, stop: int) -> None:
        rows, ends = slice(start, stop), indptr[start : stop + 1]
        encoding_kernels.encode_codes(items, ends, features[rows], network, books, n_tokens, codes[rows], weights[rows])

    in_chunks(n_queries, encode, QUERIES_PER_THREAD)
    return codes, weights


def _network(tokenizer: Tokenizer, queries: Histories) -> Network | None:
    # Modules and parameters are looked up in their dictionaries: as attributes each would take a third of a microsecond.
    parts = tokenizer._modules
    encoder = parts["encoder"]
    if type(encoder) is not MeanEncoder:
        return None
    layers = encoder._modules
    hidden, heads = layers["hidden"]._parameters, parts["heads"]._parameters
    tensors = (layers["embedding"]._parameters["weight"], hidden["weight"], hidden["bias"], heads["weight"], heads["bias"])
    features = layers.get("features")
    if features is not None:
        tensors += (features._parameters["weight"],)
    network = tokenizer.network_views.of(tensors)
    # Items without an embedding are left to PyTorch to refuse.
    if network is None or (queries.n_items > len(network.embedding) and np.any(queries.items >= len(network.embedding))):
        return None
    if features is not None:
        check_features(features, queries.features)
    return network


def _arrays(queries: Histories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries as the kernels take them: items, offsets and side features."""
    features = _NO_FEATURES if queries.features is None else contiguous(queries.features, np.float32)
    return contiguous(queries.items, np.int32), contiguous(queries.indptr, np.int64), features


def _encode_tokens(queries: Histories, network: Network, hidden: np.ndarray, tokens: np.ndarray) -> None:
    """Write the heads' tokens and, unless it is one row, the encoder's output; see `encode_tokens`."""
    items, indptr, features = _arrays(queries)
    network = tuple(network)
    if len(queries) < 2 * QUERIES_PER_THREAD:
        encoding_kernels.encode_tokens(items, indptr, features, network, hidden, tokens)
        return

    def encode(start: int, stop: int) -> None:
        rows, ends = slice(start, stop), indptr[start : stop + 1]
        own = np.empty_like(hidden) if len(hidden) == 1 else hidden[rows]
        encoding_kernels.encode_tokens(items, ends, features[rows], network, own, tokens[rows])

    in_chunks(len(queries), encode, QUERIES_PER_THREAD)


def _heads(tokenizer: Tokenizer, queries: Histories, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """The heads' tokens of queries, (B * T, D), and the encoder's output, (B, H)."""
    hidden = np.empty((len(queries), len(network.hidden)), dtype=np.float32)
    tokens = np.empty((len(queries), len(network.heads)), dtype=np.float32)
    _encode_tokens(queries, network, hidden, tokens)
    return tokens.reshape(-1, tokenizer.token_dim), hidden


def _codes_with_history(
    tokenizer: Tokenizer, quantizer: Quantizer, queries: Histories, network: Network
) -> tuple[np.ndarray, np.ndarray] | None:
    history = tokenizer.history
    gates: Gates | None = history.views.of((history.tokens.weight, history.gate_key.weight, history.gate_bias, history.gate_query))
    if gates is None:
        return None
    blocks = [_block_with_history(tokenizer, quantizer, block, network, gates) for block in query_blocks(queries)]
    if len(blocks) == 1:
        return blocks[0]
    width = max(codes.shape[1] for codes, _ in blocks)
    return tuple(np.concatenate(parts) for parts in zip(*(_wider(block, width) for block in blocks), strict=True))


def _wider(block: tuple[np.ndarray, np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of codes and weights filled up with their first code at weight 0."""
    codes, weights = block
    missing = width - codes.shape[1]
    return np.concatenate([codes, np.repeat(codes[:, :1], missing, axis=1)], axis=1), np.pad(weights, ((0, 0), (0, missing)))


def _block_with_history(
    tokenizer: Tokenizer, quantizer: Quantizer, queries: Histories, network: Network, gates: Gates
) -> tuple[np.ndarray, np.ndarray]:
    heads, hidden = _heads(tokenizer, queries, network)
    items, indptr, _ = _arrays(queries)
    starts = offsets(np.minimum(queries.lengths, tokenizer.history.latest))
    n_heads, n_history = len(heads), int(starts[-1])
    vectors = np.empty((n_heads + n_history, tokenizer.token_dim), dtype=np.float32)
    vectors[:n_heads] = heads
    weights = np.empty(n_history, dtype=np.float32)
    encoding_kernels.history_tokens(items, indptr, starts, hidden, gates, np.float32(LARGEST_GATE), vectors[n_heads:], weights)
    codes, shares = quantizer.code_arrays(torch.from_numpy(vectors))
    widest = codes.shape[1] * (tokenizer.n_tokens + int(np.diff(starts).max(initial=0)))
    found = np.empty((len(queries), widest), dtype=np.int64), np.empty((len(queries), widest), dtype=np.float32)
    width = encoding_kernels.merge_codes(codes, shares, weights, starts, *found)
    return tuple(np.ascontiguousarray(part[:, :width]) for part in found)

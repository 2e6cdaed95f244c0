"""Spectral start: item vectors from the training histories' leading singular vectors, item biases from popularity.

The leading right singular vectors of ``R = D_u^-1/2 X D_i^-1/2``, the degree-normalised interactions, are what a linear low-pass filter
over the user-item graph uses (GF-CF, Shen et al., arXiv 2108.07567). With them only the network's small layers are left to learn.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array

from sparcode.data.interactions import Histories
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.tokenizer import FIRST_LENGTH
from sparcode.model.two_tower import TwoTowerModel

# Extra directions and passes of the randomised range finder; more change recall by less than a seed does.
OVERSAMPLING = 16
POWER_ITERATIONS = 4


def start_spectrally(model: AllToAllModel | TwoTowerModel, histories: Histories, seed: int) -> None:
    """Replace item vectors, embeddings of the query encoder and item biases of an initialised model, in place.

    Items without training interactions, and dimensions beyond the matrix's rank, keep their weights.
    """
    history = model.tokenizer.history
    tables = [(model.items.embedding.weight, 1.0), (model.tokenizer.encoder.embedding.weight, 1.0)]
    if history is not None:
        tables.append((history.tokens.weight, FIRST_LENGTH))
    vectors = singular_item_vectors(histories, max(table.shape[1] for table, _ in tables), seed)
    counts = np.bincount(histories.items, minlength=histories.n_items)
    bias = np.log(counts + 1.0)
    with torch.no_grad():
        model.items.bias.copy_(torch.from_numpy(bias - bias.mean()))
        for table, length in tables:
            leading = torch.from_numpy(vectors[:, : table.shape[1]])
            norms = leading.norm(dim=1, keepdim=True)
            # Unit length, as the random start has it on average.
            known = (norms > 0).flatten()
            table[known, : leading.shape[1]] = (length * leading / norms)[known]


def singular_item_vectors(histories: Histories, dim: int, seed: int) -> np.ndarray:
    """Leading right singular vectors of B degree-normalised histories over I items: (I, min(dim, B, I)) float32, strongest first.

    Computed by a randomised range finder (Halko et al., arXiv 0909.4061, algorithm 4.4). Rows of items without interactions are 0.
    """
    values = np.ones(len(histories.items), dtype=np.float32)
    interactions = csr_array((values, histories.items, histories.indptr), shape=(len(histories), histories.n_items), copy=True)
    interactions.sum_duplicates()
    interactions.data[:] = 1
    by_user, by_item = (diags_array(np.maximum(interactions.sum(axis=axis), 1).astype(np.float32) ** -0.5) for axis in (1, 0))
    normalised = (by_user @ interactions @ by_item).tocsr()
    transposed = normalised.T.tocsr()
    rank = min(dim, *normalised.shape)
    width = min(rank + OVERSAMPLING, *normalised.shape)
    basis = np.random.default_rng(seed).standard_normal((histories.n_items, width), dtype=np.float32)
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(transposed @ (normalised @ basis))[0]  # (I, width)
    projected = normalised @ basis  # (B, width)
    squares, rotation = np.linalg.eigh(projected.T @ projected)
    strongest = np.argsort(squares)[::-1][:rank]
    vectors = (basis @ rotation[:, strongest]).astype(np.float32)
    vectors[np.asarray(interactions.sum(axis=0)) == 0] = 0
    return vectors

"""The SparCode model: an all-to-all backbone with quantized tokens and sparse scores (arXiv 2311.18213)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparcode.config import QuantizerConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.device import device_of
from sparcode.model.added_scores import added_scores
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.compiled_encoder import compiled_codes
from sparcode.model.item_codes import ItemCodes, items_of
from sparcode.model.item_lists import ItemLists
from sparcode.model.pair_features import PairFeatures
from sparcode.model.quantizer import ProductQuantizer
from sparcode.model.query_batch import QueryBatch, query_blocks, rows_of
from sparcode.model.ranks import current
from sparcode.model.residual_quantizer import ResidualQuantizer
from sparcode.model.sparse_score import apply_link, mixture_logits, sparse_score
from sparcode.model.trainable import TrainableModel, UsedCodes
from sparcode.model.weighted_tokens import WeightedTokens

CODE_SAMPLE = 2048
# K-means sees at most so many of the heads' tokens, or so many per codeword where that is more.
TOKEN_SAMPLE, TOKENS_PER_CODEWORD = 1 << 16, 16
# With history tokens, at most this many heads' tokens per item: most codewords should tell items apart rather than heads.
HEADS_PER_ITEM = 0.4
# Codes meet the items in blocks of so many scores (512 KiB), so that what the network makes in between stays in cache and is small whatever
# the catalogue's size. A block has at least as many items as the first bound, or calls would cost more than work; where items were chosen,
# at most as many as the second, because their vectors are copied.
ITEM_BLOCK_SCORES, MIN_ITEM_BLOCK = 1 << 17, 1 << 10
# 128 MiB of float32, however large the catalogue.
MAX_SAMPLED_SCORES = 1 << 25
QUANTIZERS = {"product": ProductQuantizer, "residual": ResidualQuantizer}


class SparCodeModel(TrainableModel):
    """A backbone, owned by this model from here on, a quantizer, pair features or item lists if configured; the threshold tau is a buffer.

    Pair features and item lists are empty until they are fitted (`sparcode.training.pair_fit`, `sparcode.training.list_fit`); training sees
    the network alone. Codes of heads come first, then those of item lists, from ``lists.first_code`` on.
    """

    def __init__(self, backbone: AllToAllModel, config: QuantizerConfig) -> None:
        super().__init__()
        self.n_items, self.link = backbone.n_items, backbone.config.link
        self.backbone = backbone
        history = backbone.tokenizer.history
        self.has_item_codes = config.kind == "items"
        self.quantizer = (
            ItemCodes(history and history.tokens, self.n_items, config)
            if self.has_item_codes
            else QUANTIZERS[config.kind](backbone.config.token_dim, config)
        )
        self.pairs = PairFeatures(self.n_items) if backbone.config.pair_features == "counts" else None
        n_books, size = self.codebooks
        self.lists = ItemLists(self.n_items, size**n_books) if backbone.config.item_lists != "none" else None
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))

    @classmethod
    def from_backbone(
        cls, backbone: AllToAllModel, config: QuantizerConfig, queries: Histories, density: float, seed: int
    ) -> SparCodeModel:
        """Quantize a copy of a trained backbone without training (the preview): k-means on the tokens of training queries.

        `density` is the share of scores that the threshold keeps.
        """
        model = cls(copy.deepcopy(backbone), config).to(device_of(backbone))
        model.fit_codebooks(queries, seed)
        model.set_density(queries, density, seed)
        model.eval()
        return model

    def fit_codebooks(self, queries: Histories, seed: int) -> None:
        """Start the codebooks by k-means on the tokens of training queries; codes that are items have nothing to fit."""
        if self.has_item_codes:
            return
        limit = max(TOKEN_SAMPLE, TOKENS_PER_CODEWORD * self.quantizer.config.codebook_size)
        if self.backbone.config.history_tokens:
            limit = min(limit, int(HEADS_PER_ITEM * self.n_items))
        self.quantizer.fit(self.backbone.token_sample(queries, limit, seed), seed)

    # The trainer's interface, see `TrainableModel`. The preview is epoch 0, so joint training never ends below it.
    random_stream = 1
    start_is_checkpoint = True

    def epochs(self, config: TrainingConfig) -> int:
        """Joint epochs."""
        return config.joint_epochs

    def rate_falls(self, config: TrainingConfig) -> bool:
        """Always."""
        return True

    def parameter_groups(self, config: TrainingConfig) -> list[dict[str, Any]]:
        """Backbone, and codewords with a step size of their own."""
        quantizer = [parameter for parameter in self.quantizer.parameters() if parameter.requires_grad]
        return [
            {"params": list(self.backbone.parameters()), "lr": config.joint_learning_rate},
            # Decay would pull codewords away from the tokens they stand for.
            {"params": quantizer, "lr": config.codebook_learning_rate, "weight_decay": 0.0},
        ]

    @torch.no_grad()
    def after_step(self, queries: QueryBatch, generator: torch.Generator) -> int:
        """Move the quantizer's averages and re-seed dead codewords."""
        return self.quantizer.update(self.backbone.tokenizer.query_tokens(queries).vectors, generator)

    def before_validation(self, queries: Histories, config: TrainingConfig) -> None:
        """Set the threshold for the codes that the queries use now; processes that train together encode a share of them each."""
        ranks = current()
        own = self.distinct_codes(rows_of(queries, ranks.share(len(queries))))
        self._set_density(np.unique(ranks.joined_rows(own)), config.density, config.seed)
        _, found = ranks.of_first("", {"tau": self.tau.cpu()})
        self.tau.copy_(found["tau"])

    def servable_scores(self, queries: Histories) -> np.ndarray:
        """As `score`, -inf where no list holds the item."""
        scores = self.score(queries)
        scores[scores == 0] = -np.inf
        return scores

    def used_codes(self, queries: Histories) -> UsedCodes:
        """Codes that queries use with a weight above 0, without those of item lists."""
        parts = [self.without_lists(codes[weights > 0]) for codes, weights in map(self.encode, query_blocks(queries))]
        return UsedCodes(np.concatenate(parts), *self.codebooks)

    def without_lists(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 codes without those of item lists."""
        return codes if self.lists is None else codes[codes < self.lists.first_code]

    @property
    def first_list_code(self) -> int | None:
        """Codes from this one on are those of item lists; None where the model has none."""
        return None if self.lists is None else self.lists.first_code

    def distinct_codes(self, queries: Histories) -> np.ndarray:
        """Codes of queries, ascending: (n,) int64. Encoded in blocks: padded to the longest of all histories, rows would take gigabytes."""
        return np.unique(np.concatenate([np.unique(self.encode(block)[0]) for block in query_blocks(queries)]))

    @property
    def codebooks(self) -> tuple[int, int]:
        """Number of codebooks, and codewords of each."""
        return self.quantizer.config.codebooks(self.n_items)

    @property
    def threshold(self) -> float:
        """Tau, in units of E."""
        return float(self.tau)

    @property
    def has_network(self) -> bool:
        """Whether the interaction network has a part in E; else E is a function of the pair features alone."""
        has_tokens = not self.has_item_codes or self.backbone.tokenizer.history is not None
        return has_tokens and (self.pairs is None or self.pairs.has_network)

    @property
    def lowest_threshold(self) -> float:
        """No threshold goes below this: E of a pair that nothing is known of, -inf where the network knows something of every pair."""
        return -np.inf if self.has_network else float(apply_link(torch.zeros(()), self.link))

    def forward(self, queries: QueryBatch, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C) logits over candidates, (C,) int64 (None: all items), and the scalar weighted commitment loss.

        With one nearest code every token is scored through its straight-through quantized vector. With several, each distinct code of the
        batch is scored once and the gradient reaches the tokens through the weights.
        """
        if self.has_item_codes:
            items, weights = self._items(queries)
            raw = self.backbone.interaction(self.quantizer.vectors(items), candidates)
            return mixture_logits(raw, weights, self.tau.to(raw.dtype), self.link), raw.new_zeros(())
        tokens = self.backbone.tokenizer.query_tokens(queries)
        quantized = self.quantizer(tokens.vectors)
        if quantized.codes.shape[1] == 1:
            vectors, equal, weights = quantized.quantized, quantized.codes[:, 0], tokens.weights  # (N, D), (N,)
        else:
            distinct, columns = quantized.codes.unique(return_inverse=True)
            vectors, equal = self.quantizer.vectors(distinct), None  # (U, D)
            weights = self._code_weights(tokens.weights, columns, quantized.weights)
        raw = self.backbone.interaction(vectors, candidates, equal)
        commitment = self.quantizer.config.commitment_weight * quantized.commit_loss
        return mixture_logits(raw, weights, self.tau.to(raw.dtype), self.link), commitment

    def _items(self, queries: QueryBatch) -> tuple[Tensor, WeightedTokens]:
        """Distinct history items (U,) int64, and each query's weights of them."""
        tokenizer = self.backbone.tokenizer
        return tokenizer.history.used(queries, tokenizer.encoder(queries))

    def _code_weights(self, of_tokens: WeightedTokens, columns: Tensor, weights: Tensor) -> WeightedTokens:
        """Codes of queries whose tokens have (N, P) codes; with history tokens each code once per query."""
        of_codes = of_tokens.through(columns, weights)
        return of_codes if self.backbone.tokenizer.history is None else of_codes.merged()

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(B, S) int64 composite codes and (B, S) float32 weights of queries, for the index.

        Without history tokens S is T * P and codes may repeat in a row. With them a row holds each code once, and short rows are padded
        with their first code at weight 0. Codes of item lists follow, see `ItemLists.beside`.
        """
        # Modules are looked up in their dictionaries: as attributes each would take a third of a microsecond.
        tokenizer, quantizer = self._modules["backbone"]._modules["tokenizer"], self._modules["quantizer"]
        # Switching modes visits all modules, which takes longer than encoding a query.
        if self.training or tokenizer.training or quantizer.training:
            self.eval()
        if self.has_item_codes:
            return items_of(queries) if tokenizer.history is None else self._encode_by_torch(queries)
        found = compiled_codes(tokenizer, quantizer, queries)
        if found is None:
            found = self._encode_by_torch(queries)
        lists = self._modules.get("lists")
        return found if lists is None else lists.beside(*found, queries)

    @torch.inference_mode()
    def _encode_by_torch(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        tokenizer, device = self.backbone.tokenizer, self.tau.device
        blocks = [QueryBatch.from_histories(block, device) for block in query_blocks(queries)]
        if tokenizer.history is None:
            heads = [self._encoded_heads(block) for block in blocks]
            return heads[0] if len(heads) == 1 else tuple(np.concatenate(parts) for parts in zip(*heads, strict=True))
        encoded = [self._encoded(block) for block in blocks]
        width = max(int(torch.diff(part.offsets).max()) if len(part.offsets) > 1 else 0 for part in encoded)
        rows = [part.padded(width) for part in encoded]
        return torch.cat([codes for codes, _ in rows]).cpu().numpy(), torch.cat([weights for _, weights in rows]).cpu().numpy()

    def _encoded_heads(self, queries: QueryBatch) -> tuple[np.ndarray, np.ndarray]:
        """Codes and weights without history tokens: every query has as many, so no gathering, merging or padding."""
        tokens = self.backbone.tokenizer(queries)  # (B, T, D)
        codes, weights = self.quantizer.code_arrays(tokens.flatten(0, 1))  # (B * T, P)
        shape = (tokens.shape[0], tokens.shape[1] * codes.shape[1])
        return codes.reshape(shape), weights.reshape(shape)

    def _encoded(self, queries: QueryBatch) -> WeightedTokens:
        if self.has_item_codes:
            items, weights = self._items(queries)
            return weights._replace(columns=items[weights.columns]).merged()
        tokens = self.backbone.tokenizer.query_tokens(queries)
        codes, weights = self.quantizer.codes_and_weights(tokens.vectors)
        distinct, columns = codes.unique(return_inverse=True)
        of_codes = self._code_weights(tokens.weights, columns, weights)
        return of_codes._replace(columns=distinct[of_codes.columns])

    @torch.no_grad()
    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """Scores E of codes (n,) int64 against all items, before the threshold: (n, I) float32; -inf where an item list has no item.

        The last bit of a score may depend on what else is scored in the same call.
        """
        if self.lists is None or np.all(of_heads := codes < self.lists.first_code):
            return self._score_heads(codes)
        scores, rows = np.empty((len(codes), self.n_items), dtype=np.float32), np.flatnonzero(~of_heads)
        if len(rows) < len(codes):
            scores[of_heads] = self._score_heads(codes[of_heads])
        self.lists.write_scores(scores, codes[rows], rows)
        return scores

    def _score_heads(self, codes: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(codes), self.n_items), dtype=np.float32)
        if self.has_network:
            vectors = self._vectors(codes)
            step = max(MIN_ITEM_BLOCK, ITEM_BLOCK_SCORES // max(1, len(codes)))
            for start in range(0, self.n_items, step):
                block = slice(start, min(start + step, self.n_items))
                raw = self.backbone.interaction(vectors, block)  # (n, block)
                scores[:, block] = (apply_link(raw, self.link) if self.pairs is None else raw * self.pairs.network_weight).cpu().numpy()
        if self.pairs is not None:
            self.pairs.add_to(scores, codes, self.link)
            scores = apply_link(torch.from_numpy(scores), self.link).numpy()
        return scores

    @torch.no_grad()
    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        """Quantized tokens of (n,) int64 codes: (n, D) float32; ValueError for codes of item lists, which have none."""
        if len(self.without_lists(codes)) < len(codes):
            raise ValueError("item lists have no vectors, so none is the nearest: allowed is unseen='compute'")
        return self._vectors(codes).cpu().numpy()

    @torch.no_grad()
    def score(self, queries: Histories) -> np.ndarray:
        """Score the thresholded model without an index: (B, I) float32; 0 where no code's score passes tau."""
        self.eval()
        if self.pairs is not None or self.lists is not None:
            return np.concatenate([self._score_added(block) for block in query_blocks(queries)])
        scores = []
        for block in query_blocks(queries):
            codes, weights = self.encode(block)
            distinct, columns = np.unique(codes, return_inverse=True)
            raw = self.backbone.interaction(self._vectors(distinct))
            chosen, shares = (torch.from_numpy(part).to(raw.device) for part in (columns.reshape(codes.shape), weights))
            scores.append(sparse_score(raw, WeightedTokens.rectangular(chosen, shares), self.threshold, self.link).cpu())
        return torch.cat(scores).numpy()

    def _score_added(self, queries: Histories) -> np.ndarray:
        (codes, weights), tau, lists = self.encode(queries), np.float32(self.threshold), self.lists
        of_heads = weights if lists is None else np.where(codes < lists.first_code, weights, np.float32(0))
        sums = added_scores(self.score_codes, codes, of_heads, tau, self.n_items)
        if lists is not None:
            lists.add_to(sums, codes, weights, tau)
        return sums

    def set_density(self, queries: Histories, density: float, seed: int) -> None:
        """Set tau so that about a share `density` in (0, 1] of the (code, item) scores of the queries' distinct codes lies above it.

        Item lists have no part in it. Of more than `CODE_SAMPLE` codes (fewer for a huge catalogue) a seeded sample counts. 1 keeps all
        scores; ValueError outside.
        """
        if not 0 < density <= 1:
            raise ValueError(f"density must lie in (0, 1]; got {density}")
        self._set_density(self.distinct_codes(queries), density, seed)

    def _set_density(self, codes: np.ndarray, density: float, seed: int) -> None:
        codes = self.without_lists(codes)
        n_sampled = max(1, min(CODE_SAMPLE, MAX_SAMPLED_SCORES // self.n_items))
        if len(codes) > n_sampled:
            codes = np.sort(np.random.default_rng(seed).choice(codes, n_sampled, replace=False))
        scores = self.score_codes(codes).ravel()
        keep = max(1, int(density * len(scores)))
        lowest = float(np.partition(scores, len(scores) - keep)[len(scores) - keep]) if keep < len(scores) else float(scores.min())
        self.tau.fill_(max(np.nextafter(np.float32(lowest), np.float32(-np.inf)), self.lowest_threshold))

    def _vectors(self, codes: np.ndarray) -> Tensor:
        return self.quantizer.vectors(torch.from_numpy(np.ascontiguousarray(codes, dtype=np.int64)).to(device_of(self)))

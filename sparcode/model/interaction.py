"""All-to-all interaction encoders ``E(token, item)``, which score (token, item) pairs.

Every network adds a learned correction to the dot product with an item bias, so training starts from a two-tower score. No network builds
the concatenated pair: what is linear in token or item is computed once per token and once per item.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import ModelConfig
from sparcode.model.distinct_pairs import distinct_pair_scores
from sparcode.model.pair_kernel import pair_hidden

# A deep network's hidden layers are made for this many (pair, unit) values at a time: 128 MiB of float32.
MAX_HIDDEN_VALUES = 1 << 25


class ItemTable(nn.Module):
    """An embedding per item, plus a linear map of its (I, F) float32 side features if it has any, and a bias.

    For cosine scores vectors have length 1 over the learnt temperature, and those that `meet` them length 1. The bias stays as it is: how
    popular an item is shows in no angle.
    """

    def __init__(self, n_items: int, config: ModelConfig, features: Tensor | None = None) -> None:
        super().__init__()
        if features is not None and (features.ndim != 2 or len(features) != n_items):
            raise ValueError(f"item features must be ({n_items}, F); got {tuple(features.shape)}")
        dim = config.token_dim
        self.embedding = nn.Embedding(n_items, dim)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer("features", features)
        self.feature_map = None if features is None else nn.Linear(features.shape[1], dim, bias=False)
        self.temperature = config.temperature
        # A factor's logarithm, so that weight decay pulls towards the first temperature.
        self.log_factor = nn.Parameter(torch.zeros(())) if config.score == "cosine" else None

    def forward(self, candidates: Tensor | slice | None = None) -> tuple[Tensor, Tensor]:
        """Vectors (C, D) and biases (C,) of candidates, (C,) int64 or a slice (not copied); None: of all items."""
        vectors, bias, features = self.embedding.weight, self.bias, self.features
        if isinstance(candidates, slice):
            vectors, bias = vectors[candidates], bias[candidates]
            features = None if features is None else features[candidates]
        elif candidates is not None:
            # Unlike plain indexing, these add gradients up in the same order every time.
            vectors, bias = self.embedding(candidates), bias.index_select(0, candidates)
            features = None if features is None else features[candidates]
        if features is not None:
            vectors = vectors + self.feature_map(features)
        return (vectors if self.log_factor is None else F.normalize(vectors, dim=1) * (self.log_factor.exp() / self.temperature)), bias

    def meet(self, tokens: Tensor) -> Tensor:
        """(..., D) float32 tokens as their inner products with the items' vectors take them."""
        return tokens if self.log_factor is None else F.normalize(tokens, dim=-1)


class DotInteraction(nn.Module):
    """``E = token . item + bias``, or the cosine over a temperature; `item_features` are (I, F) float32, None for none."""

    def __init__(self, n_items: int, config: ModelConfig, item_features: Tensor | None = None) -> None:
        super().__init__()
        self.n_items = n_items
        self.items = ItemTable(n_items, config, item_features)

    def forward(self, tokens: Tensor, candidates: Tensor | slice | None = None, codes: Tensor | None = None) -> Tensor:
        """Score every (token, item) pair before the link: (N, D) float32 tokens -> (N, C) float32.

        Candidates are (C,) int64 or a slice; None scores all items. Tokens of equal `codes`, (N,) int64, are equal: scored once.
        """
        vectors, bias = self.items(candidates)
        tokens = self.items.meet(tokens)
        dot = (tokens @ vectors.T).add_(bias)  # (N, C)
        correction = self.correction(tokens, vectors, codes)
        return dot if correction is None else dot.add_(correction)

    def correction(self, tokens: Tensor, vectors: Tensor, codes: Tensor | None = None) -> Tensor | None:
        """The (N, C) correction that the network adds to the dot product of (N, D) tokens and (C, D) item vectors; None: none."""
        return None


class MlpInteraction(DotInteraction):
    """A DNN over the pair. Its first layer splits into a token part and an item part that are added per pair."""

    def __init__(self, n_items: int, config: ModelConfig, item_features: Tensor | None = None) -> None:
        super().__init__(n_items, config, item_features)
        width = config.interaction_dim
        self.token_part = nn.Linear(config.token_dim, width)
        self.item_part = nn.Linear(config.token_dim, width, bias=False)
        self.deeper = nn.ModuleList(nn.Linear(width, width) for _ in range(config.interaction_layers - 1))
        signs = torch.ones(width)
        signs[1::2] = -1
        # Near zero and balanced: the correction starts small.
        self.output = nn.Parameter(0.1 * width**-0.5 * signs)

    def correction(self, tokens: Tensor, vectors: Tensor, codes: Tensor | None = None) -> Tensor:
        """See `DotInteraction.correction`."""
        token, item = self.token_part(tokens), self.item_part(vectors)
        if not len(self.deeper):
            return pair_hidden(token, item.T, self.output)
        if codes is not None:
            return distinct_pair_scores(token, codes, item, [(layer.weight, layer.bias) for layer in self.deeper], self.output)
        rows = max(1, MAX_HIDDEN_VALUES // max(1, item.numel()))
        return torch.cat([self._deep(block, item) for block in token.split(rows)])

    def _deep(self, token: Tensor, item: Tensor) -> Tensor:
        hidden = torch.relu(token[:, None] + item)  # (n, C, H)
        for layer in self.deeper:
            hidden = torch.relu(layer(hidden))
        return hidden @ self.output


class CrossInteraction(DotInteraction):
    """Two cross layers over ``x = [token, item]``, the second of low rank (DCN-v2, Wang et al., arXiv 2008.13535, equations 1 and 5).

    ``x1 = x * (W x + b) + x`` and ``x2 = x * (U V x1 + c) + x1``; the correction is ``w . x2``. Every term depends on the token alone or
    the item alone, or is a bilinear form, so the pair itself is never built. The rank is `interaction_dim`.
    """

    def __init__(self, n_items: int, config: ModelConfig, item_features: Tensor | None = None) -> None:
        super().__init__(n_items, config, item_features)
        dim, rank = config.token_dim, config.interaction_dim
        self.first = nn.Linear(2 * dim, 2 * dim)
        self.down = nn.Linear(2 * dim, rank, bias=False)
        self.up = nn.Linear(rank, 2 * dim)
        signs = torch.ones(2 * dim)
        signs[1::2] = -1
        self.output = nn.Parameter(0.1 * (2 * dim) ** -0.5 * signs)

    def correction(self, tokens: Tensor, vectors: Tensor, codes: Tensor | None = None) -> Tensor:
        """See `DotInteraction.correction`."""
        # Readings of x1: each row of `down`, and the output, ask for a weighted sum of its entries.
        readings = torch.cat([self.down.weight, self.output[None]])  # (R + 1, 2 D)
        first = self._first_layer(tokens, vectors, readings)  # (R + 1) times (N, C)
        dim = tokens.shape[1]
        weighted = self.output[:, None] * self.up.weight  # (2 D, R)
        token_factor, item_factor = tokens @ weighted[:dim], vectors @ weighted[dim:]  # (N, R), (C, R)
        constant = self.output * self.up.bias
        scores = first[-1] + (tokens @ constant[:dim])[:, None] + vectors @ constant[dim:]
        for rank, reading in enumerate(first[:-1]):
            scores = scores + reading * (token_factor[:, rank, None] + item_factor[:, rank])
        return scores

    def _first_layer(self, tokens: Tensor, vectors: Tensor, readings: Tensor) -> list[Tensor]:
        dim = tokens.shape[1]
        weight, bias = self.first.weight, self.first.bias
        token_part = tokens @ weight[:, :dim].T  # (N, 2 D), W x without the item
        item_part = vectors @ weight[:, dim:].T  # (C, 2 D)
        token_alone = (tokens * (token_part[:, :dim] + bias[:dim] + 1)) @ readings[:, :dim].T  # (N, R + 1)
        item_alone = (vectors * (item_part[:, dim:] + bias[dim:] + 1)) @ readings[:, dim:].T  # (C, R + 1)
        scores = []
        for number, reading in enumerate(readings):
            # token * (item's part of W x) + item * (token's part of W x), read off with the weights: one bilinear form.
            form = (tokens * reading[:dim]) @ weight[:dim, dim:] + token_part[:, dim:] * reading[dim:]  # (N, D)
            scores.append(torch.addmm(item_alone[:, number], form, vectors.T) + token_alone[:, number, None])
        return scores


class AttentionInteraction(DotInteraction):
    """Self-attention of width d = `interaction_dim` over the token and the item's own tokens, two linear heads of its vector.

    With elements ``x_i`` the correction is ``sum_ij softmax_j(Q x_i . K x_j / sqrt(d)) (R x_i . V x_j)``.
    """

    n_item_tokens = 2

    def __init__(self, n_items: int, config: ModelConfig, item_features: Tensor | None = None) -> None:
        super().__init__(n_items, config, item_features)
        dim, self.width = config.token_dim, config.interaction_dim
        self.token_part = nn.Linear(dim, 4 * self.width)
        self.item_part = nn.Linear(dim, self.n_item_tokens * 4 * self.width)
        self.scale = nn.Parameter(torch.tensor(0.1))

    def correction(self, tokens: Tensor, vectors: Tensor, codes: Tensor | None = None) -> Tensor:
        """See `DotInteraction.correction`."""
        token = self.token_part(tokens).chunk(4, dim=1)  # query, key, reader, value: (N, d) each
        heads = self.item_part(vectors).chunk(self.n_item_tokens, dim=1)
        items = [head.chunk(4, dim=1) for head in heads]  # (C, d) each
        own = self._compare(token, token, alone=True)
        total = _attended([tuple(part[:, None] for part in own), *(self._compare(token, item) for item in items)])
        for asking in items:
            # Rows of the item: what it sees of the token depends on the pair, what it sees of itself does not.
            of_token = tuple(part.T for part in self._compare(asking, token))
            total = total + _attended([of_token, *(self._compare(asking, item, alone=True) for item in items)])
        return self.scale * total

    def _compare(self, asking: tuple[Tensor, ...], seen: tuple[Tensor, ...], alone: bool = False) -> tuple[Tensor, Tensor]:
        """Attention logits and comparisons of two elements: all pairs of rows, or row by row."""
        factor = self.width**-0.5
        if alone:
            return (asking[0] * seen[1]).sum(1) * factor, (asking[2] * seen[3]).sum(1)
        return asking[0] @ seen[1].T * factor, asking[2] @ seen[3].T


def _attended(seen: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Sum of comparisons weighted by the softmax of the logits over the list; entries broadcast to (N, C)."""
    highest = torch.stack(torch.broadcast_tensors(*(logit.detach() for logit, _ in seen))).amax(0)
    exponentials = [(logit - highest).exp() for logit, _ in seen]
    normaliser = torch.stack(exponentials).sum(0)
    return sum(weight * value for weight, (_, value) in zip(exponentials, seen, strict=True)) / normaliser


INTERACTIONS: dict[str, type[DotInteraction]] = {
    "dot": DotInteraction,
    "mlp": MlpInteraction,
    "cross": CrossInteraction,
    "attention": AttentionInteraction,
}

"""The query side on rectangles: padded histories in, codes and weights out, in operations that other runtimes have too.

The ragged batches of `sparcode.model.query_batch` have shapes that depend on their values; here every shape follows from the input's. Codes
and weights are those of `SparCodeModel.encode`, but for their places: a code may repeat in a row, and padding has weight 0.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.model.query_encoder import MeanEncoder, SasrecEncoder
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.tokenizer import LARGEST_GATE


class PaddedQuerySide(nn.Module):
    """A copy of a model's query side, without the interaction network and the items it scores."""

    def __init__(self, model: SparCodeModel) -> None:
        super().__init__()
        self.tokenizer = copy.deepcopy(model.backbone.tokenizer).cpu().eval()
        self.has_item_codes = model.has_item_codes
        if not self.has_item_codes:
            self.quantizer = copy.deepcopy(model.quantizer).cpu()
            # So that nothing prepared for serving, which depends on addresses in memory, is used.
            self.quantizer.training = True
        self.first_list_code = model.first_list_code
        if model.lists is not None:
            has_list = torch.zeros(model.n_items)
            has_list[torch.from_numpy(model.lists.listed() - model.lists.first_code)] = 1
            self.register_buffer("list_weights", has_list * model.lists.weight.cpu())

    def forward(self, items: Tensor, lengths: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Codes (B, S) int64 and weights (B, S) float32 of (B, L) int64 items, oldest first, of which the first `lengths` (B,) count.

        L is at least 1; what stands after a history is any item. `features` are the (B, F) float32 side features of users.
        """
        counts = torch.arange(items.shape[1]) < lengths[:, None]  # (B, L)
        history = self.tokenizer.history
        if self.has_item_codes and history is None:
            return items, counts.float()
        hidden = self._hidden(items, lengths, counts, features)
        if self.has_item_codes:
            return items, self._gates(items, lengths, counts, hidden)
        tokens = self.tokenizer.heads(hidden).unflatten(1, (self.tokenizer.n_tokens, self.tokenizer.token_dim))  # (B, T, D)
        found = [self._codes(tokens, tokens.new_ones(tokens.shape[:2]))]
        if history is not None:
            found.append(self._codes(history.tokens(items), self._gates(items, lengths, counts, hidden)))
        if self.first_list_code is not None:
            found.append((items + self.first_list_code, F.embedding(items, self.list_weights[:, None])[..., 0] * counts))
        codes, weights = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return codes, weights

    def _hidden(self, items: Tensor, lengths: Tensor, counts: Tensor, features: Tensor | None) -> Tensor:
        """The encoder's output, (B, hidden_dim); see the encoders in `sparcode.model.query_encoder`."""
        encoder = self.tokenizer.encoder
        if isinstance(encoder, MeanEncoder):
            embedded = F.embedding(items, encoder.embedding.weight) * counts[..., None]
            pooled = embedded.sum(1) / lengths.clamp(min=1).sqrt()[:, None]
            return torch.tanh(encoder.hidden(torch.tanh(self._with_features(pooled, features))))
        kept = lengths.clamp(max=encoder.max_history)
        # The latest items, moved to the front.
        places = (lengths - kept)[:, None] + torch.arange(items.shape[1])
        history = encoder.embedding(items.gather(1, places.clamp(max=items.shape[1] - 1)))
        if isinstance(encoder, SasrecEncoder):
            return self._with_features(encoder.newest_state(history, kept), features)
        states = encoder.gru(history)[0]  # (B, L, hidden_dim)
        newest = (kept - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[2])
        state = states.gather(1, newest)[:, 0] * (kept > 0)[:, None]
        return torch.tanh(self._with_features(state, features))

    def _with_features(self, hidden: Tensor, features: Tensor | None) -> Tensor:
        layer = self.tokenizer.encoder.features
        return hidden if layer is None else hidden + layer(features)

    def _gates(self, items: Tensor, lengths: Tensor, counts: Tensor, hidden: Tensor) -> Tensor:
        """Weights of history items, (B, L); 0 for those before the latest and for padding. See `HistoryTokens`."""
        history = self.tokenizer.history
        asked = F.linear(hidden, history.gate_query)  # (B, GATE_DIM)
        gate = (history.gate_key(items) * asked[:, None]).sum(2) + F.embedding(items, history.gate_bias[:, None])[..., 0]
        is_latest = torch.arange(items.shape[1]) >= (lengths - history.latest)[:, None]
        return gate.clamp(-LARGEST_GATE, LARGEST_GATE).exp() * (counts & is_latest)

    def _codes(self, tokens: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest codes of (B, n, D) tokens, and their shares of the tokens' (B, n) weights: (B, n * P) both."""
        flat = tokens.flatten(0, 1)
        codes = self.quantizer.nearest_in_one_block(flat)  # (B * n, P)
        distances = (flat[:, None] - self.quantizer.vectors(codes)).square().sum(2)
        shares = F.softmax(-distances / self.quantizer.log_temperature.exp(), dim=1)
        shape = (*tokens.shape[:2], codes.shape[1])
        return codes.view(shape).flatten(1), (shares.view(shape) * weights[..., None]).flatten(1)

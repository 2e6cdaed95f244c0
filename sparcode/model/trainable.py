"""The interface between trainer and models, with defaults for a network without codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sparcode.config import TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.model.query_batch import QueryBatch


class UsedCodes(NamedTuple):
    """(n,) int64 composite codes of some queries, one entry per use, and the shape of the codebooks."""

    codes: np.ndarray
    n_codebooks: int
    codebook_size: int


class TrainableModel(nn.Module, ABC):
    """Base of trainable models. ``model(queries, candidates)`` gives (B, C) logits and a scalar auxiliary loss.

    Models with the same `random_stream` and seed see the same batches. `start_is_checkpoint`: training may end at its start.
    """

    n_items: int
    random_stream = 0
    start_is_checkpoint = False

    @abstractmethod
    def score(self, queries: Histories) -> np.ndarray:
        """Score every item: (B, I) float32, higher is better."""

    def servable_scores(self, queries: Histories) -> np.ndarray:
        """As `score`, with -inf where serving cannot return the item."""
        return self.score(queries)

    def epochs(self, config: TrainingConfig) -> int:
        """The most epochs of this model's stage."""
        return config.epochs

    def rate_falls(self, config: TrainingConfig) -> bool:
        """Whether the step size falls along a cosine over the epochs."""
        return config.schedule == "cosine"

    def parameter_groups(self, config: TrainingConfig) -> list[dict[str, Any]]:
        """Groups of parameters for the optimizer, each with its first step size."""
        return [{"params": list(self.parameters()), "lr": config.learning_rate}]

    def after_step(self, queries: QueryBatch, generator: torch.Generator) -> int:
        """Called after each optimizer step with the batch's queries; returns how many codewords were re-seeded."""
        return 0

    def before_validation(self, queries: Histories, config: TrainingConfig) -> None:
        """Called before each validation with the training queries."""

    def used_codes(self, queries: Histories) -> UsedCodes | None:
        """Codes that queries use; None for a model without codes."""
        return None

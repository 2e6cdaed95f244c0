"""Teachers: distributions over items that a network learns from, in addition to the real targets (Hinton et al., arXiv 1503.02531)."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.data.interactions import Histories
from sparcode.device import device_of
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.query_batch import QueryBatch


class Teacher(Protocol):
    """Gives soft targets for a batch."""

    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """(B, I) float32 distributions over all items, on the queries' device; `histories` are the users' full histories."""
        ...


class EaseTeacher:
    """The softmax of EASE's scores, from (I, I) float32 item-to-item weights; `scale` multiplies the scores.

    EASE scores the queries, or the users' whole histories where it `sees_histories`.
    """

    def __init__(self, weights: np.ndarray, scale: float, device: torch.device, sees_histories: bool = False) -> None:
        self._weights, self._scale = torch.from_numpy(weights).to(device), scale
        self._sees_histories = sees_histories

    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """See `Teacher`."""
        if self._sees_histories:
            queries = QueryBatch.from_histories(histories, self._weights.device)
        scores = F.embedding_bag(queries.items, self._weights, queries.offsets, mode="sum", include_last_offset=True)
        return F.softmax(self._scale * scores, dim=1)


class BackboneTeacher:
    """A copy of the all-to-all model, which sees the whole history where the trained network sees a part of it.

    The extra history is what makes it worth learning from: shown the same part, it teaches next to nothing.
    """

    def __init__(self, backbone: AllToAllModel) -> None:
        self._backbone = copy.deepcopy(backbone).eval().requires_grad_(False)

    @torch.no_grad()
    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """See `Teacher`."""
        return F.softmax(self._backbone(QueryBatch.from_histories(histories, device_of(self._backbone)))[0], dim=1)

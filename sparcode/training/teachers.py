"""Teachers: distributions over items that a network learns from beside the real targets (Hinton et al., arXiv 1503.02531)."""

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
    """Says what to expect of a batch."""

    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """Distributions over all items.

        Parameters
        ----------
        queries
            What the network is shown of B users.
        histories
            All that the B users did.

        Returns
        -------
        Tensor
            (B, I) float32 on the queries' device; rows add up to 1.
        """
        ...


class EaseTeacher:
    """The softmax of EASE's scores, from what the network is shown.

    Parameters
    ----------
    weights
        (I, I) float32 item-to-item weights; the sum of a query's rows is its score of every item.
    scale
        Factor on the scores before the softmax.
    """

    def __init__(self, weights: np.ndarray, scale: float, device: torch.device) -> None:
        self._weights, self._scale = torch.from_numpy(weights).to(device), scale

    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """See `Teacher`."""
        scores = F.embedding_bag(queries.items, self._weights, queries.offsets, mode="sum", include_last_offset=True)
        return F.softmax(self._scale * scores, dim=1)


class BackboneTeacher:
    """The continuous all-to-all model, which is shown the whole history where the network that learns sees a part of it.

    What it knows more than its pupil is what makes it worth learning from: shown the same part, it teaches next to nothing.

    Parameters
    ----------
    backbone
        Copied, so that it stays as it is.
    """

    def __init__(self, backbone: AllToAllModel) -> None:
        self._backbone = copy.deepcopy(backbone).eval().requires_grad_(False)

    @torch.no_grad()
    def soft_targets(self, queries: QueryBatch, histories: Histories) -> Tensor:
        """See `Teacher`."""
        return F.softmax(self._backbone(QueryBatch.from_histories(histories, device_of(self._backbone)))[0], dim=1)

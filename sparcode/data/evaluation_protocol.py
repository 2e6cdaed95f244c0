"""Evaluation protocols: what held-out queries show, and how their accuracy is counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories


@dataclass(frozen=True)
class EvaluationProtocol:
    """How users are evaluated; `name` is as in `sparcode.config.SplitConfig`.

    Attributes
    ----------
    default_k
        Items retrieved per query unless k is given.
    shows_history
        Whether a query shows a history; else only the side features of its user.
    counts_users_without_targets
        Whether such users count as 0; else they are left out of the means.
    precision_by_targets
        Whether precision divides the hits by min(k, number of targets); else by k.
    note
        Remark for a table of results, with a place for {k}; may be empty.
    """

    name: str
    default_k: int = DEFAULT_K
    shows_history: bool = True
    counts_users_without_targets: bool = False
    precision_by_targets: bool = False
    note: str = ""

    @property
    def without_history(self) -> str:
        """Why models that score the items of a history are left out; empty where they are not."""
        return "" if self.shows_history else "it scores the items of a history, and the test queries have none"

    def queries_of(self, histories: Histories) -> Histories:
        """Training histories as queries: the histories, or nothing but side features."""
        return histories if self.shows_history else histories.select(np.zeros(len(histories.items), dtype=bool))

    def check_side_features(self, chosen: str) -> None:
        """Raise ValueError if users are known by side features alone and a choice of `ModelConfig.side_features` omits them."""
        if not self.shows_history and chosen not in ("users", "both"):
            raise ValueError(f"side_features={chosen!r}: nothing but side features is known of these users; allowed is 'users' or 'both'")


# Held-out users, whose histories are cut into query and targets.
STRONG = EvaluationProtocol("strong")
# Ready-made training and test files, ranked as deep as the tables published for them.
FIXED_SPLIT = EvaluationProtocol("fixed-split", default_k=20)
# Deezer's release, counted as its authors do (Briand et al., arXiv 2106.03819): all songs ranked, nothing masked.
COLD_START = EvaluationProtocol(
    "cold-start",
    shows_history=False,
    counts_users_without_targets=True,
    precision_by_targets=True,
    note="Counted as the data's authors do: Precision@{k} divides by min({k}, songs heard), users who heard none count as 0",
)
PROTOCOLS = {protocol.name: protocol for protocol in (STRONG, FIXED_SPLIT, COLD_START)}

"""One query from its history to its top items, by SparCode's index at one threshold and by the models it is compared with."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.measured.measured_index import MeasuredIndex
from sparcode.data.interactions import Histories, offsets
from sparcode.model.query_trace import QueryTrace, trace_query
from sparcode.retrieval.contract import Scorer
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.explanation import PostingList, QueryExplanation

TOP: Final = 10
# The codes whose part in the scores the answer tells.
STRONGEST: Final = 3


class QueryStory(NamedTuple):
    """What a query's path shows.

    Attributes
    ----------
    query
        One row, the history.
    trace, explained
        Its tokens and codes, and its lists with what they add to the items of `top`.
    top
        (n,) int64, n at most `TOP`, best first.
    rivals
        Name of a model -> its own top items, (n,) int64; a model that is not trained is left out.
    targets
        Held-out items of the user, (n,) int64; empty for a composed profile.
    first_list
        Code of the first item list; -1 where there are none.
    """

    query: Histories
    trace: QueryTrace
    explained: QueryExplanation
    top: np.ndarray
    rivals: dict[str, np.ndarray]
    targets: np.ndarray
    first_list: int

    @property
    def order(self) -> np.ndarray:
        """(n_lists,) int64 places of the lists: those that add most to the top items first, ties to the heavier one."""
        return np.lexsort((-self.explained.weights, -self.explained.contributions.sum(0)))

    @property
    def hits(self) -> np.ndarray:
        """(n,) bool, which of the top items are targets."""
        return np.isin(self.top, self.targets)

    @property
    def n_explained(self) -> int:
        """Top items that get at least half of their score from the `STRONGEST` codes."""
        contributions = self.explained.contributions
        strong = contributions[:, self.order[:STRONGEST]].sum(1)
        return int((strong >= contributions.sum(1) / 2).sum())

    def agreement(self, rival: str) -> int:
        """How many of SparCode's top items a rival has among its own."""
        return int(np.isin(self.top, self.rivals[rival]).sum())

    def list_item(self, one: PostingList) -> int:
        """The history item that a list belongs to; -1 for the list of a code."""
        return one.code - self.first_list if 0 <= self.first_list <= one.code else -1


def as_query(items: np.ndarray, n_items: int, features: np.ndarray | None = None) -> Histories:
    """A history of one row, oldest first, with the side features of its user, (1, F), where the model sees any."""
    return Histories(offsets([len(items)]), np.asarray(items, np.int64), n_items, features)


def query_story(measured: MeasuredIndex, stop: int, query: Histories, targets: np.ndarray, rivals: dict[str, Scorer]) -> QueryStory:
    """Follow a query of one row at a stop of the threshold."""
    retriever = measured.explorer.retriever_at(float(measured.stops[stop]))
    top = _found(retriever.retrieve(query, TOP).item_ids)
    others = {name: _found(ExactRetriever(model).retrieve(query, TOP).item_ids) for name, model in rivals.items()}
    model = measured.explorer.model
    return QueryStory(
        query=query,
        trace=trace_query(model, query),
        explained=retriever.explain_query(query, top),
        top=top,
        rivals=others,
        targets=targets,
        first_list=-1 if model.lists is None else model.lists.first_code,
    )


def _found(item_ids: np.ndarray) -> np.ndarray:
    return item_ids[0][item_ids[0] >= 0].astype(np.int64)

"""Retrieval through Milvus: a query's codes are one sparse vector, its items the result of one inner-product search."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.coded_model import CodedModel, merged_codes
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, as_served
from sparcode.retrieval.contract import Retrieved, check_k, empty_result
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.list_store import ListStore, Unseen
from sparcode.retrieval.milvus_collection import CODES, ITEM, Exported, hash_of_codes, read_about
from sparcode.retrieval.sparse import SparseRetriever

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Milvus returns no more items of one search.
MOST_ITEMS = 16_384
# Fetched beyond k, to see whether the last place is settled.
_BEYOND = 16
# Milvus may add a score's parts in another order; all are above 0, so their sums differ by less than this share.
_ROUNDING = 1e-5


class _Lists(NamedTuple):
    """Lists of one query, (n,) int64, and its weights of them, (n,) float32, in the order in which they are added up."""

    numbers: np.ndarray
    weights: np.ndarray

    def vector(self) -> dict[int, float]:
        together: dict[int, float] = {}
        for number, weight in zip(self.numbers.tolist(), self.weights.tolist(), strict=True):
            together[number] = together.get(number, 0.0) + weight
        return together

    def score(self, item: dict[int, float]) -> np.float32:
        """The item's score, added up in float32 as the index adds it."""
        total = np.float32(0)
        for number, weight in zip(self.numbers.tolist(), self.weights, strict=True):
            if (value := item.get(number)) is not None:
                total += weight * np.float32(value)
        return total


class MilvusRetriever:
    """Search a collection that `sparcode.retrieval.milvus_collection` wrote; items and scores are those of a `SparseRetriever`.

    Milvus finds the candidates; their scores are added up again from their vectors, in the index's order, so ties fall as in the index.
    A query with a code that has no list, where such lists are computed (`unseen` "compute"), is answered from the index: Milvus cannot
    hold what was not there when the collection was written.

    Parameters
    ----------
    where
        A Milvus expression over the collection's fields, which items must meet besides; empty: none.

    Attributes
    ----------
    answered_by_index
        Queries answered from the index so far.

    Raises
    ------
    ValueError
        If there is no such collection, it was made of another run, or Milvus does not understand the expression.
    """

    def __init__(
        self, client: MilvusClient, name: str, model: CodedModel, index: InvertedIndex, run_id: str, unseen: Unseen, where: str = ""
    ) -> None:
        about = read_about(client, name)
        _check(about, name, run_id, index)
        client.load_collection(name)
        if where:
            _check_expression(client, name, where)
        self.about, self.where, self.answered_by_index = about, where, 0
        self._client, self._name = client, name
        self._store = ListStore(model, index, unseen)
        self._sparse: SparseRetriever | None = None

    @property
    def sparse(self) -> SparseRetriever:
        """The index itself, cut and arranged as the collection; made when it is first needed."""
        if self._sparse is None:
            store, cut = self._store, Cut(self.about.threshold, self.about.per_list)
            self._sparse = SparseRetriever(store.model, as_served(store.index, cut, self.about.postings), cut, store.unseen)
        return self._sparse

    def retrieve(self, queries: Histories, k: int, only: ItemFilter | None = None) -> Retrieved:
        """See `Retriever`.

        ValueError also if `k` is above `MOST_ITEMS`; RuntimeError if so many items score about as the last place does that what Milvus
        returns at most does not settle it.
        """
        if check_k(k) > MOST_ITEMS:
            raise ValueError(f"Milvus returns at most {MOST_ITEMS:,} items of a query; got k={k}")
        result = empty_result(len(queries), k)
        codes, weights = merged_codes(*self._store.model.encode(queries))
        used = weights > 0
        lists = self._store.resolve(codes).lists if self._store.unseen == "nearest" else self._store.index.rows_of(codes)
        by_index = np.flatnonzero(((lists < 0) & used).any(axis=1))
        if len(by_index):
            # Together, as the index meets them: the last bit of a computed list may depend on what is computed beside it.
            self.sparse.retrieve(queries.take(by_index), k, only)
            self.answered_by_index += len(by_index)
        for row in range(len(queries)):
            if row in by_index:
                items, scores = self._by_index(queries.take(np.array([row])), k, only)
            else:
                asked = _Lists(lists[row][used[row]], weights[row][used[row]])
                items, scores = self._best(asked, k, self._condition(queries[row], only))
            result.item_ids[row], result.scores[row] = -1, -np.inf
            result.item_ids[row, : len(items)], result.scores[row, : len(items)] = items, scores
        return result

    def size_bytes(self) -> dict[str, int]:
        """Nothing: the collection is Milvus's."""
        return {}

    def _best(self, lists: _Lists, k: int, condition: str | None) -> tuple[np.ndarray, np.ndarray]:
        """At most k items and scores, best first, ties by lower item."""
        vector = lists.vector()
        limit = k + _BEYOND
        while vector and condition is not None:
            limit = min(limit, MOST_ITEMS)
            (hits,) = self._client.search(
                self._name,
                [vector],
                filter=condition,
                limit=limit,
                output_fields=[CODES],
                search_params={"metric_type": "IP", "params": {"drop_ratio_search": 0.0}},
                anns_field=CODES,
            )
            items = np.array([hit[ITEM] for hit in hits], dtype=np.int32)
            scores = np.array([lists.score(hit["entity"][CODES]) for hit in hits], dtype=np.float32)
            order = np.lexsort((items, -scores))[:k]
            # What was not fetched scores no higher than what was fetched last, but for rounding.
            if len(hits) < limit or hits[-1]["distance"] < scores[order[-1]] * (1 - _ROUNDING):
                return items[order], scores[order]
            if limit == MOST_ITEMS:
                raise RuntimeError(f"the {MOST_ITEMS:,} items that Milvus returns at most do not settle place {k}; ask for fewer")
            limit *= 2
        return np.zeros(0, np.int32), np.zeros(0, np.float32)

    def _condition(self, seen: np.ndarray, only: ItemFilter | None) -> str | None:
        """A Milvus expression: not seen, allowed, and where the caller says; None if no item is left."""
        parts = [f"({self.where})"] if self.where else []
        denied = np.zeros(self.about.n_items, dtype=np.bool_)
        if only is not None and len(of_filter := only.denied_of(self.about.n_items)):
            denied |= of_filter
        denied[seen] = True
        n_denied = np.count_nonzero(denied)
        if n_denied == len(denied):
            return None
        if 2 * n_denied > len(denied):
            parts.append(f"{ITEM} in {np.flatnonzero(~denied).tolist()}")
        elif n_denied:
            parts.append(f"{ITEM} not in {np.flatnonzero(denied).tolist()}")
        return " and ".join(parts)

    def _by_index(self, query: Histories, k: int, only: ItemFilter | None) -> tuple[np.ndarray, np.ndarray]:
        """At most k items and scores of one query, found by the index; Milvus says which of them are where the caller says."""
        depth = k
        while True:
            found = self.sparse.retrieve(query, depth, only)
            returned = found.item_ids[0] >= 0
            items, scores = found.item_ids[0][returned], found.scores[0][returned]
            if not self.where:
                return items, scores
            met = self._meeting(items)
            if np.count_nonzero(met) >= k or len(items) < depth:
                return items[met][:k], scores[met][:k]
            depth *= 2

    def _meeting(self, items: np.ndarray) -> np.ndarray:
        """Whether each of (n,) items meets `where`: (n,) bool; those that are not in the collection do not."""
        met: list[int] = []
        for start in range(0, len(items), MOST_ITEMS):
            part = items[start : start + MOST_ITEMS].tolist()
            rows = self._client.query(self._name, filter=f"({self.where}) and {ITEM} in {part}", output_fields=[ITEM], limit=len(part))
            met += [row[ITEM] for row in rows]
        return np.isin(items, np.array(met, dtype=np.int64))


def _check(about: Exported, name: str, run_id: str, index: InvertedIndex) -> None:
    if (about.run_id, about.codes_hash, about.n_items) != (run_id, hash_of_codes(index.codes), index.n_items):
        raise ValueError(f"the collection {name!r} was made of the run {about.run_id}, not of {run_id}; export the run again")


def _check_expression(client: MilvusClient, name: str, where: str) -> None:
    from pymilvus import MilvusException

    try:
        client.query(name, filter=where, output_fields=[ITEM], limit=1)
    except MilvusException as error:
        fields = ", ".join(field["name"] for field in client.describe_collection(name)["fields"] if field["name"] != CODES)
        raise ValueError(f"Milvus does not understand the expression {where!r} over the fields {fields}: {error.message}") from error

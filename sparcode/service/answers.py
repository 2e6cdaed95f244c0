"""What the HTTP service answers: a request's JSON object in, the answer's out, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from sparcode.data.limits import shown
from sparcode.index.pruning import Cut
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.store import Run
from sparcode.service.queries import KnownItems, Query, is_list_of_ids, list_owner, parse_query

DEFAULT_DEPTH = 10
# Retrievers at other thresholds than the service's own; each holds the end of every list.
_KEPT_THRESHOLDS = 8


class Limits(NamedTuple):
    """What one request may ask for, and what a worker may keep.

    Attributes
    ----------
    body_bytes
        Bytes of a request's body.
    queries
        Queries in a batch.
    depth
        Items per query (`k`), at most the catalogue.
    computed_bytes, unseen_codes
        Bytes of lists computed for codes that the index has no list for, and how many such codes are counted. Beyond either a worker
        forgets them once the request that met them is answered.
    """

    body_bytes: int = 1 << 20
    queries: int = 256
    depth: int = 1000
    computed_bytes: int = 1 << 28
    unseen_codes: int = 1 << 18


class Answers:
    """Answers requests over one run; may be called from several threads.

    Parameters
    ----------
    make_retriever
        Makes the retriever that serves the run; called again when what it keeps has outgrown its limits.
    cut
        What of the index counts where a request names no threshold.
    """

    def __init__(self, run: Run, make_retriever: Callable[[], SparseRetriever], cut: Cut, limits: Limits) -> None:
        self.limits, self.known = limits, KnownItems(run)
        self.run_id, self.n_items, self.cut = run.run_id, len(run.item_ids), cut
        self._lists, self._make = run.model.lists, make_retriever
        self._retriever = make_retriever()
        self._at: dict[float, SparseRetriever] = {}

    def warm(self) -> None:
        """Answer every kind of request once, so that all loops are compiled; numba keeps them on disk for the next start."""
        items = self.known.item_ids
        for only in ({}, {"deny": [items[-1]]}, {"threshold": self.cut.threshold}):
            for n in (1, 2):
                self.retrieve({"queries": [[items[0]]] * n, "k": 1, **only})
        self.explain({"items": [items[0]], "item": items[-1]})

    def retrieve(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Items of one query (`items`, `about`) or of a batch (`queries`): ``{"results": [{"item_ids": [...], "scores": [...]}, ...]}``.

        Allowed beside: `k`, `threshold`, `allow`, `deny`. ValueError names what is wrong and what is allowed.
        """
        check_names(asked, ("items", "about", "queries", "k", "threshold", "allow", "deny"))
        rows = self._queries(asked)
        k = _whole(asked.get("k", DEFAULT_DEPTH), "k", min(self.limits.depth, self.n_items))
        histories, only = self.known.histories(rows), self._filter(asked)
        with self._retriever_at(asked.get("threshold")) as retriever:
            found = retriever.retrieve(histories, k, only)
        ids, lengths = self.known.item_ids, np.count_nonzero(found.item_ids >= 0, axis=1).tolist()
        return {
            "results": [
                {"item_ids": [ids[item] for item in items[:length]], "scores": scores[:length]}
                for items, scores, length in zip(found.item_ids.tolist(), found.scores.tolist(), lengths, strict=True)
            ]
        }

    def explain(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Why `item` has its score for one query: what each of the query's codes adds to it, the most first.

        ValueError as for `retrieve`; allowed are `items`, `about`, `item` and `threshold`.
        """
        check_names(asked, ("items", "about", "item", "threshold"))
        if not is_list_of_ids(item_id := [asked.get("item")]):
            raise ValueError(f'"item" must be the id of an item; got {shown(asked.get("item"))}')
        query, item_id = self.known.histories(self._queries(asked)), str(item_id[0])
        item = self.known.index("", item_id)
        with self._retriever_at(asked.get("threshold")) as retriever:
            explained = retriever.explain(query, item)
        parts = sorted((part for part in explained.contributions if part.contribution > 0), key=lambda part: -part.contribution)
        contributions = [part._asdict() | list_owner(self._lists, self.known.item_ids, part.code) for part in parts]
        return {"item_id": item_id, "score": explained.score, "is_seen": explained.is_seen, "contributions": contributions}

    def keeps(self, threshold: object) -> bool:
        """Whether a request's threshold needs no other retriever than those at hand; a new one looks through every list."""
        return threshold is None or (isinstance(threshold, int | float) and threshold in self._at)

    def _queries(self, asked: dict[str, Any]) -> list[Query]:
        if "queries" not in asked:
            return [parse_query("", {name: asked[name] for name in ("items", "about") if name in asked})]
        queries = asked["queries"]
        if "items" in asked or "about" in asked:
            raise ValueError('give one query as "items" and "about", or a batch as "queries", not both')
        if not isinstance(queries, list) or not 1 <= len(queries) <= self.limits.queries:
            got = f"{len(queries):,}" if isinstance(queries, list) else type(queries).__name__
            raise ValueError(f'"queries" must be a list of 1 to {self.limits.queries} queries; got {got}')
        return [parse_query(f"query {number}: ", row) for number, row in enumerate(queries, start=1)]

    def _filter(self, asked: dict[str, Any]) -> ItemFilter | None:
        for name in ("allow", "deny"):
            if name in asked and not is_list_of_ids(asked[name]):
                raise ValueError(f'"{name}" must be a list of item ids')
        given = (((f"{name}: ", str(item_id)) for item_id in asked[name]) if name in asked else None for name in ("allow", "deny"))
        return self.known.filter_of(*given)

    @contextmanager
    def _retriever_at(self, threshold: object) -> Iterator[SparseRetriever]:
        """The retriever at a threshold; afterwards, what all of them keep is within its limits again."""
        try:
            yield self._retriever if threshold is None else self._kept_at(threshold)
        finally:
            n_unseen = self._retriever.unseen_codes + sum(other.unseen_codes for other in list(self._at.values()))
            if self._retriever.computed_bytes > self.limits.computed_bytes or n_unseen > self.limits.unseen_codes:
                self._retriever, self._at = self._make(), {}

    def _kept_at(self, threshold: object) -> SparseRetriever:
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise ValueError(f'"threshold" must be a number; got {shown(threshold)}')
        try:
            at = float(threshold)
        except OverflowError:  # JSON has whole numbers of any size
            raise ValueError('"threshold" must be a finite number') from None
        kept = self._at
        if (found := kept.get(at)) is None:
            found = self._retriever.with_threshold(Cut(at, self.cut.per_list))
            if len(kept) >= _KEPT_THRESHOLDS:
                kept = self._at = {}
            kept[at] = found
        return found


def check_names(asked: dict[str, Any], allowed: Collection[str]) -> None:
    """ValueError if a request has a field that is not allowed."""
    if unknown := [name for name in asked if name not in allowed]:
        raise ValueError(f"unknown field {shown(unknown[0])}; allowed are {', '.join(allowed)}")


def _whole(value: object, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f'"{name}" must be a whole number from 1 to {most}; got {shown(value)}')
    return value

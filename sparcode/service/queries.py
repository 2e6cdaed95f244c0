"""Queries and item filters by original ids, as the command line and the HTTP service are given them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.data.limits import shown
from sparcode.retrieval.filters import ItemFilter

if TYPE_CHECKING:
    from sparcode.model.item_lists import ItemLists
    from sparcode.runs.store import Run

N_EXAMPLES = 3


class Query(NamedTuple):
    """A history as it was given: where (for messages; may be empty), item ids oldest first, and user attributes by name."""

    place: str
    items: list[str]
    about: dict[str, Any]


def parse_query(place: str, row: object) -> Query:
    """A query from a JSON value: a list of item ids, or an object with `items`, `about` or both; ValueError names what is wrong."""
    about: Any = {}
    if isinstance(row, dict) and row.keys() <= {"items", "about"}:
        row, about = row.get("items", []), row.get("about", {})
    if not is_list_of_ids(row):
        raise ValueError(
            f'{place}must be a list of item ids, such as [12, 7] or ["b-12", "b-7"], or an object such as '
            '{"items": [12, 7], "about": {"gender": "F"}}'
        )
    if not all(str(item_id).strip() for item_id in row):
        raise ValueError(f"{place}an item id is empty")
    if not isinstance(about, dict):
        raise ValueError(f'{place}"about" must be an object of what is known of the user, such as {{"gender": "F"}}')
    if empty := [name for name, value in about.items() if not (name.strip() and str(value).strip())]:
        raise ValueError(f'{place}"about" has an empty {f"value for {shown(empty[0])}" if empty[0].strip() else "name"}')
    return Query(place, [str(item_id) for item_id in row], about)


def is_list_of_ids(value: object) -> bool:
    """Whether a JSON value is a list of texts and whole numbers."""
    return isinstance(value, list) and all(isinstance(item_id, str | int) and not isinstance(item_id, bool) for item_id in value)


class KnownItems:
    """Items of a run by their original ids; made once, used for any number of queries."""

    def __init__(self, run: Run) -> None:
        self.item_ids, self._encoding = run.item_ids, run.user_encoding
        self._places = {item_id: place for place, item_id in enumerate(run.item_ids)}

    def index(self, place: str, item_id: str) -> int:
        """Index of an item; ValueError, with examples of ids, if the run does not know it."""
        found = self._places.get(item_id)
        if found is None:
            examples = ", ".join(shown(known) for known in self.item_ids[:N_EXAMPLES])
            raise ValueError(f"{place}unknown item id {shown(item_id)}; the run knows {len(self.item_ids):,} items, such as {examples}")
        return found

    def histories(self, rows: list[Query]) -> Histories:
        """The queries by index, with side features of their users where the run's model sees them.

        ValueError if an item id is unknown, a history is empty, or user attributes do not fit those of the run.
        """
        encoding, histories, features = self._encoding, [], []
        for place, items, about in rows:
            # An item counts once in a history, as in training.
            histories.append([self.index(place, item_id) for item_id in dict.fromkeys(items)])
            if about and encoding is None:
                raise ValueError(f"{place}the run was trained without side features of users; nothing can be said about them")
            if not items and not about:
                raise ValueError(f"{place}the history is empty")
            if encoding is not None:
                try:
                    features.append(encoding.encode_described(about))
                except ValueError as error:
                    raise ValueError(f"{place}{error}") from error
        queries = Histories.from_lists(histories, len(self.item_ids))
        return Histories(queries.indptr, queries.items, queries.n_items, np.stack(features)) if features else queries

    def filter_of(self, allow: Iterable[tuple[str, str]] | None, deny: Iterable[tuple[str, str]] | None) -> ItemFilter | None:
        """Which items may be returned, by (place, item id); None: every one. ValueError if an id is unknown."""
        if allow is None and deny is None:
            return None
        allowed, denied = (
            None if ids is None else np.array([self.index(place, item_id) for place, item_id in ids], np.int64) for ids in (allow, deny)
        )
        return ItemFilter(len(self.item_ids), allowed, denied)


def list_owner(lists: ItemLists | None, item_ids: list[str], code: int) -> dict[str, str]:
    """The item whose list a code beside those of the heads names, as `list_of_item`; nothing for a code of the heads."""
    return {} if lists is None or code < lists.first_code else {"list_of_item": item_ids[code - lists.first_code]}

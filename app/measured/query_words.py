"""What a query's path says, in sentences and in marks."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.measured.item_names import ItemNames
from app.measured.query_story import STRONGEST, QueryStory
from app.measured.verdict import listed
from sparcode.comparison.peers import ALL_TO_ALL, TWO_TOWER
from sparcode.retrieval.explanation import PostingList

HIT, AGREES, ALONE = "★", "✓", "✗"
LEGEND: Final = (
    f"{HIT} hit: an item held out that the user did choose. {AGREES} agrees: the other model has it too. {ALONE} alone: it does not."
)
_SHORT: Final = {TWO_TOWER: "two-tower", ALL_TO_ALL: "all-to-all"}


def answer(story: QueryStory) -> str:
    """The first line of the page; names what there is nothing to say about."""
    n_top, n_lists = len(story.top), len(story.explained.lists)
    if n_top == 0:
        return "No item has a score above this threshold in any of the query's lists: nothing is found."
    n_strong = min(STRONGEST, n_lists)
    return (
        f"The {n_strong} strongest of this query's {n_lists} lists give most of the score of {story.n_explained} of its top {n_top} items"
    )


def second_line(story: QueryStory) -> str:
    """Hits and agreement, in one line of Markdown."""
    n_top, parts = len(story.top), []
    if len(story.targets):
        parts.append(f"{HIT} **{int(story.hits.sum())} of {n_top}** are hits, of {len(story.targets)} items held out from this user")
    shared = [f"**{story.agreement(name)} of {n_top}** with {_SHORT.get(name, name)}" for name in story.rivals]
    if shared:
        parts.append(f"{AGREES} it agrees on {listed(shared)}")
    return "; ".join(parts) + "." if parts else ""


def change(before: QueryStory, after: QueryStory, names: ItemNames) -> str:
    """What removing items from a history changed, in Markdown."""
    removed = np.setdiff1d(before.query.items, after.query.items)
    left, entered = (np.setdiff1d(one.top, other.top) for one, other in ((before, after), (after, before)))
    codes = [{one.code for one in story.explained.lists} for story in (before, after)]
    n_out, n_in = len(codes[0] - codes[1]), len(codes[1] - codes[0])
    lists = f"{n_out} {'list leaves' if n_out == 1 else 'lists leave'} and {n_in} {'comes' if n_in == 1 else 'come'}"
    without = f"**Without {names.listed(removed)}**" if len(removed) <= 3 else f"**Without {len(removed)} items**"
    if len(entered) == 0 and len(left) == 0:
        moved = "the same items stay on top" + ("" if np.array_equal(before.top, after.top) else ", in another order")
        return f"{without}: {lists}; {moved}."
    out, new = names.listed(left) or "none", names.listed(entered) or "none"
    return f"{without}: {lists}; of the top {len(before.top)}, {len(left)} out ({out}), {len(entered)} in ({new})."


def list_name(story: QueryStory, one: PostingList, names: ItemNames) -> str:
    """A list by its code, or by the history item that it belongs to."""
    item = story.list_item(one)
    if item >= 0:
        return f"item list: {names.title(item)}"
    return f"code {one.code}" if one.code == one.served_by else f"code {one.code} (served by {one.served_by})"


def marks(story: QueryStory, item: int, column: str) -> str:
    """Symbol and word of an item in SparCode's column (an empty name) or a rival's."""
    words = [f"{HIT} hit"] if item in story.targets else []
    if not column:
        shared = [_SHORT.get(name, name) for name, found in story.rivals.items() if item in found]
        if story.rivals:
            words.append(f"{AGREES} {' and '.join(shared)}" if shared else f"{ALONE} alone")
    elif item in story.top:
        words.append(f"{AGREES} SparCode's {int(np.flatnonzero(story.top == item)[0]) + 1}.")
    else:
        words.append(f"{ALONE} not SparCode's")
    return ", ".join(words)

"""The four charts of the path: tokens, lists, the cut, scores."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.charts.query_cuts import QueryCutsData, query_cut, query_cuts_figure
from app.charts.query_lists import QueryListsData, query_lists_figure
from app.charts.query_scores import MOST_PARTS, TITLE, QueryScoresData, grouped, query_scores_figure, scores_takeaway
from app.charts.query_tokens import QueryTokensData, query_tokens_figure
from app.components.live_chart import live_chart
from app.measured.item_names import ItemNames, for_chart
from app.measured.query_story import QueryStory
from app.measured.query_words import HIT, list_name
from sparcode.model.query_trace import HEAD

HEIGHT: Final = 460
MOST_LISTS: Final = 16
MOST_TOKENS: Final = 12
CUT_LISTS: Final = 5


def shown_lists(story: QueryStory) -> np.ndarray:
    """Places of the lists whose length is drawn, strongest first."""
    return story.order[:MOST_LISTS]


def tokens_chart(story: QueryStory, names: ItemNames) -> None:
    """Tokens with their nearest codes."""
    trace = story.trace
    # Heads, then the history tokens that weigh most.
    rows = np.argsort(np.where(trace.items == HEAD, -np.inf, -trace.token_weights), kind="stable")[:MOST_TOKENS]
    labels = tuple(token_name(story, row, names) for row in rows.tolist())
    codes = tuple(tuple(f"#{'·'.join(map(str, words))}" for words in trace.codewords[row].tolist()) for row in rows.tolist())
    data = QueryTokensData(labels, trace.shares[rows], trace.distances[rows], codes)
    alt = f"{len(trace.items)} tokens, each with its {trace.codes.shape[1]} nearest codes, their squared distances and weights."
    live_chart(query_tokens_figure, data, "query-tokens", alt, HEIGHT)


def token_name(story: QueryStory, row: int, names: ItemNames) -> str:
    """A token by its head, or by its history item and gate."""
    item = int(story.trace.items[row])
    if item == HEAD:
        return f"head {row + 1}"
    return f"{for_chart(names.title(item))}, gate {story.trace.token_weights[row]:.2f}"


def lists_chart(story: QueryStory, names: ItemNames) -> None:
    """Lengths of the lists at tau."""
    explained, shown = story.explained, shown_lists(story)
    lengths = explained.lengths
    stored = np.array([len(one.item_ids) for one in explained.lists], np.int64)
    labels = _list_labels(story, shown, names)
    data = QueryListsData(labels, explained.weights[shown], lengths[shown], stored[shown], len(explained.lists), int(lengths.sum()))
    alt = f"{len(explained.lists)} posting lists with {int(lengths.sum()):,} items above tau of {int(stored.sum()):,} stored."
    live_chart(query_lists_figure, data, "query-lists", alt, HEIGHT)


def cuts_chart(story: QueryStory, names: ItemNames) -> None:
    """Scores of the strongest lists, and tau."""
    explained, shown = story.explained, story.order[:CUT_LISTS]
    lists = [explained.lists[place] for place in shown]
    cuts = tuple(query_cut(name, one.scores) for name, one in zip(_list_labels(story, shown, names), lists, strict=True))
    is_log = all(len(one.scores) == 0 or one.scores[-1] > 0 for one in lists) and explained.threshold > 0
    alt = f"Scores of the {len(cuts)} strongest lists, best first, cut at tau = {explained.threshold:.4g}."
    live_chart(query_cuts_figure, QueryCutsData(cuts, explained.threshold, is_log), "query-cuts", alt, HEIGHT)


def scores_chart(story: QueryStory, names: ItemNames) -> None:
    """Scores of the top items, list by list."""
    order = story.order
    parts = grouped(story.explained.contributions, order)
    few = order[: MOST_PARTS - 1] if len(order) > MOST_PARTS else order
    rest = (f"{len(order) - len(few)} other lists",) if len(order) > MOST_PARTS else ()
    hits = story.hits.tolist()
    items = tuple(
        f"{rank}. {for_chart(names.title(item))}{f' {HIT}' if hit else ''}"
        for rank, (item, hit) in enumerate(zip(story.top.tolist(), hits, strict=True), start=1)
    )
    data = QueryScoresData(items, _list_labels(story, few, names) + rest, parts.astype(np.float64))
    live_chart(query_scores_figure, data, "query-scores", f"{TITLE}. {scores_takeaway(parts)}", HEIGHT)


def _list_labels(story: QueryStory, places: np.ndarray, names: ItemNames) -> tuple[str, ...]:
    return tuple(for_chart(list_name(story, story.explained.lists[place], names)) for place in places.tolist())

"""The top items beside those of the other models, and the numbers behind the charts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.components.data_table import data_table
from app.measured.item_names import ItemNames, for_markdown
from app.measured.query_story import TOP, QueryStory
from app.measured.query_words import LEGEND, list_name, marks
from app.query.charts import token_name


def top_items(story: QueryStory, names: ItemNames) -> None:
    """One column per model, with hits, agreements and differences by symbol and word."""
    columns = {"SparCode": (story.top, ""), **{name: (found, name) for name, found in story.rivals.items()}}
    table = pd.DataFrame({"rank": range(1, TOP + 1)})
    for title, (found, rival) in columns.items():
        cells = [_cell(story, item, rival, names) for item in found.tolist()]
        table[title] = cells + [""] * (TOP - len(cells))
    said = "Top items of every model, best first, with hits, agreements and differences"
    data_table(table, said, "query-top", plain=True, hide_index=True, border="horizontal")
    st.caption(LEGEND)


def _cell(story: QueryStory, item: int, rival: str, names: ItemNames) -> str:
    genres = names.genres[item].replace("|", ", ")
    said = marks(story, item, rival)
    return f"**{for_markdown(names.title(item))}**" + (f" ({for_markdown(genres)})" if genres else "") + (f" · {said}" if said else "")


def numbers(story: QueryStory, names: ItemNames) -> None:
    """Every token, list and contribution."""
    tokens, lists, added = st.tabs(["Tokens and codes", "Lists", "Contributions"])
    trace, explained = story.trace, story.explained
    rows = [
        {
            "token": token_name(story, row, names),
            "weight of the token": float(trace.token_weights[row]),
            "nearest": rank + 1,
            "code": int(trace.codes[row, rank]),
            "codewords": " ".join(map(str, trace.codewords[row, rank].tolist())),
            "squared distance": float(trace.distances[row, rank]),
            "weight of the code": float(trace.shares[row, rank]),
        }
        for row in range(len(trace.items))
        for rank in range(trace.codes.shape[1])
    ]
    with tokens:
        data_table(pd.DataFrame(rows), "Every token with its nearest codes", "query-tokens-table", hide_index=True)
    labels = [list_name(story, one, names) for one in explained.lists]
    of_lists = {
        "list": labels,
        "weight": explained.weights,
        "items above tau": explained.lengths,
        "items stored": [len(one.item_ids) for one in explained.lists],
        "adds to the top items": explained.contributions.sum(0),
    }
    with lists:
        data_table(pd.DataFrame(of_lists), "Every posting list of the query", "query-lists-table", hide_index=True)
    items = [f"{rank}. {names.title(item)}" for rank, item in enumerate(story.top.tolist(), start=1)]
    # Two lists may have one name.
    contributions = pd.DataFrame(explained.contributions, index=items, columns=pd.Index(_distinct(labels)))
    contributions.insert(0, "score", explained.scores)
    with added:
        data_table(contributions, "What every list adds to every top item", "query-added-table")


def _distinct(labels: list[str]) -> list[str]:
    return [label if labels.count(label) == 1 else f"{label} ({place})" for place, label in enumerate(labels)]

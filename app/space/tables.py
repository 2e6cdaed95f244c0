"""What selected codes mean, by their items and users; and the table of all codes."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from app.components.data_table import data_table
from app.measured.code_spaces import NAMED, SEED, CodeSpace
from app.measured.item_names import ItemNames, for_markdown
from app.space.selection import MOST_SELECTED, Selection
from sparcode.data.interactions import Histories

ITEMS_SHOWN: Final = 10
EXAMPLES: Final = 3
LATEST: Final = 8
CARRIED: Final = (
    "A user carries a code that is the nearest one of one of the tokens made of the user's history. Beside its nearest code a token takes "
    "a few others with less weight: they count for the share of tokens, as in serving."
)
_LISTED: Final = "space_code_table"


def items_table(ranked: tuple[np.ndarray, np.ndarray], names: ItemNames) -> None:
    """The items ranked first, with genres and scores."""
    items, scores = (part[:ITEMS_SHOWN] for part in ranked)
    if len(items) == 0:
        st.markdown("No list of these codes holds an item at this model's threshold.")
        return
    has_genres = any(names.genres[item] for item in items.tolist())
    table = pd.DataFrame({"rank": range(1, len(items) + 1), "item": [f"**{for_markdown(names.title(item))}**" for item in items.tolist()]})
    if has_genres:
        table["genres"] = [for_markdown(names.genres[item].replace("|", ", ")) for item in items.tolist()]
    table["score"] = [f"{score:.3g}" for score in scores.tolist()]
    said = "Items that the selected codes rank first, with their scores"
    data_table(table, said, "space-items", plain=True, hide_index=True, border="horizontal")


def users_table(space: CodeSpace, shown: list[int], users: Histories, names: ItemNames) -> None:
    """Who carries the codes: number, share, and the latest items of a few of them."""
    carriers = space.use.carriers(np.array(shown))
    n_users = space.use.n_users
    which = "at least one of them" if len(shown) > 1 else "it"
    st.markdown(f"**{len(carriers):,} of {n_users:,} training users** ({len(carriers) / max(1, n_users):.1%}) carry {which}.", help=CARRIED)
    drawn = np.random.default_rng(SEED).choice(carriers, min(EXAMPLES, len(carriers)), replace=False) if len(carriers) else carriers
    for user in np.sort(drawn).tolist():
        history = users[user]
        more = f", after {len(history) - LATEST} others" if len(history) > LATEST else ""
        st.markdown(f"User {user}: {names.listed(history[-LATEST:])}{more}")
    if len(carriers):
        st.caption(f"Examples by lot with seed {SEED}; users are numbered, without their ids, latest items last.")


def codes_table(space: CodeSpace, selection: Selection, shown: list[int], names: ItemNames) -> None:
    """All codes in use, most used first, as a table whose rows can be selected."""
    use, total = space.use, max(float(space.use.tokens.sum()), 1e-12)
    order = use.order
    units = use.units[order].tolist()
    firsts = [names.title(space.first_items[unit]) if unit in space.first_items else "" for unit in units]
    table = pd.DataFrame(
        {
            "code": [space.units.name(unit) for unit in units],
            "share of tokens": use.tokens[order] / total,
            "users": use.n_carriers[order],
            "share of users": use.n_carriers[order] / max(1, use.n_users),
            "ranks first": firsts,
        }
    )
    rows = [row for row, unit in enumerate(units) if unit in shown and unit in selection.all]
    # Its own selection begins where the others are.
    key = f"{_LISTED}/{space.version}/{hash(tuple(rows))}"

    def changed() -> None:
        chosen = st.session_state[key]["selection"]["rows"]
        selection.replace([units[row] for row in chosen if row < len(units)][:MOST_SELECTED])

    data_table(
        table,
        "All codes in use, most used first; tick rows to select codes",
        key,
        hide_index=True,
        on_select=changed,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows, "columns": [], "cells": []}},
        column_config={
            "share of tokens": st.column_config.NumberColumn(format="percent"),
            "share of users": st.column_config.NumberColumn(format="percent"),
        },
    )
    if len(units) > NAMED:
        st.caption(f"The first item is named for the {NAMED} most used codes.")

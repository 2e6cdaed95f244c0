"""Tables of items and users, brought into the order of the internal indices."""

from __future__ import annotations

import numpy as np
import pandas as pd


def item_table(item_ids: np.ndarray, items: pd.DataFrame | None) -> pd.DataFrame:
    """Item texts in the order of the ids; an item without a title gets its id as title.

    Parameters
    ----------
    item_ids
        (I,) original ids.
    items
        ``item_id``, ``title`` and others; None: titles are the ids.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    if items is None:
        return pd.DataFrame({"title": [str(item_id) for item_id in item_ids]})
    if missing := [column for column in ("item_id", "title") if column not in items.columns]:
        raise ValueError(f"missing item column(s) {missing}; the item file has {list(items.columns)}")
    # Text before reindexing: a gap would turn whole-number titles such as 1984 into 1984.0.
    titles = pd.Series([None if pd.isna(title) else str(title) for title in items["title"]], index=items.index, dtype=object)
    table = items.assign(title=titles).drop_duplicates("item_id").set_index("item_id").reindex(item_ids).reset_index(drop=True)
    table["title"] = [str(item_id) if pd.isna(title) else title for item_id, title in zip(item_ids, table["title"], strict=True)]
    return table


def user_table(user_ids: np.ndarray, users: pd.DataFrame | None) -> pd.DataFrame | None:
    """What is known of users, in the order of the ids; nothing is known of a user without a row.

    Parameters
    ----------
    user_ids
        (n_users,) original ids.
    users
        ``user_id`` and columns of features; None: nothing is known of anybody.

    Raises
    ------
    ValueError
        If ``user_id`` is missing.
    """
    if users is None:
        return None
    if "user_id" not in users.columns:
        raise ValueError(f"missing user column 'user_id'; the user table has {list(users.columns)}")
    return users.drop_duplicates("user_id").set_index("user_id").reindex(user_ids).reset_index(drop=True)

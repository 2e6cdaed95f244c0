"""Whose history the page follows: a test user's, or one composed of items found by a search; items can be taken out and put back."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from app.measured.item_names import ItemNames, for_markdown
from app.session.address import write_parameter
from app.session.settings import USER, WHOSE
from app.session.widgets import widget
from app.studio import Studio

# In the address: numbers of the composed profile's items, and of those taken out of a history.
ITEMS: Final = "items"
WITHOUT: Final = "without"
FOUND: Final = 12
LONGEST: Final = 200
_SEARCH: Final = "query_search"
_COMPOSED: Final = "query_composed"
_READ: Final = "query_read"
_MADE: Final = "query_made"


class Profile(NamedTuple):
    """A history, oldest first.

    Attributes
    ----------
    items, kept
        (n,) int64, all of its items, and those that are not taken out.
    targets
        (n,) int64, items held out from the test user; empty for a composed profile.
    features
        (1, F) side features of the user; None where the data has none.
    """

    items: np.ndarray
    kept: np.ndarray
    targets: np.ndarray
    features: np.ndarray | None


def profile(studio: Studio, names: ItemNames) -> Profile:
    """Draw the choice, and return what is chosen."""
    composed = _composed(studio)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        _whose()
        is_composed = st.session_state[WHOSE.key] != WHOSE.start
        row = None if is_composed else _test_user(studio)
        if is_composed:
            _search(names, composed)
    test = studio.split.test
    if row is None:
        items, targets, features = np.array(composed, np.int64), np.zeros(0, np.int64), _plain_features(studio)
    else:
        items, targets = test.queries[row].astype(np.int64), test.targets[row].astype(np.int64)
        features = None if test.queries.features is None else test.queries.features[[row]]
    write_parameter(ITEMS, ".".join(map(str, composed if is_composed else [])))
    kept = _kept(items, "composed" if row is None else f"user {row}", studio, names)
    write_parameter(WITHOUT, ".".join(map(str, items[~np.isin(items, kept)].tolist())))
    return Profile(items, kept, targets, features)


def _whose() -> None:
    key = f"query-whose-{st.session_state[WHOSE.key]}"

    def changed() -> None:
        if st.session_state.get(key):
            st.session_state[WHOSE.key] = st.session_state[key]

    st.segmented_control(
        WHOSE.label,
        WHOSE.options,
        default=st.session_state[WHOSE.key],
        format_func={"test user": "A test user", "composed": "Compose a profile"}.__getitem__,
        key=key,
        on_change=changed,
        required=True,
        help=WHOSE.help,
    )


def _test_user(studio: Studio) -> int:
    """The row of the test user asked for, or of the last one."""
    n_users = len(studio.split.test.queries)
    with st.container(width=180):
        asked = widget(USER)
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.button("Another", on_click=_another, args=(n_users,), help="A test user drawn at random")
    row = min(asked or 0, n_users - 1)
    note = f"of {n_users:,} test users, whom no model was trained on"
    st.caption(note if asked == row else f"{note}; there is no number {asked}, so {row} is shown")
    return row


def _another(n_users: int) -> None:
    st.session_state[USER.key] = int(np.random.default_rng().integers(n_users))


def _search(names: ItemNames, composed: list[int]) -> None:
    with st.container(width=320):
        text = st.text_input(
            "Search titles, genres or item ids", key=_SEARCH, placeholder="e.g. a word of a title, then Enter", max_chars=60
        )
    found = [item for item in names.search(text or "", FOUND + len(composed)) if item not in composed][:FOUND]
    if composed:
        st.button("Clear", on_click=composed.clear, help="Take all items out")
    if found:
        made = st.session_state.setdefault(_MADE, 0)
        key = f"query-found-{made}"

        def picked() -> None:
            item = st.session_state.get(key)
            if item is not None and len(composed) < LONGEST:
                composed.append(item)
                # A widget of its own for the next search result, so that none is selected.
                st.session_state[_MADE] = made + 1

        st.pills("Click to add", found, format_func=lambda item: _label(names, item), key=key, on_change=picked, wrap=True)
    elif text:
        st.caption("No other item has all of these words.")


def _kept(items: np.ndarray, whose: str, studio: Studio, names: ItemNames) -> np.ndarray:
    """The history's items as buttons that take one out or put it back."""
    if len(items) == 0:
        return items
    options = items.tolist()
    # Another history has buttons of its own.
    key = f"query-kept-{studio.scope}-{whose}-{hash(tuple(options))}"
    # The same at every run, or the buttons would begin anew.
    if (begin := f"{key}-start") not in st.session_state:
        asked = _asked(WITHOUT, len(names))
        st.session_state[begin] = [item for item in options if item not in asked]
    with st.container(height=150 if len(options) > 12 else "content", border=len(options) > 12):
        chosen = st.pills(
            f"History of {len(options)} items: click one to take it out, again to put it back",
            options,
            selection_mode="multi",
            default=st.session_state[begin],
            format_func=lambda item: _label(names, item),
            key=key,
        )
    return items[np.isin(items, chosen)]


def _label(names: ItemNames, item: int) -> str:
    return for_markdown(names.title(item))


def _composed(studio: Studio) -> list[int]:
    """The composed profile of this session for this data; the first time from the address."""
    key = f"{_COMPOSED}{studio.scope}"
    if key not in st.session_state:
        st.session_state[key] = _asked(ITEMS, studio.interactions.n_items)
    return st.session_state[key]


def _asked(name: str, n_items: int) -> list[int]:
    """Items that the address asks for, each once, when the session opens the page for the first time; none later."""
    read: set[str] = st.session_state.setdefault(_READ, set())
    if name in read:
        return []
    read.add(name)
    numbers = [int(word) for word in st.query_params.get(name, "").split(".") if word.isascii() and word.isdigit() and len(word) < 10]
    return list(dict.fromkeys(number for number in numbers if number < n_items))[:LONGEST]


def _plain_features(studio: Studio) -> np.ndarray | None:
    """Side features of a new user, of whom nothing is known: all 0."""
    n_features = studio.split.train.n_features
    return np.zeros((1, n_features), np.float32) if n_features else None

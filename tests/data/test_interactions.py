from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import Histories, Interactions

N_ITEMS = 7
ragged = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=6), max_size=8)


def as_lists(histories: Histories) -> list[list[int]]:
    return [row.tolist() for row in histories]


def frame(rows: list[tuple], columns: str = "user_id item_id timestamp") -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


@given(ragged)
def test_lists_survive_the_round_trip(rows):
    histories = Histories.from_lists(rows, N_ITEMS)
    assert as_lists(histories) == rows
    assert len(histories) == len(rows)
    assert histories.lengths.tolist() == [len(row) for row in rows]
    assert histories.rows.tolist() == [number for number, row in enumerate(rows) for _ in row]
    assert (histories.indptr.dtype, histories.items.dtype) == (np.int64, np.int32)


@given(ragged.filter(bool), st.data())
def test_take_returns_the_rows_asked_for(rows, data):
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    taken = Histories.from_lists(rows, N_ITEMS).take(np.array(wanted, dtype=np.int64))
    assert as_lists(taken) == [rows[row] for row in wanted]
    assert taken.n_items == N_ITEMS


@given(ragged, st.data())
def test_select_keeps_rows_in_place(rows, data):
    histories = Histories.from_lists(rows, N_ITEMS)
    keep = [[data.draw(st.booleans()) for _ in row] for row in rows]
    flat = np.array([flag for row in keep for flag in row], dtype=bool)
    wanted = [[item for item, flag in zip(row, flags, strict=True) if flag] for row, flags in zip(rows, keep, strict=True)]
    assert as_lists(histories.select(flat)) == wanted


def test_row_is_a_view_and_must_exist():
    histories = Histories.from_lists([[1, 2], [3]], N_ITEMS)
    assert np.shares_memory(histories[0], histories.items)
    for row in (-1, 2):
        with pytest.raises(IndexError, match=rf"row {row} is not in \[0, 2\)"):
            histories[row]


@pytest.mark.parametrize("rows", [[-1], [0, 2], [5]])
def test_take_refuses_rows_outside(rows):
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 2\)"):
        Histories.from_lists([[1, 2], [3]], N_ITEMS).take(np.array(rows))


@pytest.mark.parametrize("rows", [np.array([True, False]), np.array([0.0]), np.array([[0]])])
def test_take_refuses_masks_and_other_arrays(rows):
    with pytest.raises(ValueError, match="rows must be a one-dimensional array of integers"):
        Histories.from_lists([[1, 2], [3]], N_ITEMS).take(rows)


@pytest.mark.parametrize("wanted", [np.array([True]), np.array([1, 0, 1]), np.array([[True, True, True]])])
def test_select_refuses_other_shapes_and_types(wanted):
    with pytest.raises(ValueError, match=r"wanted must be \(3,\) bool"):
        Histories.from_lists([[1, 2], [3]], N_ITEMS).select(wanted)


@pytest.mark.parametrize(
    ("indptr", "items", "n_items", "message"),
    [
        ([], [], 3, "indptr must run from 0 to 0"),
        ([1, 2], [0, 1], 3, "indptr must run from 0 to 2"),
        ([0, 1], [0, 1], 3, "indptr must run from 0 to 2"),
        ([0, 2, 1, 2], [0, 1], 3, "indptr must not decrease"),
        ([0, 2], [0, 3], 3, r"item indices must lie in \[0, 3\); got 0 to 3"),
        ([0, 2], [-1, 0], 3, r"item indices must lie in \[0, 3\); got -1 to 0"),
        ([0, 1], [2**33], 3, r"item indices must lie in \[0, 3\)"),
        ([0, 1], [0.5], 3, "items must be a one-dimensional array of integers"),
        ([0.0, 1.0], [0], 3, "indptr must be a one-dimensional array of integers"),
        ([[0, 1]], [0], 3, "indptr must be a one-dimensional array of integers"),
        ([0, 1], [0], 2**31, "n_items must lie in"),
    ],
)
def test_invalid_histories_are_refused(indptr, items, n_items, message):
    with pytest.raises(ValueError, match=message):
        Histories(np.array(indptr), np.array(items), n_items)


def test_histories_bring_arrays_to_their_stated_types():
    histories = Histories(np.array([0, 2], dtype=np.uint8), np.array([1, 0], dtype=np.int64), 3)
    assert (histories.indptr.dtype, histories.items.dtype) == (np.int64, np.int32)


def test_containers_can_be_compared_and_hashed():
    data = Interactions.from_frame(frame([(1, 2, 3)]), "x")
    assert data == data
    assert data != Interactions.from_frame(frame([(1, 2, 3)]), "x")
    assert len({data, data.histories}) == 2


def test_from_frame_orders_by_time_and_indexes_by_sorted_id():
    data = Interactions.from_frame(frame([("b", 30, 2), ("b", 10, 1), ("a", 20, 9), ("b", 20, 2)]), "tiny")
    assert data.user_ids.tolist() == ["a", "b"]
    assert data.item_ids.tolist() == [10, 20, 30]
    assert as_lists(data.histories) == [[1], [0, 2, 1]]
    assert data.has_time
    assert data.dropped == {}
    assert (data.n_users, data.n_items, data.n_interactions) == (2, 3, 4)
    assert repr(data) == "Interactions('tiny', 2 users, 3 items, 4 interactions)"


def test_from_frame_without_time_keeps_the_order_of_rows():
    data = Interactions.from_frame(frame([(1, 9), (2, 9), (1, 7), (1, 8)], "user_id item_id"), "tiny")
    assert not data.has_time
    assert as_lists(data.histories) == [[2, 0, 1], [2]]


def test_repeats_and_empty_cells_are_dropped_and_counted():
    rows = [(1, 5, 30.0), (1, 5, 10.0), (1, 6, 20.0), (None, 6, 1.0), (1, None, 1.0), (2, 6, None)]
    data = Interactions.from_frame(frame(rows), "tiny", dropped={"malformed lines": 4})
    assert as_lists(data.histories) == [[0, 1]]  # the visit at 10 counts, so item 5 comes before item 6
    assert data.dropped == {"malformed lines": 4, "rows with an empty user, item or time": 3, "repeated (user, item) pairs": 1}


def test_item_texts_follow_the_index_and_gaps_get_the_id():
    items = pd.DataFrame(
        {"item_id": [8, 7, 9, 7], "title": ["eight", "seven", None, "again"], "genres": ["A|B", "C", "D", "E"], "year": [1, 2, 3, 4]}
    )
    data = Interactions.from_frame(frame([(1, 9, 0), (1, 7, 0), (1, 5, 0)]), "tiny", items=items)
    assert data.items["title"].tolist() == ["5", "seven", "9"]
    assert data.items["genres"].tolist()[1:] == ["C", "D"]
    assert data.items["genres"].isna().tolist() == [True, False, False]
    assert list(data.items.columns) == ["title", "genres", "year"]


def test_whole_number_titles_stay_as_written():
    items = pd.DataFrame({"item_id": [7], "title": [1984]})
    data = Interactions.from_frame(frame([(1, 7, 0), (1, 8, 0)]), "tiny", items=items)
    assert data.items["title"].tolist() == ["1984", "8"]


@pytest.mark.parametrize(
    ("rows", "columns", "items", "message"),
    [
        ([(1, 2)], "user item", None, r"missing column\(s\) \['user_id', 'item_id'\]; the data has \['user', 'item'\]"),
        ([], "user_id item_id", None, "'tiny' has no usable rows; dropped: nothing, it was empty"),
        ([(None, 1)], "user_id item_id", None, r"no usable rows; dropped: \{'rows with an empty user, item or time': 1\}"),
        ([(1, 2)], "user_id item_id", pd.DataFrame({"item_id": [2], "name": ["x"]}), r"missing item column\(s\) \['title'\]"),
    ],
)
def test_unusable_frames_are_refused(rows, columns, items, message):
    with pytest.raises(ValueError, match=message):
        Interactions.from_frame(frame(rows, columns), "tiny", items=items)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_ids": np.array([1, 2])}, "2 user ids for 1 histories"),
        ({"item_ids": np.array([1])}, "1 item ids and 2 item rows for a catalogue of 2"),
        ({"items": pd.DataFrame({"name": ["a", "b"]})}, "items needs a 'title' column"),
        ({"histories": Histories.from_lists([[]], 2)}, "'tiny' has no interactions"),
        ({"histories": Histories.from_lists([[1, 0, 1]], 2)}, "user row 0 has item 1 twice"),
    ],
)
def test_inconsistent_parts_are_refused(change, message):
    parts = {
        "histories": Histories.from_lists([[1, 0]], 2),
        "user_ids": np.array([1]),
        "item_ids": np.array([1, 2]),
        "items": pd.DataFrame({"title": ["a", "b"]}),
        "name": "tiny",
    }
    assert Interactions(**parts).n_interactions == 2
    with pytest.raises(ValueError, match=message):
        Interactions(**(parts | change))


def test_content_hash_depends_on_order_and_catalogue_only():
    data = Interactions.from_frame(frame([(1, 5, 1), (1, 6, 2), (2, 5, 1)]), "a")
    same = Interactions.from_frame(frame([(2, 5, 8), (1, 5, 1), (1, 6, 9)]), "b", synthetic=True)
    swapped = Interactions.from_frame(frame([(1, 5, 2), (1, 6, 1), (2, 5, 1)]), "a")
    assert data.content_hash() == same.content_hash()
    assert data.content_hash() != swapped.content_hash()
    assert len(data.content_hash()) == 16
    assert "synthetic" in repr(same)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40))
def test_from_frame_matches_a_plain_loop(rows):
    seen: dict[int, list[int]] = {}
    for user, item, _ in sorted(rows, key=lambda row: row[2]):
        if item not in seen.setdefault(user, []):
            seen[user].append(item)
    data = Interactions.from_frame(frame(rows), "loop")
    assert {int(user): data.item_ids[items].tolist() for user, items in zip(data.user_ids, data.histories, strict=True)} == seen
    assert sum(data.dropped.values()) == len(rows) - data.n_interactions

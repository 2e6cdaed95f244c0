from __future__ import annotations

import datetime
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from sparcode.config import SplitConfig, SyntheticConfig
from sparcode.data import folder_interactions, interactions, parquet_folder
from sparcode.data.folder_interactions import read_parquet_folder
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES
from sparcode.data.loading import kind_of, load, load_split
from sparcode.data.parquet_folder import ParquetFolder
from sparcode.data.profile import profile_of
from sparcode.data.split import split_users
from sparcode.data.tabular import read_table


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def same(found: Interactions, wanted: Interactions) -> None:
    assert found.content_hash() == wanted.content_hash()
    assert found.user_ids.tolist() == wanted.user_ids.tolist()
    assert found.item_ids.tolist() == wanted.item_ids.tolist()
    assert dict(found.dropped) == dict(wanted.dropped)
    assert (found.time_span, found.has_time) == (wanted.time_span, wanted.has_time)
    pd.testing.assert_frame_equal(found.items, wanted.items)
    assert (found.users is None) == (wanted.users is None)
    if wanted.users is not None:
        pd.testing.assert_frame_equal(found.users, wanted.users)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows, so that a user's rows lie in many."""
    monkeypatch.setattr(parquet_folder, "_BLOCK_ROWS", 50)
    monkeypatch.setattr(parquet_folder, "_BATCH_ROWS", 20)
    monkeypatch.setattr(interactions, "BLOCK_ENTRIES", 30)
    monkeypatch.setattr(folder_interactions, "BLOCK_ENTRIES", 30)


def rows(seed: int, n: int = 600) -> pd.DataFrame:
    """Rows with repeats, equal times, gaps, low ratings, and items and users that only rows to be dropped have."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, 25, n),
            "item_id": rng.integers(0, 40, n),
            "ts": 1_600_000_000 + rng.integers(0, 50, n),
            "rating": rng.integers(1, 6, n).astype(float),
        }
    )
    frame["title"] = [f"The {item}" for item in frame["item_id"]]
    frame.loc[frame["user_id"] == 3, "rating"] = 1.0
    frame["user_id"] = frame["user_id"].astype("Int64").mask(rng.random(n) < 0.02)
    frame["ts"] = frame["ts"].astype("Int64").mask(rng.random(n) < 0.02)
    return frame


KINDS = {
    "integers": lambda frame: frame,
    "texts": lambda frame: frame.assign(user_id="u" + frame["user_id"].astype("string"), item_id="i" + frame["item_id"].astype(str)),
    "dates": lambda frame: frame.assign(ts=pd.to_datetime(frame["ts"], unit="s")),
    "iso texts": lambda frame: frame.assign(ts=pd.to_datetime(frame["ts"], unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S")),
    "texts of numbers": lambda frame: frame.assign(ts=frame["ts"].astype("string")),
    "fractions": lambda frame: frame.assign(ts=frame["ts"].astype(float) / 8),
    "no times": lambda frame: frame.drop(columns="ts"),
    "no titles": lambda frame: frame.drop(columns="title"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("min_rating", [None, 3])
def test_a_folder_reads_as_one_file_with_its_rows(tmp_path, small_blocks, kind, min_rating):
    frame = KINDS[kind](rows(1))
    frame.to_parquet(tmp_path / "whole.parquet")
    for number, start in enumerate(range(0, len(frame), 170)):
        part = tmp_path / "folder" / f"part={number % 2}" / f"{number}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        frame[start : start + 170].to_parquet(part, row_group_size=40)
    in_order = sorted(range(4), key=lambda number: (number % 2, number))
    pd.concat([frame[170 * number : 170 * (number + 1)] for number in in_order]).to_parquet(tmp_path / "whole.parquet")
    found = read_parquet_folder(tmp_path / "folder", min_rating=min_rating)
    same(found, read_table(tmp_path / "whole.parquet", min_rating=min_rating))
    assert found.name == "folder"
    for config in (SplitConfig(seed=2), SplitConfig(seed=3)):
        again = split_users(read_table(tmp_path / "whole.parquet", min_rating=min_rating), config)
        assert split_users(found, config).content_hash() == again.content_hash()
    assert profile_of(found).n_interactions == found.n_interactions


def test_tables_of_items_and_users_beside_a_folder(tmp_path, small_blocks):
    frame = rows(2).drop(columns="title")
    write(tmp_path / "items.parquet", item=list(range(40)), title=[f"Title {item}" for item in range(40)])
    write(tmp_path / "users.parquet", user=list(range(25)), age=list(range(20, 45)))
    frame.to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "folder").mkdir()
    frame[:300].to_parquet(tmp_path / "folder" / "a.parquet")
    frame[300:].to_parquet(tmp_path / "folder" / "b.parquet")
    beside = {"items_path": tmp_path / "items.parquet", "users_path": tmp_path / "users.parquet"}
    found = load(tmp_path / "folder", **beside)
    same(found, load(tmp_path / "whole.parquet", **beside))
    assert found.items["title"].iloc[0] == f"Title {found.item_ids[0]}"


def test_of_every_item_one_title_is_held_however_many_blocks_have_it(tmp_path, small_blocks, monkeypatch):
    lengths, made = [], folder_interactions.item_frame

    def counted(table, *given):
        lengths.append(len(table))
        return made(table, *given)

    monkeypatch.setattr(folder_interactions, "item_frame", counted)
    frame = rows(4)
    frame["title"] = [f"title {row}" for row in range(len(frame))]
    frame.to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "folder").mkdir()
    frame.to_parquet(tmp_path / "folder" / "a.parquet")
    same(load(tmp_path / "folder"), load(tmp_path / "whole.parquet"))
    assert len(lengths) > 5
    assert sum(lengths) == frame["item_id"].nunique()


def test_folders_named_by_a_column_hold_it(tmp_path):
    for day, items in (("2024-01-02", [8, 9]), ("2024-01-01", [7, 8])):
        write(tmp_path / "visits" / f"date={day}" / "part-0.parquet", user=["ann", "ann"], item=items)
    data = load(tmp_path / "visits")
    assert data.item_ids[data.histories[0]].tolist() == ["7", "8", "9"]
    assert data.time_span == ("2024-01-01", "2024-01-02")


def test_types_of_a_column_may_differ_in_width(tmp_path):
    write(
        tmp_path / "d" / "a.parquet", user=pa.array([1, 2], pa.int32()), item=pa.array([5, 6], pa.int8()), ts=pa.array([1, 2], pa.int32())
    )
    write(tmp_path / "d" / "b.parquet", item=[7, 5], user=[1, 2], ts=[0, 3], more=["x", "y"])
    data = load(tmp_path / "d")
    assert [data.item_ids[row].tolist() for row in data.histories] == [["7", "5"], ["6", "5"]]


def test_other_files_are_ignored_with_a_word(tmp_path, caplog):
    write(tmp_path / "d" / "a.parquet", user=[1, 1, 2], item=[5, 6, 7])
    (tmp_path / "d" / "notes.txt").write_text("hello")
    (tmp_path / "d" / "_SUCCESS").touch()
    write(tmp_path / "d" / "_temporary" / "b.parquet", user=["not", "read"], item=["x", "y"])
    with caplog.at_level(logging.INFO):
        assert load(tmp_path / "d").n_interactions == 3
    assert caplog.records[0].getMessage() == "d: only .parquet files are read; ignored: notes.txt"


def test_an_archive_folder_with_a_parquet_file_in_it_stays_one(tmp_path):
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "ratings.dat").write_bytes(b"1::7::5::20\n1::8::2::10\n")
    (tmp_path / "ml" / "movies.dat").write_bytes(b"7::Seven (1995)::Crime\n8::Eight (1999)::Drama\n")
    write(tmp_path / "ml" / "own.parquet", user=[1], item=[5])
    assert load(tmp_path / "ml").name == "MovieLens 1M"


def damaged(folder: Path) -> None:
    path = write(folder / "b.parquet", user=[f"u{number}" for number in range(999)], item=list(range(999)))
    content = bytearray(path.read_bytes())
    content[200:900] = bytes(700)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda folder: (folder / "b.parquet").write_bytes(b"user,item\n"), r"d: b\.parquet is not a readable Parquet file"),
        (lambda folder: write(folder / "x" / "b.parquet", user=["a"], item=[1]), r"d: x/b\.parquet does not go with a\.parquet.*user"),
        (lambda folder: write(folder / "b.parquet", user=[1], item=[datetime.date(2024, 1, 1)]), r"d: b\.parquet does not go with"),
        (lambda folder: write(folder / "a.parquet", who=[1], item=[2]), "cannot tell which column holds the user ids"),
        (lambda folder: write(folder / "a.parquet", user=[1.5], item=[2]), "d: ids in column 'user' must be whole numbers"),
        (
            lambda folder: write(folder / "a.parquet", user=pa.array([], pa.int64()), item=pa.array([], pa.int64())),
            "d: its files have no rows",
        ),
        (lambda folder: write(folder / "a.parquet", user=pa.array([None], pa.int64()), item=[1]), "'d' has no usable rows; dropped: .*: 1"),
        (lambda folder: write(folder / "a.parquet", user=[1, 2], item=[1, 2], ts=["soon", "later"]), "column 'ts': 2 of 2 values are not"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, add, message):
    write(tmp_path / "d" / "a.parquet", user=[1, 1, 2], item=[5, 6, 7])
    add(tmp_path / "d")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "d")


def test_a_damaged_file_is_named(tmp_path):
    write(tmp_path / "d" / "a.parquet", user=["a", "b"], item=[5, 6])
    damaged(tmp_path / "d")
    with pytest.raises(ValueError, match=r"d: b\.parquet is a damaged Parquet file"):
        load(tmp_path / "d")


def test_times_of_two_kinds_are_refused(tmp_path, small_blocks):
    write(tmp_path / "d" / "a.parquet", user=[1] * 60, item=list(range(60)), ts=["12"] * 60)
    write(tmp_path / "d" / "b.parquet", user=[1] * 60, item=list(range(60)), ts=["2024-01-01"] * 60)
    with pytest.raises(ValueError, match="times are numbers in some rows and dates in others"):
        load(tmp_path / "d")


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"rows": 2}, r"d has 3 rows; at most 2 are read"),
        ({"columns": 1}, r"d: a\.parquet has 2 columns"),
        ({"unpacked_bytes": 30}, r"d has 36 bytes once unpacked"),
        ({"cell_bytes": 3}, r"d has 4 bytes in one cell"),
    ],
)
def test_more_than_is_read_is_refused(tmp_path, limit, message):
    write(tmp_path / "d" / "a.parquet", user=["anna", "ben", "c"], item=[5, 6, 7])
    limits = type(OWN_FILES)(**vars(OWN_FILES) | limit)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "d", limits=limits)


def test_an_option_for_one_file_is_refused(tmp_path):
    write(tmp_path / "d" / "a.parquet", user=[1], item=[5])
    with pytest.raises(ValueError, match="name cannot be used with a folder of Parquet files"):
        load(tmp_path / "d", name="x")
    assert kind_of(str(tmp_path / "d")).label == "a folder of Parquet files"
    with pytest.raises(ValueError, match="no column"):
        next(ParquetFolder(tmp_path / "d").blocks(["price"]))


def test_a_folder_is_split_as_the_data_it_holds(tmp_path, small_blocks):
    data = load(SyntheticConfig(n_users=60, n_items=50))
    order = np.random.default_rng(0).permutation(data.n_interactions)
    (tmp_path / "d").mkdir()
    for number, part in enumerate(np.array_split(order, 3)):
        columns = {"user": data.histories.rows[part], "item": data.histories.items[part], "time": part}
        write(tmp_path / "d" / f"{number}.parquet", **columns)
    found, split = load_split(tmp_path / "d", SplitConfig())
    for row, user in enumerate(found.user_ids):
        assert found.item_ids[found.histories[row]].tolist() == [str(item) for item in data.histories[int(user)]]
    assert len(split.train) + len(split.validation.users) + len(split.test.users) == 60

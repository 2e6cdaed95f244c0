from __future__ import annotations

import io
import threading
import weakref
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.training import data as training_data
from app.training.data import DataShelf
from app.training.data_folder import NamedFile, named_file
from app.training.reader import ReadFile, Request, TableLook, UnusableFile, read_file
from app.training.reading import MEMORY_BYTES, SECONDS
from sparcode.config import SyntheticConfig
from sparcode.data.limits import UPLOADS
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, tiny_data, tiny_split


class ReadHere:
    """A reader without a process of its own."""

    is_closed = False

    def read(self, name: str, content: bytes, is_wanted: Callable[[], bool], columns: Mapping[str, str | None]) -> ReadFile:
        return read_file(content, Request(name, CONFIG.split, UPLOADS, MEMORY_BYTES, SECONDS, columns=dict(columns)))

    def read_path(self, path: Path, name: str, is_wanted: Callable[[], bool], columns: Mapping[str, str | None]) -> ReadFile:
        return self.read(name, path.read_bytes(), is_wanted, columns)

    def close(self) -> None:
        self.is_closed = True


def made_shelf(has_gone: Callable[[str], bool] = lambda owner: False) -> DataShelf:
    return DataShelf(tiny_data(), tiny_split(), CONFIG.split, has_gone, ReadHere())


@pytest.fixture
def shelf() -> DataShelf:
    return made_shelf()


def test_the_studios_own_data_is_at_hand(shelf: DataShelf) -> None:
    own = shelf.own()
    assert own.split() is tiny_split()
    assert own.name == tiny_data().name
    assert own.facts.startswith("120 users, 80 items, ")


def test_made_up_data_follows_its_seed_and_is_kept(shelf: DataShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "SMALL_USERS", 60)
    monkeypatch.setattr(training_data, "SMALL_ITEMS", 50)
    first, again, other = shelf.synthetic(True, 1), shelf.synthetic(True, 1), shelf.synthetic(True, 2)
    assert first.key == again.key != other.key
    assert first.split() is again.split()
    assert first.split().train.n_items == 50
    assert not np.array_equal(first.split().train.items, other.split().train.items)
    assert first.synthetic
    assert shelf.synthetic(False, 0).facts == f"{SyntheticConfig().n_users:,} users, {SyntheticConfig().n_items:,} items"


def test_a_table_is_split_and_belongs_to_its_owner(shelf: DataShelf, tiny_table: Path) -> None:
    data = shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
    assert data.name == "mine"
    assert not data.synthetic
    assert len(data.split().test.queries) == 12
    assert shelf.uploaded("ann") is data
    assert shelf.uploaded("bob") is None
    assert shelf.upload("ann", "mine.csv", tiny_table.read_bytes()) is data


def test_two_fields_of_an_owner_have_a_file_each_and_both_go_with_the_owner(tiny_table: Path) -> None:
    gone: set[str] = set()
    told: list[str] = []
    shelf = made_shelf(gone.__contains__)
    shelf.on_dropped.append(told.append)
    first = shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
    second = shelf.upload("ann", "other.csv", tiny_table.read_bytes(), place="train")
    assert shelf.uploaded("ann") is first
    assert shelf.uploaded("ann", "train") is second
    gone.add("ann")
    shelf.drop_uploads()
    assert shelf.uploaded("ann") is shelf.uploaded("ann", "train") is None
    assert set(told) == {"ann"}


def test_the_memory_of_a_file_counts_its_ids_and_titles(shelf: DataShelf) -> None:
    rows = [f"{user},{item}" for user in range(20) for item in range(9)]
    lines = [f"{row},{'t' * 1000}{row.partition(',')[2]}" for row in rows]
    plain = shelf.upload("ann", "mine.csv", "\n".join(["user_id,item_id", *rows]).encode())
    titled = shelf.upload("bob", "mine.csv", "\n".join(["user_id,item_id,title", *lines]).encode())
    assert titled.private
    assert titled.n_bytes > plain.n_bytes + 9 * 900


def test_other_columns_are_another_reading_of_the_same_file(shelf: DataShelf) -> None:
    rows = [f"{user},{item},{9 - item}" for user in range(20) for item in range(9)]
    content = "\n".join(["user_id,item_id,other", *rows]).encode()
    first = shelf.upload("ann", "mine.csv", content)
    assert first.table.columns == ("user_id", "item_id", "other")
    assert {field: column for field, column in first.table.taken.items() if column} == {"user": "user_id", "item": "item_id"}
    assert first.table.rows[:2] == (("0", "0", "9"), ("0", "1", "8"))
    assert len(first.table.rows) == 5
    second = shelf.upload("ann", "mine.csv", content, columns={"item": "other", "timestamp": "item_id"})
    assert second.key != first.key
    assert second.interactions().has_time
    assert second.interactions().item_ids.tolist() == [str(item) for item in range(1, 10)]
    assert shelf.upload("ann", "mine.csv", content, columns={"item": "other", "timestamp": "item_id"}) is second


def test_a_table_whose_columns_cannot_be_told_shows_what_is_in_it(shelf: DataShelf) -> None:
    content = "\n".join(["a;b", *(f"{user};{item}" for user in range(20) for item in range(9))]).encode()
    with pytest.raises(UnusableFile, match="cannot tell which column") as told:
        shelf.upload("ann", "mine.csv", content)
    assert told.value.table == TableLook(("a", "b"), {}, tuple(("0", str(item)) for item in range(5)))
    data = shelf.upload("ann", "mine.csv", content, columns={"user": "a", "item": "b"})
    assert data.facts == "20 users, 9 items, 180 interactions"


def test_first_cells_of_parquet_files_are_shown_and_archives_have_none(shelf: DataShelf) -> None:
    assert shelf.upload("ann", "mine.parquet", parquet(99)).table.rows[:2] == (("0", "0"), ("1", "1"))
    with pytest.raises(UnusableFile) as told:
        shelf.upload("ann", "bad.zip", b"not a zip")
    assert told.value.table is None


def test_the_files_of_the_longest_unseen_owners_are_forgotten(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "_UPLOADS_BYTES", 1)
    shelf = made_shelf()
    shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
    shelf.upload("bob", "mine.csv", tiny_table.read_bytes())
    assert shelf.uploaded("ann") is None
    assert shelf.uploaded("bob") is not None


def test_the_files_of_owners_who_have_left_are_dropped(tiny_table: Path) -> None:
    gone: set[str] = set()
    shelf = made_shelf(gone.__contains__)
    for owner in ("ann", "bob"):
        shelf.upload(owner, "mine.csv", tiny_table.read_bytes())
    kept = weakref.ref(shelf.uploaded("ann").split().train)
    gone.add("ann")
    shelf.drop_uploads()
    assert shelf.uploaded("ann") is None
    assert kept() is None
    assert shelf.uploaded("bob") is not None


def test_uploads_are_looked_after_while_there_are_any(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "_LOOK_SECONDS", 0.01)
    asked = threading.Event()
    shelf = made_shelf(lambda owner: asked.set() or True)
    for _ in range(2):
        shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
        watcher = shelf._watcher
        assert watcher is not None
        assert asked.wait(PATIENCE)
        watcher.join(PATIENCE)
        assert not watcher.is_alive()
        assert shelf.uploaded("ann") is None


def test_a_closed_shelf_reads_no_more(tiny_table: Path) -> None:
    shelf = made_shelf()
    shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
    watcher = shelf._watcher
    shelf.close()
    assert shelf._reader.is_closed
    watcher.join(PATIENCE)
    assert not watcher.is_alive()


def test_a_file_of_this_machine_is_read_anew_once_it_has_changed(shelf: DataShelf, tiny_table: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(tiny_table.read_bytes())
    data = shelf.from_folder("ann", named_file(tmp_path, "mine.csv"))
    assert data.facts == shelf.upload("bob", "mine.csv", tiny_table.read_bytes()).facts
    assert (data.name, data.private, data.table.columns) == ("mine", True, ("user_id", "item_id"))
    assert shelf.from_folder("ann", named_file(tmp_path, "mine.csv")) is data
    assert shelf.uploaded("ann") is data
    other = shelf.from_folder("ann", named_file(tmp_path, "mine.csv"), columns={"user": "item_id", "item": "user_id"})
    assert other.facts.startswith("80 users, 1")
    path.write_bytes(tiny_table.read_bytes() + b"\nu0,i0")
    assert shelf.from_folder("ann", named_file(tmp_path, "mine.csv")).key != data.key
    with pytest.raises(ValueError, match=r"it has 600\.0 MB; files of up to 512 MB are read"):
        shelf.from_folder("ann", NamedFile(path, "", 600 * 2**20))


def archive(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            # Without the time of day, which would get into the names of tests.
            opened.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "empty"),
        ("other.csv", b"a,b\n1,2\n", "cannot tell which column"),
        ("few.csv", b"user_id,item_id\nu,i\n", "at least 3 users"),
        ("bad.parquet", b"not parquet", "arquet"),
        ("bad.zip", b"not a zip", "zip"),
        ("no-movies.zip", archive(readme="hello"), "MovieLens"),
        ("page.html", b"<html>", "html"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(shelf: DataShelf, name: str, content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        shelf.upload("ann", name, content)
    assert shelf.uploaded("ann") is None


def parquet(n_rows: int) -> bytes:
    content = io.BytesIO()
    pa.parquet.write_table(pa.table({"user_id": np.arange(n_rows) % 7, "item_id": np.arange(n_rows) % 5}), content)
    return content.getvalue()


def test_a_small_file_of_very_many_rows_is_not_unpacked(shelf: DataShelf) -> None:
    with pytest.raises(ValueError, match=r"mine\.PARQUET has 5,000,001 rows; at most 5,000,000 are read"):
        shelf.upload("ann", "mine.PARQUET", parquet(5_000_001))
    assert shelf.upload("ann", "mine.parquet", parquet(99)).facts.startswith("7 users, 5 items")


def test_a_file_that_is_too_large_is_not_read(shelf: DataShelf) -> None:
    with pytest.raises(ValueError, match=r"it has 40\.0 MB; files of up to 40 MB are taken"):
        shelf.upload("ann", "mine.csv", bytes(40 * 2**20 + 1))

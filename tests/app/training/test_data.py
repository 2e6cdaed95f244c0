from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.training import data as training_data
from app.training.data import DataShelf
from sparcode.config import SyntheticConfig
from tests.tiny import CONFIG, tiny_data, tiny_split


@pytest.fixture
def shelf() -> DataShelf:
    return DataShelf(tiny_data(), tiny_split(), CONFIG.split)


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


def test_the_files_of_the_longest_unseen_owners_are_forgotten(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "_KEPT_UPLOADS", 1)
    shelf = DataShelf(tiny_data(), tiny_split(), CONFIG.split)
    shelf.upload("ann", "mine.csv", tiny_table.read_bytes())
    shelf.upload("bob", "mine.csv", tiny_table.read_bytes())
    assert shelf.uploaded("ann") is None
    assert shelf.uploaded("bob") is not None


def archive(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
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


def test_a_small_file_of_very_many_rows_is_not_unpacked(shelf: DataShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "MAX_UPLOAD_ROWS", 99)
    with pytest.raises(ValueError, match="it has 100 rows; up to 99 are taken"):
        shelf.upload("ann", "mine.PARQUET", parquet(100))
    assert shelf.upload("ann", "mine.parquet", parquet(99)).facts.startswith("7 users, 5 items")


def test_a_file_that_is_too_large_is_not_read(shelf: DataShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "MAX_UPLOAD_MB", 0)
    with pytest.raises(ValueError, match="up to 0 MB"):
        shelf.upload("ann", "mine.csv", b"user_id,item_id\n")

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from sparcode.data.goodbooks import is_goodbooks, read_goodbooks
from sparcode.data.limits import UPLOADS
from sparcode.data.loading import load
from tests.data.test_movielens import files_1m, write_folder, write_zip

# In the columns of the published files.
FILES = {
    "ratings.csv": b"user_id,book_id,rating\n1,258,5\n2,4081,4\n1,260,2\n2,258,3\n1,258,4\n",
    "books.csv": (
        "book_id,goodreads_book_id,best_book_id,work_id,authors,original_publication_year,original_title,title,language_code\n"
        '258,1232,1232,3209783,"Carlos Ruiz Zafón, Lucia Graves",2001.0,,"The Shadow of the Wind (The Cemetery, #1)",eng\n'
        "260,4865,4865,4868,Dale Carnegie,1936.0,,How to Win Friends and Influence People,en-US\n"
        "4081,1,1,1,Somebody,1999.0,,A Book,eng\n"
        "9999,2,2,2,Somebody,1999.0,,Never Rated,eng\n"
    ).encode(),
    "tags.csv": b"tag_id,tag_name\n0,-\n",
}


def test_the_archive_its_folder_and_an_open_file_are_read_with_titles(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "any.zip", FILES, "goodbooks-10k")
    data = read_goodbooks(path)
    assert (data.name, data.has_time, data.synthetic) == ("goodbooks-10k", False, False)
    assert (data.n_users, data.n_items, data.n_interactions) == (2, 3, 4)
    assert data.dropped == {"repeated (user, item) pairs": 1}
    assert data.items["title"][np.flatnonzero(data.item_ids == "258")[0]] == "The Shadow of the Wind (The Cemetery, #1)"
    for source in (io.BytesIO(path.read_bytes()), write_folder(tmp_path / "plain", FILES), path):
        assert is_goodbooks(source)
        assert read_goodbooks(source).content_hash() == load(path).content_hash() == data.content_hash()
    assert read_goodbooks(path, min_rating=4).n_interactions == 2


def test_other_archives_are_not_taken_for_it(tmp_path: Path) -> None:
    assert not is_goodbooks(write_zip(tmp_path / "ml.zip", files_1m()))
    assert not is_goodbooks(tmp_path / "nowhere.zip")
    with pytest.raises(ValueError, match=r"looked for books\.csv, which is missing"):
        read_goodbooks(write_zip(tmp_path / "half.zip", {"ratings.csv": FILES["ratings.csv"]}))


def test_a_damaged_table_is_named_and_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ratings\.csv"):
        read_goodbooks(write_zip(tmp_path / "a.zip", FILES | {"ratings.csv": b"\xff\xfe\x00"}))
    small = UPLOADS.__class__(**{**UPLOADS.__dict__, "unpacked_bytes": 10})
    with pytest.raises(ValueError, match="at most 10 are read"):
        read_goodbooks(write_zip(tmp_path / "b.zip", FILES), limits=small)

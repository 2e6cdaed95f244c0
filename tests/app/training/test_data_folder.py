from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.training.data_folder import FOLDER_VARIABLE, data_folder, named_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    (made / "films").mkdir(parents=True)
    (made / "films" / "ratings.csv").write_text("user_id,item_id\n", encoding="utf-8")
    (made / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "secret.csv").write_text("user_id,item_id\n", encoding="utf-8")
    return made


def test_without_the_variable_no_file_of_this_machine_is_offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert data_folder() is None
    for useless in ("", str(folder / "none"), str(folder / "notes.txt")):
        monkeypatch.setenv(FOLDER_VARIABLE, useless)
        assert data_folder() is None
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    assert data_folder() == folder.resolve()


def test_a_file_is_named_from_the_folder_on_or_by_its_whole_path(folder: Path) -> None:
    path = folder / "films" / "ratings.csv"
    for text in ("films/ratings.csv", " films/ratings.csv ", "films/../films/ratings.csv", str(path)):
        named = named_file(folder, text)
        assert (named.path, named.n_bytes) == (path, 16)
    before = named_file(folder, "films/ratings.csv").stamp
    path.write_text("user_id,item_id\n1,2\n", encoding="utf-8")
    assert named_file(folder, "films/ratings.csv").stamp != before


OUTSIDE = ("../secret.csv", "films/../../secret.csv", "/etc/passwd", "../nowhere.csv", "/nowhere/at.csv", "link.csv", "up/secret.csv")


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_lies_outside_is_refused_alike_whether_it_exists_or_not(folder: Path, text: str) -> None:
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "up").symlink_to(folder.parent)
    with pytest.raises(ValueError, match="only files in the folder shared can be read") as told:
        named_file(folder, text)
    assert str(folder.parent) not in str(told.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("films/other.csv", r"there is no file films/other\.csv in the folder shared"),
        ("notes.txt", r"notes\.txt is of a kind that is not read; these are: .*\.csv"),
        ("films", r"films is a folder; files in it: ratings\.csv"),
        (".", r"shared is a folder; it has no files of the kinds that are read"),
        ("pipe.csv", r"pipe\.csv is no ordinary file"),
        ("a\0b.csv", "this is no path"),
        ("x" * 5000 + ".csv", "cannot be read: File name too long|this is no path"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(folder: Path, text: str, says: str) -> None:
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(ValueError, match=says):
        named_file(folder, text)


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "same.csv").symlink_to(folder / "films" / "ratings.csv")
    assert named_file(folder, "same.csv").path == folder / "films" / "ratings.csv"

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sparcode.data.movielens import DATASETS, read_movielens

MOVIES = "1::Toy Story (1995)::Animation|Comedy\n2::Amélie (2001)::Romance\n7::a::b (1999)::Drama\n"
RATINGS = ["1::2::4.5::20", "1::1::5::10", "2::7::0.5::5", "2::2::3::6", "9::1::1.5::7"]


def write_10m(folder: Path, ratings: list[str], tags: bool = True) -> Path:
    files = {"ratings.dat": "".join(f"{line}\n" for line in ratings), "movies.dat": MOVIES}
    files |= {"tags.dat": "1::2::x::3\n"} if tags else {}
    path = folder / "any.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{DATASETS['ml-10m'].folder}/{name}", content.encode())
    return path


def test_half_stars_and_utf8_titles_are_read(tmp_path: Path) -> None:
    data = read_movielens(write_10m(tmp_path, RATINGS))
    assert data.name == "MovieLens 10M"
    assert data.item_ids.tolist() == [1, 2, 7]
    assert data.items["title"].tolist() == ["Toy Story (1995)", "Amélie (2001)", "a::b (1999)"]
    assert data.items["genres"].tolist() == ["Animation|Comedy", "Romance", "Drama"]
    assert [data.histories[row].tolist() for row in range(3)] == [[0, 1], [2, 1], [0]]


def test_min_rating_knows_half_stars(tmp_path: Path) -> None:
    data = read_movielens(write_10m(tmp_path, RATINGS), min_rating=4.5)
    assert data.n_interactions == 2
    assert data.dropped == {"ratings below 4.5": 3}


def test_extracted_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_10m(tmp_path, RATINGS)) as archive:
        archive.extractall(tmp_path)
    assert read_movielens(tmp_path / "ml-10M100K").n_interactions == 5


@pytest.mark.parametrize("stars", ["0", "5.5", "2.25", "-1", "x"])
def test_other_ratings_are_malformed(stars: str, tmp_path: Path) -> None:
    lines = [f"{user}::1::4.5::1" for user in range(200)]
    data = read_movielens(write_10m(tmp_path, [*lines, f"200::1::{stars}::1"]))
    assert data.dropped == {"malformed lines in ratings.dat": 1}
    with pytest.raises(ValueError, match=r"ratings.dat: 1 of 6 lines are malformed"):
        read_movielens(write_10m(tmp_path, [*RATINGS, f"200::1::{stars}::1"]))


def test_without_tags_it_is_taken_for_1m_and_half_stars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ratings.dat: 3 of 5 lines are malformed"):
        read_movielens(write_10m(tmp_path, RATINGS, tags=False))

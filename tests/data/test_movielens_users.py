from __future__ import annotations

from pathlib import Path

import pytest

from sparcode.data.movielens import read_movielens
from tests.data.test_movielens import files_1m, files_100k, write_folder

USERS_100K = b"1|24|M|technician|85711\n2|9|F|other|T8H1N\n7|50|F|writer|1\n"
USERS_1M = b"1::F::1::10::48067\n2::M::56::16::70072-1\n"


def test_100k_tells_gender_age_group_and_occupation(tmp_path: Path) -> None:
    data = read_movielens(write_folder(tmp_path / "ml", {**files_100k(), "u.user": USERS_100K}))
    assert data.users.to_dict("list") == {"gender": ["M", "F"], "age": ["18", "1"], "occupation": ["technician", "other"]}
    assert data.dropped == {}


def test_1m_tells_the_codes(tmp_path: Path) -> None:
    data = read_movielens(write_folder(tmp_path / "ml", {**files_1m(), "users.dat": USERS_1M}))
    assert data.users.to_dict("list") == {"gender": ["F", "M"], "age": ["1", "56"], "occupation": ["10", "16"]}


def test_a_copy_without_the_file_and_10m_tell_nothing(tmp_path: Path) -> None:
    assert read_movielens(write_folder(tmp_path / "ml", files_1m())).users is None
    with_tags = {**files_1m(), "users.dat": USERS_1M, "tags.dat": b""}
    assert read_movielens(write_folder(tmp_path / "ml-10m", with_tags)).users is None


@pytest.mark.parametrize(("name", "files"), [("u.user", files_100k), ("users.dat", files_1m)])
def test_malformed_lines_are_counted_or_refused(tmp_path: Path, name: str, files) -> None:
    lines = USERS_100K if name == "u.user" else USERS_1M
    many = lines * 60 + b"nobody\n"
    data = read_movielens(write_folder(tmp_path / "few", {**files(), name: many}))
    assert data.dropped == {f"malformed lines in {name}": 1}
    with pytest.raises(ValueError, match=f"{name}: 1 of .* lines are malformed"):
        read_movielens(write_folder(tmp_path / "much", {**files(), name: lines + b"nobody\n"}))

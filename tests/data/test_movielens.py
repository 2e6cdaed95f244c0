from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparcode.data import archive
from sparcode.data.limits import OWN_FILES
from sparcode.data.movielens import DATASETS, read_movielens

GENRES = ["unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"]
GENRES += ["Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"]
# user, item, rating, time: users 1 and 2, in another order than time
RATINGS = [(1, 3, 5, 300), (1, 1, 2, 100), (2, 1, 4, 50), (1, 2, 3, 200), (2, 3, 1, 50)]


def flags(*names: str) -> str:
    return "|".join("1" if genre in names else "0" for genre in GENRES)


def files_100k(ratings=RATINGS) -> dict[str, bytes]:
    items = [
        f"1|Toy Story (1995)|01-Jan-1995||http://example.org/?Toy%20Story|{flags('Animation', 'Comedy')}",
        f"2|Misérables, Les (1995)|01-Jan-1995||http://example.org/?Mis|{flags('Drama')}",
        f"3|unknown||||{flags('unknown')}",
        f"4|Never Rated (1996)|01-Jan-1996|||{flags('Drama')}",
    ]
    genres = "\n".join(f"{genre}|{number}" for number, genre in enumerate(GENRES)) + "\n\n"
    return {
        "u.data": "".join("\t".join(map(str, row)) + "\n" for row in ratings).encode(),
        "u.item": ("\n".join(items) + "\n").encode("latin-1"),
        "u.genre": genres.encode(),
    }


def files_1m(ratings=RATINGS) -> dict[str, bytes]:
    items = ["1::Toy Story (1995)::Animation|Children's|Comedy", "2::Star Wars: Misérables (1995)::Drama", "3::Odd:: Title (1995)::Sci-Fi"]
    return {
        "ratings.dat": "".join("::".join(map(str, row)) + "\n" for row in ratings).encode(),
        "movies.dat": ("\n".join(items) + "\n").encode("latin-1"),
    }


def write_zip(path: Path, files: dict[str, bytes], folder: str = "ml", method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, content in files.items():
            out.writestr(f"{folder}/{name}" if folder else name, content)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def many(n: int = 300) -> list[tuple[int, int, int, int]]:
    return [(1 + row % 30, 1 + row // 30 % 3, 1 + row % 5, row) for row in range(n)]


def test_100k_zip_is_read_in_time_order(tmp_path):
    data = read_movielens(write_zip(tmp_path / "any name.zip", files_100k()))
    assert data.name == "MovieLens 100K"
    assert data.has_time
    assert not data.synthetic
    assert data.dropped == {}
    np.testing.assert_array_equal(data.user_ids, [1, 2])
    np.testing.assert_array_equal(data.item_ids, [1, 2, 3])
    np.testing.assert_array_equal(data.histories[0], [0, 1, 2])
    np.testing.assert_array_equal(data.histories[1], [0, 2])  # equal times keep the file's order
    assert list(data.items["title"]) == ["Toy Story (1995)", "Misérables, Les (1995)", "unknown"]
    assert list(data.items["genres"]) == ["Animation|Comedy", "Drama", "unknown"]


def test_1m_zip_is_read(tmp_path):
    data = read_movielens(write_zip(tmp_path / "x.zip", files_1m()))
    assert data.name == "MovieLens 1M"
    np.testing.assert_array_equal(data.histories[0], [0, 1, 2])
    assert list(data.items["title"]) == ["Toy Story (1995)", "Star Wars: Misérables (1995)", "Odd:: Title (1995)"]
    assert list(data.items["genres"]) == ["Animation|Children's|Comedy", "Drama", "Sci-Fi"]


@pytest.mark.parametrize("make", [files_100k, files_1m])
def test_zip_folder_and_open_file_agree(tmp_path, make):
    path = write_zip(tmp_path / "a.zip", make())
    wanted = read_movielens(path).content_hash()
    assert read_movielens(str(path)).content_hash() == wanted
    assert read_movielens(io.BytesIO(path.read_bytes())).content_hash() == wanted
    assert read_movielens(write_zip(tmp_path / "flat.zip", make(), folder="")).content_hash() == wanted
    assert read_movielens(write_folder(tmp_path / "plain", make())).content_hash() == wanted
    subfolder = "ml-100k" if make is files_100k else "ml-1m"
    write_folder(tmp_path / "parent" / subfolder, make())
    assert read_movielens(tmp_path / "parent").content_hash() == wanted


@pytest.mark.parametrize("make", [files_100k, files_1m])
def test_windows_line_ends_change_nothing(tmp_path, make):
    crlf = {name: content.replace(b"\n", b"\r\n") for name, content in make().items()}
    data = read_movielens(write_folder(tmp_path / "crlf", crlf))
    assert data.content_hash() == read_movielens(write_folder(tmp_path / "lf", make())).content_hash()
    assert data.items["title"].iloc[0] == "Toy Story (1995)"
    assert data.items["genres"].iloc[0].endswith("Comedy")


def test_min_rating_drops_and_counts(tmp_path):
    path = write_zip(tmp_path / "a.zip", files_100k())
    data = read_movielens(path, min_rating=3)
    assert data.n_interactions == 3
    assert data.dropped == {"ratings below 3": 2}
    for value in (0.5, 6, float("nan")):
        with pytest.raises(ValueError, match=r"min_rating must lie in \[1, 5\]"):
            read_movielens(path, min_rating=value)
    with pytest.raises(ValueError, match="no usable rows"):
        read_movielens(write_zip(path, files_100k([(1, 1, 2, 3)])), min_rating=5)


BAD_ROWS = [
    "1{s}2{s}3",
    "1{s}2{s}3{s}4{s}5",
    "x{s}2{s}3{s}4",
    "1{s}2{s}9{s}4",
    "-1{s}2{s}3{s}4",
    "1{s}2{s}3.5{s}4",
    "1{s}99999999999999999999{s}3{s}4",
    "noise",
]


@pytest.mark.parametrize("row", BAD_ROWS)
@pytest.mark.parametrize(("make", "name", "separator"), [(files_100k, "u.data", "\t"), (files_1m, "ratings.dat", "::")])
def test_a_few_malformed_ratings_are_dropped_and_counted_and_many_refused_by_line(tmp_path, make, name, separator, row):
    files = make(many())
    wanted = read_movielens(write_zip(tmp_path / "good.zip", files))
    files[name] = files[name].replace(b"\n", ("\n" + row.format(s=separator) + "\n").encode(), 1)
    data = read_movielens(write_zip(tmp_path / "a.zip", files))
    assert data.content_hash() == wanted.content_hash()
    assert data.dropped == {f"malformed lines in {name}": 1, **wanted.dropped}
    files = make()
    files[name] = files[name].replace(b"\n", ("\n\n" + row.format(s=separator) + "\n").encode(), 1)
    with pytest.raises(ValueError, match=rf"{name}: 1 of 6 lines are malformed \(at most 1% may be\), the first at line 3$"):
        read_movielens(write_zip(tmp_path / "a.zip", files))


@pytest.mark.parametrize(
    ("make", "name", "change", "message"),
    [
        # A long and a short line do not cancel out.
        (files_100k, "u.data", lambda text: text + b"1\t2\t3\n1\t2\t3\t4\t5\n", "2 of 7 lines are malformed"),
        (files_1m, "ratings.dat", lambda text: text.replace(b"::", b"\t"), "5 of 5 lines are malformed"),
        (files_100k, "u.item", lambda text: text + b"no item at all\n", "1 of 5 lines are malformed"),
        (files_1m, "movies.dat", lambda text: text + b"no item at all\n", "1 of 4 lines are malformed"),
        (files_100k, "u.item", lambda text: text.replace(b"|0\n", b"\n"), "4 of 4 lines are malformed"),
    ],
)
def test_malformed_lines_are_refused(tmp_path, make, name, change, message):
    files = make()
    files[name] = change(files[name])
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        read_movielens(write_zip(tmp_path / "a.zip", files))


@pytest.mark.parametrize("content", [b"", b"Action\n", b"unknown|0\nAction|2\n"])
def test_bad_genre_list_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match=r"u\.genre: every line must be"):
        read_movielens(write_zip(tmp_path / "a.zip", files_100k() | {"u.genre": content}))


@pytest.mark.parametrize(("make", "name"), [(files_100k, "u.item"), (files_100k, "u.genre"), (files_1m, "movies.dat")])
def test_missing_member_is_named(tmp_path, make, name):
    files = {key: content for key, content in make().items() if key != name}
    with pytest.raises(ValueError, match=rf"looked for {name}, which is missing"):
        read_movielens(write_zip(tmp_path / "a.zip", files))
    with pytest.raises(ValueError, match=rf"looked for {name}, which is missing"):
        read_movielens(write_folder(tmp_path / "folder", files))


def test_neither_or_both_data_sets(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"looked for u\.data \(MovieLens 100K\) or ratings\.dat \(MovieLens 1M\) or ratings\.dat \(MovieLens 10M\); found neither",
    ):
        read_movielens(write_zip(tmp_path / "a.zip", {"ratings.csv": b"userId,movieId\n"}))
    with pytest.raises(ValueError, match="found both"):
        read_movielens(write_folder(tmp_path / "both", files_100k() | files_1m()))


@pytest.mark.parametrize("make", [files_100k, files_1m])
def test_empty_ratings(tmp_path, make):
    with pytest.raises(ValueError, match="no usable rows"):
        read_movielens(write_zip(tmp_path / "a.zip", make(ratings=[])))


def test_missing_path_and_other_files(tmp_path):
    with pytest.raises(ValueError, match=r"no archive or folder at .*nowhere"):
        read_movielens(tmp_path / "nowhere.zip")
    (tmp_path / "noise.zip").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(ValueError, match=r"noise\.zip is not a readable \.zip archive"):
        read_movielens(tmp_path / "noise.zip")
    with pytest.raises(ValueError, match=r"is not a readable \.zip archive"):
        read_movielens(io.BytesIO(b""))


def test_damaged_member_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", files_100k(), method=zipfile.ZIP_STORED)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"1\t3\t5\t300", b"1\t3\t4\t300"))
    with pytest.raises(ValueError, match=r"cannot read u\.data: .*CRC"):
        read_movielens(path)


def test_absurd_sizes_are_refused(tmp_path):
    path = write_zip(tmp_path / "bomb.zip", files_100k() | {"u.data": b"0" * 100_000})
    limits = replace(OWN_FILES, unpacked_bytes=50_000)
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match=r"u\.data has 100,000 bytes once unpacked; at most 50,000 are read"):
        read_movielens(path, limits=limits)
    with pytest.raises(ValueError, match=r"u\.data has 50,001 bytes once unpacked; at most 50,000 are read"):
        read_movielens(write_folder(tmp_path / "folder", {"u.data": b"0" * 50_001}), limits=limits)


def test_a_size_that_lies_is_refused():
    with pytest.raises(ValueError, match="x has 11 or more bytes once unpacked; at most 10 are read"):
        list(archive._bounded(io.BytesIO(b"0" * 11), 5, replace(OWN_FILES, unpacked_bytes=10), "x"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("u.data", b"1\t1\t5\t1\n" * 8, "u.data has 8 or more rows; at most 7 are read"),
        ("u.item", b"1|" + b"a" * 300 + b"\n", "u.item has 302 bytes in one cell or line; at most 200 are read"),
        ("u.item", b"a" * 300, "u.item has 300 or more bytes in one cell or line; at most 200 are read"),
        ("u.genre", b"a|0\n" * 600, "u.genre has 600 lines; at most 500 are read"),
    ],
)
def test_rows_and_lines_are_limited(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write_zip(tmp_path / "a.zip", files_100k() | {name: content})
    with pytest.raises(ValueError, match=message):
        read_movielens(path, limits=replace(OWN_FILES, rows=7, cell_bytes=200))


def test_nothing_is_extracted_whatever_the_member_is_called(tmp_path):
    path = write_zip(tmp_path / "a.zip", files_100k(), folder="../../outside")
    assert read_movielens(path).n_interactions == 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zip"]


def test_macos_shadow_files_and_deeper_copies_are_ignored(tmp_path):
    files = {f"ml-100k/{name}": content for name, content in files_100k().items()}
    shadows = {"__MACOSX/u.data": b"\x00shadow", **files, "ml-100k/old/u.data": b"other"}
    assert read_movielens(write_zip(tmp_path / "a.zip", shadows, folder="")).n_interactions == 5


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


MOVIES_10M = "1::Toy Story (1995)::Animation|Comedy\n2::Amélie (2001)::Romance\n7::a::b (1999)::Drama\n"
RATINGS_10M = ["1::2::4.5::20", "1::1::5::10", "2::7::0.5::5", "2::2::3::6", "9::1::1.5::7"]


def write_10m(folder: Path, ratings: list[str], tags: bool = True) -> Path:
    files = {"ratings.dat": "".join(f"{line}\n" for line in ratings), "movies.dat": MOVIES_10M}
    files |= {"tags.dat": "1::2::x::3\n"} if tags else {}
    return write_zip(folder / "any.zip", {name: content.encode() for name, content in files.items()}, DATASETS["ml-10m"].folder)


def test_half_stars_and_utf8_titles_are_read(tmp_path: Path) -> None:
    data = read_movielens(write_10m(tmp_path, RATINGS_10M))
    assert data.name == "MovieLens 10M"
    assert data.item_ids.tolist() == [1, 2, 7]
    assert data.items["title"].tolist() == ["Toy Story (1995)", "Amélie (2001)", "a::b (1999)"]
    assert data.items["genres"].tolist() == ["Animation|Comedy", "Romance", "Drama"]
    assert [data.histories[row].tolist() for row in range(3)] == [[0, 1], [2, 1], [0]]


def test_min_rating_knows_half_stars(tmp_path: Path) -> None:
    data = read_movielens(write_10m(tmp_path, RATINGS_10M), min_rating=4.5)
    assert data.n_interactions == 2
    assert data.dropped == {"ratings below 4.5": 3}


def test_extracted_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_10m(tmp_path, RATINGS_10M)) as archive:
        archive.extractall(tmp_path)
    assert read_movielens(tmp_path / "ml-10M100K").n_interactions == 5


@pytest.mark.parametrize("stars", ["0", "5.5", "2.25", "-1", "x"])
def test_other_ratings_are_malformed(stars: str, tmp_path: Path) -> None:
    lines = [f"{user}::1::4.5::1" for user in range(200)]
    data = read_movielens(write_10m(tmp_path, [*lines, f"200::1::{stars}::1"]))
    assert data.dropped == {"malformed lines in ratings.dat": 1}
    with pytest.raises(ValueError, match=r"ratings.dat: 1 of 6 lines are malformed"):
        read_movielens(write_10m(tmp_path, [*RATINGS_10M, f"200::1::{stars}::1"]))


def test_without_tags_it_is_taken_for_1m_and_half_stars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ratings.dat: 3 of 5 lines are malformed"):
        read_movielens(write_10m(tmp_path, RATINGS_10M, tags=False))

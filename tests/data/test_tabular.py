from __future__ import annotations

import datetime
import io
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcode.data.limits import OWN_FILES, UPLOADS, Limits
from sparcode.data.table_file import TableFile
from sparcode.data.tabular import ColumnMapping, guess_columns, read_table

CSV = """user_id,item_id,timestamp,rating
ann,007,30,5
ann,8,10,2
bob,007,5,4
ann,9,20,3
"""


def write(path, text: str):
    path.write_text(text, encoding="utf-8")
    return path


def histories(data) -> dict[str, list[str]]:
    return {user: data.item_ids[items].tolist() for user, items in zip(data.user_ids, data.histories, strict=True)}


EXPECTED = {"ann": ["8", "9", "007"], "bob": ["007"]}


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t"), ("A.CSV", ",")])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_text_tables(tmp_path, name, separator, line_end, start):
    path = tmp_path / name
    path.write_bytes((start + CSV).replace(",", separator).replace("\n", line_end).encode())
    data = read_table(path)
    assert histories(data) == EXPECTED
    assert data.name.lower() == "a"
    assert data.has_time
    assert not data.synthetic
    assert data.dropped == {}
    assert data.items["title"].tolist() == ["007", "8", "9"]


def test_parquet_tables(tmp_path):
    frame = pd.read_csv(io.StringIO(CSV), dtype={"item_id": str})
    frame.to_parquet(tmp_path / "a.parquet")
    assert histories(read_table(tmp_path / "a.parquet")) == EXPECTED


def test_open_files_and_uploads(tmp_path):
    upload = io.BytesIO(CSV.encode())
    assert histories(read_table(upload, name="upload.csv")) == EXPECTED
    assert TableFile(upload, name="upload.csv").columns == ["user_id", "item_id", "timestamp", "rating"]  # read again from its start
    with write(tmp_path / "a.csv", CSV).open("rb") as file:
        assert histories(read_table(file)) == EXPECTED
    with pytest.raises(ValueError, match=r"\(unnamed file\): unsupported extension ''"):
        read_table(io.BytesIO(CSV.encode()))


def test_common_names_are_guessed_and_reported(tmp_path, caplog):
    path = write(tmp_path / "a.csv", "userId,movieId,rating,ts,noise\nann,8,5,2,\nann,9,4,1,x\n")
    with caplog.at_level(logging.INFO, logger="sparcode.data.tabular"):
        data = read_table(path)
    assert histories(data) == {"ann": ["9", "8"]}
    assert "'user': 'userId', 'item': 'movieId', 'timestamp': 'ts', 'rating': 'rating'" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="sparcode.data.tabular"):
        read_table(path, {"user": "userId", "item": "movieId", "rating": "rating"})
    assert "columns taken by their names: {'timestamp': 'ts'}" in caplog.text


def test_guess():
    wanted = ColumnMapping(user="User", item="Product ID", timestamp="time", title="name", genres="category")
    assert guess_columns(["Product ID", "category", "name", "time", "User"]) == wanted
    assert guess_columns(["user", "user_id", "item"]).user == "user_id"
    with pytest.raises(ValueError, match=r"cannot tell which column holds the user and the item ids.*Present: \['a', 'b'\]"):
        guess_columns(["a", "b"])


def test_mapping_names_the_columns(tmp_path):
    path = write(tmp_path / "a.csv", "who,what,when,user_id\nann,x,2,1\nann,y,1,1\n")
    assert histories(read_table(path, ColumnMapping(user="who", item="what", timestamp="when"))) == {"ann": ["y", "x"]}
    untimed = read_table(path, ColumnMapping(user="who", item="what"))
    assert histories(untimed) == {"ann": ["x", "y"]}
    assert not untimed.has_time
    with pytest.raises(ValueError, match=r"no column\(s\) \['then'\]; it has \['who', 'what', 'when', 'user_id'\]"):
        read_table(path, ColumnMapping(user="who", item="what", timestamp="then"))


def test_mapping_is_validated_and_survives_json():
    mapping = ColumnMapping(user="who", genres="tags")
    assert ColumnMapping.model_validate_json(mapping.model_dump_json()) == mapping
    with pytest.raises(ValueError, match=r"\['x'\] is mapped more than once"):
        ColumnMapping(user="x", item="x")
    with pytest.raises(ValueError, match="at least 1 character"):
        ColumnMapping(user="")


def test_min_rating(tmp_path):
    path = write(tmp_path / "a.csv", CSV + "bob,8,1,\n")
    data = read_table(path, min_rating=3.5)
    assert histories(data) == {"ann": ["007"], "bob": ["007"]}
    assert data.dropped == {"rows with an empty rating": 1, "ratings below 3.5": 2}
    assert read_table(path).n_interactions == 5  # without a minimum an empty rating does not matter
    with pytest.raises(ValueError, match="min_rating=3 needs a rating column"):
        read_table(path, ColumnMapping(), min_rating=3)
    with pytest.raises(ValueError, match="min_rating must be a finite number; got nan"):
        read_table(path, min_rating=float("nan"))
    with pytest.raises(ValueError, match="no usable rows"):
        read_table(path, min_rating=9)


@pytest.mark.parametrize(
    "times",
    [
        ["1.5", "1e3", "200"],
        ["2024-01-31", "2024-02-02", "2024-02-01"],
        ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00-02:00", "2024-01-01 10:30"],
        ["1700000000000000000", "1700000000900000000", "1700000000500000000"],
    ],
)
def test_times_are_numbers_or_iso_texts(tmp_path, times):
    rows = "".join(f"ann,{item},{time}\n" for item, time in zip("abc", times, strict=True))
    assert histories(read_table(write(tmp_path / "a.csv", "user,item,time\n" + rows))) == {"ann": ["a", "c", "b"]}


@pytest.mark.parametrize("column", ["timestamp", "rating"])
def test_unreadable_values_are_refused_by_row(tmp_path, column):
    values = {"timestamp": "1", "rating": "1"} | {column: "soon"}
    path = write(tmp_path / "a.csv", CSV + f"bob,8,{values['timestamp']},{values['rating']}\n")
    with pytest.raises(ValueError, match=rf"a\.csv: column '{column}': 1 of 5 values are not numbers.*the first is 'soon' in data row 5"):
        read_table(path)


@pytest.mark.parametrize(
    ("column", "reason"), [("timestamp", "rows with an unreadable time"), ("rating", "rows with an unreadable rating")]
)
@pytest.mark.parametrize("value", ["soon", "inf", "nan"])
def test_a_few_unreadable_values_are_dropped_and_counted(tmp_path, column, reason, value):
    frame = pd.DataFrame({"user_id": np.arange(200) % 9, "item_id": np.arange(200), "timestamp": np.arange(200), "rating": 3}).astype(str)
    frame.loc[7, column] = value
    frame.to_csv(tmp_path / "a.csv", index=False)
    data = read_table(tmp_path / "a.csv")
    assert data.dropped == {reason: 1}
    assert data.n_interactions == 199
    assert "7" not in data.item_ids


def test_empty_cells_are_dropped_and_counted(tmp_path):
    data = read_table(write(tmp_path / "a.csv", CSV + ",8,1,1\nbob,,1,1\nbob,8,,1\n"))
    assert histories(data) == EXPECTED
    assert data.dropped == {"rows with an empty user, item or time": 3}


def test_ids_such_as_na_are_texts(tmp_path):
    data = read_table(write(tmp_path / "a.csv", "user,item\nNA,null\nNA,NaN\n"))
    assert histories(data) == {"NA": ["null", "NaN"]}


@pytest.mark.parametrize("row", ["ann,8", "ann,8,1,2,3"])
def test_malformed_rows(tmp_path, row):
    with pytest.raises(ValueError, match=r"a\.csv: 1 of 5 rows are malformed.*the first is row 6.*it has [25] cells, the header 4"):
        read_table(write(tmp_path / "a.csv", CSV + row + "\n"))
    many = "".join(f"u{number},{number},1,1\n" for number in range(200))
    data = read_table(write(tmp_path / "a.csv", CSV + row + "\n" + many))
    assert data.n_interactions == 204
    assert data.dropped == {"malformed rows": 1}


def test_quoted_cells(tmp_path):
    path = write(tmp_path / "a.csv", 'user,item,title\nann,"x,1","A ""good"" one\nin two lines"\nann,y,plain\n')
    data = read_table(path)
    assert histories(data) == {"ann": ["x,1", "y"]}
    assert data.items["title"].tolist() == ['A "good" one\nin two lines', "plain"]
    with pytest.raises(ValueError, match="odd number of double quotes"):
        read_table(write(tmp_path / "b.csv", 'user,item\nann,"x\nbob,y\n'))


def test_titles_and_genres_of_the_same_table(tmp_path):
    text = "user,item,title,genres\nann,2,Two,A|B\nbob,2,Deux,C\nbob,1,,\n"
    data = read_table(write(tmp_path / "a.csv", text))
    assert data.items["title"].tolist() == ["1", "Two"]
    assert data.items["genres"].iloc[1] == "A|B"


def test_item_table(tmp_path):
    path = write(tmp_path / "a.csv", "user,item,title\nann,07,wrong\nann,8,wrong\nann,9,wrong\n")
    items = write(tmp_path / "movies.csv", "movieId,title,genres\n8,Eight,A|B\n07,Seven,\n7,Other,C\n,None,\n")
    data = read_table(path, items_path=items)
    assert data.items["title"].tolist() == ["Seven", "Eight", "9"]
    assert data.items["genres"].iloc[1] == "A|B"
    named = write(tmp_path / "named.tsv", "what\tcalled\n8\tEight\n")
    mapping = ColumnMapping(user="user", item="item", title="called")
    with pytest.raises(ValueError, match=r"named\.tsv: cannot tell which column holds the item; it has \['what', 'called'\]"):
        read_table(path, mapping, items_path=named)
    named.write_text("item\tcalled\n8\tEight\n")
    assert read_table(path, mapping, items_path=named).items["title"].tolist() == ["07", "Eight", "9"]


def test_item_table_that_does_not_fit(tmp_path):
    path = write(tmp_path / "a.csv", CSV)
    with pytest.raises(ValueError, match=r"item table i\.csv: cannot tell which column holds the title; it has \['item', 'x'\]"):
        read_table(path, items_path=write(tmp_path / "i.csv", "item,x\n8,1\n"))
    with pytest.raises(ValueError, match=r"item table j\.csv: column 'item' \('7', ...\) has none of the item ids \('007', ...\)"):
        read_table(path, items_path=write(tmp_path / "j.csv", "item,title\n7,Seven\n"))
    with pytest.raises(ValueError, match=r"k\.csv: no column\(s\) \['label'\]; it has \['item', 'title'\]"):
        read_table(path, ColumnMapping(title="label"), items_path=write(tmp_path / "k.csv", "item,title\n8,Eight\n"))


def parquet(path, **columns):
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def test_parquet_column_types(tmp_path):
    times = [datetime.datetime(2024, 1, day, tzinfo=datetime.UTC) for day in (3, 1, 2)]
    path = parquet(
        tmp_path / "a.parquet",
        user=pa.array(["ann", "ann", "bob"]).dictionary_encode(),
        item=pa.array([7.0, 8.0, None]),
        time=pa.array(times),
        rating=pa.array([4, None, 5]),
        genres=pa.array([["A", "B"], None, []]),
    )
    data = read_table(path)
    assert histories(data) == {"ann": ["8", "7"]}
    assert data.items["genres"].tolist()[0] == "A|B"
    assert data.dropped == {"rows with an empty user, item or time": 1}
    path = parquet(tmp_path / "b.parquet", user=[1, 1], item=[70, 8], date=[datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)])
    assert histories(read_table(path)) == {"1": ["8", "70"]}
    path = parquet(tmp_path / "c.parquet", user=[1, 1], item=[70, 8], time=pa.array(["2024-01-02", "2024-01-01"]).dictionary_encode())
    assert histories(read_table(path)) == {"1": ["8", "70"]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": [1.5], "item": [1]}, "ids in column 'user' must be whole numbers or text"),
        ({"user": [[1]], "item": [1]}, r"ids in column 'user' must be integers or text; its type is list"),
        ({"user": [True], "item": [1]}, r"ids in column 'user' must be integers or text; its type is bool"),
        ({"user": [1], "item": [1], "rating": [True]}, "column 'rating' must hold numbers; its type is bool"),
        ({"user": [1], "item": [1], "rating": ["good"]}, "column 'rating': 1 of 1 values are not numbers.*'good' in data row 1"),
        ({"user": [1], "item": [1], "time": [{"a": 1}]}, "column 'time' cannot be read; its type is struct"),
        ({"user": [1], "item": [1], "title": [{"a": 1}]}, "column 'title' cannot be read; its type is struct"),
    ],
)
def test_parquet_columns_of_other_types(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        read_table(parquet(tmp_path / "a.parquet", **columns))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK", r"a\.xlsx: unsupported extension '\.xlsx'; allowed are \.csv, \.tsv, \.parquet"),
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b"\n \n", r"a\.csv is empty"),
        ("a.parquet", b"", r"a\.parquet is empty"),
        ("a.csv", b"user,item\n", "has a header but no rows"),
        ("a.csv", b"user,item\n,\n", "no usable rows"),
        ("a.csv", bytes(range(256)), r"a\.csv is not UTF-8 text \(it holds zero bytes"),
        ("a.csv", b"user,item\nJos\xe9,1\n", r"a\.csv is not UTF-8 text \(byte 13\)"),
        ("a.csv", "user,item\nann,1\n".encode("utf-16"), "saved as UTF-16"),
        ("a.csv", b"user,item,user\nann,1,2\n", r"repeated column name\(s\) \['user'\]"),
        ("a.csv", b"x" * 200_000, r"a\.csv: the header line cannot be read: field larger than field limit"),
        ("a.parquet", b"user,item\nann,1\n", r"a\.parquet is not a readable Parquet file"),
        ("a.parquet", b"PAR1" + bytes(100) + b"PAR1", r"a\.parquet is not a readable Parquet file"),
    ],
)
def test_unusable_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"no file at .*nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"no file at .*nowhere\.csv"):
        read_table(write(tmp_path / "a.csv", CSV), items_path=tmp_path / "nowhere.csv")


def test_damaged_parquet_content(tmp_path):
    path = parquet(tmp_path / "a.parquet", user=[f"u{number}" for number in range(999)], item=list(range(999)))
    raw = bytearray(path.read_bytes())
    raw[4:600] = bytes(596)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"a\.parquet is a damaged Parquet file"):
        read_table(path)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"file_bytes": 20}, r"a\.csv has [0-9]+ bytes; at most 20 are read"),
        ({"rows": 3}, r"a\.csv has 4 rows; at most 3 are read"),
        ({"columns": 3}, r"a\.csv has 4 columns; at most 3 are read"),
        ({"cell_bytes": 8}, r"a\.csv has 9 bytes in one cell or line; at most 8 are read"),
        ({"cell_bytes": 9}, r"a\.csv has 12 bytes in one cell or line; at most 9 are read"),
    ],
)
def test_absurd_tables_are_refused(tmp_path: Path, limit: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "a.csv", CSV.replace("007", "twelve bytes")), limits=replace(OWN_FILES, **limit))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": pa.array(["x" * 20_000] * 90).dictionary_encode()}, "has 20,000 bytes in one cell or line; at most 5,000 are read"),
        ({"user": ["x" * 4_000] * 300}, "has 1,200,000 or more bytes once unpacked; at most 1,000,000 are read"),
        ({"genres": [["x" * 4_000] * 10] * 30}, "has 1,20[0-9,]+ or more bytes once unpacked; at most 1,000,000 are read"),
        ({"genres": [["x"] * 4_000] * 40}, "has [0-9,]+ or more bytes once unpacked; at most 1,000,000 are read"),
        ({"user": pa.array([b"x" * 4_000] * 300, pa.binary(4_000))}, "has 1,20[0-9,]+ bytes once unpacked"),
        ({"user": np.zeros(60_000, np.int8)}, "has 60,000 rows; at most 50,000 are read"),
        ({f"c{number}": [1] for number in range(101)}, "has 10[0-9] columns; at most 100 are read"),
    ],
)
def test_small_parquet_files_that_unpack_to_much_are_refused(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    n_rows = len(next(iter(columns.values())))
    path = parquet(tmp_path / "a.parquet", **{"user": np.zeros(n_rows, np.int8), "item": np.zeros(n_rows, np.int8)} | columns)
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match=message):
        read_table(path, limits=Limits(file_bytes=10**6, unpacked_bytes=10**6, rows=50_000, columns=100, cell_bytes=5_000))


def test_a_header_of_very_many_names_is_refused_at_once(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(80_000)]
    path = write(tmp_path / "a.csv", f"user,item,{','.join(names)},c7,c9\n")
    with pytest.raises(ValueError, match=r"a\.csv: repeated column name\(s\) \['c7', 'c9'\]"):
        read_table(path)
    with pytest.raises(ValueError, match=r"a\.csv has 80,004 columns; at most 1,000 are read"):
        read_table(path, limits=UPLOADS)
    with pytest.raises(ValueError, match=r"Present: \['c0', .*'c19' and 79,980 more\]$"):
        read_table(write(path, f"{','.join(names)}\n"))


def test_very_many_malformed_rows_end_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "user,item\n" + "a\n" * 20_000)
    with pytest.raises(ValueError, match=r"10,001 or more of at most 20,002 rows are malformed .* the first is row 2"):
        read_table(path)


@pytest.mark.parametrize("column", ["time", "rating"])
def test_numbers_of_very_many_digits_are_unreadable_cells(tmp_path: Path, column: str) -> None:
    rows = "".join(f"u{row % 5},{row},1\n" for row in range(150))
    data = read_table(write(tmp_path / "a.csv", f"user,item,{column}\n{rows}u1,x,{'9' * 5000}\n"))
    assert data.dropped == {f"rows with an unreadable {column}": 1}
    with pytest.raises(ValueError, match=rf"column '{column}': 1 of 1 values are not numbers.*the first is '9{{80}}'\.\.\. in data row 1"):
        read_table(write(tmp_path / "a.csv", f"user,item,{column}\nu1,x,{'9' * 5000}\n"))


USERS = "user,job,age\nb,cook,30\na,,40\nz,cook,1\nb,actor,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "visits.csv").write_text("user,item\na,x\nb,x\nc,y\n")
    return tmp_path / "visits.csv"


def test_numbers_are_numbers_and_the_rest_categories(table: Path, tmp_path: Path) -> None:
    users = read_table(table, users_path=write(tmp_path / "users.csv", USERS)).users
    assert users["job"].tolist()[1] == "cook"
    assert pd.isna(users["job"][0])
    np.testing.assert_array_equal(users["age"], [40, 30, np.nan])


def test_parquet_and_another_name_of_the_id_column(table: Path, tmp_path: Path) -> None:
    pd.DataFrame({"who": ["a", "b"], "age": [1.5, 2.5], "member": [True, False]}).to_parquet(tmp_path / "u.parquet")
    (tmp_path / "visits.csv").write_text("who,item\na,x\nb,x\n")
    users = read_table(table, ColumnMapping(user="who", item="item"), users_path=tmp_path / "u.parquet").users
    assert users["age"].tolist() == [1.5, 2.5]
    assert users["member"].tolist() == ["true", "false"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name_of,age\na,1\n", "user table users.csv: cannot tell which column holds the user ids"),
        ("user\na\n", "users.csv has no column beside 'user'"),
        ("user,age\nQ,1\n", r"column 'user' \('Q', ...\) has none of the user ids \('a', ...\)"),
    ],
)
def test_what_is_wrong_is_named(table: Path, tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(table, users_path=write(tmp_path / "users.csv", content))


plain_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters='"'), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(plain_text, plain_text), min_size=1, max_size=20))
def test_any_text_ids_survive(rows):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    wanted: dict[str, list[str]] = {}
    for user, item in rows:
        if item not in wanted.setdefault(user, []):
            wanted[user].append(item)
    written = io.BytesIO()
    frame.to_csv(written, index=False, quoting=1, encoding="utf-8")
    assert histories(read_table(written, name="a.csv")) == wanted
    written = io.BytesIO()
    frame.to_parquet(written)
    assert histories(read_table(written, name="a.parquet")) == wanted


def test_a_stream_that_does_not_say_its_size_is_read_up_to_the_limit() -> None:
    stream = io.BytesIO(CSV.encode())
    stream.name = "a.csv"
    with pytest.raises(ValueError, match=r"a\.csv has 21 or more bytes; at most 20 are read"):
        read_table(stream, limits=replace(OWN_FILES, file_bytes=20))

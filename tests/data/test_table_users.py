from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparcode.data.loading import load
from sparcode.data.tabular import ColumnMapping, read_table

USERS = "user,job,age\nb,cook,30\na,,40\nz,cook,1\nb,actor,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "visits.csv").write_text("user,item\na,x\nb,x\nc,y\n")
    return tmp_path / "visits.csv"


def users_file(folder: Path, content: str, name: str = "users.csv") -> Path:
    (folder / name).write_text(content)
    return folder / name


def test_numbers_are_numbers_and_the_rest_categories(table: Path, tmp_path: Path) -> None:
    users = load(table, users_path=users_file(tmp_path, USERS)).users
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
        load(table, users_path=users_file(tmp_path, content))


def test_it_is_for_tables_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="users_path cannot be used with synthetic data"):
        load("synthetic", users_path=users_file(tmp_path, USERS))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparcode.config import SplitConfig
from sparcode.data.fixed_split import read_fixed_split

CONFIG = SplitConfig(validation_share=0.4, target_share=0.25, min_history=4, seed=1)


def write(folder: Path, name: str, pairs: list[tuple], columns: tuple[str, str] = ("user_id", "item_id")) -> Path:
    path = folder / f"{name}.parquet"
    pd.DataFrame(pairs, columns=list(columns)).to_parquet(path)
    return path


def pairs_of(histories, user_ids, item_ids, users) -> set[tuple[int, int]]:
    return {(int(user_ids[users[row]]), int(item_ids[item])) for row in range(len(histories)) for item in histories[row]}


def made_split(folder: Path) -> tuple[list, list]:
    rng = np.random.default_rng(0)
    train, test = [], []
    for user in range(10, 30):
        items = rng.permutation(40)[:9] * 3
        train += [(user, int(item)) for item in items[:6]]
        test += [(user, int(item)) for item in items[6:]]
    write(folder, "train", train)
    write(folder, "test", test)
    return train, test


def test_test_queries_are_all_training_items_and_targets_the_test_file(tmp_path: Path) -> None:
    train, test = made_split(tmp_path)
    data, split = read_fixed_split(tmp_path / "train.parquet", tmp_path / "test.parquet", CONFIG)
    assert pairs_of(split.test.queries, data.user_ids, data.item_ids, split.test.users) == set(train)
    assert pairs_of(split.test.targets, data.user_ids, data.item_ids, split.test.users) == set(test)
    assert data.n_interactions == len(train)
    assert data.n_items == len({item for _, item in train + test})
    assert not split.has_time
    assert data.dropped == {}


def test_validation_items_are_taken_out_of_training(tmp_path: Path) -> None:
    train, _ = made_split(tmp_path)
    data, split = read_fixed_split(tmp_path / "train.parquet", tmp_path / "test.parquet", CONFIG)
    held = pairs_of(split.validation.targets, data.user_ids, data.item_ids, split.validation.users)
    trained = pairs_of(split.train, data.user_ids, data.item_ids, split.train_users)
    assert len(split.validation.users) == 8  # 40% of 20 users
    assert split.validation.targets.lengths.tolist() == [2] * 8  # a quarter of 6, rounded
    assert held | trained == set(train)
    assert not held & trained
    assert pairs_of(split.validation.queries, data.user_ids, data.item_ids, split.validation.users) <= trained


def test_the_seed_decides_who_validates(tmp_path: Path) -> None:
    made_split(tmp_path)
    paths = (tmp_path / "train.parquet", tmp_path / "test.parquet")
    first, again = (read_fixed_split(*paths, CONFIG)[1] for _ in range(2))
    other = read_fixed_split(*paths, CONFIG.model_copy(update={"seed": 2}))[1]
    np.testing.assert_array_equal(first.train.items, again.train.items)
    assert not np.array_equal(first.validation.users, other.validation.users)


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    train = [(1, "a"), (1, "b"), (1, "c"), (1, "d"), (1, "a"), (2, "a"), (2, None)]
    test = [(1, "a"), (1, "e"), (3, "b"), (3, "c")]
    data, split = read_fixed_split(write(tmp_path, "train", train), write(tmp_path, "test", test), CONFIG)
    assert data.dropped == {
        "training rows with an empty user or item": 1,
        "repeated training pairs": 1,
        "test pairs that are also in training": 1,
        "test users without training items": 1,
    }
    assert data.user_ids.tolist() == [1, 2]
    assert [data.item_ids[item] for item in split.test.targets[0]] == ["e"]
    assert len(split.test.users) == 1


@pytest.mark.parametrize(
    ("train", "columns", "message"),
    [
        ([(1, 2)], ("user", "item_id"), r"training file: train.parquet: no column\(s\) \['user_id'\]; it has \['user', 'item_id'\]"),
        ([], ("user_id", "item_id"), "training file .* has no usable rows"),
        ([(1, 2), (1, 3)], ("user_id", "item_id"), "min_history=4 training items or more"),
        ([(1, 0.5)], ("user_id", "item_id"), "ids in column 'item_id' must be whole numbers or text"),
        ([(1, "a")], ("user_id", "item_id"), "ids of different types"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, train: list, columns: tuple[str, str], message: str) -> None:
    test = write(tmp_path, "test", [(1, 7)])
    with pytest.raises(ValueError, match=message):
        read_fixed_split(write(tmp_path, "train", train, columns), test, CONFIG)


def test_a_missing_file_and_a_file_that_is_no_parquet_are_named(tmp_path: Path) -> None:
    made_split(tmp_path)
    with pytest.raises(ValueError, match=r"test file: no file at .*none\.parquet"):
        read_fixed_split(tmp_path / "train.parquet", tmp_path / "none.parquet", CONFIG)
    (tmp_path / "text.parquet").write_text("user_id,item_id\n1,2\n")
    with pytest.raises(ValueError, match=r"test file: text\.parquet is not a readable Parquet file"):
        read_fixed_split(tmp_path / "train.parquet", tmp_path / "text.parquet", CONFIG)

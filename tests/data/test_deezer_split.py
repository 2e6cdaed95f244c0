from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparcode.data.deezer import is_release, read_deezer
from sparcode.data.deezer_split import read_deezer_split
from sparcode.data.evaluation_protocol import COLD_START
from sparcode.data.loading import load
from tests.data.test_deezer import replaced, write_release


def test_features_are_in_spreads_from_the_mean_of_training_users(tmp_path: Path) -> None:
    data, split = read_deezer_split(write_release(tmp_path))
    # Raw: age_embedding0 is half the index, age_value the index, nb_favorite_songs the index or empty, which counts as 0.
    assert data.user_ids.tolist() == [0, 1]
    assert split.dropped == {"training users who heard no song that has a vector": 1}
    np.testing.assert_allclose(split.train.features, [[-1, -1, -1], [1, 1, 1]])
    np.testing.assert_allclose(split.test.queries.features[0, 0], (2.5 - 0.25) / 0.25)
    assert split.test.queries.features.max() == 10
    assert [column.name for column in split.user_encoding.columns] == ["age_embedding0", "age_value", "nb_favorite_songs"]


def test_queries_show_nothing_and_targets_are_what_was_heard(tmp_path: Path) -> None:
    data, split = read_deezer_split(write_release(tmp_path))
    assert split.protocol is split.validation.protocol is COLD_START
    assert split.train_queries.lengths.tolist() == [0, 0]
    np.testing.assert_array_equal(split.train_queries.features, split.train.features)
    assert [split.train[row].tolist() for row in range(2)] == [[0, 2], [0]]
    assert split.test.queries.lengths.tolist() == [0, 0, 0]
    assert split.test.targets.lengths.tolist() == [2, 0, 1]
    assert data.items["title"][0] == "song 10"
    np.testing.assert_allclose(np.linalg.norm(split.item_features, axis=1).mean(), 1, rtol=1e-5)
    assert split.user_vectors[:, 0].tolist() == [0, 1]


def test_a_feature_that_tells_nobody_apart_is_left_out(tmp_path: Path) -> None:
    write_release(tmp_path)
    replaced(tmp_path, "user_features_train_svd.parquet", "age_value", pa.array([7, 7, 7]))
    split = read_deezer_split(tmp_path)[1]
    assert split.user_encoding.n_features == split.train.n_features == split.test.queries.n_features == 2


def test_each_part_has_a_hash_of_its_own(tmp_path: Path) -> None:
    before = read_deezer_split(write_release(tmp_path))[0]
    assert list(before.parts) == ["song", "training", "validation", "test"]
    replaced(tmp_path, "user_features_validation_svd.parquet", "age_value", pa.array([8, 9]))
    after = read_deezer_split(tmp_path)[0]
    assert [part for part in before.parts if before.parts[part] != after.parts[part]] == ["validation"]
    assert before.content_hash() != after.content_hash()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age_value", pa.array(["a", "b", "c"]), "user_features_test_svd.parquet: age_value must hold numbers; got string"),
        ("age_value", pa.array([1.0, float("inf"), 2.0]), "user_features_test_svd.parquet: age_value holds numbers that are not finite"),
        ("age_value", None, "user_features_test_svd.parquet: feature 2 is 'nb_favorite_songs', but 'age_value' in user_features_train"),
        ("d1d30_songs", pa.array([1, 2, 3]), "d1d30_songs must hold lists of integers; got int64"),
        ("user_index", pa.array([5, 6, None]), "user_index must hold an integer in every row; got int64 with 1 empty"),
        ("user_index", pa.array([5, 6, 5]), "user_features_test_svd.parquet: user_index 5 stands twice"),
    ],
)
def test_what_is_wrong_names_file_and_column(tmp_path: Path, column: str, values: pa.Array | None, message: str) -> None:
    write_release(tmp_path)
    replaced(tmp_path, "user_features_test_svd.parquet", column, values)
    with pytest.raises(ValueError, match=message):
        read_deezer(tmp_path)


def test_nobody_to_validate_on_is_said(tmp_path: Path) -> None:
    write_release(tmp_path)
    empty = pa.array([[], []], pa.list_(pa.int32()))
    replaced(tmp_path, "user_features_validation_svd.parquet", "d1d30_songs", empty)
    with pytest.raises(ValueError, match="no user of the validation part heard a song that has a vector"):
        read_deezer_split(tmp_path)


def test_a_folder_is_told_by_the_published_names(tmp_path: Path) -> None:
    assert not is_release(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "user_features_test_mf.parquet")
    assert is_release(tmp_path)
    with pytest.raises(ValueError, match="Deezer's release, comes with its own split; use load_split"):
        load(tmp_path)

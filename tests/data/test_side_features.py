from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sparcode.data.side_features import CategoryColumn, NumberColumn, UserEncoding, genre_features

USERS = pd.DataFrame({"gender": ["F", "M", "F", "M", None, "X"], "age": [10.0, 20, 30, np.nan, 1000, 20], "same": ["a"] * 6})
TRAIN = np.arange(4)


def encoding() -> UserEncoding:
    made = UserEncoding.fit(USERS, TRAIN)
    assert made is not None
    return made


def test_values_means_and_spreads_are_those_of_training_users() -> None:
    spread = float(np.std([10, 20, 30]))
    assert encoding().columns == (CategoryColumn(name="gender", values=("F", "M")), NumberColumn(name="age", mean=20, spread=spread))
    np.testing.assert_allclose(
        encoding().encode(USERS),
        [[1, 0, -10 / spread], [0, 1, 0], [1, 0, 10 / spread], [0, 1, 0], [0, 0, 10], [0, 0, 0]],
        rtol=1e-6,
    )
    assert encoding().encode(USERS).dtype == np.float32
    assert encoding().n_features == 3


def test_a_value_of_one_training_user_gets_no_feature() -> None:
    users = pd.DataFrame({"job": ["a", "a", "b", "c", "c"]})
    assert UserEncoding.fit(users, np.arange(3)).columns[0].values == ("a",)
    assert UserEncoding.fit(users.iloc[2:4], np.arange(2)) is None
    assert UserEncoding.fit(pd.DataFrame({"age": [3, 3, 3]}), np.arange(3)) is None


def test_a_described_user_is_encoded_as_in_the_table() -> None:
    made = encoding()
    np.testing.assert_array_equal(made.encode_described({"age": "30", "gender": "F"}), made.encode(USERS)[2])
    np.testing.assert_array_equal(made.encode_described({}), np.zeros(3))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"sex": "F"}, "nothing is known of users as 'sex'; allowed are gender, age"),
        ({"gender": "X"}, "no training users have gender=X; allowed are F, M"),
        ({"age": "old"}, "age must be a finite number; got 'old'"),
        ({"age": "nan"}, "age must be a finite number; got 'nan'"),
        ({"age": True}, "age must be a finite number; got True"),
    ],
)
def test_what_is_not_known_is_named(known: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoding().encode_described(known)


def test_it_survives_json() -> None:
    assert UserEncoding.model_validate_json(encoding().model_dump_json()) == encoding()


def test_genres_become_columns_of_unit_rows() -> None:
    table = pd.DataFrame({"title": list("abcd"), "genres": ["Drama|War", "Drama", None, "War|Alone"]})
    expected = np.array([[0.5**0.5, 0.5**0.5], [1, 0], [0, 0], [0, 1]], dtype=np.float32)
    np.testing.assert_allclose(genre_features(table), expected, rtol=1e-6)


def test_no_genres_no_features() -> None:
    assert genre_features(pd.DataFrame({"title": ["a"]})) is None
    assert genre_features(pd.DataFrame({"title": ["a", "b"], "genres": ["Drama", "War"]})) is None


def test_items_without_genres_have_no_genre_in_common() -> None:
    np.testing.assert_array_equal(genre_features(pd.DataFrame({"genres": [None, "", "A", "A|B"]})), [[0], [0], [1], [1]])
    assert genre_features(pd.DataFrame({"genres": [None, ""]})) is None


def test_as_many_genres_as_items_take_no_square_of_memory() -> None:
    features = genre_features(pd.DataFrame({"genres": [f"only {row}|common {row % 600}" for row in range(30_000)]}))
    assert features.shape == (30_000, 512)
    assert features.sum() == 30_000 // 600 * 512

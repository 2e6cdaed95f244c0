from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparcode.data.deezer import PARTS, read_deezer

N_SONGS, WIDTH = 60, 4
HEARD = {"train": [[10, 12], [10], []], "validation": [[14], [16]], "test": [[10, 12, 999], [], [14, 14]]}


def vector(seed: int) -> list[float]:
    return [float(seed), 0.5, -1.0, 0.25]


def text(values: list, as_json: bool) -> pa.Array:
    encoded = pa.array([json.dumps(value) for value in values], pa.string())
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), encoded) if as_json else encoded


def write_release(folder: Path, as_json: bool = True) -> Path:
    """The published layout in small: vectors as JSON text, lists of int32, nullable counts, rows in no order."""
    songs = list(range(10, 10 + N_SONGS))[::-1]
    table = {"song_index": pa.array(songs, pa.int32()), "features_svd": text([vector(song) for song in songs], as_json)}
    pq.write_table(pa.table(table), folder / "song_embeddings.parquet")
    users = [1, 0, 2]
    table = {"user_index": pa.array(users, pa.int32()), "svd_embeddings": text([vector(user) for user in users], as_json)}
    pq.write_table(pa.table(table), folder / "user_embeddings.parquet")
    first = 0
    for part in PARTS:
        heard = HEARD[part][::-1]
        index = [first + number for number in range(len(heard))][::-1]
        table = {
            "user_index": pa.array(index, pa.int32()),
            "d1d30_songs": pa.array(heard, pa.list_(pa.int32())),
            "age_embedding0": pa.array([0.5 * number for number in index], pa.float64()),
            "age_value": pa.array(index, pa.int32()),
            "nb_favorite_songs": pa.array([None, *index[1:]], pa.int64()),
        }
        pq.write_table(pa.table(table), folder / f"user_features_{part}_svd.parquet")
        first += len(heard)
    return folder


@pytest.mark.parametrize("as_json", [True, False])
def test_the_published_layout_is_read_in_order_of_the_indices(as_json: bool, tmp_path: Path) -> None:
    data = read_deezer(write_release(tmp_path, as_json))
    assert data.song_index.tolist() == list(range(10, 70))
    assert data.song_vectors[:, 0].tolist() == data.song_index.tolist()
    assert data.train_vectors[:, 0].tolist() == [0, 1, 2]
    assert data.train.features.dtype == np.float32
    assert data.train.features.tolist() == [[0, 0, 0], [0.5, 1, 1], [1, 2, 0]]
    assert [data.train.targets[row].tolist() for row in range(3)] == [[0, 2], [0], []]
    assert data.test.user_index.tolist() == [5, 6, 7]
    assert [data.test.targets[row].tolist() for row in range(3)] == [[0, 2], [], [4]]
    assert data.dropped == {"songs heard that have no vector": 1}


def replaced(folder: Path, name: str, column: str, values: pa.Array | None) -> None:
    table = pq.read_table(folder / name)
    place = table.schema.names.index(column)
    pq.write_table(table.remove_column(place) if values is None else table.set_column(place, column, values), folder / name)


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    songs, users = "song_embeddings.parquet", "user_embeddings.parquet"
    write_release(tmp_path)
    with pytest.raises(ValueError, match="embedding must be 'svd' or 'mf'; got 'als'"):
        read_deezer(tmp_path, "als")
    with pytest.raises(ValueError, match=r"song_embeddings.parquet lacks the column\(s\) \['features_mf'\]"):
        read_deezer(tmp_path, "mf")
    replaced(tmp_path, songs, "features_svd", pa.array(["[1, 2]"] * 3 + ["[1]"] * 57))
    with pytest.raises(ValueError, match="features_svd of song_index 66 must be 2 finite numbers"):
        read_deezer(tmp_path)
    replaced(tmp_path, songs, "features_svd", pa.array(["__import__('os')"] * 60))
    with pytest.raises(ValueError, match="is no list of numbers"):
        read_deezer(tmp_path)
    write_release(tmp_path)
    replaced(tmp_path, users, "user_index", pa.array([1, 0, 8]))
    with pytest.raises(ValueError, match="no vector for 1 training users, the first is 2"):
        read_deezer(tmp_path)
    replaced(tmp_path, users, "user_index", pa.array([1, 0, 1]))
    with pytest.raises(ValueError, match="user_index 1 stands twice"):
        read_deezer(tmp_path)
    write_release(tmp_path)
    replaced(tmp_path, "user_features_test_svd.parquet", "d1d30_songs", None)
    with pytest.raises(ValueError, match=r"user_features_test_svd.parquet lacks the column\(s\) \['d1d30_songs'\]"):
        read_deezer(tmp_path)
    (tmp_path / "user_features_test_svd.parquet").unlink()
    with pytest.raises(ValueError, match=r"user_features_test_svd.parquet: there is no such file"):
        read_deezer(tmp_path)


@pytest.mark.skipif("SPARCODE_DEEZER" not in os.environ, reason="SPARCODE_DEEZER names no folder of the release")
def test_the_real_release() -> None:
    data = read_deezer(os.environ["SPARCODE_DEEZER"])
    assert data.song_vectors.shape[1] == data.train_vectors.shape[1] == 128
    assert data.train.features.shape[1] == 2579
    np.testing.assert_allclose(np.linalg.norm(data.song_vectors, axis=1), 1, rtol=1e-3)

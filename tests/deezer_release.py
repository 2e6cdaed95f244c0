"""A made-up release in exactly Deezer's published layout, with planted tastes: who hears what follows from the features alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparcode.data.deezer import PARTS

BLOCKS = (
    *("age", "country", "favorite_songs", "favorite_artists", "favorite_albums", "favorite_playlists", "onboarding_like_artists"),
    *("skipped_songs", "skipped_artists", "skipped_albums", "streamed_songs", "streamed_artists", "streamed_albums"),
    *("banned_songs", "banned_artists", "banned_albums", "search_songs", "search_artists", "search_albums", "search_playlists"),
)
COUNTS = (
    *("favorite_songs", "favorite_albums", "favorite_artists", "favorite_playlists", "skipped_songs", "skipped_artists", "skipped_albums"),
    *("banned_songs", "banned_artists", "banned_albums", "streamed_songs", "streamed_artists", "streamed_albums"),
    *("search_songs", "search_albums", "search_artists", "search_playlists", "onboarding_like_artists"),
)
N_SONGS, WIDTH, N_HEARD = 150, 4, 12
N_USERS = {"train": 300, "validation": 60, "test": 80}


def write_planted_release(folder: Path, seed: int = 0) -> Path:
    """Songs on a sphere of tastes; a user's streamed songs, noisy, are what the user hears next. Everything else is noise."""
    rng = np.random.default_rng(seed)
    songs = _unit(rng.normal(size=(N_SONGS, WIDTH)))
    popularity = 0.3 * rng.normal(size=N_SONGS)
    vectors = {"features_svd": _json(songs), "features_mf": _json(3 * songs)}
    order = rng.permutation(N_SONGS)
    _write(folder / "song_embeddings.parquet", {"song_index": pa.array(np.arange(N_SONGS), pa.int32()), **vectors}, order)
    first, tastes = 0, {}
    for part, n_users in N_USERS.items():
        tastes[part] = _unit(rng.normal(size=(n_users, WIDTH)))
        scores = 4 * tastes[part] @ songs.T + popularity + rng.gumbel(size=(n_users, N_SONGS))
        heard = np.argsort(-scores, axis=1)[:, :N_HEARD]
        index = np.arange(first, first + n_users)
        for embedding in ("svd", "mf"):
            columns = {
                "user_index": pa.array(index, pa.int32()),
                "d1d30_songs": pa.array([row.tolist() for row in heard], pa.list_(pa.int32())),
                **_features(rng, tastes[part]),
            }
            _write(folder / f"user_features_{part}_{embedding}.parquet", columns, rng.permutation(n_users))
        first += n_users
    users = {
        "user_index": pa.array(np.arange(N_USERS["train"]), pa.int32()),
        "svd_embeddings": _json(tastes["train"]),
        "mf_embeddings": _json(tastes["train"]),
    }
    _write(folder / "user_embeddings.parquet", users, rng.permutation(N_USERS["train"]))
    assert tuple(N_USERS) == PARTS
    return folder


def _features(rng: np.random.Generator, tastes: np.ndarray) -> dict[str, pa.Array]:
    n_users, columns = len(tastes), {}
    for block in BLOCKS:
        values = tastes + 0.2 * rng.normal(size=tastes.shape) if block == "streamed_songs" else 0.1 * rng.normal(size=tastes.shape)
        columns |= {f"{block}_embedding{place}": pa.array(values[:, place], pa.float64()) for place in range(WIDTH)}
    columns["age_value"] = pa.array(rng.integers(15, 80, n_users), pa.int32())
    for count in COUNTS:
        # As published: huge, and empty for many.
        values = rng.lognormal(5, 2, n_users).astype(np.int64)
        columns[f"nb_{count}"] = pa.array([None if value % 3 == 0 else int(value) for value in values], pa.int64())
    return columns


def _write(path: Path, columns: dict[str, pa.Array], order: np.ndarray) -> None:
    table = pa.table(columns)
    pq.write_table(pa.table({name: table[name].combine_chunks().take(pa.array(order)) for name in table.column_names}), path)


def _json(vectors: np.ndarray) -> pa.Array:
    encoded = pa.array([json.dumps(vector.tolist()) for vector in vectors], pa.string())
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), encoded)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

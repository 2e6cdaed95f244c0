"""Deezer's cold-start release as a ready-made split: users are known by side features alone, songs by their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd

from sparcode.data.deezer import PARTS, DeezerData, DeezerUsers, read_deezer
from sparcode.data.evaluation_protocol import COLD_START
from sparcode.data.fixed_split import hash_arrays
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.limits import OWN_FILES, Limits
from sparcode.data.side_features import NumberColumn, UserEncoding, standardised
from sparcode.data.split import EvaluationSet, Split

NAMES = {"svd": "Deezer cold start (TT-SVD)", "mf": "Deezer cold start (UT-ALS)"}
# Features worked on at a time: the whole in float64 would take twice the memory of the data.
BLOCK = 128


def read_deezer_split(folder: str | Path, embedding: str = "svd", limits: Limits = OWN_FILES) -> tuple[Interactions, Split]:
    """Read the release as its authors split it, with the training users as the data set; arguments and errors as `read_deezer`.

    Queries hold only the user's features; targets are the songs heard in the 30 days after registration. Features are standardised over the
    training users and clipped at 10 standard deviations (`sparcode.data.side_features`); constant ones are left out. Song vectors are
    divided by their mean length. Songs without a vector and training users without songs are counted in `dropped`.

    ValueError also if no user is left to train or to validate on.
    """
    data = read_deezer(folder, cast(Literal["svd", "mf"], embedding), limits)
    parts = _part_hashes(data)
    heard = np.flatnonzero(data.train.targets.lengths)
    for part, users in (("train", data.train), ("validation", data.validation)):
        if not users.targets.lengths.any():
            raise ValueError(f"{folder}: no user of the {part} part heard a song that has a vector (d1d30_songs)")
    n_silent = len(data.train.targets) - len(heard)
    train = data.train if not n_silent else _take(data.train, heard)
    encoding, features = _standardise([train, data.validation, data.test], data.feature_names)
    lengths = np.linalg.norm(data.song_vectors, axis=1)
    evaluation = [_evaluation(users, known) for users, known in zip((data.validation, data.test), features[1:], strict=True)]
    split = Split(
        train=Histories(train.targets.indptr, train.targets.items, train.targets.n_items, features[0]),
        train_users=np.arange(len(train.targets)),
        validation=evaluation[0],
        test=evaluation[1],
        dropped={"training users who heard no song that has a vector": n_silent} if n_silent else {},
        item_features=data.song_vectors / max(float(lengths.mean()), np.finfo(np.float32).tiny),
        user_encoding=encoding,
        user_vectors=data.train_vectors[heard],
    )
    interactions = Interactions(
        histories=train.targets,
        user_ids=train.user_index,
        item_ids=data.song_index,
        items=pd.DataFrame({"title": [f"song {number}" for number in data.song_index]}),
        name=NAMES[embedding],
        has_time=False,
        dropped=data.dropped,
        parts=parts,
    )
    return interactions, split


def _take(users: DeezerUsers, rows: np.ndarray) -> DeezerUsers:
    return DeezerUsers(users.user_index[rows], users.features[rows], users.targets.take(rows))


def _part_hashes(data: DeezerData) -> dict[str, str]:
    hashes = {"song": hash_arrays(data.song_index, data.song_vectors)}
    for part, users in zip(PARTS, (data.train, data.validation, data.test), strict=True):
        vectors = [data.train_vectors] if part == "train" else []
        hashes["training" if part == "train" else part] = hash_arrays(
            users.user_index, users.features, users.targets.indptr, users.targets.items, *vectors
        )
    return hashes


def _standardise(parts: list[DeezerUsers], names: list[str]) -> tuple[UserEncoding, list[np.ndarray]]:
    """Standardise the features of all parts in place by the first part; return the encoding too."""
    columns, kept = [], np.zeros(len(names), dtype=bool)
    for start in range(0, len(names), BLOCK):
        block = slice(start, start + BLOCK)
        train = parts[0].features[:, block].astype(np.float64)
        means, spreads = train.mean(axis=0), train.std(axis=0)
        kept[block] = spreads > 0
        for name, mean, spread in zip(names[block], means, spreads, strict=True):
            if spread > 0:
                columns.append(NumberColumn(name=name, mean=float(mean), spread=float(spread)))
        for users in parts:
            users.features[:, block] = standardised(users.features[:, block], means, np.where(spreads > 0, spreads, 1.0))
    if not columns:
        raise ValueError(f"the features ({', '.join(names[:3])}, ...) are the same for all training users: there is nothing to learn from")
    features = [users.features if kept.all() else users.features[:, kept] for users in parts]
    return UserEncoding(columns=tuple(columns)), features


def _evaluation(users: DeezerUsers, features: np.ndarray) -> EvaluationSet:
    n_users, n_songs = len(users.targets), users.targets.n_items
    queries = Histories(np.zeros(n_users + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), n_songs, features)
    return EvaluationSet(queries, users.targets, np.arange(n_users), COLD_START)

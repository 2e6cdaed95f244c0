"""Ready-made splits: a file of training pairs and one of test pairs, as published with LightGCN, SimpleX and others.

A test query is the user's training items; all other items are ranked (weak generalization: test users are training users).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import FIXED_SPLIT
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.limits import OWN_FILES, Limits
from sparcode.data.split import EvaluationSet, Split
from sparcode.data.table_file import EXTENSIONS, TableFile, read_keys

COLUMNS = ["user_id", "item_id"]


def read_fixed_split(train: str | Path, test: str | Path, config: SplitConfig, limits: Limits = OWN_FILES) -> tuple[Interactions, Split]:
    """Read two files with the columns ``user_id`` and ``item_id`` as a data set over the items of both; ids of CSV and TSV files are text.

    A seeded share `validation_share` of the users with at least `min_history` training items is held out: a random share `target_share` of
    their items becomes validation targets and is not trained on. Rows with an empty id, repeated pairs, test pairs that are also in
    training and test users without training items are counted in `dropped`.

    ValueError if a file cannot be read, is beyond `limits` or lacks a column, the files' ids differ in type, or nothing is left to train,
    validate or test.
    """
    dropped: dict[str, int] = {}
    frames = [_read(Path(path), part, dropped, limits) for path, part in ((train, "training"), (test, "test"))]
    kinds = [[frame[column].dtype.kind in "iu" for column in COLUMNS] for frame in frames]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{train} and {test} have ids of different types; both must hold integers, or both text")
    parts = {part: hash_pairs(frame) for part, frame in zip(("training", "test"), frames, strict=True)}
    both = pd.concat(frames, ignore_index=True)
    in_test = np.arange(len(both)) >= len(frames[0])
    both["user"], user_ids = pd.factorize(both["user_id"], sort=True)
    both["item"], item_ids = pd.factorize(both["item_id"], sort=True)
    trained = np.zeros(len(user_ids), dtype=bool)
    trained[both["user"][~in_test]] = True
    repeated = both.duplicated(["user", "item"]).to_numpy()  # the training pair stands first
    unknown = ~trained[both["user"]]
    _count(dropped, "test pairs that are also in training", int((in_test & repeated).sum()))
    _count(dropped, "test users without training items", len(np.unique(both["user"][unknown])))
    # Users who are only in the test file leave no gap.
    both["user"] = (np.cumsum(trained) - 1)[both["user"]]
    pairs = both[["user", "item"]].to_numpy()
    histories, targets = (
        Histories.from_pairs(*pairs[rows].T, int(trained.sum()), len(item_ids)) for rows in (~in_test, in_test & ~repeated & ~unknown)
    )
    items = pd.DataFrame({"title": [str(item_id) for item_id in item_ids]})
    name = Path(train).resolve().parent.name or Path(train).stem
    users = np.asarray(user_ids)[trained]
    data = Interactions(histories, users, np.asarray(item_ids), items, name, has_time=False, dropped=dropped, parts=parts)
    return data, _split(data, targets, config)


def hash_arrays(*arrays: np.ndarray) -> str:
    """Hash of arrays with their shapes and types, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def hash_pairs(pairs: pd.DataFrame) -> str:
    """Hash of (``user_id``, ``item_id``) pairs, 16 hexadecimal digits; the order of users does not matter, the order within a user does."""
    ordered = pairs.sort_values("user_id", kind="stable")
    digest = hashlib.sha256()
    for column in ("user_id", "item_id"):
        values = ordered[column]
        if values.dtype.kind in "iu":
            digest.update(values.to_numpy(np.int64).tobytes())
        else:
            digest.update(json.dumps(values.astype(str).tolist()).encode())
    return digest.hexdigest()[:16]


def _read(path: Path, part: str, dropped: dict[str, int], limits: Limits) -> pd.DataFrame:
    try:
        # Whatever the file is called, it is taken for Parquet unless its name says CSV or TSV.
        file = TableFile(path, path.name if path.suffix.lower() in EXTENSIONS else f"{path.name}.parquet", limits)
        table, n_malformed = file.read(COLUMNS)
        frame = pd.DataFrame({column: read_keys(table, column, file.label) for column in COLUMNS})
    except ValueError as error:
        raise ValueError(f"{part} file: {error}") from error
    full = frame.dropna()
    full = full.astype({column: np.int64 for column in COLUMNS if full[column].dtype.kind in "iu"})
    distinct = full.drop_duplicates()
    _count(dropped, f"malformed {part} rows", n_malformed)
    _count(dropped, f"{part} rows with an empty user or item", len(frame) - len(full))
    _count(dropped, f"repeated {part} pairs", len(full) - len(distinct))
    if distinct.empty:
        raise ValueError(f"{part} file {path} has no usable rows")
    return distinct


def _split(data: Interactions, targets: Histories, config: SplitConfig) -> Split:
    histories, rng = data.histories, np.random.default_rng(config.seed)
    usable = np.flatnonzero(histories.lengths >= config.min_history)
    if len(usable) == 0:
        raise ValueError(f"no user of {data.name!r} has min_history={config.min_history} training items or more: nobody to validate on")
    tested = np.flatnonzero(targets.lengths)
    if len(tested) == 0:
        raise ValueError(f"no test pair of {data.name!r} is left to predict; left out: {dict(data.dropped)}")
    users = np.sort(rng.permutation(usable)[: max(1, int(config.validation_share * len(usable)))])
    chosen = np.zeros(len(histories), dtype=bool)
    chosen[users] = True
    # A random order within every user; the first ones are held out.
    order = np.lexsort((rng.random(len(histories.items)), histories.rows))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - histories.indptr[histories.rows[order]]
    n_held = np.clip(np.rint(config.target_share * histories.lengths).astype(np.int64), 1, np.maximum(histories.lengths - 1, 1))
    held = chosen[histories.rows] & (place < n_held[histories.rows])
    train = histories.select(~held)
    return Split(
        train=train,
        train_users=np.arange(len(histories)),
        validation=EvaluationSet(train.take(users), histories.select(held).take(users), users, FIXED_SPLIT),
        test=EvaluationSet(histories.take(tested), targets.take(tested), tested, FIXED_SPLIT),
        dropped={},
        has_time=False,
    )


def _count(dropped: dict[str, int], reason: str, n: int) -> None:
    if n:
        dropped[reason] = n

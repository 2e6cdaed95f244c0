"""Ready-made splits: a file of training pairs and one of test pairs, as published with LightGCN, SimpleX and others.

The query of a test user is the user's training items; all other items are ranked (weak generalization: test users are training users).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import FIXED_SPLIT
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.part_hash import hash_pairs
from sparcode.data.split import EvaluationSet, Split

COLUMNS = ["user_id", "item_id"]


def read_fixed_split(train: str | Path, test: str | Path, config: SplitConfig) -> tuple[Interactions, Split]:
    """Read two Parquet files with the columns ``user_id`` and ``item_id``.

    A seeded share `validation_share` of the users with at least `min_history` training items is held out for validation: of each the share
    `target_share` of its training items, chosen at random, is to be predicted and is not trained on. Test queries show all training items.

    Parameters
    ----------
    train, test
        The files.
    config
        Shares, the shortest history of a validation user, and the seed.

    Returns
    -------
    tuple
        The training file as a data set over the items of both files, and the split. Left out and counted: rows with an empty id, repeated
        pairs, test pairs that are also in training, and test users without training items.

    Raises
    ------
    ValueError
        If a file cannot be read, lacks a column, the two files' ids are of different types, or nothing is left to train, validate or test.
    """
    dropped: dict[str, int] = {}
    frames = [_read(Path(path), part, dropped) for path, part in ((train, "training"), (test, "test"))]
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
    histories = _histories(pairs[~in_test], int(trained.sum()), len(item_ids))
    targets = _histories(pairs[in_test & ~repeated & ~unknown], int(trained.sum()), len(item_ids))
    items = pd.DataFrame({"title": [str(item_id) for item_id in item_ids]})
    name = Path(train).resolve().parent.name or Path(train).stem
    users = np.asarray(user_ids)[trained]
    data = Interactions(histories, users, np.asarray(item_ids), items, name, has_time=False, dropped=dropped, parts=parts)
    return data, _split(data, targets, config)


def _read(path: Path, part: str, dropped: dict[str, int]) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"{part} file {path}: there is no such file")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds on files that are not Parquet
        raise ValueError(f"{part} file {path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise ValueError(f"{part} file {path} lacks {missing}; it has {list(frame.columns)}")
    full = frame[COLUMNS].dropna()
    distinct = full.drop_duplicates()
    _count(dropped, f"{part} rows with an empty user or item", len(frame) - len(full))
    _count(dropped, f"repeated {part} pairs", len(full) - len(distinct))
    if distinct.empty:
        raise ValueError(f"{part} file {path} has no usable rows")
    for column in COLUMNS:
        kind = distinct[column].dtype
        if kind.kind == "f" and (distinct[column] % 1 == 0).all():
            # Integers that stood beside an empty cell.
            distinct = distinct.assign(**{column: distinct[column].astype(np.int64)})
        elif kind.kind not in "iuOTU" and not pd.api.types.is_string_dtype(kind):
            raise ValueError(f"{part} file {path}: {column} must hold integers or text; got {kind}")
    return distinct


def _histories(pairs: np.ndarray, n_users: int, n_items: int) -> Histories:
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    indptr = np.zeros(n_users + 1, dtype=np.int64)
    np.cumsum(np.bincount(pairs[:, 0], minlength=n_users), out=indptr[1:])
    return Histories(indptr, pairs[:, 1].astype(np.int32), n_items)


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

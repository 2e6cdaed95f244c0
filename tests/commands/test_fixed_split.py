from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparcode.runs.manifest import write_manifest
from tests.commands.conftest import Output, Record

Trained = tuple[dict, Path]
SMALL = ["--token-dim", "8", "--hidden-dim", "16", "--epochs", "2", "--joint-epochs", "1", "--codebook-size", "8", "--quiet"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, rng = tmp_path_factory.mktemp("ready"), np.random.default_rng(0)
    rows = [(user, int(item), place < 8) for user in range(60) for place, item in enumerate(rng.permutation(40)[:10])]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "train"])
    flags = []
    for name, part in (("train", frame[frame.train]), ("test", frame[~frame.train])):
        part[["user_id", "item_id"]].to_parquet(folder / f"{name}.parquet")
        flags += [f"--{name}", str(folder / f"{name}.parquet")]
    return flags


@pytest.fixture(scope="module")
def trained(files: list[str], record: Record, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("kept") / "run"
    return record("train", "--protocol", "fixed-split", *files, *SMALL, "--out", folder), folder


def test_train_and_evaluate_on_a_ready_made_split(files: list[str], trained: Trained, record: Record) -> None:
    printed, kept = trained
    assert printed["k"] == 20
    assert printed["users"]["test"] == 60
    assert printed["data"]["synthetic"] is False
    assert record("evaluate", kept, *files)["recall"] == printed["rows"][0]["recall"]


@pytest.mark.parametrize("part", ["training", "test"])
def test_another_part_beside_a_run_is_named(files: list[str], trained: Trained, refused: Output, part: str, tmp_path: Path) -> None:
    place = {"training": 1, "test": 3}[part]
    fewer = tmp_path / "fewer.parquet"
    pd.read_parquet(files[place]).iloc[:-1].to_parquet(fewer)
    line = refused("evaluate", trained[1], *files[:place], fewer, *files[place + 1 :])
    assert f"with another {part} part than the data given has; give the same files" in line


def test_the_order_of_users_in_a_file_makes_no_other_data(files: list[str], trained: Trained, record: Record, tmp_path: Path) -> None:
    frame = pd.read_parquet(files[1]).sort_values("user_id", ascending=False, kind="stable")
    frame.to_parquet(tmp_path / "turned.parquet")
    turned = record("evaluate", trained[1], files[0], tmp_path / "turned.parquet", *files[2:])
    assert turned["recall"] == record("evaluate", trained[1], *files)["recall"]


def test_a_run_that_does_not_know_its_test_part_is_refused(files: list[str], trained: Trained, refused: Output, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "old")
    described = json.loads((tmp_path / "old" / "run.json").read_text())
    del described["data"]["parts"]
    (tmp_path / "old" / "run.json").write_text(json.dumps(described))
    write_manifest(tmp_path / "old")
    assert "did not keep which test part they were measured on" in refused("evaluate", tmp_path / "old", *files)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--protocol", "fixed-split"], "protocol fixed-split needs --train FILE and --test FILE"),
        (["--protocol", "fixed-split", "--data", "synthetic"], "needs --train FILE and --test FILE"),
        (["--protocol", "fixed-split", "--train", "a.parquet"], "a ready-made split needs --train FILE and --test FILE"),
        (
            ["--protocol", "fixed-split", "--train", "a.parquet", "--test", "b.parquet", "--min-rating", "3"],
            "--min-rating can only be used with a published data set by name (ml-100k, ml-1m, ml-10m, goodbooks) or a folder of "
            "Parquet files or a MovieLens or goodbooks archive or folder or a table "
            "(.csv, .tsv, .parquet); the data is 'a.parquet' and 'b.parquet', a ready-made split",
        ),
        (
            ["--train", "a.parquet", "--test", "b.parquet", "--synthetic-n-users", "100"],
            "--synthetic-n-users can only be used with synthetic data; the data is a ready-made split",
        ),
        (["--protocol", "fixed-split", "--min-rating", "3"], "needs --train FILE and --test FILE"),
        (
            ["--protocol", "strong", "--train", "a.parquet", "--test", "b.parquet"],
            "'b.parquet', a ready-made split, which goes with protocol fixed-split",
        ),
        (["--protocol", "fixed-split", "--train", "a.parquet", "--test", "b.parquet"], "training file: no file at a.parquet"),
    ],
)
def test_flags_that_do_not_fit_are_named(refused: Output, flags: list[str], message: str) -> None:
    assert message in refused("train", *flags)

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparcode.runs.manifest import write_manifest
from sparcode.runs.store import load_run
from tests.commands.conftest import TINY, Output, Record

SMALL = (
    *("--token-dim", 8, "--hidden-dim", 16, "--codebook-size", 8, "--batch-size", 16, "--learning-rate", 0.02),
    *("--epochs", 16, "--joint-epochs", 2, "--teacher-weight", 0),
)
N_ITEMS = 40


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Users of two clubs; each club has items of its own, and nothing but the club tells which."""
    folder, rng = tmp_path_factory.mktemp("clubs"), np.random.default_rng(0)
    clubs = rng.integers(2, size=100)
    rows = [(f"u{user}", int(item) + 20 * club) for user, club in enumerate(clubs) for item in rng.permutation(20)[:6]]
    pd.DataFrame(rows, columns=["user", "item"]).to_csv(folder / "visits.csv", index=False)
    users = pd.DataFrame(
        {"user": [f"u{user}" for user in range(100)], "club": np.where(clubs, "red", "blue"), "age": rng.normal(40, 9, 100)}
    )
    users.to_csv(folder / "users.csv", index=False)
    return folder / "visits.csv", folder / "users.csv"


@pytest.fixture(scope="module")
def run(files: tuple[Path, Path], output: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    flags = ("--data", files[0], "--users", files[1], "--side-features", "users", "--k", 10)
    output("train", *flags, *SMALL, "--out", folder, "--quiet")
    return folder


def test_a_run_with_user_features_measures_as_it_did(run: Path, files: tuple[Path, Path], record: Record) -> None:
    measured = record("evaluate", run, "--data", files[0], "--users", files[1], "--k", 10)
    assert measured["recall"] == load_run(run).results[0]["recall"]
    assert measured["check"]["recall_through_index"] == measured["check"]["recall_by_direct_scoring"]


def test_a_user_without_history_is_retrieved_for_by_what_is_known(run: Path, output: Output, record: Record, tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"about": {"club": "red"}}\n{"items": [], "about": {"club": "blue", "age": 40}}\n[3]\n')
    queries = record("retrieve", run, "--history", path)["queries"]
    clubs = [np.mean([int(item["item_id"]) >= 20 for item in query["results"]]) for query in queries[:2]]
    assert clubs[0] > 0.7
    assert clubs[1] < 0.3
    alone = record("retrieve", run, "--about", "club=red")["queries"][0]["results"]
    assert {item["item_id"] for item in alone} == {item["item_id"] for item in queries[0]["results"]}
    text = output("retrieve", run, "--items", 25, "--about", "club=red", "--explain")
    assert text.startswith("History 1: 25 (club red)")


def test_other_users_are_refused(run: Path, files: tuple[Path, Path], refused: Output, tmp_path: Path) -> None:
    assert "other side features of users" in refused("evaluate", run, "--data", files[0], "--json")
    assert "nothing is known of users as 'team'; allowed are club, age" in refused("retrieve", run, "--about", "team=red")
    assert "--about must be NAME=VALUE" in refused("retrieve", run, "--about", "red")
    path = tmp_path / "queries.jsonl"
    path.write_text('[1]\n{"items": [], "about": {"club": "green"}}\n')
    assert f"{path}, line 2: no training users have club=green" in refused("retrieve", run, "--history", path)
    path.write_text('{"items": []}\n')
    assert "line 1: the history is empty" in refused("retrieve", run, "--history", path)


def test_a_run_without_user_features_cannot_be_told_any(kept_run: Path, refused: Output) -> None:
    assert "trained without side features of users" in refused("retrieve", kept_run, "--items", 1, "--about", "gender=F")


def test_a_damaged_or_missing_user_file_is_named(run: Path, refused: Output, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "users.json").write_text('{"columns": []}')
    assert "users.json is damaged" in refused("retrieve", copy, "--items", 1)
    (copy / "users.json").write_text('{"columns": [{"name": "age", "mean": 1, "spread": 2}]}')
    write_manifest(copy)
    assert "users.json describes 1 side features of users; the run's model sees 3" in refused("retrieve", copy, "--items", 1)
    (copy / "users.json").unlink()
    assert "lacks users.json" in refused("retrieve", copy, "--items", 1)


def test_features_that_the_data_lacks_are_refused_before_training(files: tuple[Path, Path], refused: Output) -> None:
    line = refused("train", *TINY, "--side-features", "both", "--quiet")
    assert "side_features='both': the data has no side features of users; allowed is 'none' or 'items'" in line
    line = refused("train", "--data", files[0], "--users", files[1], *SMALL, "--k", 20, "--side-features", "items", "--quiet")
    assert "the data has no side features of items (genres); allowed is 'none' or 'users'" in line
    assert "--users can only be used with a folder of Parquet files or a table (.csv, .tsv, .parquet); the data is synthetic" in refused(
        "train", *TINY, "--users", files[1]
    )

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sparcode.cli import app

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


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_train_and_evaluate_on_a_ready_made_split(files: list[str], tmp_path: Path) -> None:
    kept = str(tmp_path / "run")
    code, out, err = run("train", "--protocol", "fixed-split", *files, *SMALL, "--json", "--out", kept)
    assert code == 0, err
    trained = json.loads(out)
    assert trained["k"] == 20
    assert trained["users"]["test"] == 60
    assert trained["data"]["synthetic"] is False
    code, out, err = run("evaluate", kept, *files, "--json")
    assert code == 0, err
    assert json.loads(out)["recall"] == trained["rows"][0]["recall"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--protocol", "fixed-split"], "--protocol fixed-split needs --train FILE and --test FILE"),
        (["--protocol", "fixed-split", "--data", "synthetic"], "needs --train FILE and --test FILE"),
        (["--protocol", "fixed-split", "--min-rating", "3"], "needs --train FILE and --test FILE"),
        (["--train", "a.parquet", "--test", "b.parquet"], "--train and --test go with --protocol fixed-split"),
        (["--protocol", "fixed-split", "--train", "a.parquet", "--test", "b.parquet"], "training file a.parquet: there is no such file"),
    ],
)
def test_flags_that_do_not_fit_are_named(flags: list[str], message: str) -> None:
    code, _, err = run("train", *flags)
    assert code != 0
    assert message in " ".join(err.split())
    assert "Traceback" not in err

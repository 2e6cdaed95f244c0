from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparcode.data.deezer import read_deezer
from sparcode.data.deezer_split import read_deezer_split
from sparcode.data.evaluation_protocol import COLD_START
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.store import load_run
from tests.commands.conftest import Output, Record
from tests.deezer_release import BLOCKS, COUNTS, N_SONGS, N_USERS, WIDTH, write_planted_release

SMALL = (
    *("--token-dim", 16, "--hidden-dim", 32, "--codebook-size", 16, "--batch-size", 32, "--dropout", 0.1),
    *("--epochs", 12, "--joint-epochs", 4, "--quiet"),
)
N_FEATURES = WIDTH * len(BLOCKS) + 1 + len(COUNTS)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_planted_release(tmp_path_factory.mktemp("deezer"))


@pytest.fixture(scope="module")
def trained(release: Path, record: Record, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("kept") / "run"
    return record("train", "--data", release, *SMALL, "--out", folder), folder


def test_every_model_learns_what_was_planted(trained: tuple[dict, Path]) -> None:
    record, _ = trained
    rows = {row["name"]: row for row in record["rows"]}
    assert set(rows) == {"SparCode (index)", "two-tower", "all-to-all", "popularity", "regression"}
    for name in ("SparCode (index)", "two-tower", "all-to-all", "regression"):
        assert rows[name]["ndcg"] > 1.3 * rows["popularity"]["ndcg"], name
    reason = "it scores the items of a history, and the test queries have none"
    assert record["left_out"] == {"EASE": reason, "item co-occurrence": reason}
    assert record["check"]["recall_through_index"] == record["check"]["recall_by_direct_scoring"]


def test_it_is_the_protocol_of_the_authors(trained: tuple[dict, Path], release: Path) -> None:
    record, folder = trained
    assert (record["k"], record["users"]) == (50, {**N_USERS})
    assert record["config"]["split"]["protocol"] == "cold-start"
    assert record["config"]["model"]["side_features"] == "both"
    run, split = load_run(folder), read_deezer_split(release)[1]
    assert split.test.queries.lengths.tolist() == [0] * N_USERS["test"]
    assert split.test.queries.n_features == N_FEATURES
    found = SparseRetriever(run.model, run.index, max(run.model.threshold, run.index.floor)).retrieve(split.test.queries, 50)
    measured = accuracy_by_query(found.item_ids, read_deezer(release).test.targets, 50, COLD_START).means()
    row = record["rows"][0]
    assert (row["recall"], row["ndcg"], row["precision"]) == measured


def test_a_kept_run_measures_as_it_did_and_refuses_other_data(
    trained: tuple[dict, Path], release: Path, record: Record, refused: Output, tmp_path: Path
) -> None:
    kept, folder = trained
    assert record("evaluate", folder, "--data", release)["recall"] == kept["rows"][0]["recall"]
    line = refused("evaluate", folder, "--data", release, "--embedding", "mf")
    assert "with another song and training and validation and test parts" in line
    other = write_planted_release(tmp_path)
    (other / "user_features_test_svd.parquet").write_bytes((other / "user_features_validation_svd.parquet").read_bytes())
    assert "with another test part than the data given has" in refused("evaluate", folder, "--data", other)
    assert "error: protocol cold-start needs --data FOLDER" in refused("evaluate", folder)


def test_a_user_is_served_by_what_is_known(trained: tuple[dict, Path], record: Record) -> None:
    about = [flag for place in range(WIDTH) for flag in ("--about", f"streamed_songs_embedding{place}={0.5 * (-1) ** place}")]
    (query,) = record("retrieve", trained[1], *about, "--k", 5)["queries"]
    assert len(query["results"]) == 5
    assert query["results"][0]["title"].startswith("song ")


def test_the_other_embedding_trains_too(release: Path, output: Output) -> None:
    flags = ("--embedding", "mf", *SMALL, "--epochs", 1, "--joint-epochs", 0, "--side-features", "users")
    text = output("train", "--data", release, *flags)
    assert "Deezer cold start (UT-ALS)" in text
    assert "EASE is left out: it scores the items of a history" in text
    assert "Precision@50 divides by min(50, songs heard)" in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--embedding", "als"], "embedding must be 'svd' or 'mf'; got 'als'"),
        (
            ["--protocol", "strong"],
            "Deezer's release, which goes with protocol cold-start",
        ),
        (["--side-features", "items"], "nothing but side features is known of these users; allowed is 'users' or 'both'"),
        (["--min-rating", "3"], "--min-rating can only be used with a published data set"),
        (["--train", "a", "--test", "b"], "and no --data"),
    ],
)
def test_what_does_not_go_with_the_release_is_refused(release: Path, refused: Output, flags: list[str], message: str) -> None:
    assert message in refused("train", "--data", release, *SMALL, *flags)


def test_the_protocol_needs_the_release(refused: Output) -> None:
    assert "the data is synthetic data, which goes with protocol strong" in refused("train", "--protocol", "cold-start")
    assert "--embedding can only be used with Deezer's release" in refused("train", "--embedding", "svd", "--quiet")


def test_a_file_that_lacks_is_named(release: Path, refused: Output, tmp_path: Path) -> None:
    (tmp_path / "song_embeddings.parquet").write_bytes((release / "song_embeddings.parquet").read_bytes())
    assert "user_embeddings.parquet: there is no such file" in refused("train", "--data", tmp_path)


def test_the_planted_songs_are_not_the_popular_ones(release: Path) -> None:
    heard = np.bincount(read_deezer(release).train.targets.items, minlength=N_SONGS)
    assert heard.max() < 0.4 * N_USERS["train"]

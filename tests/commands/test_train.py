from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sparcode.comparison import table
from sparcode.data.published import MOVIELENS_TERMS
from sparcode.index.whole_folder import reserved
from sparcode.runs import store
from sparcode.runs.store import load_run
from sparcode.training.checkpoint import Checkpoint, State
from tests.commands.conftest import TINY, TINY_DATA, Command, Output, Record
from tests.fakes import raising

RATINGS = "\n".join(f"{user},{item},{5 - (user + item) % 5},{100 * user + item}" for user in range(60) for item in range(user % 7, 40, 3))


def test_it_ends_with_one_table(command: Command) -> None:
    result = command("train", *TINY, "--k", 10, "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[2:8]] == [
        "SparCode (index)", "two-tower", "all-to-all", "EASE", "item co-occurrence", "popularity",
    ]  # fmt: skip
    assert "Recall@10" in lines[0]
    assert "SYNTHETIC" in result.stdout
    assert lines[-1] == "Not kept: give --out to keep the run"


def test_json_is_one_object_and_nothing_else(command: Command, tmp_path: Path) -> None:
    result = command("train", *TINY, "--k", 10, "--json", "--out", tmp_path / "run")
    record = json.loads(result.stdout)
    assert result.stderr == ""
    assert record["saved_to"] == str(tmp_path / "run")
    assert len(record["rows"]) == 6
    assert record["check"]["recall_through_index"] == record["check"]["recall_by_direct_scoring"]


def test_a_plan_trains_nothing(command: Command, record: Record, tmp_path: Path) -> None:
    result = command("train", *TINY, "--plan", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1].endswith("Nothing was trained.")
    assert list(tmp_path.iterdir()) == []
    plan = record("train", *TINY, "--plan")
    assert set(plan) == {"settings", "reason", "epochs", "minutes", "peak_gb"}
    assert plan["settings"]["codebook_size"] == 6


def test_flags_go_before_the_file_and_the_file_before_defaults(record: Record, kept_run: Path) -> None:
    config = record("train", *TINY_DATA, "--config", kept_run / "run.json", "--n-nearest", 2, "--seed", 3)["config"]
    assert config["quantizer"]["n_nearest"] == 2
    assert config["quantizer"]["codebook_size"] == 6
    assert config["split"]["seed"] == config["training"]["seed"] == 3
    assert config["training"]["dropout"] == 0.3


def test_settings_of_a_run_give_way_to_flags_beside_which_they_do_nothing(record: Record, refused: Output, tmp_path: Path) -> None:
    path = tmp_path / "run"
    record(
        "train", *TINY, "--encoder", "gru", "--max-history", 20, "--teacher-weight", 0.3, "--epochs", 1, "--joint-epochs", 0, "--out", path
    )
    again = ("train", *TINY_DATA, "--config", path / "run.json")
    config = record(*again, "--encoder", "mean", "--n-negatives", 20)["config"]
    assert (config["model"]["max_history"], config["training"]["teacher_weight"], config["training"]["n_negatives"]) == (100, 0.5, 20)
    assert record(*again, "--teacher-weight", 0)["config"]["training"]["joint_teacher"] == "backbone"
    assert "max_history=30 does nothing with encoder=mean" in refused(*again, "--encoder", "mean", "--max-history", 30)
    assert "teacher_weight=0.2 does nothing with n_negatives=20" in refused(*again, "--teacher-weight", 0.2, "--n-negatives", 20, "--quiet")
    written = tmp_path / "settings.json"
    written.write_text('{"model": {"encoder": "gru", "max_history": 20}}')
    assert "max_history=20 does nothing with encoder=mean" in refused("train", "--config", written, "--encoder", "mean")


def test_a_table_of_ratings_is_trained_on_with_tokens_for_real_data(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating,timestamp\n" + RATINGS)
    flags = ("--hidden-dim", 16, "--codebook-size", 4, "--epochs", 1, "--joint-epochs", 1, "--batch-size", 16)
    trained = record("train", "--data", path, *flags, "--out", tmp_path / "run")
    assert trained["config"]["model"]["token_dim"] == 64
    assert trained["data"]["synthetic"] is False
    assert load_run(tmp_path / "run").item_ids[0] in {str(item) for item in range(40)}


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--data", "nowhere.csv"], ["nowhere.csv"]),
        (["--data", "nowhere"], ["nowhere"]),
        (["--codebook-size", "1"], ["codebook_size=1", "at least 2"]),
        (["--codebook-size", "many"], ["--codebook-size", "valid integer"]),
        (["--token-dim", "10", "--n-codebooks", "4"], ["token_dim=10", "multiple of n_codebooks=4"]),
        (["--link", "log"], ["link=log", "'exp' or 'linear'"]),
        (["--density", "nan"], ["--density", "finite", "nan"]),
        (["--seed", "-1"], ["seed=-1", "at least 0"]),
        (["--k", "0"], ["--k"]),
        (["--colour", "red"], ["--colour"]),
        (["--synthetic-n-users", "2"], ["synthetic data", "n_users=2", "at least 50"]),
        (["--data", "x.csv", "--synthetic-seed", "1"], ["--synthetic-seed", "synthetic data", "'x.csv'"]),
        (["--min-rating", "3"], ["--min-rating", "a MovieLens or goodbooks archive or folder or a table", "the data is synthetic"]),
        (["--user-column", "who"], ["--user-column", "a table"]),
        (["--download"], ["--download", "ml-100k"]),
        (["--data", "ml-100k", "--accept-terms"], ["--accept-terms goes with --download"]),
        (["--overwrite"], ["--overwrite needs --out"]),
        (["--resume"], ["--resume needs --out"]),
        (["--config", "nowhere.json"], ["nowhere.json cannot be read"]),
        (["--threads", "0"], ["threads"]),
        (["--device", "tpu"], ["--device", "tpu"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(refused: Output, flags: list[str], parts: list[str]) -> None:
    line = refused("train", *flags)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "must hold a JSON object of settings; got list"),
        ('{"quantizer": {"codebooks": 2}}', "codebooks: there is no such setting"),
        ('{"format_version": 1, "config": {"model": {"n_tokens": 0}}}', "n_tokens=0: must be at least 1"),
    ],
)
def test_a_bad_settings_file_is_named(refused: Output, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content)
    line = refused("train", "--config", path)
    assert str(path) in line
    assert message in line


def test_cuda_where_there_is_none_is_one_line(refused: Output, kept_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for line in (refused("train", *TINY, "--device", "cuda", "--quiet"), refused("evaluate", kept_run, *TINY_DATA, "--device", "cuda")):
        assert "device=cuda" in line
        assert "use auto or cpu" in line


def test_a_place_that_cannot_be_written_is_refused_before_training(refused: Output, kept_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    assert "is a file" in refused("train", "--out", tmp_path / "file")
    assert "exists; name another folder" in refused("train", "--out", kept_run)
    assert "is not a run and is left alone" in refused("train", "--out", tmp_path / "full", "--overwrite")


def test_links_mount_points_and_names_that_are_none_are_refused_before_training(refused: Output, kept_run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kept_run)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("")
    assert f"link is a symbolic link to {kept_run}; name that folder itself" in refused("train", "--out", tmp_path / "link", "--overwrite")
    assert "dangling is a symbolic link to nowhere" in refused("train", "--out", tmp_path / "dangling")
    assert f"cannot be written: {tmp_path / 'file'} is not a folder" in refused("train", "--out", tmp_path / "file" / "run")
    assert "cannot be written: File name too long" in refused("train", "--out", tmp_path / ("x" * 250))
    assert "has no name" in refused("train", "--out", ".", "--overwrite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "link"]


def test_a_second_training_to_one_folder_is_refused(refused: Output, tmp_path: Path) -> None:
    with reserved(tmp_path / "run"):
        for more in ((), ("--overwrite",), ("--resume",)):
            assert "another process is training to" in refused("train", "--out", tmp_path / "run", *more)


@pytest.mark.parametrize("shown", ["table", "--json"])
def test_a_run_that_cannot_be_saved_is_shown_and_kept_elsewhere(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    write = store.write_whole

    def full(folder: Path, fill: Callable[[Path], None]) -> None:
        if folder.name == "run":
            raise OSError(28, "No space left on device")
        write(folder, fill)

    monkeypatch.setattr(store, "write_whole", full)
    folder = tmp_path / "run"
    result = command("train", *TINY, "--k", 10, "--quiet", "--out", folder, *([shown] if shown == "--json" else []))
    assert result.exit_code == 1
    assert result.stdout.startswith("{" if shown == "--json" else "model ")
    assert result.stderr == f"error: {folder} cannot be written: No space left on device; the run is kept in {folder}.kept-1\n"
    assert load_run(tmp_path / "run.kept-1").results
    assert [path.name for path in tmp_path.iterdir()] == ["run.kept-1"]


def test_a_run_is_saved_though_nobody_reads_the_table(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "comparison_text", raising(BrokenPipeError("Broken pipe")))
    result = command("train", *TINY, "--quiet", "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (1, "error: Broken pipe\n")
    assert load_run(tmp_path / "run").results
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_is_kept_though_its_command_is_ended_at_the_last_moment(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "comparison_text", raising(KeyboardInterrupt()))
    folder = tmp_path / "run"
    result = command("train", *TINY, "--quiet", "--out", folder)
    assert (result.exit_code, result.stderr) == (130, f"interrupted: train was ended; the run is kept in {folder}\n")
    assert load_run(folder).results


def test_k_ends_at_the_catalogue(command: Command) -> None:
    result = command("train", *TINY, "--k", 2**63 - 1, "--json")
    assert (result.exit_code, result.stderr) == (0, f"note: k={2**63 - 1} is cut to 80, the number of items\n")
    assert json.loads(result.stdout)["k"] == 80


def test_a_stopped_training_goes_on_and_ends_the_same_to_the_bit(
    command: Command, refused: Output, output: Output, kept_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    train = ("train", *TINY, "--quiet", "--out", folder)
    with monkeypatch.context() as stopping:
        save, saved = Checkpoint.save, itertools.count(1)

        def stop(self: Checkpoint, stage: str, state: State) -> None:
            save(self, stage, state)
            if next(saved) == 5:
                raise KeyboardInterrupt

        stopping.setattr(Checkpoint, "save", stop)
        stopped = command(*train)
    told = f"interrupted: train was ended; add --resume to go on with the training to {folder} from its last epoch\n"
    assert (stopped.exit_code, stopped.stderr) == (130, told)
    assert sorted(path.name for path in (tmp_path / ".run.checkpoint").iterdir()) == ["backbone.safetensors", "sparcode.safetensors"]
    assert "add --resume to go on with it, or --overwrite to start anew" in refused(*train)
    assert "a training to it was stopped, which train --resume goes on with" in refused("evaluate", folder, *TINY_DATA)
    assert "began with n_nearest=4 (now 2); give the same" in refused(*train, "--resume", "--n-nearest", 2)
    assert "began with other data" in refused(*train, "--resume", "--synthetic-seed", 1)
    assert "Kept in" in output(*train, "--resume")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    found, expected = load_run(folder), load_run(kept_run)
    weights = expected.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in found.model.state_dict().items())
    np.testing.assert_array_equal(*([record._replace(train_seconds=0) for record in run.records] for run in (found, expected)))
    np.testing.assert_array_equal(found.index.scores, expected.index.scores)
    assert [row["recall"] for row in found.results] == [row["recall"] for row in expected.results]


def test_a_stopped_training_may_start_anew(command: Command, refused: Output, tmp_path: Path) -> None:
    hidden = tmp_path / ".run.checkpoint"
    hidden.mkdir()
    (hidden / "backbone.safetensors").write_text("damaged")
    train = ("train", *TINY, "--quiet", "--out", tmp_path / "run")
    assert "backbone.safetensors is damaged" in refused(*train, "--resume")
    assert command(*train, "--overwrite").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    resumed = command("train", *TINY, "--quiet", "--out", tmp_path / "other", "--resume")
    assert (resumed.exit_code, resumed.stderr) == (0, f"no stopped training to {tmp_path / 'other'} was found: it starts anew\n")


def test_a_refused_training_leaves_no_checkpoint(refused: Output, tmp_path: Path) -> None:
    refused("train", *TINY, "--quiet", "--side-features", "users", "--out", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_a_killed_process_moved_aside_is_back_before_training(refused: Output, tmp_path: Path) -> None:
    aside = tmp_path / ".run.saving-12345678" / "old"
    aside.mkdir(parents=True)
    (aside / "run.json").write_text("{}")
    assert "exists; name another folder" in refused("train", "--out", tmp_path / "run")
    assert (tmp_path / "run" / "run.json").is_file()


def test_bad_rows_and_missing_columns_are_named(refused: Output, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("who,what\n1,2\n")
    line = refused("train", "--data", path)
    assert "who" in line
    assert "what" in line
    path.write_text("user,item\n1,2\n1,3\n")
    assert "a split needs at least 3 users" in refused("train", "--data", path, "--quiet")
    path.write_text("")
    assert "ratings.csv" in refused("train", "--data", path)


def test_movielens_is_not_fetched_without_being_asked(refused: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    line = refused("train", "--data", "ml-100k")
    assert "add --download --accept-terms to fetch it (4.9 MB from https://files" in line


def test_the_terms_of_a_download_are_shown_as_they_are(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shown = command("train", "--data", "ml-100k", "--download").stderr
    terms, _, line = shown.rstrip().rpartition("\n")
    assert terms == MOVIELENS_TERMS
    assert line.startswith("error: MovieLens 100K (4.9 MB from https://files")
    assert line.endswith("is only downloaded after you accept these terms: add --accept-terms")

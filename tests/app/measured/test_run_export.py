from __future__ import annotations

import io
import shlex
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.measured.measured_index import MeasuredIndex
from app.measured.run_export import evaluate_command, run_of, run_zip
from sparcode.comparison.run import data_facts
from sparcode.runs.store import load_run
from sparcode.training.epoch_record import EpochRecord
from tests.app.open_studio import measured
from tests.fakes import killed_at
from tests.tiny import CONFIG, tiny_data, tiny_model, tiny_split


@pytest.fixture(scope="module")
def stage() -> MeasuredIndex:
    return measured()[-1]


def test_a_saved_stage_is_read_back_with_its_model_index_and_figures(stage: MeasuredIndex, tmp_path: Path) -> None:
    point = stage.point(40)
    run = run_of(stage, point, tiny_data(), tiny_split(), (), "a machine")
    zipfile.ZipFile(io.BytesIO(run_zip(run))).extractall(tmp_path)
    again = load_run(tmp_path / run.run_id)
    assert (again.config, again.data, again.machine) == (CONFIG, data_facts(tiny_data()), "a machine")
    assert np.array_equal(again.index.scores, stage.explorer.index.scores)
    queries = tiny_split().test.queries
    assert all(np.array_equal(*pair) for pair in zip(again.model.encode(queries), tiny_model().encode(queries), strict=True))
    (result,) = again.results
    figures = [result[name] for name in ("kind", "threshold", "recall", "size_bytes")]
    assert figures == ["preview", point.tau, point.recall, point.total_bytes]


def test_what_a_killed_studio_left_of_an_export_goes_with_the_next(
    stage: MeasuredIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = run_of(stage, stage.point(0), tiny_data(), tiny_split(), (), "")
    assert killed_at(5, lambda: run_zip(run))
    assert list(tmp_path.iterdir())
    run_zip(run)
    assert not list(tmp_path.iterdir())


def test_epochs_of_the_backbone_come_first(stage: MeasuredIndex) -> None:
    first, second = (EpochRecord(epoch, *[0.0] * (len(EpochRecord._fields) - 1)) for epoch in (1, 2))
    run = run_of(replace(stage, records=(second,)), stage.point(0), tiny_data(), tiny_split(), (first,), "")
    assert run.records == [first, second]


def test_a_first_look_is_not_saved(stage: MeasuredIndex) -> None:
    with pytest.raises(ValueError, match="still being built"):
        run_of(replace(stage, complete=False), stage.point(0), tiny_data(), tiny_split(), (), "")


def test_the_command_has_every_digit_of_the_threshold_and_no_folder_of_the_server() -> None:
    threshold = 0.1 + 0.2
    words = shlex.split(evaluate_command("a-b", threshold, "/srv/data/my ratings.csv"))
    assert words == ["sparcode", "evaluate", "a-b", "--threshold", "0.30000000000000004", "--data", "my ratings.csv"]
    assert float(words[4]) == threshold
    assert "--data" not in evaluate_command("a-b", threshold, "synthetic")

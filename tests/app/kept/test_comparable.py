from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from app.kept.comparable import RECORDED, ComparableRuns
from app.kept.run_figures import run_figures
from app.recorded.runs import RecordedRuns
from sparcode.config import DEFAULT_K
from sparcode.data.synthetic import generate
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.runs.description import DESCRIPTION
from tests.app.kept.saved_runs import save
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, DATA, changed, tiny_data, tiny_model, tiny_split
from tests.tiny_recording import opened, tiny_recording


def comparable(folder: Path | None, recorded: RecordedRuns | None = None) -> ComparableRuns:
    return ComparableRuns(folder, tiny_data(), recorded or RecordedRuns.nothing(tiny_data()))


def go_on() -> None:
    pass


def idle() -> bool:
    return False


def test_runs_of_the_command_line_are_listed_last_made_first_and_other_folders_are_not(tmp_path: Path) -> None:
    for number, name in enumerate(("First_run", "second", ".hidden", "no run")):
        save(tmp_path / name)
        os.utime(tmp_path / name / DESCRIPTION, (number, number))
    (tmp_path / "empty").mkdir()
    runs = comparable(tmp_path)
    assert runs.in_folder() == ("second", "First_run")
    facts = runs.facts("First_run")
    assert (facts.origin, facts.config, facts.data_name) == ("command line", CONFIG, tiny_data().name)
    assert comparable(None).in_folder() == comparable(tmp_path / "gone").in_folder() == ()


@pytest.mark.parametrize("name", ["gone", "../run", ".hidden", "", "a/b", f"{RECORDED}m9-k9"])
def test_a_name_of_no_run_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"no run of this name|nothing is recorded"):
        comparable(tmp_path / "folder").facts(name)


def test_a_damaged_description_says_so(tmp_path: Path) -> None:
    save(tmp_path / "run")
    (tmp_path / "run" / DESCRIPTION).write_text("{")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        comparable(tmp_path).facts("run")


def test_another_run_under_a_name_is_read_anew(tmp_path: Path) -> None:
    other = changed(training={"seed": 7})
    save(tmp_path / "run")
    runs = comparable(tmp_path)
    before = runs.stamp("run")
    assert runs.facts("run").config == CONFIG
    (tmp_path / "run").rename(tmp_path / "aside")
    save(tmp_path / "run", other)
    assert runs.facts("run").config == other
    assert runs.stamp("run") != before


def test_figures_of_a_run_are_those_of_scoring_every_item_user_by_user(tmp_path: Path) -> None:
    save(tmp_path / "run")
    found = run_figures(comparable(tmp_path).open("run"), go_on, idle)
    test, model = tiny_split().test, tiny_model()
    direct = ExactRetriever(SparseDirectScorer(model, model.threshold)).retrieve(test.queries, DEFAULT_K).item_ids
    accuracy = accuracy_by_query(direct, test.targets, DEFAULT_K, test.protocol)
    np.testing.assert_array_equal(found.recall_by_user, accuracy.recall)
    assert found.own_recall == pytest.approx(np.nanmean(accuracy.recall))
    assert (found.ndcg, found.precision) == pytest.approx(accuracy.means()[1:])
    assert found.tau[found.own] == model.threshold
    assert (np.diff(found.tau) > 0).all()
    assert (np.diff(found.density) <= 0).all()
    assert (np.diff(found.size_bytes) <= 0).all()
    assert found.own_ms > 0
    assert not found.busy
    assert 2 < (~np.isnan(found.p50_ms)).sum() < len(found.tau)


def test_a_run_brings_its_own_data_where_it_is_kept_beside_it(tmp_path: Path) -> None:
    other = RecordedRuns.nothing(tiny_data())
    save(tmp_path / "with", with_data=True)
    save(tmp_path / "without")
    elsewhere = generate(DATA.model_copy(update={"seed": 9}))
    runs = ComparableRuns(tmp_path, elsewhere, other)
    assert len(runs.open("with").split.test.queries) == 12
    with pytest.raises(ValueError, match=r"is not kept beside it .*SPARCODE_DATA"):
        runs.open("without")


def test_recorded_runs_are_named_by_their_codes(tmp_path: Path) -> None:
    runs = comparable(None, opened(tiny_recording(tmp_path)))
    assert runs.recorded() == (f"{RECORDED}m2-k6", f"{RECORDED}m1-k4")
    parts = runs.open(f"{RECORDED}m1-k4")
    assert parts.facts.origin == "recorded"
    assert parts.model.quantizer.config.codebook_size == 4
    assert len(run_figures(parts, go_on, idle).recall_by_user) == 12


def test_figures_say_whether_other_jobs_ran_beside_them(tmp_path: Path) -> None:
    save(tmp_path / "run")
    assert run_figures(comparable(tmp_path).open("run"), go_on, lambda: True).busy


def test_measured_runs_keep_figures_until_another_run_takes_the_name(tmp_path: Path) -> None:
    from app.jobs.manager import JobManager
    from app.kept.measured_runs import RUNS, MeasuredRuns

    save(tmp_path / "run")
    jobs = JobManager({RUNS: 1})
    try:
        measured = MeasuredRuns(jobs, comparable(tmp_path), jobs.running)
        assert measured.figures("run") is None
        job = measured.ensure("run", "ann")
        assert jobs.wait(job.key, lambda one: False, PATIENCE).error == ""
        found = measured.figures("run")
        assert found.facts.config == CONFIG
        assert measured.ensure("run", "ann") is None
        failed = jobs.wait(measured.ensure("gone", "ann").key, lambda one: False, PATIENCE)
        assert "no run of this name" in failed.error
        assert measured.ensure("gone", "ann").state == failed.state
        measured.retry("gone")
        assert measured.ensure("gone", "ann").active
        (tmp_path / "run" / DESCRIPTION).touch()
        assert measured.figures("run") is None
    finally:
        jobs.close()

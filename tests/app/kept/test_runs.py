from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from app.jobs.job import JobHandle
from app.kept import runs as kept_runs
from app.kept.listing import KEPT, as_name, is_name
from app.kept.runs import KeptRuns
from app.measured.measured_index import MeasuredIndex
from app.studio import Place, Studio
from app.training.control import TrainingControl
from app.training.data import training_data
from app.training.plan import FinishedRun, RunPlan
from app.training.run import EpochPoint, TrainedModels, train_from_scratch
from sparcode.runs.manifest import write_manifest
from sparcode.runs.store import load_run
from tests.app.open_studio import settled
from tests.tiny import CONFIG, changed, tiny_data, tiny_split


@cache
def finished() -> FinishedRun:
    """A training of the tiny data, as the Train page leaves it."""
    points: list[EpochPoint] = []
    made: list[TrainedModels] = []
    result = train_from_scratch(tiny_split(), CONFIG, TrainingControl(), JobHandle(points.append, lambda: False), None, made.append)
    plan = RunPlan(1, training_data("studio", tiny_data(), tiny_split()), CONFIG, two_tower=False)
    return FinishedRun(plan, tuple(point._replace(usage=None) for point in points), result, *made)


@pytest.fixture
def kept(tmp_path: Path) -> KeptRuns:
    return KeptRuns(tmp_path / "runs")


def studio_of(kept: KeptRuns, name: str, host: Studio) -> Studio:
    opened = kept.open(name)
    return Studio(opened.interactions, opened.run.config, opened.models, Place(f"run.{name}", host))


def test_a_kept_run_is_listed_described_and_read_by_the_command_line(kept: KeptRuns, tmp_path: Path) -> None:
    assert kept.names == ()
    assert kept.keep("mine", finished()) == "mine"
    assert kept.names == ("mine",)
    about = kept.about("mine")
    assert (about.data, about.synthetic) == (tiny_data().name, True)
    assert (about.n_codebooks, about.codebook_size) == (2, 6)
    run = load_run(tmp_path / "runs" / "mine")
    assert run.config == CONFIG
    assert run.results[0]["recall"] == finished().result.recall
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def figures(measured: MeasuredIndex) -> tuple[object, ...]:
    curve = measured.curve
    return (
        curve.recall.tolist(),
        curve.ndcg.tolist(),
        curve.size_bytes.tolist(),
        measured.usage.codes_in_use,
        measured.explorer.index.n_lists,
    )


def test_a_studio_shows_a_kept_run_at_once_with_the_same_figures_after_a_restart_and_makes_other_codes_from_its_backbone(
    kept: KeptRuns,
) -> None:
    kept.keep("mine", finished())
    found = []
    for _ in range(2):
        host = Studio(tiny_data(), CONFIG)
        studio = studio_of(kept, "mine", host)
        view = settled(studio, studio.config)
        assert (view.measured.kind, studio.run_name) == ("trained from scratch", "mine")
        assert view.tuning is None
        found.append(figures(view.measured))
        host.close()
    assert found[0] == found[1]

    host = Studio(tiny_data(), CONFIG)
    studio = studio_of(kept, "mine", host)
    expected = finished().models.backbone.score(tiny_split().test.queries)
    np.testing.assert_array_equal(studio.backbone.model.score(studio.split.test.queries), expected)
    other = changed(quantizer={"n_codebooks": 1, "codebook_size": 4})
    assert studio.setting_jobs.ensure(other, "ann")
    assert settled(studio, other).preview.is_preview
    assert studio.own_training.result == finished().result
    assert [point[:3] for point in studio.own_training.points] == [point[:3] for point in finished().points]
    host.close()


def test_studios_of_one_process_keep_their_jobs_apart(kept: KeptRuns) -> None:
    kept.keep("mine", finished())
    host = Studio(tiny_data(), CONFIG)
    studio = studio_of(kept, "mine", host)
    settled(studio, studio.config)
    assert host.indexes.all() == []
    assert host.setting_jobs.view(CONFIG).measured is None
    assert studio.from_scratch is host.from_scratch
    studio.close()
    # The workers go on for the others.
    assert settled(host, changed(training={"joint_epochs": 0})).measured is not None
    host.close()


def test_names_are_made_of_any_text_and_bounded(kept: KeptRuns) -> None:
    kept.keep("mine", finished())
    assert kept.free_name("MINE!") == "mine-2"
    assert kept.free_name("other data (x)") == "other-data-x"
    assert as_name("../../etc/passwd") == "etc-passwd"
    assert as_name("ÜÜ") == "run"
    assert is_name(as_name("x" * 99 + " y"))
    for name in ("", "..", "a/b", "A", "-a", "a-", "a--b", "x" * 41, ".a"):
        assert not is_name(name)
        with pytest.raises(ValueError, match="a run's name has small letters"):
            kept.keep(name, finished())
        with pytest.raises(ValueError, match="a run's name has small letters"):
            kept.delete(name)


def test_what_cannot_be_kept_says_why(kept: KeptRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep("mine", finished())
    with pytest.raises(ValueError, match="there is a run 'mine' already"):
        kept.keep("mine", finished())
    for limit, value, says in (
        ("MOST_RUNS", 1, "1 runs are kept, the most there may be; delete one first"),
        ("MOST_RUN_BYTES", 100, "the run takes 0 MB; at most 0 MB are kept"),
        ("MOST_BYTES", 100, "too much for another one; delete one"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(kept_runs, limit, value)
            with pytest.raises(ValueError, match=says):
                kept.keep("other", finished())
    assert kept.names == ("mine",)
    nowhere = KeptRuns(None)
    assert (nowhere.can_keep, nowhere.names, nowhere.about("mine")) == (False, (), None)
    with pytest.raises(ValueError, match="this studio keeps no runs"):
        nowhere.keep("mine", finished())


def test_an_export_is_the_folder_and_opens_where_it_is_unpacked(kept: KeptRuns, tmp_path: Path) -> None:
    kept.keep("mine", finished())
    with zipfile.ZipFile(io.BytesIO(kept.export("mine"))) as archive:
        archive.extractall(tmp_path / "elsewhere")
    assert KeptRuns(tmp_path / "elsewhere").open("mine").run.run_id == kept.open("mine").run.run_id


def test_another_run_under_the_same_name_has_another_stamp(kept: KeptRuns, tmp_path: Path) -> None:
    assert kept.stamp("mine") == kept.stamp("../x") == ""
    kept.keep("mine", finished())
    first = kept.stamp("mine")
    assert first
    kept.delete("mine")
    kept.keep("mine", finished())
    assert kept.stamp("mine") not in ("", first)


def test_a_deleted_run_is_gone(kept: KeptRuns) -> None:
    kept.keep("mine", finished())
    kept.delete("mine")
    assert kept.names == ()
    for ask in (kept.open, kept.export):
        with pytest.raises(ValueError, match="there is no run 'mine'"):
            ask("mine")
    kept.delete("mine")


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(format_version=99),
        lambda told: told.update(points=[{"stage": "SparCode"}]),
        lambda told: told.update(result={}),
        lambda told: told.pop("data"),
    ],
)
def test_a_damaged_description_is_named(kept: KeptRuns, tmp_path: Path, change: object) -> None:
    kept.keep("mine", finished())
    folder = tmp_path / "runs" / "mine"
    told = json.loads((folder / KEPT).read_text())
    change(told)
    (folder / KEPT).write_text(json.dumps(told))
    with pytest.raises(ValueError, match=f"{KEPT} is damaged"):
        kept.open("mine")
    write_manifest(folder)
    with pytest.raises(ValueError, match=f"{KEPT} of the run 'mine' is damaged"):
        kept.open("mine")

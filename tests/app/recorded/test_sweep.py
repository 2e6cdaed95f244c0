"""The recorded sweep belongs to the default data and settings, and says what its own points say."""

from __future__ import annotations

import json
from pathlib import Path

from app.kept.sweep_words import answer
from app.kept.sweeps import RECORDED_NAME, RECORDED_SWEEP, KeptSweeps
from app.session.loaders import run_config
from scripts.record_sweep import SEARCH, SPACE, write_kept
from sparcode.data.loading import SYNTHETIC, load
from sparcode.sweep.answer import NEAR_BEST, points_of
from sparcode.sweep.folder import load as load_sweep
from sparcode.sweep.run import run_sweep
from tests.sweep.planted import Inline, planted_folder

MOST_BYTES = 200_000


def test_it_is_of_the_default_data_and_settings() -> None:
    sweep = KeptSweeps(None).load(RECORDED_NAME)
    definition = sweep.definition
    assert definition.config == run_config(True)
    assert definition.data.facts.content_hash == load(SYNTHETIC).content_hash()
    assert (definition.space, definition.search) == (SPACE, SEARCH)
    assert sweep.is_finished
    assert KeptSweeps(None).recording(RECORDED_NAME) is not None
    assert sum(path.stat().st_size for path in RECORDED_SWEEP.rglob("*") if path.is_file()) < MOST_BYTES


def test_its_answer_is_the_smallest_of_its_points_near_the_best() -> None:
    sweep = KeptSweeps(None).load(RECORDED_NAME)
    points = points_of(sweep.trials)
    best = max(point.recall for point in points)
    near = min((point for point in points if point.recall >= NEAR_BEST * best), key=lambda point: point.size_bytes)
    assert f"{near.size_bytes / 1e6:.3g} MB, Recall@50 {near.recall:.3f}" in answer(sweep.definition, sweep.trials)


def test_a_sweep_is_kept_without_runs_and_with_day_and_machine(tmp_path: Path) -> None:
    work = planted_folder(tmp_path / "work", trials=4)
    run_sweep(work, Inline())
    write_kept(work, tmp_path / "kept")
    kept = load_sweep(tmp_path / "kept")
    assert [trial.curve for trial in kept.trials] == [trial.curve for trial in load_sweep(work).trials]
    assert {trial.run for trial in kept.trials} == {""}
    about = json.loads((tmp_path / "kept" / "recorded.json").read_text())
    assert set(about) == {"day", "machine"}
    # Again, in place of what is there.
    write_kept(work, tmp_path / "kept")
    assert len(load_sweep(tmp_path / "kept").trials) == 4

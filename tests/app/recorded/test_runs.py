from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from app.explorer.as_if import N_ITEMS
from app.measured.measured_index import ModelFacts, measure
from app.recorded.files import DESCRIPTION, MAX_RECORDED_BYTES, read_description, write_folder
from app.recorded.runs import RECORD_AGAIN, RecordedRuns
from app.session import loaders
from app.training.data import DataShelf
from app.training.run import BACKBONE, JOINT, TWO_TOWER
from scripts.record_runs import Recorder, with_earlier_parts, with_new_part
from sparcode.comparison.growth_lines import at_share, line_of
from sparcode.comparison.peers import FLAT, SPARCODE
from sparcode.index.pruning import KeepDensity
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from tests.tiny import CONFIG, changed, tiny_data, tiny_split
from tests.tiny_recording import OTHER, opened, tiny_recording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_recording(tmp_path)


def own_data() -> object:
    return DataShelf(tiny_data(), tiny_split(), CONFIG.split).own()


def edited(folder: Path, edit: Callable[[dict], object]) -> Path:
    """The recording with its description changed."""
    path = folder / DESCRIPTION
    described = json.loads(path.read_text(encoding="utf-8"))
    edit(described)
    path.write_text(json.dumps(described), encoding="utf-8")
    return folder


def weights_of(folder: Path, kind: str) -> Path:
    """The first weights of a kind: backbone or sparcode."""
    return sorted(folder.glob(f"{kind}-*.safetensors"))[0]


def test_what_was_recorded_is_found_with_its_day_and_machine(folder: Path) -> None:
    recorded = opened(folder)
    assert recorded.notes == ()
    backbone = recorded.backbone(CONFIG)
    assert accuracy(ExactRetriever(backbone.model), tiny_split().test, 50)[:2] == (backbone.recall, backbone.ndcg)
    assert [record.epoch for record in backbone.records] == list(range(CONFIG.training.epochs + 1))
    assert backbone.recording == recorded.recording
    assert (datetime.now(UTC).date() - datetime.fromisoformat(recorded.recording.day).date()).days in (0, 1)
    assert "PyTorch" in recorded.recording.words
    for config in (CONFIG, OTHER):
        tuned = recorded.tuned(config)
        assert tuned.model.quantizer.config == config.quantizer
        assert (tuned.recording, tuned.cut_short, tuned.records[0].epoch) == (recorded.recording, False, 0)


def test_recorded_figures_are_those_of_the_recorded_weights(folder: Path) -> None:
    recorded = opened(folder)
    points = {point.label: point for point in recorded.serving(CONFIG).points}
    ours = points["SparCode (index), 20% of scores"]
    facts = ModelFacts("recorded", CONFIG, (), lambda: 1.0, cut_short=False)
    stage = measure(recorded.tuned(CONFIG).model, facts, tiny_split(), lambda stage: None, lambda: None)
    point = stage.explorer.at(KeepDensity(0.2, stage.explorer.model.first_list_code).threshold(stage.explorer.index))
    assert (point.recall, point.ndcg) == (ours.recall, ours.ndcg)
    assert point.total_bytes == ours.size_bytes
    assert points["all-to-all"].recall == recorded.backbone(CONFIG).recall


def test_a_recorded_training_has_all_epochs_with_the_use_of_its_codes(folder: Path) -> None:
    run = opened(folder).training(CONFIG, own_data())
    assert (run.plan.name, run.plan.config, run.plan.two_tower) == ("recorded", CONFIG, True)
    assert {point.stage for point in run.points} == {BACKBONE, JOINT, TWO_TOWER}
    for point in run.points:
        if point.stage == JOINT:
            assert point.usage.shape == (2, 6)
            np.testing.assert_allclose(point.usage.mean(axis=1), 1, rtol=1e-2)
        else:
            assert point.usage is None
    assert 0 < run.result.recall <= 1


def test_a_recorded_measurement_beside_peers_has_the_recall_of_every_user(folder: Path) -> None:
    recorded = opened(folder)
    result = recorded.serving(CONFIG)
    assert (result.kind, result.n_items, result.n_queries, result.config) == ("recorded", 80, 12, CONFIG)
    assert result.recording.day == result.measured_at[:10]
    assert {"EASE", "item co-occurrence", "all-to-all", "SparCode (index)"} <= {point.name for point in result.points}
    for point in result.points:
        assert len(point.recall_by_query) == 12
        np.testing.assert_allclose(np.nanmean(point.recall_by_query), point.recall, atol=1e-6)
        assert point.n_rounds > 0
    assert recorded.serving(OTHER) is None
    # Earlier recordings hold rows of the Overview beside them.
    before = edited(folder, lambda described: described.update(comparisons=[{"address": "0", "rows": [{}]}]))
    assert opened(before).notes == ()


def test_the_rest_of_a_recording_stays_when_its_measurement_beside_peers_is_made_anew(folder: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    before = read_description(edited(folder, lambda described: described.update(servings=[])))
    after = with_new_part(Recorder(tiny_data(), CONFIG, files), folder, "servings")
    assert before.servings == []
    assert [entry.facts.n_queries for entry in after.servings] == [12]
    assert after.model_copy(update={"servings": []}) == before
    assert {file.name for file in files.iterdir()} == {file.name for file in folder.iterdir()}


def test_growing_catalogues_are_recorded_with_their_two_tower_and_kept_by_a_whole_recording(folder: Path, tmp_path: Path) -> None:
    files, later = tmp_path / "files", tmp_path / "later"
    files.mkdir()
    later.mkdir()
    before = read_description(folder)
    after = with_new_part(Recorder(tiny_data(), CONFIG, files), folder, "scales", sizes=(80, 200))
    assert after.model_copy(update={"scales": before.scales, "two_towers": before.two_towers}) == before
    new = tmp_path / "new"
    write_folder(after, files, new)
    recorded = opened(new)
    result = recorded.scale(CONFIG)
    assert (result.sizes, result.n_items, result.kind) == ((80, 200), 80, "recorded")
    assert {point.n_items for point in result.points} == {80, 200}
    assert result.recording.machine == result.machine
    assert result.load >= 0
    assert recorded.scale(OTHER) is None
    trained = recorded.two_tower(CONFIG)
    assert trained.epochs > 0
    assert trained.model.score(tiny_split().test.queries).shape == (12, 80)
    assert recorded.notes == ()
    kept = with_earlier_parts(before, Recorder(tiny_data(), CONFIG, later), new)
    assert (kept.scales, kept.two_towers) == (after.scales, after.two_towers)
    assert [file.name for file in later.iterdir()] == [entry.weights.name for entry in after.two_towers]
    assert with_earlier_parts(before, Recorder(tiny_data(), OTHER, later), new).scales == []
    (new / after.two_towers[0].weights.name).write_bytes(b"damaged")
    assert opened(new).two_tower(CONFIG) is None
    # Recordings made before loads were kept.
    described = json.loads((new / DESCRIPTION).read_text(encoding="utf-8"))
    del described["scales"][0]["facts"]["load"]
    (new / DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
    assert math.isnan(opened(new).scale(CONFIG).load)


def test_other_settings_find_nothing(folder: Path) -> None:
    recorded = opened(folder)
    assert recorded.tuned(changed(quantizer={"codebook_size": 5})) is None
    assert recorded.backbone(changed(training={"seed": 1})) is None
    assert recorded.notes == ()


def test_records_of_other_default_settings_are_named_as_out_of_date(folder: Path) -> None:
    recorded = opened(folder, changed(training={"epochs": 7}))
    assert recorded.backbone(CONFIG) is None
    assert "made with other settings" in recorded.notes[0]
    assert RECORD_AGAIN in recorded.notes[0]


def test_records_of_other_data_are_not_used(folder: Path) -> None:
    data = tiny_data()
    assert RecordedRuns.opened(folder, replace(data, name="films of mine"), CONFIG).notes == ()
    changed_data = replace(data, histories=data.histories.take(np.arange(100)), user_ids=np.asarray(data.user_ids)[:100])
    recorded = RecordedRuns.opened(folder, changed_data, CONFIG)
    assert recorded.backbone(CONFIG) is None
    assert "other data of this name" in recorded.notes[0]


def test_nothing_recorded_needs_no_note(tmp_path: Path) -> None:
    recorded = opened(tmp_path / "none")
    assert (recorded.recording, recorded.notes, recorded.tuned(CONFIG)) == (None, (), None)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda described: described.update(format_version=99), "format version 99"),
        (lambda described: described.pop("machine"), "damaged at machine"),
        (lambda described: described["tuned"][0]["weights"].update(name="../model.safetensors"), "damaged at tuned.0.weights.name"),
        (lambda described: described["backbones"][0].update(seconds=-1), "damaged at backbones.0.seconds"),
    ],
)
def test_a_damaged_description_is_as_none_and_said(folder: Path, edit: Callable[[dict], object], problem: str) -> None:
    recorded = opened(edited(folder, edit))
    assert recorded.backbone(CONFIG) is None
    assert problem in recorded.notes[0]


def test_a_description_that_is_no_json_is_said(folder: Path) -> None:
    (folder / DESCRIPTION).write_bytes(b"\xff{")
    assert "cannot be read as JSON" in opened(folder).notes[0]


def test_a_damaged_file_leaves_the_other_records(folder: Path) -> None:
    path = weights_of(folder, "backbone")
    path.write_bytes(path.read_bytes()[:-10])
    recorded = opened(folder)
    assert recorded.backbone(CONFIG) is None
    assert recorded.tuned(CONFIG) is not None
    assert f"{path.name} is missing or damaged" in recorded.notes[0]
    path.unlink()
    assert "missing or damaged" in opened(folder).notes[0]


def test_weights_that_do_not_fit_are_said_once_and_not_used(folder: Path) -> None:
    path = weights_of(folder, "sparcode")
    path.write_bytes(safetensors.torch.save({"tau": torch.zeros(3)}))

    def accept(described: dict) -> None:
        for entry in described["tuned"]:
            if entry["weights"]["name"] == path.name:
                entry["weights"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    recorded = opened(edited(folder, accept))
    assert recorded.notes == ()
    found = [recorded.tuned(config) for config in (CONFIG, OTHER, CONFIG, OTHER)]
    assert [tuned is None for tuned in found].count(True) == 2
    (note,) = recorded.notes
    assert f"{path.name} is damaged or does not fit" in note


def test_rows_and_epochs_that_make_no_sense_are_not_used(folder: Path) -> None:
    def spoil(described: dict) -> None:
        described["servings"][0]["points"][0].pop("recall")
        described["trainings"][0]["points"].pop()
        described["trainings"][0]["points"][-1].pop("stage")

    recorded = opened(edited(folder, spoil))
    assert recorded.serving(CONFIG) is None
    assert recorded.training(CONFIG, own_data()) is None
    assert recorded.notes


def test_recordings_replace_each_other_and_nothing_else(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.recorded import files as recorded_files

    described = recorded_files.read_description(folder)
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setattr(recorded_files, "MAX_RECORDED_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 are allowed"):
        write_folder(described, files, folder)
    monkeypatch.undo()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(ValueError, match="something else than recorded runs"):
        write_folder(described, files, other)
    write_folder(described, files, folder)
    assert [file.name for file in folder.iterdir()] == [DESCRIPTION]


def test_shipped_runs_are_those_of_the_default_data_and_settings() -> None:
    data, config = loaders.load("synthetic"), loaders.run_config(synthetic=True)
    recorded = RecordedRuns.opened(loaders.RECORDED_FOLDER, data, config)
    why = f"defaults or data have changed since the runs in assets/recorded were made; record them again: {RECORD_AGAIN}"
    assert recorded.notes == (), why
    assert recorded.backbone(config) is not None, why
    assert recorded.tuned(config) is not None, why
    assert recorded.serving(config) is not None, why
    assert recorded.training(config, own_data()) is not None, why
    assert recorded.notes == (), why


def test_the_recorded_time_at_one_percent_is_at_most_half_of_that_at_twenty() -> None:
    data, config = loaders.load("synthetic"), loaders.run_config(synthetic=True)
    recorded = RecordedRuns.opened(loaders.RECORDED_FOLDER, data, config).scale(config)
    points = [point for point in recorded.points if point.n_items == N_ITEMS]
    times = {share: point.p50_ms for share in (0.01, 0.2) for point in at_share(points, share) if point.name == SPARCODE}
    assert times[0.01] <= times[0.2] / 2


def test_the_recorded_time_of_exact_search_grows_at_most_as_the_catalogue_does() -> None:
    data, config = loaders.load("synthetic"), loaders.run_config(synthetic=True)
    result = RecordedRuns.opened(loaders.RECORDED_FOLDER, data, config).scale(config)
    if math.isnan(result.load):
        pytest.skip("the runs were recorded before the load of the machine was kept; record the growing catalogues again")
    assert result.load_words == "", "record the growing catalogues again on an idle machine"
    assert line_of(result.points, FLAT, lambda point: point.p50_ms).slope(10_000) < 1.15


def test_shipped_runs_are_small() -> None:
    files = list(loaders.RECORDED_FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= MAX_RECORDED_BYTES
    assert {file.suffix for file in files} == {".json", ".safetensors", ".npy"}

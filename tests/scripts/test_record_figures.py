from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from app.measured.threshold_stops import KEPT_PERCENTS, threshold_stops
from app.recorded.figures import read_figures
from app.recorded.files import DESCRIPTION, FiguresEntry, in_half_precision, read_description, write_folder
from app.session import loaders
from scripts.record_figures import PAIRS, figures_entry, pair_configs, record_figures
from scripts.record_runs import Recorder, with_earlier_parts
from sparcode.config import RunConfig
from sparcode.metrics.evaluation import Explorer
from sparcode.training.pipeline import build_run_index, fine_tune, preview, train_backbone
from tests.tiny import CONFIG, changed, tiny_data, tiny_split
from tests.tiny_recording import OTHER, opened, tiny_recording

GRU = changed(model={"encoder": "gru"})
# Of the default data.
SHIPPED = {"mean/dot", "mean/cross", "mean/attention", "gru/mlp", "sasrec/mlp"}
PLACES = (0, 40, KEPT_PERCENTS.index("1.02"), len(KEPT_PERCENTS) - 1)


@cache
def entry_of(config: RunConfig) -> FiguresEntry:
    """Figures recorded of the tiny data."""
    return figures_entry(tiny_split(), config, tiny_data().content_hash())


def recording_with(folder: Path, *configs: RunConfig) -> Path:
    """The tiny recording with figures of some settings."""
    recorded = tiny_recording(folder)
    files = folder / "files"
    recorded.rename(files)
    write_folder(read_description(files).model_copy(update={"figures": [entry_of(config) for config in configs]}), files, recorded)
    return recorded


def test_every_encoder_is_recorded_with_every_interaction_the_usual_ones_first() -> None:
    assert len(set(PAIRS)) == 12
    assert PAIRS[0] == "mean/mlp"
    assert set(PAIRS[1:6]) == {"gru/mlp", "sasrec/mlp", "mean/dot", "mean/cross", "mean/attention"}
    for pair, config in pair_configs(CONFIG).items():
        assert f"{config.model.encoder}/{config.model.interaction}" == pair
    assert pair_configs(CONFIG)["gru/mlp"] == GRU


def test_recorded_figures_are_those_of_the_setting_trained_and_measured_step_by_step() -> None:
    split, found = tiny_split(), read_figures(entry_of(GRU), GRU)
    backbone, _ = train_backbone(split, GRU, device="cpu")
    model = preview(backbone, split, GRU)
    records = fine_tune(model, split, GRU)
    explorer = Explorer(
        in_half_precision(model), build_run_index(in_half_precision(model), split.train, GRU.index), split.test, split.train
    )
    stops = threshold_stops(explorer.index, explorer.default_threshold)
    for place in PLACES:
        point, shown = explorer.at(float(stops[place])), found.figures(place)
        assert (shown.size_bytes, shown.postings) == (point.total_bytes, point.kept_postings)
        np.testing.assert_allclose((shown.recall, shown.ndcg), (point.recall, point.ndcg), rtol=1e-5)
    assert found.usage.codes_in_use == explorer.usage.codes_in_use
    assert (found.n_epochs, found.n_queries, found.n_lists) == (len(records) - 1, 12, explorer.index.n_lists)
    assert found.backbone_epochs > 0
    assert len(found.latencies()) > 3
    assert all(timed.parts is not None for timed in found.latencies().values())


def test_figures_are_found_for_their_setting_and_stand_in_for_other_codes_of_the_same_backbone(tmp_path: Path) -> None:
    recorded = opened(recording_with(tmp_path, GRU, OTHER))
    assert recorded.figures(GRU).config == GRU
    assert recorded.figures(GRU) is recorded.figures(GRU)
    assert recorded.figures(OTHER).config == OTHER
    other = changed(model={"encoder": "gru"}, quantizer={"codebook_size": 4})
    assert recorded.figures(other).config == GRU
    assert recorded.figures(changed(model={"encoder": "sasrec"})) is None
    assert recorded.figures(changed(training={"seed": 1})) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry["curve"].pop("recall"),
        lambda entry: entry["curve"]["tau"].pop(),
        lambda entry: entry["usage"].pop("n_lists"),
        lambda entry: entry["latencies"][0][1].pop("latency"),
        lambda entry: entry["config"].pop("quantizer"),
    ],
)
def test_damaged_figures_are_said_and_not_used(tmp_path: Path, spoil: object) -> None:
    folder = recording_with(tmp_path, GRU)
    path = folder / DESCRIPTION
    described = json.loads(path.read_text(encoding="utf-8"))
    spoil(described["figures"][0])
    path.write_text(json.dumps(described), encoding="utf-8")
    recorded = opened(folder)
    assert recorded.figures(GRU) is None
    assert "recorded run is not used" in recorded.notes[0]
    assert recorded.backbone(CONFIG) is not None


def test_pairs_are_written_one_by_one_and_replace_only_themselves(tmp_path: Path) -> None:
    folder = recording_with(tmp_path, GRU)
    before = read_description(folder)
    record_figures(tiny_data(), CONFIG, folder, ["mean/dot", "mean/mlp"])
    record_figures(tiny_data(), CONFIG, folder, ["mean/dot"])
    after = read_description(folder)
    assert [f"{entry.config['model']['encoder']}/{entry.config['model']['interaction']}" for entry in after.figures] == [
        "gru/mlp",
        "mean/mlp",
        "mean/dot",
    ]
    assert after.model_copy(update={"figures": before.figures}) == before
    assert opened(folder).notes == ()
    data = tiny_data()
    other = replace(data, histories=data.histories.take(np.arange(100)), user_ids=np.asarray(data.user_ids)[:100])
    with pytest.raises(ValueError, match="runs of other data"):
        record_figures(other, CONFIG, folder, [])


def test_a_whole_recording_keeps_figures_of_its_own_settings(tmp_path: Path) -> None:
    folder = recording_with(tmp_path, GRU, OTHER)
    empty = read_description(folder).model_copy(update={"figures": []})
    # OTHER has other codes than the pairs of the default.
    assert with_earlier_parts(empty, Recorder(tiny_data(), CONFIG, tmp_path), folder).figures == [entry_of(GRU)]


def test_shipped_figures_are_small_and_found_for_the_default_data_and_settings() -> None:
    folder = loaders.RECORDED_FOLDER
    entries = [entry.model_dump_json() for entry in read_description(folder).figures]
    assert max(map(len, entries)) < 16_000
    data, config = loaders.load("synthetic"), loaders.run_config(synthetic=True)
    recorded = loaders.RecordedRuns.opened(folder, data, config)
    found = {pair for pair, other in pair_configs(config).items() if getattr(recorded.figures(other), "config", None) == other}
    assert len(found) == len(entries)
    assert found >= SHIPPED

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sparcode.comparison.training import ComparisonStopped, Models, Trained
from sparcode.config import RunConfig
from sparcode.index.inverted_index import ARRAY_DTYPES
from sparcode.training.checkpoint import Beginning, Checkpoint, StageCheckpoint, State, remove_states, stage_files
from sparcode.training.epoch_record import EpochRecord, ignore_record, never_stop
from sparcode.training.pipeline import train_backbone
from sparcode.training.time_limit import TimeLimit
from tests.fakes import killed_at, raising
from tests.tiny import changed, tiny_split

PARTS = ("backbone", "sparcode", "index", "two-tower")
FEW_EPOCHS = {"epochs": 2, "joint_epochs": 2}


class Stopped(Exception):
    """The training's process is gone."""


def beginning(config: RunConfig, **other: object) -> Beginning:
    return Beginning(config, "tiny", tiny_split().content_hash(), "cpu")._replace(**other)


def trained(
    config: RunConfig, folder: Path | None, on_epoch: Callable[[EpochRecord], None] = ignore_record, should_stop: Callable = never_stop
) -> dict[str, Trained]:
    checkpoint = None if folder is None else Checkpoint(folder, beginning(config))
    models = Models(tiny_split(), config, device="cpu", on_epoch=on_epoch, should_stop=should_stop, checkpoint=checkpoint)
    return {part: models.get(part) for part in PARTS}


def stop_at(n_epochs: int) -> Callable[[EpochRecord], None]:
    calls = count(1)

    def on_epoch(record: EpochRecord) -> None:
        if next(calls) == n_epochs:
            raise Stopped

    return on_epoch


def assert_same(found: dict[str, Trained], expected: dict[str, Trained]) -> None:
    for part in ("backbone", "sparcode", "two-tower"):
        weights = expected[part].model.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in found[part].model.state_dict().items())
        rows = [[record._replace(train_seconds=0) for record in one[part].records] for one in (found, expected)]
        np.testing.assert_array_equal(*rows)
    for name in ARRAY_DTYPES:
        np.testing.assert_array_equal(getattr(found["index"].model, name), getattr(expected["index"].model, name))


@pytest.mark.parametrize(
    "config",
    [
        changed(training=FEW_EPOCHS | {"patience": 2}, quantizer={"revive_below": 0.9}),
        changed(
            model={"encoder": "gru", "history_tokens": 5},
            quantizer={"kind": "residual", "codebook_update": "ema", "revive_below": 0},
            training=FEW_EPOCHS | {"start": "spectral", "joint_teacher": "backbone", "schedule": "cosine"},
        ),
        changed(
            quantizer={"codebook_update": "ema", "n_nearest": 1, "revive_below": 0.9},
            training=FEW_EPOCHS | {"n_negatives": 20, "negatives": "popularity"},
        ),
        changed(
            model={"history_tokens": 5, "score": "cosine", "interaction": "dot"},
            quantizer={"revive_below": 0},
            training=FEW_EPOCHS | {"n_negatives": 20, "embedding_steps": "touched"},
        ),
    ],
    ids=["defaults", "residual", "sampled", "rows"],
)
def test_a_training_stopped_after_every_epoch_ends_the_same_to_the_bit(config: RunConfig, tmp_path: Path) -> None:
    expected = trained(config, None)
    n_epochs = sum(len(expected[part].records) for part in PARTS)
    for n in range(1, n_epochs + 1):
        with pytest.raises(Stopped):
            trained(config, tmp_path, stop_at(n))
    told: list[EpochRecord] = []
    found = trained(config, tmp_path, told.append)
    assert_same(found, expected)
    assert told == [record for part in ("backbone", "sparcode", "two-tower") for record in found[part].records]
    assert any(record.revived for record in found["sparcode"].records) == (config.quantizer.revive_below > 0)


@pytest.mark.parametrize("after", [2, 7, 11, 18])
def test_an_epoch_that_was_cut_short_is_done_again(tmp_path: Path, after: int) -> None:
    config = changed(training=FEW_EPOCHS)
    asked = count()
    with pytest.raises(ComparisonStopped):
        trained(config, tmp_path, should_stop=lambda: next(asked) >= after)
    assert_same(trained(config, tmp_path), trained(config, None))


def test_a_training_that_a_time_limit_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    config = changed(training=FEW_EPOCHS)
    checkpoint, split = Checkpoint(tmp_path, beginning(config)), tiny_split()
    model, records = train_backbone(split, config, checkpoint=StageCheckpoint(checkpoint, "backbone"), limit=TimeLimit(0.0))
    again, told = train_backbone(split, config, checkpoint=StageCheckpoint(checkpoint, "backbone"))
    assert repr(told) == repr(records)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())


def test_seconds_count_from_the_first_start(tmp_path: Path) -> None:
    config = changed(training=FEW_EPOCHS)
    checkpoint = Checkpoint(tmp_path, beginning(config))
    checkpoint.save("backbone", State({}, {"seconds": 100.0}))
    stage = StageCheckpoint(checkpoint, "backbone")
    assert stage.load() == State({}, {})
    assert stage.seconds_before == 100
    stage.save(State({}, {}))
    assert 100 < checkpoint.load("backbone").values["seconds"] < 110
    assert StageCheckpoint(checkpoint, "sparcode").load() is StageCheckpoint(None, "backbone").load() is None


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    Checkpoint(tmp_path, beginning(changed())).save("backbone", State({"a": torch.arange(3)}, {"epoch": 1}))
    return tmp_path


def test_a_kill_at_any_step_leaves_a_whole_state(kept: Path) -> None:
    checkpoint = Checkpoint(kept, beginning(changed()))
    for step in count():
        if not killed_at(step, lambda: checkpoint.save("backbone", State({"a": torch.arange(4)}, {"epoch": 2}))):
            break
        state = Checkpoint(kept, beginning(changed())).load("backbone")
        assert (len(state.tensors["a"]), state.values["epoch"]) in ((3, 1), (4, 2))
    assert step >= 2
    # Cut short while safetensors writes.
    for name in ("backbone.new", ".tmpmDQTSe"):
        (kept / name).write_bytes(b"\x10")
    assert Checkpoint(kept, beginning(changed())).load("backbone").values == {"epoch": 2}
    assert [path.name for path in kept.iterdir()] == ["backbone.safetensors"]
    (kept / ".tmpmDQTSe").write_bytes(b"\x10")
    checkpoint.remove()
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize(
    ("begins", "message"),
    [
        (beginning(changed(training={"epochs": 7}, quantizer={"n_nearest": 2})), r"n_nearest=4 \(now 2\), epochs=6 \(now 7\)"),
        (beginning(changed(), device="cuda"), r"device cpu \(now cuda\)"),
        (beginning(changed(), processes=2), r"1 process \(now 2\)"),
        (beginning(changed(), data="yours", data_hash="0" * 16), r"other data, 'tiny' \(now 'yours'\)"),
    ],
)
def test_another_training_is_refused_and_its_difference_named(kept: Path, begins: Beginning, message: str) -> None:
    with pytest.raises(ValueError, match=f"the training that was stopped began with {message}; give the same, or start anew"):
        Checkpoint(kept, begins)


def test_a_setting_that_is_new_since_counts_as_its_default(kept: Path) -> None:
    path = kept / "backbone.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["checkpoint"])
    del header["begun"]["config"]["index"]["postings"]
    safetensors.torch.save_file({}, path, {"checkpoint": json.dumps(header)})
    assert Checkpoint(kept, beginning(changed())).load("backbone").values == {"epoch": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_bytes(b""),
        lambda path: safetensors.torch.save_file({}, path),
        lambda path: safetensors.torch.save_file({}, path, {"checkpoint": "[]"}),
        lambda path: safetensors.torch.save_file({}, path, {"checkpoint": '{"format_version": 99}'}),
        lambda path: safetensors.torch.save_file({}, path, {"checkpoint": '{"format_version": 1, "begun": {}, "values": {}}'}),
    ],
)
def test_a_damaged_state_is_named(kept: Path, damage: Callable[[Path], object]) -> None:
    damage(kept / "backbone.safetensors")
    with pytest.raises(ValueError, match=r"backbone\.safetensors is damaged: .*; start anew with --overwrite"):
        Checkpoint(kept, beginning(changed()))


def test_a_state_that_does_not_fit_the_models_is_refused(kept: Path) -> None:
    with pytest.raises(ValueError, match="the checkpoint does not fit this training"):
        trained(changed(), kept)


def test_a_full_disk_ends_no_training(kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = Checkpoint(kept, beginning(changed()))
    monkeypatch.setattr(safetensors.torch, "save_file", raising(OSError("disk full")))
    for _ in range(2):
        checkpoint.save("backbone", State({}, {"epoch": 2}))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("an interrupted training will go on from an earlier epoch: disk full")
    assert checkpoint.load("backbone").values == {"epoch": 1}
    assert [path.name for path in stage_files(kept)] == ["backbone.safetensors"]
    remove_states(kept)
    assert stage_files(kept) == []

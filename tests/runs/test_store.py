from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from scripts.soak import flips
from sparcode.comparison.run import compare, data_facts
from sparcode.config import RunConfig, settings_hash
from sparcode.index.block_index import block_index
from sparcode.index.storage import save_index
from sparcode.index.whole_folder import reserved_folder
from sparcode.runs import store as run_store
from sparcode.runs.manifest import write_manifest
from sparcode.runs.store import Run, keep_run, load_run, save_run
from sparcode.training.checkpoint import Beginning, Checkpoint, State
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pair_fit import fit_pairs
from sparcode.training.pipeline import build_run_index, preview
from tests.fakes import raising
from tests.model.test_item_lists import with_lists
from tests.model.test_pair_features import config_of
from tests.tiny import CONFIG, changed, fresh_backbone, tiny_data, tiny_index, tiny_model, tiny_split

RECORD = EpochRecord(0, math.nan, math.nan, 0.5, 3.5, 0.25, 7, 0, 0.1, False)


def tiny_run() -> Run:
    data = tiny_data()
    item_ids = [f"item-{item}" for item in data.item_ids]
    results = [{"name": "SparCode (index)", "recall": 0.5}]
    return Run(CONFIG, data_facts(data), tiny_model(), tiny_index(), item_ids, data.items, [RECORD], results, "a machine")


def edit(folder: Path, change: Callable[[dict], object], run_id: bool = True) -> None:
    """Change run.json as if it had been written so."""
    described = json.loads((folder / "run.json").read_text())
    change(described)
    if run_id:
        described["run_id"] = f"{described['data']['content_hash'][:8]}-{settings_hash(described['config'])[:8]}"
    (folder / "run.json").write_text(json.dumps(described))
    write_manifest(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_run(tiny_run(), tmp_path / "runs" / "first")


def test_a_run_comes_back_as_it_was(folder: Path) -> None:
    run, expected = load_run(folder), tiny_run()
    assert (run.config, run.data, run.run_id) == (expected.config, expected.data, expected.run_id)
    assert (run.item_ids, run.results, run.machine) == (expected.item_ids, expected.results, expected.machine)
    assert run.items["title"].tolist() == expected.items["title"].tolist()
    assert math.isnan(run.records[0].loss)
    assert run.records[0][3:] == RECORD[3:]
    queries = tiny_split().test.queries
    np.testing.assert_array_equal(run.model.score(queries), expected.model.score(queries))
    np.testing.assert_array_equal(run.index.scores, expected.index.scores)
    assert run.model.threshold == expected.model.threshold


def test_a_run_that_names_settings_without_effect_comes_back(folder: Path) -> None:
    edit(folder, lambda described: described["config"]["model"].update(max_history=20))
    assert load_run(folder).config.model.max_history == 20


def test_a_run_from_before_there_were_layouts_is_served_from_lists(folder: Path) -> None:
    index_path = folder / "index" / "index.json"
    index = json.loads(index_path.read_text())
    del index["kind"]
    index_path.write_text(json.dumps(index))
    edit(folder, lambda described: described["config"]["index"].pop("postings"))
    run = load_run(folder)
    assert run.config.index.postings == "float32"
    np.testing.assert_array_equal(run.index.scores, tiny_index().scores)


def test_a_run_keeps_lists_whatever_it_serves(folder: Path) -> None:
    save_index(block_index(tiny_index(), tiny_model().threshold), folder / "index")
    write_manifest(folder)
    with pytest.raises(ValueError, match="holds blocks; a run keeps lists"):
        load_run(folder)


def test_the_id_follows_data_and_settings() -> None:
    run = tiny_run()
    assert run.run_id == f"{run.data.content_hash[:8]}-{CONFIG.content_hash()[:8]}"


def test_a_run_is_not_replaced_by_accident(folder: Path) -> None:
    with pytest.raises(ValueError, match="exists; give another folder or overwrite"):
        save_run(tiny_run(), folder)
    assert load_run(save_run(tiny_run(), folder, overwrite=True)).run_id == tiny_run().run_id
    assert [path.name for path in folder.parent.iterdir()] == ["first"]


def test_what_is_not_a_run_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="not a run and is left alone"):
        save_run(tiny_run(), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_link_is_not_replaced_and_neither_is_its_target(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    before = (folder / "run.json").stat().st_ino
    with pytest.raises(ValueError, match=re.escape(f"{link} is a symbolic link to {folder}; name that folder itself")):
        save_run(tiny_run(), link, overwrite=True)
    assert link.is_symlink()
    assert (folder / "run.json").stat().st_ino == before
    assert load_run(link).run_id == tiny_run().run_id


def test_a_run_that_cannot_be_written_is_kept_beside_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, asked = run_store.write_whole, folder.with_name("second")

    def write(place: Path, fill: Callable[[Path], None]) -> None:
        if place == asked:
            raise OSError(28, "No space left on device")
        save(place, fill)

    monkeypatch.setattr(run_store, "write_whole", write)
    for number in (1, 2):
        kept, problem = keep_run(tiny_run(), asked)
        assert (kept, problem) == (asked.with_name(f"second.kept-{number}"), f"{asked} cannot be written: No space left on device")
        assert load_run(kept).run_id == tiny_run().run_id
    assert keep_run(tiny_run(), folder.with_name("third")) == (folder.with_name("third"), "")


def test_a_run_is_kept_among_temporary_files_where_nothing_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    kept, problem = keep_run(tiny_run(), tmp_path / "file" / "run")
    assert kept == tmp_path / "temporary" / "run.kept-1"
    assert load_run(kept).run_id == tiny_run().run_id
    assert problem.count("cannot be written") == 2
    monkeypatch.setattr(run_store, "save_index", raising(OSError("disk full")))
    with pytest.raises(RuntimeError) as error:
        keep_run(tiny_run(), tmp_path / "run")
    assert str(error.value).count("cannot be written: disk full") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "temporary"]


def test_a_run_moved_aside_by_a_killed_process_is_back_when_it_is_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    hidden = folder.with_name(".first.saving-12345678")
    hidden.mkdir()
    folder.rename(hidden / "old")
    assert load_run(folder).run_id == tiny_run().run_id
    assert "the earlier one is back" in caplog.messages[0]
    assert [path.name for path in folder.parent.iterdir()] == ["first"]


@pytest.mark.parametrize(
    ("config", "seconds", "goes"),
    [(CONFIG, -1, True), (CONFIG, 1, False), (changed(training={"epochs": 7}), -1, False)],
    ids=["its own", "a later one", "another one"],
)
def test_the_checkpoint_of_a_saved_run_goes_when_the_run_is_read(
    folder: Path, config: RunConfig, seconds: int, goes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = reserved_folder(folder)
    hidden.mkdir()
    Checkpoint(hidden, Beginning(config, "tiny", "0", "cpu")).save("backbone", State({}, {}))
    saved = (folder / "manifest.json").stat().st_mtime
    os.utime(hidden / "backbone.safetensors", (saved + seconds, saved + seconds))
    load_run(folder)
    assert hidden.exists() is not goes
    said = f"{folder}: removed .first.checkpoint, left by a process that was killed after it saved the run"
    assert caplog.messages == [said] * goes


def test_a_failed_write_leaves_the_earlier_run_and_no_rubbish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "save_index", raising(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_run(tiny_run(), folder, overwrite=True)
    assert load_run(folder).run_id == tiny_run().run_id
    assert [path.name for path in folder.parent.iterdir()] == ["first"]


@pytest.mark.parametrize("name", ["run.json", "model.safetensors", "items.json", "manifest.json", "index"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=f"is not a run folder: it lacks {name}"):
        load_run(folder)


@pytest.mark.parametrize("name", ["run.json", "model.safetensors", "items.json"])
@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\x80\x04K\x01.", b'{"a": ', b'{"a": ' + b"[" * 100_000])
def test_a_file_that_was_no_run_s_to_begin_with_is_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    write_manifest(folder)
    with pytest.raises(ValueError, match=name):
        load_run(folder)


def test_every_changed_bit_is_noticed_and_its_file_named(folder: Path) -> None:
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    assert flips.soak(60 * n_files, folder) == {"flips": 60 * n_files, "silent_flips": 0, "unnamed": 0, "tracebacks": 0}


def test_added_files_are_named_and_the_run_loads(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / ".DS_Store").write_text("a file browser was here")
    load_run(folder)
    assert caplog.messages == []
    for name in ("eval.json", "index/note.txt", "._run.json"):
        (folder / name).write_text("mine")
    assert load_run(folder).run_id == tiny_run().run_id
    assert caplog.messages == [f"{folder}: not part of the run and not read: ._run.json, eval.json, index/note.txt"]


def test_a_file_that_is_cut_short_or_missing_is_named(folder: Path) -> None:
    scores = folder / "index" / "scores.npy"
    scores.write_bytes(scores.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"scores\.npy is damaged"):
        load_run(folder)
    scores.unlink()
    with pytest.raises(ValueError, match=r"is not a run folder: it lacks index/scores\.npy"):
        load_run(folder)


@pytest.mark.parametrize(("stage", "field", "value"), [("training", "epochs", 7), ("quantizer", "n_nearest", 1)])
def test_edited_settings_are_noticed(folder: Path, stage: str, field: str, value: int) -> None:
    edit(folder, lambda described: described["config"][stage].update({field: value}), run_id=False)
    with pytest.raises(ValueError, match=r"run\.json was edited: its settings and data give the run id"):
        load_run(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda described: described.update(format_version=99), "format version 99; this version of sparcode reads 3"),
        (lambda described: described["data"].update(n_items=81), "data of 81 items"),
        (
            lambda described: described["config"]["model"].update(token_dim=12),
            r"model\.safetensors is damaged or does not fit the run's settings",
        ),
        (lambda described: described["config"]["quantizer"].update(codebook_size=2), "the run's settings allow codes below 4"),
    ],
)
def test_settings_that_do_not_fit_the_files_are_refused(folder: Path, change: Callable[[dict], object], message: str) -> None:
    edit(folder, change)
    with pytest.raises(ValueError, match=message):
        load_run(folder)


def test_a_run_of_the_version_before_checksums_loads_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(folder, lambda described: described.update(format_version=2))
    (folder / "manifest.json").unlink()
    queries = tiny_split().test.queries
    np.testing.assert_array_equal(load_run(folder).model.score(queries), tiny_model().score(queries))
    assert caplog.messages == [f"{folder} is of an earlier version and has no checksums: save it again"]
    (folder / "items.json").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"items\.json is damaged"):
        load_run(folder)


@pytest.mark.parametrize(
    ("version", "message"),
    [(1, "format version 1; this version of sparcode reads 3"), (3, r"is not a run folder: it lacks manifest\.json")],
)
def test_a_run_of_any_other_version_needs_its_manifest(folder: Path, version: int, message: str) -> None:
    edit(folder, lambda described: described.update(format_version=version))
    (folder / "manifest.json").unlink()
    with pytest.raises(ValueError, match=message):
        load_run(folder)


def test_all_files_and_folders_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder = save_run(tiny_run(), tmp_path / "run")
    finally:
        os.umask(before)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}
    assert modes == {(True, 0o750), (False, 0o640)}


@pytest.fixture(scope="module")
def counted_run() -> Run:
    """A tiny run with pair features."""
    run, split = tiny_run(), tiny_split()
    config = config_of({"pair_features": "counts"}, {"kind": "items"})
    model = preview(fresh_backbone(split.train.n_items, config.model), split, config)
    fit_pairs(model, split, config)
    return dataclasses.replace(run, config=config, model=model, index=build_run_index(model, split.train, config.index))


def test_pair_features_come_back_to_the_bit(counted_run: Run, tmp_path: Path) -> None:
    loaded, kept = load_run(save_run(counted_run, tmp_path / "run")).model.state_dict(), counted_run.model.state_dict()
    assert loaded.keys() == kept.keys()
    for name, value in kept.items():
        np.testing.assert_array_equal(loaded[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("values", lambda values: values.index_fill(0, torch.tensor([0]), torch.nan), r"not finite in pairs\.values"),
        ("values", lambda values: values.double(), r"pairs\.values must be one row of torch\.float32; got torch\.float64"),
        ("values", lambda values: values.neg(), "do not belong together"),
        ("values", lambda values: values[:-1].clone(), "do not belong together"),
        ("indptr", lambda indptr: indptr.flip(0), "do not belong together"),
        ("indptr", lambda indptr: indptr[:0].clone(), "damaged"),
        ("indptr", lambda indptr: indptr[None].clone(), r"pairs\.indptr must be one row"),
        ("items", lambda items: items + 1_000, "do not belong together"),
        ("items", lambda items: items.float(), r"pairs\.items must be one row of torch\.int32; got torch\.float32"),
        ("codes", lambda codes: codes - 1_000, "do not belong together"),
        ("codes", lambda codes: codes.flip(0), "do not belong together"),
    ],
)
def test_damaged_pair_features_are_named(counted_run: Run, tmp_path: Path, name: str, damage: Callable, message: str) -> None:
    folder = save_run(counted_run, tmp_path / "run")
    weights = safetensors.torch.load_file(path := folder / "model.safetensors")
    weights[f"pairs.{name}"] = damage(weights[f"pairs.{name}"])
    safetensors.torch.save_file(weights, path)
    write_manifest(folder)
    with pytest.raises(ValueError, match=message):
        load_run(folder)


@pytest.fixture(scope="module")
def listed_run() -> Run:
    """A tiny run with item lists."""
    return dataclasses.replace(
        tiny_run(),
        config=(config := changed({"item_lists": "ease"})),
        model=(model := with_lists(config)),
        index=build_run_index(model, tiny_split().train, config.index),
    )


def test_item_lists_come_back_to_the_bit(listed_run: Run, tmp_path: Path) -> None:
    loaded, queries = load_run(save_run(listed_run, tmp_path / "run")), tiny_split().test.queries
    for name, value in listed_run.model.state_dict().items():
        np.testing.assert_array_equal(loaded.model.state_dict()[name], value, err_msg=name)
    for found, expected in zip(loaded.model.encode(queries), listed_run.model.encode(queries), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("values", lambda values: values.index_fill(0, torch.tensor([0]), torch.nan), r"not finite in lists\.values"),
        ("values", lambda values: values[:-1].clone(), "do not belong together"),
        ("indptr", lambda indptr: indptr[:-1].clone(), "do not belong together"),
        ("items", lambda items: items - 1_000, "do not belong together"),
        ("items", lambda items: items.long(), r"lists\.items must be one row of torch\.int32; got torch\.int64"),
        ("weight", lambda weight: -weight - 1, "do not belong together"),
    ],
)
def test_damaged_item_lists_are_named(listed_run: Run, tmp_path: Path, name: str, damage: Callable, message: str) -> None:
    folder = save_run(listed_run, tmp_path / "run")
    weights = safetensors.torch.load_file(path := folder / "model.safetensors")
    weights[f"lists.{name}"] = damage(weights[f"lists.{name}"])
    safetensors.torch.save_file(weights, path)
    write_manifest(folder)
    with pytest.raises(ValueError, match=message):
        load_run(folder)


def test_weights_that_are_not_numbers_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    weights["quantizer.codebooks"][0, 0, 0] = torch.nan
    safetensors.torch.save_file(weights, path)
    write_manifest(folder)
    with pytest.raises(ValueError, match=r"not finite in quantizer\.codebooks"):
        load_run(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"encoder": "gru", "side_features": "items"}},
        {"model": {"encoder": "sasrec", "side_features": "items"}},
        {"model": {"history_tokens": 5}, "quantizer": {"revive_below": 0}},
        {"quantizer": {"kind": "residual", "n_codebooks": 3}},
        {"model": {"pair_features": "counts"}, "quantizer": {}},
        {"model": {"item_lists": "counts"}, "quantizer": {"kind": "residual"}},
        {"model": {"pair_features": "counts", "history_tokens": 5}, "quantizer": {"kind": "items"}},
        {"model": {"pair_features": "counts"}, "quantizer": {"kind": "items"}},
    ],
)
def test_every_kind_of_model_comes_back(settings: dict, tmp_path: Path) -> None:
    config = config_of(settings.get("model", {}), settings.get("quantizer", {}), {"epochs": 1, "joint_epochs": 1})
    comparison = compare(tiny_data(), config, k=5)
    loaded, queries = load_run(save_run(comparison.run, tmp_path / "run")), tiny_split().test.queries
    assert loaded.config == comparison.run.config
    assert comparison.check.direct == comparison.rows[0].recall
    assert (loaded.model.backbone.interaction.items.features is not None) == (config.model.side_features == "items")
    np.testing.assert_array_equal(loaded.model.encode(queries)[0], comparison.run.model.encode(queries)[0])
    np.testing.assert_array_equal(loaded.model.score(queries), comparison.run.model.score(queries))
    other = {"kind": "product" if config.quantizer.kind == "residual" else "residual", "n_codebooks": 2, "revive_below": 0}
    edit(tmp_path / "run", lambda described: described["config"]["quantizer"].update(other))
    with pytest.raises(ValueError, match="run's settings"):
        load_run(tmp_path / "run")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no usable CUDA GPU on this machine")
def test_a_run_kept_from_a_gpu_loads_on_the_cpu(tmp_path: Path) -> None:
    run = tiny_run()
    moved = dataclasses.replace(run, model=copy.deepcopy(run.model).to("cuda"))
    loaded = load_run(save_run(moved, tmp_path / "run")).model.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in run.model.state_dict().items())

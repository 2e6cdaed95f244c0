from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sparcode.data.split import split_users
from sparcode.runs.manifest import write_manifest
from sparcode.runs.sources import BACKBONE, HISTORIES, Sources, check_sources, has_sources, load_sources, write_sources
from sparcode.runs.store import load_run, save_run
from tests.runs.test_store import tiny_run
from tests.tiny import CONFIG, changed, fresh_backbone, tiny_backbone, tiny_data, tiny_split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_run(tiny_run(), tmp_path / "kept", beside=partial(write_sources, sources=Sources(tiny_data(), tiny_backbone())))


def test_the_data_comes_back_in_order_without_its_users_and_splits_the_same(folder: Path) -> None:
    kept = load_sources(folder, load_run(folder)).interactions
    data = tiny_data()
    assert kept.content_hash() == data.content_hash()
    assert (kept.name, kept.synthetic, kept.has_time, kept.dropped) == (data.name, data.synthetic, data.has_time, data.dropped)
    assert kept.user_ids.tolist() == list(range(data.n_users))
    assert split_users(kept, CONFIG.split).content_hash() == tiny_split().content_hash()


def test_the_backbone_scores_as_before(folder: Path) -> None:
    backbone = load_sources(folder, load_run(folder)).backbone
    queries = tiny_split().test.queries
    np.testing.assert_array_equal(backbone.score(queries), tiny_backbone().score(queries))


def test_a_run_without_them_says_so(tmp_path: Path) -> None:
    folder = save_run(tiny_run(), tmp_path / "plain")
    assert not has_sources(folder)
    with pytest.raises(ValueError, match="plain keeps no data and no backbone"):
        load_sources(folder, load_run(folder))


@pytest.mark.parametrize("name", [HISTORIES, BACKBONE])
def test_damage_is_found_by_the_manifest(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        load_run(folder)


@pytest.mark.parametrize("name", [HISTORIES, BACKBONE])
@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_damage_is_named_even_where_the_manifest_agrees(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    write_manifest(folder)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        load_sources(folder, load_run(folder))


def test_data_of_another_run_is_refused(folder: Path, tmp_path: Path) -> None:
    data = tiny_data()
    histories = data.histories.take(np.arange(len(data.histories))[::-1])
    other = dataclasses.replace(data, histories=histories)
    mixed = save_run(tiny_run(), tmp_path / "mixed", beside=partial(write_sources, sources=Sources(other, tiny_backbone())))
    with pytest.raises(ValueError, match="holds other data than the run was made from"):
        load_sources(mixed, load_run(mixed))


def test_a_backbone_that_is_not_finite_or_of_other_settings_is_refused(tmp_path: Path) -> None:
    broken, other = fresh_backbone(80, CONFIG.model), fresh_backbone(80, changed(model={"token_dim": 12}).model)
    with torch.no_grad():
        next(iter(broken.parameters())).fill_(float("nan"))
    for name, backbone, says in (("broken", broken, "not finite"), ("other", other, "does not fit the run's settings")):
        folder = save_run(tiny_run(), tmp_path / name, beside=partial(write_sources, sources=Sources(tiny_data(), backbone)))
        with pytest.raises(ValueError, match=says):
            load_sources(folder, load_run(folder))


def test_what_cannot_be_kept_is_refused_before() -> None:
    check_sources(tiny_data(), CONFIG)
    with pytest.raises(ValueError, match="a split of its own"):
        check_sources(dataclasses.replace(tiny_data(), parts={"train": "x"}), CONFIG)
    seen = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"side_features": "users"})})
    with pytest.raises(ValueError, match="features of users are not kept"):
        check_sources(tiny_data(), seen)

"""The query side as an ONNX file, held against the model by ONNX Runtime."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sparcode.config import QuantizerConfig
from sparcode.data.interactions import Histories
from sparcode.index.coded_model import merged_codes
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.padded_queries import PaddedQuerySide
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.service import onnx_queries
from sparcode.service.onnx_queries import CheckedFile, export_queries, padded
from sparcode.training.pipeline import preview
from tests.model.test_item_lists import with_lists
from tests.tiny import CONFIG, changed, fresh_backbone, tiny_model, tiny_split

I = 80
# Settings of the model and of the quantizer, by name.
SETTINGS = {
    "mean": ({}, {}),
    "mean, nearest code": ({}, {"n_nearest": 1}),
    "mean, history tokens": ({"history_tokens": 3}, {"revive_below": 0.0}),
    "gru": ({"encoder": "gru", "max_history": 6}, {}),
    "sasrec": ({"encoder": "sasrec", "max_history": 6, "attention_heads": 2}, {}),
    "sasrec, history tokens, residual": (
        {"encoder": "sasrec", "max_history": 6, "history_tokens": 3},
        {"kind": "residual", "revive_below": 0.0},
    ),
}


def model_of(name: str) -> SparCodeModel:
    """A model with random weights and codebooks fitted to them."""
    model, quantizer = SETTINGS[name]
    config = changed(model, quantizer)
    backbone = fresh_backbone(I, config.model)
    if (history := backbone.tokenizer.history) is not None:
        with torch.no_grad():
            history.gate_query.normal_(generator=torch.Generator().manual_seed(1))
            history.gate_bias.normal_(generator=torch.Generator().manual_seed(2))
    return preview(backbone, tiny_split(), config)


def queries() -> Histories:
    """Histories shorter and longer than the encoders' latest items."""
    rng = np.random.default_rng(4)
    return Histories.from_lists([rng.choice(I, length, replace=False).tolist() for length in (1, 2, 5, 6, 7, 30)], I)


def assert_same(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    """Codes and weights row by row, each code once, in any order."""
    (codes, weights), (wanted, wanted_weights) = merged_codes(*found), merged_codes(*expected)
    for row in range(len(codes)):
        one = dict(zip(codes[row][weights[row] > 0].tolist(), weights[row][weights[row] > 0].tolist(), strict=True))
        other = dict(zip(wanted[row][wanted_weights[row] > 0].tolist(), wanted_weights[row][wanted_weights[row] > 0].tolist(), strict=True))
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


def by_torch(model: SparCodeModel, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        return tuple(part.numpy() for part in PaddedQuerySide(model)(*(torch.from_numpy(part) for part in padded(queries).values())))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_padded_query_side_gives_the_codes_of_the_model(name: str) -> None:
    model = model_of(name)
    assert_same(by_torch(model, queries()), model.encode(queries()))


def test_codes_of_items_and_item_lists_are_part_of_it() -> None:
    lists = with_lists(changed({"item_lists": "ease"}), alpha=3.0)
    assert np.any(lists.encode(queries())[0] >= lists.first_list_code)
    assert_same(by_torch(lists, queries()), lists.encode(queries()))
    for history_tokens in (0, 3):
        config = CONFIG.model.model_copy(update={"history_tokens": history_tokens, "pair_features": "counts"})
        items = SparCodeModel(fresh_backbone(I, config), QuantizerConfig(kind="items")).eval()
        assert_same(by_torch(items, queries()), items.encode(queries()))


def test_side_features_are_an_input() -> None:
    config = changed({"encoder": "gru"})
    backbone = AllToAllModel(I, config.model, n_features=4)
    initialise(backbone, 0)
    rng, plain = np.random.default_rng(0), queries()
    with_features = Histories(plain.indptr, plain.items, I, rng.normal(size=(len(plain), 4)).astype(np.float32))
    model = SparCodeModel(backbone.eval(), config.quantizer).eval()
    model.fit_codebooks(with_features, 0)
    assert_same(by_torch(model, with_features), model.encode(with_features))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, CheckedFile]]:
    """Exports a model by name, each once; the file is alone in its folder."""

    @cache
    def export(name: str) -> tuple[Path, CheckedFile]:
        path = tmp_path_factory.mktemp("onnx") / "queries.onnx"
        return path, export_queries(model_of(name), path, "the-run")

    return export


@pytest.mark.parametrize("name", ["mean", "gru", "sasrec"])
def test_the_file_gives_the_codes_of_the_model_for_batches_of_any_shape(
    name: str, exported: Callable[[str], tuple[Path, CheckedFile]]
) -> None:
    model, (path, written) = model_of(name), exported(name)
    assert (written.size_bytes, written.n_checked) == (path.stat().st_size, 256)
    assert written.n_tied <= 2
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"sparcode.run_id": "the-run", "sparcode.n_items": "80"}
    assert [one.shape for one in session.get_inputs()] == [["queries", "longest"], ["queries"]]
    for some in (queries(), queries().take(np.array([0])), tiny_split().test.queries):
        assert_same(session.run(None, padded(some)), model.encode(some))
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_computes_other_codes_is_not_kept(
    exported: Callable[[str], tuple[Path, CheckedFile]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (other, _) = tmp_path / "queries.onnx", exported("mean")
    path.write_text("an earlier one")
    # As a killed process leaves it.
    leftover = tmp_path / ".queries.onnx.saving-a1b2c3d4"
    leftover.mkdir()
    (leftover / "queries.onnx").write_text("half")
    # The wrong one of two models is written.
    monkeypatch.setattr(onnx_queries, "_write", lambda side, samples, unfinished, about: shutil.copy(other, unfinished))
    with pytest.raises(RuntimeError, match="ONNX Runtime computes other codes than the model for sample history"):
        export_queries(tiny_model(), path, "the-run", overwrite=True)
    assert path.read_text() == "an earlier one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.onnx").write_text("")
    with pytest.raises(ValueError, match="exists; overwrite it or give another name"):
        export_queries(tiny_model(), tmp_path / "there.onnx", "the-run")
    with pytest.raises(ValueError, match="nowhere is no folder"):
        export_queries(tiny_model(), tmp_path / "nowhere" / "queries.onnx", "the-run")
    with pytest.raises(ValueError, match="is a folder"):
        export_queries(tiny_model(), tmp_path, "the-run", overwrite=True)
    monkeypatch.setattr(onnx_queries, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="bytes of weights; an ONNX file takes at most 1,000"):
        export_queries(tiny_model(), tmp_path / "large.onnx", "the-run")

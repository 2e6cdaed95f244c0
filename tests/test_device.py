from __future__ import annotations

import copy
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from sparcode.commands import train as train_command
from sparcode.commands.flags import DeviceOption
from sparcode.config import RunConfig
from sparcode.device import Device, choose_device, device_of
from sparcode.model.initialisation import SeededDropout, seed_dropout
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import build_run_index, fine_tune, preview, train_backbone, train_sparcode, train_two_tower
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_model, tiny_split

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no usable CUDA GPU on this machine")


@pytest.mark.parametrize(("name", "usable", "expected"), [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu")])
def test_auto_takes_cuda_where_there_is_some(name: Device, usable: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    assert choose_device(name).type == expected


@pytest.mark.parametrize(("built_for", "reason"), [(None, "built without CUDA"), ("12.8", "finds no usable GPU")])
def test_cuda_where_there_is_none_is_an_error_that_says_why(built_for: str | None, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    with pytest.raises(ValueError, match=f"device=cuda: .*{reason}.*; use auto or cpu"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="use auto or cpu"):
        train_backbone(tiny_split(), CONFIG, device="cuda")


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(ValueError, match="device=tpu: must be one of auto, cpu, cuda"):
        choose_device("tpu")


def test_the_flag_offers_what_the_library_takes() -> None:
    assert get_args(get_args(DeviceOption)[0]) == get_args(Device)
    assert "device" in get_type_hints(train_command.train, include_extras=True)


def test_the_device_does_not_change_what_a_run_is_called() -> None:
    assert "device" not in str(RunConfig().model_dump())


def test_on_a_cpu_auto_and_cpu_train_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = changed(training={"epochs": 2})
    one, other = (train_backbone(tiny_split(), config, device=device)[0].state_dict() for device in ("auto", "cpu"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_machine_facts_name_no_gpu_that_was_not_used() -> None:
    assert machine_facts() == machine_facts(torch.device("cpu"))


class Elsewhere(torch.Tensor):
    """Refuses to be read by numpy, as a tensor on a GPU does."""

    def numpy(self, *, force: bool = False) -> np.ndarray:
        raise TypeError("not on the CPU")

    def cpu(self, *_: object) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_nothing_is_handed_to_numpy_that_was_not_brought_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a GPU: every parameter is a tensor that numpy cannot read, and so is all that is computed from it."""
    models = (
        copy.deepcopy(tiny_model()),
        copy.deepcopy(tiny_backbone()),
        train_two_tower(tiny_split(), changed(training={"epochs": 1}))[0],
    )
    queries, codes = tiny_split().test.queries, np.arange(4)
    expected = [model.score(queries) for model in models]
    vectors, scores = models[0].code_vectors(codes), models[0].score_codes(codes)
    # Compiled loops read memory themselves; on a GPU their plain forms are used.
    monkeypatch.setattr("sparcode.model.interaction.pair_hidden", plain_pair_hidden)
    monkeypatch.setattr("sparcode.model.quantizer.ProductQuantizer._by_loops", lambda *_: None)
    monkeypatch.setattr("sparcode.model.compiled_encoder._network", lambda *_: None)
    for model in models:
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(parameter.detach().as_subclass(Elsewhere), requires_grad=False)
    for model, usual in zip(models, expected, strict=True):
        np.testing.assert_allclose(model.score(queries), usual, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(models[0].code_vectors(codes), vectors)
    np.testing.assert_allclose(models[0].score_codes(codes), scores, rtol=1e-4)
    assert models[0].encode(queries)[0].dtype == np.int64
    assert models[2].item_vectors().shape[0] == models[2].n_items


def plain_pair_hidden(token: torch.Tensor, item: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.einsum("nhi,h->ni", torch.relu(token[:, :, None] + item), weight)


@needs_cuda
@pytest.mark.parametrize("encoder", ["mean", "gru", "sasrec"])
@pytest.mark.parametrize("interaction", ["dot", "mlp", "cross", "attention"])
def test_on_cuda_everything_trains_and_scores_as_on_the_cpu(encoder: str, interaction: str) -> None:
    """Without dropout the two devices draw the same numbers, so a few steps end at the same weights up to float noise."""
    networks = {"encoder": encoder, "interaction": interaction}
    config = changed(model=networks, training={"dropout": 0, "epochs": 1, "joint_epochs": 1, "learning_rate": 1e-4})
    on_cpu, on_gpu = (train_backbone(tiny_split(), config, device=device)[0] for device in ("cpu", "cuda"))
    assert device_of(on_gpu).type == "cuda"
    queries = tiny_split().test.queries
    np.testing.assert_allclose(on_gpu.score(queries), on_cpu.score(queries), rtol=1e-2, atol=1e-2)
    model = preview(on_gpu, tiny_split(), config)
    fine_tune(model, tiny_split(), config)
    assert {value.device.type for value in model.state_dict().values()} == {"cuda"}
    index = build_run_index(model, tiny_split().train, config.index)
    served = SparseRetriever(model, index, model.threshold).retrieve(queries, 10)
    direct = ExactRetriever(SparseDirectScorer(model, model.threshold)).retrieve(queries, 10)
    assert (served.item_ids == direct.item_ids).mean() > 0.95


@needs_cuda
@pytest.mark.parametrize("fields", [{"n_negatives": 20}, {"teacher_weight": 0}])
def test_on_cuda_every_loss_trains(fields: dict) -> None:
    hard = changed(
        model={"interaction_layers": 3},
        quantizer={"n_nearest": 1, "codebook_update": "ema"},
        training={"epochs": 1, "joint_epochs": 1, **fields},
    )
    model, _, records = train_sparcode(tiny_split(), hard, device="cuda")
    assert all(np.isfinite(record.recall) for record in records)
    assert torch.cuda.get_device_name() in machine_facts(device_of(model))


@needs_cuda
def test_dropout_on_cuda_follows_its_seed_and_draws_there() -> None:
    dropout, values = SeededDropout(0.5), torch.ones(50, 40, device="cuda")
    masks = []
    for seed in (1, 1, 2):
        seed_dropout(dropout, seed)
        masks.append(dropout(values))
    assert dropout.generator.device.type == "cuda"
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig, QuantizerConfig
from sparcode.data.interactions import Histories
from sparcode.model import sparcode_model
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from tests.tiny import fresh_backbone, queries_of, tiny_backbone, tiny_model, tiny_split

I = 9


def model(n_nearest: int = 3, link: str = "exp", density: float = 0.5, kind: str = "product") -> tuple[SparCodeModel, Histories]:
    backbone = fresh_backbone(I, ModelConfig(token_dim=6, hidden_dim=8, n_tokens=2, interaction_dim=4, link=link), seed=5)
    queries = queries_of(I)
    quantizer = QuantizerConfig(kind=kind, n_codebooks=2, codebook_size=3, n_nearest=n_nearest, commitment_weight=0.25)
    return SparCodeModel.from_backbone(backbone, quantizer, queries, density, seed=1), queries


@pytest.mark.parametrize("n_nearest", [1, 3])
@pytest.mark.parametrize("link", ["exp", "linear"])
@pytest.mark.parametrize("kind", ["product", "residual"])
def test_direct_scores_are_those_of_a_loop_over_codes(n_nearest: int, link: str, kind: str) -> None:
    network, queries = model(n_nearest, link, kind=kind)
    codes, weights = network.encode(queries)
    assert codes.shape == weights.shape == (len(queries), 2 * n_nearest)
    expected = np.zeros((len(queries), I))
    for query in range(len(queries)):
        for code, weight in zip(codes[query], weights[query], strict=True):
            expected[query] += weight * np.maximum(0, network.score_codes(np.array([code]))[0] - network.threshold)
    np.testing.assert_allclose(network.score(queries), expected, rtol=1e-4, atol=1e-6)


def test_weights_of_a_token_sum_to_one() -> None:
    network, queries = model(n_nearest=3)
    np.testing.assert_allclose(network.encode(queries)[1].reshape(len(queries), 2, 3).sum(2), 1, rtol=1e-6)


@pytest.mark.parametrize("n_nearest", [1, 3])
def test_training_logits_are_the_logarithm_of_unpruned_scores(n_nearest: int) -> None:
    network, queries = model(n_nearest)
    logits, commitment = network(QueryBatch.from_histories(queries))
    network.tau.fill_(0)
    np.testing.assert_allclose(np.exp(logits.detach().numpy()), network.score(queries), rtol=1e-4)
    assert float(commitment) > 0


@pytest.mark.parametrize("n_nearest", [1, 3])
@pytest.mark.parametrize("kind", ["product", "residual"])
def test_gradients_reach_encoder_codebooks_and_interaction(n_nearest: int, kind: str) -> None:
    network, queries = model(n_nearest, kind=kind)
    logits, _ = network(QueryBatch.from_histories(queries))
    logits[:, 0].sum().backward()
    for name in ("backbone.tokenizer.", "backbone.interaction."):
        grads = [value.grad for key, value in network.named_parameters() if key.startswith(name) and value.grad is not None]
        assert sum(float(grad.abs().sum()) for grad in grads) > 0
    assert float(network.quantizer.codebooks.grad.abs().sum()) > 0


@pytest.mark.parametrize("density", [0.05, 0.2, 0.7, 1.0])
def test_the_threshold_keeps_the_share_asked_for(density: float) -> None:
    network, train = tiny_model(), tiny_split().train
    network = SparCodeModel.from_backbone(tiny_backbone(), network.quantizer.config, train, density, seed=0)
    scores = network.score_codes(np.unique(network.encode(train)[0]))
    assert (scores > network.threshold).mean() == pytest.approx(density, abs=2 / scores.size)


@pytest.mark.parametrize("density", [0.0, -1, 1.01, float("nan")])
def test_a_density_outside_is_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density must lie in"):
        tiny_model().set_density(tiny_split().train, density, seed=0)


def test_a_preview_leaves_its_backbone_alone() -> None:
    before = {name: value.clone() for name, value in tiny_backbone().state_dict().items()}
    network = SparCodeModel.from_backbone(tiny_backbone(), QuantizerConfig(codebook_size=4), tiny_split().train, 0.2, seed=0)
    with torch.no_grad():
        next(network.backbone.parameters()).add_(1)
    assert all(torch.equal(value, before[name]) for name, value in tiny_backbone().state_dict().items())


def test_code_vectors_are_what_is_scored() -> None:
    network, _ = model()
    codes = np.array([0, 8, 4])
    with torch.no_grad():
        raw = network.backbone.interaction(torch.from_numpy(network.code_vectors(codes)))
    np.testing.assert_allclose(network.score_codes(codes), raw.exp().numpy(), rtol=1e-6)


@pytest.mark.parametrize("interaction", ["dot", "mlp", "cross", "attention"])
def test_codes_are_scored_against_items_block_by_block(monkeypatch: pytest.MonkeyPatch, interaction: str) -> None:
    backbone = fresh_backbone(23, ModelConfig(token_dim=6, hidden_dim=8, interaction_dim=4, interaction=interaction))
    network = SparCodeModel.from_backbone(
        backbone, QuantizerConfig(n_codebooks=2, codebook_size=4, n_nearest=2), queries_of(23), 0.5, seed=0
    )
    codes = np.array([0, 9, 5])
    whole = network.score_codes(codes)
    assert (whole.shape, whole.dtype) == ((3, 23), np.float32)
    for name in ("ITEM_BLOCK_SCORES", "MIN_ITEM_BLOCK"):
        monkeypatch.setattr(sparcode_model, name, 4)
    np.testing.assert_allclose(network.score_codes(codes), whole, rtol=1e-5)


@pytest.mark.parametrize("n_nearest", [1, 3])
@pytest.mark.parametrize("kind", ["product", "residual"])
def test_encoding_heads_alone_by_pytorch_is_bit_for_bit_the_general_encoding(n_nearest: int, kind: str) -> None:
    network, queries = model(n_nearest, kind=kind)
    for rows in (np.arange(len(queries)), np.array([2]), np.array([0, 0, 3])):
        asked = queries.take(rows)
        codes, weights = network._encode_by_torch(asked)
        with torch.inference_mode():
            tokens = network.backbone.tokenizer.query_tokens(QueryBatch.from_histories(asked))
            use = tokens.weights.through(*network.quantizer.codes_and_weights(tokens.vectors))
            expected_codes, expected_weights = use.padded(2 * n_nearest)
        np.testing.assert_array_equal(codes, expected_codes.numpy())
        np.testing.assert_array_equal(weights, expected_weights.numpy())


def test_encoding_leaves_no_part_in_training_mode() -> None:
    network, queries = model()
    expected = network.encode(queries)
    network.train()
    network.training = False  # only parts are in training mode
    found = network.encode(queries)
    assert not any(module.training for module in network.modules())
    np.testing.assert_array_equal(found[1], expected[1])


def test_many_queries_are_encoded_block_by_block_to_the_same_shape() -> None:
    network, queries = model()
    many = queries.take(np.arange(1100) % len(queries))
    codes, weights = network.encode(many)
    assert codes.shape == weights.shape == (1100, 6)
    np.testing.assert_array_equal(codes[: len(queries)], network.encode(queries)[0])

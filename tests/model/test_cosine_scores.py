from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.encoding_kernels import normalise
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.training.pipeline import build_run_index, preview, serve, train_backbone, train_two_tower
from tests.tiny import changed, tiny_split

COSINE = {"score": "cosine", "temperature": 0.2, "interaction": "dot"}
QUERIES = Histories.from_lists([[0, 3, 5], [7], [], [1, 2, 2, 9, 4, 6, 8, 10, 11]], 20)


def two_tower(encoder: str = "mean") -> TwoTowerModel:
    model = TwoTowerModel(20, changed(model=COSINE | {"encoder": encoder}).model)
    initialise(model, 3)
    with torch.no_grad():
        model.items.bias.normal_(generator=torch.Generator().manual_seed(1))
        model.items.log_factor.fill_(0.5)
    return model.eval()


@pytest.mark.parametrize("encoder", ["mean", "gru"])
@torch.no_grad()
def test_a_score_is_the_cosine_over_the_temperature_and_the_bias(encoder: str) -> None:
    model = two_tower(encoder)
    batch = QueryBatch.from_histories(QUERIES, torch.device("cpu"))
    tokens, vectors = model.tokenizer(batch)[:, 0].numpy(), model.items.embedding.weight.numpy()
    # An empty history has a token of zeros, and no angle.
    length = np.maximum(np.linalg.norm(tokens, axis=1), 1e-12)
    cosines = np.array([[token @ item / np.linalg.norm(item) for item in vectors] for token in tokens]) / length[:, None]
    expected = cosines * np.exp(0.5) / 0.2 + model.items.bias.numpy()
    some = torch.tensor([4, 0, 19])
    np.testing.assert_allclose(model(batch)[0].numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(batch, some)[0].numpy(), expected[:, some], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.score(QUERIES), expected, rtol=1e-4, atol=1e-5)


def test_compiled_query_vectors_are_those_of_pytorch() -> None:
    model = two_tower()
    found, expected = model.query_vectors(QUERIES), np.ones((4, model.tokenizer.token_dim + 1), dtype=np.float32)
    model._vectors_by_torch(QUERIES, expected)
    expected[:, :-1] /= np.maximum(np.linalg.norm(expected[:, :-1], axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_zeros_have_no_direction() -> None:
    vectors = np.array([[0, 0, 9], [3, 4, 9]], dtype=np.float32)
    normalise(vectors, 2)
    np.testing.assert_allclose(vectors, [[0, 0, 9], [0.6, 0.8, 9]], rtol=1e-6)


def test_faiss_finds_what_scoring_every_item_finds() -> None:
    model = two_tower()

    class Scorer:
        n_items = 20
        score = model.score

    found, expected = FaissRetriever(model).retrieve(QUERIES, 5), ExactRetriever(Scorer()).retrieve(QUERIES, 5)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)


def test_items_with_side_features_and_larger_vectors_score_alike() -> None:
    config = changed(model=COSINE | {"side_features": "items"}).model
    model = TwoTowerModel(6, config, 0.0, 0, torch.eye(6)[:, :2]).eval()
    initialise(model, 0)
    queries = Histories.from_lists([[0, 1]], 6)
    before = model.score(queries)
    with torch.no_grad():
        model.items.embedding.weight *= 3
        model.items.feature_map.weight *= 3
    np.testing.assert_allclose(model.score(queries), before, rtol=1e-4, atol=1e-5)


def cosine_run(**training: object) -> RunConfig:
    return changed(model=COSINE, training={"epochs": 2, **training})


def test_the_temperature_is_learnt() -> None:
    split = tiny_split()
    for train in (train_two_tower, train_backbone):
        model = train(split, cosine_run())[0]
        assert model.items.log_factor.item() != 0


def test_the_index_serves_cosines_of_codes() -> None:
    split, config = tiny_split(), cosine_run()
    backbone = train_backbone(split, config)[0]
    assert isinstance(backbone, AllToAllModel)
    model = preview(backbone, split, config)
    index = build_run_index(model, split.train_queries, config.index)
    found = serve(model, index, config.index).retrieve(split.test.queries, 10)
    direct = ExactRetriever(SparseDirectScorer(model, max(model.threshold, index.floor))).retrieve(split.test.queries, 10)
    np.testing.assert_array_equal(found.item_ids, direct.item_ids)
    codes = index.codes[:3]
    tokens, items = model.code_vectors(codes), backbone.items.embedding.weight.detach().numpy()
    tokens, items = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (tokens, items))
    raw = tokens @ items.T * (backbone.items.log_factor.exp().item() / 0.2) + backbone.items.bias.detach().numpy()
    np.testing.assert_allclose(model.score_codes(codes), np.exp(raw), rtol=1e-3)


def test_a_temperature_needs_the_cosine() -> None:
    with pytest.raises(ValueError, match=r"temperature=0.5 does nothing with score=dot"):
        changed(model={"temperature": 0.5})

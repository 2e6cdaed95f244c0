from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from sparcode.config import ModelConfig, QuantizerConfig
from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.model import compiled_encoder, quantizer_base
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch, query_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.sparse import SparseRetriever
from tests.tiny import queries_of

I, H, D, F = 23, 9, 6, 3
TO_1E5 = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


class NoTorch(TorchDispatchMode):
    """Any operation of PyTorch fails."""

    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> None:
        raise AssertionError(f"PyTorch was called: {func}")


def some_queries(n: int = 7, seed: int = 0, n_features: int = 0, longest: int = 12) -> Histories:
    """Queries with repeated items; the second is empty, the third longer than the catalogue."""
    rng = np.random.default_rng(seed)
    lengths = [int(rng.integers(1, longest)), 0, 2 * I, *rng.integers(0, longest, n)][:n]
    rows = [rng.integers(0, I, length).tolist() for length in lengths]
    made = Histories.from_lists(rows, I)
    features = rng.normal(size=(n, n_features)) if n_features else None
    return Histories(made.indptr, made.items, I, features)


def scatter(module: torch.nn.Module, seed: int) -> None:
    """Weights so large that tanh, gates and distances are used over much of their range."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.7, generator=generator)


def model(
    n_features: int = 0, encoder: str = "mean", n_tokens: int = 2, history: int = 0, seed: int = 0, **quantizer: object
) -> SparCodeModel:
    config = ModelConfig(encoder=encoder, hidden_dim=H, token_dim=D, n_tokens=n_tokens, history_tokens=history, attention_heads=1)
    made = SparCodeModel(
        AllToAllModel(I, config, 0.3, n_features), QuantizerConfig(**{"n_codebooks": 2, "codebook_size": 5, "n_nearest": 4, **quantizer})
    )
    scatter(made, seed)
    return made.eval()


def by_torch(network: SparCodeModel, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
    """Codes and weights by PyTorch's operations alone."""
    tokenizer, quantizer = network.backbone.tokenizer, network.quantizer
    with torch.no_grad():
        tokens = tokenizer.query_tokens(QueryBatch.from_histories(queries))
        codes, weights = quantizer._by_torch(tokens.vectors)
        distinct, columns = codes.unique(return_inverse=True)
        used = network._code_weights(tokens.weights, columns, weights)
        found, shares = used.padded(int(torch.diff(used.offsets).max()))
    return distinct[found].numpy(), shares.numpy()


@given(
    st.integers(1, 5),
    st.sampled_from([("product", 1), ("product", 2), ("product", 3), ("residual", 1), ("residual", 3)]),
    st.integers(2, 9),
    st.integers(1, 12),
    st.sampled_from([0, 0, 1, 5, 100]),
    st.sampled_from([0, F]),
    st.integers(1, 16),
    st.integers(0, 1 << 20),
)
def test_codes_are_those_of_pytorch(
    n_tokens: int, kind: tuple[str, int], size: int, n_nearest: int, history: int, n_features: int, n_queries: int, seed: int
) -> None:
    fields = {"kind": kind[0], "n_codebooks": kind[1], "codebook_size": size, "n_nearest": n_nearest}
    network = model(n_features, "mean", n_tokens, history, seed, **fields)
    queries = some_queries(max(3, n_queries), seed, n_features)
    codes, weights = network.encode(queries)
    assert (codes.dtype, weights.dtype) == (np.int64, np.float32)
    expected_codes, expected_weights = by_torch(network, queries)
    np.testing.assert_array_equal(codes, expected_codes)
    TO_1E5(weights, expected_weights)


def test_a_query_of_a_mean_encoder_is_retrieved_without_pytorch() -> None:
    for kind in ("product", "residual"):
        network, queries = model(kind=kind), some_queries(1)
        index = build_index(network, np.unique(network.encode(queries)[0]), 0.0, 8)
        retriever = SparseRetriever(network, index, 0.0)
        expected = retriever.retrieve(queries, 3)
        with NoTorch():
            found = retriever.retrieve(queries, 3)
        np.testing.assert_array_equal(found.item_ids, expected.item_ids)
        assert (found.item_ids >= 0).all()


@pytest.mark.parametrize("encoder", ["gru", "sasrec"])
def test_other_encoders_keep_pytorch(encoder: str) -> None:
    network, queries = model(encoder=encoder), some_queries()
    with pytest.raises(AssertionError, match="PyTorch was called"), NoTorch():
        network.encode(queries)
    TO_1E5(network.encode(queries)[1], by_torch(network, queries)[1])


def test_tokens_are_those_of_the_formula() -> None:
    network = TwoTowerModel(I, ModelConfig(hidden_dim=H, token_dim=D), n_features=F)
    scatter(network, 4)
    queries = some_queries(n_features=F)
    weights = {name: value.double().numpy() for name, value in network.tokenizer.state_dict().items()}
    expected = []
    for row in range(len(queries)):
        pooled = weights["encoder.embedding.weight"][queries[row]].sum(0) / np.sqrt(max(1, len(queries[row])))
        pooled = np.tanh(pooled + weights["encoder.features.weight"] @ queries.features[row])
        hidden = np.tanh(weights["encoder.hidden.weight"] @ pooled + weights["encoder.hidden.bias"])
        expected.append(weights["heads.weight"] @ hidden + weights["heads.bias"])
    vectors = network.eval().query_vectors(queries)
    with NoTorch():
        np.testing.assert_array_equal(network.query_vectors(queries), vectors)
    TO_1E5(vectors[:, :-1], np.array(expected))


@pytest.mark.parametrize("history", [0, 4])
@pytest.mark.parametrize("kind", ["product", "residual"])
def test_large_codebooks_are_met_by_pytorch_to_the_same_codes(history: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, queries = model(history=history, kind=kind), some_queries()
    codes, weights = network.encode(queries)
    monkeypatch.setattr(quantizer_base, "SMALL_CODEBOOKS", 0)
    other = copy.deepcopy(network)
    other.quantizer.train().eval()
    assert other.quantizer.served_codebooks() is None
    again = other.encode(queries)
    np.testing.assert_array_equal(again[0], codes)
    TO_1E5(again[1], weights)


@pytest.mark.parametrize("history", [0, 4])
@pytest.mark.parametrize("n_features", [0, F])
def test_one_query_has_the_codes_it_has_among_many(history: int, n_features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, queries = model(n_features, history=history), some_queries(40, n_features=n_features)
    monkeypatch.setattr(compiled_encoder, "QUERIES_PER_THREAD", 5)
    monkeypatch.setattr(compiled_encoder, "query_blocks", partial(query_blocks, block=15))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    codes, weights = network.encode(queries)
    monkeypatch.undo()
    for row in range(len(queries)):
        alone, shares = network.encode(queries.take(np.array([row])))
        used = slice(0, alone.shape[1])
        np.testing.assert_array_equal(alone[0], codes[row, used])
        np.testing.assert_array_equal(shares[0], weights[row, used])
        assert (codes[row, used.stop :] == codes[row, 0]).all()
        assert not weights[row, used.stop :].any()


def change_in_place(network: SparCodeModel) -> None:
    scatter(network, 9)


def change_behind_the_versions(network: SparCodeModel) -> None:
    network.backbone.tokenizer.heads.weight.data.mul_(-1)


def change_by_a_fused_optimizer(network: SparCodeModel) -> None:
    network.train()
    network(QueryBatch.from_histories(some_queries()))[0].square().sum().backward()
    torch.optim.Adam(network.parameters(), lr=0.5, fused=True).step()


def load_others(network: SparCodeModel) -> None:
    network.load_state_dict(model(seed=9, history=4).state_dict())


def assign_others(network: SparCodeModel) -> None:
    network.load_state_dict(model(seed=9, history=4).state_dict(), assign=True)


def replace_a_layer(network: SparCodeModel) -> None:
    network.backbone.tokenizer.heads = torch.nn.Linear(H, 2 * D)


def replace_the_memory(network: SparCodeModel) -> None:
    weight = network.backbone.tokenizer.encoder.hidden.weight
    weight.data = -weight.data


def change_codewords(network: SparCodeModel) -> None:
    with torch.no_grad():
        network.quantizer.codebooks.mul_(-1)


def change_the_temperature(network: SparCodeModel) -> None:
    with torch.no_grad():
        network.quantizer.log_temperature.add_(1)


def change_gates(network: SparCodeModel) -> None:
    with torch.no_grad():
        network.backbone.tokenizer.history.gate_bias.add_(1)


@pytest.mark.parametrize(
    "change",
    [
        change_in_place,
        change_behind_the_versions,
        change_by_a_fused_optimizer,
        load_others,
        assign_others,
        replace_a_layer,
        replace_the_memory,
        change_codewords,
        change_the_temperature,
        change_gates,
    ],
)
def test_changed_weights_are_noticed(change: object) -> None:
    network, queries = model(history=4), some_queries()
    before = network.encode(queries)
    change(network)
    codes, weights = network.encode(queries)
    assert codes.shape != before[0].shape or (codes != before[0]).any() or np.abs(weights - before[1]).max() > 1e-3
    network.eval()
    expected_codes, expected_weights = by_torch(network, queries)
    np.testing.assert_array_equal(codes, expected_codes)
    TO_1E5(weights, expected_weights)


def test_a_copy_has_weights_of_its_own_and_copies_none_for_the_loops() -> None:
    network, queries = model(), some_queries()
    codes, _ = network.encode(queries)
    tokenizer = network.backbone.tokenizer
    other = copy.deepcopy(network)
    assert other.backbone.tokenizer.network_views._kept == ((), None) != tokenizer.network_views._kept
    scatter(other, 9)
    np.testing.assert_array_equal(network.encode(queries)[0], codes)
    np.testing.assert_array_equal(other.encode(queries)[0], by_torch(other, queries)[0])


def test_the_embeddings_are_not_copied() -> None:
    network, queries = model(), some_queries()
    network.encode(queries)
    _, kept = network.backbone.tokenizer.network_views._kept
    assert kept.embedding.ctypes.data == network.backbone.tokenizer.encoder.embedding.weight.data_ptr()


def test_items_without_an_embedding_and_missing_features_are_refused_as_before() -> None:
    network = model()
    larger = Histories.from_lists([[I]], I + 1)
    with pytest.raises((IndexError, RuntimeError)):
        network.encode(larger)
    known = network.encode(Histories.from_lists([[I - 1]], I + 1))
    np.testing.assert_array_equal(known[0], network.encode(Histories.from_lists([[I - 1]], I))[0])
    with pytest.raises(ValueError, match="3 side features per user; the queries have none"):
        model(F).encode(some_queries())
    with pytest.raises(ValueError, match="the queries have 2"):
        model(F).encode(some_queries(n_features=2))


def test_side_features_that_the_model_does_not_know_change_nothing() -> None:
    network, queries = model(), some_queries()
    richer = Histories(queries.indptr, queries.items, I, np.ones((len(queries), F)))
    np.testing.assert_array_equal(network.encode(richer)[1], network.encode(queries)[1])


def test_queries_of_any_layout_are_encoded() -> None:
    network, queries = model(F), some_queries(n_features=F)
    expected = network.encode(queries)[0]
    items = np.repeat(queries.items, 2)[::2]
    items.flags.writeable = False
    strange = Histories(queries.indptr, items, I, np.asfortranarray(queries.features))
    np.testing.assert_array_equal(network.encode(strange)[0], expected)
    assert network.encode(queries.take(np.zeros(0, dtype=np.int64)))[0].shape == (0, 8)


def test_two_tower_vectors_are_those_of_pytorch_in_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    network = TwoTowerModel(I, ModelConfig(hidden_dim=H, token_dim=D))
    initialise(network, 3)
    network.eval()
    monkeypatch.setattr(compiled_encoder, "QUERIES_PER_THREAD", 5)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for n_queries in (3, 9, 10, 31):
        queries = some_queries(n_queries)
        with torch.no_grad():
            tokens = network.tokenizer(QueryBatch.from_histories(queries))[:, 0].numpy()
        vectors = network.query_vectors(queries)
        TO_1E5(vectors[:, :-1], tokens)
        assert (vectors[:, -1] == 1).all()
        assert vectors.dtype == np.float32


def test_no_query_gives_no_codes() -> None:
    codes, weights = model().encode(queries_of(I).take(np.zeros(0, dtype=np.int64)))
    assert codes.shape == weights.shape == (0, 8)

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sparcode.config import QuantizerConfig
from sparcode.model.quantizer import ProductQuantizer
from sparcode.model.quantizer_base import Quantizer
from sparcode.model.residual_quantizer import ResidualQuantizer

N, D = 40, 6
KINDS = pytest.mark.parametrize("kind", [ProductQuantizer, ResidualQuantizer])


def tokens(n: int = N, seed: int = 0, width: int = D) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def fitted_to(points: Tensor, kind: type[Quantizer] = ProductQuantizer, **fields: object) -> Quantizer:
    quantizer = kind(points.shape[1], QuantizerConfig(**{"kmeans_iterations": 6, **fields}))
    quantizer.fit(points, seed=1)
    return quantizer


def fitted(n_points: int = N, kind: type[Quantizer] = ProductQuantizer, **fields: object) -> Quantizer:
    return fitted_to(tokens(n_points), kind, **{"n_codebooks": 2, "codebook_size": 5, "n_nearest": 4, **fields})


@pytest.mark.parametrize(("n_codebooks", "n_nearest"), [(1, 1), (1, 5), (2, 1), (2, 7), (3, 9), (3, 32)])
def test_nearest_codes_are_those_of_a_search_through_all_codes(n_codebooks: int, n_nearest: int) -> None:
    size = 4
    quantizer = fitted(n_codebooks=n_codebooks, codebook_size=size, n_nearest=n_nearest)
    every_code = torch.arange(size**n_codebooks)
    distances = torch.cdist(tokens(), quantizer.vectors(every_code)).square()
    n_found = min(n_nearest, len(every_code))
    found = quantizer.nearest_codes(tokens())
    assert found.shape == (N, n_found)
    assert all(len(set(row)) == n_found for row in found.tolist())
    torch.testing.assert_close(distances.gather(1, found), distances.sort(dim=1).values[:, :n_found], atol=1e-5, rtol=1e-4)


@given(st.lists(st.integers(0, 6), min_size=3, max_size=3))
def test_codes_are_numbers_in_base_k(indices: list[int]) -> None:
    quantizer = ProductQuantizer(D, QuantizerConfig(n_codebooks=3, codebook_size=7))
    code = int(quantizer.compose(torch.tensor(indices)))
    assert code == indices[0] + 7 * indices[1] + 49 * indices[2]
    assert quantizer.decompose(torch.tensor(code)).tolist() == indices


def test_a_code_stands_for_its_codewords_side_by_side() -> None:
    quantizer = fitted()
    for first, second in itertools.product(range(5), repeat=2):
        expected = torch.cat([quantizer.codebooks[0, first], quantizer.codebooks[1, second]])
        torch.testing.assert_close(quantizer.vectors(torch.tensor(first + 5 * second)), expected)


def test_the_nearest_code_is_the_straight_through_value_and_passes_the_gradient_on() -> None:
    quantizer, points = fitted(), tokens().requires_grad_()
    quantized = quantizer(points)
    torch.testing.assert_close(quantized.quantized, quantizer.vectors(quantized.codes[:, 0]))
    quantized.quantized.sum().backward()
    torch.testing.assert_close(points.grad, torch.ones_like(points))


@KINDS
def test_weights_are_a_softmax_of_distances(kind: type[Quantizer]) -> None:
    quantizer = fitted(kind=kind)
    quantized = quantizer(tokens())
    distances = (tokens()[:, None] - quantizer.vectors(quantized.codes)).square().sum(-1)
    expected = torch.softmax(-distances / quantizer.log_temperature.exp(), dim=1)
    torch.testing.assert_close(quantized.weights, expected)
    torch.testing.assert_close(quantized.quantized, quantizer.vectors(quantized.codes[:, 0]))
    assert float(quantized.commit_loss.detach()) == pytest.approx(float(distances[:, 0].detach().mean()), rel=1e-5)
    assert (quantized.weights.diff(dim=1) <= 1e-6).all()
    assert fitted(kind=kind, n_nearest=1)(tokens()).weights.tolist() == [[1.0]] * N


def test_commitment_is_the_mean_squared_distance_and_moves_only_the_token() -> None:
    quantizer, points = fitted(), tokens().requires_grad_()
    quantized = quantizer(points)
    nearest = quantizer.vectors(quantized.codes[:, 0]).detach()
    assert float(quantized.commit_loss.detach()) == pytest.approx(float((points.detach() - nearest).square().sum(1).mean()), rel=1e-6)
    quantized.commit_loss.backward()
    torch.testing.assert_close(points.grad, 2 * (points - nearest).detach() / N)
    assert quantizer.codebooks.grad is None


def test_kmeans_finds_planted_clusters() -> None:
    centres = torch.tensor([[8.0, 0], [0, 8.0], [-8.0, -8.0]])
    points = (centres[:, None] + 0.1 * torch.randn(3, 30, 2, generator=torch.Generator().manual_seed(4))).flatten(0, 1)
    quantizer = ProductQuantizer(2, QuantizerConfig(n_codebooks=1, codebook_size=3, n_nearest=1))
    quantizer.fit(points, seed=2)
    codes = quantizer.nearest_codes(points).view(3, 30)
    assert (codes == codes[:, :1]).all()
    assert len(set(codes[:, 0].tolist())) == 3
    torch.testing.assert_close(quantizer.vectors(codes[:, 0]), points.view(3, 30, 2).mean(1), atol=1e-4, rtol=0)


def test_kmeans_can_start_from_fewer_points_than_codewords() -> None:
    quantizer = fitted(n_points=2, codebook_size=9)
    assert torch.isfinite(quantizer.codebooks).all()
    assert torch.isfinite(quantizer(tokens(2)).weights).all()
    assert float(quantizer(tokens(2)).commit_loss.detach()) < 1e-4


@KINDS
def test_the_same_seed_gives_the_same_codebooks_and_codes(kind: type[Quantizer]) -> None:
    one, other = fitted(kind=kind), fitted(kind=kind)
    assert torch.equal(one.codebooks, other.codebooks)
    assert torch.equal(one.nearest_codes(tokens()), other.nearest_codes(tokens()))


def test_moving_averages_are_those_of_a_loop() -> None:
    quantizer = fitted(codebook_update="ema", ema_decay=0.8, revive_below=0.0)
    usage, sums = quantizer.usage.clone(), quantizer.position_sum.clone()
    batch = tokens(25, seed=7)
    indices = quantizer.decompose(quantizer.nearest_codes(batch)[:, 0])
    assert quantizer.update(batch, torch.Generator().manual_seed(0)) == 0
    for book, word in itertools.product(range(2), range(5)):
        assigned = batch[indices[:, book] == word, 3 * book : 3 * book + 3]
        usage[book, word] = 0.8 * usage[book, word] + 0.2 * len(assigned)
        sums[book, word] = 0.8 * sums[book, word] + 0.2 * assigned.sum(0)
    torch.testing.assert_close(quantizer.usage, usage)
    # Laplace smoothing shifts positions by less than a thousandth where usage is not tiny.
    torch.testing.assert_close(quantizer.codebooks.data, sums / usage[:, :, None], atol=1e-3, rtol=1e-3)


def test_codewords_that_learn_by_gradient_are_not_moved_by_the_averages() -> None:
    quantizer = fitted(revive_below=0.0)
    before = quantizer.codebooks.detach().clone()
    quantizer.update(tokens(25, seed=7), torch.Generator().manual_seed(0))
    assert torch.equal(quantizer.codebooks, before)
    assert quantizer.codebooks.requires_grad
    assert not fitted(codebook_update="ema").codebooks.requires_grad


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_a_dead_codeword_comes_back_at_a_token_of_the_batch(update: str) -> None:
    quantizer = fitted(codebook_update=update, revive_below=0.05)
    with torch.no_grad():
        quantizer.codebooks[1, 2] = 100.0
        quantizer.position_sum[1, 2] = 0.0
        quantizer.usage[1, 2] = 0.0
    batch = tokens(30, seed=9)
    assert quantizer.update(batch, torch.Generator().manual_seed(0)) == 1
    distance = (batch[:, 3:] - quantizer.codebooks[1, 2].detach()).norm(dim=1)
    assert float(distance.min()) == 0
    assert float(quantizer.usage[1, 2]) > 0


def test_revival_can_be_switched_off() -> None:
    quantizer = fitted(revive_below=0.0)
    with torch.no_grad():
        quantizer.codebooks[1, 2] = 100.0
        quantizer.usage[1, 2] = 0.0
    assert quantizer.update(tokens(30), torch.Generator().manual_seed(0)) == 0
    assert float(quantizer.codebooks[1, 2, 0].detach()) == 100


def test_a_token_must_split_evenly() -> None:
    with pytest.raises(ValueError, match="token_dim=6 must be a multiple of n_codebooks=4"):
        ProductQuantizer(D, QuantizerConfig(n_codebooks=4))


@KINDS
@pytest.mark.parametrize(("n_codebooks", "n_nearest"), [(1, 1), (1, 4), (2, 1), (2, 4)])
@pytest.mark.parametrize("n", [0, 1, 4, 300])
def test_what_is_served_is_what_the_whole_quantizer_says(kind: type[Quantizer], n_codebooks: int, n_nearest: int, n: int) -> None:
    quantizer = fitted(kind=kind, n_codebooks=n_codebooks, n_nearest=n_nearest)
    for mode in (True, False):
        quantizer.train(mode)
        whole, (codes, weights) = quantizer(tokens(n, 3)), quantizer.codes_and_weights(tokens(n, 3))
        assert torch.equal(codes, whole.codes)
        torch.testing.assert_close(weights, whole.weights, atol=1e-12, rtol=1e-5)
        assert not weights.requires_grad


@KINDS
def test_what_is_prepared_for_serving_follows_the_codewords(kind: type[Quantizer]) -> None:
    quantizer = fitted(kind=kind)
    fresh = kind(D, quantizer.config)

    def check() -> None:
        fresh.load_state_dict(quantizer.state_dict())
        served, expected = quantizer.eval().codes_and_weights(tokens(seed=2)), fresh.eval().codes_and_weights(tokens(seed=2))
        assert all(torch.equal(one, other) for one, other in zip(served, expected, strict=True))

    check()
    with torch.no_grad():
        quantizer.codebooks.add_(torch.randn(quantizer.codebooks.shape, generator=torch.Generator().manual_seed(5)))
    check()
    with torch.no_grad():
        quantizer.log_temperature.fill_(1.5)
    check()
    # A fused optimizer changes values without counting versions.
    quantizer.train()
    optimizer = torch.optim.AdamW(quantizer.parameters(), lr=0.5, fused=True)
    quantizer(tokens(seed=4)).quantized.square().sum().backward()
    quantizer.vectors(torch.arange(25)).square().sum().backward()
    optimizer.step()
    check()

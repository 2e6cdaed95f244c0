from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor

from sparcode.model import residual_quantizer
from sparcode.model.quantizer import ProductQuantizer
from sparcode.model.quantizer_base import Quantizer
from sparcode.model.residual_quantizer import ResidualQuantizer
from tests.model import test_quantizer
from tests.model.test_quantizer import N, fitted_to

# Five dimensions: nothing has to split evenly.
D, M, K = 5, 3, 4
tokens = partial(test_quantizer.tokens, width=D)


def fitted(kind: type[Quantizer] = ResidualQuantizer, **fields: object) -> Quantizer:
    return fitted_to(tokens(), kind, **{"n_codebooks": M, "codebook_size": K, "n_nearest": 6, **fields})


def beam_by_hand(quantizer: ResidualQuantizer, token: Tensor, width: int) -> list[int]:
    beam: list[tuple[float, int, Tensor]] = [(0.0, 0, torch.zeros(D))]
    for level, book in enumerate(quantizer.codebooks.detach()):
        longer = [
            (float((token - total - word).square().sum()), code + index * K**level, total + word)
            for _, code, total in beam
            for index, word in enumerate(book)
        ]
        beam = sorted(longer, key=lambda entry: entry[0])[:width]
    return [code for _, code, _ in beam]


@pytest.mark.parametrize("width", [1, 3, 7])
def test_codes_are_those_of_a_beam_search_by_hand(width: int) -> None:
    quantizer = fitted(n_nearest=width)
    assert quantizer.nearest_codes(tokens()).tolist() == [beam_by_hand(quantizer, token, width) for token in tokens()]


def test_one_nearest_code_is_the_greedy_choice() -> None:
    quantizer = fitted(n_nearest=1)
    rest, expected = tokens(), torch.zeros(N, dtype=torch.int64)
    for level, book in enumerate(quantizer.codebooks.detach()):
        index = torch.cdist(rest, book).argmin(1)
        rest, expected = rest - book[index], expected + index * K**level
    assert quantizer.nearest_codes(tokens())[:, 0].tolist() == expected.tolist()


def test_a_beam_as_wide_as_the_choice_finds_the_nearest_of_all_codes() -> None:
    quantizer = fitted(n_codebooks=2, n_nearest=K)
    distances = torch.cdist(tokens(), quantizer.vectors(torch.arange(K**2))).square()
    found = quantizer.nearest_codes(tokens())
    assert found[:, 0].tolist() == distances.argmin(1).tolist()
    assert all(len(set(row)) == K for row in found.tolist())
    assert (distances.gather(1, found).diff(dim=1) >= -1e-5).all()


def test_there_are_never_more_codes_than_exist() -> None:
    quantizer = fitted(n_codebooks=2, codebook_size=2, n_nearest=9)
    assert sorted(quantizer.nearest_codes(tokens(1))[0].tolist()) == [0, 1, 2, 3]


def test_a_code_stands_for_the_sum_of_its_codewords() -> None:
    quantizer = fitted()
    for words in itertools.product(range(K), repeat=M):
        code = words[0] + K * words[1] + K**2 * words[2]
        expected = sum(quantizer.codebooks[level, word] for level, word in enumerate(words))
        torch.testing.assert_close(quantizer.vectors(torch.tensor(code)), expected)


def test_every_level_lowers_the_error_of_the_start() -> None:
    errors = [float(fitted(n_codebooks=levels, n_nearest=1)(tokens()).commit_loss.detach()) for levels in (1, 2, 3)]
    assert errors[0] > 1.2 * errors[1] > 1.2**2 * errors[2]


def test_a_level_starts_at_the_means_of_what_was_left_over() -> None:
    quantizer = fitted(n_nearest=1, kmeans_iterations=60)
    indices = quantizer.decompose(quantizer.nearest_codes(tokens())[:, 0])
    rest = tokens()
    for level in range(M):
        book = quantizer.codebooks[level].detach()
        for word in range(K):
            torch.testing.assert_close(book[word], rest[indices[:, level] == word].mean(0), atol=1e-5, rtol=0)
        rest = rest - book[indices[:, level]]


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_one_level_is_the_product_quantizer(update: str) -> None:
    fields = {"n_codebooks": 1, "codebook_size": 7, "codebook_update": update, "revive_below": 0.5}
    residual, product = fitted(**fields), fitted(ProductQuantizer, **fields)
    for step in range(3):
        batch = tokens(25, seed=step)
        ours, theirs = residual(batch), product(batch)
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
        generators = [torch.Generator().manual_seed(step) for _ in range(2)]
        assert residual.update(batch, generators[0]) == product.update(batch, generators[1])
    assert all(torch.equal(value, product.state_dict()[name]) for name, value in residual.state_dict().items())


def test_moving_averages_are_those_of_a_loop_over_levels() -> None:
    quantizer = fitted(codebook_update="ema", ema_decay=0.8, revive_below=0.0)
    usage, sums, books = quantizer.usage.clone(), quantizer.position_sum.clone(), quantizer.codebooks.detach().clone()
    batch = tokens(60, seed=7)
    indices = quantizer.decompose(quantizer.nearest_codes(batch)[:, 0])
    assert quantizer.update(batch, torch.Generator().manual_seed(0)) == 0
    rest = batch
    for level in range(M):
        for word in range(K):
            assigned = rest[indices[:, level] == word]
            usage[level, word] = 0.8 * usage[level, word] + 0.2 * len(assigned)
            sums[level, word] = 0.8 * sums[level, word] + 0.2 * assigned.sum(0)
        # The codewords the codes were chosen with, not the moved ones.
        rest = rest - books[level][indices[:, level]]
    torch.testing.assert_close(quantizer.usage, usage)
    torch.testing.assert_close(quantizer.position_sum, sums)
    torch.testing.assert_close(quantizer.codebooks.data, sums / usage[:, :, None], atol=1e-3, rtol=1e-3)


def test_a_dead_codeword_comes_back_at_what_a_token_of_the_batch_left_over() -> None:
    quantizer = fitted()
    with torch.no_grad():
        quantizer.codebooks[1, 2] = 100.0
        quantizer.usage[1, 2] = 0.0
    batch = tokens(60, seed=9)
    first = quantizer.decompose(quantizer.nearest_codes(batch)[:, 0])[:, 0]
    left_over = batch - quantizer.codebooks[0].detach()[first]
    assert quantizer.update(batch, torch.Generator().manual_seed(0)) == 1
    assert float((left_over - quantizer.codebooks[1, 2].detach()).norm(dim=1).min()) == 0
    assert float(quantizer.usage[1, 2]) > 0


def test_gradients_reach_the_codewords_of_every_level() -> None:
    quantizer = fitted()
    quantizer.vectors(quantizer.nearest_codes(tokens())).square().sum().backward()
    assert (quantizer.codebooks.grad.abs().sum((1, 2)) > 0).all()


def test_blocks_of_tokens_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = fitted()
    whole = quantizer.nearest_codes(tokens())
    monkeypatch.setattr(residual_quantizer, "BLOCK_DISTANCES", 7 * 6 * K)
    assert torch.equal(quantizer.nearest_codes(tokens()), whole)
    assert quantizer.nearest_codes(tokens(0)).shape == (0, 6)

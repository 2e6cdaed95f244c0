"""What quantized postings may lose: a bound per list, and recall of a trained model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import Cut, as_served
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import serve
from tests.fakes import TableModel
from tests.retrieval.tables import found_share
from tests.tiny import CONFIG, tiny_index, tiny_model, tiny_split

EXTREMES = {
    "constant": [0.7] * 9,
    "one posting": [0.3],
    "none": [],
    "huge range": [1.6e38, 1.0, 0.0, -1e-30, -1.6e38],
    "top of float32": [3.3e38, 3.2e38, 1e30, 0.0],
    "denormal": [1e-45, 4e-45, 1e-44, 3e-40],
    "step below the least number": [0.0, 1e-45, 3e-45],
    "step rounded to half": [0.0, 65535 * 1.4 * 1.4e-45, 1e-41, 9e-41],
    "far from zero": [1e8, 1e8 + 8, 1e8 + 16, 1e8 + 800],
    "neighbours": [1.0, np.nextafter(np.float32(1), np.float32(2))],
    "around zero": [-1.0, -1e-9, 1e-9, 1.0],
}


def errors_and_bounds(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest error of each list, in float64, and its bound."""
    index = build_index(TableModel(table), np.arange(len(table)), -np.inf, 3)
    stored = index.scores.min() if len(index.scores) else np.float32(0)
    blocks = block_index(index, float(np.nextafter(stored, np.float32(-np.inf))), "uint16", shift=2)
    blocks.check_postings()
    errors = np.zeros(len(table))
    for number, row in enumerate(table):
        item_ids, scores = blocks.posting_list(number)
        assert sorted(item_ids.tolist()) == np.flatnonzero(row > -np.inf).tolist()
        assert (np.diff(scores) <= 0).all()
        errors[number] = np.abs(scores.astype(np.float64) - row[item_ids].astype(np.float64)).max(initial=0)
    # Half a step of the quantization, and what rounding to float32 may add.
    highest = np.maximum(np.abs(blocks.low), np.abs(blocks.low + blocks.step * np.float32(2**16 - 1)))
    return errors, blocks.step / 2 + 4 * np.spacing(highest)


@pytest.mark.parametrize("name", EXTREMES)
def test_no_score_of_an_extreme_list_is_further_off_than_said(name: str) -> None:
    scores = np.array(EXTREMES[name], dtype=np.float32)
    table = np.full((2, 12), -np.inf, dtype=np.float32)
    table[1, : len(scores)] = scores
    errors, bounds = errors_and_bounds(table)
    assert np.isfinite(bounds).all()
    assert (errors <= bounds).all()
    spread = float(np.ptp(scores.astype(np.float64))) if len(scores) else 0.0
    # Half of 65,535 steps, and rounding; a list of one value stays as it is.
    assert bounds[1] <= spread / 131_070 * 1.001 + 5 * np.spacing(np.abs(scores).max(initial=0)) + 1e-44
    if spread == 0:
        assert errors[1] == 0


@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-44, 37), offset=st.sampled_from([0.0, 1.0, -1e3, 1e6]))
def test_no_score_of_a_random_list_is_further_off_than_said(seed: int, exponent: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0**exponent
    table = (rng.choice([rng.normal(size=(3, 40)), rng.exponential(size=(3, 40))]) * scale + offset * min(scale, 1e30)).astype(np.float32)
    table[rng.random(table.shape) < 0.3] = -np.inf
    errors, bounds = errors_and_bounds(table)
    assert (errors <= bounds).all()


def test_float32_postings_lose_nothing() -> None:
    table = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    blocks = block_index(build_index(TableModel(table), np.arange(3), -9.0, 3), -9.0)
    for number in range(3):
        item_ids, scores = blocks.posting_list(number)
        np.testing.assert_array_equal(scores, table[number, item_ids])


def test_recall_of_a_trained_model_stays() -> None:
    model, index, split = tiny_model(), tiny_index(), tiny_split()
    for users in (split.test, split.validation):
        for tau in (model.threshold, index.floor):
            served = {
                postings: serve(model, index, CONFIG.index.model_copy(update={"postings": postings}), Cut(tau))
                for postings in ("float32", "blocked", "quantized")
            }
            found = {postings: accuracy(retriever, users, 50) for postings, retriever in served.items()}
            assert found["blocked"] == found["float32"]
            assert found["quantized"][0] == pytest.approx(found["float32"][0], rel=1e-3)


def test_the_best_of_a_large_catalogue_stay() -> None:
    # Heavy tails, as exponential scores have them: a quantization of a few bits would lose many of the best.
    rng = np.random.default_rng(0)
    model = TableModel(np.exp(1.5 * rng.normal(size=(30, 4000))))
    index = build_index(model, np.arange(30), 1.0, 8)
    codes, weights = rng.integers(0, 30, size=(200, 4)), rng.random((200, 4)).astype(np.float32)
    exact, found = (
        SparseRetriever(model, as_served(index, Cut(1.0), postings), 1.0).retrieve_codes(codes, weights, None, 50).item_ids
        for postings in ("float32", "quantized")
    )
    assert found_share(found, exact) >= 0.999

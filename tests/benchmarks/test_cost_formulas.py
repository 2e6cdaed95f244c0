from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cost_formulas import (
    COUNTS,
    IN_USE,
    SECONDS,
    CostModel,
    Size,
    build_flops,
    candidates,
    codes_in_use,
    fit_codes_in_use,
    fit_product,
    fit_sum,
    graph_bytes,
    index_bytes,
    model_bytes,
    multiplied,
    summed,
    touched,
)
from benchmarks.cost_runs import GRAPH, drawn_histories, untrained
from sparcode.index.block_index import BLOCK_ARRAYS
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import ARRAY_DTYPES
from sparcode.index.pruning import Cut, as_served, floor_for_density
from sparcode.retrieval.faiss_index import build_faiss, faiss_bytes

SIZES = [
    Size(
        n_items,
        n_users=n_users,
        n_lists=n_lists,
        density=density,
        n_tokens=2 + n_users % 3,
        n_nearest=n_nearest,
        codebook_size=16 * n_lists,
        token_dim=dim,
        interaction_dim=width,
        hidden_dim=32 * width,
        history=5.0 + dim,
        n_negatives=n_items // divisor,
        lists_read=3.0 * n_nearest,
        postings_read=density * n_items * n_nearest,
    )
    for n_items, n_users, n_lists, density, n_nearest, dim, width, divisor in zip(
        *(
            np.random.default_rng(0).permutation(np.repeat(values, 6)).tolist()
            for values in ((500, 9_000, 80_000, 2_000_000), (300, 7_001, 60_002, 1_000))
        ),
        *(
            np.random.default_rng(seed).choice(values, 24).tolist()
            for seed, values in enumerate(((3, 20, 90), (0.003, 0.02, 0.3), (1, 2, 5), (8, 20, 96), (4, 9), (3, 40)))
        ),
        strict=True,
    )
]


@pytest.mark.parametrize("law", SECONDS)
def test_a_fit_finds_the_factors_of_planted_seconds(law: str) -> None:
    terms = [SECONDS[law](size) for size in SIZES]
    # A factor for every term that is not proportional to another one here, the others 0.
    names = list(terms[0])
    planted = dict.fromkeys(names, 0.0) | {name: 1e-9 * (place + 1) for place, name in enumerate(names[:3])}
    found = fit_sum(terms, [summed(planted, row) for row in terms])
    said, true = ([summed(factors, row) for row in terms] for factors in (found, planted))
    assert said == pytest.approx(true, rel=1e-6)
    assert min(found.values()) >= 0


def test_factors_that_the_runs_tell_apart_are_found_themselves() -> None:
    terms = [SECONDS["search in lists"](size) for size in SIZES]
    planted = dict.fromkeys(terms[0], 0.0) | {"query": 1e-5, "lists": 2e-7, "postings": 3e-10, "postings x log2 of items": 1e-10}
    assert fit_sum(terms, [summed(planted, row) for row in terms]) == pytest.approx(planted, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("law", COUNTS)
def test_a_fit_finds_the_powers_of_planted_counts(law: str) -> None:
    terms = [COUNTS[law](size) for size in SIZES]
    planted = {"factor": 0.7} | {name: 0.2 + 0.3 * place for place, name in enumerate(terms[0])}
    assert fit_product(terms, [multiplied(planted, row) for row in terms]) == pytest.approx(planted)


def test_codes_in_use_are_never_more_than_there_are_and_their_law_is_found() -> None:
    shapes = ((40, 8, 1), (900, 40, 2), (90, 99, 4), (30, 30, 8), (9, 64, 1))
    sizes = [Size(9, n_users=users, n_codebooks=2, codebook_size=size, n_nearest=nearest) for users, size, nearest in shapes]
    planted = {"factor": 0.4, "tokens": 0.8, "P": 0.6, "C": -0.7}
    counts = [codes_in_use(size, planted) for size in sizes]
    assert all(0 < count < size.n_codes for count, size in zip(counts, sizes, strict=True))
    full = sizes[0]._replace(n_users=10**9)
    assert codes_in_use(full, planted) == full.n_codes
    assert fit_codes_in_use([*sizes, full], [*counts, full.n_codes]) == pytest.approx(planted)


@pytest.mark.parametrize("n_items", [300, 70_000])
def test_bytes_are_those_of_a_real_index_and_model(n_items: int) -> None:
    size = Size(n_items, n_lists=40, density=0.04, token_dim=8, hidden_dim=16, n_nearest=2, codebook_size=40)
    model, codes = untrained(size), np.arange(size.n_lists)
    index = build_index(model, codes, floor_for_density(model, codes, size.density, 4), 4, n_threads=1)
    assert len(index.scores) == size.n_postings
    assert index_bytes(size, "float32") == sum(getattr(index, name).nbytes for name in ARRAY_DTYPES)
    blocks = as_served(index, Cut(index.floor), "quantized")
    assert (blocks.tops.shape[1] > 500) == (n_items == 70_000)
    assert index_bytes(size, "quantized") == sum(getattr(blocks, name).nbytes for name in BLOCK_ARRAYS)
    assert model_bytes(size) == sum(value.nbytes for value in model.state_dict().values())


def test_bytes_of_a_graph_are_near_those_of_a_real_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(2_000, 8)).astype(np.float32)
    real = sum(faiss_bytes(build_faiss(vectors, GRAPH)).values())
    assert graph_bytes(Size(2_000, token_dim=8), GRAPH.n_links) == pytest.approx(real, rel=0.02)


def test_operations_of_the_interaction_network_are_counted() -> None:
    # A dot product of 3 is 3 multiplications and 3 additions; a hidden unit adds, cuts, multiplies and adds.
    assert build_flops(Size(5, n_lists=2, token_dim=3, interaction_dim=4)) == 10 * (6 + 16)


def test_candidates_are_all_items_or_negatives_and_distinct_targets() -> None:
    assert candidates(Size(400)) == candidates(Size(400, n_negatives=400)) == 400
    size = Size(50_000, n_negatives=70, batch_size=32, history=20.0)
    batch = np.random.default_rng(0).integers(50_000, size=(200, 640))
    assert candidates(size) == pytest.approx(70 + np.mean([len(np.unique(row)) for row in batch]), rel=1e-3)
    assert touched(Size(400, token_dim=3, hidden_dim=5)) == 400 * 8
    assert touched(size) == pytest.approx(candidates(size) * 16 + (candidates(size) - 70) * 256)


def test_a_model_predicts_from_settings_alone_and_reads_no_more_lists_than_are_named() -> None:
    counts = {
        "lists per query": {"factor": 9.0, "T": 1.0, "P": 1.0, "K": 0.0},
        "postings per query": {"factor": 2.0, "lists": 1.0, "density": 1.0, "I": 1.0},
    }
    zeros = {law: dict.fromkeys(terms(Size(100)), 0.0) for law, terms in SECONDS.items()}
    seconds = zeros | {"search in lists": zeros["search in lists"] | {"query": 5.0, "lists": 1.0, "postings": 0.5}}
    model = CostModel(counts, seconds, {"factor": 1e9, "tokens": 1.0, "P": 1.0, "C": 1.0})
    size = Size(1_000, n_users=2, density=0.01, n_tokens=2, n_nearest=3, codebook_size=64, postings_read=1e9)
    assert model.of("lists per query", size) == 6
    assert model.of("lists per query", size._replace(codebook_size=5)) == 5
    assert model.of("postings per query", size) == pytest.approx(2 * 6 * 10)
    assert model.of("search in lists", size) == pytest.approx(5 + 6 + 60)
    assert model.of(IN_USE, size) == size.n_codes


def test_drawn_histories_have_no_item_twice_and_are_seeded() -> None:
    histories = drawn_histories(50, 40, 12.0, 3)
    assert len(histories) == 50
    assert histories.lengths.min() >= 1
    assert all(len(np.unique(histories[row])) == len(histories[row]) for row in range(50))
    assert np.array_equal(histories.items, drawn_histories(50, 40, 12.0, 3).items)

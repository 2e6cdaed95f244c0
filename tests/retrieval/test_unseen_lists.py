"""Lists computed for codes that an index does not have, while other threads and processes search as well."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection

import numpy as np
import pytest

from benchmarks.csr_search import CsrRetriever
from sparcode.index.block_index import BlockIndex, block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.retrieval.list_store import ListStore
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel
from tests.retrieval.tables import assert_same

N_CODES, N_ITEMS, TAU = 60, 200, 0.1


def model() -> TableModel:
    return TableModel(np.random.default_rng(0).normal(size=(N_CODES, N_ITEMS)))


def stored(layout: str) -> InvertedIndex | BlockIndex:
    index = build_index(model(), np.array([0, 30]), TAU, 5)
    return index if layout == "lists" else block_index(index, TAU)


def one(code: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[code, 0]]), np.ones((1, 2), dtype=np.float32)


@pytest.mark.parametrize("layout", ["lists", "blocks", "csr"])
def test_a_list_that_another_thread_adds_between_takes_no_number_away(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = CsrRetriever if layout == "csr" else SparseRetriever
    expected = make(model(), build_index(model(), np.arange(N_CODES), TAU, 5), TAU).retrieve_codes(*one(50), None, 10)
    retriever = make(model(), stored("lists" if layout == "csr" else layout), TAU)
    resolve, others = ListStore.resolve, iter([2, 3])

    def then_another(self: ListStore, codes: np.ndarray) -> object:
        resolved = resolve(self, codes)
        for code in others:  # a lower code, so that computed lists are numbered anew
            resolve(self, np.array([[code]]))
        return resolved

    monkeypatch.setattr(ListStore, "resolve", then_another)
    found = retriever.retrieve_codes(*one(50), None, 10)
    assert_same(found, expected)


@pytest.mark.parametrize("layout", ["lists", "blocks"])
def test_many_threads_that_meet_new_codes_get_their_own_answers(layout: str) -> None:
    alone = SparseRetriever(model(), build_index(model(), np.arange(N_CODES), TAU, 5), TAU)
    expected = {code: alone.retrieve_codes(*one(code), None, 10).item_ids for code in range(N_CODES)}
    shared = SparseRetriever(model(), stored(layout), TAU)
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for code in np.random.default_rng(seed).permutation(N_CODES).tolist():
            if not np.array_equal(shared.retrieve_codes(*one(code), None, 10).item_ids, expected[code]):
                wrong.append(code)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _search_again(retriever: SparseRetriever, codes: np.ndarray, weights: np.ndarray, answer: Connection) -> None:
    answer.send(retriever.retrieve_codes(codes, weights, None, 5).item_ids)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_search_as_its_parent_did() -> None:
    retriever = SparseRetriever(model(), stored("lists"), TAU, n_threads=2)
    codes, weights = np.tile([0, 30], (64, 1)), np.ones((64, 2), dtype=np.float32)
    expected = retriever.retrieve_codes(codes, weights, None, 5).item_ids
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_search_again, args=(retriever, codes, weights, there), daemon=True)
    child.start()
    try:
        assert here.poll(30)
        np.testing.assert_array_equal(here.recv(), expected)
    finally:
        child.kill()

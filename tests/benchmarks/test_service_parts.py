"""Parts of `benchmarks/service.py` on a tiny grown run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.service import drawn_queries, grown_run, write_expected
from benchmarks.service_client import ask
from sparcode.index.pruning import Cut
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.store import load_run, save_run
from sparcode.service.answers import Answers, Limits
from tests.runs.test_store import tiny_run
from tests.service.conftest import running

N_ITEMS, LENGTH = 400, 30


def test_a_grown_run_is_kept_served_and_every_wrong_answer_is_counted(tmp_path: Path) -> None:
    folder = save_run(grown_run(tiny_run(), N_ITEMS, LENGTH, seed=1), tmp_path / "run")
    run = load_run(folder, mmap=True)
    assert run.index.n_items == len(run.item_ids) == N_ITEMS
    assert 0.5 * LENGTH < len(run.index.scores) / run.index.n_lists < 1.5 * LENGTH
    cut = Cut(max(run.model.threshold, run.index.floor))
    retriever = SparseRetriever(run.model, run.index, cut, n_threads=1)
    queries = drawn_queries(80, 20, seed=0)
    assert {item for query in queries for item in query} <= set(range(80))
    write_expected(tmp_path / "expected", retriever, queries, N_ITEMS)
    with running(Answers(run, lambda: retriever, cut, Limits())) as address:
        told = ask(address, tmp_path / "expected", 0, 1)
        assert (len(told["taken_ns"]), told["wrong"]) == (20, 0)
        scores = np.load(tmp_path / "expected" / "scores.npy")
        scores[[3, 8, 9], 0] = np.nextafter(scores[[3, 8, 9], 0], np.float32(9))
        np.save(tmp_path / "expected" / "scores.npy", scores)
        assert [ask(address, tmp_path / "expected", number, 2)["wrong"] for number in range(2)] == [1, 2]

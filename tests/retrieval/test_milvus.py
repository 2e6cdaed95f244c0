"""Retrieval through Milvus, held against the index on the real engine of Milvus Lite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymilvus import MilvusClient

from sparcode.commands.milvus import DEFAULT_COLLECTION
from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, as_served
from sparcode.retrieval import milvus
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.milvus import MilvusRetriever
from sparcode.retrieval.milvus_collection import COLLECTION, Exported, connected, export_items, hash_of_codes, item_vectors, read_about
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel, tied_table

I, N_CODES = 60, 40
TAU = -0.5


class HugeCodes(TableModel):
    """Codes far beyond 32 bits, as many codebooks make them."""

    STEP = 1 << 40

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        codes, weights = super().encode(queries)
        return codes * self.STEP, weights * np.float32(0.7) ** np.arange(weights.shape[1], dtype=np.float32)

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        return super().score_codes(codes // self.STEP)

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        return super().code_vectors(codes // self.STEP)


def tied_model() -> HugeCodes:
    """Scores of which many are equal, below 0, negative zeros or missing; the last three items have none above the threshold."""
    table = tied_table(3, N_CODES, I)
    table[:, -3:] = -3
    return HugeCodes(table)


def histories(n: int, seed: int, n_codes: int = N_CODES) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.from_lists([rng.choice(n_codes, rng.integers(1, 8), replace=False).tolist() for _ in range(n)], I)


def index_of(model: TableModel, n_codes: int = N_CODES) -> InvertedIndex:
    return build_index(model, np.arange(n_codes) * HugeCodes.STEP, -2.0, 16)


ITEMS = pd.DataFrame(
    {
        "title": [f"title {item}" for item in range(I)],
        "genres": [["Drama|Action", "Comedy", "Action", None][item % 4] for item in range(I)],
        "year": [1950 + item for item in range(I)],
        "price": [item / 4 if item % 5 else np.nan for item in range(I)],
        "two words": ["x"] * I,
    }
)


def export(client: MilvusClient, name: str, index: InvertedIndex, cut: Cut, postings: str = "float32", overwrite: bool = False) -> Exported:
    vectors = item_vectors(as_served(index, cut, postings), cut)
    about = Exported("the-run", hash_of_codes(index.codes), *cut, postings, I, int(np.count_nonzero(np.diff(vectors.indptr))))
    left_out = export_items(client, name, vectors, [f"id-{item}" for item in range(I)], ITEMS, about, overwrite)
    assert left_out == ["two words"]
    return about


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    with connected(str(tmp_path_factory.mktemp("milvus") / "items.db")) as client:
        export(client, "tied", index_of(tied_model()), Cut(TAU))
        yield client


def retriever(
    client: MilvusClient, name: str = "tied", unseen: str = "compute", where: str = "", n_codes: int = N_CODES
) -> MilvusRetriever:
    model = tied_model()
    return MilvusRetriever(client, name, model, index_of(model, n_codes), "the-run", unseen, where)


def assert_same(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_thousand_queries_get_the_items_and_scores_of_the_index_whatever_is_filtered(client: MilvusClient) -> None:
    model = tied_model()
    index = SparseRetriever(model, index_of(model), TAU, n_threads=1)
    few, many = np.array([1, 2, 3, 5, 8, 13, 21, 34, 55]), np.arange(0, I, 2)
    dramas = np.flatnonzero(ITEMS["genres"].fillna("").str.contains("Drama") & (ITEMS["year"] > 1960))
    cases = (
        ("", None, None),
        ("", ItemFilter(I, few), ItemFilter(I, few)),
        ("", ItemFilter(I, many, few), ItemFilter(I, many, few)),
        ("", ItemFilter(I, None, few), ItemFilter(I, None, few)),
        ('genres like "%Drama%" and year > 1960', None, ItemFilter(I, dramas)),
        ("price >= 5", ItemFilter(I, None, many), ItemFilter(I, np.flatnonzero(ITEMS["price"] >= 5), many)),
        ("", ItemFilter(I, np.zeros(0, np.int64)), ItemFilter(I, np.zeros(0, np.int64))),
    )
    asked = 0
    for seed, (where, only, same) in enumerate(cases):
        queries = histories(180, seed)
        through = retriever(client, where=where)
        for k in (1, 7, I) if seed == 0 else (7,):
            some = queries if k == 7 else queries.take(np.arange(20))
            assert_same(through.retrieve(some, k, only), index.retrieve(some, k, same))
            asked += len(some)
        assert through.answered_by_index == 0
    assert asked > 1_000


def test_every_kind_of_cut_and_layout_is_exported(client: MilvusClient) -> None:
    model, queries = tied_model(), histories(20, 5)
    for name, cut, postings in (("short", Cut(TAU, 9), "float32"), ("coarse", Cut(0.25), "quantized"), ("blocks", Cut(TAU, 5), "blocked")):
        export(client, name, index_of(model), cut, postings)
        expected = SparseRetriever(model, as_served(index_of(model), cut, postings), cut, n_threads=1).retrieve(queries, 9)
        assert_same(retriever(client, name).retrieve(queries, 9), expected)


def test_dimensions_are_places_of_lists_and_values_are_above_the_threshold() -> None:
    index = index_of(tied_model())
    vectors = item_vectors(index, Cut(TAU))
    expected = np.maximum(tied_model().table.T - np.float32(TAU), 0)
    expected[np.isneginf(expected)] = 0
    np.testing.assert_array_equal(vectors.toarray(), expected)
    assert np.all(vectors.data > 0)
    assert np.all(np.diff(vectors.indptr)[-3:] == 0)


def test_items_without_a_posting_are_left_out_and_texts_stay(client: MilvusClient) -> None:
    about = read_about(client, "tied")
    rows = client.query("tied", filter="item >= 0", output_fields=["item", "item_id", "title", "genres", "year", "price"], limit=I)
    assert (about.n_items, about.n_exported, len(rows)) == (I, I - 3, I - 3)
    assert rows[3] == {"item": 3, "item_id": "id-3", "title": "title 3", "genres": None, "year": 1953, "price": 0.75}
    assert rows[5]["price"] is None


def test_a_query_with_a_code_without_a_list_is_answered_as_the_index_answers(client: MilvusClient) -> None:
    model, queries, n_codes = tied_model(), histories(40, 6), N_CODES - 6
    export(client, "fewer", index_of(model, n_codes), Cut(TAU))
    dramas = ItemFilter(I, np.flatnonzero(ITEMS["genres"].fillna("").str.contains("Drama")))
    for unseen, n_by_index in (
        ("compute", int((np.maximum.reduceat(queries.items, queries.indptr[:-1]) >= n_codes).sum())),
        ("nearest", 0),
    ):
        expected = SparseRetriever(model, index_of(model, n_codes), TAU, unseen, n_threads=1)
        through = retriever(client, "fewer", unseen, n_codes=n_codes)
        assert_same(through.retrieve(queries, 9), expected.retrieve(queries, 9))
        assert through.answered_by_index == n_by_index
        through = retriever(client, "fewer", unseen, 'genres like "%Drama%"', n_codes)
        assert_same(through.retrieve(queries, 9), expected.retrieve(queries, 9, dramas))


def test_an_export_appears_whole_and_replaces_only_when_told(client: MilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(tied_model())
    before = export(client, "mine", index, Cut(TAU))
    with pytest.raises(ValueError, match="the collection 'mine' exists; overwrite it or give another name"):
        export(client, "mine", index, Cut(0.5))
    monkeypatch.setattr(client, "flush", lambda name: (_ for _ in ()).throw(RuntimeError("the power is cut")))
    with pytest.raises(RuntimeError, match="the power is cut"):
        export(client, "mine", index, Cut(0.5), overwrite=True)
    monkeypatch.undo()
    assert read_about(client, "mine") == before
    assert retriever(client, "mine").retrieve(histories(3, 0), 5).item_ids.shape == (3, 5)
    after = export(client, "mine", index, Cut(0.5), overwrite=True)
    assert read_about(client, "mine") == after != before
    assert not [name for name in client.list_collections() if "unfinished" in name]


def test_batches_are_bounded_and_make_no_difference(client: MilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    insert = client.insert
    monkeypatch.setattr(client, "insert", lambda name, rows: (sizes.append(len(rows)), insert(name, rows))[1])
    monkeypatch.setattr("sparcode.retrieval.milvus_collection._BATCH_ITEMS", 7)
    export(client, "batches", index_of(tied_model()), Cut(TAU))
    assert max(sizes) == 7
    assert sum(sizes) == I - 3
    monkeypatch.setattr("sparcode.retrieval.milvus_collection._BATCH_POSTINGS", 60)
    sizes.clear()
    export(client, "batches", index_of(tied_model()), Cut(TAU), overwrite=True)
    assert 1 <= min(sizes) < max(sizes) < 7
    assert_same(retriever(client, "batches").retrieve(histories(9, 0), 7), retriever(client).retrieve(histories(9, 0), 7))


def test_ties_at_the_last_place_are_fetched_until_they_are_settled(client: MilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    model = HugeCodes(np.ones((1, I)))
    index = build_index(model, np.zeros(1, np.int64), 0.0, 16)
    export(client, "equal", index, Cut(0.0))
    through = MilvusRetriever(client, "equal", model, index, "the-run", "compute")
    query = Histories.from_lists([[4]], I)
    assert through.retrieve(query, 6).item_ids.tolist() == [[0, 1, 2, 3, 5, 6]]
    monkeypatch.setattr(milvus, "MOST_ITEMS", 30)
    with pytest.raises(RuntimeError, match="the 30 items that Milvus returns at most do not settle place 6"):
        through.retrieve(query, 6)
    with pytest.raises(ValueError, match="at most 30 items of a query; got k=31"):
        through.retrieve(query, 31)


def test_what_does_not_belong_together_is_refused(client: MilvusClient) -> None:
    model = tied_model()
    index = index_of(model)
    with pytest.raises(ValueError, match="there is no collection 'nothing'; there are "):
        retriever(client, "nothing")
    with pytest.raises(ValueError, match="was made of the run the-run, not of another"):
        MilvusRetriever(client, "tied", model, index, "another", "compute")
    with pytest.raises(ValueError, match="export the run again"):
        retriever(client, n_codes=5)
    with pytest.raises(ValueError, match=re.escape("does not understand the expression 'genres is' over the fields item, item_id, title")):
        retriever(client, where="genres is")
    client.create_collection("foreign", dimension=4)
    with pytest.raises(ValueError, match="'foreign' was not made by this version of sparcode export"):
        retriever(client, "foreign")
    with pytest.raises(ValueError, match="begin with no digit; got '1-2'"):
        export(client, "1-2", index, Cut(TAU))
    with pytest.raises(ValueError, match="must not end in _unfinished, as those do that are being written; got 'mine_unfinished'"):
        export(client, "mine_unfinished", index, Cut(TAU))
    with pytest.raises(ValueError, match="no item has a score above the threshold"):
        export(client, "empty", index, Cut(100.0))
    assert not client.has_collection("empty")


def test_errors_of_milvus_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"Milvus at .*items.db: "), connected(str(tmp_path / "items.db")) as client:
        client.drop_index("nothing", "nothing")


def test_the_command_line_names_the_same_collection() -> None:
    assert DEFAULT_COLLECTION == COLLECTION

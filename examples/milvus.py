"""Export a kept run's items to Milvus Lite and search there, with a filter: `python examples/milvus.py runs/example items.db`."""

from __future__ import annotations

import sys

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.pruning import Cut
from sparcode.retrieval.milvus import MilvusRetriever
from sparcode.retrieval.milvus_collection import Exported, connected, export_items, hash_of_codes, item_vectors
from sparcode.runs.store import load_run
from sparcode.training.pipeline import serve


def main(folder: str = "runs/example", uri: str = "items.db") -> None:
    """Both ways on three queries; the same as `sparcode export` and `sparcode retrieve --through milvus`."""
    run = load_run(folder)
    index, n_items = run.index, run.index.n_items
    cut = Cut(max(run.model.threshold, index.floor))
    vectors = item_vectors(index, cut)
    n_exported = int(np.count_nonzero(np.diff(vectors.indptr)))
    about = Exported(run.run_id, hash_of_codes(index.codes), *cut, "float32", n_items, n_exported)
    queries = Histories.from_lists([[0, 1], [5], [2, 9, 11]], n_items)
    expected = serve(run.model, index, run.config.index).retrieve(queries, 5)
    with connected(uri) as client:
        export_items(client, "example", vectors, run.item_ids, run.items, about, overwrite=True)
        print(f"exported {n_exported} items of {n_items}, {vectors.nnz / n_exported:.0f} codes each on average")
        found = MilvusRetriever(client, "example", run.model, index, run.run_id, "compute").retrieve(queries, 5)
        for number, (items, scores, *same) in enumerate(zip(*found, *expected, strict=True), start=1):
            is_same = np.array_equal(items, same[0]) and np.array_equal(scores, same[1])
            print(f"query {number}: {len(items)} items, {'the same as' if is_same else 'other than'} the index's")
        late = MilvusRetriever(client, "example", run.model, index, run.run_id, "compute", where="year >= 1990")
        print("of 1990 and later:", ", ".join(run.item_ids[item] for item in late.retrieve(queries, 5).item_ids[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])

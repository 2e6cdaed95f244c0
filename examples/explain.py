"""Ask why an item is returned, down to the posting lists: `python examples/explain.py runs/example`."""

from __future__ import annotations

import sys

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.model.query_trace import HEAD, trace_query
from sparcode.runs.store import load_run
from sparcode.training.pipeline import serve


def main(folder: str = "runs/example") -> None:
    """Tokens and their nearest codes, the lists of the query, and what each adds to the three best items."""
    run = load_run(folder)
    retriever = serve(run.model, run.index, run.config.index)
    query = Histories.from_lists([[0, 1, 2, 3]], len(run.item_ids))
    trace = trace_query(run.model, query)
    for place, (item, codes, shares) in enumerate(zip(trace.items, trace.codes, trace.shares, strict=True)):
        named = f"head {place}" if item == HEAD else run.items["title"][item]
        print(f"{named}: nearest code {codes[0]} with weight {shares[0]:.2f}, squared distance {trace.distances[place, 0]:.3f}")
    found = retriever.retrieve(query, k=3)
    explained = retriever.explain_query(query, found.item_ids[0])
    for item, score, added in zip(explained.items, explained.scores, explained.contributions, strict=True):
        parts = sorted(zip(added, explained.lists, strict=True), key=lambda part: -part[0])
        told = " + ".join(f"{value:.3f} (code {one.code})" for value, one in parts[:3])
        print(f"{run.items['title'][item]}: {score:.3f} = {told} + {len(parts) - 3} more lists")
    # Not nearly: to the bit.
    assert np.array_equal(explained.scores, found.scores[0])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Load a kept run and retrieve items for a history, by original ids: `python examples/retrieve.py runs/example`."""

from __future__ import annotations

import sys

from sparcode.data.interactions import Histories
from sparcode.runs.store import load_run
from sparcode.training.pipeline import serve


def main(folder: str = "runs/example") -> None:
    """Two queries at once, the five best items of each; what a query holds is never returned."""
    run = load_run(folder)
    retriever = serve(run.model, run.index, run.config.index)
    index_of = {item_id: place for place, item_id in enumerate(run.item_ids)}
    chosen = [[index_of[item_id] for item_id in run.item_ids[:3]], [index_of[run.item_ids[-1]]]]
    found = retriever.retrieve(Histories.from_lists(chosen, len(run.item_ids)), k=5)
    for history, item_ids, scores in zip(chosen, *found, strict=True):
        print("history:", ", ".join(run.items["title"][item] for item in history))
        for item, score in zip(item_ids, scores, strict=True):
            # A list that is too short is filled up with -1.
            print(f"  {score:8.3f}  {run.items['title'][item]}" if item >= 0 else "  nothing more")


if __name__ == "__main__":
    main(*sys.argv[1:])

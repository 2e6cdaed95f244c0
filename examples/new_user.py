"""Compose the profile of a user no model has seen, by titles, and look at what changes: `python examples/new_user.py runs/example`."""

from __future__ import annotations

import sys

from sparcode.data.interactions import Histories
from sparcode.runs.store import load_run
from sparcode.training.pipeline import serve


def main(folder: str = "runs/example", wanted: str = "a") -> None:
    """The first four items with `wanted` in their titles; then what is returned without each of them."""
    run = load_run(folder)
    titles = run.items["title"]
    profile = [place for place, title in enumerate(titles) if wanted.lower() in title.lower()][:4]
    retriever = serve(run.model, run.index, run.config.index)

    def best(items: list[int]) -> list[int]:
        return retriever.retrieve(Histories.from_lists([items], len(titles)), k=5).item_ids[0].tolist()

    whole = best(profile)
    print("profile:", ", ".join(titles[item] for item in profile))
    print("best:", ", ".join(titles[item] for item in whole if item >= 0))
    for item in profile:
        new = [titles[other] for other in best([one for one in profile if one != item]) if other >= 0 and other not in whole]
        print(f"without {titles[item]}, new among the best: {', '.join(new) or 'none'}")


if __name__ == "__main__":
    main(*sys.argv[1:])

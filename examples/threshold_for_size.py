"""Choose the threshold for a size budget, without a rebuild: `python examples/threshold_for_size.py runs/example 10000`."""

from __future__ import annotations

import sys

from sparcode.index.pruning import FitBytes, KeepDensity
from sparcode.runs.store import load_run
from sparcode.training.pipeline import serve


def main(folder: str = "runs/example", max_bytes: str = "10000") -> None:
    """The lowest threshold that fits the budget, beside a tenth of all scores and the run's own."""
    run = load_run(folder)
    cuts = {
        "the run's own": None,
        "10% of the scores": KeepDensity(0.1).cut(run.index),
        f"at most {int(max_bytes):,} bytes": FitBytes(int(max_bytes)).cut(run.index),
    }
    for name, cut in cuts.items():
        retriever = serve(run.model, run.index, run.config.index, cut)
        kept, size = run.index.density(retriever.threshold), sum(retriever.size_bytes().values())
        print(f"{name}: threshold {retriever.threshold:.4g} keeps {kept:.1%} of the scores in {size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Try settings on interactions of your own, and take the smallest index near the best: `python examples/sweep.py runs/sweep`."""

from __future__ import annotations

import sys
from pathlib import Path

from sparcode.config import ModelConfig, RunConfig, SweepConfig, SyntheticConfig, TrainingConfig
from sparcode.data.synthetic import generate
from sparcode.runs.store import load_run
from sparcode.sweep.answer import answer_text, importance, points_of, smallest_near_best
from sparcode.sweep.executors import Processes
from sparcode.sweep.folder import create, load
from sparcode.sweep.run import run_sweep
from sparcode.sweep.space import parse_space
from sparcode.training.pipeline import serve


def main(folder: str = "runs/sweep") -> None:
    """Begin a sweep, or go on with the one in the folder; print its answer, and serve the run that it names."""
    place = Path(folder)
    if not place.exists():
        settings = RunConfig(
            model=ModelConfig(token_dim=16, hidden_dim=32), training=TrainingConfig(epochs=8, joint_epochs=4, batch_size=32)
        )
        data = generate(SyntheticConfig(n_users=300, n_items=200))
        space = parse_space(["codebook_size=8,16,32", "n_nearest=1,2,4"])
        create(place, data, RunConfig.for_data(synthetic=True, settings=settings), space, SweepConfig(sampler="grid", trials=6))
    # On a cluster: DaskCluster("tcp://HOST:8786").
    print(run_sweep(place, Processes(n_workers=1)))
    sweep = load(place)
    print(answer_text(sweep.definition, sweep.trials))
    print({name: round(share, 2) for name, share in importance(sweep.definition, sweep.trials).items()})
    chosen = smallest_near_best(points_of(sweep.complete))
    run = load_run(sweep.run_folder(chosen.trial))
    retriever = serve(run.model, run.index, run.config.index).with_threshold(chosen.threshold)
    print(f"trial {chosen.trial} serves {sum(retriever.size_bytes().values()):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

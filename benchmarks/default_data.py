"""SparCode against its peers on the planted catalogue, with and without the part that a dot product cannot express.

    python -m benchmarks.default_data --seeds 5
    python -m benchmarks.default_data --shares 0.5 --settings benchmarks/settings/item-lists.json

All models of a seed share split, loss, negatives and epoch budget. Checkpoints are chosen on validation users; figures are those of the
test users. Prints a Markdown table per share; the last line holds ratios of mean recalls.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.command import Quick, Seeds, Settings, Stages, merged, print_figures, run_command, settings_of
from sparcode.comparison.peers import ALL_TO_ALL, COOCCURRENCE, EASE_NAME, SPARCODE, TWO_TOWER
from sparcode.comparison.run import ComparedRun, compare
from sparcode.config import DEFAULT_K, SYNTHETIC_TOKEN_DIM, RunConfig, SyntheticConfig
from sparcode.data.synthetic import generate, inexpressible_share, planted_truth

RATIOS = {
    "recall_vs_two_tower": TWO_TOWER,
    "recall_vs_all_to_all": ALL_TO_ALL,
    "recall_vs_ease": EASE_NAME,
    "recall_vs_cooccurrence": COOCCURRENCE,
}


def main(
    seeds: Seeds = 5,
    shares: Annotated[list[float] | None, typer.Option(help="Planted nonlinear share; may be repeated, by default two.")] = None,
    settings: Settings = None,
    quick: Quick = False,
) -> None:
    """Measure, print the tables and the ratios."""
    ratios = {}
    for share in shares or [SyntheticConfig().nonlinear_share, 0.0]:
        recall = measure_share(share, 1 if quick else seeds, quick, settings_of(settings))
        ratios[f"share_{share:g}"] = {name: recall[SPARCODE] / recall[peer] for name, peer in RATIOS.items()}
    print_figures(ratios)


def measure_share(share: float, n_seeds: int, quick: bool, tuned: tuple[Stages, Stages]) -> dict[str, float]:
    """Mean recall of every model over the seeds; prints the table of one nonlinear share. `tuned` is as of `settings_of`."""
    sizes = {"n_users": 400, "n_items": 300} if quick else {}
    data_config = SyntheticConfig(nonlinear_share=share, **sizes)
    data, dimension = generate(data_config), SYNTHETIC_TOKEN_DIM
    left_over = inexpressible_share(planted_truth(data_config), dimension)
    print(
        f"\nNonlinear share {share:g}: the best dot product of dimension {dimension} leaves {left_over:.1%} of the affinity's variance over"
    )
    print(f"{data!r}, {torch.get_num_threads()} threads", file=sys.stderr)
    found: list[ComparedRun] = []
    for seed in range(n_seeds):
        started = time.perf_counter()
        budget = {"epochs": 8, "joint_epochs": 4} if quick else {}
        of_run = {"split": {"seed": seed}, "training": {"seed": seed} | budget}
        config, of_two_tower = (
            RunConfig.for_data(synthetic=True, settings=RunConfig.model_validate(merged(*parts, of_run))) for parts in (tuned[:1], tuned)
        )
        found.append(compare(data, config, two_tower_config=of_two_tower))
        shown = ", ".join(f"{row.name} {row.recall:.4f}" for row in found[-1].rows)
        print(f"seed {seed}: {shown} ({time.perf_counter() - started:.0f} s)", file=sys.stderr)
    print(f"\n| model | Recall@{DEFAULT_K} | NDCG@{DEFAULT_K} | Precision@{DEFAULT_K} |\n|---|---|---|---|")
    recall = {}
    for rows in zip(*(run.rows for run in found), strict=True):
        figures = np.array([(row.recall, row.ndcg, row.precision) for row in rows])
        recall[rows[0].name] = float(figures[:, 0].mean())
        cells = " | ".join(f"{mean:.4f} ± {spread:.4f}" for mean, spread in zip(figures.mean(0), figures.std(0), strict=True))
        print(f"| {rows[0].name} | {cells} |")
    density = np.mean([run.density for run in found])
    size = np.mean([row.size_bytes for run in found for row in run.rows if row.name == SPARCODE]) / 1e6
    print(f"\nMean ± standard deviation over {n_seeds} seed(s); SparCode keeps {density:.1%} of the scores in {size:.2f} MB.")
    return recall


if __name__ == "__main__":
    run_command(main)

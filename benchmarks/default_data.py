"""SparCode against its peers on the planted catalogue, several seeds, with and without the part a dot product cannot express.

Every model of a seed shares split, loss, negatives and epochs budget; checkpoints are chosen on validation users, figures come from the
test users, once. Prints a Markdown table per share and ends with one line of JSON.

    python benchmarks/default_data.py --seeds 5
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
import torch

from sparcode.baselines.ease import EASE
from sparcode.baselines.popularity import Popularity
from sparcode.config import SYNTHETIC_TOKEN_DIM, RunConfig, SplitConfig, SyntheticConfig, TrainingConfig
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate, inexpressible_share, planted_truth
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import build_run_index, train_sparcode, train_two_tower

K = 50
MODELS = ("SparCode (index)", "two-tower", "all-to-all", "EASE", "popularity")


def main() -> None:
    """Parse arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to n-1 of split and training; the data stays the same")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[SyntheticConfig().nonlinear_share, 0.0], help="planted nonlinear shares"
    )
    parser.add_argument("--quick", action="store_true", help="one seed, a small catalogue, few epochs")
    arguments = parser.parse_args()
    ratios = {}
    for share in arguments.shares:
        results = measure_share(share, 1 if arguments.quick else arguments.seeds, arguments.quick)
        recall = {name: results[name][:, 0].mean() for name in MODELS}
        ratios[f"share_{share:g}"] = {
            "recall_vs_two_tower": round(recall[MODELS[0]] / recall["two-tower"], 4),
            "recall_vs_all_to_all": round(recall[MODELS[0]] / recall["all-to-all"], 4),
        }
    print(json.dumps(ratios))


def measure_share(share: float, n_seeds: int, quick: bool) -> dict[str, np.ndarray]:
    """Results (n_seeds, 3) per model: recall, NDCG, precision; prints the table of one nonlinear share."""
    sizes = {"n_users": 400, "n_items": 300} if quick else {}
    data_config = SyntheticConfig(nonlinear_share=share, **sizes)
    data = generate(data_config)
    dimension = SYNTHETIC_TOKEN_DIM
    left_over = inexpressible_share(planted_truth(data_config), dimension)
    print(
        f"\nNonlinear share {share:g}: the best dot product of dimension {dimension} leaves {left_over:.1%} of the affinity's variance over"
    )
    print(f"{data!r}, {torch.get_num_threads()} threads", file=sys.stderr)
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MODELS}
    densities = []
    for seed in range(n_seeds):
        started = time.perf_counter()
        budget = {"epochs": 8, "joint_epochs": 4} if quick else {}
        config = RunConfig.for_data(
            synthetic=True, settings=RunConfig(split=SplitConfig(seed=seed), training=TrainingConfig(seed=seed, **budget))
        )
        figures, density = measure_seed(split_users(data, config.split), config)
        densities.append(density)
        for name, row in figures.items():
            results[name].append(row)
        shown = ", ".join(f"{name} {row[0]:.4f}" for name, row in figures.items())
        print(f"seed {seed}: {shown} ({time.perf_counter() - started:.0f} s)", file=sys.stderr)
    arrays = {name: np.array(rows) for name, rows in results.items()}
    print(f"\n| model | Recall@{K} | NDCG@{K} | Precision@{K} |\n|---|---|---|---|")
    for name, rows in arrays.items():
        cells = " | ".join(f"{mean:.4f} ± {spread:.4f}" for mean, spread in zip(rows.mean(0), rows.std(0), strict=True))
        print(f"| {name} | {cells} |")
    print(f"\nMean ± standard deviation over {n_seeds} seed(s); SparCode keeps {np.mean(densities):.1%} of the scores.")
    return arrays


def measure_seed(split: Split, config: RunConfig) -> tuple[dict[str, tuple[float, float, float]], float]:
    """Test figures of every model for one seed, and the share of scores SparCode keeps."""
    model, backbone, _ = train_sparcode(split, config)
    two_tower, _ = train_two_tower(split, config)
    ease, popularity = EASE().fit(split.train), Popularity().fit(split.train)
    index = build_run_index(model, split.train, config.index)
    scorers = dict(zip(MODELS[1:], (two_tower, backbone, ease, popularity), strict=True))
    retrievers = {MODELS[0]: SparseRetriever(model, index, model.threshold)}
    retrievers |= {name: ExactRetriever(scorer) for name, scorer in scorers.items()}
    return {name: accuracy(retriever, split.test, K) for name, retriever in retrievers.items()}, index.density(model.threshold)


if __name__ == "__main__":
    main()

"""The knee: the smallest and fastest setting of codebooks, nearest codes and density within a stated loss of the best recall.

    python -m benchmarks.knee --seeds 3

Every seed trains one backbone. Previews (k-means, no training) of the whole grid come first; fine-tuned are those whose index fits
`TUNED_MB` and whose preview has a share `KEPT` of the recall of the best preview that differs in P alone. Everything is measured on
validation users, as served in the default layout of postings; test users are not used. Of the settings with an index of at most `--most-mb`
and within the stated loss of their best mean recall the one with the least bytes times median time of a query is the choice. Another layout
is free where recall is no lower and a query takes at most `ALIKE` times as long. Times of a seed are the least of `ROUNDS` medians, layouts
in turn. Prints the fine-tuned settings, and every layout; the last line holds the choice.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from typing import Annotated, NamedTuple, get_args

import numpy as np
import torch
import typer

from benchmarks.command import Data, Quick, Seeds, Threads, print_figures, run_command
from benchmarks.remedies import QUICK, QUICK_TRAINING, settings
from sparcode.config import DEFAULT_K, IndexConfig, PostingsKind, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.index.inverted_index import size_of_parts
from sparcode.metrics.evaluation import Evaluation, evaluate
from sparcode.model.all_to_all import AllToAllModel
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import build_run_index, fine_tune, preview, serve, train_backbone
from sparcode.training.trainer import validation_recall

KEPT = 0.99
TUNED_MB = 16.0
LAYOUTS: tuple[PostingsKind, ...] = get_args(PostingsKind)
SHIPPED: PostingsKind = IndexConfig().postings
ROUNDS = 3
ALIKE = 1.02


class Setting(NamedTuple):
    """M, K, P, and the share of scores above the threshold."""

    n_codebooks: int
    codebook_size: int
    n_nearest: int
    density: float


class Served(NamedTuple):
    """Recall of validation users, MB of the index, and median milliseconds of a single query."""

    recall: float
    megabytes: float
    p50_ms: float


def main(
    data: Data = None,
    seeds: Seeds = 3,
    codebooks: Annotated[list[int], typer.Option(help="M; may be repeated, as the next three.")] = [1, 2, 4],  # noqa: B006
    sizes: Annotated[list[int], typer.Option(help="K.")] = [64, 128, 256, 512],  # noqa: B006
    nearest: Annotated[list[int], typer.Option(help="P.")] = [1, 2, 4, 8],  # noqa: B006
    densities: Annotated[list[float], typer.Option(help="Shares of scores kept.")] = [0.2],  # noqa: B006
    loss: Annotated[float, typer.Option(min=0, max=1, help="Share of the best recall that the choice may lack.")] = 0.02,
    most_mb: Annotated[float, typer.Option(min=0, help="Largest index of the choice.")] = 1.0,
    threads: Threads = 1,
    quick: Quick = False,
) -> None:
    """Measure the grid, print it and the choice."""
    torch.set_num_threads(threads)
    source = generate(QUICK) if quick and data is None else load(data or "synthetic")
    seeds, training = (1, QUICK_TRAINING) if quick else (seeds, {})
    grid = [Setting(*values) for values in itertools.product(codebooks, sizes, nearest, densities)]
    splits = [split_users(source, config_of(source, seed, None, training).split) for seed in range(seeds)]
    backbones = [train_backbone(split, config_of(source, seed, None, training))[0] for seed, split in enumerate(splits)]
    print(f"{source!r}, {machine_facts()}, seeds 0 to {seeds - 1}", flush=True)
    left = pruned(source, list(zip(backbones, splits, strict=True)), grid, training)
    found: dict[Setting, dict[str, Served]] = {}
    for setting in left:
        rows = []
        for seed, (backbone, split) in enumerate(zip(backbones, splits, strict=True)):
            started = time.perf_counter()
            rows.append(measured(backbone, split, config_of(source, seed, setting, training)))
            print(
                f"seed {seed}, {describe(setting)}: {rows[-1][SHIPPED]} ({time.perf_counter() - started:.0f} s)",
                file=sys.stderr,
                flush=True,
            )
        found[setting] = {layout: Served(*np.mean([row[layout] for row in rows], axis=0).tolist()) for layout in LAYOUTS}
    small = {setting: rows[SHIPPED] for setting, rows in found.items() if rows[SHIPPED].megabytes <= most_mb}
    if not small:
        raise typer.BadParameter(f"no index takes at most {most_mb} MB", param_hint="--most-mb")
    best, chosen = max(row.recall for row in small.values()), knee(small, loss)
    print("\n".join(table(found, best)))
    print(f"\nOf indexes of at most {most_mb:g} MB the best recall is {best:.4f}; within {loss:.0%} of it", end=" ")
    print(f"{describe(chosen)} has the least bytes times time. In every layout:\n")
    print("\n".join(layouts(found[chosen], list(found.values()))))
    print_figures({**chosen._asdict(), **found[chosen][SHIPPED]._asdict(), "recall_over_best": found[chosen][SHIPPED].recall / best})


def config_of(data: Interactions, seed: int, setting: Setting | None, training: dict) -> RunConfig:
    """Default settings for the data with a seed and a training budget, and with a setting of the grid."""
    if setting is None:
        return settings(data, seed, {}, training)
    quantizer = {name: value for name, value in setting._asdict().items() if name != "density"}
    index = {"floor_density": setting.density}
    return settings(data, seed, {"quantizer": quantizer, "training": {"density": setting.density}, "index": index}, training)


def pruned(data: Interactions, seeds: Sequence[tuple[AllToAllModel, Split]], grid: Sequence[Setting], training: dict) -> list[Setting]:
    """The settings of a grid that are worth fine-tuning, by the previews of all seeds; the others are printed with their recall."""
    recall, megabytes = {}, {}
    for setting in grid:
        rows = []
        for seed, (backbone, split) in enumerate(seeds):
            model = preview(backbone, split, config_of(data, seed, setting, training))
            n_lists = len(model.distinct_codes(split.train))
            size = size_of_parts(n_lists, int(setting.density * n_lists * data.n_items))
            rows.append((validation_recall(model, split.validation), sum(size.values()) / 1e6))
        recall[setting], megabytes[setting] = np.mean(rows, axis=0).tolist()
    left = []
    for setting in grid:
        best = max(recall[other] for other in grid if other._replace(n_nearest=setting.n_nearest) == setting)
        if megabytes[setting] <= TUNED_MB and recall[setting] >= KEPT * best:
            left.append(setting)
    others = [f"{describe(one)}: {recall[one]:.4f}, {megabytes[one]:.1f} MB" for one in grid if one not in left]
    print("Previews that are not fine-tuned:\n" + "\n".join(others or ["none"]), flush=True)
    return left


def measured(backbone: AllToAllModel, split: Split, config: RunConfig) -> dict[str, Served]:
    """Fine-tune one setting and measure it in every layout."""
    model = preview(backbone, split, config)
    fine_tune(model, split, config)
    index = build_run_index(model, split.train, config.index)
    served = {layout: serve(model, index, config.index.model_copy(update={"postings": layout}), n_threads=1) for layout in LAYOUTS}
    rounds = [{layout: evaluate(retriever, split.validation) for layout, retriever in served.items()} for _ in range(ROUNDS)]
    return {layout: figures([found[layout] for found in rounds]) for layout in LAYOUTS}


def figures(rounds: Sequence[Evaluation]) -> Served:
    """What the choice is made by, of several measurements of one index."""
    first = rounds[0]
    return Served(first.recall, sum(first.size_bytes.values()) / 1e6, min(found.latency.p50_ms for found in rounds))


def knee(found: dict[Setting, Served], loss: float) -> Setting:
    """The setting of least bytes times time among those that lack at most a share `loss` of the best recall."""
    best = max(row.recall for row in found.values())
    near = [setting for setting, row in found.items() if row.recall >= (1 - loss) * best]
    return min(near, key=lambda setting: found[setting].megabytes * found[setting].p50_ms)


def describe(setting: Setting) -> str:
    """A setting in words."""
    return f"M = {setting.n_codebooks}, K = {setting.codebook_size}, P = {setting.n_nearest}, {setting.density:.0%} kept"


def layouts(chosen: dict[str, Served], every: Sequence[dict[str, Served]]) -> list[str]:
    """Markdown: the choice in every layout, and how much longer a query takes in it, here and over all settings (geometric mean)."""
    usual = chosen[SHIPPED]
    lines = [
        f"| postings | Recall@{DEFAULT_K} | MB | p50 ms | over {SHIPPED} | over all settings | free |",
        "|---|---|---|---|---|---|---|",
    ]
    for layout, row in chosen.items():
        ratio = row.p50_ms / usual.p50_ms
        overall = float(np.exp(np.mean([np.log(rows[layout].p50_ms / rows[SHIPPED].p50_ms) for rows in every])))
        is_free = row.recall >= usual.recall and ratio <= ALIKE
        cells = f"{row.recall:.4f} | {row.megabytes:.3f} | {row.p50_ms:.3f} | {ratio:.2f} | {overall:.2f}"
        lines.append(f"| {layout} | {cells} | {'yes' if is_free else 'no'} |")
    return lines


def table(found: dict[Setting, dict[str, Served]], best: float) -> list[str]:
    """Markdown: a line per fine-tuned setting, in the default layout."""
    lines = [f"\n| M | K | P | kept | Recall@{DEFAULT_K} | of the best | MB | p50 ms |", "|---|---|---|---|---|---|---|---|"]
    for setting, rows in found.items():
        row = rows[SHIPPED]
        books = f"{setting.n_codebooks} | {setting.codebook_size} | {setting.n_nearest} | {setting.density:.0%}"
        lines.append(f"| {books} | {row.recall:.4f} | {row.recall / best:.3f} | {row.megabytes:.3f} | {row.p50_ms:.3f} |")
    return lines


if __name__ == "__main__":
    run_command(main)

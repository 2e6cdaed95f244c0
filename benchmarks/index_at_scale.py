"""Large indexes: moving the threshold and measuring recall again, and loading from disk to the first answer.

    python -m benchmarks.index_at_scale --data ml-1m.zip

The threshold moves over an index of 10 million postings (a trained backbone with two codebooks, every code that training queries use), each
time with Recall@50 of 1,000 encoded test queries. Recall@50 of quantized postings is compared with that of float32 on all test users.
Loading is measured on a grown catalogue (see `sparcode/model/grown.py`) with 100 million postings in a process of its own: from the
call to the first result, memory-mapped, every posting checked, files in the cache, code compiled. The last line holds the median move, the
ratio of recalls, the slower first answer of the two layouts, and the bytes of a posting in 16-bit blocks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Data, Keep, Quick, Seed, print_figures, run_command
from benchmarks.quality import QUICK, settings
from benchmarks.trained_models import trained_models
from sparcode.commands.process import keep_freed_memory
from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories
from sparcode.data.loading import load
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.index import kernels
from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, as_served, floor_for_density, threshold_for_postings
from sparcode.index.storage import load_index, save_index
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.grown import grown
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import preview


class Catalogue:
    """A stand-in for a model of `n_items` items, where the codes are known already."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items


def index_of(model: SparCodeModel, codes: np.ndarray, n_postings: int) -> InvertedIndex:
    """An index of the codes with about so many postings."""
    distinct = np.unique(codes)
    density = min(1.0, n_postings / (len(distinct) * model.n_items))
    return build_index(model, distinct, floor_for_density(model, distinct, density, 16), 16)


def moves(model: SparCodeModel, in_use: np.ndarray, test: tuple[Histories, Histories], n_postings: int, times: int) -> list[float]:
    """Milliseconds of every move of the threshold, the postings kept ranging from all to a tenth."""
    codes, weights = model.encode(test[0])
    index = index_of(model, in_use, n_postings)
    queries, targets = test
    retriever = SparseRetriever(model, index, index.floor)
    print(f"\n{model.n_items:,} items, {index.n_lists} lists, {len(index.item_ids):,} postings, {len(codes)} queries")
    print("\n| postings kept | tau | Recall@50 | ms |\n|---|---|---|---|")
    taken = []
    for share in [1.0, *np.linspace(1.0, 0.1, times)]:
        threshold = threshold_for_postings(index, int(share * len(index.item_ids)))
        started = time.perf_counter()
        at = retriever.with_threshold(threshold)
        recall = float(np.mean(recall_at_k(at.retrieve_codes(codes, weights, queries, DEFAULT_K).item_ids, targets, DEFAULT_K)))
        kept = index.kept_postings(threshold)
        taken.append((time.perf_counter() - started) * 1e3)
        print(f"| {kept:,} | {threshold:.4g} | {recall:.4f} | {taken[-1]:.0f} |", flush=True)
    return taken[1:]  # the first makes workspaces


def recall_by_layout(model: SparCodeModel, in_use: np.ndarray, test: tuple[Histories, Histories]) -> float:
    """Recall@50 of quantized postings over that of float32, at the threshold where 20% of all scores are kept."""
    lists = build_index(model, np.unique(in_use), floor_for_density(model, in_use, 0.2, 16), 16)
    recalls = {}
    print("\n| postings | Recall@50 | bytes per posting |\n|---|---|---|")
    for kind in ("float32", "blocked", "quantized"):
        retriever = SparseRetriever(model, as_served(lists, Cut(lists.floor), kind), lists.floor)
        recalls[kind] = float(np.mean(recall_at_k(retriever.retrieve(test[0], DEFAULT_K).item_ids, test[1], DEFAULT_K)))
        size = sum(retriever.size_bytes().values()) / len(lists.item_ids)
        print(f"| {kind} | {recalls[kind]:.5f} | {size:.2f} |", flush=True)
    return recalls["quantized"] / recalls["float32"]


def first_answer(folder: Path) -> float:
    """Seconds from opening an index to the result of one query, in this process."""
    kernels.warm_up()
    codes = np.load(folder / "codes.npy")
    started = time.perf_counter()
    index = load_index(folder / "index", mmap=True)
    retriever = SparseRetriever(Catalogue(index.n_items), index, index.floor)
    found = retriever.retrieve_codes(codes, np.ones(codes.shape, dtype=np.float32), None, DEFAULT_K)
    seconds = time.perf_counter() - started
    if found.item_ids[0, 0] < 0:
        raise ValueError("the first query found nothing")
    return seconds


def loading(model: SparCodeModel, codes: np.ndarray, n_postings: int) -> dict[str, tuple[float, float]]:
    """Layout -> seconds to the first answer, and bytes per posting."""
    lists = index_of(model, codes, n_postings)
    n_postings = len(lists.item_ids)
    found = {}
    for name, make in (("lists, float32", lambda: lists), ("blocks, 16 bits", lambda: block_index(lists, lists.floor, "uint16"))):
        with tempfile.TemporaryDirectory() as scratch:
            folder, index = Path(scratch), make()
            save_index(index, folder / "index")
            np.save(folder / "codes.npy", codes[:1])
            size = sum(path.stat().st_size for path in (folder / "index").iterdir())
            seconds = []
            for _ in range(3):
                command = [sys.executable, "-m", "benchmarks.index_at_scale", "--open", str(folder)]
                seconds.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]))
            found[name] = (float(np.median(seconds)), size / n_postings)
            print(f"{n_postings:,} postings, {name}: {size / 1e6:,.0f} MB on disk, first answer after {found[name][0]:.2f} s", flush=True)
    return found


def main(
    data: Data = None,
    seed: Seed = 0,
    n_nearest: Annotated[int, typer.Option(min=1, max=64, help="Lists per token.")] = 1,
    keep: Keep = None,
    folder: Annotated[Path | None, typer.Option("--open", help="Only open what an earlier step wrote here.")] = None,
    quick: Quick = False,
) -> None:
    """Print both measurements, and one line of JSON at the end."""
    if folder is not None:
        print(first_answer(folder))
        return
    keep_freed_memory()
    interactions = load(data) if data is not None else generate(QUICK) if quick else generate()
    overrides = {"quantizer": {"n_nearest": n_nearest}, "training": {"epochs": 8, "joint_epochs": 4} if quick else {}}
    config = settings(interactions, "mean", None, seed, overrides)
    split = split_users(interactions, config.split)
    models = trained_models(interactions, split, config, config, (n_nearest,), keep)
    model = models.sparcode[n_nearest]
    print(machine_facts())
    n_test = len(split.test.queries)
    rows = np.resize(np.arange(n_test), 100 if quick else 1_000)  # users come twice where there are fewer
    test = split.test.queries.take(rows), split.test.targets.take(rows)
    two_codebooks = config.quantizer.model_copy(update={"n_codebooks": 2, "codebook_size": 16 if quick else 256})
    many_codes = preview(models.backbone, split, config.model_copy(update={"quantizer": two_codebooks}))
    taken = moves(many_codes, many_codes.encode(split.train_queries)[0], test, 30_000 if quick else 10_000_000, 10)
    quantized = recall_by_layout(model, model.encode(split.train_queries)[0], (split.test.queries, split.test.targets))
    # A little more than asked for, since the floor comes from a sample of scores.
    loaded = loading(grown(model, 20_000 if quick else 1_000_000, 1), model.encode(test[0])[0], 1_000_000 if quick else 110_000_000)
    result = {
        "threshold_move_ms": round(float(np.median(taken)), 1),
        "quantized_over_float32_recall": round(quantized, 5),
        "first_answer_s": round(max(seconds for seconds, _ in loaded.values()), 3),
        "bytes_per_posting": round(loaded["blocks, 16 bits"][1], 3),
    }
    print_figures(result, 5)


if __name__ == "__main__":
    run_command(main)

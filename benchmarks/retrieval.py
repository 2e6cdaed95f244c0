"""Retrieval alone: the index's searches beside faiss over two-tower's vectors, and beside a lower bound on the work of a search.

    python -m benchmarks.retrieval --data ml-1m.zip

Trains both models on the data (the built-in one if none is given) and grows their catalogues to the sizes asked for, see
`sparcode/model/grown.py`. Queries are those of test users; encoding is left out, nothing is seen before, k = 100. Latency is that of
single queries on one thread, all ways in turn; a query's time is its median over rounds. *Adding alone* adds the same postings into an
accumulator and clears it, without a top k. HNSW, IVF-Flat, IVF-PQ, and IVF-PQ with re-ranking are measured at the fastest setting that
finds 95% of the exact best.

A grown catalogue has no targets. So every layout is compared with the best 100 of the same model with nothing cut, and Recall@50 of the
test users' targets is measured on the original catalogue, with lists that hold the same share of the items.

The last line holds ratios of medians on the largest catalogue, of the first number of nearest codes: HNSW's and Flat's time over that of
lists of 2,000 postings (the fastest layout), the compiled search's over that of adding alone (`over_floor`), and the bytes of a posting in
16-bit blocks, their tables included. `speedup_vs_hnsw_equal_recall` is HNSW's time over that of the last number of nearest codes, at the
fastest length of lists whose recall on the original catalogue is at least two-tower's, and `speedup_vs_hnsw_equal_found` at the fastest
length that finds 95% of the best 100, as HNSW does; left out where there is none. `p50_over_hnsw_longest` and `p95_over_hnsw_longest` are
the times of the longest lists over HNSW's.
"""

from __future__ import annotations

import sys
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Data, Keep, Quick, Rounds, Seed, print_figures, run_command
from benchmarks.quality import QUICK, settings
from benchmarks.retrieval_cases import (
    ADDING,
    BLOCKED,
    IVF_PQ_RANKED,
    KERNEL,
    LISTS,
    QUANTIZED,
    RECALL,
    SearchRow,
    index_for,
    measure_lists,
    measure_vectors,
    threshold_for_length,
    timed_build,
)
from benchmarks.trained_models import TrainedModels, trained_models
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.found_share import Codes, uncut_best
from sparcode.comparison.peers import FLAT, HNSW, IVF_FLAT, IVF_PQ
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.grown import grown
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import preview

LENGTHS = (2_000, 6_000, 10_000, 25_000, 50_000)
# Catalogues that the sweep of T, M, K and density is made on.
SWEEP_ITEMS, SWEEP_LENGTH = 100_000, 2_000
SWEEP_CODEBOOKS = ((1, 128), (2, 64), (4, 16))
SWEEP_DENSITIES = (0.005, 0.02, 0.1)
HNSW_LIMIT = 2_000_000


def queries_of(model: SparCodeModel, split: Split, n_tokens: int | None = None) -> Codes:
    """Codes of test users; of their first tokens, or of all."""
    codes, weights = model.encode(split.test.queries)
    per_token = codes.shape[1] // model.backbone.config.n_tokens
    width = codes.shape[1] if n_tokens is None else n_tokens * per_token
    return Codes(np.ascontiguousarray(codes[:, :width]), np.ascontiguousarray(weights[:, :width]))


def measure_index(title: str, model: SparCodeModel, queries: Codes, lengths: tuple[int, ...], rounds: int) -> dict[int, list[SearchRow]]:
    """Tables of one model's index at several lengths of lists."""
    found = {}
    best = uncut_best(model, queries)
    roomy, _ = index_for(model, queries.codes, max(lengths))
    for length in lengths:
        threshold = threshold_for_length(roomy, queries.codes, length)
        index, seconds = timed_build(model, queries.codes, threshold)
        found[length] = measure_lists(model, (index, seconds), threshold, queries, rounds, best)
        print(f"\n{title}, lists of {length:,} ({index.kept_postings(threshold):,} postings in {index.n_lists} lists)\n", flush=True)
        print("\n".join(table(found[length])), flush=True)
    return found


def table(rows: list[SearchRow]) -> list[str]:
    """Markdown."""
    threads = sorted({n for row in rows for n in row.queries_per_second})
    head = [
        "",
        "setting",
        "of the best 100",
        "p50 (us)",
        "p95",
        "p99",
        *(f"queries per s, {n} thr." for n in threads),
        "MB",
        "build (s)",
    ]
    lines = ["| " + " | ".join([*head, "postings read"]) + " |", "|---" * (len(head) + 1) + "|"]
    for row in rows:
        speeds = [f"{row.queries_per_second[n]:,.0f}" if n in row.queries_per_second else "-" for n in threads]
        size = f"{row.size_bytes / 1e6:.1f}" if row.size_bytes else "-"
        share = "-" if np.isnan(row.share_read) else f"{row.share_read:.1%}"
        recall = "-" if np.isnan(row.recall) else f"{row.recall:.3f}"
        numbers = [recall, f"{row.p50_us:.1f}", f"{row.p95_us:.1f}", f"{row.p99_us:.1f}", *speeds, size]
        lines.append("| " + " | ".join([row.name, row.setting, *numbers, f"{row.build_seconds:.1f}", share]) + " |")
    return lines


def sweep(split: Split, backbone: SparCodeModel, config: RunConfig, model: SparCodeModel, n_items: int, length: int, rounds: int) -> None:
    """One of T, M and K, nearest codes and density changed at a time, on one catalogue."""
    big = grown(model, n_items, seed=1)
    for n_tokens in (1, 2):
        measure_index(f"T = {n_tokens}", big, queries_of(model, split, n_tokens), (length,), rounds)
    densities = tuple(int(density * n_items) for density in SWEEP_DENSITIES)
    measure_index("density 0.5%, 2%, 10%", big, queries_of(model, split), densities, rounds)
    for n_codebooks, codebook_size in SWEEP_CODEBOOKS:
        changed = {"n_codebooks": n_codebooks, "codebook_size": codebook_size, "n_nearest": 1}
        other = preview(backbone, split, config.model_copy(update={"quantizer": config.quantizer.model_copy(update=changed)}))
        title = f"M = {n_codebooks}, K = {codebook_size}"
        measure_index(title, grown(other, n_items, seed=1), queries_of(other, split), (length,), rounds)


def real_recalls(model: SparCodeModel, split: Split, densities: dict[int, float]) -> dict[int | None, float]:
    """Recall@50 of the test users' targets on the original catalogue, seen items left out; by length of lists.

    `densities` maps lengths on the grown catalogue to shares of the items; the key None stands for nothing cut.
    """
    queries = queries_of(model, split)
    index, _ = index_for(model, queries.codes, model.n_items)
    cuts: dict[int | None, float] = {None: index.floor}
    cuts |= {length: threshold_for_length(index, queries.codes, density * model.n_items) for length, density in densities.items()}
    found = {}
    for length, threshold in cuts.items():
        items = SparseRetriever(model, index, threshold).retrieve_codes(*queries, split.test.queries, DEFAULT_K).item_ids
        found[length] = float(np.mean(recall_at_k(items, split.test.targets, DEFAULT_K)))
    return found


def exact_recall(model: TwoTowerModel, split: Split) -> float:
    """Two-tower's Recall@50 on the original catalogue, every inner product computed."""
    found = FaissRetriever(model, "flat").retrieve(split.test.queries, DEFAULT_K).item_ids
    return float(np.mean(recall_at_k(found, split.test.targets, DEFAULT_K)))


def recall_table(recalls: dict[int, dict[int | None, float]], exact: float, densities: dict[int, float]) -> list[str]:
    """Markdown: a row for every number of nearest codes, and two-tower's."""
    head = ["", *(f"lists of {length:,} ({density:.2%})" for length, density in densities.items()), "nothing cut"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for nearest, found in recalls.items():
        values = [f"{found[length]:.4f}" for length in [*densities, None]]
        lines.append(f"| {nearest} nearest | " + " | ".join(values) + " |")
    return [*lines, f"| two-tower, exact | {'- | ' * len(densities)}{exact:.4f} |"]


def fastest(lists: list[SearchRow]) -> SearchRow:
    """The layout with the least median time."""
    return min((row for row in lists if row.name in (LISTS, BLOCKED, QUANTIZED)), key=lambda row: row.p50_us)


def beside_hnsw(
    lists: dict[int, list[SearchRow]], vectors: list[SearchRow], recalls: dict[int | None, float], exact: float
) -> dict[str, float]:
    """HNSW's time over that of the fastest lists that are as good, and the longest lists' over HNSW's.

    As good: a recall on the real catalogue of at least two-tower's, or the share found that HNSW was set to. Left out where no lists are.
    """
    hnsw = next((row for row in vectors if row.name == HNSW), None)
    if hnsw is None:
        return {}
    mine = {length: fastest(rows) for length, rows in lists.items()}
    as_good = {
        "recall": [row.p50_us for length, row in mine.items() if recalls[length] >= exact],
        "found": [row.p50_us for row in mine.values() if row.recall >= RECALL],
    }
    found = {f"speedup_vs_hnsw_equal_{by}": round(hnsw.p50_us / min(times), 2) for by, times in as_good.items() if times}
    longest = mine[max(mine)]
    return found | {
        "p50_over_hnsw_longest": round(longest.p50_us / hnsw.p50_us, 3),
        "p95_over_hnsw_longest": round(longest.p95_us / hnsw.p95_us, 3),
    }


def ratios(lists: list[SearchRow], vectors: list[SearchRow], bytes_per_posting: float) -> dict[str, float]:
    """The last line; HNSW is left out where it was not built."""
    p50 = {row.name: row.p50_us for row in [*lists, *vectors]}
    mine = fastest(lists).p50_us
    found = {f"speedup_vs_{name}": round(p50[kind] / mine, 2) for name, kind in (("hnsw", HNSW), ("flat", FLAT)) if kind in p50}
    return found | {"over_floor": round(p50[KERNEL] / p50[ADDING], 3), "bytes_per_posting": round(bytes_per_posting, 3)}


def main(
    data: Data = None,
    items: Annotated[list[int] | None, typer.Option(help="Sizes of catalogues; may be given several times.")] = None,
    n_nearest: Annotated[
        list[int] | None, typer.Option(min=1, max=64, help="Lists per token; may be given several times, by default 1 and 4.")
    ] = None,
    seed: Seed = 0,
    rounds: Rounds = 3,
    swept: Annotated[bool, typer.Option("--sweep/--no-sweep", help="Also sweep T, M, K and density.")] = True,
    keep: Keep = None,
    quick: Quick = False,
) -> None:
    """Print tables, and ratios as one line of JSON at the end."""
    keep_freed_memory()
    print("training and building take minutes", file=sys.stderr)
    interactions = load(data) if data is not None else generate(QUICK) if quick else generate()
    sizes = sorted(items or ([10_000] if quick else [10_000, 100_000, 1_000_000]))
    nearest = tuple(dict.fromkeys(n_nearest or [1, 4]))
    overrides = {"quantizer": {"n_nearest": nearest[0]}, "training": {"epochs": 8, "joint_epochs": 4} if quick else {}}
    config = settings(interactions, "mean", None, seed, overrides)
    split = split_users(interactions, config.split)
    models = trained_models(interactions, split, config, config, nearest, keep)
    print(f"{machine_facts()}; {interactions.name}, {len(split.test.queries)} queries", flush=True)
    for n_items in sizes:
        last = measure_size(models, split, n_items, rounds)
    if swept:
        n_items, length = (10_000, 400) if quick else (SWEEP_ITEMS, SWEEP_LENGTH)
        sweep(split, models.backbone, config, models.sparcode[nearest[0]], n_items, length, rounds)
    print_figures(last)


def measure_size(models: TrainedModels, split: Split, n_items: int, rounds: int) -> dict[str, float]:
    """Tables of one size of catalogue, and their ratios."""
    lengths = tuple(length for length in LENGTHS if length <= n_items // 10) or (n_items // 20,)
    densities = {length: length / n_items for length in lengths}
    found, recalls = {}, {}
    for nearest, model in models.sparcode.items():
        queries = queries_of(model, split)
        title = f"{n_items:,} items, {nearest} nearest ({queries.codes.shape[1]} lists a query)"
        found[nearest] = measure_index(title, grown(model, n_items, seed=1), queries, lengths, rounds)
        recalls[nearest] = real_recalls(model, split, densities)
    exact = exact_recall(models.two_tower, split)
    print(f"\nRecall@{DEFAULT_K} of the targets, {models.two_tower.n_items:,} items, lists as dense as those of {n_items:,}\n")
    print("\n".join(recall_table(recalls, exact, densities)), flush=True)
    kinds = (HNSW, IVF_FLAT, IVF_PQ, IVF_PQ_RANKED) if n_items <= HNSW_LIMIT else (IVF_PQ, IVF_PQ_RANKED)
    vectors = grown(models.two_tower, n_items, seed=1).item_vectors()
    peers = measure_vectors(vectors, models.two_tower.query_vectors(split.test.queries), rounds, kinds)
    print(f"\n{n_items:,} items, two-tower in faiss\n\n" + "\n".join(table(peers)), flush=True)
    (first, *_), last = found, list(found)[-1]
    shortest = found[first][lengths[0]]
    quantized = next(row for row in shortest if row.name == QUANTIZED)
    measured = ratios(shortest, peers, quantized.size_bytes / max(1, quantized.n_postings))
    return measured | beside_hnsw(found[last], peers, recalls[last], exact)


if __name__ == "__main__":
    run_command(main)

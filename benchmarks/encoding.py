"""Encoding of single queries by compiled loops beside PyTorch, and what a lower threshold is worth to a whole query.

    python -m benchmarks.encoding --data ml-1m.zip

Queries are those of the data's test users (the built-in data if none is given), their items spread over the catalogue asked for. Networks
have the default sizes and random weights, the codebooks (M = 2, K = 128, P = 8) are started by k-means: times do not depend on what was
learned. One query at a time on one thread, all ways in turn; a query's time is its median over rounds. Whole queries, encoding included,
are served with 20% and with 1% of the scores kept, the user's own items left out, k = 50.

The last line holds medians: microseconds of encoding, SparCode's and two-tower's, each also over that of PyTorch; and the time of a whole
query with 1% kept over that with 20%, for lists and for 16-bit blocks.
"""

from __future__ import annotations

import sys
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.command import Data, Quick, Rounds, Seed, print_figures, run_command
from benchmarks.quality import QUICK
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.interleaved_timing import Call, Timing, interleaved
from sparcode.comparison.peers import SPARCODE, TWO_TOWER, of_codes
from sparcode.config import ModelConfig, QuantizerConfig, SplitConfig
from sparcode.data.interactions import Histories
from sparcode.data.loading import load
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import Cut, as_served, floor_for_density, threshold_for_postings
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts

DENSE, SPARSE = 0.2, 0.01
LAYOUTS = {"float32": "lists", "quantized": "blocks_16_bits"}
QUANTIZER = QuantizerConfig(n_codebooks=2, codebook_size=128, n_nearest=8)


def untrained(queries: Histories, seed: int) -> tuple[SparCodeModel, TwoTowerModel]:
    """Networks of default sizes over the queries' catalogue, with random weights; codebooks start at the queries' tokens."""
    config = ModelConfig()
    backbone, two_tower = AllToAllModel(queries.n_items, config), TwoTowerModel(queries.n_items, config)
    for model in (backbone, two_tower):
        initialise(model, seed)
    return SparCodeModel.from_backbone(backbone, QUANTIZER, queries, DENSE, seed), two_tower.eval()


def by_torch(model: SparCodeModel | TwoTowerModel, query: Histories) -> object:
    """Encode a query by PyTorch, as where there are no compiled loops for it."""
    if isinstance(model, SparCodeModel):
        return model._encode_by_torch(query)
    return model._vectors_by_torch(query, np.ones((len(query), model.config.token_dim + 1), dtype=np.float32))


def encoding_times(models: dict[str, SparCodeModel | TwoTowerModel], queries: Histories, rounds: int) -> dict[str, Timing]:
    """Name -> times of encoding; PyTorch's have the name with ``, PyTorch`` behind it."""
    calls = {}
    for name, model in models.items():
        compiled = model.encode if isinstance(model, SparCodeModel) else model.query_vectors
        calls[name] = Call(compiled, lambda encoded, query: None)
        calls[f"{name}, PyTorch"] = Call(lambda query, model=model: by_torch(model, query), lambda encoded, query: None)
    return interleaved(calls, queries, rounds)


def whole_query_times(model: SparCodeModel, queries: Histories, rounds: int) -> dict[tuple[str, float], Timing]:
    """(Layout, share of scores kept) -> times of whole queries; the index holds the queries' codes."""
    codes = np.unique(model.encode(queries)[0])
    index = build_index(model, codes, floor_for_density(model, codes, DENSE, 16), 16)
    calls = {}
    for layout in LAYOUTS:
        for density in (DENSE, SPARSE):
            threshold = threshold_for_postings(index, int(density * len(codes) * model.n_items))
            retriever = SparseRetriever(model, as_served(index, Cut(threshold), layout), threshold, n_threads=1)
            calls[f"{layout} {density}"] = of_codes(model, retriever)
    timings = interleaved(calls, queries, rounds)
    return {(layout, density): timings[f"{layout} {density}"] for layout in LAYOUTS for density in (DENSE, SPARSE)}


def figures(encoding: dict[str, Timing], whole: dict[tuple[str, float], Timing]) -> dict[str, float]:
    """The last line."""
    p50 = {name: float(np.median(timing.encode_us)) for name, timing in encoding.items()}
    found = {}
    for prefix, name in (("encode", SPARCODE), ("two_tower_encode", TWO_TOWER)):
        found |= {f"{prefix}_us": p50[name], f"{prefix}_over_torch": p50[name] / p50[f"{name}, PyTorch"]}
    for layout, label in LAYOUTS.items():
        sparse, dense = (whole[layout, density].total_ms(50) for density in (SPARSE, DENSE))
        found[f"sparse_over_dense_{label}"] = sparse / dense
    return found


def main(
    data: Data = None,
    items: Annotated[int, typer.Option(min=1, help="Size of the catalogue.")] = 100_000,
    n_queries: Annotated[int, typer.Option("--queries", min=1, help="Queries at most; their codes decide the size of the index.")] = 60,
    seed: Seed = 0,
    rounds: Rounds = 9,
    quick: Quick = False,
) -> None:
    """Print tables, and figures as one line of JSON at the end."""
    keep_freed_memory()
    interactions = load(data) if data is not None else generate(QUICK) if quick else generate()
    n_items = 10_000 if quick else max(items, interactions.n_items)
    test = split_users(interactions, SplitConfig(seed=seed)).test.queries
    places = np.random.default_rng(seed).permutation(n_items)[: interactions.n_items].astype(np.int32)
    spread = Histories(test.indptr, places[test.items], n_items).take(np.arange(min(n_queries, len(test))))
    torch.set_num_threads(1)
    print("building takes a while", file=sys.stderr)
    sparcode, two_tower = untrained(spread, seed)
    print(f"{machine_facts()}; {len(spread)} queries of {np.median(spread.lengths):.0f} items (median), {n_items:,} items", flush=True)
    encoding = encoding_times({SPARCODE: sparcode, TWO_TOWER: two_tower}, spread, rounds)
    print("\n| encoding | p50 (us) | p95 |\n|---|---|---|")
    for name, timing in encoding.items():
        print("| {} | {:.1f} | {:.1f} |".format(name, *np.percentile(timing.encode_us, [50, 95])), flush=True)
    whole = whole_query_times(sparcode, spread, rounds)
    print("\n| layout | scores kept | query p50 (us) | encoding | retrieval |\n|---|---|---|---|---|")
    for (layout, density), timing in whole.items():
        parts = (np.median(part) for part in (timing.total_us, timing.encode_us, timing.retrieve_us))
        print("| {} | {:.0%} | {:.1f} | {:.1f} | {:.1f} |".format(layout, density, *parts), flush=True)
    print_figures(figures(encoding, whole))


if __name__ == "__main__":
    run_command(main)

"""Measured runs of the cost model.

Seconds are processor time of one thread, which other work on the machine changes less than wall time. Queries are answered one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import torch

from benchmarks.cost_formulas import BLOCK_CODES, IN_USE, Size
from benchmarks.cost_plan import FAMILIES, RunPlan, SearchRun
from sparcode.comparison.found_share import UNCUT_QUERIES, found_share
from sparcode.comparison.grown_index import GrownIndex
from sparcode.config import RunConfig, TrainingConfig
from sparcode.data.interactions import Histories, offsets
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.index.block_index import BLOCK_ARRAYS
from sparcode.index.coded_model import merged_codes
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.pruning import Cut, as_served, floor_for_density
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.grown import grown
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.faiss import search_faiss
from sparcode.retrieval.faiss_index import FlatConfig, HNSWConfig, ItemIndex, build_faiss, faiss_bytes
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import preview, train_backbone
from sparcode.training.trainer import Trainer

K: Final = 50
SEED: Final = 0
GRAPH: Final = HNSWConfig(n_links=16, ef_construction=100, ef_search=350)
CODES_FAMILY: Final = "4 x 16"
GRAPH_FAMILY: Final = "2 x 64"
# Told, not fitted.
FOUND: Final = "HNSW, share found"


class Point(NamedTuple):
    """A measured value of a law, or of bytes; `held_out` is not fitted to."""

    law: str
    held_out: bool
    size: Size
    measured: float


def processor_seconds(work: Callable[[], object], rounds: int = 1, warm: bool = True) -> float:
    """Processor seconds of some work: the median over rounds, after one that does not count if `warm`."""
    if warm:
        work()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return float(np.median(taken))


def measured_points(plan: RunPlan) -> Iterator[Point]:
    """Measure everything of a plan, fitted runs first of each kind."""
    wanted = {GRAPH_FAMILY, CODES_FAMILY, *(run.family for run in plan.searches + plan.held_out_searches)}
    families = {name: _trained(plan, *FAMILIES[name]) for name in sorted(wanted)}
    for held_out, runs in ((False, plan.searches), (True, plan.held_out_searches)):
        for run in runs:
            yield from _searched(plan, run, held_out, *families[run.family])
    for held_out, sizes in ((False, plan.builds), (True, plan.held_out_builds)):
        for size in sizes:
            yield from _built(size, held_out)
    for held_out, sizes in ((False, plan.encodings), (True, plan.held_out_encodings)):
        for size in sizes:
            yield _encoded(plan, size, held_out)
    for held_out, sizes in ((False, plan.trainings), (True, plan.held_out_trainings)):
        for size in sizes:
            yield from _trained_epochs(size, held_out)
    yield from _codes_used(plan, *families[CODES_FAMILY])
    for held_out, counts in ((False, plan.flat_items), (True, plan.held_out_flat_items)):
        for n_items in counts:
            yield from _flat_searched(plan, n_items, held_out)
    for held_out, counts in ((False, plan.graph_items), (True, plan.held_out_graph_items)):
        for n_items in counts:
            yield from _graph_searched(plan, *families[GRAPH_FAMILY][:2], n_items, held_out)


def _config(plan: RunPlan, n_tokens: int, token_dim: int) -> RunConfig:
    config = RunConfig.for_data(True)
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"n_tokens": n_tokens, "token_dim": token_dim}),
            "training": config.training.model_copy(update={"epochs": plan.backbone_epochs, "seed": SEED}),
        }
    )


def _trained(plan: RunPlan, n_tokens: int, token_dim: int) -> tuple[AllToAllModel, Split, RunConfig]:
    config = _config(plan, n_tokens, token_dim)
    split = split_users(generate(plan.data), config.split)
    return train_backbone(split, config, device="cpu")[0], split, config


def _quantized(backbone: AllToAllModel, split: Split, config: RunConfig, size: Size) -> SparCodeModel:
    return preview(backbone, split, config.model_copy(update={"quantizer": size.quantizer}))


def _searched(plan: RunPlan, run: SearchRun, held_out: bool, backbone: AllToAllModel, split: Split, config: RunConfig) -> Iterator[Point]:
    """Build, arrange and search the lists of some queries on a grown catalogue."""
    n_tokens, token_dim = FAMILIES[run.family]
    size = Size(run.n_items, n_tokens=n_tokens, n_nearest=run.n_nearest, codebook_size=run.codebook_size, token_dim=token_dim)
    model = _quantized(backbone, split, config, size)
    codes, weights = merged_codes(*model.encode(split.test.queries.take(np.arange(plan.n_queries))))
    asked = np.unique(codes)
    size = size._replace(n_lists=len(asked), lists_read=float((weights > 0).sum(1).mean()))
    yield Point("lists per query", held_out, size, size.lists_read)
    thresholds = GrownIndex(model, asked, "float32", 1).thresholds(run.n_items, sorted(run.shares))
    larger = grown(model, run.n_items, SEED)
    for share, threshold in zip(sorted(run.shares), thresholds, strict=True):
        at = size._replace(density=share)
        build = partial(build_index, larger, asked, threshold, BLOCK_CODES, n_threads=1)
        index = build()
        if share == max(run.shares):
            yield Point("build of lists", held_out, at, processor_seconds(build, 3 if run.n_items < 1e5 else 1, warm=False))
        yield Point("bytes, float32", held_out, at, _array_bytes(index, ARRAY_DTYPES))
        cut = Cut(index.floor)
        yield Point(
            "blocks of 16 bits", held_out, at, processor_seconds(partial(as_served, index, cut, "quantized"), warm=run.n_items < 1e5)
        )
        yield from _timed_searches(plan, at, held_out, larger, index, codes, weights)


def _timed_searches(
    plan: RunPlan, size: Size, held_out: bool, model: SparCodeModel, index: InvertedIndex, codes: np.ndarray, weights: np.ndarray
) -> Iterator[Point]:
    cut = Cut(index.floor)
    for kind, law in (("float32", "search in lists"), ("quantized", "search in blocks")):
        served = as_served(index, cut, kind)
        if kind == "quantized":
            yield Point("bytes, quantized", held_out, size, _array_bytes(served, BLOCK_ARRAYS))
        retriever = SparseRetriever(model, served, cut, n_threads=1)
        rows = [(codes[row : row + 1], weights[row : row + 1]) for row in range(len(codes))]

        search = partial(_search_all, retriever, rows)
        search()
        if kind == "float32":
            size = size._replace(postings_read=retriever.postings_read / len(rows))
            yield Point("postings per query", held_out, size, size.postings_read)
        yield Point(law, held_out, size, processor_seconds(search, plan.rounds) / len(rows))


def _search_all(retriever: SparseRetriever, rows: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for row in rows:
        retriever.retrieve_codes(*row, None, K)


def _array_bytes(index: object, names: object) -> float:
    return float(sum(getattr(index, name).nbytes for name in names))


def untrained(size: Size) -> SparCodeModel:
    """A model with random weights, codewords and biases."""
    backbone = AllToAllModel(size.n_items, size.model)
    initialise(backbone, SEED)
    model = SparCodeModel(backbone, size.quantizer)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        model.quantizer.codebooks.normal_(generator=generator)
        backbone.interaction.items.bias.normal_(std=0.5, generator=generator)
    return model.eval()


def drawn_histories(n_users: int, n_items: int, mean_length: float, seed: int) -> Histories:
    """Histories of uneven length and popularity, no item twice in one."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.poisson(mean_length, n_users), 2, None)
    bounds = np.cumsum(np.exp(rng.normal(size=n_items)))
    drawn = np.searchsorted(bounds, rng.random(lengths.sum()) * bounds[-1]).clip(max=n_items - 1)
    pairs = np.unique(np.stack([np.repeat(np.arange(n_users), lengths), drawn]), axis=1)
    return Histories(offsets(np.bincount(pairs[0], minlength=n_users)), pairs[1].astype(np.int32), n_items)


def _built(size: Size, held_out: bool) -> Iterator[Point]:
    model = untrained(size)
    codes = np.arange(size.n_lists, dtype=np.int64)
    floor = floor_for_density(model, codes[:16], size.density, BLOCK_CODES)
    rounds = 3 if size.n_items * size.n_lists < 1e6 else 1
    yield Point(
        "build of lists", held_out, size, processor_seconds(lambda: build_index(model, codes, floor, BLOCK_CODES, n_threads=1), rounds)
    )
    yield Point("bytes, model", held_out, size, sum(value.nbytes for value in model.state_dict().values()))


def _encoded(plan: RunPlan, size: Size, held_out: bool) -> Point:
    model, histories = untrained(size), drawn_histories(64, size.n_items, size.history, SEED)
    rows = [histories.take(np.array([row])) for row in range(len(histories))]
    size = size._replace(history=float(histories.lengths.mean()))
    return Point(
        "encoding a query", held_out, size, processor_seconds(lambda: [model.encode(row) for row in rows], plan.rounds) / len(rows)
    )


def _trained_epochs(size: Size, held_out: bool) -> Iterator[Point]:
    """An epoch of the backbone and one of joint training, without validation; what the batches before it taught does not matter."""
    histories = drawn_histories(size.n_users, size.n_items, size.history, SEED)
    size = size._replace(history=float(histories.lengths.mean()))
    sampled = {"n_negatives": size.n_negatives, "embedding_steps": "touched"} if size.n_negatives else {}
    config = TrainingConfig(batch_size=size.batch_size, teacher_weight=0, seed=SEED, **sampled)
    backbone = AllToAllModel(size.n_items, size.model, config.dropout)
    initialise(backbone, SEED)
    some = histories.take(np.arange(min(500, len(histories))))
    for law, model in (
        ("backbone epoch", backbone),
        ("joint epoch", SparCodeModel.from_backbone(backbone, size.quantizer, some, config.density, SEED)),
    ):
        trainer = Trainer(model, histories, config)
        trainer.probe(1)  # compiles, and makes the optimizer's moments
        yield Point(law, held_out, size, processor_seconds(trainer.train_epoch, 3 if size.n_users < 1_000 else 1, warm=False))


def _codes_used(plan: RunPlan, backbone: AllToAllModel, split: Split, config: RunConfig) -> Iterator[Point]:
    """Distinct codes that more and more users of the same catalogue name, of two codebooks."""
    users = generate(plan.data.model_copy(update={"n_users": max(plan.users + plan.held_out_users)})).histories
    for codebook_size, nearest, is_fitted in ((16, 1, True), (64, 1, True), (64, 4, True), (32, 2, False), (128, 4, False)):
        size = Size(users.n_items, n_nearest=nearest, n_codebooks=2, codebook_size=codebook_size)
        model = _quantized(backbone, split, config, size)
        for held_out, counts in ((not is_fitted, plan.users), (True, plan.held_out_users)):
            for n_users in counts:
                in_use = len(model.distinct_codes(users.take(np.arange(n_users))))
                yield Point(IN_USE, held_out, size._replace(n_users=n_users), in_use)


def _flat_searched(plan: RunPlan, n_items: int, held_out: bool) -> Iterator[Point]:
    for token_dim in (16, 64):
        vectors = np.random.default_rng(SEED).normal(size=(n_items, token_dim)).astype(np.float32)
        index = build_faiss(vectors, FlatConfig())
        asked = [vectors[row : row + 1] for row in range(plan.n_queries)]

        search = partial(_faiss_all, index, asked)
        yield Point("brute force", held_out, Size(n_items, token_dim=token_dim), processor_seconds(search, plan.rounds) / len(asked))


def _graph_searched(plan: RunPlan, backbone: AllToAllModel, split: Split, n_items: int, held_out: bool) -> Iterator[Point]:
    """A graph over the grown items of a trained model, asked for tokens of users at one effort; what it finds of the exact best."""
    with torch.no_grad():
        items = grown(backbone, n_items, SEED).interaction.items.embedding.weight.numpy()
        queries = QueryBatch.from_histories(split.test.queries.take(np.arange(UNCUT_QUERIES)))
        tokens = backbone.eval().tokenizer(queries)[:, 0].contiguous().numpy()
    exact = search_faiss(build_faiss(items, FlatConfig()), tokens, K, None).item_ids
    index = build_faiss(items, GRAPH)
    asked, size = [tokens[row : row + 1] for row in range(len(tokens))], Size(n_items, token_dim=items.shape[1])
    yield Point("HNSW", held_out, size, processor_seconds(partial(_faiss_all, index, asked), plan.rounds) / len(asked))
    yield Point("bytes, HNSW", held_out, size, sum(faiss_bytes(index).values()))
    yield Point(FOUND, held_out, size, found_share(search_faiss(index, tokens, K, None).item_ids, exact))


def _faiss_all(index: ItemIndex, asked: list[np.ndarray]) -> None:
    for one in asked:
        search_faiss(index, one, K, None)

"""Time and peak memory of an index build, compared with scoring concatenated pairs.

    python -m benchmarks.index_build

The model is SparCode with the default mlp over tokens of 64 dimensions and random weights. The other side scores the same pairs by the same
network, written as PyTorch layers over concatenated (token, item) rows, at the fastest of a few batch sizes; link, cut and sort are
the same builder for both. Repeats alternate. Peak memory is that of a build in a fresh process, beyond what the process held before. The
last line holds the ratio of median times, and peak / (finished index + one block of scores).
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from benchmarks.command import Quick, Seed, peak_memory_kib, print_figures, run_command
from sparcode.config import IndexConfig, ModelConfig, QuantizerConfig
from sparcode.index import build_kernels
from sparcode.index.coded_model import CodedModel
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.pruning import floor_for_density
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.sparse_score import apply_link
from sparcode.runs.machine import machine_facts

BATCHES = (1 << 10, 1 << 12, 1 << 13, 1 << 14, 1 << 16)  # concatenated pairs per network call
BLOCK_CODES = IndexConfig().block_codes
QUANTIZER = QuantizerConfig(n_codebooks=2, codebook_size=128)


class ConcatenatedPairs:
    """The same scores by a network over `batch` concatenated (token, item) rows per call; the model's mlp has one hidden layer."""

    def __init__(self, model: SparCodeModel, batch: int) -> None:
        mlp = model.backbone.interaction
        self.n_items, self.model, self.batch = model.n_items, model, batch
        first, last = nn.Linear(2 * model.backbone.config.token_dim, len(mlp.output)), nn.Linear(len(mlp.output), 1, bias=False)
        with torch.no_grad():
            first.weight.copy_(torch.cat([mlp.token_part.weight, mlp.item_part.weight], dim=1))
            first.bias.copy_(mlp.token_part.bias)
            last.weight.copy_(mlp.output[None])
        self.network = nn.Sequential(first, nn.ReLU(), last)

    @torch.no_grad()
    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """(n,) int64 -> (n, I) float32."""
        tokens = torch.from_numpy(self.model.code_vectors(codes))
        vectors, bias = self.model.backbone.interaction.items()
        raw = tokens @ vectors.T + bias  # (n, I)
        for row, token in enumerate(tokens):
            for start in range(0, self.n_items, self.batch):
                raw[row, start : start + self.batch] += self._network_scores(token, vectors[start : start + self.batch])
        return apply_link(raw, self.model.link).numpy()

    def _network_scores(self, token: Tensor, vectors: Tensor) -> Tensor:
        pairs = torch.cat([token.expand(len(vectors), -1), vectors], dim=1)  # (batch, 2 D)
        return self.network(pairs)[:, 0]


def random_model(n_items: int, seed: int) -> SparCodeModel:
    """The default mlp with random weights, biases and codewords."""
    backbone = AllToAllModel(n_items, ModelConfig())
    initialise(backbone, seed)
    model = SparCodeModel(backbone, QUANTIZER)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.quantizer.codebooks.normal_(generator=generator)
        backbone.interaction.items.bias.normal_(std=0.5, generator=generator)
    return model.eval()


def build(model: CodedModel, codes: np.ndarray, floor: float, threads: int) -> tuple[float, InvertedIndex]:
    """Seconds of a build, and the index."""
    started = time.perf_counter()
    index = build_index(model, codes, floor, BLOCK_CODES, n_threads=threads)
    return time.perf_counter() - started, index


def fastest_batch(model: SparCodeModel, codes: np.ndarray) -> int:
    """The batch size of concatenated pairs that scores some codes in the least time."""
    seconds = {}
    for batch in BATCHES:
        pairwise = ConcatenatedPairs(model, batch)
        pairwise.score_codes(codes[:1])
        started = time.perf_counter()
        pairwise.score_codes(codes[:16])
        seconds[batch] = time.perf_counter() - started
        print(f"batches of {batch:,} pairs: {seconds[batch] / min(16, len(codes)) * 1e3:.1f} ms per code", file=sys.stderr)
    return min(seconds, key=seconds.get)


def main(
    items: Annotated[int, typer.Option(min=2)] = 100_000,
    codes: Annotated[int, typer.Option(min=4)] = 256,
    density: Annotated[float, typer.Option(min=1e-6, max=1, help="Share of scores the index keeps.")] = 0.05,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads of both sides; 0 takes one per processor.")] = 0,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    quick: Quick = False,
    memory_of_build: Annotated[bool, typer.Option(help="Build once and print the peak memory.", hidden=True)] = False,
) -> None:
    """Measure, print the table and the ratios."""
    if quick:
        items, codes = 60_000, 128
    torch.set_num_threads(threads or os.cpu_count() or 1)
    model = random_model(items, seed)
    n_codes = QUANTIZER.codebook_size**QUANTIZER.n_codebooks
    chosen = np.sort(np.random.default_rng(seed).choice(n_codes, codes, replace=False))
    floor = floor_for_density(model, chosen, density, BLOCK_CODES)
    build_kernels.warm_up()
    if memory_of_build:
        _print_peak(model, chosen, floor, threads)
        return
    print(f"{items:,} items x {codes} codes, {density:.1%} kept, blocks of {BLOCK_CODES} codes, {repeats} repeats; {machine_facts()}\n")
    pairwise = ConcatenatedPairs(model, fastest_batch(model, chosen))
    seconds, index = _alternate({"build_index": model, "concatenated pairs": pairwise}, chosen, floor, threads, repeats)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    print("| build | seconds, by repeat | median |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {', '.join(f'{value:.3f}' for value in values)} | {median[name]:.3f} |")
    peak, index_bytes, block_bytes = _peak(items, codes, density, seed, threads), _bytes_of(index), 4 * BLOCK_CODES * items
    mebi = 2**20
    print(f"\nbatches of {pairwise.batch:,} concatenated pairs were the fastest")
    print(f"peak {peak / mebi:.1f} MiB; finished index {index_bytes / mebi:.1f} MiB, one block {block_bytes / mebi:.1f} MiB")
    print(f"1.5 times the index and one block are {(1.5 * index_bytes + block_bytes) / mebi:.1f} MiB\n")
    figures = {
        "build_over_pairwise": median["build_index"] / median["concatenated pairs"],
        "peak_over_index_plus_block": peak / (index_bytes + block_bytes),
    }
    print_figures(figures, 3)


def _alternate(
    models: dict[str, CodedModel], codes: np.ndarray, floor: float, threads: int, repeats: int
) -> tuple[dict[str, list[float]], InvertedIndex]:
    """Seconds of every repeat by model, and the first model's index; a first round of small builds warms everything up."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    indexes = {}
    for model in models.values():
        build(model, codes[:4], floor, threads)
    for _ in range(repeats):
        for name, model in models.items():
            taken, indexes[name] = build(model, codes, floor, threads)
            seconds[name].append(taken)
    ours, concatenated = indexes.values()
    # Another order of summation: scores next to the floor may fall on its other side.
    if abs(len(ours.scores) - len(concatenated.scores)) > 1e-4 * len(ours.scores) + 4:
        raise RuntimeError(f"the two sides must keep the same postings; got {len(ours.scores)} and {len(concatenated.scores)}")
    return seconds, ours


def _bytes_of(index: InvertedIndex) -> int:
    return sum(getattr(index, name).nbytes for name in ARRAY_DTYPES)


def _print_peak(model: SparCodeModel, codes: np.ndarray, floor: float, threads: int) -> None:
    # A small build starts threads and libraries, and leaves too little memory behind to hide the real one's.
    build(random_model(20_000, 0), codes[:8], floor, threads)
    ctypes.CDLL(None).malloc_trim(0)
    peak, (_, index) = peak_memory_kib(lambda: build(model, codes, floor, threads))
    print_figures({"kib": peak, "postings": len(index.scores)})


def _peak(items: int, codes: int, density: float, seed: int, threads: int) -> int:
    """Bytes that the resident set of a fresh process grows by at most while it builds."""
    options = {"items": items, "codes": codes, "density": density, "seed": seed, "threads": threads}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.index_build", *flags, "--memory-of-build"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return 1024 * json.loads(done.stdout.splitlines()[-1])["kib"]


if __name__ == "__main__":
    run_command(main)

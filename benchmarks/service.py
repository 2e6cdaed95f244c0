"""The HTTP service beside the library: a kept run's catalogue is grown, served by `sparcode serve`, and asked by many clients at once.

    python -m benchmarks.service --clients 16 --queries 100000

Trains SparCode on the built-in data, or takes a kept run (--run), grows its catalogue (`sparcode/model/grown.py`) and keeps that as a run.
Queries are random stretches of users' histories, one a request; every client is a process with a connection of its own. Every answer is
compared with the library's on the same run, scores to the bit.

The last line holds `over_library`, the median time of a request by one client alone over the library's median time of the same query,
requests per second, median and 99th percentile with all clients, and how many answers differed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from starlette.concurrency import run_in_threadpool
from torch import nn
from torch.nn import functional

from benchmarks.command import Quick, Seed, outputs, print_figures, run_command
from benchmarks.quality import QUICK, settings
from benchmarks.retrieval_cases import index_for, threshold_for_length
from sparcode.commands.process import keep_freed_memory, set_threads
from sparcode.data.interactions import Histories
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import Cut
from sparcode.model.grown import grown
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.runs.store import DataFacts, Run, load_run, save_run
from sparcode.service.answers import Answers, Limits
from sparcode.service.client import ServiceClient
from sparcode.training.pipeline import train_sparcode

K = 100
LONGEST_QUERY = 50
# Queries answered by one client alone, and of each way to answer within a worker.
ALONE, WAYS = 2_000, 2_000
ROOT = Path(__file__).resolve().parents[1]


def trained_run(quick: bool, seed: int) -> Run:
    """SparCode on the built-in data, with its default settings; the index is left to the grown catalogue."""
    data = generate(QUICK) if quick else generate()
    overrides = {"training": {"epochs": 8, "joint_epochs": 4}} if quick else {}
    config = settings(data, "mean", None, seed, overrides)
    split = split_users(data, config.split)
    model, _, records = train_sparcode(split, config)
    index, _ = index_for(model, model.encode(split.train_queries)[0], data.n_items // 4)
    facts = DataFacts(data.name, data.content_hash(), data.synthetic, data.n_users, data.n_items, data.n_interactions)
    return Run(config, facts, model, index, [str(item_id) for item_id in data.item_ids], data.items, records, [], machine_facts())


def grown_run(run: Run, n_items: int, length: int, seed: int) -> Run:
    """The run over a larger catalogue, with an index of the same codes whose lists hold `length` postings on average."""
    model, codes = grown(run.model, n_items, seed), run.index.codes
    # A kept run has an embedding of every item. Those of new items are zero: no history holds them.
    embedding = model.backbone.tokenizer.encoder.embedding
    embedding.weight = nn.Parameter(functional.pad(embedding.weight.detach(), (0, 0, 0, n_items - len(embedding.weight))))
    roomy, _ = index_for(model, codes, length)
    threshold = threshold_for_length(roomy, codes, length)
    model.tau.fill_(threshold)
    facts = replace(
        run.data, n_items=n_items, content_hash=hashlib.sha256(f"{run.data.content_hash} {n_items} {seed}".encode()).hexdigest()
    )
    ids = [str(number) for number in range(n_items)]
    return replace(
        run, data=facts, model=model, index=build_index(model, codes, threshold, 16), item_ids=ids, items=pd.DataFrame({"title": ids})
    )


def drawn_queries(n_trained: int, n_queries: int, seed: int) -> list[list[int]]:
    """Random sets of trained items, 1 to `LONGEST_QUERY` of them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, min(LONGEST_QUERY, n_trained) + 1, n_queries)
    return [rng.choice(n_trained, length, replace=False).tolist() for length in lengths]


@contextmanager
def running_service(folder: Path, workers: int, more: list[str]) -> Iterator[tuple[subprocess.Popen, str]]:
    """`sparcode serve` over a run folder, and its address; ended by SIGTERM, which must drain."""
    command = [sys.executable, "-c", "from sparcode.cli import main; main()", "serve", str(folder), "--port", "0"]
    server = subprocess.Popen([*command, "--workers", str(workers), *more], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        told = server.stdout.readline()
        if " at " not in told:
            raise RuntimeError(f"the service did not start; exit code {server.wait()}")
        yield server, told.split(" at ")[1].split(" with ")[0]
        server.send_signal(signal.SIGTERM)
        if code := server.wait(60):
            raise RuntimeError(f"the service ended with exit code {code}")
    finally:
        if server.poll() is None:
            server.kill()


def asked_by(address: str, folder: Path, n_clients: int) -> tuple[np.ndarray, int, float]:
    """Nanoseconds of every request by so many clients at once, how many answers differed, and seconds of the longest client's requests."""
    command = [sys.executable, "-m", "benchmarks.service_client", address, str(folder)]
    clients = [
        subprocess.Popen([*command, str(number), str(n_clients)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for number in range(n_clients)
    ]
    told = [json.loads(text) for text in outputs(clients, "a client")]
    taken = [np.array(one["taken_ns"]) for one in told]
    return np.concatenate(taken), sum(one["wrong"] for one in told), max(float(part.sum()) for part in taken) / 1e9


def write_expected(folder: Path, retriever: SparseRetriever, queries: list[list[int]], n_items: int) -> None:
    """What a client asks and must be answered."""
    found = retriever.retrieve(Histories.from_lists(queries, n_items), K)
    folder.mkdir()
    (folder / "queries.json").write_text(json.dumps([[str(item) for item in query] for query in queries]))
    np.save(folder / "item_ids.npy", found.item_ids)
    np.save(folder / "scores.npy", found.scores)


def library_us(retriever: SparseRetriever, queries: list[list[int]], n_items: int) -> float:
    """Median microseconds of single queries by the library in this process."""
    taken = []
    for query in queries:
        history = Histories.from_lists([query], n_items)
        started = time.perf_counter_ns()
        retriever.retrieve(history, K)
        taken.append(time.perf_counter_ns() - started)
    return float(np.median(taken)) / 1e3


def ways_to_answer(answers: Answers, queries: list[list[int]]) -> dict[str, float]:
    """Processor time of an answer in the event loop and by way of a thread, and how long the loop stands still for a batch of each."""
    asked = [{"items": [str(item) for item in query], "k": K} for query in queries]
    batch = {"queries": [one["items"] for one in asked[: answers.limits.queries]], "k": K}

    async def measure() -> dict[str, float]:
        figures = {}
        for way in ("loop", "thread", "loop", "thread"):
            started = time.process_time_ns()
            for one in asked:
                if way == "loop":
                    answers.retrieve(one)
                else:
                    await run_in_threadpool(answers.retrieve, one)
            figures[f"{way}_us"] = (time.process_time_ns() - started) / 1e3 / len(asked)
        for way in ("loop", "thread"):
            figures[f"batch_{way}_longest_wait_ms"] = await _longest_wait(answers, batch, way == "thread")
        return figures

    return asyncio.run(measure())


async def _longest_wait(answers: Answers, batch: dict[str, Any], threaded: bool) -> float:
    """Milliseconds by which a timer of the event loop is late at most while a batch is answered; median of 9 batches."""
    longest = []
    for _ in range(9):
        waits, done = [0.0], asyncio.Event()

        async def tick(waits: list[float] = waits, done: asyncio.Event = done) -> None:
            while not done.is_set():
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                waits.append(time.perf_counter() - before - 0.001)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.005)
        if threaded:
            await run_in_threadpool(answers.retrieve, batch)
        else:
            answers.retrieve(batch)
        await asyncio.sleep(0)
        done.set()
        await ticking
        longest.append(max(waits) * 1e3)
    return float(np.median(longest))


def main(
    run: Annotated[Path | None, typer.Option(help="Kept run whose catalogue is grown; without it one is trained.")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Size of the catalogue, by default a million.")] = None,
    length: Annotated[int, typer.Option(min=1, help="Postings of a list, on average.")] = 2_000,
    queries: Annotated[int | None, typer.Option(min=1, help="By default 100,000.")] = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the service.")] = 2,
    seed: Seed = 0,
    quick: Quick = False,
) -> None:
    """Print what was measured, and ratios as one line of JSON at the end."""
    keep_freed_memory()
    set_threads(1)
    n_items, n_queries = items or (10_000 if quick else 1_000_000), queries or (2_000 if quick else 100_000)
    started = trained_run(quick, seed) if run is None else load_run(run)
    n_trained = started.data.n_items
    with tempfile.TemporaryDirectory() as place:
        folder, expected, alone = Path(place) / "run", Path(place) / "expected", Path(place) / "alone"
        save_run(grown_run(started, n_items, min(length, n_items // 10), seed + 1), folder)
        loaded = load_run(folder, mmap=True)
        cut = Cut(max(loaded.model.threshold, loaded.index.floor))

        def make() -> SparseRetriever:
            return SparseRetriever(loaded.model, loaded.index, cut, n_threads=1)

        retriever, asked = make(), drawn_queries(n_trained, n_queries, seed)
        write_expected(expected, retriever, asked, n_items)
        write_expected(alone, retriever, asked[:ALONE], n_items)
        by_library = library_us(retriever, asked[:ALONE], n_items)
        print(f"{machine_facts()}; load {os.getloadavg()[0]:.1f}; {n_items:,} items, {loaded.index.n_lists} lists, ", end="")
        print(f"{len(loaded.index.scores):,} postings, k = {K}; one query by the library: {by_library:.0f} us", flush=True)
        answers = Answers(loaded, make, cut, Limits())
        answers.warm()
        ways = ways_to_answer(answers, asked[:WAYS])
        print("in a worker: " + ", ".join(f"{name} {value:.3g}" for name, value in ways.items()), flush=True)
        with running_service(folder, workers, []) as (_, address):
            one, wrong_alone, _ = asked_by(address, alone, 1)
            taken, wrong, seconds = asked_by(address, expected, clients)
            with ServiceClient(address) as client:
                counted = next(line for line in client.metrics().splitlines() if line.startswith("sparcode_queries_total "))
            if float(counted.split()[1]) != len(taken) + len(one):
                raise RuntimeError(f"the service counted {counted}; {len(taken) + len(one)} queries were asked")
        p50, p99 = (float(value) / 1e6 for value in np.percentile(taken, (50, 99)))
        print(f"{len(taken):,} requests by {clients} clients, {workers} workers, load {os.getloadavg()[0]:.1f} at the end: ", end="")
        print(f"{len(taken) / seconds:.0f} a second, p50 {p50:.2f} ms, p99 {p99:.2f} ms; {wrong + wrong_alone} answers differ")
        figures = {
            "over_library": float(np.median(one)) / 1e3 / by_library,
            "alone_p50_ms": float(np.median(one)) / 1e6,
            "queries_per_second": len(taken) / seconds,
            "p50_ms": p50,
            "p99_ms": p99,
            "wrong": wrong + wrong_alone,
            "thread_over_loop": ways["thread_us"] / ways["loop_us"],
        }
    print_figures(figures)


if __name__ == "__main__":
    run_command(main)

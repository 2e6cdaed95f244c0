"""What the cost model says of data far larger than what was measured, as tables; everything but `Assumptions` comes from the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.cost_formulas import (
    IN_USE,
    OF_STEPS,
    SECONDS,
    CostModel,
    Size,
    build_flops,
    candidates,
    graph_bytes,
    index_bytes,
    model_bytes,
    touched,
)
from benchmarks.cost_runs import GRAPH, K

GIGA = 1e9
_BYTES_PER_HIT = 8


class Assumptions(NamedTuple):
    """What is assumed, not measured.

    Attributes
    ----------
    cores, memory_gb, busy
        Of one machine, and the share of its cores that may be busy at the peak of the day; a rank of a training has as many.
    price
        Of a core-hour, in units of money.
    peak_queries
        Queries a second at the peak.
    network_gb
        Gigabytes a second that a machine receives.
    request_ms
        Processor milliseconds of the HTTP service for one request, the query itself aside: measured in the section "Service" of
        `docs/benchmarks.md`, and spent by every machine that holds a part of one copy of the index.
    epochs, joint_epochs
        Of a training.
    size
        Settings of model and training; items and users are set by each table.
    """

    cores: int = 64
    memory_gb: float = 512.0
    busy: float = 0.5
    price: float = 0.05
    peak_queries: float = 100_000.0
    network_gb: float = 1.25
    request_ms: float = 0.23
    epochs: int = 20
    joint_epochs: int = 30
    size: Size = Size(
        100_000_000,
        1_000_000_000,
        n_lists=16_384,
        n_nearest=4,
        codebook_size=16_384,
        token_dim=64,
        batch_size=512,
        n_negatives=4_096,
    )


SCALES = ((1_000_000, 10_000_000), (10_000_000, 100_000_000), (100_000_000, 1_000_000_000))
SHARES = (0.0001, 0.001, 0.01)
SHARD_ITEMS = (1_000_000, 10_000_000, 100_000_000)
RANKS = (1, 4, 16, 64)


class Serving(NamedTuple):
    """One way to serve a catalogue: shards, bytes of all of them, core-seconds of a query over all of them without requests."""

    name: str
    n_shards: int
    n_bytes: float
    core_seconds: float

    def row(self, assumed: Assumptions) -> str:
        """Its row of a table."""
        by_memory = math.ceil(self.n_bytes / (assumed.memory_gb * GIGA))
        seconds = self.core_seconds + by_memory * assumed.request_ms / 1e3
        by_cores = math.ceil(assumed.peak_queries * seconds / (assumed.cores * assumed.busy))
        price = 1e6 * seconds / 3600 * assumed.price / assumed.busy
        cells = (
            self.name,
            f"{self.n_shards:,}",
            f"{self.n_bytes / self.n_shards / GIGA:,.3g}",
            f"{self.n_bytes / GIGA:,.4g}",
            f"{self.core_seconds / self.n_shards * 1e3:,.3f}",
            f"{seconds * 1e3:,.2f}",
            f"{1 / seconds:,.0f}",
            f"{max(by_memory, by_cores):,} ({'memory' if by_memory > by_cores else 'cores'})",
            f"{price:,.3g}",
        )
        return _row(*cells)


def report_lines(model: CostModel, assumed: Assumptions) -> list[str]:
    """All tables."""
    return [
        f"Assumed: {assumed}",
        "",
        *_needs(model, assumed),
        "",
        *_sizes(model, assumed),
        "",
        *_serving(model, assumed),
        "",
        *_splits(model, assumed),
        "",
        *_training(model, assumed),
        "",
        *_break_even(model, assumed),
    ]


def _sizes(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    yield _header("items", "users", "kept", "list", "postings", "lists, GB", "blocks, GB", "weights, GB", "E, FLOPs", "build, core-hours")
    for n_items, n_users in SCALES:
        for share in SHARES:
            size = assumed.size._replace(n_items=n_items, n_users=n_users, density=share)
            cells = (
                f"{n_items:.0e}",
                f"{n_users:.0e}",
                f"{share:.2%}",
                f"{size.n_postings / size.n_lists:,.0f}",
                f"{size.n_postings:,.3g}",
                *(f"{index_bytes(size, kind) / GIGA:,.3g}" for kind in ("float32", "quantized")),
                f"{model_bytes(size) / GIGA:,.3g}",
                f"{build_flops(size):.2g}",
                f"{build_seconds(model, size) / 3600:,.3g}",
            )
            yield _row(*cells)


def build_seconds(model: CostModel, size: Size, shard_items: int = SHARD_ITEMS[0]) -> float:
    """Core-seconds of building and arranging an index in shards of so many items."""
    shard = size._replace(n_items=min(size.n_items, shard_items))
    return size.n_items / shard.n_items * (model.of("build of lists", shard) + model.of("blocks of 16 bits", shard))


def _serving(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    yield _header(
        "way",
        "shards",
        "GB a shard",
        "GB in all",
        "core-ms a shard",
        "core-ms a query, requests included",
        "queries a second and core",
        "machines at the peak",
        "cost of a million queries",
    )
    for one in ways(model, assumed):
        yield one.row(assumed)


def ways(model: CostModel, assumed: Assumptions) -> Iterator[Serving]:
    """Ways to serve the whole catalogue by item shards; the query is encoded once."""
    encode = model.of("encoding a query", assumed.size)
    for share in SHARES:
        for n_items in SHARD_ITEMS:
            n_shards = assumed.size.n_items // n_items
            shard = assumed.size._replace(n_items=n_items, density=share)
            for law, kind in (("search in lists", "float32"), ("search in blocks", "quantized")):
                seconds = encode + n_shards * model.of(law, shard)
                yield Serving(f"{law[10:]}, {share:.2%} kept", n_shards, n_shards * index_bytes(shard, kind), seconds)
    whole, encode = assumed.size, vector_seconds(model, assumed.size)
    yield Serving("brute force over vectors", 1, 4.0 * whole.n_items * whole.token_dim, encode + model.of("brute force", whole))
    for n_items in SHARD_ITEMS:
        n_shards, shard = whole.n_items // n_items, whole._replace(n_items=n_items)
        yield Serving("HNSW", n_shards, n_shards * graph_bytes(shard, GRAPH.n_links), encode + n_shards * model.of("HNSW", shard))


def vector_seconds(model: CostModel, size: Size) -> float:
    """Core-seconds of encoding a query as one vector: as one token without a codebook to meet."""
    return model.of("encoding a query", size._replace(n_tokens=1, n_nearest=1, codebook_size=1))


def _splits(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    n_shards = [assumed.size.n_items // n_items for n_items in SHARD_ITEMS[:2]]
    yield _header(
        "kept", *(f"{n} shards by item: best k of each, kB a query" for n in n_shards), "shards by code: every posting, kB a query"
    )
    for share in SHARES:
        by_code = model.of("postings per query", assumed.size._replace(density=share)) * _BYTES_PER_HIT
        by_item = [n * K * _BYTES_PER_HIT for n in n_shards]
        yield _row(f"{share:.2%}", *(f"{n_bytes / 1e3:,.4g}" for n_bytes in (*by_item, by_code)))


def _training(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    yield _header("ranks", "items", "backbone epoch, hours", "joint epoch, hours", "of it network", "all epochs, days", "all epochs, cost")
    for n_items, n_users in SCALES:
        for ranks in RANKS:
            size = assumed.size._replace(n_items=n_items, n_users=n_users)
            hours = [rank_seconds(model, law, size, ranks, assumed) / 3600 for law in ("backbone epoch", "joint epoch")]
            network = network_seconds(size, ranks, assumed) / 3600 / hours[1]
            total = assumed.epochs * hours[0] + assumed.joint_epochs * hours[1]
            cost = total * ranks * assumed.cores * assumed.price
            yield _row(ranks, f"{n_items:.0e}", *(f"{part:,.3g}" for part in hours), f"{network:.0%}", f"{total / 24:,.3g}", f"{cost:,.0f}")


def _needs(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    yield _header("what is needed", *(f"{n_items:.0e} items, {n_users:.0e} users" for n_items, n_users in SCALES))
    rows: dict[str, list[str]] = {}
    for n_items, n_users in SCALES:
        size = assumed.size._replace(n_items=n_items, n_users=n_users, density=SHARES[1])
        weights, shard = model_bytes(size), size._replace(n_items=min(n_items, SHARD_ITEMS[1]))
        query = model.of("encoding a query", size) + n_items / shard.n_items * model.of("search in blocks", shard)
        epochs = [rank_seconds(model, law, size, 1, assumed) / 86_400 for law in ("backbone epoch", "joint epoch")]
        for name, value in (
            ("weights and Adam's moments of one rank, GB", 3 * weights / GIGA),
            ("the same and dense gradients, GB", 4 * weights / GIGA),
            ("item table of the query encoder alone, GB", 4 * n_items * size.hidden_dim / GIGA),
            ("histories of all users, GB", 4 * n_users * size.history / GIGA),
            (f"index, 16 bits, {SHARES[1]:.1%} kept, GB", index_bytes(size, "quantized") / GIGA),
            ("E over all codes and items, core-hours", build_seconds(model, size) / 3600),
            ("all epochs on one rank, days", assumed.epochs * epochs[0] + assumed.joint_epochs * epochs[1]),
            ("candidates of a batch", candidates(size)),
            ("codes in use of M = 2, K = 256, of 65,536", model.of(IN_USE, size._replace(n_codebooks=2, codebook_size=256))),
            ("encoding a query, core-ms", model.of("encoding a query", size) * 1e3),
            ("cores busy at the peak", assumed.peak_queries * (query + assumed.request_ms / 1e3)),
        ):
            rows.setdefault(name, []).append(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    yield from (_row(name, *values) for name, values in rows.items())


def rank_seconds(model: CostModel, law: str, size: Size, ranks: int, assumed: Assumptions) -> float:
    """Seconds of an epoch on several ranks: what is per user is divided, what is per step is not, and the network comes on top."""
    parts = {name: model.seconds[law][name] * value for name, value in SECONDS[law](size).items()}
    of_steps = sum(parts[name] for name in OF_STEPS)
    threads = assumed.cores * assumed.busy
    return (of_steps + (sum(parts.values()) - of_steps) / ranks) / threads + network_seconds(size, ranks, assumed)


def network_seconds(size: Size, ranks: int, assumed: Assumptions) -> float:
    """Seconds that a rank receives gradients in an epoch: every other rank's of the candidates, and the histories' once."""
    if ranks == 1:
        return 0.0
    of_candidates = candidates(size) * size.token_dim
    numbers = (ranks - 1) * of_candidates + (touched(size) - of_candidates)
    return math.ceil(size.n_users / size.batch_size) * 4 * numbers / (assumed.network_gb * GIGA)


def _break_even(model: CostModel, assumed: Assumptions) -> Iterator[str]:
    yield _header(
        "items", "brute force, ms", "HNSW, ms", "share at which lists take as long as brute force", "as HNSW", "blocks at 0.1%, ms"
    )
    for n_items in (10_000, 100_000, *SHARD_ITEMS):
        size = assumed.size._replace(n_items=n_items)
        flat, graph = (vector_seconds(model, size) + model.of(law, size) for law in ("brute force", "HNSW"))
        blocks = model.of("encoding a query", size) + model.of("search in blocks", size._replace(density=0.001))
        equal = [share_at(model, size, seconds) for seconds in (flat, graph)]
        words = [f"{share:.3%}" if share else "none" for share in equal]
        yield _row(f"{n_items:.0e}", f"{flat * 1e3:,.3f}", f"{graph * 1e3:,.3f}", *words, f"{blocks * 1e3:,.3f}")


def share_at(model: CostModel, size: Size, seconds: float) -> float:
    """The largest share kept at which encoding and a search in lists take no more than so many seconds; 0 where none does."""
    seconds -= model.of("encoding a query", size)
    low, high = 1e-9, 1.0
    if model.of("search in lists", size._replace(density=low)) > seconds:
        return 0.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if model.of("search in lists", size._replace(density=middle)) <= seconds else (low, middle)
    return low


def _header(*cells: str) -> str:
    return f"{_row(*cells)}\n|{'---|' * len(cells)}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"

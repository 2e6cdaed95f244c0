"""Lesson 7: one query in a two-tower model and in SparCode, what each computes and what it costs."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.lessons.bench import Bench
from app.lessons.growing import LIMITS, largest, size_text
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import TIMED, in_turn
from app.lessons.prediction import Choice
from app.lessons.reading import Reading, Row, Rows, named, times_text
from sparcode.comparison.interleaved_timing import Call
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, SPARCODE, of_codes, of_vectors
from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import KeepDensity, floor_for_density
from sparcode.model.grown import grown
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.contract import Scorer
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.sparse import SparseRetriever

# Less than this share sooner counts as noise.
NOISE: Final = 0.1
ROUNDS: Final = 3
SLOW_TIMED: Final = 20
# Test users and items whose scores the rank is taken of, at most.
RANKED: Final = (300, 2_000)
# Less than this share of the variance beyond D + 1 dimensions counts as none.
HELD: Final = 0.01


class Rank(NamedTuple):
    """The rank of scores of users for items.

    Attributes
    ----------
    rank, most
        Of the scores, and the largest that so many users and items can have.
    beyond
        Share of the variance between users that no matrix of a two-tower model's rank holds: the squares of the singular values beyond
        it, of the scores without each item's mean (Eckart and Young).
    """

    rank: int
    most: int
    beyond: float


def experiment(bench: Bench, times: str) -> Rows:
    """Rank of each model's scores on the real catalogue; parts of a query's time and its additions on one of so many times the items."""
    bench.tell("Getting the models ready")
    config = bench.config
    two_tower, model, backbone = bench.two_tower(config), bench.tuned(config), bench.backbone(config)
    rows = np.random.default_rng(config.training.seed).permutation(len(bench.split.test.queries))[:TIMED]
    asked = bench.split.test.queries.take(rows)
    bench.tell("Counting the rank of the scores")
    dims, seed, n_real = two_tower.item_vectors().shape[1], config.training.seed, model.n_items
    ranks = {name: _rank(bench, one, dims) for name, one in ((FLAT, two_tower), (SPARCODE, model), (ALL_TO_ALL, backbone))}
    codes = np.unique(model.encode(asked)[0])
    n_items = largest(int(times) * n_real, (two_tower, model, backbone), len(codes))
    bench.tell(f"Indexing {n_items:,} items")
    two_tower, model, backbone = (grown(one, n_items, seed) for one in (two_tower, model, backbone))
    asked = Histories(asked.indptr, asked.items, n_items, asked.features)
    ours, postings = _sparse(model, codes, asked, bench)
    flat, every = FaissRetriever(two_tower, "flat"), ExactRetriever(backbone)
    bench.tell("Timing queries in turn")
    calls = {FLAT: of_vectors(two_tower, flat), SPARCODE: of_codes(model, ours)}
    taken = in_turn(calls, asked, bench, rounds=ROUNDS)
    slow = Call(lambda query: None, lambda _, query: every.retrieve(query, DEFAULT_K))
    taken |= in_turn({ALL_TO_ALL: slow}, asked, bench, SLOW_TIMED, rounds=1)
    work = {FLAT: float(n_items * dims), SPARCODE: postings, ALL_TO_ALL: float("nan")}
    return [
        Row(
            name,
            {
                "items": float(n_items),
                "times": n_items / n_real,
                "encode_ms": taken[name].encode_ms,
                "search_ms": taken[name].search_ms,
                "ms": taken[name].total_ms,
                "work": work[name],
                "rank": float(ranks[name].rank),
                "most": float(ranks[name].most),
                "beyond": ranks[name].beyond,
                "dims": float(dims),
            },
        )
        for name in calls | {ALL_TO_ALL: slow}
    ]


def _rank(bench: Bench, model: Scorer, dims: int) -> Rank:
    """The rank of a model's scores of up to `RANKED` test users and items, the same for every model."""
    queries, rng = bench.split.test.queries, np.random.default_rng(bench.config.training.seed)
    users, items = (np.sort(rng.permutation(n)[:most]) for n, most in zip((len(queries), model.n_items), RANKED, strict=True))
    bench.check()
    return rank_of(model.score(queries.take(users))[:, items], dims)


def rank_of(scores: np.ndarray, dims: int) -> Rank:
    """The rank of scores, (n, I) float32, and what of them `dims` dimensions cannot hold."""
    between = scores - scores.mean(axis=0)
    squares = np.linalg.svd(between.astype(np.float64), compute_uv=False) ** 2
    beyond = float(squares[dims:].sum() / squares.sum()) if squares.sum() > 0 else 0.0
    return Rank(int(np.linalg.matrix_rank(scores)), min(scores.shape), beyond)


def _sparse(model: SparCodeModel, codes: np.ndarray, asked: Histories, bench: Bench) -> tuple[SparseRetriever, float]:
    """The index of the asked codes at the training's share, and the postings that a query adds up on average."""
    config, density = bench.config, bench.config.training.density
    floor = floor_for_density(model, codes, density, config.index.block_codes)
    index = build_index(model, codes, floor, config.index.block_codes, bench.should_stop)
    retriever = SparseRetriever(model, index, KeepDensity(density, model.first_list_code).threshold(index), n_threads=1)
    before = retriever.postings_read
    retriever.retrieve(asked, DEFAULT_K)
    return retriever, (retriever.postings_read - before) / len(asked)


def sooner(rows: Rows) -> str:
    """Which answers sooner: an option of the prediction."""
    ratio = named(rows, SPARCODE)["ms"] / named(rows, FLAT)["ms"]
    return "same" if 1 - NOISE <= ratio <= 1 + NOISE else "sparcode" if ratio < 1 else "two-tower"


def read(rows: Rows) -> tuple[Reading, ...]:
    """What differs in modelling (rank), in inference (time), and what it comes from (work)."""
    flat, ours, every = (named(rows, name) for name in (FLAT, SPARCODE, ALL_TO_ALL))
    ratio, less = flat["ms"] / ours["ms"], flat["work"] / ours["work"]
    return (
        Reading(
            "Inference: SparCode answers sooner than scoring every item by a dot product.",
            sooner(rows) == "sparcode",
            f"On {size_text(flat['items'], flat['times'])} a query takes {flat['ms']:.3f} ms in two-tower and "
            f"{ours['ms']:.3f} ms in SparCode: {times_text(ratio)} as fast.",
            f"The network without codes takes {every['ms']:.2f} ms. Encoding is {flat['encode_ms']:.3f} ms of two-tower's time and "
            f"{ours['encode_ms']:.3f} ms of SparCode's, whatever the catalogue: what grows with it is the search.",
        ),
        Reading(
            "What causes it: two-tower multiplies with every item, SparCode adds up what its lists hold.",
            ours["work"] < flat["work"],
            f"Two-tower makes {flat['work']:,.0f} multiplications for a query, {times_text(less)} as many as the {ours['work']:,.0f} "
            "additions of SparCode.",
        ),
        Reading(
            f"Modelling: scores of a dot product have a rank of at most D + 1 = {flat['dims']:.0f}; SparCode's do not fit into it.",
            flat["rank"] <= flat["dims"] and flat["beyond"] < HELD <= ours["beyond"],
            f"{ours['beyond']:.1%} of what differs between users in SparCode's scores lies beyond the {flat['dims']:.0f} dimensions of "
            f"two-tower, {every['beyond']:.1%} in all-to-all's, which have no codes and no cut, and {flat['beyond']:.1%} in two-tower's.",
            f"The ranks are {flat['rank']:.0f}, {ours['rank']:.0f} and {every['rank']:.0f} in two-tower, SparCode and all-to-all. The "
            f"largest that so many users and items can have is {flat['most']:.0f}, and any cut at a threshold comes near it: the rank "
            "alone says little.",
        ),
    )


LESSON: Final = Lesson(
    number=7,
    version=2,
    title="One query in both models",
    question="How do SparCode and two-tower differ in modelling and inference, and what causes it?",
    goal="Take the time of one query apart in both models, and count what each computes.",
    control=Control(
        "Items in the catalogue",
        {"16": "16 times the real one", "1": "the real one", "64": "64 times the real one"},
        f"Larger catalogues hold the real items and others drawn from them, as on the page Scale; {LIMITS}.",
    ),
    prediction=Choice(
        "On the default catalogue of this lesson: which answers a query sooner, two-tower with a dot product for every item, or SparCode "
        "at the training's threshold?",
        {"sparcode": "SparCode", "same": f"Within {NOISE:.0%} the same", "two-tower": "Two-tower"},
        sooner,
    ),
    experiment=experiment,
    read=read,
    measured="Trained models of the studio on a catalogue grown from the real one. Single queries on one thread, encoding included, the "
    "models in turn; additions are counted by the index itself. The rank is that of the scores of all test users on the real catalogue.",
    pictures=(
        Picture(
            "Where a query's time goes",
            "stacked",
            {"encode_ms": "encode the history", "search_ms": "search and take the best"},
            "ms per query",
            rows=(FLAT, SPARCODE),
        ),
        Picture("Operations of a query", "bars", {"work": "operations"}, "multiplications or additions", rows=(FLAT, SPARCODE)),
        Picture("What no dot product of D dimensions holds", "bars", {"beyond": "beyond D + 1"}, "% of the variance", scale=100),
    ),
    columns={
        "items": Column("items", ",.0f"),
        "times": Column("times the real ones", ".3g"),
        "encode_ms": Column("encode (ms)", ".4g"),
        "search_ms": Column("search (ms)", ".4g"),
        "ms": Column("in all (ms)", ".4g"),
        "work": Column("operations per query", ",.0f"),
        "rank": Column("rank of the scores", ".0f"),
        "most": Column("largest rank possible", ".0f"),
        "beyond": Column("beyond D + 1", ".1%"),
        "dims": Column("D + 1", ".0f"),
    },
    ways_on=(
        WayOn("Grow the catalogue and see where the lines cross", "scale.py", {}),
        WayOn("Follow one query stage by stage", "query.py", {"step": "history"}),
    ),
)

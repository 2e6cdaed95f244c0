"""Lesson 7: one query in a two-tower model and in SparCode, what each computes and what it costs."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench
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
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.sparse import SparseRetriever

# Less than this share sooner counts as noise.
NOISE: Final = 0.1
ROUNDS: Final = 3
SLOW_TIMED: Final = 20


def experiment(bench: Bench, times: str) -> Rows:
    """Rank of each model's scores on the real catalogue; parts of a query's time and its additions on one of so many times the items."""
    bench.tell("Getting the models ready")
    config = bench.config
    two_tower, model, backbone = bench.two_tower(config), bench.tuned(config), bench.backbone(config)
    rows = np.random.default_rng(config.training.seed).permutation(len(bench.split.test.queries))[:TIMED]
    asked = bench.split.test.queries.take(rows)
    bench.tell("Counting the rank of the scores")
    ranks = {
        name: _rank(one.score(bench.split.test.queries)) for name, one in ((FLAT, two_tower), (SPARCODE, model), (ALL_TO_ALL, backbone))
    }
    n_items, seed = int(times) * model.n_items, config.training.seed
    bench.tell(f"Indexing {n_items:,} items")
    two_tower, model, backbone = (grown(one, n_items, seed) for one in (two_tower, model, backbone))
    asked = Histories(asked.indptr, asked.items, n_items, asked.features)
    ours, postings = _sparse(model, asked, bench)
    flat, every = FaissRetriever(two_tower, "flat"), ExactRetriever(backbone)
    bench.tell("Timing queries in turn")
    calls = {FLAT: of_vectors(two_tower, flat), SPARCODE: of_codes(model, ours)}
    taken = in_turn(calls, asked, bench, rounds=ROUNDS)
    slow = Call(lambda query: None, lambda _, query: every.retrieve(query, DEFAULT_K))
    taken |= in_turn({ALL_TO_ALL: slow}, asked, bench, SLOW_TIMED, rounds=1)
    dims = two_tower.item_vectors().shape[1]
    work = {FLAT: float(n_items * dims), SPARCODE: postings, ALL_TO_ALL: float("nan")}
    return [
        Row(
            name,
            {
                "items": float(n_items),
                "encode_ms": taken[name].encode_ms,
                "search_ms": taken[name].search_ms,
                "ms": taken[name].total_ms,
                "work": work[name],
                "rank": float(ranks[name]),
                "most": float(dims),
            },
        )
        for name in calls | {ALL_TO_ALL: slow}
    ]


def _rank(scores: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(scores))


def _sparse(model: SparCodeModel, asked: Histories, bench: Bench) -> tuple[SparseRetriever, float]:
    """The index of the asked codes at the training's share, and the postings that a query adds up on average."""
    config = bench.config
    codes, density = np.unique(model.encode(asked)[0]), config.training.density
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
            f"On {flat['items']:,.0f} items a query takes {flat['ms']:.3f} ms in two-tower and {ours['ms']:.3f} ms in SparCode: "
            f"{times_text(ratio)} as fast.",
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
            "Modelling: a dot product's scores have a rank of at most D + 1; SparCode's have more.",
            flat["rank"] <= flat["most"] < ours["rank"],
            f"The scores of all test users have rank {flat['rank']:.0f} in two-tower (at most {flat['most']:.0f}: its dimensions and the "
            f"items' biases), {ours['rank']:.0f} in SparCode and {every['rank']:.0f} in all-to-all.",
        ),
    )


LESSON: Final = Lesson(
    number=7,
    title="One query in both models",
    question="How do SparCode and two-tower differ in modelling and inference, and what causes it?",
    goal="Take the time of one query apart in both models, and count what each computes.",
    control=Control(
        "Items in the catalogue",
        {"16": "16 times the real one", "1": "the real one", "64": "64 times the real one"},
        "Larger catalogues hold the real items and others drawn from them, as on the page Scale.",
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
        Picture("Rank of the scores", "bars", {"rank": "rank"}, "rank"),
    ),
    columns={
        "items": Column("items", ",.0f"),
        "encode_ms": Column("encode (ms)", ".4g"),
        "search_ms": Column("search (ms)", ".4g"),
        "ms": Column("in all (ms)", ".4g"),
        "work": Column("operations per query", ",.0f"),
        "rank": Column("rank of the scores", ".0f"),
        "most": Column("D + 1", ".0f"),
    },
    ways_on=(
        WayOn("Grow the catalogue and see where the lines cross", "scale.py", {}),
        WayOn("Follow one query stage by stage", "query.py", {"step": "history"}),
    ),
)

"""Lesson 2: the two limits of two-tower models, what a dot product can express and what an approximate index loses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.growing import LIMITS, largest, size_text
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of, recall_by_user
from app.lessons.prediction import Choice
from app.lessons.reading import BY_USER, Reading, Row, Rows, gain_text, line, named, outcome
from sparcode.comparison.found_share import Codes, found_share, uncut_best
from sparcode.comparison.peers import ALL_TO_ALL, HNSW, SPARCODE, TWO_TOWER
from sparcode.config import DEFAULT_K, SYNTHETIC_TOKEN_DIM, RunConfig, SplitConfig, SyntheticConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import KeepDensity, floor_for_density
from sparcode.model.grown import grown
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import train_backbone, train_two_tower

# Sizes of the planted catalogues at most, so that four models are trained within a minute.
MOST_USERS, MOST_ITEMS = 1200, 600
# The catalogue that both indexes are tried on, as a multiple of the real one.
GROWN: Final = 16
# Test users that are asked at most: the first so many.
MOST_ASKED: Final = 200
# SparCode's row against the same model's best items when nothing is cut.
UNCUT: Final = f"{SPARCODE}, against nothing cut"


def experiment(bench: Bench, share: str) -> Rows:
    """Two-tower and all-to-all on planted data without and with a share no dot product has; then both indexes on a grown catalogue."""
    rows = []
    for planted in (0.0, float(share)):
        rows += _capacity(bench, planted)
    return [*rows, *_serving(bench)]


def _capacity(bench: Bench, planted: float) -> Rows:
    n_users, n_items = len(bench.split.train), bench.split.train.n_items
    seed = bench.config.training.seed
    sizes = {"n_users": max(50, min(MOST_USERS, n_users)), "n_items": max(50, min(MOST_ITEMS, n_items))}
    split = split_users(generate(SyntheticConfig(**sizes, nonlinear_share=planted, seed=seed)), SplitConfig())
    config = changed(
        bench.config,
        split={"protocol": "strong"},
        model={"token_dim": min(SYNTHETIC_TOKEN_DIM, bench.config.model.token_dim), "side_features": "none"},
        training={"start": "random", "schedule": "constant"},
    )
    found = {}
    for name, train in ((TWO_TOWER, train_two_tower), (ALL_TO_ALL, train_backbone)):
        bench.tell(f"Training {name} on {planted:.0%} planted")
        found[name] = _trained(train, split, config, bench)
    gain = gain_of(found[ALL_TO_ALL], found[TWO_TOWER])
    values = {"planted": planted, "gain": gain.mean, "error": gain.error}
    return [Row(name, {"recall": float(np.nanmean(recall)), **values}) for name, recall in found.items()]


def _trained(train: Callable[..., tuple], split: Split, config: RunConfig, bench: Bench) -> np.ndarray:
    model, _ = train(split, config, bench.on_epoch, bench.should_stop, "cpu")
    bench.check()
    return recall_by_user(ExactRetriever(model), split.test)


def _serving(bench: Bench) -> Rows:
    bench.tell("Getting the models ready")
    config, queries = bench.config, bench.split.test.queries
    queries = queries.take(np.arange(min(len(queries), MOST_ASKED)))
    n_real, density, seed = bench.split.train.n_items, config.training.density, config.training.seed
    two_tower, model = bench.two_tower(config), bench.tuned(config)
    # Growing a catalogue changes no query's codes.
    asked_codes = model.encode(queries)
    codes = np.unique(asked_codes[0])
    n_items = largest(GROWN * n_real, (two_tower, model), len(codes))
    bench.tell(f"Searching {n_items:,} items by both indexes")
    two_tower, model = (grown(one, n_items, seed) for one in (two_tower, model))
    asked = Histories(queries.indptr, queries.items, n_items, queries.features)
    exact = FaissRetriever(two_tower, "flat").retrieve(asked, DEFAULT_K).item_ids
    graph = FaissRetriever(two_tower, "hnsw")
    bench.check()
    floor = floor_for_density(model, codes, density, config.index.block_codes)
    index = build_index(model, codes, floor, config.index.block_codes, bench.should_stop)
    ours = SparseRetriever(model, index, KeepDensity(density, model.first_list_code).threshold(index), n_threads=1)
    by_index = ours.retrieve(asked, DEFAULT_K).item_ids
    bench.tell("Scoring every item by the same models")
    cut = ExactRetriever(SparseDirectScorer(model, ours.threshold)).retrieve(asked, DEFAULT_K).item_ids
    bench.check()
    uncut = uncut_best(model, Codes(*asked_codes), len(asked), DEFAULT_K)
    found = {HNSW: (graph.retrieve(asked, DEFAULT_K).item_ids, exact), SPARCODE: (by_index, cut), UNCUT: (by_index, uncut)}
    size = {"items": float(n_items), "times": n_items / n_real}
    return [Row(name, {"found": found_share(*pair), **size}) for name, pair in found.items()]


def _by_share(rows: Rows) -> tuple[Row, Row]:
    """All-to-all's rows: planted without and with what a dot product lacks."""
    without, planted = sorted(line(rows, ALL_TO_ALL), key=lambda row: row["planted"])
    return without, planted


def where(rows: Rows) -> str:
    """Where all-to-all finds more than two-tower beyond noise: an option of the prediction."""
    without, planted = (outcome(row["gain"], row["error"]) > 0 for row in _by_share(rows))
    return {(True, True): "both", (False, True): "planted", (True, False): "without", (False, False): "neither"}[without, planted]


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether the network gains where a dot product is not enough, and which index loses what its model found."""
    without, planted = _by_share(rows)
    difference, error = planted["gain"] - without["gain"], float(np.hypot(planted["error"], without["error"]))
    graph, ours, uncut = (named(rows, name) for name in (HNSW, SPARCODE, UNCUT))
    return (
        Reading(
            "Where affinity is more than a dot product, a network for every pair finds what two-tower cannot.",
            outcome(planted["gain"], planted["error"]) > 0 and outcome(difference, error) > 0,
            f"All-to-all's lead over two-tower is {gain_text(without['gain'], without['error'])} where a dot product can express "
            f"everything, and {gain_text(planted['gain'], planted['error'])} where {planted['planted']:.0%} of the affinity is 'an "
            "item fits any one taste'.",
            f"The lead grows by {gain_text(difference, error)}. Differences are Recall@{DEFAULT_K} {BY_USER}.",
        ),
        Reading(
            "An approximate index loses items of its own model; SparCode's index loses none above its threshold.",
            ours["found"] == 1.0 and graph["found"] < 1.0,
            f"On {size_text(ours['items'], ours['times'])} HNSW finds {graph['found']:.2%} of what two-tower "
            f"itself ranks on top. SparCode's index finds {ours['found']:.2%} of what its model with the cut ranks on top, and "
            f"{uncut['found']:.2%} of what the same model ranks on top with nothing cut.",
            "The cut is SparCode's own loss: it keeps the share of scores that training keeps, and is set anew on the grown catalogue, "
            "which training never saw. On the real catalogue training sees it."
            + (
                ""
                if graph["found"] < 1.0
                else " On a catalogue this small the graph search looks at enough items to miss none: the loss shows on larger ones."
            ),
        ),
    )


LESSON: Final = Lesson(
    number=2,
    version=2,
    title="The two limits of two-tower models",
    question="How does SparCode lift the two limits of two-tower models: interaction capacity, and accuracy lost in online serving?",
    goal="See where a dot product is not enough, and what an approximate index loses of its own model.",
    control=Control(
        "Planted share of 'fits any one taste'",
        {"0.5": "50%", "0.25": "25%", "1": "100%"},
        "The share of the planted affinity that no dot product of small dimension has. The data without it is the same otherwise.",
    ),
    prediction=Choice(
        "Two catalogues are planted: in one a dot product can express every user's taste, in the other it cannot. On which does the "
        "all-to-all network find more than two-tower, beyond noise?",
        {"planted": "Only where it cannot", "both": "On both", "without": "Only where it can", "neither": "On neither"},
        where,
    ),
    experiment=experiment,
    read=read,
    measured="Two-tower and the all-to-all network are trained on two planted catalogues that differ in one number. Then the studio's own "
    f"models are served on a catalogue of {GROWN} times the items, {LIMITS}: two-tower by HNSW (with faiss's graph of 32 links), SparCode "
    "by its index. Each is held against scoring every item by the same model, SparCode's with its cut and with nothing cut, for up to "
    f"{MOST_ASKED} test users.",
    pictures=(
        Picture("Recall by what is planted", "lines", {"recall": "recall"}, f"Recall@{DEFAULT_K}", "planted", "% planted", x_scale=100),
        Picture("Share found of the model's own best items", "bars", {"found": "share found"}, "% found", scale=100),
    ),
    columns={
        "planted": Column("planted share", ".0%"),
        "recall": Column(f"Recall@{DEFAULT_K}", ".4f"),
        "gain": Column("all-to-all's lead", "+.4f"),
        "error": Column("its standard error", ".4f"),
        "found": Column("share found", ".2%"),
        "items": Column("items searched", ",.0f"),
        "times": Column("times the real ones", ".3g"),
    },
    ways_on=(
        WayOn("Measure SparCode beside HNSW and IVF at many settings", "compare.py", {}),
        WayOn("Grow the catalogue to a million items", "scale.py", {}),
    ),
)

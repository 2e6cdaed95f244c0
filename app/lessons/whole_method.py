"""Lesson 1: the parts of SparCode, one taken away at a time, and what each pays for."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import in_turn, index_of, recall_by_user, served
from app.lessons.prediction import Number
from app.lessons.reading import Reading, Row, Rows, named, times_text
from sparcode.comparison.peers import of_codes, whole
from sparcode.comparison.table import readable_bytes
from sparcode.config import DEFAULT_K
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever

NO_CODES: Final = "without codes (all-to-all)"
NO_CUT: Final = "codes, nothing cut"
WHOLE: Final = "SparCode, whole"
# A share of all-to-all's recall from which on little is lost.
KEPT: Final = 0.9


def experiment(bench: Bench, share: str) -> Rows:
    """The all-to-all model, its codes with every score kept, and SparCode at a share of scores; all on test users."""
    bench.tell("Getting the models ready")
    backbone, model = bench.backbone(bench.config), bench.tuned(bench.config)
    bench.tell("Building both indexes")
    index, codes = index_of(model, bench), model.without_lists(model.distinct_codes(bench.split.train))
    every = build_index(model, codes, -np.inf, bench.config.index.block_codes, bench.should_stop)
    test, cut = bench.split.test, served(model, index, float(share) / 100)
    uncut = SparseRetriever(model, every, _below_all(every), n_threads=1)
    network = sum(value.nbytes for value in backbone.interaction.state_dict().values())
    retrievers = {NO_CODES: ExactRetriever(backbone, {"network": network}), NO_CUT: uncut, WHOLE: cut}
    bench.tell("Measuring recall and times")
    recall = {name: float(np.nanmean(recall_by_user(retriever, test))) for name, retriever in retrievers.items()}
    calls = {NO_CODES: whole(retrievers[NO_CODES]), NO_CUT: of_codes(model, uncut), WHOLE: of_codes(model, cut)}
    times = in_turn(calls, test.queries, bench)
    direct = ExactRetriever(SparseDirectScorer(model, cut.threshold)).retrieve(test.queries, DEFAULT_K).item_ids
    same = float((cut.retrieve(test.queries, DEFAULT_K).item_ids == direct).all(1).mean())
    size = {name: float(sum(retriever.size_bytes().values())) for name, retriever in retrievers.items()}
    return [
        Row(name, {"recall": recall[name], "ms": times[name].total_ms, "bytes": size[name]} | ({"same": same} if name == WHOLE else {}))
        for name in retrievers
    ]


def _below_all(index: InvertedIndex) -> float:
    return float(np.nextafter(index.scores.min(), np.float32(-np.inf)))


def read(rows: Rows) -> tuple[Reading, ...]:
    """What codes keep and save, what the cut keeps and saves, and whether the index is the model."""
    all_pairs, uncut, ours = (named(rows, name) for name in (NO_CODES, NO_CUT, WHOLE))
    kept, faster = ours["recall"] / all_pairs["recall"], all_pairs["ms"] / ours["ms"]
    smaller, of_cut = uncut["bytes"] / ours["bytes"], ours["recall"] / uncut["recall"]
    return (
        Reading(
            "Tokenizer, quantizer, network, sparse score and index together serve the all-to-all network fast, and lose little.",
            kept >= KEPT and faster > 1,
            f"SparCode keeps {kept:.0%} of all-to-all's recall ({ours['recall']:.3f} of {all_pairs['recall']:.3f}) and answers a query in "
            f"{ours['ms']:.3f} ms in place of {all_pairs['ms']:.3f} ms.",
            f"That is {times_text(faster)} as fast: E(code, item) is looked up and not computed.",
        ),
        Reading(
            "The sparse score drops most scores of the table at little cost.",
            smaller > 1 and of_cut >= KEPT,
            f"The cut makes the index {smaller:.1f} times smaller ({readable_bytes(uncut['bytes'])} to {readable_bytes(ours['bytes'])}) "
            f"and keeps {of_cut:.0%} of the recall that the whole table has ({uncut['recall']:.3f}).",
        ),
        Reading(
            "What was trained is what is served: the index returns the thresholded model's own items.",
            ours["same"] == 1.0,
            f"For {ours['same']:.1%} of the test users the index returns the same {DEFAULT_K} items, in the same order, as scoring "
            "every item.",
        ),
    )


LESSON: Final = Lesson(
    number=1,
    title="The parts and how they work together",
    question="What are the key components of SparCode, and how do they work together?",
    goal="See what each part of SparCode pays for by taking one away at a time.",
    control=Control(
        "Scores kept by the threshold",
        {"20": "20%", "5": "5%", "1": "1%"},
        "The share of all (code, item) scores that stays in the index.",
    ),
    prediction=Number(
        "The network alone scores every item for every user. With codes, a cut table and an index in its place: how many percent of its "
        f"Recall@{DEFAULT_K} are left?",
        "%",
        0,
        150,
        50,
        1,
        5,
        lambda rows: 100 * named(rows, WHOLE)["recall"] / named(rows, NO_CODES)["recall"],
    ),
    experiment=experiment,
    read=read,
    measured="The same trained network three ways: scoring every item, through codes whose table is kept whole, and through codes with the "
    "table cut at the threshold. Recall is that of all test users; times are medians of single queries, the three in turn.",
    pictures=(
        Picture("Recall without each part", "bars", {"recall": "recall"}, f"Recall@{DEFAULT_K}"),
        Picture("Time of a query without each part", "bars", {"ms": "time"}, "ms per query"),
    ),
    columns={
        "recall": Column(f"Recall@{DEFAULT_K}", ".4f"),
        "ms": Column("ms per query", ".4g"),
        "bytes": Column("kB to search", ",.1f", 1e-3),
        "same": Column("users with the network's own top items", ".1%"),
    },
    ways_on=(
        WayOn("Follow one user through all the parts", "query.py", {"step": "all"}),
        WayOn("Move the threshold and watch all figures follow", "index_explorer.py", {"keep": "20"}),
    ),
)

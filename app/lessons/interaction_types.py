"""Lesson 8: four interaction networks, trained alike and served alike."""

from __future__ import annotations

import time
from typing import Final, get_args

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of, in_turn, index_of, recall_by_user, served
from app.lessons.prediction import Choice
from app.lessons.reading import ERROR_OF, Reading, Row, Rows, gain_text, named, outcome
from sparcode.comparison.peers import of_codes
from sparcode.config import DEFAULT_K, ModelConfig
from sparcode.training.pipeline import fine_tune, preview, train_backbone

TYPES: Final = get_args(ModelConfig.model_fields["interaction"].annotation)
DOT: Final = "dot"
WORDS: Final = {"dot": "Dot product", "mlp": "DNN (mlp)", "cross": "Cross network (DCN-v2)", "attention": "Self-attention"}
# The slowest answers a query in at most this many times the time of the fastest: served alike.
ALIKE: Final = 1.25
# Joint epochs are this share of the others.
JOINT: Final = 1 / 3


def experiment(bench: Bench, epochs: str) -> Rows:
    """Train each type for the same epochs, index it at the same share of scores, and time all in turn."""
    n_epochs = min(int(epochs), bench.config.training.epochs)
    n_joint = min(max(1, round(n_epochs * JOINT)), bench.config.training.joint_epochs)
    recall, seconds, size, calls = {}, {}, {}, {}
    for name in TYPES:
        config = changed(bench.config, model={"interaction": name}, training={"epochs": n_epochs, "joint_epochs": n_joint})
        bench.tell(f"Training with {WORDS[name]}")
        started = time.thread_time()
        backbone, _ = train_backbone(bench.split, config, bench.on_epoch, bench.should_stop, "cpu")
        bench.check()
        model = preview(backbone, bench.split, config)
        fine_tune(model, bench.split, config, bench.on_epoch, bench.should_stop)
        bench.check()
        seconds[name] = time.thread_time() - started
        retriever = served(model, index_of(model, bench), config.training.density)
        recall[name], size[name] = recall_by_user(retriever, bench.split.test), float(sum(retriever.size_bytes().values()))
        calls[name] = of_codes(model, retriever)
    bench.tell("Timing queries in turn")
    times = in_turn(calls, bench.split.test.queries, bench)
    rows = []
    for name in TYPES:
        gain = gain_of(recall[name], recall[DOT])
        values = {"recall": float(np.nanmean(recall[name])), "seconds": seconds[name], "ms": times[name].total_ms, "bytes": size[name]}
        beside = {} if name == DOT else {"gain": gain.mean, "error": gain.error}
        rows.append(Row(name, {**values, **beside, "epochs": float(n_epochs)}))
    return rows


def best_of(rows: Rows) -> str:
    """The type that finds most."""
    return max(rows, key=lambda row: row["recall"]).name


def _most(dot: Row, best: Row) -> str:
    """The dot product beside the best of the others."""
    gain = gain_text(best["gain"], best["error"])
    if best["recall"] > dot["recall"]:
        return (
            f"{WORDS[best.name]} finds most: Recall@{DEFAULT_K} {best['recall']:.4f} against a dot product's {dot['recall']:.4f}, {gain}."
        )
    return f"The dot product finds most: Recall@{DEFAULT_K} {dot['recall']:.4f}; next is {WORDS[best.name]}, {best['recall']:.4f}, {gain}."


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether a network beats the dot product, whether queries cost alike, and what training costs."""
    others = [row for row in rows if row.name != DOT]
    dot, best = named(rows, DOT), max(others, key=lambda row: row["recall"])
    slowest, fastest = max(row["ms"] for row in rows), min(row["ms"] for row in rows)
    dearest, cheapest = max(rows, key=lambda row: row["seconds"]), min(rows, key=lambda row: row["seconds"])
    each = ", ".join(f"{WORDS[row.name]} {gain_text(row['gain'], row['error'])}" for row in others)
    return (
        Reading(
            "A more expressive interaction finds more.",
            outcome(best["gain"], best["error"]) > 0,
            _most(dot, best),
            f"Against the dot product, user by user after {dot['epochs']:.0f} epochs each: {each}. {ERROR_OF}.",
        ),
        Reading(
            "A query costs the same whatever the network: E(code, item) is computed ahead of time.",
            slowest <= ALIKE * fastest,
            f"A query takes {fastest:.3f} to {slowest:.3f} ms over all four, {slowest / fastest:.2f} times apart.",
            "So the network may be chosen by accuracy and by what training and building the index cost, not by what a query may cost.",
        ),
        Reading(
            "What it costs is training.",
            dearest["seconds"] > ALIKE * cheapest["seconds"],
            f"Training took {cheapest['seconds']:.1f} s of processor time with {WORDS[cheapest.name]} and {dearest['seconds']:.1f} s with "
            f"{WORDS[dearest.name]}.",
        ),
    )


LESSON: Final = Lesson(
    number=8,
    title="Which interaction network",
    question="How do interaction types (dot, DNN, cross network, attention) compare, and what does that imply?",
    goal="Train four interaction networks for the same epochs and compare recall, training and the time of a query.",
    control=Control(
        "Epochs of each",
        {"10": "10, then 3 with codes", "30": "30, then 10 with codes"},
        "The same for all four. With few epochs a network that learns slowly has not shown what it can do; the long run takes two minutes.",
    ),
    prediction=Choice(
        f"Which interaction has the highest Recall@{DEFAULT_K} of test users, through its index?",
        WORDS,
        best_of,
    ),
    experiment=experiment,
    read=read,
    measured="Everything but the interaction is the same: encoder, tokens, codebooks, seed and epochs. Each is trained without codes and "
    "then with codes, and served by its own index at the same share of scores; queries are timed in turn.",
    pictures=(
        Picture("Recall by interaction", "bars", {"recall": "recall"}, f"Recall@{DEFAULT_K}"),
        Picture("Training time by interaction", "bars", {"seconds": "training"}, "s of processor time"),
        Picture("Time of a query by interaction", "bars", {"ms": "query"}, "ms per query"),
    ),
    columns={
        "epochs": Column("epochs", ".0f"),
        "recall": Column(f"Recall@{DEFAULT_K}", ".4f"),
        "gain": Column("over the dot product", "+.4f"),
        "error": Column("its standard error", ".4f"),
        "seconds": Column("training (s)", ".4g"),
        "ms": Column("ms per query", ".4g"),
        "bytes": Column("index (kB)", ",.1f", 1e-3),
    },
    ways_on=(
        WayOn("Open the Explorer with the cross network", "index_explorer.py", {"interaction": "cross"}),
        WayOn("Train with attention and watch it learn", "train.py", {"t_interaction": "attention"}),
    ),
)

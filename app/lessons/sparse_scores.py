"""Lesson 5: the sparse score function, its threshold in training and at serving."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of, index_of, recall_by_user, served
from app.lessons.prediction import Choice
from app.lessons.reading import BY_USER, Reading, Row, Rows, gain_text, line, outcome
from sparcode.comparison.table import readable_bytes
from sparcode.config import DEFAULT_K

USUAL: Final = "trained with the usual cut"
SHARP: Final = "trained with a sharper cut"
SHARES: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


def experiment(bench: Bench, percent: str) -> Rows:
    """Two models from one backbone, trained under different thresholds; each index cut at the same shares of scores."""
    sharp = float(percent) / 100
    found, rows = {}, []
    for name, density in ((USUAL, bench.config.training.density), (SHARP, sharp)):
        bench.tell(f"Training under a threshold that keeps {density:.0%}")
        model = bench.tuned(changed(bench.config, training={"density": density}))
        index = index_of(model, bench)
        bench.tell(f"Cutting the index of the model trained at {density:.0%}")
        for share in sorted({*SHARES, sharp}, reverse=True):
            retriever = served(model, index, share)
            found[name, share] = recall_by_user(retriever, bench.split.test)
            size = float(sum(index.size_bytes(retriever.threshold).values()))
            kept = index.density(retriever.threshold)
            values = {"trained": density, "share": share, "kept": kept, "tau": retriever.threshold, "bytes": size}
            rows.append(Row(name, {**values, "recall": float(np.nanmean(found[name, share]))}))
    gain = gain_of(found[SHARP, sharp], found[USUAL, sharp])
    return [Row(row.name, {**row.values, "gain": gain.mean, "error": gain.error}) if _decides(row) else row for row in rows]


def _decides(row: Row) -> bool:
    """Whether it is the model trained with the sharper cut, served at it."""
    return row.name == SHARP and row["share"] == row["trained"]


def _deciding(rows: Rows) -> Row:
    (found,) = [row for row in rows if "gain" in row.values]
    return found


def better(rows: Rows) -> str:
    """Which finds more at the sharper cut: an option of the prediction."""
    row = _deciding(rows)
    return {1: "knows", 0: "same", -1: "not"}[outcome(row["gain"], row["error"])]


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether tau alone sets the size, and whether training under the cut pays."""
    usual, decides = line(rows, USUAL), _deciding(rows)
    first, last = usual[0], usual[-1]
    falls = all(one["bytes"] > two["bytes"] and one["tau"] <= two["tau"] for one, two in pairwise(usual))
    rival = next(row for row in usual if row["share"] == decides["share"])
    return (
        Reading(
            "One number, the threshold, sets how sparse the index is, and nothing is trained or built again.",
            falls,
            f"From τ = {first['tau']:.3g} to {last['tau']:.3g} the index goes from {readable_bytes(first['bytes'])} to "
            f"{readable_bytes(last['bytes'])}, and recall goes from {first['recall']:.3f} to {last['recall']:.3f}.",
            f"It keeps {first['kept']:.1%} of the scores at first and {last['kept']:.2%} in the end. A score below τ is 0 and needs no "
            "posting; those above count by how far they are above.",
        ),
        Reading(
            "A model trained under a sharp threshold serves better at it than one cut afterwards.",
            outcome(decides["gain"], decides["error"]) > 0,
            f"At {decides['share']:.0%} of the scores, the model trained for it finds {decides['recall']:.4f}, the one trained at "
            f"{usual[0]['trained']:.0%} finds {rival['recall']:.4f}: {gain_text(decides['gain'], decides['error'])}.",
            f"The difference is taken {BY_USER}.",
        ),
    )


LESSON: Final = Lesson(
    number=5,
    title="What the sparse score function is for",
    question="What is the sparse score function for, and how does it control sparsity?",
    goal="Move the threshold of ReLU(E - τ) at serving and in training, and see what each changes.",
    control=Control(
        "Share that the sharper training keeps",
        {"2": "2%", "5": "5%", "1": "1%"},
        "Training sets τ before each epoch so that this share of the (code, item) scores lies above it.",
    ),
    prediction=Choice(
        "One model is trained under the usual threshold and then cut sharply; another is trained under the sharp threshold. Served at the "
        "sharp cut, which finds more, beyond noise?",
        {"knows": "The one trained for it", "same": "No difference beyond noise", "not": "The one cut afterwards"},
        better,
    ),
    experiment=experiment,
    read=read,
    measured="Both start from the same network and have the same epochs; only the threshold in training differs. Each has one index, cut "
    "at the same shares of its scores.",
    pictures=(
        Picture(
            "Recall by share of scores kept",
            "lines",
            {"recall": "recall"},
            f"Recall@{DEFAULT_K}",
            "kept",
            "% of scores kept",
            log_x=True,
            x_scale=100,
        ),
        Picture("Size by threshold", "lines", {"bytes": "size"}, "MB", "tau", "threshold τ", 1e-6, log_y=True),
    ),
    columns={
        "trained": Column("trained at", ".0%"),
        "share": Column("served at", ".0%"),
        "tau": Column("τ", ".4g"),
        "kept": Column("scores kept", ".2%"),
        "bytes": Column("kB", ",.1f", 1e-3),
        "recall": Column(f"Recall@{DEFAULT_K}", ".4f"),
        "gain": Column("gain of training for it", "+.4f"),
        "error": Column("its standard error", ".4f"),
    },
    ways_on=(
        WayOn("Drag the threshold yourself", "index_explorer.py", {"keep": "1.02"}),
        WayOn("See where τ cuts the lists of one user", "query.py", {"step": "lists"}),
    ),
)

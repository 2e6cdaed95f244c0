"""Lesson 9: number and size of codebooks, at equal epochs."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of, index_of, recall_by_user, served
from app.lessons.prediction import Choice
from app.lessons.reading import BY_USER, Reading, Row, Rows, gain_text, line, outcome
from sparcode.comparison.table import readable_bytes
from sparcode.config import DEFAULT_K
from sparcode.metrics.codes import perplexity
from sparcode.training.pipeline import fine_tune, preview

# M -> K; with one and two codebooks there are as many possible codes.
GRID: Final = {1: (16, 64, 256), 2: (4, 8, 16, 64)}
ONE: Final = "1 codebook"
TWO: Final = "2 codebooks"
_NAMES: Final = {1: ONE, 2: TWO}
# As many possible codes with one codebook and with two.
SAME_CODES: Final = (16, 64, 256)


def experiment(bench: Bench, epochs: str) -> Rows:
    """Fine-tune every M and K for the same epochs from one backbone; recall, lists and bytes at the training's share of scores."""
    bench.tell("Getting the network ready")
    backbone, rows, recall = bench.backbone(bench.config), [], {}
    n_epochs = min(int(epochs), bench.config.training.joint_epochs)
    for n_codebooks, sizes in GRID.items():
        for size in sizes:
            books = {"kind": "product", "n_codebooks": n_codebooks, "codebook_size": size}
            config = changed(bench.config, quantizer=books, training={"joint_epochs": n_epochs})
            bench.tell(f"M = {n_codebooks}, K = {size}")
            model = preview(backbone, bench.split, config)
            fine_tune(model, bench.split, config, bench.on_epoch, bench.should_stop)
            bench.check()
            retriever = served(model, index := index_of(model, bench), config.training.density)
            recall[n_codebooks, size] = recall_by_user(retriever, bench.split.test)
            used = model.used_codes(bench.split.train_queries)
            figures = {
                "size": float(size),
                "possible": float(size**n_codebooks),
                "codewords": float(size * n_codebooks),
                "lists": float(index.n_lists),
                "bytes": float(sum(index.size_bytes(retriever.threshold).values())),
                "perplexity": float(perplexity(*used).mean()),
                "recall": float(np.nanmean(recall[n_codebooks, size])),
                "epochs": float(n_epochs),
            }
            rows.append(Row(_NAMES[n_codebooks], figures))
    return [_with_gains(row, recall) for row in rows]


def _with_gains(row: Row, recall: dict[tuple[int, int], np.ndarray]) -> Row:
    """Gains over the smallest setting, and of one codebook over two with as many possible codes."""
    m = next(number for number, name in _NAMES.items() if name == row.name)
    own, values = recall[m, int(row["size"])], dict(row.values)
    least = gain_of(own, recall[1, GRID[1][0]])
    values |= {"gain": least.mean, "error": least.error}
    if m == 1:
        two = gain_of(own, recall[2, round(row["possible"] ** 0.5)])
        values |= {"over_two": two.mean, "over_two_error": two.error}
    return Row(row.name, values)


def words(row: Row) -> str:
    """A setting as the prediction names it."""
    return f"{1 if row.name == ONE else 2}x{row['size']:.0f}"


def best_of(rows: Rows) -> str:
    """The setting that finds most."""
    return words(max(rows, key=lambda row: row["recall"]))


def _trained(row: Row) -> str:
    if row["epochs"] == 0:
        return "Codebooks are those of k-means: nothing was trained for them yet."
    return f"All had {row['epochs']:.0f} joint epochs; settings with many codes may need more to show all they can do."


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether more codes find more, whether the gain flattens as the index grows, and one large codebook against two small ones."""
    one = line(rows, ONE)
    best = max(rows, key=lambda row: row["recall"])
    largest, first, middle, last = max(rows, key=lambda row: row["possible"]), *one
    early, late = middle["recall"] - first["recall"], last["recall"] - middle["recall"]
    apart = "; ".join(
        f"{row['possible']:.0f} codes: {gain_text(row['over_two'], row['over_two_error'])}" for row in one if "over_two" in row.values
    )
    return (
        Reading(
            "More codes find more.",
            outcome(largest["gain"], largest["error"]) > 0,
            f"Recall@{DEFAULT_K} goes from {first['recall']:.4f} with {first['possible']:.0f} possible codes to {largest['recall']:.4f} "
            f"with {largest['possible']:,.0f}: {gain_text(largest['gain'], largest['error'])}; the best is M x K = {words(best)} with "
            f"{best['recall']:.4f}.",
            f"Differences are taken {BY_USER}. {_trained(first)}",
        ),
        Reading(
            "The gain flattens while the index grows on.",
            early > max(0.0, late) and last["bytes"] > middle["bytes"],
            f"With one codebook, four times the codewords bring {early:+.4f} from K = {first['size']:.0f} to {middle['size']:.0f} and "
            f"{late:+.4f} from there to {last['size']:.0f}, while the index goes from "
            f"{readable_bytes(first['bytes'])} over {readable_bytes(middle['bytes'])} to {readable_bytes(last['bytes'])}.",
        ),
        Reading(
            "For as many possible codes one large codebook finds more than two small ones, which have fewer codewords to choose.",
            all(outcome(row["over_two"], row["over_two_error"]) >= 0 for row in one)
            and any(outcome(row["over_two"], row["over_two_error"]) > 0 for row in one),
            f"One codebook against two: {apart}.",
            f"Two codebooks of {max(GRID[2])} reach {largest['possible']:,.0f} codes with {largest['codewords']:.0f} codewords; one "
            "codebook would need as many codewords as codes.",
        ),
    )


LESSON: Final = Lesson(
    number=9,
    title="How many codebooks, how large",
    question="How do number and capacity of codebooks trade off?",
    goal="Measure recall, lists and size over M and K, at equal epochs.",
    control=Control(
        "Joint epochs of each",
        {"2": "2", "0": "0: k-means alone"},
        "How long network and codebooks are trained together, the same for every setting.",
    ),
    prediction=Choice(
        f"Which setting of M x K has the highest Recall@{DEFAULT_K} of test users?",
        {f"{m}x{size}": f"{m} x {size} ({size**m:,} possible codes)" for m, sizes in GRID.items() for size in sizes},
        best_of,
    ),
    experiment=experiment,
    read=read,
    measured="Every setting starts from the same network by k-means, is trained on for the same epochs, and is served by its own index at "
    "the same share of scores.",
    pictures=(
        Picture("Recall by possible codes", "lines", {"recall": "recall"}, f"Recall@{DEFAULT_K}", "possible", "possible codes", log_x=True),
        Picture("Size by possible codes", "lines", {"bytes": "size"}, "MB", "possible", "possible codes", 1e-6, True, True),
    ),
    columns={
        "epochs": Column("joint epochs", ".0f"),
        "size": Column("K", ".0f"),
        "possible": Column("possible codes", ",.0f"),
        "codewords": Column("codewords", ",.0f"),
        "lists": Column("lists stored", ",.0f"),
        "bytes": Column("kB", ",.1f", 1e-3),
        "perplexity": Column("perplexity", ".1f"),
        "recall": Column(f"Recall@{DEFAULT_K}", ".4f"),
        "gain": Column("over 1 x 16", "+.4f"),
        "error": Column("its standard error", ".4f"),
        "over_two": Column("over two codebooks", "+.4f"),
        "over_two_error": Column("standard error of that", ".4f"),
    },
    ways_on=(
        WayOn("Search all settings for the best under a budget", "index_explorer.py", {}),
        WayOn("Open M = 2, K = 64", "index_explorer.py", {"m": "2", "k": "64"}),
    ),
)

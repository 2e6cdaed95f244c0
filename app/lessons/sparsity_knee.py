"""Lesson 10: how far the scores can be cut, against recall, size and time, and where the knee is."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import in_turn, index_of, recall_by_user, served
from app.lessons.prediction import Choice
from app.lessons.reading import Reading, Row, Rows
from sparcode.comparison.peers import of_codes
from sparcode.comparison.table import readable_bytes
from sparcode.config import DEFAULT_K

SHARES: Final = (0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
NAME: Final = "SparCode"
# Sooner by more than this share counts.
NOISE: Final = 0.1


def experiment(bench: Bench, loss: str) -> Rows:
    """One index at falling shares of scores: recall of validation and test users, size, and time of single queries, all in turn."""
    bench.tell("Getting the model ready")
    model = bench.tuned(bench.config)
    index = index_of(model, bench)
    retrievers = {share: served(model, index, share) for share in SHARES}
    bench.tell("Timing queries in turn")
    times = in_turn({f"{share}": of_codes(model, one) for share, one in retrievers.items()}, bench.split.test.queries, bench)
    rows = []
    for share, retriever in retrievers.items():
        bench.tell(f"Measuring recall at {share:.1%}")
        validation, test = (float(np.nanmean(recall_by_user(retriever, part))) for part in (bench.split.validation, bench.split.test))
        figures = {
            "share": share,
            "kept": index.density(retriever.threshold),
            "validation": validation,
            "recall": test,
            "bytes": float(sum(index.size_bytes(retriever.threshold).values())),
            "ms": times[f"{share}"].total_ms,
            "loss": float(loss) / 100,
        }
        rows.append(Row(NAME, figures))
    return rows


def knee(rows: Rows) -> Row:
    """The fewest scores whose validation recall is within the allowed loss of the best."""
    least = (1 - rows[0]["loss"]) * max(row["validation"] for row in rows)
    return min((row for row in rows if row["validation"] >= least), key=lambda row: row["share"])


def key(row: Row) -> str:
    """A row as an option of the prediction."""
    return f"{100 * row['share']:g}"


def read(rows: Rows) -> tuple[Reading, ...]:
    """What the knee saves and what it costs."""
    chosen, most, least = knee(rows), rows[0], rows[-1]
    smaller, faster = most["bytes"] / chosen["bytes"], most["ms"] / chosen["ms"]
    kept = chosen["recall"] / most["recall"]
    return (
        Reading(
            "Most scores can be dropped at little loss.",
            chosen["share"] <= most["share"] / 2 and kept >= 1 - 2 * chosen["loss"],
            f"Within {chosen['loss']:.0%} of the best recall of validation users, {chosen['share']:.1%} of the scores are enough: "
            f"{readable_bytes(chosen['bytes'])} in place of {readable_bytes(most['bytes'])}.",
            f"Chosen on validation users; test users find {chosen['recall']:.4f} there and {most['recall']:.4f} at {most['share']:.0%}, "
            f"{kept:.1%} of it; the index is smaller by a factor of {smaller:.1f}.",
        ),
        Reading(
            "Fewer scores answer sooner.",
            faster > 1 + NOISE,
            f"A query takes {chosen['ms']:.3f} ms at the knee and {most['ms']:.3f} ms at {most['share']:.0%}: {faster:.2f} times as fast.",
            f"At {least['share']:.1%} it is {least['ms']:.3f} ms. Encoding the query does not depend on the cut, so time falls less "
            "than size.",
        ),
        Reading(
            "Beyond the knee recall falls.",
            least["recall"] < (1 - chosen["loss"]) * chosen["recall"],
            f"At {least['share']:.1%} of the scores recall is {least['recall']:.4f}, {least['recall'] / chosen['recall']:.0%} of that at "
            "the knee.",
        ),
    )


LESSON: Final = Lesson(
    number=10,
    title="How sparse it should be",
    question="How does the sparsity of cached scores move accuracy and speed, and how are they balanced?",
    goal="Cut one index ever further, and choose the cut by the loss of recall you allow.",
    control=Control(
        "Loss of recall allowed",
        {"1": "1%", "2": "2%", "5": "5%"},
        "Relative to the best recall of validation users at any cut.",
    ),
    prediction=Choice(
        "Which is the smallest share of scores whose recall is within the allowed loss of the best?",
        {f"{100 * share:g}": f"{100 * share:g}%" for share in SHARES},
        lambda rows: key(knee(rows)),
    ),
    experiment=experiment,
    read=read,
    measured="One trained model and its index, cut at eight shares of its scores. Nothing is trained or built again. The cut is chosen on "
    "validation users and reported on test users.",
    pictures=(
        Picture(
            "Recall by share of scores kept",
            "lines",
            {"recall": "test users", "validation": "validation users"},
            f"Recall@{DEFAULT_K}",
            "kept",
            "% of scores kept",
            log_x=True,
            x_scale=100,
        ),
        Picture(
            "Time of a query by share of scores kept",
            "lines",
            {"ms": "time"},
            "ms per query",
            "kept",
            "% of scores kept",
            log_x=True,
            x_scale=100,
        ),
        Picture("Size by share of scores kept", "lines", {"bytes": "size"}, "MB", "kept", "% of scores kept", 1e-6, True, True, 100),
    ),
    columns={
        "loss": Column("loss allowed", ".0%"),
        "share": Column("share asked for", ".1%"),
        "kept": Column("scores kept", ".2%"),
        "recall": Column(f"Recall@{DEFAULT_K}, test", ".4f"),
        "validation": Column("validation", ".4f"),
        "bytes": Column("kB", ",.1f", 1e-3),
        "ms": Column("ms per query", ".4g"),
    },
    ways_on=(
        WayOn("Set this cut in the Explorer", "index_explorer.py", {"keep": "4.9"}),
        WayOn("Find the smallest index within 1% of the best", "index_explorer.py", {}),
    ),
)

"""Lesson 6: codebooks by moving averages, what goes wrong with them, and what remedies it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of
from app.lessons.prediction import Number
from app.lessons.reading import BY_USER, Reading, Row, Rows, gain_text, line, outcome
from sparcode.config import DEFAULT_K, QuantizerConfig, RunConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.sparcode_model import TOKEN_SAMPLE, SparCodeModel
from sparcode.retrieval.top_k import top_k
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import fine_tune, preview

EPOCHS: Final = 8
NONE: Final = "no remedy"
REVIVAL: Final = "revival"
START: Final = "k-means start"
BOTH: Final = "both"


class Remedy(NamedTuple):
    """Whether codebooks start by k-means on tokens, not at random vectors, and whether unused codewords are revived."""

    by_kmeans: bool
    revives: bool


REMEDIES: Final = {NONE: Remedy(False, False), REVIVAL: Remedy(False, True), START: Remedy(True, False), BOTH: Remedy(True, True)}
# Codewords without a token from which on they are a problem.
PROBLEM: Final = 0.05


def experiment(bench: Bench, size: str) -> Rows:
    """The paper's plain form (one code per token, moving averages) with and without remedies, epoch by epoch, from one backbone."""
    rows, recall = [], {}
    epochs = min(EPOCHS, bench.config.training.joint_epochs)
    bench.tell("Getting the network ready")
    backbone = bench.backbone(bench.config)
    for name, remedy in REMEDIES.items():
        plain = {"n_codebooks": 1, "codebook_size": int(size), "n_nearest": 1, "codebook_update": "ema", "kind": "product"}
        revival = {"revive_below": QuantizerConfig().revive_below if remedy.revives else 0.0}
        config = changed(bench.config, quantizer=plain | revival, training={"joint_epochs": epochs})
        bench.tell(f"Training with {name}")
        model = preview(backbone, bench.split, config)
        if not remedy.by_kmeans:
            start_at_random(model, bench.split.train_queries, config)
        records = _trained(model, config, bench)
        recall[name] = _validation(model, bench.split.validation)
        rows += [_row(name, record) for record in records]
    gain = gain_of(recall[BOTH], recall[NONE])
    return [*rows, *(Row(f"{name}, best epoch", _final(recall[name], gain if name == BOTH else None)) for name in REMEDIES)]


@torch.no_grad()
def start_at_random(model: SparCodeModel, queries: Histories, config: RunConfig) -> None:
    """Put the codewords at random vectors that have mean and variance of the tokens in every dimension, and set the threshold anew."""
    quantizer, seed = model.quantizer, config.training.seed
    tokens = model.backbone.token_sample(queries, TOKEN_SAMPLE, seed)
    noise = torch.randn(quantizer.codebooks.shape, generator=torch.Generator().manual_seed(seed)).to(tokens.device)
    quantizer.codebooks.copy_(tokens.mean(0) + tokens.std(0) * noise)
    quantizer.usage.fill_(1.0)
    quantizer.position_sum.copy_(quantizer.codebooks)
    model.set_density(queries, config.training.density, seed)


def _trained(model: SparCodeModel, config: RunConfig, bench: Bench) -> list[EpochRecord]:
    records = fine_tune(model, bench.split, config, bench.on_epoch, bench.should_stop)
    bench.check()
    return records


def _row(name: str, record: EpochRecord) -> Row:
    figures = {"perplexity": record.perplexity, "unused": record.dead_share, "revived": float(record.revived), "recall": record.recall}
    return Row(name, {"epoch": float(record.epoch), **figures})


def _validation(model: SparCodeModel, evaluation: EvaluationSet) -> np.ndarray:
    found = top_k(model.servable_scores(evaluation.queries), DEFAULT_K, evaluation.queries).item_ids
    return recall_at_k(found, evaluation.targets, DEFAULT_K)


def _final(recall: np.ndarray, gain: tuple[float, float] | None) -> dict[str, float]:
    values = {"recall": float(np.nanmean(recall))}
    return values if gain is None else values | {"gain": gain[0], "error": gain[1]}


def last(rows: Rows, name: str) -> Row:
    """The last epoch of a variant."""
    return line(rows, name)[-1]


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether codewords die, whether the remedies keep them alive, and whether recall gains by it."""
    none, revival, start, both = (last(rows, name) for name in REMEDIES)
    first, epochs = line(rows, NONE)[0], none["epoch"]
    final = line(rows, f"{BOTH}, best epoch")[0]
    without = line(rows, f"{NONE}, best epoch")[0]
    return (
        Reading(
            "Without remedies codewords die: no token falls on them any more.",
            none["unused"] >= PROBLEM,
            f"After {epochs:.0f} epochs without a remedy {none['unused']:.1%} of the codewords are unused; at the random start it "
            f"was {first['unused']:.1%}.",
            f"Perplexity, the number of evenly used codewords that say as much, went from {first['perplexity']:.0f} to "
            f"{none['perplexity']:.0f}.",
        ),
        Reading(
            "Revival and a k-means start keep codewords in use.",
            revival["unused"] < none["unused"] and start["unused"] < none["unused"],
            f"Unused are {revival['unused']:.1%} with revival, {start['unused']:.1%} with a k-means start and {both['unused']:.1%} with "
            f"both, against {none['unused']:.1%}; perplexity is {both['perplexity']:.0f} with both, against {none['perplexity']:.0f}.",
        ),
        Reading(
            "Codewords in use are worth recall.",
            outcome(final["gain"], final["error"]) > 0,
            f"Validation users find {final['recall']:.4f} with both remedies and {without['recall']:.4f} without: "
            f"{gain_text(final['gain'], final['error'])}.",
            f"At each variant's best epoch, chosen on these same validation users, {BY_USER}.",
        ),
    )


LESSON: Final = Lesson(
    number=6,
    title="Training it, and keeping codewords alive",
    question="How is the whole optimised, with EMA codebooks; which problems arise, and what remedies them?",
    goal="Watch codewords that move by averages (EMA) epoch by epoch, with and without two remedies.",
    version=2,
    control=Control(
        "Codebook size K",
        {"256": "256", "1024": "1024"},
        "More codewords are harder to keep in use: each has fewer tokens.",
    ),
    prediction=Number(
        "Codebooks start at random vectors and follow the moving averages of the tokens that fall on them, with no remedy. After the last "
        "epoch: how many percent of the codewords are unused, because no token of a training user falls on them?",
        "%",
        0,
        100,
        20,
        1,
        5,
        lambda rows: 100 * last(rows, NONE)["unused"],
    ),
    experiment=experiment,
    read=read,
    measured="The paper's plain form: one nearest code per token, codewords by exponential moving average, network and codebooks trained "
    f"together for at most {EPOCHS} epochs from the same network. Without a k-means start codewords begin at random vectors with the "
    "tokens' mean and variance. Use of codewords is that of up to 1,024 training users' queries.",
    pictures=(
        Picture("Unused codewords", "lines", {"unused": "unused"}, "% of K", "epoch", "joint epoch", 100),
        Picture("Perplexity of the codebook", "lines", {"perplexity": "perplexity"}, "codewords", "epoch", "joint epoch"),
    ),
    columns={
        "epoch": Column("epoch", ".0f"),
        "unused": Column("unused codewords", ".1%"),
        "perplexity": Column("perplexity", ".1f"),
        "revived": Column("re-seeded", ",.0f"),
        "recall": Column(f"Recall@{DEFAULT_K}, validation", ".4f"),
        "gain": Column("gain of both", "+.4f"),
        "error": Column("its standard error", ".4f"),
    },
    ways_on=(
        WayOn("Train with EMA codebooks and play the use of codewords", "train.py", {"t_update": "ema"}),
        WayOn("See the use of every codeword", "index_explorer.py", {"p": "1"}),
    ),
)

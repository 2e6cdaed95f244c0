"""Lesson 4: the interaction network against a dot product in its place, everything else alike."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.measures import gain_of, index_of, recall_by_user, served
from app.lessons.prediction import Choice
from app.lessons.reading import BY_USER, Reading, Row, Rows, gain_text, named, outcome
from sparcode.config import DEFAULT_K
from sparcode.retrieval.exact import ExactRetriever

DOT: Final = "dot product"
NETWORK: Final = "network (mlp)"
_INTERACTIONS: Final = {DOT: "dot", NETWORK: "mlp"}


def experiment(bench: Bench, n_tokens: str) -> Rows:
    """Train both, without codes and with them, from the same settings; recall of test users, and the network's gain."""
    through_index, without_codes = {}, {}
    for name, interaction in _INTERACTIONS.items():
        config = changed(bench.config, model={"interaction": interaction, "n_tokens": int(n_tokens)})
        bench.tell(f"Training with {name}")
        without_codes[name] = recall_by_user(ExactRetriever(bench.backbone(config)), bench.split.test)
        bench.tell(f"Training with {name} and codes")
        model = bench.tuned(config)
        through_index[name] = recall_by_user(served(model, index_of(model, bench), config.training.density), bench.split.test)
    rows = []
    for name in _INTERACTIONS:
        coded, whole = (gain_of(found[name], found[DOT]) for found in (through_index, without_codes))
        values = {"recall": float(np.nanmean(through_index[name])), "uncoded": float(np.nanmean(without_codes[name]))}
        values["tokens"] = float(n_tokens)
        if name != DOT:
            values |= {"gain": coded.mean, "error": coded.error, "uncoded_gain": whole.mean, "uncoded_error": whole.error}
        rows.append(Row(name, values))
    return rows


def better(rows: Rows) -> str:
    """Which finds more beyond noise: an option of the prediction."""
    network = named(rows, NETWORK)
    return {1: "network", 0: "same", -1: "dot"}[outcome(network["gain"], network["error"])]


def _of_tokens(dot: Row) -> str:
    """What the number of tokens means for a dot product."""
    if dot["tokens"] == 1:
        return "With one token the dot product is that of a two-tower model, and codes are all that is new."
    return (
        f"With {dot['tokens']:.0f} tokens a query makes {dot['tokens']:.0f} dot products with an item, and their scores are added up: that "
        "alone fits more than one taste."
    )


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether the network finds more through the index, and without codes."""
    dot, network = named(rows, DOT), named(rows, NETWORK)
    uncoded = outcome(network["uncoded_gain"], network["uncoded_error"])
    return (
        Reading(
            "The all-to-all interaction network finds more than a dot product of the same tokens.",
            outcome(network["gain"], network["error"]) > 0,
            f"Through the index the network finds {network['recall']:.4f} and a dot product {dot['recall']:.4f} (Recall@{DEFAULT_K}): "
            f"{gain_text(network['gain'], network['error'])}.",
            f"The difference is taken {BY_USER}. {_of_tokens(dot)}",
        ),
        Reading(
            "The network's gain is there before codes are made, and codes do not take it away.",
            uncoded > 0 and outcome(network["gain"], network["error"]) > 0,
            f"Scoring every item, without codes, the network finds {network['uncoded']:.4f} and the dot product {dot['uncoded']:.4f}: "
            f"{gain_text(network['uncoded_gain'], network['uncoded_error'])}.",
        ),
    )


LESSON: Final = Lesson(
    number=4,
    title="What the interaction module adds",
    question="What does the all-to-all interaction module add?",
    goal="Replace the interaction network by a dot product, keep everything else, and see what is lost.",
    control=Control(
        "Tokens per query T",
        {"4": "4", "1": "1"},
        "With one token a query is one vector as in a two-tower model; with several, a dot product meets each of them.",
    ),
    prediction=Choice(
        "Both are trained alike and served by the same kind of index. Which finds more of what test users chose, beyond noise?",
        {"network": "The network", "same": "No difference beyond noise", "dot": "The dot product"},
        better,
    ),
    experiment=experiment,
    read=read,
    measured="Encoder, tokens, codebooks, epochs and seed are the same; only E(token, item) differs. Each is trained without codes, then "
    "together with codes, and served by its index at the training's share of scores.",
    pictures=(
        Picture("Recall through the index", "bars", {"recall": "recall"}, f"Recall@{DEFAULT_K}"),
        Picture("Recall without codes", "bars", {"uncoded": "recall"}, f"Recall@{DEFAULT_K}"),
    ),
    columns={
        "tokens": Column("tokens per query", ".0f"),
        "recall": Column(f"Recall@{DEFAULT_K}, index", ".4f"),
        "gain": Column("gain", "+.4f"),
        "error": Column("its standard error", ".4f"),
        "uncoded": Column(f"Recall@{DEFAULT_K}, without codes", ".4f"),
        "uncoded_gain": Column("gain without codes", "+.4f"),
        "uncoded_error": Column("standard error without codes", ".4f"),
    },
    ways_on=(
        WayOn("Watch a dot product learn from scratch", "train.py", {"t_interaction": "dot"}),
        WayOn("Open the index of the dot product", "index_explorer.py", {"interaction": "dot"}),
    ),
)

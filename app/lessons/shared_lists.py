"""Lesson 3: how many lists a cache needs with continuous tokens and with codes, as users come."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.lessons.bench import Bench, changed
from app.lessons.lesson import Column, Control, Lesson, Picture, WayOn
from app.lessons.prediction import Number
from app.lessons.reading import Reading, Row, Rows, line
from sparcode.comparison.table import readable_bytes
from sparcode.data.interactions import Histories
from sparcode.index.inverted_index import size_of_parts
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.pipeline import preview

TOKENS: Final = "a list for every token"
CODES: Final = "a list for every code"
PARTS: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
# The last doubling of users adds fewer lists than this share: the number of lists has come to rest.
AT_REST: Final = 0.25
READY: Final = 0.9


def experiment(bench: Bench, books: str) -> Rows:
    """Distinct tokens and codes of ever more training users, what their lists would take, and how many of the test users' are ready."""
    n_codebooks, size = map(int, books.split("x"))
    config = changed(bench.config, quantizer={"kind": "product", "n_codebooks": n_codebooks, "codebook_size": size})
    bench.tell("Getting the network ready")
    backbone = bench.backbone(config)
    bench.tell("Fitting the codebooks")
    model, train, rows = preview(backbone, bench.split, config), bench.split.train_queries, []
    asked = bench.split.test.queries
    of_test = {TOKENS: _tokens(model, asked), CODES: _codes(model, asked)}
    for part in PARTS:
        bench.tell(f"Counting the lists of {part:.0%} of the users")
        users = train.take(np.arange(max(1, round(part * len(train)))))
        for name, of_users in ((TOKENS, _tokens(model, users)), (CODES, _codes(model, users))):
            distinct = np.unique(of_users)
            n_bytes = size_of_parts(len(distinct), round(len(distinct) * model.n_items * config.training.density))
            ready = float(np.isin(of_test[name], distinct).mean())
            rows.append(Row(name, {"users": len(users), "lists": len(distinct), "bytes": float(sum(n_bytes.values())), "ready": ready}))
    return rows


def _tokens(model: SparCodeModel, queries: Histories) -> np.ndarray:
    """Every token of queries as one value of its bytes, so that equal ones are equal."""
    tokens = np.ascontiguousarray(model.backbone.tokens(queries).flatten(0, 1).cpu().numpy())
    return tokens.view(np.dtype((np.void, tokens.dtype.itemsize * tokens.shape[1]))).ravel()


def _codes(model: SparCodeModel, queries: Histories) -> np.ndarray:
    codes, weights = model.encode(queries)
    return model.without_lists(codes[weights > 0])


def ready_of(rows: Rows) -> float:
    """Percent of the test users' codes that have a list once all training users came."""
    return 100 * line(rows, CODES)[-1]["ready"]


def read(rows: Rows) -> tuple[Reading, ...]:
    """Whether codes need fewer lists that come to rest, and whether those of new users are ready."""
    tokens, codes = line(rows, TOKENS), line(rows, CODES)
    more = codes[-1]["lists"] / codes[-2]["lists"] - 1
    return (
        Reading(
            "Codes make the number of lists finite: it stops growing with the users.",
            codes[-1]["lists"] < tokens[-1]["lists"] and more <= AT_REST,
            f"{codes[-1]['users']:,.0f} users need {tokens[-1]['lists']:,.0f} lists with continuous tokens and {codes[-1]['lists']:,.0f} "
            f"with codes: {readable_bytes(tokens[-1]['bytes'])} against {readable_bytes(codes[-1]['bytes'])}.",
            f"The last doubling of the users added {more:.1%} to the codes in use, and {tokens[-1]['lists'] / tokens[-2]['lists'] - 1:.1%} "
            "to the tokens.",
        ),
        Reading(
            "A new user needs no new list: those of the codes are ready.",
            codes[-1]["ready"] >= READY and tokens[-1]["ready"] < READY,
            f"Of what the test users need, {codes[-1]['ready']:.1%} of the codes' lists and {tokens[-1]['ready']:.1%} of the tokens' lists "
            "were made for someone before.",
            "A code that nobody used has its list computed on the spot, or is served by the nearest one." if codes[-1]["ready"] < 1 else "",
        ),
    )


LESSON: Final = Lesson(
    number=3,
    title="Why an inverted index is possible at all",
    question="How do tokenizer and quantizer make a sparse inverted index possible?",
    goal="Count the lists that a cache of scores would need with continuous tokens and with codes.",
    control=Control(
        "Codebooks M x codewords K",
        {"2x64": "2 x 64", "1x64": "1 x 64", "1x256": "1 x 256"},
        "A code is one codeword of each codebook, so there are K to the power of M of them.",
    ),
    prediction=Number(
        "An index holds the lists of all codes that training users have. For a user it has never seen: how many percent of the lists that "
        "the user's codes need are there already?",
        "%",
        0,
        100,
        50,
        1,
        5,
        ready_of,
    ),
    experiment=experiment,
    read=read,
    measured="The trained network's tokens, and the codes that k-means makes of them, of ever more training users; then those of the test "
    "users, whom neither has seen. Sizes are of lists that keep the training's share of scores.",
    pictures=(
        Picture("Lists needed as users come", "lines", {"lists": "lists"}, "lists", "users", "users", log_x=True, log_y=True),
        Picture("Lists of new users that are ready", "lines", {"ready": "ready"}, "% ready", "users", "users", 100, log_x=True),
    ),
    columns={
        "users": Column("users", ",.0f"),
        "lists": Column("distinct lists", ",.0f"),
        "bytes": Column("kB", ",.1f", 1e-3),
        "ready": Column("ready for test users", ".1%"),
    },
    ways_on=(
        WayOn("See which codewords are used, and how evenly", "index_explorer.py", {"m": "2", "k": "64"}),
        WayOn("Watch one user's tokens find their codes", "query.py", {"step": "tokens"}),
    ),
)

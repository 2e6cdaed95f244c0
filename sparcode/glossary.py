"""The field's terms in plain words: what a thing is and what more of it does.

One source for the studio's tips, for table headers and for `docs/glossary.md`. Terms that are settings take their words from the help of
`sparcode.config`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from sparcode.config import RunConfig


class Term(NamedTuple):
    """One entry.

    Attributes
    ----------
    name
        As it stands in a text.
    meaning
        One to three sentences.
    symbol
        Its letter in formulas and beside sliders; empty for none.
    also
        Other names: of the paper, of other libraries, of table headers.
    """

    name: str
    meaning: str
    symbol: str = ""
    also: tuple[str, ...] = ()


def _setting(name: str, path: str, symbol: str = "", also: tuple[str, ...] = ()) -> Term:
    """A term that is a setting, `path` given as stage.field."""
    stage, field = path.split(".")
    return Term(name, str(RunConfig.model_fields[stage].annotation.model_fields[field].description), symbol, also)


_DATA: Final = {
    "item": Term("item", "What is recommended: a film, a book, a product. More items make every search longer."),
    "history": Term("history", "The items that one user has chosen so far, oldest first. A longer one says more about the user."),
    "query": Term("query", "What is searched with: a user's history, with what else is known of the user.", also=("user",)),
    "target": Term("target", "An item at the end of a test user's history that the models do not see and are to find."),
    "test_user": Term("test user", "A user no model was trained on, whom figures are measured with. More of them make figures surer."),
    "validation_user": Term(
        "validation user", "A user no model was trained on, who decides between epochs and settings, so that test users need not."
    ),
    "synthetic": Term("synthetic data", "Data made up by this project, whose pattern is known. It shows how a method behaves, no more."),
    "side_features": _setting("side features", "model.side_features"),
}
_MODEL: Final = {
    "encoder": _setting("query encoder", "model.encoder", also=("encoder",)),
    "token": Term("token", "One of the vectors that describe a query, as if one for each of the user's tastes."),
    "tokens": _setting("tokens per query", "model.n_tokens", "T", ("K_u in the paper",)),
    "dimensions": _setting("dimensions of a token", "model.token_dim", "D"),
    "history_tokens": _setting("history tokens", "model.history_tokens"),
    "two_tower": Term(
        "two-tower",
        "The usual model for retrieval: one vector for the user, one for the item, and their inner product as the score. Fast, but the two "
        "sides meet in that one number alone.",
    ),
    "interaction": _setting("interaction network", "model.interaction", "E", ("interaction",)),
    "all_to_all": Term(
        "all-to-all",
        "A network scores every token with every item. Accurate, and too slow to serve a large catalogue: SparCode stands in for it.",
        also=("backbone",),
    ),
    "score": Term("score", "How well an item suits a code, as the interaction network says. Items are ranked by sums of scores."),
    "teacher": Term("teacher", "A model whose scores another one learns from, beside the real choices of users."),
    "epoch": Term(
        "epoch", "One pass of training through all training users. More fit the data better, in the end too well.", also=("epochs",)
    ),
    "seed": _setting("seed", "training.seed"),
    "loss": Term("loss", "What training lowers: how surprised the model is by what users chose. Lower is better."),
}
_CODES: Final = {
    "codeword": Term("codeword", "One of the vectors that parts of tokens are replaced by, found and trained together with the model."),
    "codebooks": _setting("codebook", "quantizer.n_codebooks", "M", ("codebooks",)),
    "codebook_size": _setting("codebook size", "quantizer.codebook_size", "K", ("N or K_c in the paper",)),
    "code": Term(
        "code",
        "The number of a combination of codewords, one from each codebook. Finitely many codes stand for all users, so their scores can be "
        "computed ahead of time.",
        also=("composite code",),
    ),
    "nearest_codes": _setting("codes per token", "quantizer.n_nearest", "P"),
    "quantizer": _setting("quantizer", "quantizer.kind"),
    "codes_in_use": Term(
        "codes in use",
        "Different codes that training users have; each has a list in the index. More tell users apart better and make the index larger.",
    ),
    "distinct_codes": Term("distinct codes", "Different codes that a set of queries uses. More tell users apart better."),
    "perplexity": Term(
        "perplexity",
        "How many codewords of a codebook would do if all were used equally often. The nearer to the codebook's size, the better "
        "it is used.",
        also=("codebook perplexity",),
    ),
    "dead_share": Term(
        "unused codewords", "The share of codewords that no training user has. More of them waste the codebook.", also=("dead codewords",)
    ),
    "commitment": Term(
        "commitment",
        "How far tokens are from the codewords that replace them, as a mean squared distance. A larger one loses more of the user.",
        also=("commitment distance", "commitment loss"),
    ),
    "codebook_update": _setting("codebook update", "quantizer.codebook_update"),
    "ema": _setting("moving average of codewords", "quantizer.ema_decay", also=("EMA",)),
    "commitment_weight": _setting("weight of the commitment", "quantizer.commitment_weight", "β"),
    "straight_through": Term(
        "straight-through gradient",
        "Replacing a token by a codeword has no slope to learn from, so training passes the codeword's gradient on to the token unchanged.",
    ),
}
_INDEX: Final = {
    "score_table": Term("score table", "The scores of all codes with all items. It is made block by block and never kept as a whole."),
    "posting": Term("posting", "One entry of the index: an item and its score for a code."),
    "posting_list": Term(
        "posting list",
        "The items that a code ranks above the threshold, best first. Longer lists find more and take longer.",
        also=("list",),
    ),
    "index": Term(
        "index", "The posting lists of all codes in use: all that is read when a query is answered.", also=("sparse inverted index",)
    ),
    "threshold": Term(
        "sparsity threshold",
        "Only scores above it stay in the index. Each stop is the threshold of this index that keeps that share of all scores. To the "
        "right it rises: fewer scores, a smaller and faster index, in the end lower recall.",
        "τ",
        ("tau", "minus the bias b in the paper"),
    ),
    "density": Term(
        "scores kept",
        "The share of all scores of codes with items that is above the threshold. More find more, and take more memory and time.",
        also=("density",),
    ),
    "postings": Term("scores in the index", "Scores above the threshold. More find more, and take more memory and time.", also=("scores",)),
    "size_bytes": Term(
        "size",
        "Bytes of the arrays that answering a query needs. A megabyte is a million bytes.",
        also=("index size", "search data", "memory"),
    ),
    "unseen_codes": Term(
        "unseen codes",
        "Codes of queries that no training user had, so that their list has to be made on the spot, or the nearest one is used.",
    ),
    "pair_features": _setting("pair features", "model.pair_features"),
    "item_lists": _setting("item lists", "model.item_lists"),
    "contribution": Term("contribution", "What one posting list adds to an item's score. The contributions of all lists add up to it."),
}
_MEASURES: Final = {
    "recall": Term("recall", "The share of a test user's targets that are among the items returned. Returning more items finds more."),
    "precision": Term("precision", "The share of the items returned that are targets. Returning more items lowers it."),
    "ndcg": Term("NDCG", "As recall, but a target counts more the higher it stands; 1 if all targets come first."),
    "p50_ms": Term(
        "latency, median",
        "The time of one query, encoding included, one at a time on one thread: half of the queries take less.",
        also=("median", "median latency", "median time of a query", "time per query", "latency"),
    ),
    "p95_ms": Term(
        "latency, 95th percentile",
        "The time that 95 of 100 queries stay within. Far above the median, some queries are much slower than others.",
        also=("p95", "latency, p95"),
    ),
    "p99_ms": Term("latency, 99th percentile", "The time that 99 of 100 queries stay within.", also=("p99",)),
    "mean_ms": Term("latency, mean", "The time of all queries over their number. A few slow ones raise it."),
    "parts": Term(
        "parts of the latency",
        "Where a query's time goes: encoding the history, finding its codes, adding up the lists, picking the best. A higher threshold "
        "shortens mainly the adding up.",
    ),
    "train_seconds": Term("training time", "Seconds from the first batch to the last epoch.", also=("training",)),
    "build_seconds": Term("build time", "Seconds to make the index, or the graph, of a trained model.", also=("build",)),
    "found": Term(
        "share found",
        "How many of the best items of an exact search a faster one returns. A method that finds less is faster for it.",
        also=("finds",),
    ),
    "pareto": Term("Pareto front", "The settings that no other setting beats in both figures at once."),
}
_PEERS: Final = {
    "flat": Term("Flat", "Exact search over vectors: every item is compared. Its time grows with the number of items."),
    "hnsw": Term("HNSW", "Approximate search along a graph of near items. More effort finds more and takes longer.", also=("ANN index",)),
    "ivf": Term("IVF", "Approximate search in the cells nearest to the query. More cells find more and take longer."),
    "ease": Term(
        "EASE",
        "A closed-form linear model: every item of a history votes for the others. Its matrix grows with the square of the items.",
    ),
    "cooccurrence": Term("item co-occurrence", "Counts of how often users have two items both, without any network."),
    "popularity": Term("popularity", "The items most users have, the same for everybody: the floor for every model."),
}
_KINDS: Final = {
    "preview": Term("preview", "Codebooks by k-means on the trained backbone, nothing trained for them yet."),
    "fine-tuned": Term("fine-tuned", "Encoder, codebooks and network trained together, from the preview on."),
    "trained from scratch": Term("trained from scratch", "The paper's own procedure."),
    "recorded": Term("recorded", "Trained before the studio was started, maybe on another machine, and stored with it."),
}
# Heading -> its terms by key. Figures have the key that they have in `sparcode.metrics.registry`.
GLOSSARY: Final[Mapping[str, Mapping[str, Term]]] = {
    "Data": _DATA,
    "Model": _MODEL,
    "Codes": _CODES,
    "Index": _INDEX,
    "Measures": _MEASURES,
    "What it is compared with": _PEERS,
    "How a figure came about": _KINDS,
}
TERMS: Final[Mapping[str, Term]] = {key: term for terms in GLOSSARY.values() for key, term in terms.items()}


def about(key: str) -> str:
    """The meaning of a term by its key; ValueError for a key that is none."""
    if key not in TERMS:
        raise ValueError(f"no term {key!r} in the glossary; known are {', '.join(TERMS)}")
    return TERMS[key].meaning


@lru_cache(maxsize=512)
def about_label(label: str) -> str:
    """The meaning of what a label or table header names, by name, other name or symbol; empty if the glossary has none of it.

    Case, unit, number of items and kind of users do not count: ``"Recall@50"``, ``"median (ms)"``, ``"Recall@20, validation"``.
    """
    plain = re.sub(r"@\d+|\([^)]*\)|^validation |, validation$| at [\d,]+ items$|^threshold (?=tau)", "", label).strip().lower()
    by_name: dict[str, str] = {}
    for term in TERMS.values():
        for name in (term.name, *term.also, *([term.symbol] if term.symbol else [])):
            by_name.setdefault(name.lower(), term.meaning)
    return by_name.get(plain, "")

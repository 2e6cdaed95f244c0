"""One query on both paths, two-tower's and SparCode's, stage by stage, in words and marks made from the numbers of the run looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from app.measured.item_names import ItemNames
from app.measured.query_story import TOP, QueryStory
from app.measured.query_words import HIT, list_name
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import SPARCODE, TWO_TOWER
from sparcode.config import RunConfig
from sparcode.model.two_tower import TwoTowerModel

LATEST: Final = 6
MOST_STRIPS: Final = 8
MOST_CODES: Final = 8
SHOWN_TOP: Final = 5


class Chip(NamedTuple):
    """A word with a bar of relative length `strength`, from 0 to 1."""

    label: str
    strength: float = 0.0


class Lane(NamedTuple):
    """What one model does at a stage: a sentence, vectors as strips scaled to -1 to 1, and chips."""

    text: str
    strips: tuple[tuple[float, ...], ...] = ()
    chips: tuple[Chip, ...] = ()


class Stage(NamedTuple):
    """A stage of both paths."""

    title: str
    two_tower: Lane
    sparcode: Lane


def stages(
    story: QueryStory, names: ItemNames, config: RunConfig, two_tower: TwoTowerModel | None, rows: Mapping[str, Measurement]
) -> tuple[Stage, ...]:
    """The five stages of a query.

    Parameters
    ----------
    story
        Its path through the index; its rivals hold two-tower's top items where `two_tower` is given.
    config
        Settings of the run.
    two_tower
        Its model; None where none is trained, which its lane then says.
    rows
        Name -> measurement over all test users, as far as there is one.
    """
    return (
        _history(story, names),
        _encoding(story, two_tower),
        _meeting(story, names, config),
        _search(story, names),
        _answer(story, names, rows),
    )


def _history(story: QueryStory, names: ItemNames) -> Stage:
    items = story.query[0]
    chips = tuple(Chip(names.title(item)) for item in items[::-1][:LATEST].tolist())
    more = f"; the latest {LATEST}:" if len(items) > LATEST else ":"
    lane = Lane(f"{_counted(len(items), 'item')} that this user chose{more}", chips=chips)
    return Stage("The user's history", lane, lane._replace(text=f"The same {_counted(len(items), 'item')}{more}"))


def _encoding(story: QueryStory, two_tower: TwoTowerModel | None) -> Stage:
    if two_tower is None:
        theirs = Lane("One vector. Two-tower is not trained for this run: the Inside a query page trains it.")
    else:
        vector = two_tower.query_vectors(story.query)[:, :-1]
        theirs = Lane(f"The history becomes **one vector** of {vector.shape[1]} numbers.", _strips(vector))
    vectors = story.trace.vectors
    if vectors.shape[1] == 0:
        return Stage("Encode", theirs, Lane(f"Every item of the history stands for itself: {_counted(len(vectors), 'code')}."))
    which = "" if len(vectors) <= MOST_STRIPS else f"; {MOST_STRIPS} of them:"
    ours = Lane(f"The history becomes **{_counted(len(vectors), 'vector')}** of {vectors.shape[1]} numbers{which}.", _strips(vectors))
    return Stage("Encode", theirs, ours)


def _meeting(story: QueryStory, names: ItemNames, config: RunConfig) -> Stage:
    theirs = Lane("User and item meet in the very last step, in **one dot product**: what it cannot express is lost.")
    heaviest = np.argsort(-story.explained.weights, kind="stable")[:MOST_CODES]
    chips = _bars([_name(story, place, names) for place in heaviest.tolist()], story.explained.weights[heaviest])
    n_codes = story.query.n_items if story.trace.vectors.shape[1] == 0 else config.quantizer.codebook_size**config.quantizer.n_codebooks
    scored = "counted" if config.model.pair_features != "none" and story.trace.vectors.shape[1] == 0 else "scored by a network"
    of_items = sum(story.list_item(one) >= 0 for one in story.explained.lists)
    beside = f", and those of {_counted(of_items, 'history item')}" if of_items else ""
    ours = Lane(
        f"It carries {_counted(len(story.explained.lists) - of_items, 'code')} of {n_codes:,}{beside}, with weights. **Every pair of code "
        f"and item was {scored} ahead of time**, by any function of the two.",
        chips=chips,
    )
    return Stage("Meet the items", theirs, ours)


def _search(story: QueryStory, names: ItemNames) -> Stage:
    theirs = Lane(
        f"**{_counted(story.query.n_items, 'product')}**, one per item. On large catalogues a graph search looks at a part of them, and "
        "misses some of the best."
    )
    explained = story.explained
    lengths, stored = explained.lengths, sum(len(one.item_ids) for one in explained.lists)
    longest = np.argsort(-lengths, kind="stable")[:MOST_CODES]
    labels = [f"{_name(story, place, names)}: {int(lengths[place]):,}" for place in longest.tolist()]
    ours = Lane(
        f"Each code has a list of its best items. Its {_counted(len(explained.lists), 'list')} hold **{int(lengths.sum()):,} scores above "
        f"the threshold**, of {stored:,} stored: adding these up is all the work, and nothing above the threshold is missed.",
        chips=_bars(labels, lengths[longest]),
    )
    return Stage("Search", theirs, ours)


def _answer(story: QueryStory, names: ItemNames, rows: Mapping[str, Measurement]) -> Stage:
    found = story.rivals.get(TWO_TOWER)
    theirs = Lane("Not known without a trained two-tower.") if found is None else _top(story, found, names, rows.get(TWO_TOWER))
    return Stage("Answer", theirs, _top(story, story.top, names, rows.get(SPARCODE)))


def _top(story: QueryStory, items: np.ndarray, names: ItemNames, row: Measurement | None) -> Lane:
    hits = np.isin(items, story.targets)
    shown = zip(items[:SHOWN_TOP].tolist(), hits.tolist(), strict=False)
    chips = tuple(Chip(f"{rank}. {names.title(item)}{f' {HIT}' if hit else ''}") for rank, (item, hit) in enumerate(shown, start=1))
    text = f"**{int(hits.sum())} of the top {TOP}** are among the {len(story.targets)} items held out from this user ({HIT})."
    return Lane(text + _overall(row), chips=chips)


def _overall(row: Measurement | None) -> str:
    """Recall with its standard error over users, and the time of a query; empty where there is no measurement."""
    if row is None:
        return ""
    by_user = None if row.recall_by_query is None else row.recall_by_query[~np.isnan(row.recall_by_query)]
    error = "" if by_user is None or len(by_user) < 2 else f" ± {by_user.std(ddof=1) / np.sqrt(len(by_user)):.3f} (one standard error)"
    return f" Over {row.n_queries:,} test users: Recall@{row.k} {row.recall:.3f}{error}, {row.p50_ms.middle:.2f} ms a query."


def _strips(vectors: np.ndarray) -> tuple[tuple[float, ...], ...]:
    shown = vectors[:MOST_STRIPS].astype(np.float64)
    largest = float(np.abs(shown).max(initial=0)) or 1.0
    return tuple(tuple(round(value / largest, 3) for value in row) for row in shown.tolist())


def _bars(labels: list[str], values: np.ndarray) -> tuple[Chip, ...]:
    largest = float(np.max(values, initial=0)) or 1.0
    return tuple(Chip(label, round(float(value) / largest, 3)) for label, value in zip(labels, values, strict=True))


def _name(story: QueryStory, place: int, names: ItemNames) -> str:
    return list_name(story, story.explained.lists[place], names)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

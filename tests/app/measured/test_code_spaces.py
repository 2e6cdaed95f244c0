from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app.jobs.job import JobState
from app.jobs.manager import JobManager
from app.measured import code_spaces
from app.measured.code_spaces import MAPPING, SPACES, UMAP, CodeSpace, CodeSpaces, SpaceWanted
from app.measured.item_names import ItemNames
from app.measured.space_words import answer, genre_words, map_legend, sample_words
from sparcode.space.lift import Labels
from sparcode.space.places import ITEM
from sparcode.space.plane import UmapProgress, UmapSettings
from sparcode.space.plane_store import PlaneStore
from tests.app.measured.test_query_story import measured
from tests.fakes import PATIENCE
from tests.tiny import tiny_data, tiny_model, tiny_split

WANTED = SpaceWanted(None, 2000)


def spaces(folder: Path) -> tuple[CodeSpaces, JobManager]:
    jobs = JobManager({SPACES: 1, MAPPING: 1})
    return CodeSpaces(tiny_split(), jobs, PlaneStore(folder)), jobs


def made(folder: Path, wanted: SpaceWanted = WANTED) -> tuple[CodeSpace, CodeSpaces, JobManager]:
    held, jobs = spaces(folder)
    space, _ = held.space(measured(), wanted, "ann", PATIENCE)
    assert space is not None
    return space, held, jobs


def mirrored(
    points: np.ndarray, settings: UmapSettings, on_progress: Callable[[UmapProgress], None], check: Callable[[], None]
) -> np.ndarray:
    """Stands for UMAP."""
    on_progress(UmapProgress("layout", 1, 2))
    check()
    return -points[:, :2]


@pytest.mark.parametrize("book", [None, 0, 1])
def test_a_code_space_is_made_once_and_known_from_then_on(tmp_path: Path, book: int | None) -> None:
    space, held, jobs = made(tmp_path, SpaceWanted(book, 2000))
    again, job = held.space(measured(), SpaceWanted(book, 2000), "ann", 0)
    assert again is space
    assert job is None
    assert space.units.book == book
    assert space.use.n_users == 96
    assert len(space.pca) == len(space.points.kinds)
    jobs.close()


@pytest.mark.parametrize("book", [None, 1])
def test_items_are_ranked_by_what_tokens_of_the_units_add(tmp_path: Path, book: int | None) -> None:
    space, _, jobs = made(tmp_path, SpaceWanted(book, 2000))
    chosen = space.use.units[:2]
    scores = np.maximum(tiny_model().score_codes(space.whole.units) - np.float32(measured().explorer.default_threshold), 0)
    has = np.isin(space.units.of(space.whole.units), chosen)
    expected = (scores[has] * space.whole.tokens[has, None]).sum(0) / space.whole.tokens[has].sum()
    items, values = space.ranked(chosen, 8)
    np.testing.assert_allclose(values, np.sort(expected)[::-1][: len(values)], rtol=1e-3, atol=1e-5)
    assert space.first_items[int(chosen[0])] == space.ranked(chosen[:1], 1)[0][0]
    assert [number for _, number in space.points_of(ITEM, [*items[:3].tolist(), -5])] == items[:3].tolist()
    jobs.close()


def test_a_layout_is_kept_in_memory_and_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_spaces, "umap_plane", mirrored)
    space, held, jobs = made(tmp_path)
    assert held.umap(space) is None
    held.start_umap(space, "ann")
    job = jobs.wait(held.umap_key(space), lambda job: False, PATIENCE)
    assert job.state is JobState.DONE
    assert UmapProgress("layout", 1, 2) in job.records
    np.testing.assert_array_equal(held.umap(space), -space.points.vectors[:, :2])
    jobs.close()
    # In another process.
    later, held, jobs = made(tmp_path)
    np.testing.assert_array_equal(held.umap(later), -space.points.vectors[:, :2])
    jobs.close()


def test_a_cancelled_layout_ends_and_a_failed_one_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, ended = threading.Event(), threading.Event()

    def endless(points: object, settings: object, on_progress: object, check: Callable[[], None]) -> None:
        assert settings == UMAP
        running.set()
        try:
            while not ended.wait(0.01):
                check()
        finally:
            ended.set()

    monkeypatch.setattr(code_spaces, "umap_plane", endless)
    space, held, jobs = made(tmp_path)
    held.start_umap(space, "ann")
    assert running.wait(PATIENCE)
    held.cancel_umap(space, "ann")
    assert ended.wait(PATIENCE)
    assert held.umap_job(space).state is JobState.CANCELLED
    held.retry(held.umap_job(space))
    assert held.umap_job(space) is None

    def failing(*asked: object) -> None:
        raise ValueError("UMAP ended with status 1: the disk is full")

    monkeypatch.setattr(code_spaces, "umap_plane", failing)
    held.start_umap(space, "ann")
    job = jobs.wait(held.umap_key(space), lambda job: False, PATIENCE)
    assert (job.state, job.error) == (JobState.FAILED, "UMAP ended with status 1: the disk is full")
    assert held.umap(space) is None
    jobs.close()


def test_a_code_space_that_cannot_be_made_is_not_made_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(*asked: object) -> None:
        calls.append(asked)
        raise ValueError("no memory left")

    monkeypatch.setattr(code_spaces, "code_use", failing)
    held, jobs = spaces(tmp_path)
    for _ in range(3):
        space, job = held.space(measured(), WANTED, "ann", PATIENCE)
        assert space is None
        assert (job.state, job.error) == (JobState.FAILED, "no memory left")
    assert len(calls) == 1
    held.retry(job)
    held.space(measured(), WANTED, "ann", PATIENCE)
    assert len(calls) == 2
    jobs.close()


def test_the_answer_tells_the_numbers(tmp_path: Path) -> None:
    space, _, jobs = made(tmp_path)
    names = ItemNames(tiny_data())
    unit = int(space.use.units[space.use.order][0])
    count = max(1, round(len(space.use.units) / 4))
    share = np.sort(space.use.tokens)[::-1][:count].sum() / space.use.tokens.sum()
    carried = len(space.use.carriers(np.array([unit]))) / 96
    first = names.title(int(space.ranked(np.array([unit]), 1)[0][0]))
    assert answer(space, [unit], names) == (
        f"A quarter of the {len(space.use.units)} codes in use carries {share:.0%} of all tokens; code {space.units.name(unit)} "
        f"is carried by {carried:.1%} of users and ranks *{first}* first."
    )
    assert "codes " in answer(space, space.use.units[:3].tolist(), names)
    assert f"of {space.points.n_tokens:,} tokens" in sample_words(space)
    assert map_legend(space)[0] == f"codes ({space.points.n_codes})"
    jobs.close()


def test_genres_are_named_only_where_they_are_over_represented_for_certain() -> None:
    labels = Labels(["A"] * 50 + ["B"] * 50)
    assert genre_words(labels.lifts(np.arange(20)), True).startswith(
        "Over-represented among the 20 items ranked first, against the catalogue: **A** 2.0"
    )
    assert (
        genre_words(labels.lifts(np.array([0, 60])), True) == "No genre is over-represented beyond chance among the 2 items ranked first."
    )
    assert "no genres" in genre_words([], False)
    assert ItemNames(_without_genres()).genres == [""] * 80


def _without_genres() -> object:
    data = tiny_data()
    return type("Data", (), {"items": pd.DataFrame({"title": data.items["title"]}), "item_ids": data.item_ids})()

"""Every experiment on tiny data, by the code that the page runs; figures against a count of their own where there is one."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.jobs.job import JobCancelled, JobHandle, JobState
from app.lessons import codebook_health, growing, query_costs, shared_lists, sparse_scores, sparsity_knee, two_limits, whole_method
from app.lessons.bench import Bench, LessonProgress, changed
from app.lessons.lesson import Lesson
from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.measures import gain_of
from app.lessons.panel import results_of
from app.lessons.prediction import Choice
from app.lessons.reading import Rows, line, named
from app.lessons.results import LessonResults, lesson_key, run
from app.lessons.shown import picture_data, table
from app.studio import Place, Studio
from sparcode.comparison.grown_ways import WayPlan
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, SPARCODE
from sparcode.metrics.evaluation import accuracy
from sparcode.model.grown import growing_bytes
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import preview
from tests.app.open_studio import ended
from tests.tiny import CONFIG, tiny_backbone, tiny_data, tiny_model


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    made = Studio(tiny_data(), CONFIG)
    yield made
    made.close()


@pytest.fixture(scope="module")
def found(studio: Studio) -> dict[int, Rows]:
    """Number of a lesson -> rows of its experiment, filled when first asked for."""
    return {}


def told(records: list[Any], stop: bool = False) -> JobHandle:
    return JobHandle(records.append, lambda: stop)


def rows_of(lesson: Lesson, studio: Studio, found: dict[int, Rows]) -> Rows:
    if lesson.number not in found:
        found[lesson.number] = run(lesson, lesson.control.default, studio, told([])).rows
    return found[lesson.number]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_an_experiment_gives_what_its_lesson_reads_draws_and_tells(lesson: Lesson, studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson, studio, found)
    for reading in lesson.read(rows):
        assert "nan" not in f"{reading.headline} {reading.text}"
    answer = lesson.prediction.answer(rows)
    assert answer in lesson.prediction.options if isinstance(lesson.prediction, Choice) else math.isfinite(answer)
    assert lesson.prediction.judged(answer, rows)[0]
    for picture in lesson.pictures:
        data = picture_data(picture, rows)
        assert data.series
        assert all(len(series.x) == len(series.y) > 0 and np.isfinite(series.y).all() for series in data.series)
    # Nothing is read that the table does not show.
    assert {figure for row in rows for figure in row.values} == lesson.columns.keys()
    shown = table(lesson, rows)
    assert len(shown) == len(rows)
    assert all(shown[column.heading].str.len().max() > 0 for column in lesson.columns.values())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_an_experiment_of_a_cancelled_job_ends_at_once(lesson: Lesson, studio: Studio) -> None:
    with pytest.raises(JobCancelled):
        lesson.experiment(Bench(studio, told([], stop=True)), lesson.control.default)


def test_the_index_returns_the_thresholded_models_items(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(1), studio, found)
    assert named(rows, whole_method.WHOLE)["same"] == 1.0
    backbone = studio.backbones.of(studio.config)
    expected = accuracy(ExactRetriever(backbone.model), studio.split.test, 50)[0]
    assert named(rows, whole_method.NO_CODES)["recall"] == pytest.approx(expected)


def test_serving_by_the_index_loses_nothing_on_a_grown_catalogue(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(2), studio, found)
    assert named(rows, SPARCODE)["found"] == 1.0
    assert named(rows, SPARCODE)["items"] == two_limits.GROWN * studio.split.train.n_items
    # Against its own model with nothing cut it may miss some, as HNSW does.
    assert 0 < named(rows, two_limits.UNCUT)["found"] < 1


def test_a_catalogue_grows_within_memory_and_time_and_is_never_below_the_real_one() -> None:
    models, n_real = (tiny_model(), tiny_backbone()), tiny_model().n_items
    assert growing.largest(16 * n_real, models, 100) == 16 * n_real
    by_scores = growing.largest(10**9, models, 50_000)
    assert by_scores == growing.MOST_SCORES // 50_000
    by_memory = growing.largest(10**12, models, 0)
    assert sum(growing_bytes(one, by_memory) for one in models) <= WayPlan().max_bytes
    assert sum(growing_bytes(one, by_memory + 1) for one in models) > WayPlan().max_bytes
    assert growing.largest(64 * n_real, models, 10**8) == n_real


@pytest.mark.parametrize(("number", "value"), [(2, "1"), (7, "64")])
def test_a_lesson_says_the_size_that_fits(number: int, value: str, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Bench(studio, told([])).tuned(studio.config)
    codes = len(np.unique(model.encode(studio.split.test.queries)[0]))
    n_real = studio.split.train.n_items
    monkeypatch.setattr(growing, "MOST_SCORES", 3 * n_real * codes)
    rows = run(lesson_of(number), value, studio, told([])).rows
    assert named(rows, SPARCODE)["items"] == 3 * n_real
    assert "(3 times the real ones)" in " ".join(reading.headline for reading in lesson_of(number).read(rows))


def test_lists_are_counted_as_a_loop_counts_them(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(3), studio, found)
    m, k = map(int, lesson_of(3).control.default.split("x"))
    config = changed(studio.config, quantizer={"n_codebooks": m, "codebook_size": k})
    model = preview(studio.backbones.of(config).model, studio.split, config)
    seen: set[int] = set()
    for row in range(len(studio.split.train)):
        seen |= set(model.encode(studio.split.train.take(np.array([row])))[0].ravel().tolist())
    asked = model.encode(studio.split.test.queries)[0].ravel().tolist()
    last = line(rows, shared_lists.CODES)[-1]
    assert last["lists"] == len(seen)
    assert last["ready"] == pytest.approx(np.mean([code in seen for code in asked]))
    tokens = line(rows, shared_lists.TOKENS)[-1]
    assert tokens["lists"] == len(studio.split.train) * studio.config.model.n_tokens


def test_the_cut_keeps_the_share_asked_for(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(5), studio, found)
    assert {row.name for row in rows} == {sparse_scores.USUAL, sparse_scores.SHARP}
    assert all(row["kept"] == pytest.approx(row["share"], abs=1e-3) for row in rows)


def test_variants_of_codebooks_start_alike_and_none_is_seeded_again_without_revival(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(6), studio, found)
    starts = {name: line(rows, name)[0] for name in codebook_health.REMEDIES}
    assert starts[codebook_health.NONE].values == starts[codebook_health.REVIVAL].values
    assert starts[codebook_health.START].values == starts[codebook_health.BOTH].values
    assert starts[codebook_health.START]["unused"] < starts[codebook_health.NONE]["unused"]
    assert all(row["revived"] == 0 for row in line(rows, codebook_health.NONE))
    assert all(row["revived"] == 0 for row in line(rows, codebook_health.START))


def test_random_codewords_have_mean_and_spread_of_the_tokens(studio: Studio) -> None:
    config = changed(studio.config, quantizer={"n_codebooks": 1, "codebook_size": 4000})
    backbone = Bench(studio, told([])).backbone(config)
    model = preview(backbone, studio.split, config)
    codebook_health.start_at_random(model, studio.split.train_queries, config)
    tokens, words = (
        values.detach().numpy() for values in (model.backbone.tokens(studio.split.train_queries), model.quantizer.codebooks[0])
    )
    tokens = tokens.reshape(-1, tokens.shape[-1])
    np.testing.assert_allclose(words.mean(0), tokens.mean(0), atol=0.1 * tokens.std(0).max())
    np.testing.assert_allclose(words.std(0), tokens.std(0), rtol=0.1)


def test_the_rank_of_two_tower_is_that_of_its_dimensions(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(7), studio, found)
    assert named(rows, FLAT)["rank"] <= studio.config.model.token_dim + 1 == named(rows, FLAT)["dims"]
    assert named(rows, FLAT)["beyond"] < 1e-9
    assert named(rows, ALL_TO_ALL)["rank"] <= named(rows, ALL_TO_ALL)["most"] == len(studio.split.test.queries)
    parts = named(rows, query_costs.SPARCODE)
    assert 0 < parts["work"] <= parts["items"] * studio.config.model.n_tokens * studio.config.quantizer.n_nearest


def test_what_lies_beyond_some_dimensions_is_what_a_matrix_of_their_rank_leaves_over() -> None:
    rng = np.random.default_rng(4)
    held = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 50))
    assert query_costs.rank_of(held, 3) == (3, 30, pytest.approx(0, abs=1e-12))
    # Orthogonal directions of equal weight, without a mean: one of four is left over.
    assert query_costs.rank_of(np.concatenate([np.eye(4), -np.eye(4)]), 3).beyond == pytest.approx(0.25)
    assert query_costs.rank_of(np.ones((5, 6)), 3).beyond == 0


def test_the_rank_is_of_a_sample_of_users_and_items(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_costs, "RANKED", (7, 20))
    rows = run(lesson_of(7), "1", studio, told([])).rows
    assert f"On {studio.split.train.n_items} items (the real ones)" in lesson_of(7).read(rows)[0].headline
    assert {row["most"] for row in rows} == {7}


def test_the_knee_is_the_fewest_scores_within_the_loss(studio: Studio, found: dict[int, Rows]) -> None:
    rows = rows_of(lesson_of(10), studio, found)
    best = max(row["validation"] for row in rows)
    enough = [row["share"] for row in rows if row["validation"] >= 0.99 * best]
    assert sparsity_knee.knee(rows)["share"] == min(enough)


def test_progress_is_told_step_by_step(studio: Studio) -> None:
    records: list[Any] = []
    result = run(lesson_of(10), "2", studio, told(records))
    assert any(isinstance(record, LessonProgress) for record in records)
    assert result.rows[0]["loss"] == 0.02
    assert result.recording is None
    assert result.seed == studio.config.training.seed
    assert result.processor_seconds > 0


def test_a_result_is_kept_by_the_value_of_the_control(studio: Studio) -> None:
    results, lesson = LessonResults(lambda lesson, value: None), lesson_of(10)
    assert results.of(lesson, "5") is None
    job = ended(studio, results.start(lesson, "5", studio, "ann").key)
    assert (job.key, job.state, job.result) == (lesson_key(lesson, "5"), JobState.DONE, None)
    assert results.of(lesson, "5").rows[0]["loss"] == 0.05
    assert results.of(lesson, "1") is None
    with pytest.raises(ValueError, match="Loss of recall allowed must be one of 1, 2, 5; got 7"):
        results.start(lesson, "7", studio, "ann")


def test_a_cancelled_run_leaves_no_result(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    results, lesson, begun = LessonResults(lambda lesson, value: None), lesson_of(3), threading.Event()
    tell = Bench.tell

    def told_slowly(bench: Bench, step: str) -> None:
        begun.set()
        while not bench.should_stop():
            threading.Event().wait(0.01)
        tell(bench, step)

    monkeypatch.setattr(Bench, "tell", told_slowly)
    job = results.start(lesson, "1x64", studio, "ann")
    assert begun.wait(20)
    assert studio.jobs.cancel(job.key, "ann")
    assert ended(studio, job.key).state is JobState.CANCELLED
    assert results.of(lesson, "1x64") is None


def test_a_closed_studio_whose_lessons_were_opened_is_freed(studio: Studio) -> None:
    beside = Studio(tiny_data(), CONFIG, place=Place("beside", studio))
    results, lesson = results_of(beside), lesson_of(10)
    beside.backbones.start(CONFIG, "ann")
    job = results.start(lesson, "5", beside, "ann")
    assert ended(beside, job.key).state is JobState.DONE
    assert results_of(beside) is results
    assert results.of(lesson, "5") is not None
    beside.close()
    seen = weakref.ref(beside)
    del beside
    gc.collect()
    assert seen() is None


def test_a_gain_is_the_mean_of_differences_user_by_user() -> None:
    ours, theirs = np.array([0.5, 0.7, np.nan, 0.9]), np.array([0.4, 0.6, 0.5, 0.5])
    gain = gain_of(ours, theirs)
    assert gain.mean == pytest.approx(0.2)
    assert gain.error == pytest.approx(np.std([0.1, 0.1, 0.4], ddof=1) / np.sqrt(3))
    assert math.isnan(gain_of(ours[:1], theirs[:1]).error)

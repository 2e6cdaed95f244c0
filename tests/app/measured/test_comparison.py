from __future__ import annotations

import threading

import pytest

from app.jobs.job import JobHandle
from app.measured import comparison as comparison_module
from app.measured.comparison import Comparison, ModelRow, Step, compare
from app.models.trained import Backbone, Tuned
from sparcode.baselines.ease import EASE
from sparcode.index.inverted_index import BuildStopped
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from tests.tiny import CONFIG, tiny_backbone, tiny_model, tiny_split

BACKBONE = Backbone(tiny_backbone(), (), 0.0, 0.0, seconds=3.0)
TWO_TOWERS = ("two-tower", "two-tower, faiss flat", "two-tower, faiss hnsw", "two-tower, faiss ivfpq")
TUNED = Tuned(tiny_model(), (), seconds=2.0, cut_short=False)


def compared() -> tuple[Comparison, list[object]]:
    """The table, and all that was published on the way."""
    published: list[object] = []
    return compare(tiny_split(), CONFIG, BACKBONE, TUNED, JobHandle(published.append, threading.Event().is_set)), published


def test_every_model_has_a_row_that_was_published_when_it_was_ready() -> None:
    comparison, published = compared()
    assert [row.name for row in comparison.rows] == ["SparCode", "all-to-all", *TWO_TOWERS, "EASE", "popularity"]
    assert tuple(record for record in published if isinstance(record, ModelRow)) == comparison.rows
    assert comparison.left_out == ()
    epochs = [record.record.epoch for record in published if isinstance(record, Step) and record.record is not None]
    assert epochs[0] == 1
    assert len(epochs) <= CONFIG.training.epochs + CONFIG.training.joint_epochs


def test_figures_are_those_of_the_models_given() -> None:
    rows = {row.name: row for row in compared()[0].rows}
    exact = accuracy(ExactRetriever(tiny_backbone()), tiny_split().test, rows["all-to-all"].result.k)
    assert rows["all-to-all"].result[:3] == exact
    assert rows["all-to-all"].train_seconds == 3
    assert rows["SparCode"].train_seconds == 5
    assert len({row.result.n_queries for row in rows.values()}) == 1


def test_two_tower_finds_the_same_through_an_exact_faiss_index() -> None:
    rows = {row.name: row for row in compared()[0].rows}
    exact, flat = rows["two-tower"].result, rows["two-tower, faiss flat"].result
    assert flat.recall == pytest.approx(exact.recall, abs=0.02)
    assert rows["two-tower, faiss flat"].train_seconds >= rows["two-tower"].train_seconds


def test_a_faiss_index_that_cannot_be_built_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: object, kind: str) -> object:
        raise ValueError(f"too few items for {kind}")

    monkeypatch.setattr(comparison_module, "FaissRetriever", refuse)
    comparison, _ = compared()
    assert len(comparison.rows) == 5
    assert comparison.left_out[0] == "two-tower, faiss flat is left out: too few items for flat"


def test_a_catalogue_too_large_for_ease_leaves_the_other_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    class TooLarge(EASE):
        def fit(self, histories: object) -> None:
            raise ValueError("the matrix would take 9 GiB")

    monkeypatch.setattr(comparison_module, "EASE", TooLarge)
    comparison, _ = compared()
    assert [row.name for row in comparison.rows] == ["SparCode", "all-to-all", *TWO_TOWERS, "popularity"]
    assert comparison.left_out == ("EASE is left out: the matrix would take 9 GiB",)


def test_a_cancelled_comparison_ends() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(BuildStopped):
        compare(tiny_split(), CONFIG, BACKBONE, TUNED, JobHandle(lambda record: None, cancelled.is_set))

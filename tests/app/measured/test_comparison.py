from __future__ import annotations

import pytest

from app.jobs.job import JobHandle
from app.measured import comparison as module
from app.measured.comparison import Comparison, Step, compare
from app.models.trained import Backbone, Recording, Tuned
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, POPULARITY, SPARCODE, TWO_TOWER, named
from sparcode.comparison.training import ComparisonStopped, Models
from tests.tiny import CONFIG, tiny_backbone, tiny_model, tiny_split

BACKBONE = Backbone(tiny_backbone(), (), 0.0, 0.0, 3.0, Recording("2026-05-03", "another machine"))
TUNED = Tuned(tiny_model(), (), seconds=2.0, cut_short=False)


def compared(cancelled: bool = False) -> tuple[Comparison, list[object]]:
    """The table, and all that was published on the way."""
    published: list[object] = []
    handle = JobHandle(published.append, lambda: cancelled)
    made = compare(tiny_split(), CONFIG, BACKBONE, TUNED, handle, lambda told: Models(tiny_split(), CONFIG, on_epoch=told).get("two-tower"))
    return made, published


def test_rows_and_epochs_are_published_on_the_way() -> None:
    comparison, published = compared()
    assert tuple(record for record in published if isinstance(record, Measurement)) == comparison.rows
    assert comparison.left_out == ()
    epochs = [record.record.epoch for record in published if isinstance(record, Step) and record.record is not None]
    assert epochs[0] == 1
    assert len(epochs) <= CONFIG.training.epochs + CONFIG.training.joint_epochs
    trained = {row.name: row.trained_where for row in comparison.rows}
    assert trained[ALL_TO_ALL] == "on 3 May 2026 (another machine)"
    assert (trained[SPARCODE], trained[TWO_TOWER]) == ("", "")


def test_what_is_left_out_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROSTER", named(POPULARITY))
    monkeypatch.setattr(module, "compare_peers", lambda *arguments, **options: ([], {"EASE": "the matrix would take 9 GiB"}))
    assert compared()[0].left_out == ("EASE is left out: the matrix would take 9 GiB",)


def test_a_cancelled_comparison_ends() -> None:
    with pytest.raises(ComparisonStopped):
        compared(cancelled=True)

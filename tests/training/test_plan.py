from __future__ import annotations

from collections.abc import Callable

import pytest

from sparcode.training import plan
from sparcode.training.plan import plan_of, plan_text
from tests.model.test_pair_features import config_of
from tests.tiny import CONFIG, changed, tiny_split


def test_every_network_is_timed_and_settings_are_named() -> None:
    made = plan_of(tiny_split(), CONFIG)
    assert made.epochs == {"backbone": 6, "SparCode": 3, "two-tower": 9}
    assert list(made.minutes) == ["backbone", "SparCode", "two-tower"]
    assert all(0 <= minutes < 1 for minutes in made.minutes.values())
    assert 0.05 < made.peak_gb < 100
    assert made.settings["codebook_size"] == 6
    assert "protocol" not in made.settings
    text = plan_text(made)
    assert "--codebook-size 6" in text
    assert "SparCode: about 0.0 minutes at most, 3 epochs" in text
    assert text.endswith("Nothing was trained.")


@pytest.mark.parametrize(
    ("history_tokens", "steps"),
    [(0, ["backbone", "pair features", "two-tower"]), (4, ["backbone", "SparCode", "pair features", "two-tower"])],
)
def test_pair_features_are_a_step_and_codes_without_a_network_are_not_trained(history_tokens: int, steps: list[str]) -> None:
    config = config_of({"pair_features": "counts", "history_tokens": history_tokens}, {"kind": "items"})
    made = plan_of(tiny_split(), config)
    assert made.reason == ""
    assert list(made.minutes) == steps
    assert (made.epochs["SparCode"] > 0) == (history_tokens > 0)


@pytest.mark.parametrize("kind", ["counts", "ease"])
def test_item_lists_are_a_step(kind: str) -> None:
    made = plan_of(tiny_split(), changed({"item_lists": kind}))
    assert list(made.minutes) == ["backbone", "SparCode", "item lists", "two-tower"]
    assert made.settings["item_lists"] == kind


def test_starts_and_validations_are_among_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves only where a start, a batch, a threshold or a validation takes its time."""
    clock, spent = [0.0], []

    def takes(seconds: float, name: str, result: object = None) -> Callable[..., object]:
        def work(*arguments: object) -> object:
            spent.append(name)
            clock[0] += seconds
            return result

        return work

    class Model:
        before_validation = staticmethod(takes(5.0, "threshold"))

    class Fake:
        model, queries, config = Model(), None, None

        def probe(self, n_batches: int) -> float:
            return 100.0

    split = tiny_split()
    monkeypatch.setattr(plan.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(plan, "PROBED_USERS", 4)
    monkeypatch.setattr(plan, "validation_recall", takes(2.0, "validation"))
    _, seconds = plan._probed(takes(7.0, "start", Fake()), split.validation, 10)
    # A validation of 4 users takes 2 s, of 12 three times as long.
    assert seconds == 7 + 10 * (100 + 5 + 6)
    assert spent == ["start", "threshold", "validation"]


def test_the_reason_is_told() -> None:
    assert "Why: few of many\n" in plan_text(plan_of(tiny_split(), CONFIG, reason="few of many"))

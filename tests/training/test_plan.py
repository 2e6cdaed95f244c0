from __future__ import annotations

import pytest

from sparcode.training.plan import plan_of, plan_text
from tests.model.test_pair_features import config_of
from tests.tiny import CONFIG, changed, tiny_split


def test_every_network_is_timed_and_settings_are_named() -> None:
    plan = plan_of(tiny_split(), CONFIG)
    assert plan.epochs == {"backbone": 6, "SparCode": 3, "two-tower": 9}
    assert list(plan.minutes) == ["backbone", "SparCode", "two-tower"]
    assert all(0 <= minutes < 1 for minutes in plan.minutes.values())
    assert 0.05 < plan.peak_gb < 100
    assert plan.settings["codebook_size"] == 6
    assert "protocol" not in plan.settings
    text = plan_text(plan)
    assert "--codebook-size 6" in text
    assert "SparCode: about 0.0 minutes at most, 3 epochs" in text
    assert text.endswith("Nothing was trained.")


@pytest.mark.parametrize(
    ("history_tokens", "steps"),
    [(0, ["backbone", "pair features", "two-tower"]), (4, ["backbone", "SparCode", "pair features", "two-tower"])],
)
def test_pair_features_are_a_step_and_codes_without_a_network_are_not_trained(history_tokens: int, steps: list[str]) -> None:
    config = config_of({"pair_features": "counts", "history_tokens": history_tokens}, {"kind": "items"})
    plan = plan_of(tiny_split(), config)
    assert plan.reason == ""
    assert list(plan.minutes) == steps
    assert (plan.epochs["SparCode"] > 0) == (history_tokens > 0)


@pytest.mark.parametrize("kind", ["counts", "ease"])
def test_item_lists_are_a_step(kind: str) -> None:
    plan = plan_of(tiny_split(), changed({"item_lists": kind}))
    assert list(plan.minutes) == ["backbone", "SparCode", "item lists", "two-tower"]
    assert plan.settings["item_lists"] == kind


def test_the_reason_is_told() -> None:
    assert "Why: few of many\n" in plan_text(plan_of(tiny_split(), CONFIG, reason="few of many"))

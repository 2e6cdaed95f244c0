from __future__ import annotations

import math

import pytest

from app.kept.run_figures import RunFigures
from app.kept.run_groups import differences, seed_groups
from app.kept.run_words import answer, costs, difference_takeaway, in_markdown, other_users, p_text, run_label, unpaired
from sparcode.comparison.paired import paired
from tests.app.kept.run_examples import config_of, run_of


def said(first: RunFigures, second: RunFigures) -> str:
    return answer(first, second, paired(first.recall_by_user, second.recall_by_user))


def test_a_gain_of_every_user_is_called_one_with_its_price() -> None:
    first, second = run_of("a", [0.5] * 8), run_of("b", [0.6] * 8, megabytes=2.1, ms=0.5)
    text = "**b has 0.100 more Recall@50 than a**: 8 users won, 0 lost, p = 0.0078; it is 2.1 times larger and 2.0 times faster."
    assert said(first, second) == text
    assert "b_c".replace("_", r"\_") in in_markdown("b_c")
    back = "**a has 0.100 less Recall@50 than b**: 0 users won, 8 lost, p = 0.0078; it is 2.1 times smaller and 2.0 times slower."
    assert said(second, first) == back


def test_a_difference_that_chance_explains_is_not_called_one() -> None:
    first, second = run_of("a", [0.5, 0.5, 0.5, 0.4]), run_of("b", [0.6, 0.6, 0.5, 0.5])
    assert said(first, second) == (
        "**Whether b finds more or less than a cannot be told from chance**: +0.075 Recall@50, 3 users won, 0 lost, p = 0.25; "
        "b is as large and as fast."
    )


def test_runs_of_other_users_are_not_compared_one_by_one() -> None:
    first = run_of("a", [0.5, 0.5])
    other_data = run_of("b", [0.7], data_hash="other")
    other_split = run_of("c", [0.7, 0.7], config_of(split_seed=1))
    assert "tested on different users" in unpaired(first, other_data)
    assert "their data differs. Recall@50 is 0.700 and 0.500" in unpaired(first, other_data)
    assert other_users(first.facts, other_split.facts) == "their data is split in another way"
    assert other_users(first.facts, run_of("d", [0.1], config_of(seed=3)).facts) == ""


@pytest.mark.parametrize(("p_value", "text"), [(0.0001, "p < 0.001"), (0.0123, "p = 0.012"), (1.0, "p = 1")])
def test_p_values_have_two_digits(p_value: float, text: str) -> None:
    assert p_text(p_value) == text


def test_ratios_have_no_more_digits_than_they_deserve() -> None:
    first = run_of("a", [0.5])
    assert costs(first, run_of("b", [0.5], megabytes=123.4, ms=1.04)) == "is 123 times larger and as fast"
    assert difference_takeaway(paired(first.recall_by_user, first.recall_by_user)) == "0 users won, 0 lost, 1 tied: +0.000 on average"
    assert run_label("recorded:m1-k8") == "recorded m1-k8"


def test_runs_that_differ_in_the_seed_alone_are_one_group_with_its_spread() -> None:
    runs = [
        run_of("a", [0.4], config_of(seed=0)),
        run_of("b", [0.9], config_of(seed=0, codebook_size=8)),
        run_of("c", [0.6], config_of(seed=1)),
        run_of("d", [0.6], config_of(seed=1), data_hash="other"),
        run_of("e", [0.6], config_of(seed=1, split_seed=1)),
    ]
    groups = seed_groups(runs)
    assert [[run.facts.name for run in group.runs] for group in groups] == [["a", "c"], ["b"], ["d"], ["e"]]
    spread = groups[0].spread(lambda run: run.own_recall)
    assert (spread.mean, spread.deviation, spread.n) == (pytest.approx(0.5), pytest.approx(math.sqrt(0.02)), 2)
    alone = groups[1].spread(lambda run: run.own_recall)
    assert (alone.mean, alone.n) == (0.9, 1)
    assert math.isnan(alone.deviation)


def test_a_copy_of_a_run_does_not_make_the_spread_smaller() -> None:
    runs = [run_of(name, [recall], config_of(seed=seed)) for name, recall, seed in (("a", 0.4, 0), ("copy", 0.4, 0), ("b", 0.6, 1))]
    groups = seed_groups(runs)
    assert [[run.facts.name for run in group.runs] for group in groups] == [["a", "b"], ["copy"]]
    assert groups[0].spread(lambda run: run.own_recall).deviation == pytest.approx(math.sqrt(0.02))


def test_only_settings_that_differ_are_listed_and_data_by_its_content() -> None:
    runs = [run_of("a", [0.4]).facts, run_of("b", [0.4], config_of(seed=2, codebook_size=8)).facts]
    assert [(row.setting, row.values) for row in differences(runs)] == [
        ("quantizer.codebook_size", ("256", "8")),
        ("training.seed", ("0", "2")),
    ]
    assert differences(runs[:1]) == []
    others = [runs[0], runs[0]._replace(data_hash="another")]
    assert [(row.setting, row.values) for row in differences(others)] == [("data", ("the data data (data)", "the data data (another)"))]

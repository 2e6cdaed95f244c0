from __future__ import annotations

import pytest

from benchmarks.knee import Served, Setting, knee, layouts, pruned, table
from tests.tiny import tiny_backbone, tiny_data, tiny_split

SMALL, FAST, BEST, POOR = (Setting(1, size, 8, 0.2) for size in (64, 128, 256, 32))
FOUND = {SMALL: Served(0.50, 1.0, 0.10), FAST: Served(0.497, 2.0, 0.04), BEST: Served(0.502, 9.0, 0.20), POOR: Served(0.40, 0.1, 0.01)}


@pytest.mark.parametrize(("loss", "chosen"), [(0.0, BEST), (0.005, SMALL), (0.01, FAST), (0.5, POOR)])
def test_the_choice_has_the_least_bytes_times_time_within_the_loss(loss: float, chosen: Setting) -> None:
    assert knee(FOUND, loss) == chosen


def test_the_tables_hold_every_setting_over_the_best_and_say_which_layout_is_free() -> None:
    rows = {"float32": Served(0.5, 2.0, 0.1), "blocked": Served(0.5, 1.5, 0.102), "quantized": Served(0.5, 1.0, 0.12)}
    assert table({SMALL: rows}, 0.625)[-1] == "| 1 | 64 | 8 | 20% | 0.5000 | 0.800 | 2.000 | 0.100 |"
    twice_as_slow = rows | {"quantized": Served(0.5, 1.0, 0.24)}
    lines = layouts(rows, [rows, twice_as_slow])
    assert [line.split(" | ")[-1] for line in lines[2:]] == ["yes |", "yes |", "no |"]
    assert lines[-1].startswith("| quantized | 0.5000 | 1.000 | 0.120 | 1.20 | 1.70 |")
    worse = rows | {"blocked": Served(0.49, 1.5, 0.05)}
    assert layouts(worse, [worse])[3].endswith("no |")


def test_only_previews_near_the_best_with_the_same_codebooks_are_fine_tuned(capsys: pytest.CaptureFixture[str]) -> None:
    grid = [Setting(books, size, nearest, 0.3) for books in (1, 2) for size in (4, 8) for nearest in (1, 4)]
    data, split = tiny_data(), tiny_split()
    left = pruned(data, [(tiny_backbone(), split)], grid, {})
    assert {setting[:2] for setting in left} == {setting[:2] for setting in grid}
    told = capsys.readouterr().out
    for setting in set(grid) - set(left):
        assert f"M = {setting.n_codebooks}, K = {setting.codebook_size}, P = {setting.n_nearest}, 30% kept: " in told

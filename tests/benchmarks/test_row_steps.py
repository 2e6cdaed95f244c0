from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import row_steps
from benchmarks.row_steps import Size, histories


def test_the_ratio_is_that_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    row_steps.main(items=100, epochs=1, quick=True)
    out, err = capsys.readouterr()
    rows = {cells[1].strip(): cells for cells in (line.split("|") for line in out.splitlines() if line.startswith("| "))}
    figures = json.loads(out.splitlines()[-1])
    for steps in ("all", "touched"):
        assert float(rows[steps][3].strip()) == pytest.approx(figures[f"loss_{steps}"], abs=1e-3)
        assert f"{steps}: " in err
    # The same batches and negatives from the same start: only what the steps moved differs.
    assert figures["loss_all"] == pytest.approx(figures["loss_touched"], rel=0.1)
    one, other = (float(rows[steps][2].strip()) for steps in ("all", "touched"))
    rounding = 5.1e-4
    least, most = (one - rounding) / (other + rounding), (one + rounding) / max(other - rounding, 1e-9)
    assert least - 1e-4 <= figures["epoch_speedup"] <= most + 1e-4


def test_made_up_histories_prefer_the_first_items() -> None:
    data = histories(1_000, Size(200, 30), 3)
    counts = np.bincount(data.items, minlength=1_000)
    assert len(data) == 200
    assert data.items.max() < 1_000
    assert counts[:10].sum() > counts[500:].sum()
    assert all(len(set(data[row].tolist())) == len(data[row]) for row in range(5))

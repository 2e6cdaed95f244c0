from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import closed_forms
from sparcode.config import SyntheticConfig


def test_the_models_asked_for_are_measured_on_every_seed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_forms, "QUICK", SyntheticConfig(n_users=60, n_items=50))
    closed_forms.main(seeds=2, model=["popularity", "item co-occurrence"], quick=True)
    out, err = capsys.readouterr()
    seeds = [[float(cell.split()[-1]) for cell in line.split(",")] for line in err.splitlines()]
    means = [sum(values) / len(values) for values in zip(*seeds, strict=True)]
    assert len(seeds) == 2
    assert json.loads(out.splitlines()[-1]) == pytest.approx(dict(zip(["popularity", "item co-occurrence"], means, strict=True)), abs=1e-4)


def test_half_a_ready_made_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a ready-made split needs --train FILE and --test FILE"):
        closed_forms.main(train=tmp_path / "train.parquet")

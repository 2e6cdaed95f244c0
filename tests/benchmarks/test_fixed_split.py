from __future__ import annotations

import json

import pytest
import typer

from benchmarks import fixed_split
from sparcode.config import SyntheticConfig


def test_the_figures_are_those_of_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed_split, "QUICK", SyntheticConfig(n_users=80, n_items=60))
    fixed_split.main(quick=True)
    out, _ = capsys.readouterr()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("| ")]
    recall = {row[0]: float(row[1].split()[0]) for row in cells[1:]}
    figures = json.loads(out.splitlines()[-1])
    assert figures["recall_at_20"] == recall["SparCode (index)"]
    assert figures["recall_vs_two_tower"] == pytest.approx(recall["SparCode (index)"] / recall["two-tower"], abs=1e-3)
    assert figures["recall_vs_cooccurrence"] == pytest.approx(recall["SparCode (index)"] / recall["item co-occurrence"], abs=1e-3)
    assert set(figures) == {"recall_at_20", "ndcg_at_20", "recall_vs_two_tower", "recall_vs_cooccurrence", "train_minutes", "peak_gb"}
    assert 0 < figures["train_minutes"] < 5
    assert 0 < figures["peak_gb"] < 4


def test_both_files_are_needed() -> None:
    with pytest.raises(typer.BadParameter, match="--train and --test"):
        fixed_split.main()

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from benchmarks import fixed_split
from benchmarks.command import settings_of
from sparcode.config import RunConfig, SyntheticConfig


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
    # Nothing where the process had as much before.
    assert 0 <= figures["peak_gb"] < 4


def test_settings_of_a_file_take_the_place_of_recommended_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    def stop(data: object, split: object, *configs: RunConfig) -> None:
        seen.extend(configs)
        raise KeyboardInterrupt

    monkeypatch.setattr(fixed_split, "measure", stop)
    of_all = {"model": {"item_lists": "ease"}, "training": {"batch_size": 64}}
    of_mean = {"all": of_all, "two_tower": {"model": {"token_dim": 32}}}
    (tmp_path / "settings.json").write_text(json.dumps({"mean": of_mean}))
    with pytest.raises(KeyboardInterrupt):
        fixed_split.main(settings=tmp_path / "settings.json", quick=True)
    assert (seen[0].model.item_lists, seen[0].training.batch_size, seen[0].training.epochs) == ("ease", 64, 3)
    assert seen[0].split.protocol == "fixed-split"
    # Two-tower has some of its own on top.
    assert (seen[1].model.token_dim, seen[1].training) == (32, seen[0].training)


def test_a_file_without_the_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"gru": {"all": {}}}')
    with pytest.raises(typer.BadParameter, match="no settings for the encoder 'mean'; it has some for 'gru'"):
        settings_of(tmp_path / "settings.json")
    assert settings_of(tmp_path / "settings.json", "gru") == ({}, {})


@pytest.mark.parametrize("path", sorted(Path("benchmarks/settings").glob("*.json")), ids=lambda path: path.stem)
def test_kept_settings_are_settings(path: Path) -> None:
    protocol = "fixed-split" if path.stem == "movielens1m-m1" else "strong"
    found = settings_of(path, "mean")[0]
    config = RunConfig.for_data(False, RunConfig.model_validate(found), protocol)
    assert all(getattr(getattr(config, stage), name) == value for stage, fields in found.items() for name, value in fields.items())


def test_both_files_are_needed() -> None:
    with pytest.raises(typer.BadParameter, match="--train and --test"):
        fixed_split.main()

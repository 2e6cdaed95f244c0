from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks import end_to_end, fixed_split, split_end_to_end, trained_models
from benchmarks.fixed_split import quick_files
from benchmarks.pareto_plot import ServedPoint
from benchmarks.split_end_to_end import SHORTEST, Served, SplitCase, SplitTiming, best_on_validation, read_case, serve_split
from benchmarks.trained_models import counted_without_targets, split_models
from sparcode.comparison.peers import FLAT, HNSW, SPARCODE, Sweep
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.training import recommended
from sparcode.training.list_fit import made, shortened
from sparcode.training.pair_fit import with_targets
from sparcode.training.pipeline import build_run_index


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setattr(fixed_split, "QUICK", SyntheticConfig(n_users=80, n_items=60))
    monkeypatch.setattr(split_end_to_end, "SWEEP", Sweep(links=(4,), ef_search=(16,), k=20))
    monkeypatch.setattr(split_end_to_end, "TIMED", 5)
    return quick_files(tmp_path)


@pytest.fixture
def case(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> SplitCase:
    """The settings of a large, sparse catalogue."""
    monkeypatch.setattr(recommended, "SPARSE_ITEMS", 10)
    monkeypatch.setattr(recommended, "SPARSE_SHARE", 1.0)
    monkeypatch.setattr(split_end_to_end, "QUICK_TRAINING", {"epochs": 2})
    return read_case(*files, seed=0, quick=True)


def test_the_figures_are_ratios_of_the_last_table(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    end_to_end.main(train=files[0], test=files[1], keep=tmp_path / "kept", rounds=1, timed=3, quick=True)
    out, err = capsys.readouterr()
    figures = json.loads(out.splitlines()[-1])
    last = out[out.index("The same on the test users") :]
    rows = {
        row[0]: row for row in ([cell.strip() for cell in line.split("|")[1:-1]] for line in last.splitlines() if line.startswith("| "))
    }
    assert set(rows) == {"retriever", FLAT, HNSW, SPARCODE, SHORTEST}
    recall, p50, p95, p99 = ({name: float(row[column]) for name, row in rows.items() if name != "retriever"} for column in (2, 4, 5, 6))
    assert figures["recall_vs_two_tower"] == pytest.approx(recall[SPARCODE] / recall[FLAT], rel=1e-3)
    for name, times in (("latency", p50), ("p95", p95), ("p99", p99)):
        for prefix, own in (("", SPARCODE), ("shortest_", SHORTEST)):
            # Times are printed to a microsecond.
            least, most = (times[own] - 6e-4) / (times[HNSW] + 6e-4), (times[own] + 6e-4) / max(times[HNSW] - 6e-4, 1e-9)
            assert least - 1e-4 <= figures[f"{prefix}{name}_vs_two_tower_hnsw"] <= most + 1e-4
    assert figures["recall_at_20"] == pytest.approx(recall[SPARCODE], abs=1e-4)
    assert "two-tower" in err
    assert "trained in" in err
    end_to_end.main(train=files[0], test=files[1], keep=tmp_path / "kept", rounds=1, timed=3, quick=True)
    assert "trained in" not in capsys.readouterr().err


def test_a_model_of_counts_alone_trains_no_backbone(case: SplitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a backbone was trained")

    monkeypatch.setattr("benchmarks.trained_models.train_backbone", refuse)
    found = split_models(case.data, case.split, case.config)
    assert not found.sparcode.has_network
    assert len(found.sparcode.pairs.codes)


def test_the_model_that_chooses_has_not_counted_the_targets(case: SplitCase) -> None:
    found = split_models(case.data, case.split, case.config)
    split = case.split
    user, row = split.validation.users[0], split.validation.queries[0]
    target = int(split.validation.targets[0][0])
    own, other = (model.score_codes(row.astype(np.int64))[:, target] for model in (found.sparcode, found.choosing))
    # The user has the target beside each item of the query: one more count for every pair.
    assert np.all(own > 0)
    assert user in split.train_users
    # Nobody else's count differs from one made without the user's targets.
    holds = [set(split.train[at].tolist()) for at in range(len(split.train))]
    for value, item in zip(other, row, strict=True):
        together = any({int(item), target} <= items for items in holds)
        assert (value > 0) <= together


def test_without_pair_features_the_served_model_chooses(files: tuple[Path, Path]) -> None:
    case = read_case(*files, seed=0, quick=True)
    config = case.config.model_copy(update={"model": case.config.model.model_copy(update={"item_lists": "none"})})
    found = split_models(case.data, case.split, config)
    assert found.choosing is found.sparcode
    assert counted_without_targets(found.sparcode, case.split, config) is found.sparcode


def test_the_lists_that_choose_are_without_the_targets(files: tuple[Path, Path]) -> None:
    case = read_case(*files, seed=0, quick=True)
    config = case.config.model_copy(update={"model": case.config.model.model_copy(update={"item_lists": "counts"})})
    found, split = split_models(case.data, case.split, config), case.split
    own, other = found.sparcode.lists, found.choosing.lists
    assert len(own.listed())
    assert own.choice.tolist() == other.choice.tolist()
    assert float(own.weight) == pytest.approx(float(other.weight), rel=1e-6)
    per_code, shape = own.choice.tolist()[1:]
    for lists, histories in ((own, with_targets(split)), (other, split.train)):
        expected = shortened(made(found.sparcode, histories, shape), int(per_code))
        np.testing.assert_array_equal(lists.arrays[1], expected.indices)
    assert not np.array_equal(own.arrays[1], other.arrays[1])


def test_what_older_rules_kept_is_not_read(
    case: SplitCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for rules in (trained_models.RULES, trained_models.RULES, trained_models.RULES + 1):
        monkeypatch.setattr(trained_models, "RULES", rules)
        split_models(case.data, case.split, case.config, tmp_path)
        told.append("trained in" in capsys.readouterr().err)
    assert told == [True, False, True]


def test_a_setting_cuts_the_share_it_names(case: SplitCase) -> None:
    found = split_models(case.data, case.split, case.config)
    index = build_run_index(found.sparcode, case.split.train_queries, case.config.index)
    assert index.kept_postings(*Served("float32").cut(index)) == len(index.item_ids)
    half = index.kept_postings(*Served("blocked", 0.5).cut(index))
    assert 0 < half <= len(index.item_ids) / 2
    assert Served("float32", per_list=50).cut(index).per_list == 50


def point(name: str, setting: str, recall: float, p50_ms: float, error: float = 0.001) -> ServedPoint:
    return ServedPoint(name, setting, recall, p50_ms, p50_ms, p50_ms, 0.0, p50_ms, 1, 1.0, error)


def test_sparcode_keeps_its_recall_and_may_be_shorter_beside_two_tower() -> None:
    points = [
        point(FLAT, "", 0.2, 5.0, 0.0),
        point(HNSW, "a", 0.1999, 0.4),
        point(HNSW, "b", 0.19, 0.1),
        point(SPARCODE, str(Served("float32")), 0.3, 0.5),
        point(SPARCODE, "blocked", 0.2975, 0.3),
        point(SPARCODE, "shorter", 0.296, 0.25),
        point(SPARCODE, "shortest", 0.202, 0.1),
        point(SPARCODE, "too short", 0.2005, 0.05),
    ]
    best = best_on_validation(points)
    assert {name: one.setting for name, one in best.items()} == {FLAT: "", HNSW: "a", SPARCODE: "blocked", SHORTEST: "shortest"}


def test_a_ready_made_split_takes_no_other_data(files: tuple[Path, Path]) -> None:
    for others in ({"train": files[0]}, {"train": files[0], "test": files[1], "data": files[0]}):
        with pytest.raises(typer.BadParameter, match="--train and --test come together"):
            end_to_end.main(**others)


def test_a_split_serves_the_paper_form_too(files: tuple[Path, Path]) -> None:
    case = read_case(*files, seed=1, quick=True)
    assert isinstance(case.config, RunConfig)
    figures = serve_split(case, None, SplitTiming(1, 3, 1))
    assert 0 <= figures["recall_at_20"] <= 1

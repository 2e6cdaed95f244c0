from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparcode.commands.evaluate import index_record
from sparcode.commands.serving import ServingFlags
from sparcode.config import SyntheticConfig
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.metrics.evaluation import Explorer
from sparcode.metrics.registry import METRICS
from sparcode.runs.store import load_run
from sparcode.training.pipeline import build_run_index
from tests.commands.conftest import TINY, TINY_DATA, Command, Output, Record
from tests.model.test_item_lists import with_lists
from tests.tiny import changed, tiny_split


@pytest.fixture(scope="module")
def evaluated(record: Record) -> Record:
    """Measures a run of the tiny synthetic data."""
    return lambda *arguments: record("evaluate", *arguments, *TINY_DATA)


def test_a_kept_run_measures_as_it_did(evaluated: Record, kept_run: Path) -> None:
    measured, row = evaluated(kept_run), load_run(kept_run).results[0]
    assert (measured["recall"], measured["ndcg"], measured["precision"]) == (row["recall"], row["ndcg"], row["precision"])
    assert sum(measured["size_bytes"].values()) == row["size_bytes"]
    assert measured["check"]["recall_through_index"] == measured["check"]["recall_by_direct_scoring"]


def test_a_smaller_density_serves_a_smaller_index(evaluated: Record, kept_run: Path) -> None:
    usual, small = evaluated(kept_run), evaluated(kept_run, "--density", 0.05)
    assert small["density"] == pytest.approx(0.05, abs=0.01)
    assert small["threshold"] > usual["threshold"]
    assert sum(small["size_bytes"].values()) < sum(usual["size_bytes"].values())
    again = evaluated(kept_run, "--threshold", repr(small["threshold"]))
    assert (again["recall"], again["density"]) == (small["recall"], small["density"])


@pytest.mark.parametrize("density", [0.05, 0.2])
def test_a_density_is_of_the_heads_codes_where_items_have_lists(density: float) -> None:
    config = changed({"item_lists": "counts"})
    model = with_lists(config)
    run = SimpleNamespace(model=model, index=build_run_index(model, tiny_split().train, config.index), config=config)
    serving = ServingFlags(density=density)
    cut = serving.cut(run)
    assert index_record(run, serving, cut, tiny_split())["density"] == pytest.approx(density, abs=0.01)
    with pytest.raises(ValueError, match="cannot serve more"):
        ServingFlags(density=0.99).cut(run)


def test_every_layout_finds_the_same_and_says_its_parts(evaluated: Record, kept_run: Path) -> None:
    lists, blocks, quantized = (evaluated(kept_run, "--postings", kind) for kind in ("float32", "blocked", "quantized"))
    assert [measured["layout"] for measured in (lists, blocks, quantized)] == ["float32", "blocked", "quantized"]
    for name in ("recall", "ndcg", "precision", "threshold", "density"):
        assert blocks[name] == lists[name]
    assert quantized["recall"] == pytest.approx(lists["recall"], rel=1e-3)
    assert set(lists["size_bytes"]) == {"codes", "indptr", "item_ids", "scores"}
    assert set(blocks["size_bytes"]) == {"lists", "blocks", "item_ids", "scores"}
    assert quantized["size_bytes"]["scores"] * 2 == blocks["size_bytes"]["scores"] == lists["size_bytes"]["scores"]


def test_a_run_keeps_the_layout_it_was_trained_for(output: Output, evaluated: Record, tmp_path: Path) -> None:
    output("train", *TINY, "--postings", "quantized", "--out", tmp_path / "run", "--quiet")
    measured, row = evaluated(tmp_path / "run"), load_run(tmp_path / "run").results[0]
    assert measured["layout"] == "quantized"
    assert (measured["recall"], sum(measured["size_bytes"].values())) == (row["recall"], row["size_bytes"])
    text = output("evaluate", tmp_path / "run", *TINY_DATA)
    assert "; quantized: lists " in text


@pytest.mark.parametrize("postings", ["float32", "blocked", "quantized"])
def test_a_size_is_met_in_the_layout_served(evaluated: Record, kept_run: Path, postings: str) -> None:
    measured = evaluated(kept_run, "--max-bytes", 6000, "--postings", postings)
    assert 5500 < sum(measured["size_bytes"].values()) <= 6000


def test_lists_are_cut_at_a_number_of_scores(output: Output, evaluated: Record, kept_run: Path) -> None:
    usual, cut = evaluated(kept_run), evaluated(kept_run, "--per-list", 3)
    assert (cut["per_list"], cut["threshold"], usual["per_list"]) == (3, usual["threshold"], None)
    assert cut["check"] is None
    assert "direct scoring" not in output("evaluate", kept_run, *TINY_DATA, "--per-list", 3)
    assert cut["density"] <= 3 / 80
    assert cut["density"] < usual["density"]
    blocks = evaluated(kept_run, "--per-list", 3, "--threshold", repr(usual["threshold"]), "--postings", "blocked")
    assert (blocks["recall"], blocks["density"]) == (cut["recall"], cut["density"])


def test_the_index_and_its_codes_are_counted(output: Output, evaluated: Record, kept_run: Path) -> None:
    run, measured = load_run(kept_run), evaluated(kept_run)
    parts = split_users(generate(SyntheticConfig(n_users=120, n_items=80, difficulty=0.2)), run.config.split)
    usage = Explorer(run.model, run.index, parts.test, parts.train).usage
    assert measured["codes_in_use"] == usage.codes_in_use
    assert measured["perplexity"] == usage.perplexity.tolist()
    assert measured["postings"] == (run.index.scores > measured["threshold"]).sum()
    assert measured["index_bytes"] == sum(run.index.size_bytes(measured["threshold"]).values()) <= sum(measured["size_bytes"].values())
    text = output("evaluate", kept_run, *TINY_DATA)
    assert f"{measured['postings']:,} scores, {METRICS['size_bytes'].text(measured['index_bytes'])}" in text
    mean, each = METRICS["perplexity"].text(usage.perplexity.mean()), " / ".join(map(METRICS["perplexity"].text, usage.perplexity))
    assert f"Codes: {usage.codes_in_use} in use of {usage.possible_codes} possible, perplexity {mean} ({each})" in text


def test_validation_users_are_other_users(evaluated: Record, kept_run: Path) -> None:
    assert evaluated(kept_run, "--split", "validation", "--k", 5)["split"] == "validation"


def test_text_says_what_was_measured(output: Output, kept_run: Path) -> None:
    text = output("evaluate", kept_run, *TINY_DATA, "--k", 5)
    assert all(part in text for part in ("Recall@5", "Measured on 12 test users", "SYNTHETIC")), text


def test_other_data_is_refused(refused: Output, kept_run: Path) -> None:
    line = refused("evaluate", kept_run)
    assert "was trained on" in line
    assert "give the same file, read in the same way" in line


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--threshold", "1", "--density", "0.1"], ["got --threshold and --density"]),
        (["--density", "0.1", "--max-bytes", "9999"], ["got --density and --max-bytes"]),
        (["--density", "0.1", "--per-list", "3"], ["got --density and --per-list"]),
        (["--threshold", "1", "--max-bytes", "9999", "--per-list", "3"], ["got --threshold and --max-bytes and --per-list"]),
        (["--max-bytes", "10"], ["max_bytes must be at least", "got 10"]),
        (["--per-list", "0"], ["--per-list", "greater than or equal to 1"]),
        (["--postings", "float16"], ["postings", "float16", "quantized"]),
        (["--density", "0"], ["density=0", "above 0"]),
        (["--density", "0.99"], ["density=0.99", "cannot serve more"]),
        (["--threshold", "-1"], ["threshold=-1", "cannot serve a lower threshold"]),
        (["--threshold", "nan"], ["--threshold", "finite", "nan"]),
        (["--split", "train"], ["train", "validation"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(refused: Output, kept_run: Path, flags: list[str], parts: list[str]) -> None:
    line = refused("evaluate", kept_run, *TINY_DATA, *flags)
    assert all(part in line for part in parts), line


def test_a_folder_that_is_no_run_is_named(refused: Output, tmp_path: Path) -> None:
    assert f"{tmp_path} is not a run folder: it lacks run.json" in refused("evaluate", tmp_path)
    assert "is not a run folder" in refused("evaluate", tmp_path / "nowhere")


def test_numbers_end_at_the_catalogue_and_at_the_index(command: Command, kept_run: Path) -> None:
    most = 2**63 - 1
    result = command("evaluate", kept_run, *TINY_DATA, "--k", most, "--per-list", most, "--json")
    assert (result.exit_code, result.stderr) == (0, f"note: k={most} is cut to 80, the number of items\n")
    figures = json.loads(result.stdout)
    assert figures["k"] == 80
    everything = json.loads(command("evaluate", kept_run, *TINY_DATA, "--max-bytes", most, "--json").stdout)
    assert everything["postings"] >= figures["postings"]

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparcode.runs.store import load_run, save_run
from tests.commands.conftest import Command, Output, Record


@pytest.fixture(scope="module")
def database(output: Output, kept_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kept run's items in Milvus Lite; not to be changed."""
    path = tmp_path_factory.mktemp("milvus") / "items.db"
    told = output("export", kept_run, path, "--to", "milvus")
    run = load_run(kept_run)
    above = run.index.scores > max(run.model.threshold, run.index.floor)
    n_items, n_values = len(set(run.index.item_ids[above].tolist())), int(above.sum())
    assert told.startswith(f"exported {n_items} items with {n_values} values above ")
    assert f" to {path} as sparcode_items\n{80 - n_items} items that no list holds above the threshold were left out" in told
    return path


@pytest.fixture(scope="module")
def queries(record: Record) -> Callable[..., list[dict]]:
    return lambda *arguments: record("retrieve", *arguments)["queries"]


def test_milvus_answers_as_the_index(queries: Callable[..., list[dict]], kept_run: Path, database: Path, tmp_path: Path) -> None:
    path, allow, deny = tmp_path / "histories.jsonl", tmp_path / "allow.txt", tmp_path / "deny.txt"
    path.write_text("\n".join(f"[{item}, {(7 * item + 1) % 80}]" for item in range(80)))
    allow.write_text("\n".join(map(str, range(0, 80, 2))))
    deny.write_text("4\n5")
    through = ("--through", "milvus", "--uri", database)
    for more in ((), ("--allow", allow), ("--deny", deny), ("--allow", allow, "--deny", deny, "--k", 80)):
        assert queries(kept_run, "--history", path, *more, *through) == queries(kept_run, "--history", path, *more)
    some = ("--items", 3, "--explain", "--k", 3)
    assert queries(kept_run, *some, *through) == queries(kept_run, *some)


def test_an_expression_is_over_the_columns_of_the_items(
    queries: Callable[..., list[dict]], kept_run: Path, database: Path, tmp_path: Path
) -> None:
    items = load_run(kept_run).items
    allow = tmp_path / "allow.txt"
    allow.write_text("\n".join(str(item) for item in range(80) if "Drama" in items["genres"][item]))
    expected = queries(kept_run, "--items", 3, "--allow", allow)
    found = queries(kept_run, "--items", 3, "--through", "milvus", "--uri", database, "--where", 'genres like "%Drama%"')
    assert found == expected
    assert found[0]["results"]


def test_an_export_is_cut_as_told_and_replaces_when_told(
    output: Output, refused: Output, queries: Callable[..., list[dict]], kept_run: Path, tmp_path: Path
) -> None:
    run, path = load_run(kept_run), tmp_path / "items.db"
    output("export", kept_run, path, "--to", "milvus", "--collection", "cut")
    assert "the collection 'cut' exists" in refused("export", kept_run, path, "--to", "milvus", "--collection", "cut")
    threshold = float(run.index.scores[run.index.indptr[:-1]].max()) - 0.05
    output("export", kept_run, path, "--to", "milvus", "--collection", "cut", "--overwrite", "--threshold", threshold)
    (few,) = queries(kept_run, "--items", 3, "--through", "milvus", "--uri", path, "--collection", "cut", "--k", 80)
    (all_of_them,) = queries(kept_run, "--items", 3, "--k", 80)
    assert len(few["results"]) < len(all_of_them["results"])


def test_codes_without_a_list_are_told(command: Command, kept_run: Path, output: Output, queries: Callable, tmp_path: Path) -> None:
    run, folder, path = load_run(kept_run), tmp_path / "run", tmp_path / "items.db"
    index = run.index.below(int(run.index.codes[len(run.index.codes) // 2]))
    save_run(replace(run, index=index), folder)
    output("export", folder, path, "--to", "milvus")
    (tmp_path / "histories").write_text("\n".join(f"[{item}]" for item in range(20)))
    asked = ("retrieve", folder, "--history", tmp_path / "histories", "--through", "milvus", "--uri", path)
    result = command(*asked)
    assert result.exit_code == 0
    assert "of 20 were answered from the run's index: they have codes without a list" in result.stderr
    assert queries(*asked[1:]) == queries(folder, "--history", tmp_path / "histories")


def test_the_query_side_is_written_as_onnx(output: Output, refused: Output, kept_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "queries.onnx"
    told = output("export", kept_run, path, "--to", "onnx")
    assert told.startswith(f"wrote {path}, {path.stat().st_size:,} bytes; codes are the model's on 256 random histories")
    assert "queries.onnx exists; overwrite it" in refused("export", kept_run, path, "--to", "onnx")
    assert "go with --to milvus" in refused("export", kept_run, path, "--to", "onnx", "--threshold", 1)


def test_bad_usage_is_refused(refused: Output, kept_run: Path, database: Path, tmp_path: Path) -> None:
    assert "must be a file that ends in .db or begin with" in refused("export", kept_run, tmp_path / "items", "--to", "milvus")
    assert "is not a run folder" in refused("export", tmp_path, tmp_path / "items.db", "--to", "milvus")
    asked = ("retrieve", kept_run, "--items", 3)
    assert "--through milvus needs --uri" in refused(*asked, "--through", "milvus")
    assert "--through milvus needs --uri" in refused(*asked, "--uri", database)
    assert "--where goes with --through milvus" in refused(*asked, "--where", "year > 3")
    assert "--collection goes with --through milvus" in refused(*asked, "--collection", "other")
    through = (*asked, "--through", "milvus", "--uri")
    assert "nowhere.db does not exist; sparcode export" in refused(*through, tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()
    assert "does not understand the expression 'yeer > 3'" in refused(*through, database, "--where", "yeer > 3")
    assert "there is no collection 'other'; there are 'sparcode_items'" in refused(*through, database, "--collection", "other")


def test_what_milvus_cannot_open_is_one_line(command: Command, kept_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file.db").write_text("something else")
    result = command("export", kept_run, tmp_path / "file.db", "--to", "milvus")
    assert (result.exit_code, result.stderr) == (1, f"error: Milvus at {tmp_path}/file.db: Open local milvus failed\n")
    assert (tmp_path / "file.db").read_text() == "something else"

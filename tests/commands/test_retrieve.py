from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparcode.runs.store import load_run, save_run
from sparcode.training.pipeline import build_run_index
from tests.commands.conftest import Command, Output, Record
from tests.model.test_item_lists import with_lists
from tests.tiny import changed, tiny_split


@pytest.fixture(scope="module")
def queries(record: Record) -> Callable[..., list[dict]]:
    return lambda *arguments: record("retrieve", *arguments)["queries"]


def test_items_come_best_first_without_those_of_the_history(queries: Callable[..., list[dict]], kept_run: Path) -> None:
    (query,) = queries(kept_run, "--items", 12, "--items", 7, "--k", 8)
    results = query["results"]
    assert [result["rank"] for result in results] == list(range(1, 9))
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert not {"12", "7"} & {result["item_id"] for result in results}
    titles = load_run(kept_run).items["title"]
    assert all(titles[int(result["item_id"])] == result["title"] for result in results)
    assert [item["title"] for item in query["items"]] == [titles[12], titles[7]]


def test_a_file_of_histories_gives_what_each_gives_alone(queries: Callable[..., list[dict]], kept_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "histories.jsonl"
    path.write_text('[12, 7]\n\n["3"]\n')
    together = queries(kept_run, "--history", path)
    alone = [*queries(kept_run, "--items", 12, "--items", 7), *queries(kept_run, "--items", 3)]
    assert [[result["item_id"] for result in query["results"]] for query in together] == [
        [result["item_id"] for result in query["results"]] for query in alone
    ]


def test_contributions_add_up_to_the_score(queries: Callable[..., list[dict]], kept_run: Path) -> None:
    (query,) = queries(kept_run, "--items", 5, "--explain", "--k", 4)
    for result in query["results"]:
        parts = [part["contribution"] for part in result["contributions"]]
        assert parts == sorted(parts, reverse=True)
        assert sum(parts) == pytest.approx(result["score"], rel=1e-5)


def test_text_shows_titles_and_codes(output: Output, kept_run: Path) -> None:
    text, titles = output("retrieve", kept_run, "--items", 5, "--explain", "--k", 2), load_run(kept_run).items["title"]
    assert text.startswith(f"History 1: {titles[5]}\n")
    header, _, *lines = text.splitlines()[1:]
    rows = [line for line in lines if "code " not in line]
    assert len(lines) > len(rows) == 2
    for line in rows:
        assert line[header.index("title") :] == titles[int(line.split()[1])]


def test_a_list_of_an_item_is_named_by_the_item(queries: Callable[..., list[dict]], output: Output, kept_run: Path, tmp_path: Path) -> None:
    config, run = changed({"item_lists": "ease"}), load_run(kept_run)
    model = with_lists(config, alpha=3.0)
    index = build_run_index(model, tiny_split().train, config.index)
    item_ids = [f"id {number}" for number in range(model.n_items)]
    folder = save_run(replace(run, config=config, model=model, index=index, item_ids=item_ids), tmp_path / "run")
    (query,) = queries(folder, "--items", "id 5", "--items", "id 7", "--explain", "--k", 4)
    owners = {
        part["list_of_item"]: part["code"] for result in query["results"] for part in result["contributions"] if "list_of_item" in part
    }
    assert owners
    assert owners.items() <= {"id 5": 36 + 5, "id 7": 36 + 7}.items()
    text = output("retrieve", folder, "--items", "id 5", "--items", "id 7", "--explain", "--k", 4)
    assert any(f"      item {owner}: " in text for owner in owners)


def test_only_allowed_items_are_returned(queries: Callable[..., list[dict]], kept_run: Path, tmp_path: Path) -> None:
    (usual,) = queries(kept_run, "--items", 12, "--k", 80)
    ids = [result["item_id"] for result in usual["results"]]
    allow, deny = tmp_path / "allow.txt", tmp_path / "deny.txt"
    allow.write_text("\n".join(ids[::2]) + "\n\n")
    deny.write_text(f" {ids[0]}\n")
    (some,) = queries(kept_run, "--items", 12, "--k", 80, "--allow", allow)
    assert [result["item_id"] for result in some["results"]] == ids[::2]
    (fewer,) = queries(kept_run, "--items", 12, "--k", 3, "--allow", allow, "--deny", deny)
    assert [result["item_id"] for result in fewer["results"]] == ids[2:8:2]


def test_a_bad_filter_is_named(refused: Output, kept_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_text("\n")
    assert f"{path} has no item id" in refused("retrieve", kept_run, "--items", 1, "--allow", path)
    path.write_text("3\nnothing\n")
    assert f"{path}, line 2: unknown item id 'nothing'" in refused("retrieve", kept_run, "--items", 1, "--deny", path)
    assert "cannot be read" in refused("retrieve", kept_run, "--items", 1, "--deny", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]\n{\n", "line 2: not valid JSON"),
        ("[1]\n[]\n", "line 2: the history is empty"),
        ("[true]\n", "line 1: must be a list of item ids"),
        ('[1]\n["nothing"]\n', "line 2: unknown item id 'nothing'; the run knows 80 items, such as '0'"),
        ("\n\n", "has no history"),
    ],
)
def test_a_bad_line_is_named(refused: Output, kept_run: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "histories.jsonl"
    path.write_text(content)
    line = refused("retrieve", kept_run, "--history", path)
    assert str(path) in line
    assert message in line


def test_bad_usage_is_refused(refused: Output, kept_run: Path, tmp_path: Path) -> None:
    assert "either by --items" in refused("retrieve", kept_run)
    assert "unknown item id '9999'" in refused("retrieve", kept_run, "--items", 9999)
    assert "cannot be read" in refused("retrieve", kept_run, "--history", tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not a text file in UTF-8" in refused("retrieve", kept_run, "--history", tmp_path / "binary")
    assert "is not a run folder" in refused("retrieve", tmp_path, "--items", 1)


def test_k_ends_at_the_catalogue(command: Command, kept_run: Path) -> None:
    result = command("retrieve", kept_run, "--items", 5, "--k", 81, "--json")
    assert (result.exit_code, result.stderr) == (0, "note: k=81 is cut to 80, the number of items\n")
    assert len(json.loads(result.stdout)["queries"][0]["results"]) <= 79


def test_texts_of_the_data_do_not_act_on_the_terminal(output: Output, kept_run: Path, tmp_path: Path) -> None:
    run = load_run(kept_run)
    titles = ["\x1b]0;title\x07two\nlines\u202e"] * len(run.items)
    save_run(replace(run, items=run.items.assign(title=titles)), tmp_path / "run")
    text = output("retrieve", tmp_path / "run", "--items", 5, "--k", 3)
    assert text.startswith("History 1: \\x1b]0;title\\x07two\\nlines\\u202e\n")
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text.splitlines()) == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["12", ""]', "an item id is empty"),
        ('{"items": [" "]}', "an item id is empty"),
        ('{"items": [12], "about": {"gender": ""}}', "\"about\" has an empty value for 'gender'"),
        ('{"items": [12], "about": {" ": "F"}}', '"about" has an empty name'),
    ],
)
def test_an_empty_cell_of_a_history_is_named(refused: Output, kept_run: Path, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "histories.jsonl"
    path.write_text(f"[12]\n{line}\n")
    assert f"{path}, line 2: {message}" in refused("retrieve", kept_run, "--history", path)


def test_an_attribute_is_given_once_and_not_empty(refused: Output, kept_run: Path) -> None:
    assert "--about gives gender twice" in refused("retrieve", kept_run, "--items", 5, "--about", "gender=F", "--about", "gender=M")
    assert "--about must be NAME=VALUE" in refused("retrieve", kept_run, "--items", 5, "--about", "gender=")

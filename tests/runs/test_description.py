from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparcode.runs.description import DESCRIPTION, read_description
from sparcode.runs.store import Run, save_run
from tests.tiny import CONFIG, tiny_data, tiny_index, tiny_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    from sparcode.comparison.run import data_facts

    data = tiny_data()
    item_ids = [str(item_id) for item_id in data.item_ids]
    return save_run(
        Run(CONFIG, data_facts(data), tiny_model(), tiny_index(), item_ids, data.items, [], [{"recall": 0.5}], "here"), tmp_path / "run"
    )


def test_a_run_is_described_without_its_model(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    found = read_description(saved)
    assert (found.config, found.results, found.machine, found.records) == (CONFIG, [{"recall": 0.5}], "here", [])
    assert found.data.content_hash == tiny_data().content_hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 9}, "format version 9"),
        ({"machine": None, "config": {}}, r"run\.json was edited"),
        ({"results": 3}, r"run\.json is damaged"),
        ({"run_id": "0-0"}, "but it says 0-0"),
    ],
)
def test_a_description_that_was_changed_is_refused(saved: Path, change: dict, message: str) -> None:
    path = saved / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_description(saved)


def test_a_folder_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run\.json cannot be read as JSON"):
        read_description(tmp_path)

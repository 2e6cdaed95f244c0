from __future__ import annotations

from typing import Any

import pytest

from app.components import figure_tiles as component
from app.components.figure_tiles import Tile, figure_tiles
from sparcode.glossary import about


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the browser is given."""
    sent: dict[str, Any] = {}
    monkeypatch.setattr(component, "_mount", lambda **arguments: sent.update(arguments["data"]))
    return sent


def test_a_tile_is_explained_by_its_name_or_its_label(given: dict[str, Any]) -> None:
    named, labelled = Tile("perplexity", "Perplexity", "recorded", "137", "of 256"), Tile("scale_found", "Share found", "", "98%", "")
    unknown = Tile("luck", "Luck", "", "1", "")
    figure_tiles([named, labelled, unknown], "tiles", "1")
    assert [tile["tip"] for tile in given["tiles"]] == [about("perplexity"), about("found"), ""]


@pytest.mark.parametrize("name", ["recall", "ndcg", "size_bytes", "postings", "codes_in_use", "perplexity", "p50_ms", "p95_ms", "parts"])
def test_every_figure_of_the_explorer_is_explained(given: dict[str, Any], name: str) -> None:
    figure_tiles([Tile(name, "", "preview", "1", "")], "tiles", "1")
    assert given["tiles"][0]["tip"] == about(name)

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from app import theme
from app.training.run import BACKBONE, JOINT, TWO_TOWER
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, ROSTER, SPARCODE

LOOKS = [("light", False), ("dark", True)]


@pytest.fixture(scope="module")
def config(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two hex colours, 1 to 21, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("look", "dark"), LOOKS)
def test_the_config_file_and_the_charts_use_the_same_colours(config: dict[str, Any], look: str, dark: bool) -> None:
    ours = {
        "chartCategoricalColors": list(theme.categorical(dark)),
        "chartSequentialColors": list(theme.SEQUENTIAL),
        "backgroundColor": theme.BACKGROUND_DARK if dark else theme.BACKGROUND_LIGHT,
        "textColor": theme.TEXT_DARK if dark else theme.TEXT_LIGHT,
        "primaryColor": theme.PRIMARY_DARK if dark else theme.PRIMARY_LIGHT,
        "borderColor": theme.GRID_DARK if dark else theme.GRID_LIGHT,
    }
    assert {name: config[look][name] for name in ours} == ours
    assert config["font"] == theme.FONT_FAMILY


@pytest.mark.parametrize("palette", [theme.CATEGORICAL_LIGHT, theme.CATEGORICAL_DARK, theme.SEQUENTIAL, theme.DASHES, theme.MARKERS])
def test_every_list_has_ten_different_entries(palette: tuple[str, ...]) -> None:
    assert len(palette) == len(set(palette)) == 10


@pytest.mark.parametrize(("look", "dark"), LOOKS)
def test_text_and_buttons_are_readable(config: dict[str, Any], look: str, dark: bool) -> None:
    colours = config[look]
    for background in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
        assert contrast(colours["textColor"], background) >= 7
        assert contrast(colours["primaryColor"], background) >= 3
    assert contrast(colours["primaryColor"], "#FFFFFF") >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_plotly_accepts_the_layout_and_every_series_style(dark: bool) -> None:
    figure = go.Figure(layout=theme.figure_layout(dark, font_size=18))
    for position in range(10):
        figure.add_scatter(x=[0, 1], y=[0, position], **theme.series_style(position, dark))
    assert figure.layout.font.size == 18
    assert [trace.line.color for trace in figure.data] == list(theme.categorical(dark))


def test_layouts_are_independent_of_each_other() -> None:
    theme.figure_layout(False)["xaxis"]["gridcolor"] = "#FF0000"
    assert theme.figure_layout(False)["xaxis"]["gridcolor"] == theme.GRID_LIGHT


def test_looks_repeat_after_the_tenth_series() -> None:
    assert theme.series_style(12, False) == theme.series_style(2, False)


@pytest.mark.parametrize("dark", [False, True])
def test_a_model_looks_the_same_in_every_chart_and_unlike_the_others(dark: bool) -> None:
    names = (*(peer.name for peer in ROSTER), JOINT, BACKBONE, TWO_TOWER)
    looks = {name: json.dumps(theme.model_style(name, dark)) for name in names}
    assert looks[JOINT] == looks[SPARCODE]
    assert looks[TWO_TOWER] == looks[FLAT]
    assert looks[BACKBONE] == looks[ALL_TO_ALL]
    looks["a newcomer"] = json.dumps(theme.model_style("a newcomer", dark))
    assert len(set(looks.values())) == 11


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="position must be 0 or more, got -1"):
        theme.series_style(-1, False)
    with pytest.raises(ValueError, match="font_size must be positive, got 0"):
        theme.figure_layout(False, font_size=0)

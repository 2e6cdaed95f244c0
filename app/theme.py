"""Colours, dashes, markers and the base layout of every chart; `.streamlit/config.toml` repeats colours and fonts for Streamlit."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

# Okabe and Ito's colour-blind safe set, with two more to make the ten that Streamlit needs.
CATEGORICAL_LIGHT: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000", "#332288", "#999999")
CATEGORICAL_DARK: Final = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00", "#FFFFFF", "#88CCEE", "#BBBBBB")

# Viridis in ten steps, low to high.
SEQUENTIAL: Final = ("#440154", "#482878", "#3E4989", "#31688E", "#26828E", "#1F9E89", "#35B779", "#6DCD59", "#B4DE2C", "#FDE725")

# Series n takes entry n of all three lists, so that series differ by more than colour.
DASHES: Final = (
    "solid",
    "dash",
    "dot",
    "dashdot",
    "longdash",
    "longdashdot",
    "8px,3px,2px,3px,2px,3px",
    "14px,4px",
    "2px,6px",
    "6px,2px",
)
MARKERS: Final = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "x",
    "triangle-down",
    "star",
    "hexagon",
    "pentagon",
)

BACKGROUND_LIGHT: Final = "#FFFFFF"
BACKGROUND_DARK: Final = "#11151C"
TEXT_LIGHT: Final = "#1B2430"
TEXT_DARK: Final = "#E6EAF0"
GRID_LIGHT: Final = "#D5DCE4"
GRID_DARK: Final = "#333C4A"
# Of models without a place in the palette.
NEUTRAL_LIGHT: Final = "#6B7785"
NEUTRAL_DARK: Final = "#8B97A6"
PRIMARY_LIGHT: Final = "#0072B2"
# Darker than the first series colour, for a contrast of 4.5:1 with white button text.
PRIMARY_DARK: Final = "#1F7AC0"

FONT_FAMILY: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', Arial, sans-serif"


# Place of a model in the palette, on all pages. Flat gives two-tower's own results.
MODEL_STYLES: Final = {
    "SparCode": 0,
    "SparCode (index)": 0,
    "two-tower": 1,
    "two-tower Flat": 1,
    "two-tower HNSW": 2,
    "two-tower IVF-Flat": 3,
    "two-tower IVF-PQ": 4,
    "item co-occurrence": 5,
    "regression": 6,
    # In the text colour, like the line that marks its recall in other charts.
    "all-to-all": 7,
    "EASE": 8,
    "popularity": 9,
}


def categorical(dark: bool) -> tuple[str, ...]:
    """Ten series colours (hex) for a light or dark background."""
    return CATEGORICAL_DARK if dark else CATEGORICAL_LIGHT


def text_colour(dark: bool) -> str:
    """Colour of text and of reference lines."""
    return TEXT_DARK if dark else TEXT_LIGHT


def series_style(position: int, dark: bool) -> dict[str, Any]:
    """`line` and `marker` arguments of a Plotly scatter trace for the series at a position from 0; styles repeat after the tenth.

    ValueError if `position` is negative.
    """
    if position < 0:
        raise ValueError(f"position must be 0 or more, got {position}")
    place = position % len(CATEGORICAL_LIGHT)
    colour = categorical(dark)[place]
    return {
        "line": {"color": colour, "dash": DASHES[place], "width": 2},
        "marker": {"color": colour, "symbol": MARKERS[place], "size": 8},
    }


def model_style(name: str, dark: bool) -> dict[str, Any]:
    """Line and marker of a model, as `series_style`; grey, with open circles, for one that has no place in the palette."""
    if name in MODEL_STYLES:
        return series_style(MODEL_STYLES[name], dark)
    colour = NEUTRAL_DARK if dark else NEUTRAL_LIGHT
    return {"line": {"color": colour, "dash": "3px,3px", "width": 2}, "marker": {"color": colour, "symbol": "circle-open", "size": 8}}


def figure_layout(dark: bool, font_size: int = 14) -> dict[str, Any]:
    """The `layout` that every figure starts from, as a fresh dict; `font_size` in pixels. ValueError if `font_size` is not positive."""
    if font_size <= 0:
        raise ValueError(f"font_size must be positive, got {font_size}")
    background, text, grid = (BACKGROUND_DARK, TEXT_DARK, GRID_DARK) if dark else (BACKGROUND_LIGHT, TEXT_LIGHT, GRID_LIGHT)
    axis = {"gridcolor": grid, "linecolor": grid, "zerolinecolor": grid, "automargin": True, "title": {"standoff": 12}}
    return {
        "colorway": list(categorical(dark)),
        "colorscale": {"sequential": [[step / (len(SEQUENTIAL) - 1), colour] for step, colour in enumerate(SEQUENTIAL)]},
        "font": {"family": FONT_FAMILY, "size": font_size, "color": text},
        "paper_bgcolor": background,
        "plot_bgcolor": background,
        "margin": {"l": 56, "r": 16, "t": 48, "b": 48},
        "hoverlabel": {"font": {"family": FONT_FAMILY, "size": font_size}},
        "xaxis": deepcopy(axis),
        "yaxis": deepcopy(axis),
    }

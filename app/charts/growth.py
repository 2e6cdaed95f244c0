"""Charts of one figure of every way to serve over catalogue size, both axes logarithmic; SparCode follows the threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from app.charts.follow import SizeColumn, axes_stay, let_follow
from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.measured.scale_words import ENOUGH, build_of, found_text, memory_of, time_of
from app.theme import model_style, text_colour
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_enough
from sparcode.comparison.peers import SPARCODE


class GrowthSeries(NamedTuple):
    """One way: name, sizes (n,) int64 ascending, values (n,) float64 (NaN: none), and a text for every point."""

    name: str
    n_items: np.ndarray
    values: np.ndarray
    texts: tuple[str, ...]


class GrowthData(NamedTuple):
    """A chart over catalogue size.

    `column` is what SparCode follows while the threshold is dragged; `range_` holds every value that it may show there, so that axes stay.
    """

    title: str
    axis: str
    unit: str
    series: tuple[GrowthSeries, ...]
    real_size: int
    column: SizeColumn | None = None
    range_: tuple[float, ...] = ()
    is_log: bool = True


# SparCode at the fewest scores that find enough, beside the threshold looked at.
FITTED: Final = f"SparCode, {ENOUGH:.0%} found"
# A range from which on only powers of ten are labelled.
_DECADES: Final = 50.0
Value = Callable[[GrowthPoint], float]


def growth_data(look: GrowthData, points: Sequence[GrowthPoint], value: Value, text: Callable[[GrowthPoint], str]) -> GrowthData:
    """A chart's data; `look` has everything but the series. SparCode's points must be of one share, and come first."""
    series = []
    sizes = sorted({point.n_items for point in points})
    for name in dict.fromkeys(point.name for point in points):
        of_way = {point.n_items: point for point in points if point.name == name}
        # SparCode has a place at every size, so that another share can fill it.
        kept = sizes if name == SPARCODE else [size for size in sizes if size in of_way and value(of_way[size]) > 0]
        if kept:
            values = np.array([value(of_way[size]) if size in of_way else np.nan for size in kept], dtype=np.float64)
            texts = tuple(text(of_way[size]) if size in of_way else "" for size in kept)
            series.append(GrowthSeries(name, np.array(kept, dtype=np.int64), values, texts))
    return look._replace(series=tuple(series))


def growth_figure(data: GrowthData, dark: bool) -> Figure:
    """Every way's figure over the number of items; the real catalogue is marked."""
    figure = titled_figure(data.title, "items in the catalogue", data.axis, dark)
    if not data.series:
        return with_note(figure, "Nothing is measured yet")
    value = f"{data.title.lower()} %{{y:.3g}} {data.unit}" if data.is_log else "finds %{y:.1%}"
    for series in data.series:
        style, main = _style(series.name, dark), series.name == SPARCODE
        figure.add_scatter(
            x=series.n_items.astype(np.float64),
            y=series.values,
            text=list(series.texts),
            name=series.name,
            mode="lines+markers",
            line={**style["line"], "width": 3.5 if main else 1.5},
            marker={**style["marker"], "size": 11 if main else 8},
            hovertemplate=f"%{{x:,}} items: {value}<br>%{{text}}<extra>%{{fullData.name}}</extra>",
        )
        if main and data.column is not None:
            let_follow(figure, y=data.column)
    name_columns(figure, y=f"{data.title.lower()} ({data.axis})", text="setting and share found")
    ticks = _ticks([size for series in data.series for size in series.n_items.tolist()])
    figure.x.update(type="log", tickvals=ticks, ticktext=[_size_text(tick) for tick in ticks])
    figure.y.update({"type": "log", "exponentformat": "none"} if data.is_log else {"rangemode": "tozero", "tickformat": ".0%"})
    values = np.concatenate([series.values for series in data.series])
    if data.is_log and np.nanmax(values) > _DECADES * np.nanmin(values):
        # Without the 2 and 5 between.
        figure.y["dtick"] = 1
    if "follow" in figure.layout.get("meta", {}):
        axes_stay(figure, *data.range_)
    look = {"font": {"size": 12, "color": text_colour(dark)}}
    line = {"color": text_colour(dark), "width": 1, "dash": "dot"}
    figure.add_boundary(float(np.log10(data.real_size)), line, "real size", "right", "top" if data.is_log else "bottom", **look)
    # Shapes on a logarithmic axis are placed by value, annotations by exponent.
    figure.layout["shapes"][-1].update(x0=data.real_size, x1=data.real_size)
    return figure


def with_fitted(chosen: Sequence[GrowthPoint], points: Sequence[GrowthPoint]) -> list[GrowthPoint]:
    """Points of one share, and beside them SparCode at the fewest scores that find enough, named `FITTED`."""
    fitted = [point._replace(name=FITTED) for point in at_enough(points, ENOUGH) if point.name == SPARCODE]
    return [*(p for p in chosen if p.name == SPARCODE), *fitted, *(p for p in chosen if p.name != SPARCODE)]


def time_data(points: Sequence[GrowthPoint], real_size: int) -> GrowthData:
    """The chart of time alone, which follows no slider."""
    (_, look, value), *_ = growth_looks(real_size)
    return growth_data(look._replace(column=None), points, value, point_text)


def point_text(point: GrowthPoint) -> str:
    """What hovering over a point adds: its setting and the share found."""
    return (f"{point.setting}<br>" if point.setting else "") + f"finds {found_text(point.found)} of its model's exact best"


def growth_looks(real_size: int) -> tuple[tuple[str, GrowthData, Value], ...]:
    """Key, look without series, and figure of every chart: time, memory, share found, build time."""

    def look(title: str, axis: str, unit: str, column: SizeColumn, is_log: bool = True) -> GrowthData:
        return GrowthData(title, axis, unit, (), real_size, column, is_log=is_log)

    return (
        ("scale-time", look("Time per query", "ms, median", "ms", SizeColumn.MS), time_of),
        ("scale-memory", look("Memory", "MB", "MB", SizeColumn.MB), lambda point: memory_of(point) / 1e6),
        ("scale-found", look("Share found", "of the exact best", "", SizeColumn.FOUND, False), lambda point: point.found),
        ("scale-build", look("Build time", "seconds", "s", SizeColumn.SECONDS), build_of),
    )


def _style(name: str, dark: bool) -> dict[str, Any]:
    if name != FITTED:
        return model_style(name, dark)
    style = model_style(SPARCODE, dark)
    return {"line": {**style["line"], "dash": "dot"}, "marker": {**style["marker"], "symbol": "circle-open"}}


def _ticks(sizes: Sequence[int]) -> list[float]:
    return [10.0**power for power in range(int(np.floor(np.log10(min(sizes)))), int(np.ceil(np.log10(max(sizes)))) + 1)]


def _size_text(size: float) -> str:
    # On a phone a longer text has no room at the edge of the plot.
    return f"{size / 1e6:,.0f}M" if size >= 1e6 else f"{size:,.0f}"

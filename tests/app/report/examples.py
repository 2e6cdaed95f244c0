"""Entries of a report with texts that would do harm where they are not escaped."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from app.charts.frame import Figure, titled_figure
from app.report.entry import Entry, Source, Tile, chart_entry, table_entry, tiles_entry
from app.report.picture import HEIGHT, SCALE, WIDTH
from tests.tiny import CONFIG

DAY = "2026-11-30T22:05"
HARM = "</script><script>alert(1)</script><!-- & <b>"
SOURCE = Source(
    page="Index Explorer",
    run="films",
    data="tiny: 120 users, 60 items, 900 interactions",
    called="fine-tuned",
    config=CONFIG.model_dump_json(),
    setting="M=2 K=8",
    seed=3,
    machine="a processor, 2 cores",
    data_flags="--data tiny.csv",
)


def figure(dark: bool = False, takeaway: str = "8 times smaller for 0.01 recall", name: str = "this run") -> Figure:
    """Two points, the second without a value, and a heading of its own."""
    made = titled_figure("Recall against index size", "index size (MB)", "Recall@50", dark, takeaway)
    made.add_scatter(x=np.array([1.5, 2.5]), y=np.array([0.25, np.nan]), name=name, mode="markers")
    made.add_bar(x=[1, 2], y=[0.5, 0.75], name="=SUM(A1)")
    made.layout["meta"] = {"columns": {"y": "recall at 50"}}
    return made


def chart(**changed: Any) -> Entry:
    return chart_entry(figure(**changed).to_json(), figure(dark=True, **changed).to_json(), SOURCE, DAY)


def tiles() -> Entry:
    return tiles_entry([Tile("Recall@50", "0.412", "200 test users", "fine-tuned"), Tile("Index size", "1.20 MB")], SOURCE, DAY)


def table(rows: int = 3, columns: int = 2) -> Entry:
    names = [f"column {number}" for number in range(columns)]
    return table_entry("Every way to serve", names, [[f"way {row}", *[row / 7] * (columns - 1)] for row in range(rows)], SOURCE, DAY)


def png(width: int = SCALE * WIDTH, height: int = SCALE * HEIGHT, kind: str = "PNG") -> bytes:
    """A picture with a pattern, so that a scaled one can be told from it."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(out, kind)
    return out.getvalue()


def svg(inside: str = "<path d='M0,0L9,9'/>", width: int = WIDTH, height: int = HEIGHT, root: str = "") -> str:
    """A drawing as a browser sends it."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {root}>{inside}</svg>'


def data_url(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

"""Every measured point as a table and as CSV; what was left out, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.components.data_table import data_table
from app.measured.scale_words import NONE, sign_of, slope_text, time_of
from app.measured.scaling import ScaleResult
from sparcode.comparison.grown_ways import LeftOut
from sparcode.comparison.growth import GrowthPoint


def summary_table(points: Sequence[GrowthPoint]) -> pd.DataFrame:
    """One row a way: time per query at each size, how time grows, and the rest at the way's largest size. SparCode at one share."""
    sizes = sorted({point.n_items for point in points})
    rows = []
    for name in dict.fromkeys(point.name for point in points):
        of_way = {point.n_items: point for point in points if point.name == name}
        last = of_way[max(of_way)]
        times = {f"{size:,} items (ms)": sign_of(of_way[size]) + f"{of_way[size].p50_ms:.3g}" if size in of_way else NONE for size in sizes}
        build = NONE if math.isnan(last.build_seconds) else f"{sign_of(last)}{last.build_seconds:,.3g}"
        rows.append(
            {
                "way to serve": name,
                "finds": f"{sign_of(last)}{last.found:.1%}",
                **times,
                "time grows as items^": slope_text(points, name, time_of),
                "memory (MB)": f"{sign_of(last)}{last.size_bytes / 1e6:,.1f}",
                "build (s)": build,
                "setting": last.setting or NONE,
                "at": f"{last.n_items:,} items",
            }
        )
    return pd.DataFrame(rows)


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """A line for every way and reason, its least size named; SparCode's shares one by one."""
    first: dict[tuple[str, float | None], LeftOut] = {}
    for one in left_out:
        key = (one.name, None if math.isnan(one.share) else one.share)
        if key not in first or one.n_items < first[key].n_items:
            first[key] = one
    return [f"{one.name} from {one.n_items:,} items on: {one.reason}." for one in first.values()]


def csv_of(result: ScaleResult) -> str:
    """All points, with what they depend on in every row."""
    depends = {"data": result.data_name, "real_items": result.n_items, "codes_in_use": result.n_lists, "sparcode_model": result.kind}
    where = {"machine": result.machine, "measured_at": result.measured_at, "load_per_core": result.load}
    return pd.DataFrame([{**point._asdict(), **depends, **where} for point in result.points]).to_csv(index=False)


def details(result: ScaleResult, points: Sequence[GrowthPoint]) -> None:
    """The table of all points, the download, and how it was measured."""
    columns = {"p50_ms": "median (ms)", "encode_ms": "of it encoding (ms)", "build_seconds": "build (s)", "n_items": "items"}
    every = pd.DataFrame([point._asdict() for point in result.points]).rename(columns=columns)
    data_table(every, "Every measured point with its figures", "scale-points", hide_index=True, height=320)
    st.download_button("Download as CSV", csv_of(result), file_name="scale.csv", mime="text/csv", on_click="ignore")
    timed = sorted({point.n_timed for point in result.points})
    st.caption(
        f"A larger catalogue holds the {result.n_items:,} real items and others drawn from them: a trained item plus noise with the "
        f"covariance of all items (smoothed bootstrap). Queries are those of test users: {timed[-1]} of them, {timed[0]} for ways that "
        "score every item; single queries on one thread, encoding included, all ways in turn; a query's time is that of "
        "its fastest round. HNSW and IVF stand at the least effort that "
        f"finds 95%. SparCode's index is that of all {result.n_lists:,} codes in use: its bytes follow from the share kept, its build "
        "time from that of some lists, and only the lists of the timed queries are made. Co-occurrence is grown alike: a new item has the "
        "counts of the item it was drawn from, so counts grow with the square of the items."
    )

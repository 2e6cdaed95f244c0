"""The tables of the page Compare runs: figures with their spread over seeds, settings that differ, every threshold, every user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from app.components.column_tips import column_tips
from app.components.data_table import data_table
from app.kept.comparable import RunFacts
from app.kept.run_figures import RunFigures
from app.kept.run_groups import SeedGroup, differences, seed_groups
from app.kept.run_words import run_label
from sparcode.config import DEFAULT_K
from sparcode.glossary import about_label

_ORIGINS: Final = {"kept": "kept here", "command line": "command line", "recorded": "recorded"}


def figures_table(runs: Sequence[RunFigures]) -> None:
    """A row per group of runs that differ in the seed alone."""
    groups = seed_groups(runs)
    table = table_of_groups(groups)
    columns = column_tips(table)
    for name in table.select_dtypes(float).columns:
        columns[name] = st.column_config.NumberColumn(format="%.3f" if "MB" in name else "%.4f", help=about_label(name) or None)
    data_table(table, "Figures of every run, with their spread over seeds", "runs-figures", hide_index=True, column_config=columns)
    n_alike = sum(len(group.runs) > 1 for group in groups)
    spread = (
        "± is the standard deviation over runs that differ in the seed of training alone, which are one row."
        if n_alike
        else "Runs that differ in the seed of training alone would be one row, with their standard deviation; there are none."
    )
    st.caption(f"All at the threshold that a run was trained with, measured on this machine. {spread}")


def table_of_groups(groups: Sequence[SeedGroup]) -> pd.DataFrame:
    """Groups as a table; a deviation of one run is missing."""
    rows = []
    for group in groups:
        first = group.runs[0].facts
        seeds = ", ".join(str(run.facts.config.training.seed) for run in group.runs)
        row = {"run": ", ".join(run_label(run.facts.name) for run in group.runs), "n": len(group.runs), "seed": seeds}
        for name, value in (
            (f"Recall@{DEFAULT_K}", lambda run: run.own_recall),
            (f"NDCG@{DEFAULT_K}", lambda run: run.ndcg),
            ("index (MB)", lambda run: run.own_bytes / 1e6),
            ("median (ms)", lambda run: run.own_ms),
        ):
            mean, deviation, _ = group.spread(value)
            row |= {name: mean, f"± {name}": deviation}
        rows.append({**row, "made by": _ORIGINS[first.origin], "data": first.data_name})
    table = pd.DataFrame(rows)
    # Columns without a value in any row say nothing.
    return table.dropna(axis="columns", how="all")


def settings_table(runs: Sequence[RunFacts]) -> None:
    """Only the settings that are not the same in all runs."""
    rows = differences(runs)
    if not rows:
        st.markdown("These runs have the same data and all settings alike.")
        return
    table = pd.DataFrame(
        [{"setting": row.setting, **{run_label(run.name): value for run, value in zip(runs, row.values, strict=True)}} for row in rows]
    )
    data_table(table, "Settings in which the runs differ", "runs-settings", hide_index=True)


def thresholds_table(runs: Sequence[RunFigures]) -> None:
    """Every measured threshold of every run: the numbers behind the curves."""
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "run": run_label(run.facts.name),
                    "threshold tau": run.tau,
                    "scores kept (%)": 100 * run.density,
                    f"Recall@{DEFAULT_K}": run.recall,
                    "index (MB)": run.size_bytes / 1e6,
                    "median (ms)": run.p50_ms,
                    "as trained": np.arange(len(run.tau)) == run.own,
                }
            )
            for run in runs
        ]
    )
    data_table(table, "Every run at every measured threshold", "runs-thresholds", hide_index=True)


def users_table(first: RunFigures, second: RunFigures) -> None:
    """Recall of every test user under two runs of the same users."""
    a, b = run_label(first.facts.name), run_label(second.facts.name)
    change = second.recall_by_user - first.recall_by_user
    table = pd.DataFrame({"test user": np.arange(len(change)), a: first.recall_by_user, b: second.recall_by_user, "difference": change})
    data_table(table.sort_values("difference", kind="stable"), f"Recall of every test user: {a} and {b}", "runs-users", hide_index=True)

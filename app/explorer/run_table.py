"""The run history as a table, newest first, with buttons that return to a run or pin it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import pandas as pd
import streamlit as st

from app.components.bundle import script, style
from app.components.data_table import add_table_button
from app.measured.figures import Figures, delta, figure_text
from app.session.configuration import Configuration
from app.session.run_history import Run, RunHistory
from app.session.widgets import go_to, pin
from sparcode.config import DEFAULT_K
from sparcode.glossary import about_label

_KEY: Final = "run-table"
_COLUMNS: Final = ("recall", "ndcg", "size_bytes", "postings", "p50_ms")

_mount = st.components.v2.component(
    "sparcode_run_table",
    html='<div class="sparcode-runs" tabindex="0" role="region" aria-label="Table, may be scrolled"></div>',
    css=style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


def run_table(history: RunHistory, pinned: Configuration | None) -> None:
    """The table of this visitor's runs."""
    rows = table_rows(history, pinned)
    head = ["run", "settings, and what changed", "model", f"Recall@{DEFAULT_K}", f"NDCG@{DEFAULT_K}", "size", "scores", "median", "", ""]
    answer = _mount(
        key=_KEY,
        data={"head": head, "tips": [about_label(name) for name in head], "runs": rows},
        width="stretch",
        height="content",
        on_go_change=lambda: _answer(history, "go"),
        on_pin_change=lambda: _answer(history, "pin"),
    )
    if rows:
        add_table_button(pd.DataFrame(map(_plain_row, rows), columns=head[:-2]), "Runs looked at", _KEY)
    asked = {"go": (history.current, answer.go), "pin": (pinned, answer.pin)}
    for name, (now, number) in asked.items():
        # The callback had no value, because a run was cut short before it came to the table.
        if number is not None and (chosen := history.numbered(int(number))) not in (None, now):
            (go_to if name == "go" else pin)(chosen)
            st.rerun()


def _plain_row(row: dict[str, Any]) -> list[str]:
    """A row as a report has it, without the differences."""
    model, *figures = row["figures"]
    return [str(row["number"]), row["label"], " ".join(model), *(value for value, _ in figures)]


def table_rows(history: RunHistory, pinned: Configuration | None) -> list[dict[str, Any]]:
    """The rows for the browser, newest first; differences are to the run before."""
    runs, rows = history.runs, []
    for run, before in zip(runs, (None, *runs), strict=False):
        chosen = run.configuration
        rows.append({**_row(run, before), "current": chosen == history.current, "pinned": chosen == pinned})
    return rows[::-1]


# A page that polls mostly draws the same rows again.
@lru_cache(maxsize=2048)
def _row(run: Run, before: Run | None) -> dict[str, Any]:
    chosen = run.configuration
    return {
        "number": run.number,
        "label": f"{chosen.label}, {chosen.keep} % kept",
        "change": "" if before is None else chosen.difference(before.configuration),
        "figures": [_model(run.figures), *_figures(run.figures, before)],
    }


def _model(figures: Figures | None) -> list[str]:
    if figures is None:
        return ["not measured", ""]
    return [figures.kind, f"{figures.epochs} epoch{'' if figures.epochs == 1 else 's'}"]


def equal_epochs_note(runs: Sequence[Run]) -> str:
    """Whether the runs' M, K and P are compared at equal epochs of fine-tuning, in words; empty where nothing is compared."""
    measured = [run for run in runs if run.figures is not None]
    epochs = sorted({run.figures.epochs for run in measured})
    if len({run.configuration.codes for run in measured}) < 2:
        return ""
    if len(epochs) == 1:
        return f"All runs had {epochs[0]} epochs of fine-tuning, so M, K and P are compared at equal epochs."
    return (
        f"The runs had {epochs[0]} to {epochs[-1]} epochs of fine-tuning, so M, K and P are not compared at equal epochs: a difference may "
        "be one of training. The search of all settings compares them at none."
    )


def _figures(figures: Figures | None, before: Run | None) -> list[list[str]]:
    earlier = before.figures if before is not None else None
    texts = []
    for name in _COLUMNS:
        value = getattr(figures, name) if figures else None
        change = delta(name, value, getattr(earlier, name) if earlier else None)
        texts.append([figure_text(name, value), change.text])
    return texts


def _answer(history: RunHistory, name: str) -> None:
    state = st.session_state.get(_KEY)
    chosen = None if state is None else history.numbered(int(getattr(state, name)))
    if chosen is not None:
        (go_to if name == "go" else pin)(chosen)

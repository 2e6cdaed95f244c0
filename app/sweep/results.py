"""What a sweep found: charts, the trial that is looked at, the table of all trials, and files to take home."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from app.charts.parallel_trials import parallel_trials_data, parallel_trials_figure
from app.charts.setting_shares import setting_shares_data, setting_shares_figure
from app.charts.setting_slice import setting_slice_data, setting_slice_figure
from app.charts.sweep_front import sweep_front_data, sweep_front_figure
from app.components.data_table import data_table
from app.components.live_chart import live_chart
from app.jobs.job import JobSnapshot
from app.kept.sweep_jobs import SweepJobs
from app.kept.sweep_words import FIGURES, megabytes, params_words, setting_name
from app.session.chosen_data import sweeps_folder
from app.session.error_words import error_words
from app.session.settings import FIGURE, FRONT, Setting
from app.session.visitor import owner_id, want_in_tab
from app.studio import Studio
from app.sweep.chosen import choose_trial, chosen_trial
from sparcode.sweep.folder import Sweep
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.table import FORMATS, as_file, trial_rows

HEIGHT: Final = 430
FRONTS: Final = {"size": "recall and size", "time": "recall and time", "both": "all three"}
_MIME: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": "application/json"}
_STATES: Final = {"complete": "complete", "pruned": "given up early", "failed": "failed"}


def charts(name: str, sweep: Sweep, jobs: SweepJobs, studio: Studio) -> bool:
    """The four charts; returns whether one of them is still being computed. A click on a point looks at its trial."""
    definition, trials, chosen = sweep.definition, sweep.complete, chosen_trial()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = choice(FRONT, FRONTS)
        of = choice(FIGURE, FIGURES)
        setting = _slice(definition.space.settings)
    within = definition.search.max_bytes
    job = jobs.importance(name, sweep, of, owner_id()) if trials else None
    if job is not None and job.active:
        want_in_tab(job.key, studio)
    front = sweep_front_data(definition, trials, by, chosen)
    parallel = parallel_trials_data(definition.space, trials, within, chosen)
    shares = setting_shares_data(
        _shares(job), of, "Being computed ..." if job is not None and job.active else "Too few trials differ to tell"
    )
    one = setting_slice_data(definition.space, trials, setting, of, within, chosen)
    with st.grid(2, min_column_width=480):
        live_chart(sweep_front_figure, front, "sweep-front", f"{front.title or 'No trial is complete yet'}.", HEIGHT, choose_trial)
        live_chart(parallel_trials_figure, parallel, "sweep-parallel", f"{parallel.title or 'No trial yet'}.", HEIGHT, choose_trial)
        live_chart(setting_shares_figure, shares, "sweep-shares", f"{shares.title or shares.note}.", HEIGHT)
        live_chart(setting_slice_figure, one, "sweep-slice", f"{one.title or 'No trial yet'}.", HEIGHT, choose_trial)
    return job is not None and job.active


def choice(setting: Setting, words: Mapping[str, str]) -> str:
    """One of a setting's options, side by side."""
    now = st.session_state[setting.key]
    key = f"sweep-{setting.key}-{now}"

    def changed() -> None:
        st.session_state[setting.key] = st.session_state.get(key) or now

    st.segmented_control(
        setting.label, list(words), default=now, format_func=words.__getitem__, key=key, on_change=changed, required=True, help=setting.help
    )
    return now


def trials_table(name: str, sweep: Sweep) -> None:
    """All finished trials with what varies and their figures, and the choice of one of them."""
    table = table_of(sweep)
    columns = {
        column: st.column_config.NumberColumn(format=form)
        for column, form in ((f"Recall@{sweep.definition.k}", "%.4f"), ("size (MB)", "%.3f"), ("median (ms)", "%.4f"), ("seconds", "%.0f"))
    }
    data_table(table, f"All trials of the sweep {name}", "sweep-trials-table", hide_index=True, column_config=columns)


def table_of(sweep: Sweep) -> pd.DataFrame:
    """Finished trials as a table for people, the best first; figures are those of a trial's best threshold."""
    rows = [
        {
            "trial": row["trial"],
            "state": _STATES[row["state"]],
            **{setting_name(setting): row[setting] for setting in sweep.definition.space.settings},
            f"Recall@{sweep.definition.k}": row["best_recall"],
            "size (MB)": None if row["best_size_bytes"] is None else row["best_size_bytes"] / 1e6,
            "median (ms)": row["best_p50_ms"],
            "epochs": row["epochs"],
            "seconds": row["seconds"],
        }
        for row in trial_rows(sweep.definition, sweep.trials)
    ]
    table = pd.DataFrame(rows)
    recall = f"Recall@{sweep.definition.k}"
    return (
        table if table.empty else table.astype({recall: "float64"}).sort_values(recall, ascending=False, kind="stable", na_position="last")
    )


def downloads(name: str, sweep: Sweep) -> None:
    """Files of all trials, and the command that repeats the sweep."""
    shown = for_visitors(sweep)
    definition, trials, stem = shown.definition, shown.trials, name.replace(":", "-")
    with st.container(horizontal=True, vertical_alignment="center"):
        for form in FORMATS:
            st.download_button(
                {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}[form],
                lambda form=form: as_file(definition, trials, form),
                f"{stem}.{form}",
                _MIME[form],
                on_click="ignore",
                disabled=not trials,
                key=f"sweep-file-{form}",
                help="All trials with their settings and figures" + (", and every point of every curve" if form == "json" else ""),
            )
    if command := definition.command(Path(name.replace(":", "-")).name):
        st.caption("The command that repeats it, beside the folder of the sweep or its `sweep.json`:")
        st.code(command, language="shell", wrap_lines=True)


def for_visitors(sweep: Sweep) -> Sweep:
    """A sweep as files and commands name it, which may be public: of the server's folders nothing, of a path its last part."""
    data = sweep.definition.data
    update = {
        "flags": shlex.join(map(_last_part, shlex.split(data.flags))),
        "options": {option: _last_part(value) for option, value in data.options.items()},
        **{field: _last_part(getattr(data, field)) for field in ("path", "train", "test")},
    }
    trials = [trial.model_copy(update={"error": error_words(ValueError(trial.error), sweeps_folder())}) for trial in sweep.trials]
    definition = sweep.definition.model_copy(update={"data": data.model_copy(update=update)})
    return sweep._replace(definition=definition, trials=tuple(trials))


def trial_words(trial: TrialRecord, k: int, max_bytes: int | None) -> str:
    """A trial in one line of Markdown."""
    best = trial.best(max_bytes)
    if best is None:
        why = {"pruned": "given up early", "failed": "failed", "complete": "no threshold within the budget"}[trial.state]
        return f"**Trial {trial.number}**: {params_words(trial.params)}; {why}."
    seconds = f"{trial.seconds:.0f} s"
    return (
        f"**Trial {trial.number}**: {params_words(trial.params)}. At its best threshold Recall@{k} {best.recall:.3f}, "
        f"{megabytes(best.size_bytes)}, {best.p50_ms:.3f} ms; {seconds} to train and measure."
    )


def _last_part(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _slice(settings: tuple[str, ...]) -> str:
    return st.selectbox("One setting", settings, format_func=setting_name, key="sweep-slice-setting", width=200)


def _shares(job: JobSnapshot | None) -> Mapping[str, float]:
    return job.result if job is not None and isinstance(job.result, dict) else {}

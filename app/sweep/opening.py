"""A trial opened on the other pages: its run, kept by a name of its own, or, where it has none, its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from app.kept.trials import keep_trial
from app.session import loaders
from app.session.chosen_data import choose_data, choose_run, runs_folder, sweeps_folder
from app.session.configuration import CHOSEN, Configuration
from app.session.error_words import error_words
from app.session.settings import with_values
from app.session.widgets import go_to
from app.studio import Studio
from app.sweep.chosen import choose_trial, chosen_trial
from app.sweep.results import trial_words
from sparcode.sweep.folder import Sweep
from sparcode.sweep.record import TrialRecord

PAGES: Final = Path(__file__).resolve().parents[2] / "pages"
_OPENS: Final = (
    ("Explore this run", "index_explorer.py"),
    ("Inside a query", "query.py"),
    ("Code space", "space.py"),
    ("Compare", "compare.py"),
    ("Scale", "scale.py"),
    ("Compare runs", "runs.py"),
)
_HELP: Final = "Kept in this studio's folder of runs, where everybody who uses this studio can open it, export it and delete it."


def looked_at(name: str, sweep: Sweep, usual: int | None, studio: Studio) -> None:
    """The trial that was clicked, else the one of the answer (`usual`), with the buttons that open it."""
    number = usual if chosen_trial() is None else chosen_trial()
    trial = next((one for one in sweep.trials if one.number == number), None)
    if trial is None:
        if number is not None:
            st.warning(
                f"There is no finished trial {number}; finished are {', '.join(str(one.number) for one in sweep.trials[:20]) or 'none'}."
            )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(trial_words(trial, sweep.definition.k, sweep.definition.search.max_bytes), width="content")
        if chosen_trial() is not None:
            st.button("Look at none", on_click=choose_trial, args=(None,), key="sweep-none", type="tertiary")
    if trial.run:
        _open_run(name, sweep, trial)
    elif trial.state == "complete":
        _open_settings(trial, sweep, studio)
    if trial.error:
        st.text(error_words(ValueError(trial.error), sweeps_folder()))


def _open_run(name: str, sweep: Sweep, trial: TrialRecord) -> None:
    kept = loaders.opened().kept
    if not kept.can_keep:
        st.caption("This studio keeps no runs, so that this one cannot be opened on other pages.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, page in _OPENS:
            main = page == "index_explorer.py"
            if st.button(label, type="primary" if main else "secondary", help=_HELP, key=f"sweep-open-{page}"):
                _open(name, sweep, trial, page)


def _open(name: str, sweep: Sweep, trial: TrialRecord, page: str) -> None:
    try:
        with st.spinner("Keeping the run of this trial ..."):
            run = keep_trial(loaders.opened().kept, name, sweep, trial.number)
    except (ValueError, OSError) as error:
        st.error(f"The run of trial {trial.number} cannot be opened.")
        st.text(error_words(error, runs_folder(), sweeps_folder()))
        return
    choose_run(run)
    st.switch_page(PAGES / page)


def _open_settings(trial: TrialRecord, sweep: Sweep, studio: Studio) -> None:
    """Of the recorded sweep, whose runs are not stored with the studio."""
    chosen = explorer_choice(trial, sweep, studio)
    if chosen is None:
        st.caption("Its run is not stored with the studio, and the Index Explorer does not offer these settings.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Open these settings in the Index Explorer", type="primary", key="sweep-open-settings"):
            choose_data("")
            go_to(chosen)
            st.switch_page(PAGES / "index_explorer.py")
        st.caption("Its run is not stored with the studio; the Explorer makes it anew from the backbone.", width="content")


def explorer_choice(trial: TrialRecord, sweep: Sweep, studio: Studio) -> Configuration | None:
    """A trial's settings as the Index Explorer offers them; None if they, or the sweep's data, are others."""
    first = loaders.opened().first
    if sweep.definition.data.facts.content_hash != loaders.opened().runs.runs.own_hash():
        return None
    config = trial.settings
    values = {setting: str(setting.value_in(config)) for setting in CHOSEN if setting.in_run}
    if not all(setting.is_allowed(value) for setting, value in values.items()):
        return None
    if with_values(first.config, values).content_hash() != config.content_hash():
        return None
    return Configuration(**{setting.key: value for setting, value in values.items()})

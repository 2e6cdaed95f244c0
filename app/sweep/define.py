"""The form of a new sweep: which settings vary and how, how they are searched, and the button that starts it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import streamlit as st
from pydantic import ValidationError

from app.kept.sweep_jobs import SweepJobs
from app.kept.sweep_words import long_name
from app.session import loaders
from app.session.chosen_data import data_source, sweeps_folder
from app.session.configuration import CHOSEN
from app.session.error_words import error_words
from app.session.settings import with_values
from app.session.visitor import owner_id
from app.studio import Studio
from app.sweep.chosen import choose_sweep
from app.sweep.suggestions import USUAL, settings_that_vary, suggested
from sparcode.config import DEFAULT_K, RunConfig, SweepConfig
from sparcode.config_message import validation_message
from sparcode.sweep.folder import create
from sparcode.sweep.space import STAGES, Space, config_of, parse_space

MOST_TRIALS: Final = 64
MOST_VARIED: Final = 8
# Trials at first: about five minutes of processor time on the built-in data.
FEW_TRIALS: Final = 16
SYNTAX: Final = (
    "Values, as 64,128,256, or a range, as 0.001..0.01; 'log' after a range spaces it by its logarithm, a number gives a grid's points."
)
_PROBLEM: Final = "sweep_problem"


class _Asked(NamedTuple):
    """A sweep as the form has it."""

    name: str
    space: Space
    search: SweepConfig
    seed: int
    n_workers: int


def new_sweep(jobs: SweepJobs, studio: Studio) -> None:
    """Draw the form."""
    if not jobs.sweeps.can_keep:
        st.caption("This studio keeps no sweeps, so that none can be started here; `sparcode sweep` does it on the command line.")
        return
    config = base_config(studio)
    varied = st.multiselect(
        "Settings that vary",
        settings_that_vary(),
        list(USUAL),
        format_func=long_name,
        max_selections=MOST_VARIED,
        key="sweep-vary",
        help=f"Everything else is as on the other pages now. At most {MOST_VARIED}.",
    )
    texts = _values(varied, config)
    search, seed, n_workers = _search(config.training.seed)
    # One seed for both, as `--seed` of the command line: its command repeats the sweep.
    config = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
    usual = jobs.sweeps.free_name("sweep")
    # Once a sweep has taken its name, another field suggests the next one.
    name = st.text_input("Name of the sweep", usual, key=f"sweep-name-{len(jobs.sweeps.names)}", width=260, max_chars=60).strip()
    may_keep = not studio.own_data.private or _published_by_tick()
    try:
        if not texts:
            raise ValueError("Choose at least one setting that varies.")
        asked = _Asked(name, parse_space(texts), search(), seed, n_workers)
        jobs.sweeps.check_new(name)
        config_of(config, {})
        many, problem = _extent(asked, config), ""
    except (ValueError, ValidationError) as error:
        asked, many = None, ""
        problem = validation_message(error) if isinstance(error, ValidationError) else str(error)
    if problem:
        # It repeats what a visitor wrote.
        st.text(problem[:500])
    under_way = jobs.under_way()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Start the sweep",
            type="primary",
            disabled=asked is None or bool(under_way) or not may_keep,
            on_click=_start,
            args=(asked, config, jobs, studio),
            help=f"The sweep {under_way} is under way; there is one at a time." if under_way else None,
        )
        st.caption(many)
    if said := st.session_state.pop(_PROBLEM, ""):
        st.error("The sweep is not started.")
        st.text(said)


def base_config(studio: Studio) -> RunConfig:
    """The settings of every trial but for what varies: those of the data or run that is shown, with what this visitor chose."""
    chosen = {setting: st.session_state[setting.key] for setting in CHOSEN if setting.in_run and setting.key in st.session_state}
    allowed = {setting: value for setting, value in chosen.items() if setting.is_allowed(value)}
    try:
        return with_values(studio.config, {} if studio.run_name else allowed)
    except ValidationError:
        return studio.config


def _values(varied: list[str], config: RunConfig) -> list[str]:
    """A field for the values of each setting, around the one it has now; the texts that the command line takes."""
    texts = []
    with st.grid(3, min_column_width=280):
        for name in varied:
            stage, _, field = name.partition(".")
            said = st.text_input(
                long_name(name),
                suggested(name, config),
                key=f"sweep-values-{name}",
                help=f"{STAGES[stage].model_fields[field].description} {SYNTAX}",
                max_chars=300,
            )
            texts.append(f"{name}={said.strip()}")
    return texts


def _search(usual_seed: int) -> tuple[Callable[[], SweepConfig], int, int]:
    """How settings are searched; the first is called for the settings of the search, with errors as pydantic raises them."""
    fields, usual, n_processors = SweepConfig.model_fields, SweepConfig(), os.cpu_count() or 1
    with st.grid(6, min_column_width=150):
        sampler = st.selectbox("Sampler", ("bayesian", "random", "grid"), help=fields["sampler"].description, key="sweep-sampler")
        pruner = st.selectbox("Give up early", ("quartile", "median", "none"), help=fields["pruner"].description, key="sweep-pruner")
        trials = st.number_input(
            "Trials", 1, MOST_TRIALS, FEW_TRIALS, key="sweep-trials", help=f"{fields['trials'].description} At most {MOST_TRIALS} here."
        )
        workers = st.number_input(
            "At once", 1, n_processors, max(1, n_processors - 1), key="sweep-workers", help="Trials at a time, one processor core each."
        )
        budget = st.number_input(
            "Recall within (MB)",
            0.01,
            1e6,
            None,
            key="sweep-budget",
            help=fields["max_bytes"].description,
            placeholder="no limit",
        )
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, usual_seed, key="sweep-seed", help="Of training, of the sampler, and of which settings matter."
        )
    max_bytes = usual.max_bytes if budget is None else int(budget * 1e6)
    # Checked here, too: a browser may send anything.
    few = min(int(trials), MOST_TRIALS)
    return partial(SweepConfig, sampler=sampler, pruner=pruner, trials=few, max_bytes=max_bytes), int(seed), min(int(workers), n_processors)


def _extent(asked: _Asked, config: RunConfig) -> str:
    grid = asked.space.n_grid if asked.search.sampler == "grid" else asked.space.n_settings
    of = f" of {grid:,.0f} settings" if grid < 1e6 else ""
    n_trials = int(min(asked.search.trials, grid))
    return (
        f"{n_trials} trials{of}, {asked.n_workers} at a time, of at most {config.training.joint_epochs} joint epochs each; trials that "
        "differ in codes alone share one backbone. It goes on when you close the page."
    )


def _published_by_tick() -> bool:
    st.warning(
        "A sweep over **your file** is everybody's: everybody who uses this studio can see it and open its runs, with the histories of all "
        "users (without their ids) and the ids and titles of the items."
    )
    return st.checkbox("Let everybody who uses this studio have it", key="sweep-public")


def _start(asked: _Asked, config: RunConfig, jobs: SweepJobs, studio: Studio) -> None:
    place = jobs.sweeps.place(asked.name)
    make = partial(_make, place, asked, config, studio, _data_flags())
    try:
        jobs.sweeps.check_new(asked.name)
        jobs.start(asked.name, owner_id(), asked.n_workers, make)
    except (ValueError, OSError) as error:
        # A callback draws above the title of the page.
        st.session_state[_PROBLEM] = error_words(error, sweeps_folder())
        return
    choose_sweep(asked.name)


def _data_flags() -> str:
    """Flags of the command line for the data that is shown; of a path only the name, since pages may be public."""
    source, flags = loaders.chosen_source()
    return f"--data {shlex.quote(Path(source).name)} {flags}".strip()


def _make(place: Path, asked: _Asked, config: RunConfig, studio: Studio, flags: str) -> None:
    data = studio.interactions
    # Where data cannot be kept beside a sweep it is read again; other studios' data can be kept.
    source = None if studio.scope else data_source()
    k = min(DEFAULT_K, data.n_items)
    create(place, data, config, asked.space, asked.search, k, asked.seed, source=source, flags=flags)

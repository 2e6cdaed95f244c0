"""The data, or the kept run, that all pages of a session show: chosen in their header, and part of every address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import streamlit as st

from app.kept.listing import KeptAbout, kept_names, read_about
from app.session.address import PINNED, plain_text, went_back_or_forward
from app.session.background import let_go
from app.session.configuration import CHOSEN, CODES, DEFAULTS, Configuration
from app.session.settings import Setting
from sparcode.config import RunConfig
from sparcode.data.published import PUBLISHED

# Environment variable for other data: a table, a MovieLens archive or folder, or the name of one fetched before.
DATA_VARIABLE: Final = "SPARCODE_DATA"
BUILT_IN: Final = "synthetic"
# Environment variable for another folder of kept runs; "off" keeps none.
RUNS_VARIABLE: Final = "SPARCODE_RUNS"
RUNS_FOLDER: Final = Path(__file__).resolve().parents[2] / "runs"
# The same of sweeps.
SWEEPS_VARIABLE: Final = "SPARCODE_SWEEPS"
SWEEPS_FOLDER: Final = Path(__file__).resolve().parents[2] / "sweeps"
# In the session and in the address: "run.NAME" for a kept run, a name of `DATA_SETS`, or nothing for what the studio was started with.
DATA: Final = "data"
# In the session: the Explorer's search, which is of this data alone.
SEARCH: Final = "search_asked"
RUN: Final = "run."
SMALL: Final = "small"
STANDARD: Final = "standard"
UPLOAD: Final = "upload"
DATA_SETS: Final = {
    SMALL: "Small synthetic",
    STANDARD: "Standard synthetic",
    **{name: each.title for name, each in PUBLISHED.items()},
    UPLOAD: "My file",
}
_READ: Final = "data_read"
_MISSING: Final = "data_missing"


def data_source() -> str:
    """The studio's data source, as for `sparcode.data.loading.load`; an empty variable counts as not set, as is usual in shells."""
    return os.environ.get(DATA_VARIABLE) or BUILT_IN


def started_with() -> str:
    """The data that the studio was started with, in words; of a path only the name, since pages may be public."""
    source = data_source()
    return "Built-in demo" if source == BUILT_IN else f"Studio's data: {Path(source).name}"


def runs_folder() -> Path | None:
    """The folder of kept runs; None if they are turned off. An empty variable counts as not set."""
    named = os.environ.get(RUNS_VARIABLE)
    if named == "off":
        return None
    return Path(named).absolute() if named else RUNS_FOLDER


def sweeps_folder() -> Path | None:
    """The folder of sweeps; None if they are turned off. An empty variable counts as not set."""
    named = os.environ.get(SWEEPS_VARIABLE)
    if named == "off":
        return None
    return Path(named).absolute() if named else SWEEPS_FOLDER


def kept_runs() -> tuple[str, ...]:
    """Names of the kept runs."""
    folder = runs_folder()
    return () if folder is None else kept_names(folder)


def chosen_data() -> str:
    """What this session shows, as `DATA` has it; empty for the data that the studio was started with."""
    return st.session_state.get(DATA, "")


def chosen_run() -> str:
    """The name of the kept run that this session shows; empty for data without one."""
    chosen = chosen_data()
    return chosen.removeprefix(RUN) if chosen.startswith(RUN) else ""


def choices() -> dict[str, str]:
    """All that can be chosen, with its label."""
    # The built-in demo is the standard synthetic data.
    sets = {name: label for name, label in DATA_SETS.items() if name != STANDARD or data_source() != BUILT_IN}
    return {"": started_with(), **sets, **{f"{RUN}{name}": f"Run: {name}" for name in kept_runs()}}


def about_chosen_run() -> KeptAbout | None:
    """What is told of it; None without one, or if it is damaged."""
    folder, name = runs_folder(), chosen_run()
    return read_about(folder, name) if folder is not None and name else None


def choose_run(name: str) -> None:
    """Show a kept run on every page from now on; call before widgets."""
    choose_data(f"{RUN}{name}")


def choose_data(wanted: str) -> None:
    """Show something else on every page from now on, one of `choices`; call before widgets."""
    if st.session_state.get(DATA, "") == wanted:
        return
    let_go()
    st.session_state[DATA] = wanted
    st.session_state[PINNED] = st.session_state[SEARCH] = None
    # In place of what was chosen for other data. Not left to the next page, which may have other defaults.
    for setting in CHOSEN:
        st.session_state[setting.key] = setting.default(base_settings())


def read_data(page: str) -> str:
    """Take the run from the address where that is new, see `app.session.address.read_address`; returns a warning about it, else nothing.

    Call at the top of a page, before anything that depends on the data. The address gets what is shown.
    """
    st.session_state.setdefault(DATA, "")
    seen, moved = st.session_state.setdefault(_READ, set()), went_back_or_forward()
    asked = st.query_params.get_all(DATA)
    if page not in seen or moved:
        seen.add(page)
        if asked or moved:
            _take(" and ".join(asked))
    if (name := chosen_run()) and name not in kept_runs():
        st.session_state[_MISSING] = _not_there(name)
        choose_data("")
    if st.session_state[DATA]:
        if asked != [st.session_state[DATA]]:
            st.query_params[DATA] = st.session_state[DATA]
    elif asked:
        del st.query_params[DATA]
    return st.session_state.get(_MISSING, "")


def base_settings() -> RunConfig:
    """The settings that addresses leave out: the defaults, or M, K and P of the run that is shown."""
    about = about_chosen_run()
    if about is None:
        return DEFAULTS
    codes = {"n_codebooks": about.n_codebooks, "codebook_size": about.codebook_size, "n_nearest": about.n_nearest}
    return DEFAULTS.model_copy(update={"quantizer": DEFAULTS.quantizer.model_copy(update=codes)})


def given_settings() -> tuple[Setting, ...]:
    """The settings that the run which is shown brings along and that its pages do not offer; empty without one."""
    return tuple(setting for setting in CHOSEN if setting.in_run and setting not in CODES) if chosen_run() else ()


def chosen_config(chosen: Configuration, base: RunConfig) -> RunConfig:
    """The settings of a choice on the data that is shown, whose own settings are `base`."""
    return chosen.run_config(base, codes_alone=bool(chosen_run()))


def forget_missing() -> None:
    """Clear the warning about a run that is not there."""
    st.session_state[_MISSING] = ""


def _take(text: str) -> None:
    forget_missing()
    known = not text or text in choices()
    choose_data(text if known else "")
    if not known:
        st.session_state[_MISSING] = _not_there(text.removeprefix(RUN))


def _not_there(name: str) -> str:
    named = plain_text(name).strip() or "without a name"
    return f"There is no kept run or data set {named} (any more): below is the data that the studio was started with."

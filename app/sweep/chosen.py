"""Which sweep is looked at, and which of its trials; both are part of the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.kept.sweeps import RECORDED_NAME, KeptSweeps
from app.session.address import plain_text, went_back_or_forward, write_parameter

# In the address: the sweep's name, and a trial's number.
NAME: Final = "sweep"
TRIAL: Final = "trial"
_NAME: Final = "sweep_chosen"
_TRIAL: Final = "sweep_trial"
_READ: Final = "sweep_read"
_REFUSED: Final = "sweep_refused"
_DIGITS: Final = 6


def offered(sweeps: KeptSweeps) -> list[str]:
    """Names of all sweeps, the recorded one last."""
    return [*sweeps.names, *([RECORDED_NAME] if sweeps.recording(RECORDED_NAME) else [])]


def sweep_label(name: str) -> str:
    """A sweep's name for people."""
    return "recorded on the built-in data" if name == RECORDED_NAME else name


def read_chosen(names: Sequence[str]) -> list[str]:
    """Take sweep and trial from a new address; returns warnings about what is not there."""
    if not st.session_state.get(_READ) or went_back_or_forward():
        st.session_state[_READ], refused = True, []
        asked, trial = st.query_params.get(NAME, ""), st.query_params.get(TRIAL, "")
        if asked and asked not in names:
            there = ", ".join(map(sweep_label, names)) or "none yet"
            refused.append(f"The address asks for the sweep {plain_text(asked)}, which is not there (any more). There are: {there}.")
        if trial and not _is_number(trial):
            refused.append(f"The address asks for trial {plain_text(trial)}, which is no number of a trial.")
        st.session_state[_NAME] = asked if asked in names else ""
        st.session_state[_TRIAL] = int(trial) if _is_number(trial) else None
        st.session_state[_REFUSED] = refused
    return st.session_state[_REFUSED]


def chosen_sweep(names: Sequence[str]) -> str:
    """The sweep that is looked at; empty if there is none."""
    asked = st.session_state[_NAME]
    return asked if asked in names else next(iter(names), "")


def asked_sweep() -> str:
    """The sweep that this visitor chose, also one that is not there; empty for none."""
    return st.session_state[_NAME]


def choose_sweep(name: str) -> None:
    """Look at another sweep from now on."""
    if st.session_state.get(_NAME) != name:
        st.session_state[_NAME], st.session_state[_TRIAL], st.session_state[_REFUSED] = name, None, []


def chosen_trial() -> int | None:
    """The trial that is looked at."""
    return st.session_state[_TRIAL]


def choose_trial(number: int | None) -> None:
    """Look at a trial from now on; the one that is looked at already, or None: at none."""
    st.session_state[_TRIAL] = None if number == st.session_state.get(_TRIAL) else number


def write_chosen(names: Sequence[str]) -> None:
    """Put both into the address; the first sweep needs no name."""
    name, trial = chosen_sweep(names), chosen_trial()
    wanted = {NAME: "" if name == next(iter(names), "") else name, TRIAL: "" if trial is None else str(trial)}
    for key, text in wanted.items():
        write_parameter(key, text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS

"""Which runs are compared, and which two of them user by user; both are part of the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.kept.comparable import ComparableRuns
from app.kept.run_words import in_markdown, run_label
from app.session.address import plain_text, went_back_or_forward, write_parameter

# In the address: names separated by commas, and the two that are compared user by user.
RUNS: Final = "runs"
PAIR: Final = ("a", "b")
# As many as there are colours.
MOST_RUNS: Final = 10
# Shown at a first visit.
SHOWN_FIRST: Final = 4
_CHOSEN: Final = "runs_chosen"
_PAIR: Final = "runs_pair"
_READ: Final = "runs_read"
_REFUSED: Final = "runs_refused"
_WIDGETS: Final = "runs_widgets"


class Choice(NamedTuple):
    """The runs that are compared, at most `MOST_RUNS`, the two compared user by user (None where there are fewer), and warnings."""

    names: list[str]
    pair: tuple[str, str] | None
    warnings: list[str]


def chosen_runs(runs: ComparableRuns) -> Choice:
    """Draw the choice, read from a new address first, and write it there."""
    offered = [*runs.in_folder(), *runs.recorded()]
    if not st.session_state.get(_READ) or went_back_or_forward():
        _read(offered)
    usual = [*runs.in_folder(), *(runs.recorded() if len(runs.in_folder()) < 2 else ())][:SHOWN_FIRST]
    asked = st.session_state[_CHOSEN]
    names = usual if asked is None else [name for name in asked if name in offered]
    warnings = list(st.session_state[_REFUSED])
    left, *others = st.columns([4, 1, 1], gap="medium")
    with left:
        names = _pick(offered, names)
    pair = _pair(names, others)
    _write(names if names != usual else [], pair if pair != _usual_pair(names) else None)
    return Choice(names, pair, warnings)


def _read(offered: Sequence[str]) -> None:
    st.session_state[_READ], refused = True, []
    asked = [name for text in st.query_params.get_all(RUNS) for name in text.split(",") if name]
    known = [name for name in dict.fromkeys(asked) if name in offered]
    if missing := [name for name in dict.fromkeys(asked) if name not in offered]:
        there = ", ".join(map(run_label, offered[:MOST_RUNS])) or "none yet"
        refused.append(
            f"The address asks for {_names(missing)}, and there is no such run (any more). There are: {plain_text(there[:60])}"
            f"{' ...' if len(there) > 60 else ''}."
        )
    if len(known) > MOST_RUNS:
        refused.append(f"The address asks for {len(known)} runs; the first {MOST_RUNS} are shown.")
    st.session_state[_CHOSEN] = known[:MOST_RUNS] if asked else None
    pair = tuple(st.query_params.get(key, "") for key in PAIR)
    shown = known if asked else offered
    if wrong := [name for name in pair if name and name not in shown]:
        refused.append(f"The address compares {_names(wrong)} user by user, which is not among the runs that are shown.")
    st.session_state[_PAIR] = None if wrong or "" in pair else pair
    st.session_state[_REFUSED] = refused
    # What the browser still says of widgets that show something else is not listened to.
    st.session_state[_WIDGETS] = st.session_state.get(_WIDGETS, 0) + 1


def _names(names: Sequence[str]) -> str:
    return ", ".join(plain_text(name) for name in names[:5]) + (" ..." if len(names) > 5 else "")


def _pick(offered: Sequence[str], names: list[str]) -> list[str]:
    key = f"runs-pick-{st.session_state[_WIDGETS]}"

    def picked() -> None:
        st.session_state[_CHOSEN], st.session_state[_REFUSED] = list(st.session_state[key]), []

    return st.multiselect(
        "Runs",
        offered,
        names,
        format_func=run_label,
        max_selections=MOST_RUNS,
        key=key,
        on_change=picked,
        help=f"Kept on the page Train, made by `sparcode train --out` in the studio's folder of runs, or recorded; at most {MOST_RUNS}.",
        placeholder="Choose runs",
    )


def _pair(names: Sequence[str], places: Sequence[DeltaGenerator]) -> tuple[str, str] | None:
    if len(names) < 2:
        return None
    asked = st.session_state[_PAIR]
    pair = asked if asked is not None and set(asked) <= set(names) and asked[0] != asked[1] else _usual_pair(names)
    key = f"runs-pair-{'/'.join(names)}-{'/'.join(pair)}"

    def picked(place: int) -> None:
        new = [*pair]
        new[place] = st.session_state[f"{key}-{place}"]
        # The same run twice: they change places.
        st.session_state[_PAIR] = tuple(new) if new[0] != new[1] else pair[::-1]
        st.session_state[_REFUSED] = []

    for place, label in enumerate(("Users: from", "to")):
        places[place].selectbox(
            label,
            names,
            names.index(pair[place]),
            format_func=run_label,
            key=f"{key}-{place}",
            on_change=picked,
            args=(place,),
            help="The two runs whose test users are compared one by one." if place == 0 else None,
        )
    return pair


def _usual_pair(names: Sequence[str]) -> tuple[str, str] | None:
    return (names[0], names[1]) if len(names) > 1 else None


def _write(names: Sequence[str], pair: tuple[str, str] | None) -> None:
    wanted = {RUNS: ",".join(names), **dict(zip(PAIR, pair or ("", ""), strict=True))}
    for key, text in wanted.items():
        write_parameter(key, text)


def listed_runs(names: Sequence[str]) -> str:
    """Runs in Markdown."""
    return ", ".join(f"**{in_markdown(name)}**" for name in names)

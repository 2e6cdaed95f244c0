"""The visitor's report, and what the figures on a page are of, so that they can be added to it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.models.trained import Recording
from app.report.entry import LONGEST_NOTE, Entry, Source
from app.report.store import Report, Reports
from app.session import loaders
from app.session.address import plain_text
from app.session.chosen_data import BUILT_IN
from app.session.configuration import label_of
from app.session.visitor import owner_id
from app.studio import Studio
from sparcode.config import RunConfig

_FIGURES: Final = "report_figures"
# What became of the last entry. Told when the page is drawn: what a callback draws takes the place of the page's first elements.
_SAID: Final = "report_said"
# The entry that was added last, which may get a note where it was added.
_ADDED: Final = "report_added"
# Called with what the figures are of, and the time.
MakeEntry = Callable[[Source, str], Entry]


class _Added(NamedTuple):
    key: str
    number: int
    page: str


class FiguresOf(NamedTuple):
    """What figures are of: the page's title, the data's studio, settings (None: of the data alone), and the kind of model in words.

    `recording` is that of figures measured earlier; None: they were measured on this machine. `other_data` names data that is not the
    studio's own, in words; empty: it is. `kept` is the threshold as the share of scores kept, in percent; empty where figures have none.
    `besides` says in words which of the figures are of another measurement, and of which.
    """

    page: str
    studio: Studio
    config: RunConfig | None = None
    called: str = ""
    recording: Recording | None = None
    other_data: str = ""
    kept: str = ""
    besides: str = ""

    @property
    def file_words(self) -> str:
        """Run and settings, for names of files."""
        return " ".join(filter(None, (self.studio.run_name, label_of(self.config) if self.config else "")))

    def source(self) -> Source:
        """The same for an entry of a report."""
        studio, config = self.studio, self.config
        data = studio.interactions
        name = plain_text(data.name) if studio.scope else data.name
        made_up = ", made up by this project" if data.synthetic else ""
        machine = studio.machine if self.recording is None else f"{self.recording.machine}, {self.recording.day_words}"
        return Source(
            page=self.page,
            run="" if self.other_data else studio.run_name,
            data=self.other_data
            or f"{name}{made_up}: {data.n_users:,} users, {data.n_items:,} items, {data.n_interactions:,} interactions",
            called=self.called,
            config="" if config is None else config.model_dump_json(),
            setting="" if config is None else label_of(config) + (f", {self.kept} % of scores kept" if self.kept else ""),
            seed=0 if config is None else config.training.seed,
            machine=machine + (f"; {self.besides}" if self.besides else ""),
            data_flags=f"--data {loaders.OWN_DATA}" if self.other_data else _data_flags(),
        )


def figures_are_of(figures: FiguresOf) -> None:
    """Say what the figures that are drawn from here on are of; call before charts, tiles and tables."""
    st.session_state[_FIGURES] = figures


def shown_figures() -> FiguresOf | None:
    """What was said last; None on a page that says nothing. Whatever can be added to the report asks for it when it is drawn."""
    if said := st.session_state.pop(_SAID, ""):
        st.toast(said, duration="long")
    return st.session_state.get(_FIGURES)


def add_to_report(make: MakeEntry, figures: FiguresOf | None, key: str) -> None:
    """Add an entry, and tell the visitor; call from a callback, with the `figures` known when it was drawn, and the element's key."""
    source = Source(page="") if figures is None else figures.source()
    try:
        entries = reports().add(owner_id(), make(source, now())).entries
    except ValueError as error:
        st.session_state[_SAID] = f"Not added: {error!s:.300}"
        return
    st.session_state[_ADDED] = _Added(key, entries[-1].number, _page())
    many = f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'}"
    st.session_state[_SAID] = f"Added to the report, which has {many}. Notes and exports are on the page Report."


def note_for(key: str) -> dict[str, int] | None:
    """What the browser needs to offer a note where the element of this key was the last to be added to the report; else None."""
    added: _Added | None = st.session_state.get(_ADDED)
    if added is None or added.key != key or added.page != _page():
        return None
    return {"number": added.number, "longest": LONGEST_NOTE}


def keep_note(told: Any) -> None:
    """Give an entry the note that the browser sent, ``{"number": .., "text": ..}``, and offer it no more; without a text it gets none."""
    if not isinstance(told, dict) or not isinstance(told.get("number"), int) or not isinstance(told.get("text"), str):
        return
    number, text = told["number"], told["text"].strip()
    added: _Added | None = st.session_state.get(_ADDED)
    if added is not None and added.number == number:
        forget_added()
    if not text:
        return
    try:
        reports().write(owner_id(), number, "", text)
    except ValueError as error:
        st.session_state[_SAID] = f"The note is not kept: {error!s:.300}"
        return
    st.session_state[_SAID] = "The note is kept with its entry."


def forget_added() -> None:
    """Offer no note for what was added last."""
    st.session_state.pop(_ADDED, None)


def own_report() -> Report:
    """The report of this visitor."""
    return reports().of(owner_id())


def reports() -> Reports:
    """All reports of this process."""
    return loaders.opened().reports


def now() -> str:
    """The time in UTC, ISO 8601 to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")


def _page() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.page_script_hash


def _data_flags() -> str:
    """Flags of the command line for the data that is shown; of a path only the name, since pages may be public."""
    source, flags = loaders.chosen_source()
    data = "" if source == BUILT_IN else f"--data {shlex.quote(Path(source).name)}"
    return " ".join(filter(None, (data, flags)))

"""The top of every page: its title, and the choice of what all pages show."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.copy_link import copy_link
from app.components.present_link import present_link
from app.session.address import plain_text
from app.session.background import let_go
from app.session.chosen_data import about_chosen_run, choices, choose_data, chosen_data, chosen_run, forget_missing, read_data, runs_folder
from app.session.error_words import error_words

_PICKER: Final = "data_picker"
# Session state: why a run could not be deleted.
_NOT_DELETED: Final = "run_not_deleted"
_HELP: Final = (
    "What every page shows: a data set, a file of yours, or a run that was trained on the Train page and kept there. Nothing is fetched "
    "before you have seen its terms. The choice is part of the address, so that a link opens it."
)


def page_header(title: str) -> None:
    """Draw the title of a page and the picker beside it; loads nothing heavy, so that the title is there at once."""
    let_go(title)
    missing = read_data(title)
    with st.container(horizontal=True, vertical_alignment="center", key="page-header"):
        st.title(title, width="content")
        st.space("stretch")
        _picker()
        if chosen_run():
            with st.popover("This run", help="What it is; export it, delete it"):
                _about()
        copy_link()
        present_link()
    if missing:
        st.warning(missing)
    if reason := st.session_state.pop(_NOT_DELETED, ""):
        st.error("The run is not deleted.")
        st.text(reason)


def _picker() -> None:
    offered, chosen = choices(), chosen_data()
    # The key has the choice in it: a widget that shows an earlier one is not listened to.
    key = f"{_PICKER}/{chosen}"
    st.selectbox(
        "Data or run",
        list(offered),
        list(offered).index(chosen),
        format_func=offered.__getitem__,
        key=key,
        help=_HELP,
        label_visibility="collapsed",
        width=300,
        on_change=_picked,
        args=(key,),
    )


def _picked(key: str) -> None:
    if key in st.session_state:
        forget_missing()
        choose_data(st.session_state[key] or "")


def _about() -> None:
    name, about = chosen_run(), about_chosen_run()
    if about is not None:
        made_up = ", made up by this project" if about.synthetic else ""
        st.markdown(f"**{name}**, kept on {about.day}  \nData: {plain_text(about.data)}{made_up}, {about.facts}")
    st.download_button("Export: a run folder as .zip", lambda: _exported(name), f"{name}.zip", "application/zip", on_click="ignore")
    st.caption("Settings, weights, index, and the histories of its users without their ids. `sparcode evaluate` and `retrieve` read it.")
    # A second step: it is everybody's, and cannot be had back.
    is_sure = st.checkbox(f"Nobody needs **{name}** any more; deleted, it cannot be had back", key=f"delete-sure/{name}")
    st.button("Delete this run for everybody", on_click=_delete, args=(name,), disabled=not is_sure)


def _exported(name: str) -> bytes:
    # Loads the libraries of the models. It is called outside the page's script, so that the session is not there.
    from app.kept.runs import KeptRuns

    return KeptRuns(runs_folder()).export(name)


def _delete(name: str) -> None:
    from app.session import loaders

    try:
        loaders.opened().delete_run(name)
    except (ValueError, OSError) as error:
        # A callback draws above the title of the page.
        st.session_state[_NOT_DELETED] = error_words(error, runs_folder())
        return
    choose_data("")

"""What can be done with a finished run: keep it by a name, and open it on the other pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from app.kept.runs import KeptRuns
from app.session import loaders
from app.session.chosen_data import choose_run
from app.session.visitor import owner_id
from app.training.plan import FinishedRun
from app.training.session import TrainingView

PAGES: Final = Path(__file__).resolve().parents[2] / "pages"
# Session state: key of a finished run -> the name it was kept by.
_KEPT: Final = "kept_as"
_HELP: Final = (
    "Kept in this studio's folder of runs, where everybody who uses this studio can open it, export it and delete it: settings, weights, "
    "index, and the histories of the users without their ids."
)


_OPENS: Final = (
    ("Explore this run", "index_explorer.py"),
    ("Inside a query", "query.py"),
    ("Compare", "compare.py"),
    ("Scale", "scale.py"),
    ("Keep it", ""),
)


def keep_buttons(view: TrainingView, finished: FinishedRun | None) -> None:
    """Name field and buttons under the figures of a finished run; a click on any of them keeps it first."""
    opened = loaders.opened()
    kept = opened.kept
    if not kept.can_keep:
        st.caption("This studio keeps no runs, so that this one cannot be opened on other pages.")
        return
    # Another run of the browser, or of another process, has another id. Not the job's key: pages show keys, and it has the cookie.
    key = f"{opened.first.from_scratch.run_id(owner_id())}/{view.plan.config.content_hash()}"
    name = st.session_state.setdefault(_KEPT, {}).get(key, "")
    if name and name not in kept.names:
        name = ""
    if not name and finished is None:
        st.caption("Weights and data of this run are not in memory any more, so that it cannot be kept; train it again.")
        return
    may_keep = bool(name) or not view.plan.data.private or _published_by_tick(key)
    with st.container(horizontal=True, vertical_alignment="bottom", key="train-keep"):
        wanted = name or _name_field(kept, key, finished)
        for label, page in _OPENS:
            help_text = None if name else f"Keeps the run by its name{' and opens it there' if page else ''}. {_HELP}"
            clicked = st.button(
                label,
                type="primary" if page == "index_explorer.py" else "secondary",
                help=help_text,
                disabled=not may_keep or (bool(name) and not page),
            )
            if clicked and (name or _keep(kept, key, wanted, finished)):
                _open(name or wanted, page)
    if name:
        st.caption(f"Kept as **{name}**; the picker at the top of every page opens it.")


def _published_by_tick(key: str) -> bool:
    """Whether the visitor agrees that a run of their own file is everybody's."""
    st.warning(
        "This run was trained on **your file**. Kept, it is no longer for your browser only: everybody who uses this studio can open, "
        "export and delete it, with the histories of all users (without their ids) and the ids and titles of the items."
    )
    return st.checkbox("Let everybody who uses this studio have it", key=f"keep-public/{key}")


def _name_field(kept: KeptRuns, key: str, finished: FinishedRun) -> str:
    books = finished.plan.config.quantizer
    # What stands in brackets tells made-up data apart.
    data = finished.plan.data.name.partition("(")[0].removesuffix(".zip")
    usual = kept.free_name(f"{data} m{books.n_codebooks} k{books.codebook_size}")
    return st.text_input("Name of the run", usual, key=f"keep-name/{key}", width=260, help=_HELP).strip()


def _keep(kept: KeptRuns, key: str, name: str, finished: FinishedRun) -> bool:
    try:
        with st.spinner("Keeping the run ..."):
            st.session_state[_KEPT][key] = kept.keep(name, finished)
        return True
    except (ValueError, OSError) as error:
        # The name is a visitor's own text.
        st.text(f"The run is not kept: {error!s:.500}")
        return False


def _open(name: str, page: str) -> None:
    if not page:
        st.rerun()
    choose_run(name)
    st.switch_page(PAGES / page)

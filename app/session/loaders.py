"""Objects cached between reruns; the only place with cache decorators."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import streamlit as st

from app.kept.runs import KeptRuns
from app.recorded.runs import RecordedRuns
from app.session.address import plain_text
from app.session.chosen_data import (
    BUILT_IN,
    DATA_VARIABLE,
    SMALL,
    STANDARD,
    UPLOAD,
    choices,
    choose_data,
    chosen_data,
    chosen_run,
    data_source,
    runs_folder,
    sweeps_folder,
)
from app.session.offered_data import archive_of, uploaded_file
from app.session.opened_studios import OpenedStudios
from app.session.visitor import enter_in_tab, owner_id
from app.studio import Studio
from app.training.data import SMALL_ITEMS, SMALL_USERS
from app.training.reading import FileReader
from sparcode.config import IndexConfig, RunConfig, SplitConfig, SyntheticConfig
from sparcode.data.fetching import is_published
from sparcode.data.interactions import Interactions
from sparcode.data.limits import OWN_FILES
from sparcode.data.loading import load
from sparcode.data.published import PUBLISHED

# Environment variable for another folder of recorded runs; "off" is none, so that everything is trained here.
RECORDED_VARIABLE: Final = "SPARCODE_RECORDED"
RECORDED_FOLDER: Final = Path(__file__).resolve().parents[2] / "assets" / "recorded"
# Indexes with tens of thousands of lists are built a third faster in larger blocks; the result is the same.
BLOCK_CODES: Final = 256
# In a command in place of data whose file is not known here.
OWN_DATA: Final = "YOUR_DATA.csv"
# What reading a published archive may take: MovieLens 10M has ten million ratings.
ARCHIVE_BYTES: Final = 8 * 2**30
ARCHIVE_SECONDS: Final = 900.0
# In the session: scope -> the studio that was seen there.
_SEEN: Final = "studios_seen"
# Owner of the backbone's job that starts before the first visit; it never leaves.
_SERVER: Final = "server"


def run_config(synthetic: bool) -> RunConfig:
    """Settings that visitors do not change on a page, for synthetic or other data."""
    return RunConfig.for_data(synthetic, RunConfig(index=IndexConfig(block_codes=BLOCK_CODES)))


def recorded_folder() -> Path | None:
    """The folder of recorded runs; None if they are turned off. An empty variable counts as not set."""
    named = os.environ.get(RECORDED_VARIABLE)
    if named == "off":
        return None
    return Path(named) if named else RECORDED_FOLDER


def opened() -> OpenedStudios:
    """All studios of this process, shared by all visitors; they learn that this tab is open.

    Ends the page with a message if the data cannot be used.
    """
    source = data_source()
    try:
        found = _opened(source)
        enter_in_tab(found.first)
        return found
    except (ValueError, OSError) as error:
        st.error(f"The data of {DATA_VARIABLE} = {source} cannot be used: {error}")
        st.markdown(
            f"To go on, start the studio without {DATA_VARIABLE} for the built-in data, or set it to a table with the columns user_id and "
            "item_id in which at least three users have five items or more."
        )
        st.stop()


def studio() -> Studio:
    """The studio of the data that this session has chosen, see `app.session.chosen_data`.

    Ends the page with a message if the data cannot be used or is not at hand.
    """
    studios, chosen = opened(), chosen_data()
    if not chosen:
        return studios.first
    label = choices().get(chosen, chosen)
    try:
        # Outside the spinner: it may end the page.
        read = None if chosen_run() else _reader(chosen, studios)
        with st.spinner(f"Opening {label} ..."):
            found = studios.of_run(chosen_run()) if read is None else studios.of_data(*read, private=chosen == UPLOAD)
    except (ValueError, OSError) as error:
        st.error(f"**{label}** cannot be opened.")
        st.text(f"{error!s:.1000}")
        st.button("Go on with the data that the studio was started with", on_click=choose_data, args=("",))
        st.stop()
    _tell_if_reopened(found, label)
    return found


def _tell_if_reopened(found: Studio, label: str) -> None:
    """Say once that data which this session looked at before was closed meanwhile."""
    seen = st.session_state.setdefault(_SEEN, {})
    before = seen.get(found.scope)
    seen[found.scope] = weakref.ref(found)
    if before is not None and before() is not found:
        st.toast(
            f"{plain_text(label)} was closed meanwhile, to make room for other data, and is opened again: what was trained or measured for "
            "it here is made anew.",
            duration="long",
        )


def _reader(chosen: str, studios: OpenedStudios) -> tuple[str, Callable[[], Interactions]]:
    """The scope of other data than a run, and what reads it."""
    if chosen == UPLOAD:
        data = uploaded_file(studios.first)
        if data is None:
            st.stop()
        return upload_scope(owner_id(), data.key), data.interactions
    if chosen in PUBLISHED:
        path, reader = archive_of(chosen, studios.first), FileReader(SplitConfig(), OWN_FILES, ARCHIVE_BYTES, ARCHIVE_SECONDS)
        return chosen, lambda: replace(reader.read_path(path, path.name).interactions, name=_title(path, chosen))
    small = SyntheticConfig(n_users=SMALL_USERS, n_items=SMALL_ITEMS) if chosen == SMALL else SyntheticConfig()
    return chosen, lambda: load(small)


def _title(path: Path, name: str) -> str:
    """The title of a published archive, or that a copy which somebody put there is another file."""
    title = PUBLISHED[name].title
    return title if is_published(path, name) else f"{path.name} (not the published {title})"


def chosen_source() -> tuple[str, str]:
    """What ``--data`` names for the data that this session shows, and flags beside it; a placeholder for data whose file is not known."""
    chosen = chosen_data()
    if chosen == UPLOAD or chosen_run():
        return OWN_DATA, ""
    if chosen == SMALL:
        return BUILT_IN, f"--synthetic-n-users {SMALL_USERS} --synthetic-n-items {SMALL_ITEMS}"
    return (BUILT_IN if chosen == STANDARD else chosen or data_source()), ""


def upload_scope(owner: str, key: str) -> str:
    """The scope of a browser's file, by which nobody else finds it."""
    return f"upload.{hashlib.sha256(owner.encode()).hexdigest()[:16]}.{key}"


def open_ahead() -> None:
    """Open the studio before the first visit, and measure the default setting if its model is recorded.

    Data that cannot be used is ignored here; `studio` shows the error.
    """
    try:
        # Called within a cached function it shows no spinner, which would need a page.
        first = _opened_ahead(data_source()).first
    except (ValueError, OSError):
        return
    finally:
        _opened_ahead.clear()
    if first.recorded.tuned(first.config) is not None:
        first.setting_jobs.ensure(first.config, _SERVER)


def close_studio() -> None:
    """Stop all jobs of all studios, if there are any; the next visitor gets new ones."""
    _opened.clear()


@st.cache_resource(show_spinner=False)
def _opened_ahead(source: str) -> OpenedStudios:
    return _opened(source)


@st.cache_resource(show_spinner="Reading the data ...", on_release=OpenedStudios.close)
def _opened(source: str) -> OpenedStudios:
    data = load(source)
    config, folder = run_config(data.synthetic), recorded_folder()
    first = Studio(data, config, None if folder is None else RecordedRuns.opened(folder, data, config))
    if first.backbone is None:
        # Every page needs the backbone, and it takes the longest.
        first.backbones.start(first.config, _SERVER)
    studios = OpenedStudios(first, KeptRuns(runs_folder()), run_config, sweeps_folder())
    first.from_scratch.shelf.on_dropped.append(lambda owner: studios.close_all_of(upload_scope(owner, "")))
    return studios

"""From one setting to the next: jobs of the one left end, unless another tab still shows it."""

from __future__ import annotations

import secrets
from typing import Final

import streamlit as st

from app.session.owner import owner_id
from app.studio import Studio
from sparcode.config import RunConfig

_TAB: Final = "tab"


def show_in_tab(config: RunConfig, left: RunConfig, studio: Studio) -> None:
    """Note what this tab shows now, and stop what is under way for what it showed before.

    Parameters
    ----------
    config, left
        What is shown now, and what was until now; may be the same.
    studio
        Has the jobs.
    """
    tab, owner = st.session_state.setdefault(_TAB, secrets.token_hex(8)), owner_id()
    studio.viewers.show(tab, owner, config.content_hash())
    if left != config and not studio.viewers.elsewhere(tab, owner, left.content_hash()):
        studio.leave(left, owner, to=config)

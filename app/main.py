"""Entry script of the studio: page settings and navigation; runs again at each full rerun."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final, NamedTuple

import streamlit as st

ROOT: Final = Path(__file__).resolve().parents[1]
# `streamlit run app/main.py` puts only `app/` on the path; the launcher puts the root there itself.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


class PageRow(NamedTuple):
    """One entry of the navigation: file in `pages/`, title, and the URL path it is reached by (empty for the start page)."""

    file: str
    title: str
    url_path: str


PAGES: Final = (
    PageRow("overview.py", "Overview", ""),
    PageRow("index_explorer.py", "Index Explorer", "explorer"),
    PageRow("train.py", "Train", "train"),
    PageRow("compare.py", "Compare", "compare"),
    PageRow("runs.py", "Compare runs", "runs"),
    PageRow("sweep.py", "Sweep", "sweep"),
    PageRow("scale.py", "Scale", "scale"),
    PageRow("query.py", "Inside a query", "query"),
    PageRow("space.py", "Code space", "space"),
    PageRow("lessons.py", "Lessons", "lessons"),
    PageRow("report.py", "Report", "report"),
)


def _page(row: PageRow) -> st.Page:
    # No page icons: for the tab of a page that has one, the browser fetches a picture from a font service on the network.
    path = ROOT / "pages" / row.file
    if row.url_path:
        return st.Page(path, title=row.title, icon="", url_path=row.url_path)
    return st.Page(path, title=row.title, icon="", default=True)


# Not imported at the top, because the path has to be set first.
presenting = importlib.import_module("app.session.presenting")
presents = presenting.presents()
# On top, so that charts get the whole width.
chosen = st.navigation([_page(row) for row in PAGES], position="hidden" if presents else "top")
st.set_page_config(page_title=f"{chosen.title} · SparCode Studio", page_icon=ROOT / "assets" / "icon.png", layout="wide")
st.logo(ROOT / "assets" / "logo.svg", icon_image=ROOT / "assets" / "icon.png", size="large")
st.html(ROOT / "app" / "style.css")
importlib.import_module("app.components.page_history").page_history()
with st.container():
    if refused := presenting.refused_to_present():
        st.warning(refused)
if presents:
    importlib.import_module("app.present.panel").presentation(chosen.title, chosen.url_path == "report")
else:
    chosen.run()
importlib.import_module("app.components.theme_watch").theme_watch()

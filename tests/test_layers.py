"""Imports point one way and without circles: read from the source by `scripts.house`, nothing is run."""

from __future__ import annotations

import ast

import pytest

from scripts import house
from scripts.house import Arrow

FILES = house.sources()
IMPORTS = house.imports_of(FILES)
ARROWS = house.arrows_of(IMPORTS)
PAGE_IMPORTS = {"__future__", "app", "collections", "dataclasses", "pathlib", "streamlit", "typing"}
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
VAGUE_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
WITH_STREAMLIT = {
    "app.components",
    "app.session",
    "app.overview",
    "app.explorer",
    "app.train",
    "app.compare",
    "app.scale",
    "app.runs",
    "app.sweep",
    "app.query",
    "app.lessons",
    "app.space",
    "app.report_page",
    "app.present",
    "app.main",
}


def users_of(packages: set[str], *folders: str) -> set[str]:
    """Files under the named folders that import one of the packages."""
    return {path for path, names in IMPORTS.items() if path.startswith(folders) and packages & {name.partition(".")[0] for name in names}}


@pytest.mark.parametrize(
    ("source", "module", "expected"),
    [
        ("import streamlit as st", "app.state", {"streamlit"}),
        ("from streamlit.components import v2", "app.state", {"streamlit.components", "streamlit.components.v2"}),
        ("def f():\n    import plotly.io", "sparcode.cli", {"plotly.io"}),
        ("if True:\n    from ..state import keys", "app.charts.usage", {"app.state", "app.state.keys"}),
        ("from . import usage", "app.charts.size", {"app.charts", "app.charts.usage"}),
        ("import importlib\nimportlib.import_module('pickle')", "sparcode.io", {"importlib", "pickle"}),
        ("text = 'import streamlit'", "sparcode.io", set()),
    ],
)
def test_the_reader_sees_every_kind_of_import(source: str, module: str, expected: set[str]) -> None:
    assert house.imported(source, module) == expected


def test_a_package_resolves_its_relative_imports_from_itself() -> None:
    assert house.imported("from .usage import figure", "app.charts", is_package=True) == {"app.charts.usage", "app.charts.usage.figure"}


def test_circles_are_found_with_all_their_members_and_chains_are_not() -> None:
    assert house.circles([("a", "b"), ("b", "c"), ("a", "c")]) == []
    assert house.circles([("d", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("x", "y"), ("y", "x"), ("c", "z")]) == [
        ["a", "b", "c"],
        ["x", "y"],
    ]


def test_arrows_upward_to_a_neighbour_or_from_a_room_without_a_place_are_found() -> None:
    arrows = {
        down := Arrow("sparcode.model.kmeans", "sparcode.data.split"),
        same := Arrow("app.charts.frame", "app.charts.ghost"),
        up := Arrow("sparcode.index.kernels", "sparcode.retrieval.exact"),
        across := Arrow("app.train.panel", "app.explorer.panel"),
        new := Arrow("app.nursery.cot", "app.theme"),
    }
    assert house.against_the_order(arrows) == {up, across, new} == arrows - {down, same}


def test_files_are_counted_by_folder_and_size() -> None:
    files = {"app/__init__.py": "'''A.'''\n", "app/long.py": "\n" * 40, "app/style.css": "\n" * 3, "README.md": "\n" * 9}
    assert house.lines_by_folder(files) == {"app": 44, ".": 9}
    assert house.small_files(files) == ["app/style.css"]
    assert house.root_files(files) == {"app": ["long.py", "style.css"], "sparcode": []}


def test_no_import_points_against_the_order_of_the_rooms() -> None:
    assert not house.against_the_order(ARROWS)


def test_nothing_imports_in_circles() -> None:
    assert house.circles(ARROWS) == house.room_circles(ARROWS) == []


def test_the_roots_hold_wiring_alone() -> None:
    assert all(len(names) <= house.ROOT_FILES for names in house.root_files(FILES).values())


def test_sparcode_knows_no_web_library() -> None:
    assert not users_of({"streamlit", "plotly"}, "sparcode/")


def test_only_components_session_and_pages_of_the_app_import_streamlit() -> None:
    # Rooms below import no room that does, so this holds through other files as well.
    assert {house.room_of(house.module_name(path)) for path in users_of({"streamlit"}, "app/")} <= WITH_STREAMLIT


def test_pages_import_streamlit_and_app_only() -> None:
    assert {name.partition(".")[0] for path, names in IMPORTS.items() if path.startswith("pages/") for name in names} <= PAGE_IMPORTS


def test_nothing_unpickles() -> None:
    assert not users_of(UNPICKLERS, "streamlit_app.py", "sparcode/", "app/", "pages/", "benchmarks/", "scripts/")


def test_every_module_is_named_after_what_it_holds() -> None:
    assert not [path for path in IMPORTS if VAGUE_NAMES & {*path.removesuffix(".py").split("/")}]


def test_package_files_only_re_export() -> None:
    for path, text in FILES.items():
        if path.endswith("__init__.py"):
            for node in ast.parse(text).body:
                is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
                is_dunder = isinstance(node, ast.Assign) and all(getattr(name, "id", "").startswith("__") for name in node.targets)
                assert is_docstring or is_dunder or isinstance(node, (ast.Import, ast.ImportFrom)), f"{path}:{node.lineno} holds code"

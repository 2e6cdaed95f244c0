"""Imports point one way: launcher, entry script, pages, app, sparcode. Read from the source, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE_IMPORTS = {"__future__", "app", "collections", "dataclasses", "pathlib", "streamlit", "typing"}
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
VAGUE_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
WITH_STREAMLIT = ("app.components", "app.session", "app.overview", "app.explorer", "app.train", "app.compare")


def module_name(path: Path) -> str:
    """Dotted name of a source file, relative to the repository root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Dotted names that a source imports, wherever in the file; `from a import b` counts as `a` and as `a.b`."""
    found: set[str] = set()
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found.add(origin)
            found.update(f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                found.add(node.args[0].value)
    return found


def sources(*folders: str) -> list[Path]:
    """Source files under the named folders of the repository, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    return imports(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def reachable(start: str, edges: dict[str, set[str]]) -> Iterator[str]:
    """Modules of the project that `start` pulls in, itself and the packages on the way included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in edges:
            continue
        seen.add(name)
        yield name
        parents = [name[:at] for at, letter in enumerate(name) if letter == "."]
        waiting.extend([*edges[name], *parents])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


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
    assert imports(source, module) == expected


def test_a_package_resolves_its_relative_imports_from_itself() -> None:
    assert imports("from .usage import figure", "app.charts", is_package=True) == {"app.charts.usage", "app.charts.usage.figure"}


def test_reachable_follows_chains_and_parent_packages() -> None:
    edges = {"app": set(), "app.charts": {"app.state"}, "app.charts.usage": set(), "app.state": {"streamlit"}, "app.other": set()}
    assert set(reachable("app.charts.usage", edges)) == {"app", "app.charts", "app.charts.usage", "app.state"}


@pytest.mark.parametrize("path", sources("sparcode"), ids=relative)
def test_sparcode_knows_nothing_of_the_app(path: Path) -> None:
    assert tops(imports_of(path)).isdisjoint({"streamlit", "plotly", "app", "pages", "streamlit_app"})


@pytest.mark.parametrize("path", sources("app"), ids=relative)
def test_app_imports_no_page(path: Path) -> None:
    assert tops(imports_of(path)).isdisjoint({"pages", "streamlit_app"})


def test_only_components_session_and_pages_of_the_app_import_streamlit() -> None:
    edges = {module_name(path): imports_of(path) for path in sources("app")}
    held = [module for module in edges if module.count(".") > 1 and not module.startswith(tuple(f"{room}." for room in WITH_STREAMLIT))]
    assert {"app.charts.frame", "app.jobs.manager", "app.measured.measured_index"} <= set(held)
    offenders = {(module, used) for module in held for used in reachable(module, edges) if "streamlit" in tops(edges[used])}
    assert not offenders


@pytest.mark.parametrize("path", sources("pages"), ids=relative)
def test_pages_import_streamlit_and_app_only(path: Path) -> None:
    assert tops(imports_of(path)) <= PAGE_IMPORTS


@pytest.mark.parametrize("path", [ROOT / "streamlit_app.py", *sources("sparcode", "app", "pages", "benchmarks")], ids=relative)
def test_nothing_unpickles(path: Path) -> None:
    assert tops(imports_of(path)).isdisjoint(UNPICKLERS)


def test_every_module_is_named_after_what_it_holds() -> None:
    names = {path: {*path.relative_to(ROOT).parent.parts, path.stem} for path in sources("sparcode", "app", "pages", "benchmarks", "tests")}
    assert not [relative(path) for path, parts in names.items() if parts & VAGUE_NAMES]


@pytest.mark.parametrize(
    "path", [path for path in sources("sparcode", "app", "pages", "tests") if path.name == "__init__.py"], ids=relative
)
def test_package_files_only_re_export(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        is_dunder = isinstance(node, ast.Assign) and all(isinstance(name, ast.Name) and name.id.startswith("__") for name in node.targets)
        assert is_docstring or is_dunder or isinstance(node, (ast.Import, ast.ImportFrom)), f"line {node.lineno} holds code"

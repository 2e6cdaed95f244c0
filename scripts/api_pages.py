"""`docs/api.md` and a page for every room of `sparcode` in `docs/api/`, made from signatures and docstrings without importing the code."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scripts.house import SPARCODE
from sparcode import config

ROOT: Final = Path(__file__).resolve().parents[1]
# The command line has its own help, and these files serve it.
COMMAND_LINE: Final = ("commands", "cli", "config_message")
# Compiled loops: their callers check what they are given.
LOOPS: Final = "kernels"
ROOMS: Final = tuple(room for room in re.split(r"[ |]", SPARCODE) if room not in COMMAND_LINE)
_HEAD: Final = """# API

The public functions and classes of `sparcode`, a page for each of its rooms in the order in which they build on each other. Made from
signatures and docstrings by `make docs`; do not edit. Names with a leading underscore, the command line ([usage.md](usage.md)) and the
files of compiled loops (`*{loops}.py`) are left out. Letters: B queries, T tokens, M codebooks, K codewords of each, D dimensions, I items
([method.md](method.md)).

How they go together: [examples/](../examples), each a file that runs.
"""
_SECTION: Final = re.compile(r"^([A-Z][a-z]+(?: [a-z]+)?)\n-{3,}\n", re.MULTILINE)


class Module(NamedTuple):
    """A source file: its dotted name, the first paragraph of its docstring, and its public functions and classes in order."""

    name: str
    about: str
    members: tuple[ast.FunctionDef | ast.ClassDef, ...]


def api_pages() -> dict[str, str]:
    """Path below the repository's root -> text, in Markdown."""
    pages, index = {}, [_HEAD.format(loops=LOOPS)]
    for room in ROOMS:
        modules = tuple(_modules(room))
        pages[f"docs/api/{room}.md"] = _room_page(room, modules)
        rows = [f"| [{module.name}](api/{room}.md#{_anchor(module.name)}) | {_cell(module.about)} |" for module in modules]
        index.append(f"## sparcode.{room}\n\n| file | what it holds |\n|---|---|\n" + "\n".join(rows) + "\n")
    return {"docs/api.md": "\n".join(index), **pages}


def _modules(room: str) -> Iterator[Module]:
    """Files of a room with something public in them."""
    folder = ROOT / "sparcode" / room
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
        if path.stem.endswith(LOOPS) or path.stem == "__init__":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        members = tuple(node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_public(node))
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield Module(name, _plain(ast.get_docstring(tree) or "").split("\n\n")[0], members)


def _is_public(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return not node.name.startswith("_")


def _room_page(room: str, modules: tuple[Module, ...]) -> str:
    parts = [f"# sparcode.{room}\n\nMade from docstrings by `make docs`; do not edit. All rooms: [api.md](../api.md).\n"]
    for module in modules:
        parts.append(f"## {module.name}\n\n{module.about}\n")
        parts += [_class(node) if isinstance(node, ast.ClassDef) else _function(node) for node in module.members]
    return "\n".join(parts)


def _function(node: ast.FunctionDef) -> str:
    return f"### {node.name}\n\n```py\n{_call(node, ast.unparse(node.args))}\n```\n\n{_plain(ast.get_docstring(node) or '')}\n"


def _method(node: ast.FunctionDef) -> str:
    """One entry of a list; paragraphs and sections within it are indented."""
    given = "" if _has(node, "property") else _arguments(node.args, skip_first=not _has(node, "staticmethod"))
    told = _plain(ast.get_docstring(node) or "").replace("\n", "\n  ").replace("\n  \n", "\n\n")
    return f"- `{_call(node, given)}`: {told}"


def _call(node: ast.FunctionDef, given: str) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}{returns}" if _has(node, "property") else f"{node.name}({given}){returns}"


def _class(node: ast.ClassDef) -> str:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and _is_public(part)]
    made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if (settings := _settings_model(node.name)) is not None:
        detail = _settings_table(settings)
    else:
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and not ast.unparse(part.target).startswith("_")]
        listed = _arguments(made.args, True) if made else ", ".join(map(ast.unparse, fields))
        detail = f"```py\n{node.name}({listed})\n```\n" if listed else ""
    head = f"### {node.name}" + (f"\n\nA {bases}." if bases else "")
    told = f"{head}\n\n{_plain(ast.get_docstring(node) or '')}\n\n{detail}"
    return told + ("\n" + "\n".join(map(_method, methods)) + "\n" if methods else "")


def _arguments(arguments: ast.arguments, skip_first: bool) -> str:
    names = ast.unparse(arguments)
    return names.partition(", ")[2] if skip_first else names


def _has(node: ast.FunctionDef, decorator: str) -> bool:
    return any(ast.unparse(one).split(".")[-1] == decorator for one in node.decorator_list)


def _settings_model(name: str) -> type[BaseModel] | None:
    found = getattr(config, name, None)
    return found if inspect.isclass(found) and issubclass(found, config.Config) and found.model_fields else None


def _settings_table(model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_default(field)} | {_allowed(field)} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
    ]
    return "| setting | default | allowed | what it is |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    return "as its own" if isinstance(field.default, BaseModel) else f"`{field.default}`"


def _allowed(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(rule, name):g}" for rule in field.metadata for name, sign in signs.items() if hasattr(rule, name)]
    choices = getattr(field.annotation, "__args__", ())
    return ", ".join([*bounds, *(f"`{choice}`" for choice in choices)])


def _plain(docstring: str) -> str:
    """A NumPy docstring as Markdown."""
    text, *sections = _SECTION.split(docstring.replace("``", "`"))
    parts = [text.strip()]
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        entries = re.split(r"\n(?=\S)", body.strip())
        listed = [(name, " ".join(told.split())) for name, _, told in (entry.partition("\n") for entry in entries)]
        parts.append(f"**{heading}**\n\n" + "\n".join(f"- `{name}`: {told}" if told else f"- {name}" for name, told in listed))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

"""JavaScript and CSS of a component, from the files beside its Python file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(?P<file>[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


def script(python_file: str) -> str:
    """The module of the same name with its imports first, each file once, as one text: Streamlit takes one per component."""
    return "\n".join(_with_imports(Path(python_file).with_suffix(".js"), set()))


def style(python_file: str) -> str:
    """The style sheet of the same name."""
    return Path(python_file).with_suffix(".css").read_text(encoding="utf-8")


def _with_imports(file: Path, seen: set[Path]) -> list[str]:
    if file in seen:
        return []
    seen.add(file)
    text = file.read_text(encoding="utf-8")
    before = [part for found in _IMPORT.finditer(text) for part in _with_imports((file.parent / found["file"]).resolve(), seen)]
    return [*before, _EXPORT.sub("", _IMPORT.sub("", text))]

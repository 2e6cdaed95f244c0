"""Errors as pages show them: without the folders of the server, since pages may be public."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

LONGEST: Final = 1000
# Folders of an absolute path, not of a URL. The last part stays.
_FOLDERS: Final = re.compile(r"(?<![\w.:/~-])/(?:[^\s/'\":,;]+/)+")


def error_words(error: Exception, *folders: Path | None) -> str:
    """The text of an error, at most `LONGEST` characters, with the last part alone of each path; `folders` may have blanks."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.strerror}: {Path(str(error.filename)).name}"
    for folder in folders:
        if folder is not None:
            text = text.replace(f"{folder}/", "")
    return _FOLDERS.sub("", text)[:LONGEST]

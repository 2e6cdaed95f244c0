"""Write the pages of `docs/` that are made from the code, the glossary and the API: `python -m scripts.docs`, or `make docs`.

With `--check` nothing is written; it exits with 1 and names the pages that differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from scripts.api_pages import api_pages
from scripts.glossary_page import glossary_page

ROOT: Final = Path(__file__).resolve().parents[1]
MADE: Final = "docs/api"


def pages() -> dict[str, str]:
    """Path below the repository's root -> text."""
    return {"docs/glossary.md": glossary_page(), **api_pages()}


def differing(root: Path = ROOT) -> list[str]:
    """Paths whose file is missing, has another text, or is left over from a room that is gone."""
    made = pages()
    left = {path.relative_to(root).as_posix() for path in (root / MADE).glob("*.md")} - made.keys()
    return sorted(left | {path for path, text in made.items() if not _has(root / path, text)})


def write(root: Path = ROOT) -> list[str]:
    """Write, or remove, what differs; return its paths."""
    made, changed = pages(), differing(root)
    for path in changed:
        file = root / path
        if path not in made:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_text(made[path], encoding="utf-8")
        beside.replace(file)
    return changed


def _has(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only name the pages that differ")
    check = parser.parse_args().check
    changed = differing() if check else write()
    print("\n".join(changed) or "all pages are up to date")
    sys.exit(bool(check and changed))


if __name__ == "__main__":
    main()

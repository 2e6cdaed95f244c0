"""The floor plan of the project, read from its source: `python -m scripts.house`, with `--since REV` for the lines before.

Prints import circles, arrows against the order of the rooms, files in the roots of `app/` and `sparcode/`, lines and small files.
Exits with 1 on a circle, an arrow against the order or a root that is too full.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
# Lowest first: a room imports the rooms before it. Rooms joined by a bar are neighbours and do not import each other.
SPARCODE: Final = (
    "device|config_message config glossary data baselines model index retrieval metrics space training runs comparison sweep|service "
    "commands cli __main__"
)
APP: Final = (
    "server jobs models training measured recorded kept theme|studio charts report session components "
    "overview|explorer|train|compare|scale|runs|sweep|query|lessons|space|report_page|present"
)
ABOVE: Final = "pages app.main streamlit_app scripts benchmarks examples tests"
ORDER: Final = tuple(
    [f"{house}{room}" for room in level.split("|")]
    for house, rooms in (("sparcode.", SPARCODE), ("app.", APP), ("", ABOVE))
    for level in rooms.split()
)
LEVELS: Final = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
# Packages whose sub-packages are rooms; their root files are rooms of their own.
HOUSES: Final = ("app", "sparcode")
ROOT_FILES: Final = 5
COUNTED: Final = (".py", ".js", ".css", ".md")
SMALL: Final = 40


class Arrow(NamedTuple):
    """One file imports another; dotted names."""

    source: str
    target: str


def sources(root: Path = ROOT) -> dict[str, str]:
    """Texts of the tree's counted files by path: those git tracks or would add; without git all outside hidden folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    walked = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    paths = listed.stdout.splitlines() if listed.returncode == 0 else walked
    return {path: (root / path).read_text(encoding="utf-8") for path in sorted(paths) if _counts(path) and (root / path).is_file()}


def sources_at(revision: str, root: Path = ROOT) -> dict[str, str]:
    """The same at a git revision."""
    archive = subprocess.run(["git", "archive", revision], cwd=root, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return {file.name: files.extractfile(file).read().decode() for file in files if file.isfile() and _counts(file.name)}


def module_name(path: str) -> str:
    """Dotted name of a source file, from its path below the root."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool = False) -> set[str]:
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


def imports_of(files: Mapping[str, str]) -> dict[str, set[str]]:
    """What each Python file imports, by path; see `imported`."""
    return {path: imported(text, module_name(path), path.endswith("__init__.py")) for path, text in files.items() if path.endswith(".py")}


def arrows_of(imports: Mapping[str, set[str]]) -> set[Arrow]:
    """Imports of one file by another; packages, which hold no code, are passed over."""
    modules = {module_name(path): path for path in imports if not path.endswith("__init__.py")}
    return {Arrow(module, name) for module, path in modules.items() for name in imports[path] if name in modules and name != module}


def room_of(module: str) -> str:
    """`sparcode.index` for what lies in it, `sparcode.config` for itself, `tests` for all tests."""
    top, _, rest = module.partition(".")
    return f"{top}.{rest.partition('.')[0]}" if top in HOUSES else top


def against_the_order(arrows: Iterable[Arrow]) -> set[Arrow]:
    """Arrows to a higher room or to a neighbour, and those of a room without a place in `ORDER`."""
    rooms = {arrow: (room_of(arrow.source), room_of(arrow.target)) for arrow in arrows}
    top = len(ORDER)
    return {arrow for arrow, (here, there) in rooms.items() if here != there and LEVELS.get(there, top) >= LEVELS.get(here, -1)}


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of two and more nodes that all reach each other (strongly connected components, Tarjan 1972); sorted."""
    edges: dict[str, set[str]] = defaultdict(set)
    for source, target in arrows:
        edges[source].add(target)
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        path.append(node)
        for target in edges.get(node, ()):
            if target not in order:
                visit(target)
            if target in path:
                lowest[node] = min(lowest[node], lowest[target])
        if lowest[node] == order[node]:
            at = path.index(node)
            found.append(sorted(path[at:]))
            del path[at:]

    for node in list(edges):
        if node not in order:
            visit(node)
    return sorted(group for group in found if len(group) > 1)


def room_circles(arrows: Iterable[Arrow]) -> list[list[str]]:
    """Circles between rooms."""
    pairs = {(room_of(source), room_of(target)) for source, target in arrows}
    return circles(pair for pair in pairs if pair[0] != pair[1])


def root_files(files: Iterable[str]) -> dict[str, list[str]]:
    """Names of the files directly in `app/` and `sparcode/`, `__init__.py` and `__main__.py` left out."""
    paths = [PurePosixPath(path) for path in files]
    return {
        house: [path.name for path in paths if path.parts[:-1] == (house,) and path.name not in ("__init__.py", "__main__.py")]
        for house in HOUSES
    }


def lines_by_folder(files: Mapping[str, str]) -> Counter[str]:
    """Lines of the files by top folder; files of the root count as `.`."""
    lines: Counter[str] = Counter()
    for path, text in files.items():
        lines[path.partition("/")[0] if "/" in path else "."] += text.count("\n")
    return lines


def small_files(files: Mapping[str, str]) -> list[str]:
    """Code files under 40 lines, package files left out."""
    return [path for path, text in files.items() if text.count("\n") < SMALL and not path.endswith(("__init__.py", ".md"))]


def report(now: Mapping[str, str], before: Mapping[str, str] | None = None) -> bool:
    """Print the floor plan; whether the house stands (no circle, no arrow against the order, roots not too full)."""
    arrows = arrows_of(imports_of(now))
    file_circles, rooms, upward = circles(arrows), room_circles(arrows), sorted(against_the_order(arrows))
    roots = root_files(now)
    _print_list("import circles between files", [" ".join(group) for group in file_circles])
    _print_list("import circles between rooms", [" ".join(group) for group in rooms])
    _print_list("arrows against the order of the rooms", [f"{arrow.source} -> {arrow.target}" for arrow in upward])
    for house, names in roots.items():
        print(f"files in the root of {house}/: {len(names)} of at most {ROOT_FILES} ({' '.join(names)})")
    _print_lines(lines_by_folder(now), None if before is None else lines_by_folder(before))
    small = small_files(now)
    was = "" if before is None else f", {len(small_files(before))} before"
    _print_list(f"files under {SMALL} lines (package files left out{was})", small)
    counts = Counter(room_of(module_name(path)) for path in now if path.endswith(".py") and not path.endswith("__init__.py"))
    print("Python files by room: " + ", ".join(f"{room} {counts[room]}" for room in LEVELS if counts[room]))
    return not (file_circles or rooms or upward or any(len(names) > ROOT_FILES for names in roots.values()))


def _print_list(title: str, entries: Sequence[str]) -> None:
    print(f"{title}: {len(entries)}")
    for entry in entries:
        print(f"    {entry}")


def _print_lines(now: Counter[str], before: Counter[str] | None) -> None:
    print(f"lines of {' '.join(COUNTED)} files that git tracks:")
    was = now if before is None else before
    for folder in [*sorted(now.keys() | was.keys()), "total"]:
        after, first = (counts.total() if folder == "total" else counts[folder] for counts in (now, was))
        print(f"    {folder:<12}{after:>8,}" + ("" if before is None else f"{first:>8,} before {after - first:>+8,}"))


def _counts(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.endswith(COUNTED) and "node_modules" not in parts and not any(part.startswith(".") for part in parts)


def main() -> None:
    """Print the floor plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--since", metavar="REV", help="git revision to compare the lines with")
    since = parser.parse_args().since
    sys.exit(not report(sources(), None if since is None else sources_at(since)))


if __name__ == "__main__":
    main()

"""The tests on several Python versions, and with the oldest packages that pyproject.toml accepts: `python -m scripts.versions`.

Each has an environment of its own in `.venv/versions`, which the next start uses again. Exits with 1 if any of them fails.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PYTHONS: Final = ("python3.11", "python3.12", "python3.13")
_VERSION: Final = "import sys; print('{}.{}'.format(*sys.version_info))"


def version(python: str) -> str:
    """Version of an interpreter, such as 3.13; empty if there is none of that name."""
    if shutil.which(python) is None:
        return ""
    return subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=False).stdout.strip()


def oldest() -> list[str]:
    """Every direct dependency at its lower bound, as pip takes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = (*project["dependencies"], *project["optional-dependencies"]["dev"])
    return [re.sub(r">=([^,]+).*", r"==\1", requirement) for requirement in asked]


def passes(python: str, name: str, packages: Sequence[str], options: Sequence[str]) -> bool:
    """Whether the packages can be installed for an interpreter and the tests pass with them; `options` are those of pytest."""
    folder = ROOT / ".venv" / "versions" / name
    own = str(folder / "bin" / "python")
    install = (own, "-m", "pip", "--disable-pip-version-check", "install", "-q")
    print(f"{name}: in {folder}", flush=True)
    steps = (
        (python, "-m", "venv", str(folder)),
        (*install, *packages),
        (*install, "--no-deps", "-e", "."),
        (own, "-m", "pytest", "-q", "-rs", *options),
    )
    return all(subprocess.run(step, cwd=ROOT, check=False).returncode == 0 for step in steps)


def main() -> None:
    """Run the tests in each environment, then print which have passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="*", default=PYTHONS, help="interpreters; %(default)s where they are found")
    parser.add_argument("--pytest", default="-n 2 -m 'not browser'", help="options of pytest; %(default)s")
    arguments = parser.parse_args()
    found = {version(python): python for python in arguments.pythons}
    found.pop("", None)
    if not found:
        sys.exit(f"error: none of {', '.join(arguments.pythons)} is an interpreter")
    kinds = {name: (python, ["-r", "requirements.txt"]) for name, python in found.items()}
    kinds["oldest"] = (found[min(found, key=lambda name: [*map(int, name.split("."))])], oldest())
    passed = {name: passes(python, name, packages, shlex.split(arguments.pytest)) for name, (python, packages) in kinds.items()}
    print(*(f"{name}: {'passed' if good else 'FAILED'}" for name, good in passed.items()), sep="\n")
    sys.exit(not all(passed.values()))


if __name__ == "__main__":
    main()

"""`sparcode demo`: open the studio."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import sparcode
from sparcode.commands.errors import Terminated

LAUNCHER = "streamlit_app.py"


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the studio's page.")] = 8501,
) -> None:
    """Open the studio in the browser."""
    launcher = studio_launcher(Path(sparcode.__file__).parent)
    if importlib.util.find_spec("streamlit") is None:
        raise ValueError("the studio needs the package streamlit, which is not installed here")
    server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", LAUNCHER, "--server.port", str(port)], cwd=launcher.parent)
    try:
        code = server.wait()
    except KeyboardInterrupt as error:
        # The terminal interrupts the server too; another signal reaches this process alone.
        if isinstance(error, Terminated):
            server.terminate()
        server.wait()
        error.add_note("the studio has ended")
        raise
    if code:
        raise RuntimeError(f"the studio ended with exit code {code}")


def studio_launcher(package: Path) -> Path:
    """The studio's launcher beside the package's folder; ValueError if the package is not in a copy of the repository."""
    launcher = package.parent / LAUNCHER
    if not launcher.is_file():
        raise ValueError(f"the studio's files are not beside this package ({launcher} is missing); run it from a copy of the repository")
    return launcher

"""A running studio, and an installed Chromium to open it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

ROOT: Final = Path(__file__).resolve().parents[1]
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, because containers run as root; no calls home.
BROWSER_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_SECONDS: Final = 20


def installed_browser() -> str | None:
    """Path of a Chromium on the PATH; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The installed Chromium, headless; ends the program where there is none."""
    executable = installed_browser()
    if executable is None:
        sys.exit(f"error: no browser on PATH (looked for {', '.join(BROWSERS)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(BROWSER_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def studio_in_browser(recorded: bool = True) -> Iterator[tuple[str, Browser]]:
    """Start both; yields the studio's address and the browser. See `running_studio`."""
    with open_browser() as browser, running_studio(recorded=recorded) as address:
        yield address, browser


@contextmanager
def running_studio(
    environment: Mapping[str, str] | None = None, recorded: bool = True, module: str = "streamlit", printed: list[str] | None = None
) -> Iterator[str]:
    """Start the studio on a free port, with extra environment variables; yields its address, without a trailing slash.

    `recorded=False` hides recorded runs, so that everything is trained. `module` has Streamlit's command line. The lines that the studio
    prints are added to `printed`; all are there at the end. RuntimeError, with these lines, if it does not start.
    """
    lines = [] if printed is None else printed
    command = [sys.executable, "-m", module, "run", "streamlit_app.py", "--server.port", "0", "--server.headless", "true"]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **({} if recorded else {"SPARCODE_RECORDED": "off"}), **(environment or {})}
    server = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # A full pipe would stop the server.
    reading = threading.Thread(target=lines.extend, args=(server.stdout,), daemon=True)
    try:
        address = _address(server, lines)
        reading.start()
        yield address
    finally:
        server.terminate()
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if reading.is_alive():
            reading.join(PATIENCE_SECONDS)


def _address(server: subprocess.Popen[str], lines: list[str]) -> str:
    for line in server.stdout:
        lines.append(line)
        if "URL:" in line:
            return line.partition("URL:")[2].strip().rstrip("/")
    raise RuntimeError(f"the studio did not start:\n{''.join(lines)}")

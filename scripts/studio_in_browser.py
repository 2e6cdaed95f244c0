"""A studio started for the occasion, and an installed Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

ROOT: Final = Path(__file__).resolve().parents[1]
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def studio_in_browser(recorded: bool = True) -> Iterator[tuple[str, Browser]]:
    """Start studio and browser; yields the studio's address and the browser.

    Parameters
    ----------
    recorded
        Whether recorded runs are shown; without them everything is trained.
    """
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        sys.exit(f"error: no browser on PATH (looked for {', '.join(BROWSERS)})")
    with running_studio(recorded) as address, sync_playwright() as playwright:
        # No sandbox, because containers run as root.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield address, browser
        browser.close()


@contextmanager
def running_studio(recorded: bool = True) -> Iterator[str]:
    """Start the studio on a free port; yields its address. See `studio_in_browser`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port), "--server.headless", "true"]
    settings = {"PYTHONUNBUFFERED": "1"} | ({} if recorded else {"SPARCODE_RECORDED": "off"})
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True)
    try:
        if not any("URL:" in line for line in server.stdout):
            raise RuntimeError("the studio did not start")
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(f"{address}/_stcore/health").close()
        yield address
    finally:
        server.terminate()
        server.wait()

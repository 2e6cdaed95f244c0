from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, because continuous integration runs as root; no calls home.
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

# Thread pools read these when their library is first imported; small tests are slower on many threads than on two.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")

# No deadline: a slow machine must not fail a property. The same examples every time.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The installed Chromium, headless; the test is skipped where there is none.

    One per test module: while it is open its event loop runs, and `asyncio.run` cannot be called beside it.
    """
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser on PATH (looked for {', '.join(BROWSERS)})")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=BROWSER_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CSV file of `tests.tiny.tiny_data`."""
    from tests.tiny import tiny_data

    data = tiny_data()
    path = tmp_path_factory.mktemp("data") / "tiny.csv"
    rows = zip(data.histories.rows.tolist(), data.histories.items.tolist(), strict=True)
    path.write_text("\n".join(["user_id,item_id", *(f"u{user},i{item}" for user, item in rows)]), encoding="utf-8")
    return path


@pytest.fixture
def tiny_app(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages run inside the test get a studio of their own, on tiny data with tiny settings."""
    from app import loaders
    from sparcode.config import ModelConfig
    from tests.tiny import changed

    # The page's own default of T, so that the backbone trained at the start is the one that a page without an address asks for.
    settings = changed(model={"n_tokens": ModelConfig().n_tokens})
    monkeypatch.setenv(loaders.DATA_VARIABLE, str(tiny_table))
    monkeypatch.setattr(loaders, "run_config", lambda synthetic: settings)
    loaders.close_studio()
    yield
    loaders.close_studio()


@pytest.fixture(scope="session")
def studio_url(tmp_path_factory: pytest.TempPathFactory, tiny_table: Path) -> Iterator[str]:
    """Address of a running studio on tiny data, started once for all tests; ends without a slash."""
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", "0", "--server.headless", "true"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HOME": str(tmp_path_factory.mktemp("home")), "SPARCODE_DATA": str(tiny_table)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if found := re.search(r"URL: (http://\S+)", line):
                break
        else:
            pytest.fail(f"the studio did not start:\n{''.join(lines)}")
        # A full pipe would stop the server.
        threading.Thread(target=server.stdout.read, daemon=True).start()
        yield found[1].rstrip("/")
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach this machine only: connecting anywhere else raises."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL_HOSTS:
            raise OSError(f"a test tried to reach {address[0]}: tests run without the network")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)

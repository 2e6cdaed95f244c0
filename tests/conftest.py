from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, Page
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from scripts.studio_in_browser import BROWSERS, installed_browser, open_browser, running_studio

ROOT = Path(__file__).resolve().parents[1]
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

# Thread pools read these when their library is first imported. The processes that `make test` starts share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
# Threads that wait by spinning, OpenMP's default, take a tiny training twenty times the processor time on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Read when gRPC is first imported, as `sparcode.retrieval.milvus_collection.connected` sets it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# No deadline: a slow machine must not fail a property. The same examples every time.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@cache
def shares_the_studio(file: Path) -> bool:
    """Whether tests of a file use the fixture `studio_url`."""
    return "studio_url" in file.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that share the studio come first, since they take longest."""
    items.sort(key=lambda item: shares_the_studio(item.path), reverse=True)


class Processes(LoadScopeScheduling):
    """Files that share the studio run in one process, and every other file in one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "studio" if shares_the_studio(ROOT / file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Processes:
    """How tests are spread over the processes of `make test`."""
    return Processes(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture
def plain_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `__main__` without a file, which spawned processes would run first: Streamlit's AppTest leaves a page there."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The installed Chromium; what the test has opened in it is closed afterwards."""
    before = _pages(chromium)
    yield chromium
    for page in set(_pages(chromium)).difference(before):
        page.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, headless; the test is skipped where there is none.

    One per test module: while it is open its event loop runs, and `asyncio.run` cannot be called beside it.
    """
    if installed_browser() is None:
        pytest.skip(f"no browser on PATH (looked for {', '.join(BROWSERS)})")
    with open_browser() as chromium:
        yield chromium


def _pages(chromium: Browser) -> list[Page]:
    return [page for context in chromium.contexts for page in context.pages]


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
def tiny_app(tiny_table: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Pages run inside the test get a studio of their own, on tiny data with tiny settings."""
    from app.session import chosen_data, loaders
    from tests.tiny import tiny_studio_settings

    monkeypatch.setenv(chosen_data.DATA_VARIABLE, str(tiny_table))
    monkeypatch.setenv(chosen_data.RUNS_VARIABLE, str(tmp_path / "runs"))
    monkeypatch.setenv(chosen_data.SWEEPS_VARIABLE, str(tmp_path / "sweeps"))
    # Layouts are kept in the user's cache.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(loaders, "run_config", tiny_studio_settings)
    loaders.close_studio()
    yield
    loaders.close_studio()


@pytest.fixture(scope="session")
def tiny_environment(tmp_path_factory: pytest.TempPathFactory, tiny_table: Path) -> dict[str, str]:
    """Variables of a studio on tiny data."""
    home = tmp_path_factory.mktemp("home")
    return {
        "HOME": str(home),
        "SPARCODE_DATA": str(tiny_table),
        "SPARCODE_RUNS": str(home / "runs"),
        "SPARCODE_SWEEPS": str(home / "sweeps"),
    }


@pytest.fixture(scope="session")
def studio_url(tiny_environment: dict[str, str]) -> Iterator[str]:
    """Address of a studio on tiny data that tests share; ends without a slash."""
    with running_studio(tiny_environment, module="tests.tiny_studio") as address:
        yield address


@pytest.fixture
def fresh_studio_url(tiny_environment: dict[str, str]) -> Iterator[str]:
    """Address of a studio on tiny data that nobody has visited yet."""
    with running_studio(tiny_environment, module="tests.tiny_studio") as address:
        yield address


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach this machine only: connecting anywhere else raises."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL_HOSTS:
            raise OSError(f"a test tried to reach {address[0]}: tests run without the network")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)

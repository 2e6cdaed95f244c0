from __future__ import annotations

import asyncio
import weakref
from types import SimpleNamespace

import pytest
from streamlit import runtime
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo

from app.session import closed_tabs


class Session:
    """A session with its files."""

    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemorySessionStorage:
    """What Streamlit keeps closed tabs in, by a clock of the test."""
    kept = MemorySessionStorage()
    kept.now = 0.0
    kept._cache._timer = lambda: kept.now
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(_session_mgr=SimpleNamespace(_session_storage=kept)))
    return kept


def close_tab(storage: MemorySessionStorage, name: str) -> weakref.ref[Session]:
    session = Session(name)
    storage.save(SessionInfo(client=None, session=session))
    return weakref.ref(session)


def test_a_closed_tab_is_forgotten_once_its_time_is_over(storage: MemorySessionStorage) -> None:
    early = close_tab(storage, "early")
    storage.now = 100.0
    late = close_tab(storage, "late")
    assert closed_tabs.kept_tabs() == 2
    storage.now = 150.0
    assert closed_tabs.kept_tabs() == 1
    assert early() is None
    assert late() is not None


def test_memory_is_given_back_when_a_tab_is_forgotten(storage: MemorySessionStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(closed_tabs, "give_back", lambda: given.append(storage.now))

    async def look_on(seconds: float) -> None:
        storage.now += 50
        if storage.now > 400:
            raise asyncio.CancelledError
        if storage.now < 150:
            close_tab(storage, str(storage.now))

    monkeypatch.setattr(closed_tabs.asyncio, "sleep", look_on)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(closed_tabs.forget_closed_tabs())
    # Closed at 50 and 100, kept for 120 seconds.
    assert given == [200.0, 250.0]


def test_without_a_server_nothing_is_kept() -> None:
    assert closed_tabs.kept_tabs() == 0
    closed_tabs.give_back()

"""A page of the studio over its websocket, without a browser: it does what a browser's tab does with the messages of Streamlit."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from scripts.soak.clock import CLOCK

REST_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.05
_TRIGGER: Final = "$$STREAMLIT_INTERNAL_KEY_{}__events"


def new_cookies(url: str) -> dict[str, str]:
    """The cookies that a new browser gets."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    for request in (urllib.request.Request(url, headers={"Accept": "text/html"}), f"{url}/_stcore/health"):
        opener.open(request).close()
    return {cookie.name: cookie.value or "" for cookie in jar}


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class Page:
    """One visitor's tab: it holds the values of its widgets, follows the page's timer and sends what the visitor presses.

    `counts` has what happened to it, `tracebacks` and `connection_errors` among it. Subclasses say what a visitor presses, and take what
    the page shows.
    """

    def __init__(self, url: str, name: str, query: str = "", seed: int = 0, cookies: dict[str, str] | None = None) -> None:
        self.url, self.name, self.query = url, name, query
        self.chance = random.Random(seed)
        self.cookies = cookies or {}
        self.counts: Counter[str] = Counter()
        # Id of a widget -> the value that the visitor gave it.
        self.values: dict[str, WidgetState] = {}
        # Label of a button -> its id and fragment.
        self.buttons: dict[str, tuple[str, str]] = {}
        self.fragment = self._script = ""
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        # Fragment -> the seconds after which it runs again, and what sees to it.
        self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self._heard = CLOCK()
        # Whether the server has to begin with what was asked last.
        self._running = self._waiting = False

    async def press(self) -> None:
        """Do one thing that a visitor does; to be given by the subclass."""

    async def leave(self) -> None:
        """Do what has to be done at the end."""

    def take(self, kind: str, element: Any, fragment: str) -> None:
        """Take an element that the page shows; to be given by the subclass."""

    async def live(self, until: float, pauses: tuple[float, float] = (1, 4), n_presses: float = math.inf) -> None:
        """Open the page, press until the time is over or so many times, and wait until the page is at rest."""
        async with self.open():
            while CLOCK() < until and self.counts["changes"] < n_presses and self.is_connected:
                await asyncio.sleep(self.chance.uniform(*pauses))
                if self.fragment:
                    await self.press()
            await self.leave()
            if not await self.until(self.is_at_rest, PATIENCE_SECONDS):
                self.counts["stuck"] += 1
                print(f"a session of {self.name} is not at rest: running {self._running}, waiting {self._waiting}", file=sys.stderr)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The open tab."""
        host = urlsplit(self.url).netloc
        opened = connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=f"http://{host}",
            additional_headers={"Cookie": self.cookie_header},
            max_size=None,
            # As browsers do.
            ping_interval=None,
        )
        try:
            async with opened as self._socket:
                self._reading = asyncio.create_task(self._read(self._socket))
                try:
                    await self.ask(fragment="")
                    yield
                    if not self.is_connected:
                        raise ConnectionError(f"the connection has ended: {self._reading.exception()!r}")
                finally:
                    self._stop_timers(*self._timers)
                    self._reading.cancel()
                    await asyncio.gather(self._reading, return_exceptions=True)
        except (ConnectionClosed, OSError) as error:
            self.counts["connection_errors"] += 1
            print(f"a session of {self.name} ended: {error!r}", file=sys.stderr)

    @property
    def cookie_header(self) -> str:
        """The cookies, as a browser sends them."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def is_connected(self) -> bool:
        """Whether the tab is open."""
        return self._reading is not None and not self._reading.done()

    def is_at_rest(self) -> bool:
        """Whether nothing is to come."""
        quiet = CLOCK() - self._heard > REST_SECONDS
        return not self._running and not self._waiting and not self._timers and quiet

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; whether it does in time."""
        deadline = CLOCK() + seconds
        while self.is_connected and not holds() and CLOCK() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
        return holds()

    async def click(self, label: str) -> None:
        """Click a button that is shown."""
        name, fragment = self.buttons[label]
        await self.ask(fragment, WidgetState(id=name, trigger_value=True))

    async def trigger(self, component: str, event: str, value: str) -> None:
        """Send an event of a component."""
        told = json.dumps([{"event": event, "value": value}])
        await self.ask(self.fragment, WidgetState(id=_TRIGGER.format(component), json_trigger_value=told))

    async def ask(self, fragment: str, *triggers: WidgetState, auto: bool = False) -> None:
        """Ask for a run of the page, or of a fragment of it, with the values of all widgets."""
        asked = BackMsg()
        run = asked.rerun_script
        run.query_string, run.page_name, run.page_script_hash = self.query, self.name, self._script
        run.fragment_id, run.is_auto_rerun = fragment, auto
        run.widget_states.widgets.extend([*self.values.values(), *triggers])
        self._waiting, self._heard = True, CLOCK()
        await self.send(asked)

    async def send(self, asked: BackMsg) -> None:
        """Send a message."""
        await self._socket.send(asked.SerializeToString())

    async def _read(self, socket: ClientConnection) -> None:
        async for raw in socket:
            self.hear(ForwardMsg.FromString(raw))

    def hear(self, told: ForwardMsg) -> None:
        """Take a message of the server."""
        self._heard = CLOCK()
        kind = told.WhichOneof("type")
        if kind == "new_session":
            self._running, self._waiting = True, False
            fragments = set(told.metadata.run.fragment_ids)
            if not fragments:
                self._stop_timers(*self._timers)
            self.buttons = {label: known for label, known in self.buttons.items() if fragments and known[1] not in fragments}
        elif kind == "script_finished":
            self._running = False
        elif kind == "auto_rerun":
            interval, fragment = told.auto_rerun.interval, told.auto_rerun.fragment_id
            if self._timers.get(fragment, (0.0, None))[0] != interval:
                self._stop_timers(fragment)
                self._timers[fragment] = (interval, asyncio.create_task(self._tick(interval, fragment)))
        elif kind == "stop_auto_rerun":
            self._stop_timers(*told.stop_auto_rerun.fragment_ids)
        elif kind == "navigation":
            self._script = told.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = told.page_info_changed.query_string
        elif kind == "ref_hash":
            self.counts["references"] += 1
        elif kind == "delta" and told.delta.WhichOneof("type") == "new_element":
            element, fragment = told.delta.new_element, told.delta.fragment_id
            shown = element.WhichOneof("type")
            if shown == "exception":
                self.counts["tracebacks"] += 1
                print(f"on a page: {element.exception.type}: {element.exception.message}", *element.exception.stack_trace, file=sys.stderr)
            elif shown == "button" and not element.button.disabled:
                self.buttons[element.button.label] = (element.button.id, fragment)
            self.take(shown, element, fragment)

    def _stop_timers(self, *fragments: str) -> None:
        for fragment in fragments:
            if fragment in self._timers:
                self._timers.pop(fragment)[1].cancel()

    async def _tick(self, interval: float, fragment: str) -> None:
        # A connection that has ended is told by the task that reads it.
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(interval)
                await self.ask(fragment, auto=True)


async def side_by_side(*visits: Coroutine[Any, Any, None]) -> int:
    """Await all visits; how many ended with an error, which is printed."""
    ended = await asyncio.gather(*visits, return_exceptions=True)
    failed = [result for result in ended if isinstance(result, BaseException)]
    for error in failed:
        print(f"a session ended: {error!r}", file=sys.stderr)
    return len(failed)

"""Many visitors at once, for minutes, on a studio started for it: `python -m scripts.soak`.

Each session is a websocket that does what a browser's page does: it holds the values of its widgets, follows the page's timer and sends
what a visitor presses. At the end, once all is at rest, its sliders, its address and the run it shows must agree. The last line is a JSON
object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from app.session.configuration import Configuration
from app.session.settings import CODEBOOK_SIZE, CODEBOOKS, KEPT
from scripts.studio_in_browser import running_studio

# Settings that sessions choose from; each is trained once.
ASKED: Final = {CODEBOOKS.key: ("1", "2"), CODEBOOK_SIZE.key: ("64", "128")}
REST_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 180.0
THRESHOLD_SHARE: Final = 0.8
_LABEL: Final = re.compile(r"M=(\d+) K=(\d+).*, ([\d.]+) % kept")
_TRIGGER: Final = "$$STREAMLIT_INTERNAL_KEY_{}__events"


class Session:
    """One visitor's page of the Index Explorer."""

    def __init__(self, number: int, url: str) -> None:
        self.chance, self.host = random.Random(number), urlsplit(url).netloc
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": "text/html"})) as answer:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self.query = urlencode({CODEBOOK_SIZE.key: self.chance.choice(ASKED[CODEBOOK_SIZE.key])})
        # Key of a setting -> id, options and value of the slider that shows it.
        self.sliders: dict[str, tuple[str, list[str], str]] = {}
        self.kept, self.shown, self.fragment = "", ("", "", ""), ""
        self.threshold_id = self.page = ""
        self.timer: asyncio.Task[None] | None = None
        self.heard = time.monotonic()
        # Whether the server has to begin with what was asked last.
        self.running = self.waiting = False
        self.moved: tuple[str, float] | None = None
        self.moves: list[float] = []
        self.counts: Counter[str] = Counter()

    async def live(self, until: float) -> None:
        """Open the page, press until the time is over, and wait until the page is at rest."""
        headers = {"Cookie": self.cookie}
        async with connect(
            f"ws://{self.host}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=f"http://{self.host}",
            additional_headers=headers,
            max_size=None,
        ) as socket:
            reading = asyncio.create_task(self._read(socket))
            await self._ask(socket, fragment="")
            while time.monotonic() < until and not reading.done():
                await asyncio.sleep(self.chance.uniform(1, 4))
                if self.sliders and self.threshold_id:
                    await self._press(socket)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not reading.done() and not self._at_rest() and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
            if reading.done():
                self.counts["connection_errors"] += 1
                print(f"a session ended: {reading.exception()!r}", file=sys.stderr)
            self.counts["stuck"] += not self._at_rest()
            if len({self._on_sliders(), self._in_address(), self.shown}) > 1:
                self.counts["crossed"] += 1
                told = f"on the sliders {self._on_sliders()}, in the address {self._in_address()}, shown {self.shown}"
                print(f"a session disagrees with itself: {told}", file=sys.stderr)
            reading.cancel()

    def _at_rest(self) -> bool:
        return not self.running and not self.waiting and self.timer is None and time.monotonic() - self.heard > REST_SECONDS

    def _on_sliders(self) -> tuple[str, str, str]:
        return (*(self.sliders[key][2] for key in ASKED), self.kept) if len(self.sliders) == len(ASKED) else ("", "", "")

    def _in_address(self) -> tuple[str, ...]:
        asked = parse_qs(self.query)
        return tuple(asked.get(key, [getattr(Configuration(), key)])[0] for key in (*ASKED, KEPT.key))

    async def _press(self, socket: ClientConnection) -> None:
        self.counts["changes"] += 1
        if self.chance.random() < THRESHOLD_SHARE:
            percent = self.chance.choice(KEPT.options)
            if percent == self.kept:
                return
            self.moved = (percent, time.monotonic())
            await self._ask(socket, self.fragment, released=percent)
            return
        key = self.chance.choice(list(self.sliders))
        name, options, _ = self.sliders[key]
        self.sliders[key] = (name, options, self.chance.choice(ASKED[key]))
        self.moved = None
        await self._ask(socket, self.fragment)

    async def _ask(self, socket: ClientConnection, fragment: str, released: str = "", auto: bool = False) -> None:
        asked = BackMsg()
        run = asked.rerun_script
        run.query_string, run.page_name, run.page_script_hash = self.query, "explorer", self.page
        run.fragment_id, run.is_auto_rerun = fragment, auto
        for name, _, value in self.sliders.values():
            run.widget_states.widgets.add(id=name).string_array_value.data.append(value)
        if released:
            event = json.dumps([{"event": "release", "value": released}])
            run.widget_states.widgets.add(id=_TRIGGER.format(self.threshold_id)).json_trigger_value = event
        self.waiting = True
        self.heard = time.monotonic()
        await socket.send(asked.SerializeToString())

    async def _read(self, socket: ClientConnection) -> None:
        async for raw in socket:
            self.heard = time.monotonic()
            told = ForwardMsg()
            told.ParseFromString(raw)
            kind = told.WhichOneof("type")
            if kind == "new_session":
                self.running, self.waiting = True, False
                if not told.metadata.run.fragment_ids:
                    self._stop_timer()
            elif kind == "script_finished":
                self.running = False
            elif kind == "auto_rerun":
                self._stop_timer()
                self.timer = asyncio.create_task(self._tick(socket, told.auto_rerun.interval, told.auto_rerun.fragment_id))
            elif kind == "navigation":
                self.page = told.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = told.page_info_changed.query_string
            elif kind == "ref_hash":
                self.counts["references"] += 1
            elif kind == "delta" and told.delta.WhichOneof("type") == "new_element":
                self._take(told.delta.new_element, told.delta.fragment_id)

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def _tick(self, socket: ClientConnection, interval: float, fragment: str) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._ask(socket, fragment, auto=True)

    def _take(self, element: Any, fragment: str) -> None:
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.counts["tracebacks"] += 1
            print(f"on a page: {element.exception.type}: {element.exception.message}", *element.exception.stack_trace, file=sys.stderr)
        elif kind == "slider":
            key = element.slider.id.rpartition("-")[2].partition("#")[0]
            known = self.sliders.get(key)
            # A slider of another id is new to the page and shows its default; one that is known shows what was pressed.
            if key in ASKED and (known is None or known[0] != element.slider.id):
                options = list(element.slider.options)
                self.sliders[key] = (element.slider.id, options, options[int(element.slider.default[0])])
            self.fragment = fragment or self.fragment
        elif kind == "bidi_component":
            component = element.bidi_component
            if component.WhichOneof("data") not in ("json", "mixed"):
                return
            data = json.loads(component.json or component.mixed.json)
            if "kept" in data:
                self.kept, self.threshold_id = data["kept"], component.id
            elif "runs" in data:
                current = [_LABEL.search(run["label"]) for run in data["runs"] if run["current"]]
                self.shown = current[0].groups() if current and current[0] else ("", "", "")
            elif "tiles" in data and self.moved is not None and data["version"].endswith(f" {self.moved[0]}"):
                self.moves.append(time.monotonic() - self.moved[1])
                self.moved = None


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


async def sessions(url: str, pid: int, n_sessions: int, seconds: float) -> dict[str, float]:
    """So many sessions for so long; the memory counts from a fifth of the time on."""
    until = time.monotonic() + seconds
    visitors = [Session(number, url) for number in range(n_sessions)]
    living = [asyncio.create_task(visitor.live(until)) for visitor in visitors]
    await asyncio.sleep(seconds / 5)
    warm = resident_mb(pid)
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    grown = resident_mb(pid) - warm
    ended = await asyncio.gather(*living, return_exceptions=True)
    counts = sum((visitor.counts for visitor in visitors), Counter())
    counts["connection_errors"] += sum(isinstance(result, BaseException) for result in ended)
    moves = [seconds for visitor in visitors for seconds in visitor.moves]
    return {
        "sessions": n_sessions,
        **{name: counts[name] for name in ("changes", "stuck", "connection_errors", "crossed", "references", "tracebacks")},
        "threshold_moves": len(moves),
        "threshold_p50_s": round(float(np.median(moves)), 3) if moves else float("nan"),
        "threshold_p95_s": round(float(np.quantile(moves, 0.95)), 3) if moves else float("nan"),
        "rss_warm_mb": round(warm),
        "rss_growth_mb": round(grown),
    }


def main() -> None:
    """Run the sessions and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    with running_studio() as url:
        pid = int(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()[0])
        print(json.dumps(asyncio.run(sessions(url, pid, given.sessions, given.seconds))))


if __name__ == "__main__":
    main()

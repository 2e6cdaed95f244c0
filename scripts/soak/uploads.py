"""Files that visitors of the Train page upload: as large as allowed, whose memory must come back, and bombs, which must stop nobody."""

from __future__ import annotations

import asyncio
import io
import itertools
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import numpy as np
import pandas as pd
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from scripts.soak.bombs import BOMBS
from scripts.soak.clock import CLOCK, until_clock
from scripts.soak.page import PATIENCE_SECONDS, Page, new_cookies, resident_mb, side_by_side
from scripts.soak.sessions import Explorer, moves_told

UPLOAD_BYTES: Final = 20_000_000
# Visitors who upload at the same time.
AT_ONCE: Final = 4
BOMB_VIEWERS: Final = 5
# Visitors count as gone after a minute or two; then their memory has to come back.
BACK_SECONDS: Final = 200.0
# Of the memory that was taken; with less left all has come back.
LEFT_SHARE: Final = 0.1
_LOOK_SECONDS: Final = 0.1
_BOUNDARY: Final = "sparcode-soak"
_REFUSED: Final = "This file cannot be used."


class Uploader(Page):
    """A tab of the Train page that takes a file; `answer` is what the page says of it: its sizes, or why it is refused."""

    def __init__(self, url: str, cookies: dict[str, str]) -> None:
        super().__init__(url, "train", "t_data=upload", cookies=cookies)
        self.answer, self.refused, self._uploader, self._session = "", False, "", ""
        self._places: list[Any] = []

    async def upload(self, name: str, content: bytes) -> float:
        """Upload a file as a browser does; seconds until the page answers."""
        if not await self.until(lambda: bool(self._uploader), PATIENCE_SECONDS):
            raise TimeoutError("the page shows no place for a file")
        start, asked = CLOCK(), BackMsg()
        asked.file_urls_request.request_id, asked.file_urls_request.session_id = name, self._session
        asked.file_urls_request.file_names.append(name)
        await self.send(asked)
        await self.until(lambda: bool(self._places), PATIENCE_SECONDS)
        place = self._places.pop()
        await asyncio.to_thread(self._put, place.upload_url, name, content)
        state = WidgetState(id=self._uploader)
        state.file_uploader_state_value.uploaded_file_info.add(name=name, size=len(content), file_id=place.file_id, file_urls=place)
        self.values[self._uploader] = state
        self.answer, self.refused = "", False
        await self.ask(fragment="")
        if not await self.until(lambda: bool(self.answer), PATIENCE_SECONDS):
            raise TimeoutError("the page says nothing of the file")
        return CLOCK() - start

    def hear(self, told: ForwardMsg) -> None:
        """Take the places that the server gives files, too."""
        super().hear(told)
        if told.WhichOneof("type") == "new_session":
            self._session = told.new_session.initialize.session_id
        elif told.WhichOneof("type") == "file_urls_response":
            self._places.extend(told.file_urls_response.file_urls)

    def take(self, kind: str, element: Any, fragment: str) -> None:
        """Take the place for files, and what is said of one."""
        if kind == "file_uploader":
            self._uploader = element.file_uploader.id
        elif kind == "alert" and element.alert.body == _REFUSED:
            self.refused = True
        elif kind == "text" and self.refused:
            self.answer = element.text.body
        elif kind == "markdown" and element.markdown.body.endswith(" interactions"):
            self.answer = element.markdown.body

    def _put(self, place: str, name: str, content: bytes) -> None:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Cookie": self.cookie_header, "Origin": self.url}
        headers["X-Xsrftoken"] = self.cookies["_streamlit_xsrf"]
        urllib.request.urlopen(urllib.request.Request(urljoin(self.url, place), body, headers, method="PUT")).close()


async def soak_bombs(url: str, pid: int, seconds: float) -> dict[str, float]:
    """Upload bombs, each once at least, while others move thresholds.

    Returns seconds until bombs are refused, memory taken meanwhile (that of reading processes too, with their imports), and how long the
    others wait for figures.
    """
    contents, until = {kind: bomb.make() for kind, bomb in BOMBS.items()}, CLOCK() + seconds
    viewers = [Explorer(url, number, threshold_share=1, cookies=new_cookies(url)) for number in range(BOMB_VIEWERS)]
    watching = asyncio.create_task(side_by_side(*(viewer.live(until) for viewer in viewers)))
    # Until they see figures.
    await until_clock(until - 0.8 * seconds)
    before, taken, waits, failed, bombs = tree_mb(pid), [0.0], [], 0, []
    looking = asyncio.create_task(_look(pid, before, taken))
    for kind in itertools.cycle(BOMBS):
        if len(bombs) >= len(BOMBS) and CLOCK() > until:
            break
        visitor = Uploader(url, new_cookies(url))
        bombs.append(visitor)
        failed += await side_by_side(_visit(visitor, BOMBS[kind].name, contents[kind], waits))
    looking.cancel()
    failed += await watching
    counts = sum((page.counts for page in [*viewers, *bombs]), Counter())
    return {
        "bombs": len(bombs),
        "bombs_taken": sum(not visitor.refused for visitor in bombs),
        "bombs_slowest_s": round(max(waits, default=float("nan")), 3),
        "bombs_most_mb": round(max(taken)),
        **moves_told(viewers, "bombs"),
        **{name: counts[name] for name in ("stuck", "crossed", "tracebacks")},
        "connection_errors": counts["connection_errors"] + failed,
    }


async def soak_uploads(url: str, pid: int, n_uploads: int) -> dict[str, float]:
    """Upload large tables, by visitors who then leave, and wait for their memory to come back; it may take a while to be seen as left."""
    contents = {f"a.{suffix}": table(UPLOAD_BYTES, suffix) for suffix in ("csv", "parquet")}
    # The first one has parts of the studio loaded.
    failed = await side_by_side(_visit(Uploader(url, new_cookies(url)), "a.csv", table(UPLOAD_BYTES // 100, "csv"), []))
    before, taken, waits, turn = resident_mb(pid), [0.0], [], asyncio.Semaphore(AT_ONCE)
    visitors = [Uploader(url, new_cookies(url)) for _ in range(n_uploads)]
    looking = asyncio.create_task(_look(pid, before, taken))

    async def in_turn(visitor: Uploader, name: str) -> None:
        async with turn:
            await _visit(visitor, name, contents[name], waits)

    names = list(contents)
    failed += await side_by_side(*(in_turn(visitor, names[number % len(names)]) for number, visitor in enumerate(visitors)))
    left = CLOCK()
    while (back := resident_mb(pid) - before) > LEFT_SHARE * max(taken) and CLOCK() - left < BACK_SECONDS:
        await asyncio.sleep(1)
    looking.cancel()
    counts = sum((visitor.counts for visitor in visitors), Counter())
    return {
        "uploads": n_uploads,
        "uploads_read": sum(bool(visitor.answer) and not visitor.refused for visitor in visitors),
        "uploads_slowest_s": round(max(waits, default=float("nan")), 3),
        "upload_rss_most_mb": round(max(taken)),
        "upload_rss_left_mb": round(back),
        "upload_rss_left_share": round(max(0.0, back) / max(1.0, max(taken)), 3),
        "upload_rss_back_s": round(CLOCK() - left),
        "tracebacks": counts["tracebacks"],
        "connection_errors": counts["connection_errors"] + failed,
    }


def tree_mb(pid: int) -> float:
    """Resident memory of a process and of those it started."""
    started = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    total = resident_mb(pid)
    for child in started:
        # It may have ended just now.
        with suppress(OSError, TypeError):
            total += resident_mb(child)
    return total


async def _visit(visitor: Uploader, name: str, content: bytes, waits: list[float]) -> None:
    async with visitor.open():
        waits.append(await visitor.upload(name, content))


async def _look(pid: int, before: float, taken: list[float]) -> None:
    """Note the memory taken, again and again."""
    while True:
        taken.append(tree_mb(pid) - before)
        await asyncio.sleep(_LOOK_SECONDS)


def table(n_bytes: int, suffix: str) -> bytes:
    """A valid table of about so many bytes, .csv or .parquet, with long titles that compress badly."""
    rng, n_rows = np.random.default_rng(0), n_bytes // 400
    titles = [rng.bytes(192).hex() for _ in range(n_rows)]
    frame = pd.DataFrame({"user": np.arange(n_rows) % (n_rows // 20), "item": rng.integers(2000, size=n_rows), "title": titles})
    written = io.BytesIO()
    frame.to_csv(written, index=False) if suffix == "csv" else frame.to_parquet(written, index=False)
    return written.getvalue()

"""Many visitors at once, for minutes: at the end, once all is at rest, each page's sliders, address and figures must agree."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import numpy as np
from streamlit.proto.WidgetStates_pb2 import WidgetState

from app.session.configuration import Configuration
from app.session.settings import CODEBOOK_SIZE, CODEBOOKS, KEPT
from scripts.soak.clock import CLOCK, until_clock
from scripts.soak.page import REST_SECONDS, Page, new_cookies, resident_mb, side_by_side

# Settings that sessions choose from; each is trained once.
ASKED: Final = {CODEBOOKS.key: ("1", "2"), CODEBOOK_SIZE.key: ("64", "128")}
# Of what a visitor of the Explorer does; the rest are changes of M and K.
THRESHOLD_SHARE: Final = 0.78
BUTTON_SHARE: Final = 0.02
# One of so many sessions trains from scratch.
TRAINERS: Final = 10
# Labels of the Explorer's buttons that start, join and end trainings.
_TRAININGS: Final = re.compile(r"Fine-tune|Train all|Join|Try again|Cancel")
_LABEL: Final = re.compile(r"M=(\d+) K=(\d+).*, ([\d.]+) % kept")
_QUICK_RUN: Final = {"t_data": "small", "t_epochs": 3, "t_joint": 2, "t_two_tower": "false"}


class Explorer(Page):
    """A tab of the Index Explorer; `moves` are seconds from the release of the threshold slider to its figures.

    A move that the next one overtook counts with the time until then. `threshold_share` is that of threshold moves among all presses.
    """

    def __init__(self, url: str, seed: int, threshold_share: float = THRESHOLD_SHARE, cookies: dict[str, str] | None = None) -> None:
        super().__init__(url, "explorer", seed=seed, cookies=cookies)
        self.query = urlencode({CODEBOOK_SIZE.key: self.chance.choice(ASKED[CODEBOOK_SIZE.key])})
        self._threshold_share = threshold_share
        # Key of a setting -> id of the slider that shows it, and its value.
        self.sliders: dict[str, tuple[str, str]] = {}
        self.kept, self.shown, self._threshold_id = "", ("", "", ""), ""
        self._moved: tuple[str, float] | None = None
        self.moves: list[float] = []

    async def live(self, *given: Any, **options: Any) -> None:
        """As a `Page`; then count whether it agrees with itself."""
        await super().live(*given, **options)
        if not self.agrees():
            self.counts["crossed"] += 1
            told = f"on the sliders {self.on_sliders()}, in the address {self.in_address()}, shown {self.shown}"
            print(f"a session disagrees with itself: {told}", file=sys.stderr)

    def agrees(self) -> bool:
        """Whether sliders, address and figures are of the same setting."""
        return self.on_sliders() == self.in_address() == self.shown

    def on_sliders(self) -> tuple[str, ...]:
        """M, K and % kept on the sliders."""
        return (*(self.sliders[key][1] for key in ASKED), self.kept) if len(self.sliders) == len(ASKED) else ("", "", "")

    def in_address(self) -> tuple[str, ...]:
        """The same in the address."""
        asked = parse_qs(self.query)
        return tuple(asked.get(key, [getattr(Configuration(), key)])[0] for key in (*ASKED, KEPT.key))

    async def press(self) -> None:
        """Move the threshold, change M or K, or press a button of a training."""
        if not self.sliders or not self._threshold_id:
            return
        self.counts["changes"] += 1
        trainings, what = [label for label in self.buttons if _TRAININGS.match(label)], self.chance.random()
        if trainings and what > 1 - BUTTON_SHARE:
            self.counts["buttons"] += 1
            await self.click(self.chance.choice(trainings))
        elif what < self._threshold_share:
            await self._move(self.chance.choice([percent for percent in KEPT.options if percent != self.kept]))
        else:
            key = self.chance.choice(list(self.sliders))
            self._take_move()
            self._slide(key, self.sliders[key][0], self.chance.choice(ASKED[key]))
            await self.ask(self.fragment)

    async def _move(self, percent: str) -> None:
        self._take_move()
        # A setting whose index is still being made has no figures that could follow.
        if self.shown[:2] == self.on_sliders()[:2]:
            self._moved = (percent, CLOCK())
        await self.trigger(self._threshold_id, "release", percent)

    def _take_move(self) -> None:
        if self._moved is not None:
            self.moves.append(CLOCK() - self._moved[1])
            self._moved = None

    def _slide(self, key: str, name: str, value: str) -> None:
        if key in self.sliders:
            self.values.pop(self.sliders[key][0], None)
        self.sliders[key] = (name, value)
        self.values[name] = WidgetState(id=name)
        self.values[name].string_array_value.data.append(value)

    def take(self, kind: str, element: Any, fragment: str) -> None:
        """Take sliders, the run shown and figures."""
        if kind == "slider":
            key = element.slider.id.rpartition("-")[2].partition("#")[0]
            known = self.sliders.get(key)
            # A slider of another id is new to the page and shows its default; one that is known shows what was pressed.
            if key in ASKED and (known is None or known[0] != element.slider.id):
                self._slide(key, element.slider.id, element.slider.options[int(element.slider.default[0])])
            self.fragment = fragment or self.fragment
        elif kind == "bidi_component":
            component = element.bidi_component
            if component.WhichOneof("data") not in ("json", "mixed"):
                return
            data = json.loads(component.json or component.mixed.json)
            if "kept" in data:
                self.kept, self._threshold_id = data["kept"], component.id
            elif "runs" in data:
                current = [_LABEL.search(run["label"]) for run in data["runs"] if run["current"]]
                self.shown = current[0].groups() if current and current[0] else ("", "", "")
            elif "tiles" in data and self._moved is not None and data["version"].endswith(f" {self._moved[0]}"):
                self._take_move()


class Trainer(Page):
    """A tab of the Train page, whose visitor starts, pauses, steps through and cancels short trainings."""

    def __init__(self, url: str, seed: int, cookies: dict[str, str] | None = None) -> None:
        super().__init__(url, "train", urlencode({**_QUICK_RUN, "t_seed": seed}), seed, cookies)

    async def press(self) -> None:
        """Click one of the buttons."""
        if self.buttons:
            self.counts["changes"] += 1
            label = self.chance.choice(sorted(self.buttons))
            self.counts["trainings"] += label in ("Start training", "Train one epoch")
            await self.click(label)

    async def leave(self) -> None:
        """Cancel what is under way."""
        await self.until(lambda: bool(self.buttons) and not self._waiting, REST_SECONDS)
        if "Cancel" in self.buttons:
            await self.click("Cancel")

    def take(self, kind: str, element: Any, fragment: str) -> None:
        """Note the fragment of the buttons."""
        if kind == "button" and fragment:
            self.fragment = fragment


async def soak(url: str, pid: int, n_sessions: int, seconds: float) -> dict[str, float]:
    """So many sessions for so long, one in `TRAINERS` on the Train page; the memory of the process counts from a fifth of the time on."""
    kinds = [Trainer if number % TRAINERS == TRAINERS - 1 else Explorer for number in range(n_sessions)]
    pages = [kind(url, number, cookies=new_cookies(url)) for number, kind in enumerate(kinds)]
    until = CLOCK() + seconds
    living = asyncio.create_task(side_by_side(*(page.live(until) for page in pages)))
    await until_clock(until - 0.8 * seconds)
    warm = resident_mb(pid)
    await until_clock(until)
    grown = resident_mb(pid) - warm
    failed = await living
    counts = sum((page.counts for page in pages), Counter())
    return {
        "sessions": n_sessions,
        **{name: counts[name] for name in ("changes", "buttons", "trainings", "stuck", "crossed", "references", "tracebacks")},
        "connection_errors": counts["connection_errors"] + failed,
        **moves_told([page for page in pages if isinstance(page, Explorer)], "threshold"),
        "rss_warm_mb": round(warm),
        "rss_growth_mb": round(grown),
        "rss_growth_share": round(grown / warm, 4),
    }


def moves_told(pages: list[Explorer], name: str) -> dict[str, float]:
    """Number, median and 95th percentile of the pages' threshold moves, in seconds."""
    moves = [seconds for page in pages for seconds in page.moves]
    told: dict[str, float] = {f"{name}_moves": len(moves)}
    return told | {f"{name}_p{share}_s": round(float(np.percentile(moves, share)), 3) if moves else float("nan") for share in (50, 95)}

"""Everything that may lose a run or stop the studio, for a quarter of an hour: ``python -m scripts.soak``; the last line is a JSON object.

``python -m scripts.soak kills --scale 0.1`` does one part alone, a tenth of it. The exit code is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from scripts.soak import flips, inputs, kills, sessions, sweeps, uploads
from scripts.soak.clock import CLOCK
from scripts.soak.page import new_cookies
from scripts.studio_in_browser import running_studio

SESSION_SECONDS: Final = 300.0
BOMB_SECONDS: Final = 40.0
# A visitor who presses faster than the studio draws.
_FAST: Final = (0.0, 0.15)
_NONE_OF: Final = (
    *("tracebacks", "silent_flips", "unnamed", "lost_runs", "left_over"),
    *("stuck", "connection_errors", "crossed", "bombs_taken"),
)
_AT_MOST: Final = {
    **{"threshold_p95_s": 1.0, "rss_growth_share": 0.05, "upload_rss_left_share": 0.1},
    **{"bombs_slowest_s": 5.0, "bombs_most_mb": 500.0, "bombs_p95_s": 1.0},
}
_COUNTS: Final = ("bad_inputs", "tracebacks", "silent_flips", "kills", "lost_runs", "left_over", "sessions", "stuck", "connection_errors")
_FIRST: Final = (*_COUNTS, "crossed", "threshold_p95_s", "rss_growth_mb")
# Of Python and, in colours, of Streamlit.
_TRACEBACK: Final = "(most recent call last)"


def of_inputs(scale: float, seed: int) -> dict[str, Any]:
    """Damaged input files."""
    told = inputs.soak(round(10_000 * scale), seed)
    print(*told.pop("first"), sep="\n", file=sys.stderr)
    return told


def of_flips(scale: float, seed: int) -> dict[str, Any]:
    """Changed bits of a run that is trained for it."""
    with tempfile.TemporaryDirectory() as place:
        return flips.soak(round(5_000 * scale), kills.trained(Path(place, "run")), seed)


def of_kills(scale: float, seed: int) -> dict[str, Any]:
    """Killed trainings and exports."""
    told = kills.soak(round(100 * scale), seed)
    return {**told, "lost_runs": told["lost"] + told["different"] + told["failed"]}


def of_sweeps(scale: float, seed: int) -> dict[str, Any]:
    """A killed sweep."""
    told = sweeps.soak(max(1, round(10 * scale)), seed)
    return {**told, "lost_runs": told["lost"] + told["different"] + told["failed"]}


def of_sessions(scale: float, seed: int) -> dict[str, Any]:
    """Many sessions in one studio."""
    return _in_a_studio(lambda url, pid: sessions.soak(url, pid, max(1, round(20 * scale)), SESSION_SECONDS * scale))


def of_uploads(scale: float, seed: int) -> dict[str, Any]:
    """One session of many changes, bombs while others move thresholds, and large uploads."""

    async def soak(url: str, pid: int) -> dict[str, Any]:
        one = sessions.Explorer(url, seed, cookies=new_cookies(url))
        changes = round(1_000 * scale)
        # A page that shows no sliders would never be done.
        await one.live(CLOCK() + changes, _FAST, changes)
        told = [one.counts, await uploads.soak_bombs(url, pid, BOMB_SECONDS * max(scale, 0.5))]
        told.append(await uploads.soak_uploads(url, pid, round(100 * scale)))
        return {**together(told), "changes_one_session": one.counts["changes"]}

    return _in_a_studio(soak)


PARTS: Final[dict[str, Callable[[float, int], dict[str, Any]]]] = {
    "inputs": of_inputs,
    "flips": of_flips,
    "kills": of_kills,
    "sweeps": of_sweeps,
    "sessions": of_sessions,
    "uploads": of_uploads,
}


def together(told: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of several parts; what more than one of them counts is added up."""
    sums: Counter[str] = Counter()
    for part in told:
        for name, value in part.items():
            sums[name] += float("nan") if value is None else value
    return dict(sums)


def missed(told: Mapping[str, Any]) -> list[str]:
    """Names of the bars that are missed; a figure that is not there misses none."""
    most = dict.fromkeys(_NONE_OF, 0.0) | _AT_MOST
    # NaN, where nothing was measured, is no success.
    return [name for name, bar in most.items() if name in told and not (told[name] <= bar)]


def _in_a_studio(soak: Callable[[str, int], Any]) -> dict[str, Any]:
    printed: list[str] = []
    with running_studio(printed=printed) as url:
        pid = int(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii").split()[0])
        told = asyncio.run(soak(url, pid))
    told["tracebacks"] += sum(_TRACEBACK in line for line in printed)
    if told["tracebacks"]:
        print(f"the studio printed:\n{''.join(printed)}", file=sys.stderr)
    return told


def _start(part: str, scale: float, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.soak", part, "--scale", str(scale), "--seed", str(seed)]
    # Killed processes leave semaphores, which Python warns about.
    variables = {**os.environ, "PYTHONWARNINGS": "ignore:resource_tracker"}
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def _told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, _ = process.communicate()
    print(printed, end="", file=sys.stderr)
    return json.loads(printed.splitlines()[-1])


def _all(scale: float, seed: int) -> dict[str, Any]:
    """All parts: those of files side by side, then those of pages alone."""
    start, by_kills = CLOCK(), _start("kills", scale, seed)
    told = [_told_by(_start(part, scale, seed)) for part in ("inputs", "flips", "sweeps")]
    told.append(_told_by(by_kills))
    told += [_told_by(_start(part, scale, seed)) for part in ("sessions", "uploads")]
    found = together(told) | {"seconds": round(CLOCK() - start), "seconds_suspended": round(CLOCK.stopped)}
    return {name: found[name] for name in _FIRST} | found


def main() -> None:
    """Run from a terminal."""
    parser = argparse.ArgumentParser(prog="python -m scripts.soak", description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="one part alone")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of it; 1 takes a quarter of an hour")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is chosen by chance")
    given = parser.parse_args()
    told = PARTS[given.part](given.scale, given.seed) if given.part else _all(given.scale, given.seed)
    # JSON has no NaN.
    print(json.dumps({name: value if value == value else None for name, value in told.items()}, allow_nan=False))
    if bars := missed(told):
        print(f"missed: {', '.join(bars)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

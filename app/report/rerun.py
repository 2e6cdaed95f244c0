"""The settings of a report's entries as files, and the commands that train them again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from app.report.entry import Entry
from sparcode.runs.manifest import FORMAT_VERSION


class Settings(NamedTuple):
    """A settings file for ``sparcode train --config``, its name, and the command; `numbers` are places of entries, from 1."""

    file: str
    text: str
    command: str
    numbers: tuple[int, ...]


def settings_files(entries: Sequence[Entry]) -> list[Settings]:
    """One file for each different settings on different data, in the order of the entries; entries without settings have none."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, entry in enumerate(entries, start=1):
        if entry.source.config:
            found.setdefault((entry.source.config, entry.source.data_flags), []).append(place)
    files = []
    for number, ((config, flags), places) in enumerate(found.items(), start=1):
        name = f"config-{number}.json"
        # As a run's own settings, so that those without effect beside others are not refused.
        text = json.dumps({"format_version": FORMAT_VERSION, "config": json.loads(config)}, indent=2) + "\n"
        files.append(Settings(name, text, " ".join(filter(None, ("sparcode train", flags, f"--config {name}"))), tuple(places)))
    return files


RERUN_NOTE = (
    "The command trains these settings from scratch, with the peers, and prints recall, NDCG, size and latency. Figures of a fine-tuned "
    "model or a preview of the studio differ from it as one training differs from another; times are those of the machine that runs it."
)

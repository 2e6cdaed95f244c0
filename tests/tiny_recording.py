"""Runs recorded for the tiny data, as the script records those of the default data."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from app.recorded.files import write_folder
from app.recorded.runs import RecordedRuns
from scripts import record_runs
from sparcode.config import RunConfig
from tests.tiny import CONFIG, changed, tiny_data

OTHER = changed(quantizer={"n_codebooks": 1, "codebook_size": 4})


def tiny_recording(folder: Path) -> Path:
    """A copy of the recording, in a folder of the caller's own."""
    return Path(shutil.copytree(_recorded(), folder / "recorded"))


def opened(folder: Path, config: RunConfig = CONFIG) -> RecordedRuns:
    """Records of a folder for the tiny data."""
    return RecordedRuns.opened(folder, tiny_data(), config)


@cache
def _recorded() -> Path:
    # Until the process ends.
    folder = Path(tempfile.mkdtemp(prefix="tiny-recording-"))
    files = folder / "files"
    files.mkdir()
    write_folder(record_runs.record(record_runs.Recorder(tiny_data(), CONFIG, files), (OTHER,)), files, folder / "recorded")
    return folder / "recorded"

"""What a run folder says of itself: settings, data, training history and measured figures, without its model and index."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from sparcode.config import RunConfig, settings_hash
from sparcode.data.facts import DataFacts
from sparcode.runs.manifest import MANIFEST, VERSION_WITHOUT_SUMS, check_version
from sparcode.training.epoch_record import EpochRecord

DESCRIPTION: Final = "run.json"


class RunDescription(NamedTuple):
    """Settings, data, epochs, measured figures (one row per model) and machine of a run."""

    config: RunConfig
    data: DataFacts
    records: list[EpochRecord]
    results: list[dict[str, Any]]
    machine: str


_DATA, _RECORD, _ROWS = TypeAdapter(DataFacts), TypeAdapter(EpochRecord), TypeAdapter(list[dict[str, Any]])


def run_id(data: DataFacts, config_hash: str) -> str:
    """Content address of a run: hash of data and settings."""
    return f"{data.content_hash[:8]}-{config_hash[:8]}"


def read_description(folder: Path) -> RunDescription:
    """Read the description in a run folder; its other files are not looked at, see `sparcode.runs.store.load_run`.

    ValueError, which names the file, if it is missing or damaged, has another format version, or its settings or data were edited.
    """
    path = folder / DESCRIPTION
    content = read_json(path)
    version = content.get("format_version")
    if version != VERSION_WITHOUT_SUMS or (folder / MANIFEST).exists():
        check_version(path, version)
    try:
        config = RunConfig.as_written(content["config"])
        data = _DATA.validate_python(content["data"])
        # JSON has no NaN; in a record only numbers that do not apply are null.
        rows = [
            {name: math.nan if value is None else value for name, value in row.items()} for row in _ROWS.validate_python(content["records"])
        ]
        records = [_RECORD.validate_python(row) for row in rows]
        results, machine = _ROWS.validate_python(content["results"]), str(content["machine"])
        # Of the settings as written: a setting added to sparcode since does not count as an edit.
        written_id = run_id(data, settings_hash(content["config"]))
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if content.get("run_id") != written_id:
        raise ValueError(f"{path} was edited: its settings and data give the run id {written_id}, but it says {content.get('run_id')}")
    return RunDescription(config, data, records, results, machine)


def described_json(described: RunDescription, version: int) -> str:
    """The text of a description, for a run folder of this format version."""
    records = [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in record._asdict().items()}
        for record in described.records
    ]
    content = {
        "format_version": version,
        "run_id": run_id(described.data, described.config.content_hash()),
        "config": described.config.model_dump(mode="json"),
        "data": vars(described.data),
        "machine": described.machine,
        "records": records,
        "results": described.results,
    }
    return json.dumps(content, indent=1, allow_nan=False)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError, which names the file, if it is missing, no JSON or no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object; got {type(content).__name__}")
    return content

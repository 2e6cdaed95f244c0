from __future__ import annotations

import json
from pathlib import Path

from sparcode.commands.settings import build_settings
from sparcode.config import RunConfig
from sparcode.training.recommended import recommended
from tests.training.test_recommended import sparse


def test_settings_of_a_run_are_trained_as_they_are_whatever_the_data_recommends(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"format_version": 3, "config": RunConfig().model_dump()}))
    settings = build_settings(path, None, epochs=3)
    config = settings.run_config(False)
    assert recommended(sparse(), config, settings.named()) == (config, "")
    assert settings.typed()["training"] == {"epochs"}


def test_a_file_of_settings_and_flags_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"training": {"batch_size": 64}}))
    settings = build_settings(path, None, epochs=3)
    assert settings.named() == settings.typed()
    assert settings.named()["training"] == {"batch_size", "epochs"}

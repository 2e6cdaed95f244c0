from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest


@pytest.mark.usefixtures("tiny_app")
def test_the_entry_script_opens_the_start_page(repository: Path) -> None:
    studio = AppTest.from_file(repository / "app" / "main.py", default_timeout=60).run()
    assert not studio.exception
    assert studio.title[0].value


def test_collection_after_each_run_is_off_and_nothing_is_reported_home(repository: Path) -> None:
    config = tomllib.loads((repository / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["runner"]["postScriptGC"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"
